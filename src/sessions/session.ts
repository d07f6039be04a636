/**
 * A session is one sign-in of one user through one client on one device: the refresh family, one row for its whole life.
 * This module decides what a presented refresh token means for its row. It reads no clock and no database.
 * RFC 6749 §6, RFC 9700 §4.14.
 */
import type { AuditEvent, AuditEventType, Caller } from '../audit/audit.ts'
import type { Client } from '../clients/client.ts'
import type { User } from '../users/user.ts'
import { isElsewhere, seenNow } from './last_seen.ts'
import type { RefreshToken } from './refresh_token.ts'

/** Instants are seconds since the epoch. */
export type Session = Readonly<{
  /** 22 base64url characters, the `sid` of its access tokens; no secret. */
  id: string
  userId: string
  clientId: string
  /** Space-separated; what a refresh can at most be granted. */
  scope: string
  /** Empty for the server's own, whatever that is called by then. */
  audience: readonly string[]
  /** The generation of the one live refresh token. */
  generation: number
  /** The generation that was exchanged for the live one: a retry presents it again. */
  parentGeneration: number
  /** Tokens and cookies of older generations died with a change of the password; absent before the first one. */
  oldestGeneration?: number | undefined
  rotatedAt: number
  createdAt: number
  authTime: number
  /** How the user authenticated, RFC 8176. */
  amr: readonly string[]
  lastSeenAt: number
  idleExpiresAt: number
  expiresAt: number
  revokedAt?: number | undefined
  revokedReason?: RevokedReason | undefined
  /** What the app calls the device it runs on. */
  device?: string | undefined
  /** From where it was last refreshed; of a sign-in by cookie, last used. */
  ip?: string | undefined
  userAgent?: string | undefined
  /** When it was last seen before the hour of `lastSeenAt`; absent in sessions of older versions. */
  seenBeforeAt?: number | undefined
  /** From where, if from elsewhere; '' for not known. */
  ipBefore?: string | undefined
  userAgentBefore?: string | undefined
  /** When a retry from elsewhere was last written into the audit trail. */
  retriedElsewhereAt?: number | undefined
}>

export type RevokedReason =
  | 'logout'
  | 'revoked_by_user'
  | 'revoked_by_client'
  | 'revoked_by_operator'
  | 'password_changed'
  | 'user_disabled'
  | 'refresh_token_reuse'
  | 'session_limit'

/** Seconds. */
export type RefreshPolicy = Readonly<{
  /** A session that is not refreshed for this long ends. */
  idleLifetime: number
  /** A session ends this long after sign-in, whatever happens. */
  absoluteLifetime: number
  /** For this long after a rotation a retry gets the very same successor. */
  retryWindow: number
  /** For this long after a rotation a retry is believed at all; 0 turns late retries off. */
  lateRetryWindow: number
}>

export type Lifetimes = Pick<RefreshPolicy, 'idleLifetime' | 'absoluteLifetime'>

/** `caller` is who presents it; without one the question is only what would be. */
export type PresentedRefreshToken = RefreshToken & Readonly<{ clientId: string; caller?: Caller }>

/**
 * `session` is the row as it is to be from now on; `repeats` is where the refresh came from that is repeated from elsewhere, when that
 * is to be written down.
 */
export type RefreshDecision =
  | { kind: 'rotated' | 'healed' | 'reused'; session: Session }
  | { kind: 'retried' | 'late_retried'; session: Session; repeats?: Pick<Session, 'ip' | 'userAgent'> }
  | { kind: 'scope_exceeded'; allowed: string }
  | { kind: 'unknown' | 'revoked' | 'expired' | 'foreign' | 'outdated' | 'target_exceeded' }

/** What a decision comes to, in one transaction: what it answers, and what is to be written. Without `session` the row stays as it is. */
export type SessionChange<Outcome> = Readonly<{
  outcome: Outcome
  session?: Session
  events?: readonly AuditEvent[]
}>

