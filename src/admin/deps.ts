/** What operators' requests need from outside; each function says which of it. */
import { type AuditEvent, type AuditEventType, auditEvent, type Caller } from '../audit/audit.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import type { Storage } from '../storage/storage.ts'
import type { Passwords } from '../users/password.ts'
import type { PasswordSettings } from '../users/password_rules.ts'

export type AdminDeps = Readonly<{
  storage: Storage
  /** Asked only where something is made under one: a command reads, or makes, their file then. */
  secrets: () => Promise<MasterSecrets>
  passwords: Pick<Passwords, 'hash' | 'isBreached'>
  passwordSettings: PasswordSettings
  /** Seconds since the epoch, an integer. */
  now: () => number
  randomBytes: (size: number) => Buffer
}>

export type Needs<Part extends keyof AdminDeps> = Pick<AdminDeps, Part>

/** Who asks, in words for the audit trail, and from where if it came over a network. */
export type Actor = Readonly<{
  name: string
  /** The admin scopes that it has; undefined for who runs commands beside the database, and may do everything. */
  scopes?: readonly string[] | undefined
}> &
  Pick<Caller, 'ip' | 'requestId'>

/** Insists on what somebody believes a document to be, inside the transaction that changes it. @throws Stale */
export type Insist<Document> = (document: Document) => void

/** The event of what an actor does: its detail begins with who that is. */
export function actorEvent(
  actor: Actor,
  type: AuditEventType,
  at: number,
  { detail, ...about }: Parameters<typeof auditEvent>[3] = {},
): AuditEvent {
  const { name } = actor
  return auditEvent(type, at, actor, { ...about, detail: detail === undefined ? name : `${name}: ${detail}` })
}
