/** The file of a SQLite database: opened durable, and brought up to date. */
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { usernameFold } from '../../text.ts'
import { readMigrationFiles } from '../drizzle.ts'
import { keepCopy, removeOldCopies } from './kept_copies.ts'

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
    throw new Error(`cannot open the database ${resolve(file)}: ${(error as Error).message}`, { cause: error })
  }
}

/** What of the migrations of this program a database has. Instants of migrations are milliseconds, 0 for none. */
export function compareVersions(database: Database.Database) {
  const known = readMigrationFiles({ migrationsFolder })
  const hasTable = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = '__drizzle_migrations'").get()
  const newest = hasTable
    ? (database.prepare('SELECT max(created_at) FROM __drizzle_migrations').pluck().get() as number | null)
    : null
  return {
    newest: newest ?? 0,
    newestKnown: known.at(-1)?.folderMillis ?? 0,
    missing: known.filter(({ folderMillis }) => folderMillis > (newest ?? 0)),
  }
}

/** @param path absolute */
export function newerDatabase(path: string): string {
  return `the database ${path} was migrated by a newer latchkey; run that version, or restore a backup from before`
}

export type Migrated = Readonly<{
  /** How many migrations were applied. */
  migrated: number
  /** Where the database as it was before is kept, if there was one. */
  copy: string | undefined
}>

/**
 * Applies what is missing in one transaction, so that a failure leaves the database as it was. What has tables already is changed only while
 * nobody else has it open: an older server would find itself on tables that it does not know. It is copied first.
 *
 * @throws Error in one line for the operator
 */
export function migrate(database: Database.Database, file: string): Migrated {
  const path = file === ':memory:' ? file : resolve(file)
  try {
    // For the migration that fills users.username_fold: no SQL has Unicode's forms.
    database.function('username_fold', { deterministic: true }, key => usernameFold(String(key)))
    const { newest, missing } = compareVersions(database)
    const hasTables = newest > 0
    let copy: string | undefined
    if (hasTables && missing.length > 0 && holdAlone(database, path)) copy = keepCopy(database, path)
    const migrated = applyOrForget(database, path, copy)
    if (copy !== undefined) removeOldCopies(path)
    if (database.pragma('locking_mode', { simple: true }) === 'exclusive') {
      database.pragma('locking_mode = NORMAL')
      database.pragma('journal_mode = WAL')
      // SQLite lets go of the file and makes the journal at the next use: whoever watches its files has to find it.
      database.exec('BEGIN IMMEDIATE; COMMIT')
    }
    database.pragma(`busy_timeout = ${busyTimeout}`)
    return { migrated, copy }
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error
    throw new Error(`cannot migrate the database ${path}: ${error.message}`, { cause: error })
  }
}

/** A copy of what has not changed is of no use, and a start that is tried again and again would fill the disk with them. */
function applyOrForget(database: Database.Database, path: string, copy: string | undefined): number {
  try {
    return apply(database, path)
  } catch (error) {
    if (copy !== undefined) rmSync(copy, { force: true })
    throw error
  }
}

function apply(database: Database.Database, path: string): number {
  return database
    .transaction(() => {
      // drizzle's own table, so that its tools understand the database.
      database.exec(
        'CREATE TABLE IF NOT EXISTS __drizzle_migrations (id INTEGER PRIMARY KEY, hash text NOT NULL, created_at numeric)',
      )
      const { newest, newestKnown, missing } = compareVersions(database)
      if (newest > newestKnown) throw new Error(newerDatabase(path))
      const record = database.prepare('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)')
      for (const migration of missing) {
        for (const statement of migration.sql) database.exec(statement)
        record.run(migration.hash, migration.folderMillis)
      }
      return missing.length
    })
    .immediate()
}

/**
 * Keeps everybody else out, until the locking mode is normal again: who has a database in WAL mode open holds a lock that only leaving that
 * mode asks for.
 *
 * @returns false when another process has migrated it meanwhile
 */
function holdAlone(database: Database.Database, path: string): boolean {
  try {
    database.pragma('locking_mode = EXCLUSIVE')
    database.pragma('journal_mode = DELETE')
    database.exec('BEGIN EXCLUSIVE; COMMIT')
    return true
  } catch (error) {
    database.pragma('locking_mode = NORMAL')
    if (compareVersions(database).missing.length === 0) return false
    throw new Error(
      `another process has the database ${path} open, which is of another version: stop its server before this one changes the tables`,
      { cause: error },
    )
  }
}