/**
 * Where generations start. SQLite stores small integers in fewer bytes: from here on every one takes four, so a row keeps
 * its size and no rotation ever makes the file grow.
 */
export const firstGeneration = 2 ** 24

/** @returns a session that begins now, with nothing to retry */
export function createSession(
  signIn: Pick<Session, 'id' | 'userId' | 'clientId' | 'scope' | 'audience' | 'amr' | 'device' | 'ip' | 'userAgent'>,
  now: number,
  lifetimes: Lifetimes,
): Session {
  const expiresAt = now + lifetimes.absoluteLifetime
  return {
    ...signIn,
    generation: firstGeneration,
    // No token of this generation was ever made.
    parentGeneration: firstGeneration - 1,
    rotatedAt: now,
    createdAt: now,
    authTime: now,
    lastSeenAt: now,
    seenBeforeAt: now,
    idleExpiresAt: Math.min(now + lifetimes.idleLifetime, expiresAt),
    expiresAt,
  }
}

/**
 * Whether a session may begin: if the credentials that were verified are still the user's.
 *
 * @param user    as the row is now, as `client`; undefined when it is gone
 * @param version the user's credential version when they were verified
 */
export function mayOpenSession(user: User | undefined, client: Client | undefined, version: number): boolean {
  if (user === undefined || client === undefined) return false
  return user.disabledAt === undefined && user.credentialVersion === version
}

/**
 * When a session ends if nothing happens: by what it got at its sign-in, or by what its client gives now where that is sooner. The row
 * keeps what it got, so a lifetime that an operator took away and gives back comes back.
 *
 * @param lifetimes of its client now; without them only the row is asked
 */
export function expiryOf(session: Session, lifetimes?: Lifetimes): number {
  const own = Math.min(session.idleExpiresAt, session.expiresAt)
  if (lifetimes === undefined) return own
  const { idleLifetime, absoluteLifetime } = lifetimes
  return Math.min(own, session.lastSeenAt + idleLifetime, session.createdAt + absoluteLifetime)
}

/** @param lifetimes as for {@link expiryOf} */
export function isLive(session: Session, now: number, lifetimes?: Lifetimes): boolean {
  return session.revokedAt === undefined && now < expiryOf(session, lifetimes)
}

/**
 * Decides what a presented, authentic refresh token means for its session. Pure: runs inside the storage transaction.
 *
 * @param session   the locked row, or undefined when the id is unknown
 * @param presented what the token says, and the client that presented it
 * @param now       seconds since the epoch
 * @returns rotated      – first use: a new generation
 *          retried      – the parent again inside the retry window: the same successor once more, nothing written
 *          late_retried – the parent again later: the successor nobody used is replaced
 *          healed       – from the future: the row is from a restored backup, so it catches up
 *          reused       – superseded: two parties hold the family; the session is revoked (RFC 9700 §4.14.2)
 *          unknown | revoked | expired | foreign | outdated – refused, nothing written
 */
export function decideRefresh(
  session: Session | undefined,
  presented: PresentedRefreshToken,
  now: number,
  policy: RefreshPolicy,
): RefreshDecision {
  if (session === undefined) return { kind: 'unknown' }
  // The order matters: a retry never revives what was ended, and a token in the wrong hands changes nothing.
  if (session.revokedAt !== undefined) return { kind: 'revoked' }
  if (!isLive(session, now, policy)) return { kind: 'expired' }
  if (presented.clientId !== session.clientId) return { kind: 'foreign' }
  // No sign of theft: so comes an app that lost the answer to its change of the password. And a thief must not end what goes on.
  if (isOutdated(session, presented.generation)) return { kind: 'outdated' }

  if (presented.generation === session.generation) {
    return { kind: 'rotated', session: advance(session, session.generation, presented, now, policy) }
  }
  if (presented.generation === session.parentGeneration) {
    const age = now - session.rotatedAt
    if (age <= policy.retryWindow) return noteElsewhere('retried', session, session, presented, now)
    if (age <= policy.lateRetryWindow) {
      const advanced = advance(session, session.generation, presented, now, policy)
      return noteElsewhere('late_retried', session, advanced, presented, now)
    }
  }
  if (presented.generation > session.generation) {
    return { kind: 'healed', session: advance(session, presented.generation, presented, now, policy) }
  }
  return { kind: 'reused', session: { ...session, revokedAt: now, revokedReason: 'refresh_token_reuse' } }
}

