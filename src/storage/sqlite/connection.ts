/** What every part of the storage works with: one connection, its writes, and the audit trail. */
import type Database from 'better-sqlite3'
import type { AuditEvent } from '../../audit/audit.ts'
import type { drizzle } from './drizzle.ts'

/** The query builder on its connection. */
export type Orm = ReturnType<typeof drizzle> & { $client: Database.Database }

export type Connection = Readonly<{
  db: Orm
  /** Runs in a transaction that others share, and resolves once it is on disk. */
  write: <T>(run: () => T) => Promise<T>
  /** Within a write: writes an event, or counts it where it is part of a flood. */
  record: (event: AuditEvent) => void
  /** Runs a change and, when it changed a row, records the event. @returns how many it changed */
  change: (event: AuditEvent, run: () => { changes: number }) => Promise<number>
}>

/** Rows looked at by one pruning step: few milliseconds, so that no request waits for it. */
export const pruneBatch = 500
