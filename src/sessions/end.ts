/** How sessions end, whoever ends them: the only place that does, and that says so in the audit trail. */
import { type AuditEvent, auditEvent } from '../audit/audit.ts'
import type { RevokedReason, Session } from './session.ts'
import type { SessionFilter, SessionStorage } from './storage.ts'

type EndDeps = Readonly<{ storage: SessionStorage; now: () => number }>

/** How the audit trail says why sessions ended, and how many. @param event its detail, if it has one, comes first */
export function countedEvent(event: AuditEvent, count: number, reason?: RevokedReason): AuditEvent {
  const parts = [event.detail, reason, count]
  return { ...event, detail: parts.filter(part => part !== undefined).join(': ') }
}

/**
 * Ends the live sessions that fit every part of the filter.
 *
 * @param by  who or what asked for it: the caller of a request, or words about an operator
 * @returns how many were ended
 */
export function endSessions(
  { storage, now }: EndDeps,
  which: SessionFilter,
  reason: RevokedReason,
  by: Pick<AuditEvent, 'ip' | 'requestId' | 'detail'>,
): Promise<number> {
  const { userId, clientId, id: sessionId } = which
  const event = auditEvent('session.revoked', now(), by, { userId, clientId, sessionId, detail: by.detail })
  return storage.revokeSessions(which, reason, event)
}

/** Ends sessions of one user that are beyond the limit, and removes them: there may be very many. */
export async function endCrowdedOut({ storage, now }: EndDeps, sessions: readonly Session[]): Promise<void> {
  for (const [clientId, ofClient] of Map.groupBy(sessions, session => session.clientId)) {
    const about = { userId: ofClient[0]!.userId, clientId, detail: 'session_limit' }
    await storage.removeSessions(ofClient, auditEvent('session.revoked', now(), {}, about))
  }
}
