/** Opens the database that the settings name. A dialect is loaded where its database is opened: no command waits for the other one's driver. */
import type { Storage } from './storage.ts'

/** Which database; as the settings name it. */
export type DatabaseSetting = Readonly<{ kind: 'file'; path: string }>

/**
 * Opens a database, creating and migrating it as needed.
 *
 * @param onReopened told why, when the files of an open database were replaced and it has been opened again
 * @returns the storage, and how many migrations were applied
 * @throws Error in one line for the operator, without a password
 */
export async function openStorage(
  database: DatabaseSetting,
  onReopened?: (why: string) => void,
): Promise<{ storage: Storage; migrated: number }> {
  const { openSqliteStorage } = await import('./sqlite/sqlite.ts')
  return openSqliteStorage(database.path, onReopened)
}
