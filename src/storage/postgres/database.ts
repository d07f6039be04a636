/** Opens a database: finds the server, looks whether its tables are of this program, and brings them up to date. */
import type { Observer } from '../../observer.ts'
import type { Connection } from './connection.ts'
import { sqlState } from './failure.ts'
import { type Migration, migrate, readMigrations, schemaState } from './migrate.ts'
import { openPool, type Pool, type PoolOptions } from './pool.ts'
import { createTransactions } from './transaction.ts'
import { type DatabaseUrl, formatDatabaseUrl } from './url.ts'

export type Database = Pick<Connection, 'read' | 'write' | 'autocommit'> &
  Readonly<{
    /** How many migrations were applied. */
    migrated: number
    pool: Pool['load']
    /** Ends all connections, once they were given back or some seconds are over. */
    close: () => Promise<void>
  }>

export type OpenOptions = PoolOptions &
  Readonly<{
    /** Whether tables may be made and changed. */
    migrates: boolean
    /** Told of each transaction that is on disk. */
    onCommit?: Observer['committed'] | undefined
  }>

/** @throws Error in one line for the operator, without the password */
export async function openDatabase(
  url: DatabaseUrl,
  { migrates, onCommit, ...options }: OpenOptions,
  known: readonly Migration[] = readMigrations(),
): Promise<Database> {
  const pool = await openPool(url, options)
  const name = formatDatabaseUrl(url)
  try {
    const transactions = createTransactions(pool, onCommit)
    const { read, write } = transactions
    const state = await read(db => schemaState(db, known))
    if (state.kind === 'too_new')
      throw new Error(
        `the database ${name} was migrated by a newer latchkey, which this one is too old for; run that version`,
      )
    if (state.kind !== 'pending') return { ...transactions, migrated: 0, pool: pool.load, close: pool.close }
    if (!migrates) throw new Error(`the database ${name} has not all tables of this version; run latchkey migrate`)
    const migrated = await migrate({ write }, known).catch(error => {
      throw new Error(`cannot migrate the database ${name}: ${explain(error, url)}`, { cause: error })
    })
    return { ...transactions, migrated, pool: pool.load, close: pool.close }
  } catch (error) {
    await pool.close()
    throw error
  }
}

function explain(error: Error, { user, database }: DatabaseUrl): string {
  const { message } = error.cause instanceof Error ? error.cause : error
  // 3F000: not even the schema may be looked into.
  if (!/^(?:42501|3F000)$/.test(sqlState(error) ?? '')) return message
  return `${message}; ALTER DATABASE ${database} OWNER TO ${user} gives the right to`
}
