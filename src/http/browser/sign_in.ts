/** What every step of a sign-in with a cookie ends in: the session, the page with what is wrong, or the way on. */
import { ensureBrowserClient } from '../../clients/browser_client.ts'
import type { Client } from '../../clients/client.ts'
import { OAuthError } from '../../error.ts'
import type { Deps } from '../../oauth/deps.ts'
import { type SignInView, signInPage } from '../../pages/sign_in.ts'
import { beginSession } from '../../sessions/begin.ts'
import { refreshPolicy } from '../../sessions/lifetimes.ts'
import type { Authentication } from '../../users/sign_in.ts'
import { callerOf } from '../caller.ts'
import type { Context } from '../context.ts'
import type { RefusedByPage } from '../endpoint.ts'
import { sendJson } from '../json.ts'
import { redirect, type Site, wantsPage } from './pages.ts'
import { readSessionCookie, setSessionCookie } from './session_cookie.ts'
import { endTheirs } from './signed_in.ts'

/** A request that signs somebody in, and where that leads. */
export type SignIn = Readonly<{ deps: Deps; site: Site; ctx: Context; returnTo: string | undefined }>

export type SignInProblem = Pick<SignInView, 'username' | 'problems' | 'retryAfter'>

/** @throws OAuthError `forbidden` */
export async function signInClient(deps: Deps): Promise<Client> {
  const client = await ensureBrowserClient(deps)
  if (client.disabledAt !== undefined) throw new OAuthError('forbidden', 'signing in here is switched off')
  return client
}

/**
 * Begins the session and sets its cookie.
 *
 * @throws FactorsOwed, OAuthError `invalid_grant`
 */
export async function beginByCookie(
  { deps, ctx }: SignIn,
  client: Client,
  authentication: Authentication,
): Promise<void> {
  const before = await readSessionCookie(deps, ctx)
  const wanted = { client, scope: '', audience: [], lifetimes: refreshPolicy(deps.config, client) }
  const session = await beginSession(deps, authentication, wanted, callerOf(ctx))
  // Nothing could reach the session whose cookie is replaced.
  if (before !== undefined) await endTheirs(deps, ctx, before, { id: before.session.id })
  setSessionCookie(deps, ctx, session)
}

export function sendSignedIn({ site, ctx, returnTo }: SignIn): void {
  if (wantsPage(ctx)) redirect(ctx, returnTo ?? site.paths.account)
  else sendJson(ctx, { message: 'Login successful' })
}

/** The sign-in page with what is wrong, where a browser wants one. */
export function refuseSignInBy(
  { deps, site, ctx, returnTo }: SignIn,
  failure: OAuthError,
  problem: SignInProblem,
): RefusedByPage {
  const { relyingParty, signInBy: by, hasMail, signUp } = deps.config
  const view = { by, returnTo, hasPasskeys: relyingParty !== undefined, hasMail, signUp, ...problem }
  return { failure, page: wantsPage(ctx) ? signInPage(view, site.frame(ctx)) : undefined }
}
