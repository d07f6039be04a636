/**
 * What the protocol asks of a database: domain verbs, each one transaction that is durable before its promise resolves.
 * Implementations are below `storage/`; one contract suite holds them all to what is said here.
 *
 * Every verb rejects with an OAuthError `temporarily_unavailable` when the database is busy or broken. A verb that takes an
 * audit event writes it in the same transaction, and only when it changed something; one of a flood is counted, see {@link Storage.writeFloods}.
 * A verb that takes a decision writes what that comes to and knows no more of it.
 */
import type { AuditEvent } from '../audit/audit.ts'
import type { AuditStorage } from '../audit/storage.ts'
import type { Client } from '../clients/client.ts'
import type { ClientStorage } from '../clients/storage.ts'
import type { AnswerStorage, KeyStorage, OnceStorage } from '../keys/storage.ts'
import type { LeaseStorage } from '../lease.ts'
import type { MailStorage } from '../mail/storage.ts'
import type { SessionStorage } from '../sessions/storage.ts'
import type { ThrottleStorage } from '../throttle/storage.ts'
import type { FactorStorage } from '../users/factors/storage.ts'
import type { UserStorage } from '../users/storage.ts'
import type { User } from '../users/user.ts'
import type { WebhookStorage } from '../webhooks/storage.ts'

/** In bytes; what cannot be known is absent. */
export type DatabaseSize = Readonly<{
  database?: number
  /** The write-ahead log beside a file. */
  wal?: number
  /** What is free where the file is. */
  free?: number
}>

export type Storage = UserStorage &
  FactorStorage &
  ClientStorage &
  SessionStorage &
  ThrottleStorage &
  KeyStorage &
  OnceStorage &
  AnswerStorage &
  AuditStorage &
  WebhookStorage &
  LeaseStorage &
  MailStorage &
  Readonly<{
    /** Creates the first client and user, if there is neither a client nor a user. False when there is. */
    bootstrap(client: Client, user: User, event: AuditEvent): Promise<boolean>
    /** The issuer of the last server that was started; '' where that was not noted, undefined on a database that has never served. */
    findLastIssuer(): Promise<string | undefined>
    noteIssuer(issuer: string): Promise<void>
    /** Resolves when the database would take a write. */
    check(): Promise<void>
    /** Where other nodes use the database too, and go by its clock: milliseconds since the epoch. */
    databaseTime?: () => Promise<number>
    /** How much space the data takes. */
    measure(): Promise<DatabaseSize>
    /** Where there are several connections: how many are in use, and how many requests wait for one. */
    pool?: () => Readonly<{ inUse: number; waiting: number }>
    /** Finishes what is under way and closes the database. */
    close(): Promise<void>
  }>
