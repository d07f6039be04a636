/** Copies of a database from before its tables were changed, beside it: who has to go back to the version before has what it needs. */
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type Database from 'better-sqlite3'
import { now } from '../../system.ts'

/** How many copies stay. */
const maxCopies = 2

/**
 * Writes a copy with mode 0600, whole and on disk.
 *
 * @param database which nobody else writes meanwhile
 * @param path     its absolute path
 * @returns the copy's path
 * @throws Error in one line for the operator; then there is no copy
 */
export function keepCopy(database: Database.Database, path: string): string {
  const time = new Date(now() * 1000)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '')
  const copy = `${path}.before-${time}`
  const partial = `${copy}.partial`
  try {
    for (const name of listFrom(path)) if (name.endsWith('.partial')) rmSync(join(dirname(path), name), { force: true })
    // SQLite takes a file that is empty for none, and leaves its mode alone.
    closeSync(openSync(partial, 'wx', 0o600))
    database.prepare('VACUUM INTO ?').run(partial)
    sync(partial)
    renameSync(partial, copy)
    sync(dirname(copy))
    return copy
  } catch (error) {
    rmSync(partial, { force: true })
    const { message, code } = error as Error & { code?: string }
    const isFull = code === 'SQLITE_FULL' || code === 'ENOSPC'
    const size = `${Math.ceil(statSync(path).size / 1e6)} MB`
    throw new Error(
      `cannot keep a copy of the database ${path} from before its tables change, so nothing was changed: ${isFull ? `the disk is full; make room for ${size}` : message}`,
      { cause: error },
    )
  }
}

/** All but the newest. */
export function removeOldCopies(path: string): void {
  const copies = listFrom(path).filter(name => /\.before-\d{4}-\d\d-\d\dT\d{6}Z$/.test(name))
  for (const name of copies.sort().slice(0, -maxCopies)) rmSync(join(dirname(path), name), { force: true })
}

function listFrom(path: string): string[] {
  return readdirSync(dirname(path)).filter(name => name.startsWith(`${basename(path)}.before-`))
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}
