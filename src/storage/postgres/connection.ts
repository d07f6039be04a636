/** What every part of the storage works with: the pool's clients, transactions, and the audit trail. */
import type { PoolClient } from 'pg'
import type { AuditEvent } from '../../audit/audit.ts'
import type { NodePgDatabase } from './drizzle.ts'

/** The query builder on one client: within a transaction, or for a few reads. */
export type Db = NodePgDatabase & { $client: PoolClient }

export type Query = Readonly<{ text: string; values: unknown[] }>

export type Connection = Readonly<{
  /**
   * Runs queries on a client of the pool, outside a transaction: for a single one, or for several that need no common state.
   *
   * @throws OAuthError `temporarily_unavailable` when the database cannot be used
   */
  read: <T>(run: (db: Db) => Promise<T>) => Promise<T>
  /**
   * Runs in a transaction of its own, READ COMMITTED, and resolves once it is on disk. It is run anew as a whole after a deadlock or
   * a lock that was waited for too long, so it touches nothing but the database.
   *
   * @param writes how many it is counted as
   * @throws OAuthError `temporarily_unavailable` when the database cannot be used, or when nobody knows whether it was committed
   */
  write: <T>(run: (tx: Db) => Promise<T>, writes?: number) => Promise<T>
  /**
   * Runs one statement that is a transaction of its own: as {@link Connection.write}, with two messages less each way. At which level of
   * isolation is the database's default, so it stands on its own at every one.
   *
   * @param writes how many it is counted as
   * @returns its rows
   */
  autocommit: (query: Query, writes?: number) => Promise<unknown[][]>
  /** Within a write: writes events by one statement, but for those that are part of a flood, which are counted. */
  record: (tx: Db, ...events: readonly AuditEvent[]) => Promise<void>
  /** Runs a change in a transaction and, when it changed a row, records the event. @returns how many it changed */
  change: (event: AuditEvent, run: (tx: Db) => Promise<number>) => Promise<number>
}>

/** Rows looked at by one pruning step: few milliseconds, so that no request waits for it. */
export const pruneBatch = 500
