/** Who is signed in shows anew who it is, before what may be done only then: a step-up of the session of the cookie (RFC 9470). */
import type { Params } from '../../clients/client.ts'
import { OAuthError } from '../../error.ts'
import {
  type AuthSession,
  consumeAuthSession,
  createAuthSession,
  formatAuthSession,
  openAuthSession,
  refuseAuthSession,
  takeTry,
  userOfAuthSession,
} from '../../oauth/auth_session.ts'
import type { Deps } from '../../oauth/deps.ts'
import { proveWithin, type StepUpProof } from '../../oauth/step_up.ts'
import { type Proof, proofs } from '../../pages/ask_factor.ts'
import { paths } from '../../pages/paths.ts'
import { refreshPolicy } from '../../sessions/lifetimes.ts'
import { raiseSession } from '../../sessions/raise.ts'
import type { Factor } from '../../users/factors/factor.ts'
import { givenProof } from '../../users/factors/prove.ts'
import { refuseProof } from '../../users/factors/refuse_proof.ts'
import { callerOf } from '../caller.ts'
import type { Context } from '../context.ts'
import { crossSite, goOn, guessing, ok, readsQuery } from '../description.ts'
import type { Endpoint, RefusedByPage } from '../endpoint.ts'
import { htmlType } from '../media_types.ts'
import { bodyParams, formOrJsonBody } from '../params.ts'
import { readQuery } from '../query.ts'
import { confirmForm, loginQuery } from '../request_params.ts'
import { type AskedPage, askPage, choicesOf, refuseTheLast } from './ask_factor.ts'
import { localPath } from './local_path.ts'
import { redirect, type Site, sendPage, wantsPage } from './pages.ts'
import { insistOnSameSite } from './same_site.ts'
import { readSessionCookie, type SignedIn } from './session_cookie.ts'
import { signInClient } from './sign_in.ts'
import { askToSignIn } from './signed_in.ts'

export function confirmEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  return [
    {
      id: 'confirmPage',
      method: 'get',
      path: paths.confirm,
      caller: 'cookie',
      cors: 'none',
      hasPages: true,
      async handle(ctx) {
        const signedIn = await readSessionCookie(deps, ctx)
        if (signedIn === undefined) return askToSignIn(ctx, site)
        const returnTo = localPath(site, readQuery(ctx).return_to, deps.config.issuer)
        sendPage(ctx, await freshPage({ deps, site, ctx, signedIn, returnTo }, {}))
      },
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: 'The page that asks who is signed in to show it anew',
        query: loginQuery,
        answers: { ...ok('The page.', { [htmlType]: htmlPage }), ...goOn },
        errors: readsQuery,
      }),
    },
    {
      id: 'confirm',
      method: 'post',
      path: paths.confirm,
      caller: 'cookie',
      cors: 'none',
      hasPages: true,
      body: formOrJsonBody,
      handle: ctx => confirm(deps, site, ctx),
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: 'The form of that page: raises the session by one more proof',
        body: confirmForm,
        answers: { ...ok('The page, which asks for another proof.', { [htmlType]: htmlPage }), ...goOn },
        errors: {
          ...crossSite,
          ...guessing,
          invalid_request: 'a proof is missing',
          invalid_grant: 'the code or passkey is wrong, or has been used',
          invalid_session: 'the auth_session is expired, used or not valid; start again',
        },
      }),
    },
  ]
}

type Confirmation = Readonly<{
  deps: Deps
  site: Site
  ctx: Context
  signedIn: SignedIn
  returnTo: string | undefined
}>

async function confirm(deps: Deps, site: Site, ctx: Context): Promise<RefusedByPage | undefined> {
  insistOnSameSite(ctx, deps.config.issuer)
  const signedIn = await readSessionCookie(deps, ctx)
  if (signedIn === undefined) return askToSignIn(ctx, site)
  const { params } = bodyParams(ctx)
  const returnTo = localPath(site, params.return_to, deps.config.issuer)
  const confirmation: Confirmation = { deps, site, ctx, signedIn, returnTo }
  try {
    return await goOnConfirming(confirmation, params)
  } catch (error) {
    if (!(error instanceof OAuthError) || error.code !== 'invalid_session' || !wantsPage(ctx)) throw error
    return { failure: error, page: await freshPage(confirmation, { problem: 'over' }) }
  }
}

