/** An event as those outside see it, by whatever way it comes to them. */
import { type AuditEvent, eventId, type PlacedEvent } from './audit.ts'

export function describeEvent(event: AuditEvent) {
  return {
    at: event.at,
    type: event.type,
    user_id: event.userId ?? null,
    client_id: event.clientId ?? null,
    session_id: event.sessionId ?? null,
    ip: event.ip ?? null,
    request_id: event.requestId ?? null,
    detail: event.detail ?? null,
    count: event.count ?? 1,
  }
}

/** With what tells it from all others: an event may come more than once. */
export function describePlacedEvent(event: PlacedEvent) {
  return { id: eventId(event), ...describeEvent(event) }
}
