/** Who is signed in by cookie, who is not, and how their sessions end. */
import { OAuthError } from '../../error.ts'
import type { Deps } from '../../oauth/deps.ts'
import { signInPath } from '../../pages/paths.ts'
import { endSessions } from '../../sessions/end.ts'
import type { SessionFilter } from '../../sessions/storage.ts'
import { callerOf } from '../caller.ts'
import type { Context } from '../context.ts'
import { redirect, type Site, wantsPage } from './pages.ts'
import { clearSessionCookie, type SignedIn } from './session_cookie.ts'

/** @throws OAuthError `login_required` to a program */
export function askToSignIn(ctx: Context, { paths, publicPath }: Site): undefined {
  if (!wantsPage(ctx)) refuseStranger()
  redirect(ctx, signInPath(paths, ctx.method === 'GET' ? publicPath(ctx.path) : undefined))
}

export function refuseStranger(): never {
  throw new OAuthError('login_required', 'sign in first')
}

/** @returns how many ended */
export function endTheirs(
  deps: Deps,
  ctx: Context,
  { user, session }: SignedIn,
  which: SessionFilter,
): Promise<number> {
  const isOwn = which.id === session.id || which.id === undefined
  return endSessions(deps, { userId: user.id, ...which }, isOwn ? 'logout' : 'revoked_by_user', callerOf(ctx))
}

/** Leads a browser from its last page, without its cookie. */
export function sayGoodbye(deps: Deps, ctx: Context, { paths }: Site, everywhere: boolean): void {
  clearSessionCookie(deps, ctx)
  redirect(ctx, everywhere ? `${paths.signOut}?everywhere` : paths.signOut)
}
