/** What is done to a SQLite file beside a running server: a copy of it, and a look at its health. */
import { closeSync, existsSync, fsyncSync, linkSync, openSync, rmSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import Database from 'better-sqlite3'
import { DatabaseMoved, insistOnBeingHere } from '../moved.ts'
import { compareVersions, newerDatabase } from './migrate.ts'
import { listMoves } from './moves.ts'

/** More pages than any database has: in one step the copy is of one moment, and nobody who writes meanwhile makes it begin anew. */
const allPages = 0x7fffffff

/**
 * Copies a database while it is in use: SQLite's online backup. The copy has mode 0600 and is there whole, checked and on disk,
 * or not at all.
 *
 * @returns its size in bytes
 * @throws Error in one line for the operator; a file that is there already is never overwritten
 */
export async function backupSqlite(file: string, target: string): Promise<number> {
  const partial = `${target}.partial`
  if (statSync(target, { throwIfNoEntry: false }) !== undefined) throw new Error(`${target} is there already`)
  create(partial)
  try {
    const source = new Database(file, { readonly: true, fileMustExist: true, timeout: 5000 })
    try {
      insistOnBeingHere(file, listMoves(source))
      await source.backup(partial, { progress: () => allPages })
    } finally {
      source.close()
    }
    const problems = withDatabase(partial, findDamage)
    if (problems.length > 0) throw new Error(`the copy is damaged: ${problems[0]}; run latchkey doctor on the original`)
    sync(partial)
    // Unlike a rename, a link never replaces what somebody else has put there meanwhile.
    linkSync(partial, target)
    rmSync(partial)
    sync(dirname(target))
    return statSync(target).size
  } catch (error) {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(partial + suffix, { force: true })
    if (error instanceof DatabaseMoved) throw error
    throw new Error(`cannot back up ${file}: ${(error as Error).message}`, { cause: error })
  }
}

export type SqliteHealth = Readonly<{
  /** What SQLite's own checks find; empty when all is well. */
  damage: readonly string[]
  /** Migrations that this program has and the database lacks. */
  pending: number
  /** Migrated by a newer program. */
  isNewer: boolean
}>

/** Looks at a database without changing it. @throws Error when it cannot be opened as one */
export function inspectSqlite(file: string): SqliteHealth {
  return withDatabase(file, database => ({ damage: findDamage(database), ...findVersion(database) }))
}

/** For programs that change no tables. @throws Error in one line for the operator: there is none, or it is of another version */
export function insistOnVersion(file: string): void {
  const path = resolve(file)
  if (!existsSync(path)) {
    throw new Error(
      `there is no database ${path}; start the server once, run latchkey migrate, or set LATCHKEY_DATABASE_URL`,
    )
  }
  const { pending, isNewer } = lookInto(path)
  if (isNewer) throw new Error(newerDatabase(path))
  if (pending > 0) {
    throw new Error(
      `the database ${path} has not all tables of this version; stop the server and run latchkey migrate, or start the server of this version`,
    )
  }
}

function lookInto(path: string): Pick<SqliteHealth, 'pending' | 'isNewer'> {
  try {
    return withDatabase(path, findVersion)
  } catch (error) {
    throw new Error(`cannot open the database ${path}: ${(error as Error).message}`, { cause: error })
  }
}

function findVersion(database: Database.Database): Pick<SqliteHealth, 'pending' | 'isNewer'> {
  const { newest, newestKnown, missing } = compareVersions(database)
  return { pending: missing.length, isNewer: newest > newestKnown }
}

/** Both checks of SQLite: pages and indexes, then rows that refer to nothing. */
function findDamage(database: Database.Database): string[] {
  const pages = database.pragma('integrity_check') as { integrity_check: string }[]
  const orphans = database.pragma('foreign_key_check') as { table: string; parent: string }[]
  return [
    ...pages.map(row => row.integrity_check).filter(text => text !== 'ok'),
    ...orphans.map(({ table, parent }) => `a row of ${table} refers to a row of ${parent} that is not there`),
  ]
}

function withDatabase<T>(file: string, use: (database: Database.Database) => T): T {
  // Not read-only, which would leave the journal files of a copy behind.
  const database = new Database(file, { fileMustExist: true, timeout: 5000 })
  try {
    return use(database)
  } finally {
    database.close()
  }
}

function create(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600))
  } catch (error) {
    const why =
      (error as NodeJS.ErrnoException).code === 'EEXIST'
        ? 'another backup is under way or was interrupted; in that case remove this file'
        : (error as Error).message
    throw new Error(`cannot write ${file}: ${why}`, { cause: error })
  }
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}
