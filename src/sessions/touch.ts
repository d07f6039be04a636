/** The use of a session's cookie: the session lives on from then, and nothing else of it changes. Reads no clock and no database. */
import type { Caller } from '../audit/audit.ts'
import { seenNow } from './last_seen.ts'
import { isLive, isOutdated, type Lifetimes, type Session, type SessionChange } from './session.ts'

/** The most seconds between two times that the use of a cookie is written down: pages are opened more often than that matters. */
const touchInterval = 60

/** Decides what the use of a cookie means for its session: as it is from now on, or undefined when it has ended. Pure, as `decideRefresh`. */
export function decideTouch(
  session: Session | undefined,
  { generation, caller }: Readonly<{ generation: number; caller: Caller }>,
  now: number,
  lifetimes: Lifetimes,
): SessionChange<Session | undefined> {
  if (session === undefined || !isLive(session, now, lifetimes) || isOutdated(session, generation))
    return { outcome: undefined }
  const idleExpiresAt = Math.min(now + lifetimes.idleLifetime, session.expiresAt)
  const touched = { ...session, ...seenNow(session, caller, now), idleExpiresAt }
  return { outcome: touched, session: touched }
}

/** Well within the idle lifetime, so that a session that is used does not end. */
export function needsTouch(session: Session, now: number, { idleLifetime }: Lifetimes): boolean {
  return now - session.lastSeenAt >= Math.min(touchInterval, idleLifetime / 4)
}
