/** Opens the storage on a SQLite file, and opens it anew when somebody has deleted or replaced one of its files. */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import Database from 'better-sqlite3'
import { createFloods } from '../../audit/floods.ts'
import { noObserver, type Observer } from '../../observer.ts'
import { hasMoved, insistOnBeingHere } from '../moved.ts'
import type { Storage } from '../storage.ts'
import { insistOnVersion } from './file.ts'
import { read } from './group_commit.ts'
import { type Migrated, migrate, openDatabase } from './migrate.ts'
import { listMoves } from './moves.ts'
import { createStorage } from './storage.ts'

/**
 * Opens a database file. When somebody deletes or replaces one of its files, the storage opens what is there instead, with all that was answered if the database itself is still the same.
 *
 * @param file a path, or ':memory:'
 * @param options.migrates   whether it may be created, with mode 0600, and migrated; else one that lacks a table is refused
 * @param options.onReopened told why, when that has happened
 * @param options.onCommit   told of each transaction that is on disk
 * @returns the storage, and what was migrated
 * @throws Error in one line for the operator: not a database, newer than this program, not writable, moved elsewhere
 */
export function openSqliteStorage(
  file: string,
  {
    migrates = true,
    onReopened = () => {},
    onCommit = noObserver.committed,
  }: Readonly<{
    migrates?: boolean
    onReopened?: (why: string) => void
    onCommit?: Observer['committed'] | undefined
  }> = {},
): { storage: Storage } & Migrated {
  // Filled anew at each opening.
  const storage = {} as Storage
  const floods = createFloods()
  let current: Storage
  let database: Database.Database
  let files: FileIdentities
  let isClosed = false

  function open(): Migrated {
    if (!migrates) insistOnVersion(file)
    database = openDatabase(file)
    try {
      insistOnBeingHere(resolve(file), listMoves(database))
      const migrated = migrate(database, file)
      files = identifyFiles(file)
      current = createStorage(database, confirmCommit, floods, onCommit)
      Object.assign(storage, current, { check, close })
      return migrated
    } catch (error) {
      database.close()
      throw error
    }
  }

  /** Opens what is at the path now. @returns whether that has everything that was committed */
  function reopen(): boolean {
    const found = identifyFiles(file)
    if (found.database === undefined) throw movedError(`the database ${file} is gone; put it back`)
    const isSame = found.database === files.database
    if (database.open) {
      // Everything into the database itself, and nothing left in a log that could be taken for the new one's.
      const [result] = database.pragma('wal_checkpoint(TRUNCATE)') as [{ busy: number }]
      if (result.busy !== 0)
        throw movedError(`the database ${file} or its journal was replaced while another process reads it`)
      database.close()
    }
    try {
      open()
    } catch (error) {
      throw movedError((error as Error).message)
    }
    onReopened(isSame ? 'its journal was deleted' : 'the file was replaced')
    return isSame
  }

  function isReplaced(): boolean {
    const { database, log, index } = identifyFiles(file)
    return database !== files.database || log !== files.log || index !== files.index
  }

  function confirmCommit() {
    if (isReplaced() && !reopen()) throw movedError(`the database ${file} was replaced`)
  }

  async function check() {
    await read(() => {
      if (isClosed) return
      // Triggers refuse writes from that moment on; what is read here would be another truth than the one that goes on elsewhere.
      if (database.open && hasMoved(listMoves(database))) database.close()
      if (!database.open || isReplaced()) reopen()
    })
    await current.check()
  }

  async function close() {
    isClosed = true
    await current.close()
  }

  return { storage, ...open() }
}

type FileIdentities = Readonly<Record<'database' | 'log' | 'index', number | undefined>>

/** Which files are at the paths: a process goes on with the one that it has opened, even when that has no name any more. */
function identifyFiles(file: string): FileIdentities {
  const identify = (path: string) => statSync(path, { throwIfNoEntry: false })?.ino
  return { database: identify(file), log: identify(`${file}-wal`), index: identify(`${file}-shm`) }
}

function movedError(message: string): Error {
  return new Database.SqliteError(message, 'SQLITE_READONLY_DBMOVED')
}
