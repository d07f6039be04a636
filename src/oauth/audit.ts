/** What the audit trail records: who did what, when, from where. Written in the transaction of the change itself. */

export type AuditEventType =
  | 'session.created'
  | 'session.revoked'
  | 'session.late_retried'
  | 'session.healed'
  | 'session.reused'
  | 'token.revoked'
  | 'user.created'
  | 'user.password_changed'
  | 'user.disabled'
  | 'user.enabled'
  | 'user.removed'
  | 'client.created'
  | 'client.updated'
  | 'client.secret_rotated'
  | 'client.old_secret_dropped'
  | 'client.disabled'
  | 'client.enabled'
  | 'client.removed'
  | 'key.created'

/** Where a request came from. Empty for the operator's own commands. */
export type Caller = Readonly<{
  ip?: string | undefined
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
}>

export function auditEvent(
  type: AuditEventType,
  at: number,
  caller: Caller,
  about: Pick<AuditEvent, 'userId' | 'clientId' | 'sessionId' | 'detail'> = {},
): AuditEvent {
  return { at, type, ip: caller.ip, requestId: caller.requestId, ...about }
}
