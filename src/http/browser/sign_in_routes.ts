/** Signing in with a cookie. */
import type { z } from 'zod'
import { ensureBrowserClient } from '../../clients/browser_client.ts'
import type { Params } from '../../clients/client.ts'
import { OAuthError } from '../../error.ts'
import type { Deps } from '../../oauth/deps.ts'
import { paths } from '../../pages/paths.ts'
import { type SignInView, signInPage } from '../../pages/sign_in.ts'
import { beginSession } from '../../sessions/begin.ts'
import { refreshPolicy } from '../../sessions/lifetimes.ts'
import type { Session } from '../../sessions/session.ts'
import { maxSignInName } from '../../text.ts'
import { signInByPassword } from '../../users/sign_in.ts'
import { callerOf } from '../caller.ts'
import type { Context } from '../context.ts'
import { busy, crossSite, goOn, guessing, ok, readsQuery } from '../description.ts'
import type { Endpoint, RefusedByPage } from '../endpoint.ts'
import { sendJson } from '../json.ts'
import { htmlType, jsonType } from '../media_types.ts'
import { bodyParams, formOrJsonBody } from '../params.ts'
import { readQuery } from '../query.ts'
import { asOAuthError } from '../refusal.ts'
import { loginParams, loginQuery } from '../request_params.ts'
import { redirect, type Site, sendPage, wantsPage } from './pages.ts'
import { insistOnSameSite } from './same_site.ts'
import { readSessionCookie, setSessionCookie } from './session_cookie.ts'
import { endTheirs } from './signed_in.ts'

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
        sendPage(
          ctx,
          signInPage({ by: deps.config.signInBy, returnTo, signInFirst: returnTo !== undefined }, site.frame(ctx)),
        )
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
      describe: ({ loginResponse }) => ({
        tag: 'Browser',
        summary: 'Sign in with a cookie',
        body: loginParams,
        answers: {
          ...ok('Signed in.', { [jsonType]: loginResponse }, 'Set-Cookie'),
          303: { description: 'Signed in; for a browser.', headers: ['Location', 'Set-Cookie'] },
        },
        errors: {
          ...crossSite,
          ...guessing,
          invalid_request: textsNeeded,
          sign_in_refused: 'the username or password is wrong',
        },
      }),
    },
  ]
}

const textsNeeded = 'username and password are needed, of at most 254 and 1,024 characters'

/** `{"message": "Login successful"}` and the cookie, or 401; a browser is led on, or sees the form again with what is wrong. */
async function login(deps: Deps, site: Site, ctx: Context): Promise<RefusedByPage | undefined> {
  const { params } = bodyParams(ctx)
  const returnTo = localPath(site, params.return_to, deps.config.issuer)
  const refuse = (failure: OAuthError, view: SignInView): RefusedByPage => {
    const username = params.username?.slice(0, 2 * maxSignInName).toWellFormed()
    return {
      failure,
      page: wantsPage(ctx)
        ? signInPage({ by: deps.config.signInBy, username, returnTo, ...view }, site.frame(ctx))
        : undefined,
    }
  }
  try {
    insistOnSameSite(ctx, deps.config.issuer)
    const read = loginParams.safeParse(params)
    if (!read.success) {
      const failure = new OAuthError('invalid_request', textsNeeded)
      return refuse(failure, { problems: textProblems(read.error, params) })
    }
    const before = await readSessionCookie(deps, ctx)
    const session = await signInByCookie(deps, ctx, read.data.username, read.data.password)
    // Nothing could reach the session whose cookie is replaced.
    if (before !== undefined) await endTheirs(deps, ctx, before, { id: before.session.id })
    setSessionCookie(deps, ctx, session)
  } catch (error) {
    const failure = asOAuthError(error)
    return refuse(failure, signInProblem(failure))
  }
  if (wantsPage(ctx)) redirect(ctx, returnTo ?? site.paths.account)
  else sendJson(ctx, { message: 'Login successful' })
  return undefined
}

async function signInByCookie(deps: Deps, ctx: Context, username: string, password: string): Promise<Session> {
  const client = await ensureBrowserClient(deps)
  if (client.disabledAt !== undefined) throw new OAuthError('forbidden', 'signing in here is switched off')
  try {
    const authentication = await signInByPassword(deps, { username, password, clientId: client.id }, callerOf(ctx))
    const wanted = { client, scope: '', audience: [], lifetimes: refreshPolicy(deps.config, client) }
    return await beginSession(deps, authentication, wanted, callerOf(ctx))
  } catch (error) {
    if (!(error instanceof OAuthError) || error.code !== 'invalid_grant') throw error
    throw new OAuthError('sign_in_refused', error.message, { cause: error.cause })
  }
}

function signInProblem({ code, retryAfter }: OAuthError): SignInView {
  return code === 'sign_in_refused'
    ? { problems: { form: 'wrong_credentials' } }
    : { problems: { form: 'try_later' }, retryAfter }
}

/** What is wrong with each field that something is wrong with. */
function textProblems({ issues }: z.ZodError, params: Params): Record<string, 'missing' | 'too_long'> {
  const names = issues.map(({ path }) => String(path[0]))
  return Object.fromEntries(names.map(name => [name, params[name] === undefined ? 'missing' : 'too_long']))
}

/** @returns undefined when nothing was asked for; the home page for anything but a path of this site */
function localPath(
  { paths: { home, signIn, signOut } }: Site,
  returnTo: Params[string] | readonly string[],
  issuer: string,
): string | undefined {
  if (returnTo === undefined || returnTo === '') return undefined
  if (typeof returnTo !== 'string' || !/^\/(?![/\\])[\x21-\x7e]{0,2000}$/.test(returnTo)) return home
  const url = URL.parse(returnTo, issuer)
  // A path back to signing in or out would go round in circles.
  const isCircle = url?.pathname === signIn || url?.pathname === signOut
  return url?.origin === new URL(issuer).origin && !isCircle ? returnTo : home
}
