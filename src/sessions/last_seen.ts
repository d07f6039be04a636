/**
 * When and from where a session was used last, and what of that whom is shown. A thief who holds a copy of the tokens must not learn
 * from any answer that the owner has refreshed just now: that is the moment at which the copied refresh token is worth something
 * again, as a retry. So whatever of a session moves at a refresh is shown from the next full hour on; only the operator sees it
 * at once. RFC 9700 §4.14.
 */
import type { Caller } from '../audit/audit.ts'
import { networksOf } from '../throttle/network.ts'
import type { Lifetimes, Session } from './session.ts'

/** Seconds. */
const shownInterval = 3600

export type LastSeen = Pick<
  Session,
  'lastSeenAt' | 'ip' | 'userAgent' | 'seenBeforeAt' | 'ipBefore' | 'userAgentBefore'
>

type Sight = Pick<Session, 'lastSeenAt' | 'ip' | 'userAgent'>

/** @returns what changes when a session is used now */
export function seenNow(session: Session, { ip, userAgent }: Caller, now: number): Partial<LastSeen> {
  const isNewHour = session.lastSeenAt < startOfHour(now)
  if (!isNewHour && ip === session.ip && userAgent === session.userAgent) return { lastSeenAt: now }
  const before = isNewHour ? session : seenBefore(session)
  return {
    lastSeenAt: now,
    ip,
    userAgent,
    seenBeforeAt: before.lastSeenAt,
    ipBefore: before.ip === ip ? undefined : (before.ip ?? ''),
    userAgentBefore: before.userAgent === userAgent ? undefined : (before.userAgent ?? ''),
  }
}

/** Whether a request comes from another network or another program than the last use of a session. */
export function isElsewhere(session: Session, { ip, userAgent }: Caller): boolean {
  if (userAgent !== session.userAgent) return true
  return ip !== session.ip && networksOf(ip).network !== networksOf(session.ip).network
}

/** What of a session is shown to its user, and to clients: the same all the hour, whether it is refreshed or not. */
export type Shown = Sight & Readonly<{ expiresAt: number }>

/**
 * @param lifetimes of its client now
 * @param asking    who asks with this very session
 * @returns `lastSeenAt` rounded down to the hour, but never before the session began
 */
export function shownOf(session: Session, lifetimes: Lifetimes, now: number, asking?: Caller): Shown {
  const { createdAt } = session
  const { idleLifetime, absoluteLifetime } = lifetimes
  const end = Math.min(session.expiresAt, createdAt + absoluteLifetime)
  const hour = startOfHour(now)
  const before = session.lastSeenAt < hour ? session : seenBefore(session)
  const seenAt = Math.max(createdAt, startOfHour(before.lastSeenAt))
  return {
    lastSeenAt: asking === undefined ? seenAt : Math.max(createdAt, hour),
    ip: (asking ?? before).ip || undefined,
    userAgent: (asking ?? before).userAgent || undefined,
    // A session that lives longer than that was seen since.
    expiresAt: Math.min(end, seenAt + idleLifetime > now ? seenAt + idleLifetime : hour + shownInterval),
  }
}

/** How the session was last seen before the hour in which it was seen last. */
function seenBefore(session: Session): Sight {
  const { ip, userAgent, createdAt, seenBeforeAt = createdAt, ipBefore = ip, userAgentBefore = userAgent } = session
  return { lastSeenAt: seenBeforeAt, ip: ipBefore, userAgent: userAgentBefore }
}

function startOfHour(instant: number): number {
  return instant - (instant % shownInterval)
}
