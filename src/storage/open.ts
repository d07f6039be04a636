/** Opens the database that the settings name. A dialect is loaded where its database is opened: no command waits for the other one's driver. */
import type { AuditEvent } from '../audit/audit.ts'
import type { Observer } from '../observer.ts'
import type { MoveEnd, MoveReport } from './move.ts'
import type { DatabaseSetting } from './setting.ts'
import type { Storage } from './storage.ts'

export type OpenOptions = Readonly<{
  /** Whether tables may be made and changed; else a database that is not there or of another version is refused. */
  migrates: boolean
  /** Told why, when an open database was lost and found again: its files were replaced, or its server was. */
  onReopened?: (why: string) => void
  /** Milliseconds that a statement at a server may take, for whoever waits longer than a request does. */
  maxStatement?: number
  /** Told of each transaction that is on disk. */
  onCommit?: Observer['committed'] | undefined
}>

/**
 * Opens the database that the settings name.
 *
 * @returns the storage, how many migrations were applied, and the path of a copy from before, where one was made
 * @throws Error in one line for the operator, without a password
 */
export async function openStorage(
  database: DatabaseSetting,
  { onReopened, ...options }: OpenOptions,
): Promise<{ storage: Storage; migrated: number; copy?: string | undefined }> {
  if (database.kind === 'file') {
    const { openSqliteStorage } = await import('./sqlite/sqlite.ts')
    const { migrates, onCommit } = options
    return openSqliteStorage(database.path, { migrates, onCommit, ...(onReopened && { onReopened }) })
  }
  const { openPostgresStorage } = await import('./postgres/postgres.ts')
  return openPostgresStorage(database.url, { ...options, ...(onReopened && { onChange: onReopened }) })
}

/**
 * Moves everything from a SQLite file to a PostgreSQL or back, see `move.ts`.
 *
 * @param to an empty database, or none yet where it is a file: it is created and migrated
 */
export async function moveDatabase(
  from: DatabaseSetting,
  to: DatabaseSetting,
  id: string,
  event: AuditEvent,
): Promise<MoveReport> {
  const { move } = await import('./move.ts')
  const source = await openEnd(from, 'source')
  try {
    const target = await openEnd(to, 'target')
    try {
      return await move(source, target, id, event)
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

async function openEnd(database: DatabaseSetting, role: 'source' | 'target'): Promise<MoveEnd> {
  if (database.kind === 'file') {
    const { openSqliteSource, openSqliteTarget } = await import('./sqlite/move_end.ts')
    return role === 'source' ? openSqliteSource(database.path) : openSqliteTarget(database.path)
  }
  const { openPostgresSource, openPostgresTarget } = await import('./postgres/move_end.ts')
  return role === 'source' ? openPostgresSource(database.url) : openPostgresTarget(database.url)
}
