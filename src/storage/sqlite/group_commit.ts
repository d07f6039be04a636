/**
 * Group commit on one SQLite connection: all writes of one turn of the event loop share one transaction and one sync to
 * disk. Also says which errors of SQLite are the disk's and not ours.
 */
import Database from 'better-sqlite3'
import { OAuthError } from '../../error.ts'
import type { Observer } from '../../observer.ts'
import { movedMessage } from '../moved.ts'

/** Milliseconds between tries while another process holds the write lock, and how many tries make a 503. */
const busyPause = 50
const busyTries = 100
/**
 * Writes that one transaction has at most. More hardly make the sync to disk cheaper for each, but their requests would all be in
 * memory at once, and outlive the collector's young generation: with 256 connections a refresh cost 40 % more CPU.
 */
const maxWrites = 32

type Write = { run: () => unknown; resolve: (result: unknown) => void; reject: (error: unknown) => void }

/**
 * Collects writes until the turn of the event loop ends, or until there are {@link maxWrites}, and commits them together. A write
 * that throws takes no other with it: the group is rolled back and each write runs in a transaction of its own, so writes touch
 * nothing but the database.
 *
 * @param confirm runs after each commit and throws when what was committed is not where it should be
 * @param onCommit told how long each took, and of how many writes
 */
export function createGroupCommit(database: Database.Database, confirm: () => void, onCommit: Observer['committed']) {
  let waiting: Write[] = []
  /** A timer that will look at what is waiting: at the end of this turn, or after a pause. */
  let next: 'none' | 'turn' | 'pause' = 'none'
  let tries = 0
  let failed = false
  let idle: (() => void) | undefined

  const transact = database.transaction((group: readonly Write[]) => group.map(write => write.run())).immediate

  function commit(group: readonly Write[]): unknown[] {
    const began = performance.now()
    const results = transact(group)
    confirm()
    onCommit((performance.now() - began) / 1000, group.length)
    return results
  }

  function settle(group: readonly Write[], results: readonly unknown[]) {
    for (const [i, write] of group.entries()) write.resolve(results[i])
  }

  function commitGroup() {
    const group = waiting.splice(0, maxWrites)
    try {
      settle(group, commit(group))
      failed = false
    } catch (error) {
      // Another process holds the write lock. Nothing ran yet, so the group waits, and the event loop goes on.
      if (isBusy(error) && ++tries < busyTries) {
        waiting = group.concat(waiting)
        next = 'pause'
        return
      }
      failed = isUnavailable(error)
      if (failed) for (const write of group) write.reject(translate(error))
      else for (const write of group) commitAlone(write)
    }
    tries = 0
  }

  function commitAlone(write: Write) {
    try {
      settle([write], commit([write]))
    } catch (error) {
      if (isBusy(error)) waiting.push(write)
      else write.reject(translate(error))
    }
  }

  function wake() {
    next = 'none'
    if (waiting.length > 0) commitGroup()
    schedule()
  }

  function schedule() {
    if (next === 'pause') setTimeout(wake, busyPause)
    else if (waiting.length === 0) idle?.()
    else {
      next = 'turn'
      setImmediate(wake)
    }
  }

  function write<T>(run: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      waiting.push({ run, resolve: resolve as (result: unknown) => void, reject })
      if (next === 'none') schedule()
      else if (next === 'turn' && waiting.length >= maxWrites) commitGroup()
    })
  }

  return {
    write,
    /** Resolves when a write would succeed. After a failure, such as a full disk, only a real write can tell. */
    check: () =>
      write(() => {
        if (failed) database.pragma('user_version = 0')
      }),
    /** Resolves once nothing is waiting. */
    drain(): Promise<void> {
      return next === 'none' ? Promise.resolve() : new Promise(resolve => (idle = resolve))
    },
  }
}

/** Runs a query; what goes wrong with the file or the disk becomes `temporarily_unavailable`. */
export async function read<T>(query: () => T): Promise<T> {
  try {
    return query()
  } catch (error) {
    throw translate(error)
  }
}

function isBusy(error: unknown): boolean {
  return /^SQLITE_(?:BUSY|LOCKED)/.test(sqliteCode(error))
}

/** Trouble with the file or the disk, as opposed to a mistake in a statement; and a file that must not be written any more. */
function isUnavailable(error: unknown): boolean {
  // A request that outlived the shutdown finds the database closed.
  if (error instanceof TypeError && error.message === 'The database connection is not open') return true
  if (sqliteError(error)?.message === movedMessage) return true
  return /^SQLITE_(?:BUSY|LOCKED|FULL|IOERR|READONLY|CANTOPEN|CORRUPT|NOTADB|PERM|AUTH|NOMEM|PROTOCOL)/.test(
    sqliteCode(error),
  )
}

function sqliteCode(error: unknown): string {
  return sqliteError(error)?.code ?? ''
}

/** drizzle may wrap what the driver throws. */
function sqliteError(error: unknown): InstanceType<typeof Database.SqliteError> | undefined {
  const root = error instanceof Error && error.cause instanceof Database.SqliteError ? error.cause : error
  return root instanceof Database.SqliteError ? root : undefined
}

function translate(error: unknown): unknown {
  if (!isUnavailable(error)) return error
  return new OAuthError('temporarily_unavailable', 'the database cannot be used at the moment', {
    cause: error,
    retryAfter: 1,
  })
}
