/** The file of a SQLite database: opened durable, and brought up to date. */
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { usernameFold } from '../../text.ts'
import { readMigrationFiles } from '../drizzle.ts'

export const migrationsFolder = fileURLToPath(new URL('../../../migrations/sqlite', import.meta.url))

/** How long SQLite itself may wait for a lock, in milliseconds: it blocks the event loop, so the long wait is ours. */
const busyTimeout = 5

/** Creates it with mode 0600 where there is none. @throws Error in one line for the operator */
export function openDatabase(file: string): Database.Database {
  try {
    if (file !== ':memory:') {
      mkdirSync(dirname(resolve(file)), { recursive: true, mode: 0o700 })
      // SQLite gives its journal files the mode of the database file.
      closeSync(openSync(file, 'a', 0o600))
    }
    const database = new Database(file, { timeout: 5000 })
    database.pragma('journal_mode = WAL')
    // better-sqlite3 falls back to NORMAL in WAL mode, which may lose the last transactions in a power cut.
    database.pragma('synchronous = FULL')
    database.pragma('foreign_keys = ON')
    return database
  } catch (error) {
    throw new Error(`cannot open the database ${file}: ${(error as Error).message}`, { cause: error })
  }
}

/**
 * Applies what is missing in one transaction, so that a failure leaves the database as it was.
 *
 * @returns how many migrations that were
 * @throws Error in one line for the operator
 */
export function migrate(database: Database.Database, file: string): number {
  // For the migration that fills users.username_fold: no SQL has Unicode's forms.
  database.function('username_fold', { deterministic: true }, key => usernameFold(String(key)))
  const migrations = readMigrationFiles({ migrationsFolder })
  const newestKnown = migrations.at(-1)?.folderMillis ?? 0
  const apply = database.transaction(() => {
    // drizzle's own table, so that its tools understand the database.
    database.exec(
      'CREATE TABLE IF NOT EXISTS __drizzle_migrations (id INTEGER PRIMARY KEY, hash text NOT NULL, created_at numeric)',
    )
    const applied = database.prepare('SELECT max(created_at) AS newest FROM __drizzle_migrations').get() as {
      newest: number | null
    }
    const newest = applied.newest ?? 0
    if (newest > newestKnown) {
      throw new Error(
        `the database ${file} was migrated by a newer latchkey; run that version, or restore a backup from before`,
      )
    }
    const missing = migrations.filter(migration => migration.folderMillis > newest)
    const record = database.prepare('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)')
    for (const migration of missing) {
      for (const statement of migration.sql) database.exec(statement)
      record.run(migration.hash, migration.folderMillis)
    }
    return missing.length
  })
  try {
    const migrated = apply.immediate()
    database.pragma(`busy_timeout = ${busyTimeout}`)
    return migrated
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error
    throw new Error(`cannot migrate the database ${file}: ${error.message}`, { cause: error })
  }
}
