/**
 * The session cookie of a browser: how it is set, read and cleared. Only a dead session clears a cookie, never a request that lost a
 * race.
 */
import { browserClientId } from '../../clients/browser_client.ts'
import { OAuthError } from '../../error.ts'
import { secretNameOf } from '../../keys/sealed_token.ts'
import { insistThatNoOtherHas } from '../../keys/secret_use.ts'
import type { Deps } from '../../oauth/deps.ts'
import { refreshPolicy } from '../../sessions/lifetimes.ts'
import { expiryOf, isLive, isOutdated, type Lifetimes, type Session } from '../../sessions/session.ts'
import { formatSessionCookie, parseSessionCookie, type SessionCookie } from '../../sessions/session_cookie.ts'
import { decideTouch, needsTouch } from '../../sessions/touch.ts'
import type { User } from '../../users/user.ts'
import { callerOf } from '../caller.ts'
import type { Context } from '../context.ts'
import { cookieName, cookieValues, plainCookieName, setCookie } from './cookies.ts'
import { dropNotice } from './notice.ts'
import { wantsPage } from './pages.ts'

export type SignedIn = Readonly<{ session: Session; user: User }>

/** Lets the browser keep a session as long as it may rest. */
export function setSessionCookie(deps: Deps, ctx: Context, session: Session, lifetimes?: Lifetimes): void {
  const maxAge = expiryOf(session, lifetimes) - deps.now()
  const cookie = { sessionId: session.id, generation: session.generation }
  writeCookie(deps, ctx, formatSessionCookie(cookie, deps.secrets), maxAge)
}

export function clearSessionCookie(deps: Deps, ctx: Context): void {
  writeCookie(deps, ctx, '', 0)
  dropNotice(deps, ctx)
  // Browsers keep whole pages for their Back button, whatever `no-store` says, until they are told otherwise. That empties their cache,
  // which takes a used browser half a second and more: only where a person leaves pages behind.
  if (wantsPage(ctx) && ['', 'document'].includes(ctx.get('Sec-Fetch-Dest'))) ctx.set('Clear-Site-Data', '"cache"')
}

/**
 * @returns who is signed in by the cookie of a request; one that is forged, dead or there twice is nobody's, and cleared. While the
 *          operator has switched signing in here off it is nobody's either, but stays. Pages are in the language of the user from then on
 */
export async function readSessionCookie(deps: Deps, ctx: Context): Promise<SignedIn | undefined> {
  const { issuer } = deps.config
  const former = formerValue(deps, ctx)
  const values = former === undefined ? cookieValues(ctx, cookieName(issuer)) : [former]
  if (values.length === 0) return undefined
  const cookie = values.length === 1 ? parseSessionCookie(values[0]!, deps.secrets) : undefined
  // Nor is one cleared that another node made.
  if (values.length === 1 && cookie === undefined) await insistThatNoOtherHas(deps, secretNameOf(values[0]!))
  const now = deps.now()
  const found = cookie && (await deps.storage.findLiveSession(cookie.sessionId, now))
  // A session of another client has no cookie: whatever its id, it is not for here.
  const client =
    found?.session.clientId === browserClientId ? await deps.storage.findClient(browserClientId) : undefined
  if (cookie === undefined || found === undefined || client === undefined) {
    clearSessionCookie(deps, ctx)
    return undefined
  }
  // Not cleared: the browser may have got the new one meanwhile, by the answer to another request.
  if (isOutdated(found.session, cookie.generation)) return undefined
  // Both may come back with what the operator took away.
  const lifetimes = refreshPolicy(deps.config, client)
  if (client.disabledAt !== undefined || !isLive(found.session, now, lifetimes)) return undefined
  if (former !== undefined) setSessionCookie(deps, ctx, found.session, lifetimes)
  ctx.state.language = found.user.language
  if (needsTouch(found.session, now, lifetimes)) await touch(deps, ctx, cookie, lifetimes)
  return found
}

/**
 * The cookie as it was called before its name had the issuer in it. Another server of this host may have set it: it is ours only if
 * our secret made it, and then it is replaced by one of today's name.
 */
function formerValue({ config: { issuer }, secrets }: Deps, ctx: Context): string | undefined {
  if (cookieValues(ctx, cookieName(issuer)).length > 0) return undefined
  const [value, ...more] = cookieValues(ctx, plainCookieName(issuer))
  if (value === undefined || more.length > 0 || parseSessionCookie(value, secrets) === undefined) return undefined
  return value
}

async function touch(deps: Deps, ctx: Context, cookie: SessionCookie, lifetimes: Lifetimes): Promise<void> {
  try {
    const now = deps.now()
    const presented = { generation: cookie.generation, caller: callerOf(ctx) }
    const decide = (row: Session | undefined) => decideTouch(row, presented, now, lifetimes)
    const touched = await deps.storage.changeSession(cookie.sessionId, decide)
    if (touched !== undefined) setSessionCookie(deps, ctx, touched, lifetimes)
  } catch (error) {
    // To be seen a minute later is no reason to turn somebody away.
    if (!(error instanceof OAuthError)) throw error
  }
}

function writeCookie(deps: Deps, ctx: Context, value: string, maxAge: number): void {
  const { issuer } = deps.config
  setCookie(ctx, issuer, cookieName(issuer), value, maxAge)
  if (formerValue(deps, ctx) !== undefined) setCookie(ctx, issuer, plainCookieName(issuer), '', 0)
}
