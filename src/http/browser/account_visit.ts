/** A person at a page about their own account: signed in, and where that is asked for, so freshly and surely that it may be done. */
import type { ProfileOutcome } from '../../accounts/profile.ts'
import type { Deps } from '../../oauth/deps.ts'
import { confirmPath } from '../../pages/paths.ts'
import { missingProof } from '../../sessions/factor_change.ts'
import type { Context } from '../context.ts'
import type { RefusedByPage } from '../endpoint.ts'
import { accountError } from '../own_account.ts'
import { redirect, type Site, wantsPage } from './pages.ts'
import { insistOnSameSite } from './same_site.ts'
import { readSessionCookie, type SignedIn } from './session_cookie.ts'
import { askToSignIn } from './signed_in.ts'

export type Visit = Readonly<{ deps: Deps; site: Site; ctx: Context; signedIn: SignedIn }>

// biome-ignore lint/suspicious/noConfusingVoidType: what has answered returns nothing
export type Handled = void | RefusedByPage | undefined

/** Runs for who is signed in, and leads others to the sign-in. @param how `form` for what changes something */
export async function visit(
  deps: Deps,
  site: Site,
  ctx: Context,
  run: (given: Visit) => Promise<Handled>,
  how: 'page' | 'form' = 'page',
): Promise<Handled> {
  if (how === 'form') insistOnSameSite(ctx, deps.config.issuer)
  const signedIn = await readSessionCookie(deps, ctx)
  if (signedIn === undefined) return askToSignIn(ctx, site)
  return run({ deps, site, ctx, signedIn })
}

/**
 * Leads to where who is signed in shows it anew, where that is needed, and back.
 *
 * @param path of what is wanted, as browsers have it
 * @returns whether it does
 */
export async function askForProof(given: Visit, path: string): Promise<boolean> {
  const { deps, signedIn } = given
  const missing = missingProof(signedIn.session, await deps.storage.listFactors(signedIn.user.id), deps.now())
  if (missing?.kind !== 'proof_needed') return false
  refuseAccount(given, missing, path)
  return true
}

/** The same of what has been refused. @throws OAuthError to a program, and of what no other page can do anything about */
export function refuseAccount(
  { site, ctx }: Visit,
  refusal: Exclude<ProfileOutcome, { kind: 'done' }>,
  path: string,
): undefined {
  if (wantsPage(ctx) && refusal.kind === 'session_over') return askToSignIn(ctx, site)
  if (!wantsPage(ctx) || refusal.kind !== 'proof_needed') throw accountError(refusal)
  redirect(ctx, confirmPath(site.paths, path))
}
