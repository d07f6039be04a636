/** How sessions end, whoever ends them: the only place that does, and that says so in the audit trail. */
import { type AuditEvent, auditEvent } from '../audit/audit.ts'
import type { RevokedReason } from './session.ts'
import type { SessionFilter, SessionStorage } from './storage.ts'

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
  { storage, now }: Readonly<{ storage: SessionStorage; now: () => number }>,
  which: SessionFilter,
  reason: RevokedReason,
  by: Pick<AuditEvent, 'ip' | 'requestId' | 'detail'>,
): Promise<number> {
  const { userId, clientId, id: sessionId } = which
  const event = auditEvent('session.revoked', now(), by, { userId, clientId, sessionId, detail: by.detail })
  return storage.revokeSessions(which, reason, event)
}
