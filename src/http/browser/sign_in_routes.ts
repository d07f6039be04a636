/** Signing in with a cookie. */
import type { z } from 'zod'
import type { Params } from '../../clients/client.ts'
import { OAuthError } from '../../error.ts'
import type { Deps } from '../../oauth/deps.ts'
import { paths } from '../../pages/paths.ts'
import { signInPage } from '../../pages/sign_in.ts'
import { FactorsOwed } from '../../sessions/factors_owed.ts'
import { maxSignInName } from '../../text.ts'
import { signInByPassword } from '../../users/sign_in.ts'
import { callerOf } from '../caller.ts'
import type { Context } from '../context.ts'
import { busy, crossSite, goOn, guessing, ok, readsQuery } from '../description.ts'
import type { Endpoint, RefusedByPage } from '../endpoint.ts'
import { htmlType, jsonType } from '../media_types.ts'
import { bodyParams, formOrJsonBody } from '../params.ts'
import { readQuery } from '../query.ts'
import { asOAuthError } from '../refusal.ts'
import { loginForm, loginParams, loginQuery } from '../request_params.ts'
import { askForFactor, beginPasskeySignIn, goOnSigningIn } from './factor_steps.ts'
import { localPath } from './local_path.ts'
import { redirect, type Site, sendPage } from './pages.ts'
import { insistOnSameSite } from './same_site.ts'
import { readSessionCookie } from './session_cookie.ts'
import {
  beginByCookie,
  refuseSignInBy,
  type SignIn,
  type SignInProblem,
  sendSignedIn,
  signInClient,
} from './sign_in.ts'

export function signInEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  return [
    {
      id: 'loginPage',
      method: 'get',
      path: paths.signIn,
      caller: 'open',
      cors: 'none',
      hasPages: true,
      async handle(ctx) {
        const returnTo = localPath(site, readQuery(ctx).return_to, deps.config.issuer)
        if ((await readSessionCookie(deps, ctx)) !== undefined) return redirect(ctx, returnTo ?? site.paths.account)
        const { signInBy: by, relyingParty, hasMail, signUp } = deps.config
        const view = { by, hasPasskeys: relyingParty !== undefined, hasMail, signUp, returnTo }
        sendPage(ctx, signInPage({ ...view, signInFirst: returnTo !== undefined }, site.frame(ctx)))
      },
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: 'The page to sign in',
        query: loginQuery,
        answers: { ...ok('The page.', { [htmlType]: htmlPage }), ...goOn },
        errors: { ...busy, ...readsQuery },
      }),
    },
    {
      id: 'login',
      method: 'post',
      path: paths.signIn,
      caller: 'open',
      cors: 'none',
      hasPages: true,
      body: formOrJsonBody,
      handle: ctx => login(deps, site, ctx),
      describe: ({ loginResponse, htmlPage }) => ({
        tag: 'Browser',
        summary: 'Sign in with a cookie',
        description:
          'With username and password. Where one more proof is owed the answer is 403 with an `auth_session` that lives five minutes, and `factors`: send it here again with one of those in their place. Five wrong ones end it. A browser sees a page for that.',
        body: loginForm,
        answers: {
          200: {
            description: 'Signed in; or, for a browser, a page that asks for one more proof.',
            content: { [jsonType]: loginResponse, [htmlType]: htmlPage },
            sometimes: ['Set-Cookie'],
          },
          303: { description: 'Signed in; for a browser.', headers: ['Location', 'Set-Cookie'] },
        },
        errors: {
          ...crossSite,
          ...guessing,
          invalid_request: textsNeeded,
          sign_in_refused: 'the username or password is wrong',
          insufficient_authorization: 'one more proof of who this is is needed',
          invalid_grant: 'the code or passkey is wrong, or has been used',
          invalid_session: 'the auth_session is expired, used or not valid; start again',
        },
      }),
    },
    {
      id: 'beginPasskeySignIn',
      method: 'post',
      path: paths.passkeySignIn,
      caller: 'open',
      cors: 'none',
      hasPages: true,
      handle: ctx => beginPasskeySignIn(deps, ctx),
      describe: ({ passkeySignInResponse }) => ({
        tag: 'Browser',
        summary: 'Begin to sign in by a passkey alone',
        description:
          'Says what the browser is to be asked, for `PublicKeyCredential.parseRequestOptionsFromJSON`. What it answers goes to `POST /login`, with the `auth_session`.',
        answers: ok('What to ask.', { [jsonType]: passkeySignInResponse }),
        errors: { ...crossSite, ...busy, invalid_request: 'there are no passkeys here' },
      }),
    },
  ]
}

const textsNeeded = 'username and password are needed, of at most 254 and 1,024 characters'

/**
 * `{"message": "Login successful"}` and the cookie, or 401; a browser is led on, or sees the form again with what is wrong. Where a second
 * factor is owed, 403 with an `auth_session`; a browser sees the page that asks for it.
 */
async function login(deps: Deps, site: Site, ctx: Context): Promise<RefusedByPage | undefined> {
  const { params } = bodyParams(ctx)
  const returnTo = localPath(site, params.return_to, deps.config.issuer)
  const signIn: SignIn = { deps, site, ctx, returnTo }
  try {
    insistOnSameSite(ctx, deps.config.issuer)
    if (params.auth_session !== undefined) return await goOnSigningIn(signIn, params)
    const read = loginParams.safeParse(params)
    if (!read.success) {
      const failure = new OAuthError('invalid_request', textsNeeded)
      return refuseSignInBy(signIn, failure, { username: typed(params), problems: textProblems(read.error, params) })
    }
    await signInByCookie(signIn, read.data.username, read.data.password)
  } catch (error) {
    if (error instanceof FactorsOwed) return askForFactor(signIn, error)
    const failure = asOAuthError(error)
    return refuseSignInBy(signIn, failure, { username: typed(params), ...signInProblem(failure) })
  }
  return undefined
}

async function signInByCookie(signIn: SignIn, username: string, password: string): Promise<void> {
  const { deps, ctx } = signIn
  const client = await signInClient(deps)
  try {
    const authentication = await signInByPassword(deps, { username, password, clientId: client.id }, callerOf(ctx))
    await beginByCookie(signIn, client, authentication)
    sendSignedIn(signIn)
  } catch (error) {
    if (!(error instanceof OAuthError) || error.code !== 'invalid_grant') throw error
    throw new OAuthError('sign_in_refused', error.message, { cause: error.cause })
  }
}

/** What comes back into the field of the username. */
function typed({ username }: Params): string | undefined {
  return username?.slice(0, 2 * maxSignInName).toWellFormed()
}

function signInProblem({ code, retryAfter }: OAuthError): SignInProblem {
  switch (code) {
    case 'sign_in_refused':
      return { problems: { form: 'wrong_credentials' } }
    // Wrong codes stay on the page that asks for them.
    case 'invalid_grant':
      return { problems: { form: 'passkey_refused' } }
    case 'invalid_session':
      return { problems: { form: 'over' } }
    default:
      return { problems: { form: 'try_later' }, retryAfter }
  }
}

/** What is wrong with each field that something is wrong with. */
function textProblems({ issues }: z.ZodError, params: Params): Record<string, 'missing' | 'too_long'> {
  const names = issues.map(({ path }) => String(path[0]))
  return Object.fromEntries(names.map(name => [name, params[name] === undefined ? 'missing' : 'too_long']))
}
