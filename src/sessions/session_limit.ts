/**
 * How many sessions a user has. At a sign-in beyond the limit of live sessions of one user and client the one seen longest ago ends; of
 * sessions that ended some are kept, and no more. Databases that hold more come below it in bounded steps.
 */
import { isLive, isPending, type Session } from './session.ts'

/** Ended sessions of one user that are kept: as many as anybody asks about. The others of a busy user go before their week is over. */
const maxEnded = 100

/** `ended` are live; `forgotten` ended before. */
export type CrowdedOut = Readonly<{ ended: readonly Session[]; forgotten: readonly Session[] }>

/** The most sessions of a user that a sign-in looks at, the newest. More are there only until `endCrowds` of the upkeep has been. */
export function sessionsToLookAt(limit: number): number {
  return 2 * limit + 10 * maxEnded
}

/**
 * Which of a user's sessions make room for one that is about to begin. Pure.
 *
 * @param others at most {@link sessionsToLookAt}, newest first
 */
export function makeRoomFor(session: Session, others: readonly Session[], limit: number, now: number): CrowdedOut {
  if (others.length < limit) return { ended: [], forgotten: [] }
  // Whatever the clock said before, this one is seen last.
  return crowdedOut([{ ...session, lastSeenAt: Number.MAX_SAFE_INTEGER }, ...others], limit, now)
}

/** Which of a user's sessions are too many. Pure. @param sessions newest first */
export function crowdedOut(sessions: readonly Session[], limit: number, now: number): CrowdedOut {
  // What has expired counts after what is live, and not as ended: a clock set forward must remove nobody who is within the limit.
  const open = Map.groupBy(
    sessions.filter(({ revokedAt }) => revokedAt === undefined),
    // Those that have not begun take no place of one that has, and are as many at most.
    session => `${session.clientId} ${isPending(session)}`,
  )
  const tooMany = [...open.values()].flatMap(ofClient =>
    ofClient
      .toSorted((a, b) => Number(isLive(b, now)) - Number(isLive(a, now)) || b.lastSeenAt - a.lastSeenAt)
      .slice(limit),
  )
  const revoked = sessions
    .filter(({ revokedAt }) => revokedAt !== undefined)
    .toSorted((a, b) => b.revokedAt! - a.revokedAt!)
  return {
    ended: tooMany.filter(session => isLive(session, now)),
    forgotten: [...tooMany.filter(session => !isLive(session, now)), ...revoked.slice(maxEnded)],
  }
}
