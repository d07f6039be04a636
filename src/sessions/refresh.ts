/**
 * What a presented refresh token means for the row of its session, and what is written for it. Reads no clock and no database.
 * RFC 6749 §6, RFC 9700 §4.14.
 */
import type { AuditEvent, AuditEventType, Caller } from '../audit/audit.ts'
import { isElsewhere, seenNow } from './last_seen.ts'
import type { RefreshToken } from './refresh_token.ts'
import { isLive, isOutdated, type Lifetimes, type Session, type SessionChange } from './session.ts'

/** Seconds. */
export type RefreshPolicy = Lifetimes &
  Readonly<{
    /** For this long after a rotation a retry gets the very same successor. */
    retryWindow: number
    /** For this long after a rotation a retry is believed at all; 0 turns late retries off. */
    lateRetryWindow: number
  }>

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
  | { kind: 'step_up_needed'; of: Session }
  | { kind: 'unknown' | 'revoked' | 'expired' | 'foreign' | 'outdated' | 'target_exceeded' }

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