/** Whether a token or cookie of that generation died with a change of the password. */
export function isOutdated({ oldestGeneration = 0 }: Session, generation: number): boolean {
  return generation < oldestGeneration
}

/** @returns the session under a generation of its own, where all that was copied of it is dead; undefined when it has ended */
export function renewSession(
  session: Session | undefined,
  now: number,
  lifetimes: Lifetimes,
  caller: Caller,
): Session | undefined {
  if (session === undefined || !isLive(session, now, lifetimes)) return undefined
  const { generation } = session
  const renewed = advance(session, generation, { generation, caller }, now, lifetimes)
  return { ...renewed, oldestGeneration: renewed.generation }
}

const auditTypes: Partial<Record<RefreshDecision['kind'], AuditEventType>> = {
  late_retried: 'session.late_retried',
  healed: 'session.healed',
  reused: 'session.reused',
}

/**
 * What is written for a decision: the row of those that move it, and a retry's when it came from elsewhere; in the audit trail nothing of
 * the ordinary ones, which leave no trace and cost no storage.
 */
export function refreshChange(decision: RefreshDecision, now: number, caller: Caller): SessionChange<RefreshDecision> {
  switch (decision.kind) {
    case 'rotated':
      return { outcome: decision, session: decision.session }
    case 'retried':
      if (decision.repeats === undefined) return { outcome: decision }
      break
    case 'late_retried':
    case 'healed':
    case 'reused':
      break
    default:
      return { outcome: decision }
  }
  return { outcome: decision, session: decision.session, events: refreshEvents(decision, now, caller) }
}

function refreshEvents(
  decision: Extract<RefreshDecision, { session: Session }>,
  now: number,
  { ip, requestId }: Caller,
): AuditEvent[] {
  const { userId, clientId, id: sessionId } = decision.session
  const about = { at: now, userId, clientId, sessionId, ip, requestId }
  const type = auditTypes[decision.kind]
  const events: AuditEvent[] = type === undefined ? [] : [{ ...about, type }]
  const repeats = 'repeats' in decision ? decision.repeats : undefined
  if (repeats !== undefined) {
    const detail = `repeats a refresh from ${repeats.ip ?? 'an unknown address'} by ${repeats.userAgent ?? 'an unnamed program'}`
    events.push({ ...about, type: 'session.retried_elsewhere', detail })
  }
  return events
}

/** Seconds between two times that a retry from elsewhere is written down for one session. */
const elsewhereInterval = 86_400

/** A phone that changes its network does that too, so it is worth a line and no refusal. */
function noteElsewhere(
  kind: 'retried' | 'late_retried',
  before: Session,
  session: Session,
  { caller }: PresentedRefreshToken,
  now: number,
): RefreshDecision {
  const { retriedElsewhereAt = 0, ip, userAgent } = before
  if (caller === undefined || now - retriedElsewhereAt < elsewhereInterval || !isElsewhere(before, caller))
    return { kind, session }
  return { kind, session: { ...session, retriedElsewhereAt: now }, repeats: { ip, userAgent } }
}

/** @param newest the newest generation there is; the one presented becomes the parent of the next */
function advance(
  session: Session,
  newest: number,
  { generation, caller }: Pick<PresentedRefreshToken, 'generation' | 'caller'>,
  now: number,
  { idleLifetime }: Lifetimes,
): Session {
  return {
    ...session,
    ...seenNow(session, caller ?? session, now),
    parentGeneration: generation,
    generation: newest + 1,
    rotatedAt: now,
    idleExpiresAt: Math.min(now + idleLifetime, session.expiresAt),
  }
}
