/** What the audit trail records: who did what, when, from where. Written in the transaction of the change itself. */

export const auditEventTypes = [
  'sign_in.refused',
  'client.refused',
  'password_change.refused',
  'code.issued',
  'session.created',
  'session.revoked',
  'session.late_retried',
  'session.retried_elsewhere',
  'session.healed',
  'session.reused',
  'session.raised',
  'token.revoked',
  'user.created',
  'user.exported',
  'user.updated',
  'user.password_changed',
  'user.disabled',
  'user.enabled',
  'user.removed',
  'user.password_reset',
  'user.reset_link_created',
  'user.email_verified',
  'user.email_changed',
  'user.email_change_undone',
  'user.renamed',
  'user.invited',
  'user.signed_up',
  'user.data_exported',
  'user.deletion_requested',
  'user.deletion_undone',
  'mail.given_up',
  'factor.added',
  'factor.updated',
  'factor.removed',
  'factor.refused',
  'factor.guessed',
  'client.created',
  'client.updated',
  'client.secret_rotated',
  'client.old_secret_dropped',
  'client.disabled',
  'client.enabled',
  'client.removed',
  'key.created',
  'key.removed',
  'secret.in_use',
  'secret.rotated',
  'secret.old_dropped',
  'webhook.created',
  'webhook.updated',
  'webhook.secret_rotated',
  'webhook.old_secret_dropped',
  'webhook.disabled',
  'webhook.enabled',
  'webhook.failed',
  'webhook.removed',
  'backup.created',
  'database.moved',
] as const

export type AuditEventType = (typeof auditEventTypes)[number]

/** Where a request came from. Empty for the operator's own commands. */
export type Caller = Readonly<{
  ip?: string | undefined
  /** A label, as `readLabel` makes one. */
  userAgent?: string | undefined
  requestId?: string | undefined
}>

/** `at` is seconds since the epoch. `detail` is for people; it never holds a secret. */
export type AuditEvent = Readonly<{
  at: number
  type: AuditEventType
  userId?: string | undefined
  clientId?: string | undefined
  sessionId?: string | undefined
  ip?: string | undefined
  requestId?: string | undefined
  detail?: string | undefined
  /** How often it happened, where several are one event. */
  count?: number | undefined
}>

/** Where an event is in the trail. The time tells it from one that has its number in a database that was restored. */
export type EventPlace = Readonly<{ id: number; at: number }>

export type PlacedEvent = AuditEvent & EventPlace

/** What a receiver tells one event from all others by, wherever it comes from; the same each time. */
export function eventId({ id, at }: EventPlace): string {
  return `evt_${id}_${at}`
}

/** @param wanted a type, or what stands before the dot of several */
export function isOfType(type: AuditEventType, wanted: string): boolean {
  return type === wanted || type.startsWith(`${wanted}.`)
}

/** Absent parts fit every event. */
export type AuditFilter = Readonly<{
  /** A type, or what stands before the dot of several. */
  type?: string | undefined
  userId?: string | undefined
  clientId?: string | undefined
  sessionId?: string | undefined
  ip?: string | undefined
  /** Seconds since the epoch, both included. */
  since?: number | undefined
  until?: number | undefined
}>

export function auditEvent(
  type: AuditEventType,
  at: number,
  caller: Caller,
  about: Pick<AuditEvent, 'userId' | 'clientId' | 'sessionId' | 'detail'> = {},
): AuditEvent {
  return { at, type, ip: caller.ip, requestId: caller.requestId, ...about }
}
