/**
 * What an authorization code that comes back means for the row of its session, which has been pending since the code was issued: the
 * first use begins the session, another one ends it. Pure. RFC 6749 §4.1.2, and "Reuse of Authorization Codes" of OAuth 2.1.
 */
import { auditEvent, type Caller } from '../audit/audit.ts'
import { endSessions } from './end.ts'
import { seenNow } from './last_seen.ts'
import {
  firstGeneration,
  isLive,
  isOpen,
  isPending,
  type Lifetimes,
  type Session,
  type SessionChange,
} from './session.ts'
import { crowdedOut, sessionsToLookAt } from './session_limit.ts'
import type { SessionStorage } from './storage.ts'

export type ExchangeDecision =
  | { kind: 'exchanged' | 'reused'; session: Session }
  | { kind: 'unknown' | 'revoked' | 'expired' | 'foreign' | 'scope_exceeded' | 'target_exceeded' }

/**
 * @param session   the locked row, or undefined when the id is unknown
 * @param presented whoever has an authentic code that has not expired, and the verifier that it needs
 * @param lifetimes of the session, from now on
 * @returns exchanged – first use: the session begins
 *          reused    – two parties have the code; the session is ended
 *          unknown | revoked | expired | foreign – refused, nothing written
 */
export function decideExchange(
  session: Session | undefined,
  { clientId, caller }: Readonly<{ clientId: string; caller: Caller }>,
  now: number,
  lifetimes: Lifetimes,
): ExchangeDecision {
  if (session === undefined) return { kind: 'unknown' }
  if (session.revokedAt !== undefined) return { kind: 'revoked' }
  // A code in the wrong hands changes nothing.
  if (clientId !== session.clientId) return { kind: 'foreign' }
  if (isPending(session) ? !isOpen(session, now) : !isLive(session, now, lifetimes)) return { kind: 'expired' }
  if (!isPending(session))
    return { kind: 'reused', session: { ...session, revokedAt: now, revokedReason: 'code_reuse' } }
  const expiresAt = now + lifetimes.absoluteLifetime
  const begun: Session = {
    ...session,
    ...seenNow(session, caller, now),
    generation: firstGeneration,
    parentGeneration: firstGeneration - 1,
    rotatedAt: now,
    idleExpiresAt: Math.min(now + lifetimes.idleLifetime, expiresAt),
    expiresAt,
  }
  return { kind: 'exchanged', session: begun }
}

/** What is written for a decision. */
export function exchangeChange(
  decision: ExchangeDecision,
  now: number,
  caller: Caller,
): SessionChange<ExchangeDecision> {
  if (!('session' in decision)) return { outcome: decision }
  const { session } = decision
  const about = { userId: session.userId, clientId: session.clientId, sessionId: session.id }
  const event =
    decision.kind === 'exchanged'
      ? auditEvent('session.created', now, caller, about)
      : auditEvent('session.reused', now, caller, { ...about, detail: 'authorization code' })
  return { outcome: decision, session, events: [event] }
}

/** As at a sign-in that begins its session at once: of sessions beyond the limit those end that were seen longest ago. */
export async function endBeyondLimit(
  deps: Readonly<{ storage: SessionStorage; now: () => number }>,
  begun: Session,
  limit: number,
  caller: Caller,
): Promise<void> {
  const { userId, clientId } = begun
  const rows = await deps.storage.listSessionsOf(userId, { limit: sessionsToLookAt(limit) })
  if (rows === undefined || rows.length <= limit) return
  // Whatever the clock said before, this one is seen last.
  const seen = rows.map(row => (row.id === begun.id ? { ...row, lastSeenAt: Number.MAX_SAFE_INTEGER } : row))
  for (const { id } of crowdedOut(seen, limit, deps.now()).ended.filter(one => one.clientId === clientId))
    await endSessions(deps, { id, userId }, 'session_limit', caller)
}