async function goOnConfirming(confirmation: Confirmation, params: Params): Promise<RefusedByPage | undefined> {
  const { deps, site, ctx, signedIn, returnTo } = confirmation
  const client = await signInClient(deps)
  const text = params.auth_session ?? ''
  const authSession = await openAuthSession(deps, text, client.id)
  if (authSession.sessionId !== signedIn.session.id) refuseAuthSession('of another session')
  await userOfAuthSession(deps, authSession)
  const factors = await deps.storage.listFactors(signedIn.user.id)
  const page = (view: AskedPage) => pageOf(confirmation, authSession, text, factors, view)
  const refuse = (failure: OAuthError, view: AskedPage): RefusedByPage => ({
    failure,
    page: wantsPage(ctx) ? page(view) : undefined,
  })
  const use = proofs.find(one => one === params.use)
  const asked = proofs.find(one => params[one] !== undefined)
  if (use !== undefined && asked === undefined && wantsPage(ctx)) {
    sendPage(ctx, page({ asked: use }))
    return undefined
  }
  if (asked === undefined)
    return refuse(new OAuthError('invalid_request', 'a proof is missing'), { problem: 'missing' })
  try {
    const left = await takeTry(deps, authSession)
    const given = proofOf(choicesOf(deps, factors), params)
    const { user, session } = signedIn
    const within = { ...authSession, sessionId: session.id }
    const caller = callerOf(ctx)
    const authentication = await proveWithin(deps, client, within, user, factors, given, caller).catch(error =>
      refuseTheLast(error, left),
    )
    await consumeAuthSession(deps, authSession)
    const raised = { sessionId: session.id, client, lifetimes: refreshPolicy(deps.config, client) }
    if ((await raiseSession(deps, authentication, raised, caller)) === undefined) return askToSignIn(ctx, site)
  } catch (error) {
    if (!(error instanceof OAuthError) || error.code === 'invalid_session') throw error
    const problem = error.code === 'invalid_grant' ? 'wrong' : 'try_later'
    return refuse(error, { asked, problem, retryAfter: error.retryAfter })
  }
  redirect(ctx, returnTo ?? site.paths.account)
  return undefined
}

/** By a factor; by the password where there is none. */
function proofOf(choices: readonly Proof[], params: Params): StepUpProof {
  if (choices.length === 0) return { password: params.password, proof: undefined }
  return { proof: givenProof(params) ?? refuseProof('a password, where a factor is asked for') }
}

/** With another auth session: what came before has come to nothing. */
async function freshPage(confirmation: Confirmation, view: AskedPage): Promise<string> {
  const { deps, signedIn } = confirmation
  const { id, credentialVersion } = signedIn.user
  const client = await signInClient(deps)
  const authSession = createAuthSession(deps, {
    clientId: client.id,
    user: { id, credentialVersion },
    amr: [],
    sessionId: signedIn.session.id,
  })
  const factors = await deps.storage.listFactors(id)
  return pageOf(confirmation, authSession, formatAuthSession(authSession, deps), factors, view)
}

function pageOf(
  { deps, site, ctx, signedIn, returnTo }: Confirmation,
  authSession: AuthSession,
  text: string,
  factors: readonly Factor[],
  view: AskedPage,
): string {
  const byFactor = choicesOf(deps, factors)
  const choices: readonly Proof[] = byFactor.length === 0 ? ['password'] : byFactor
  const username = signedIn.user.username
  const given = { purpose: 'confirm', username, authSession: text, returnTo, choices } as const
  return askPage(deps, given, authSession, factors, view, site.frame(ctx))
}
