/** Opens the storage on a PostgreSQL. */
import { createFloods } from '../../audit/floods.ts'
import { DatabaseMoved, insistOnBeingHere, type Move } from '../moved.ts'
import type { Storage } from '../storage.ts'
import { type OpenOptions, openDatabase } from './database.ts'
import { unavailable } from './failure.ts'
import { createStorage } from './storage.ts'
import { type DatabaseUrl, formatDatabaseUrl } from './url.ts'

/**
 * @returns the storage, and how many migrations were applied
 * @throws Error in one line for the operator, without the password
 */
export async function openPostgresStorage(
  url: DatabaseUrl,
  options: OpenOptions,
): Promise<{ storage: Storage; migrated: number }> {
  const database = await openDatabase(url, options)
  const insistOnItself = async () => {
    const { rows } = await database.read(({ $client }) => $client.query<Move>('SELECT id, state, place, at FROM moves'))
    insistOnBeingHere(formatDatabaseUrl(url), rows)
  }
  try {
    await insistOnItself()
  } catch (error) {
    await database.close()
    throw error
  }
  const storage = createStorage(database, createFloods())
  return {
    migrated: database.migrated,
    storage: {
      ...storage,
      async check() {
        await storage.check()
        try {
          await insistOnItself()
        } catch (error) {
          // Triggers refuse writes from that moment on; what is read here would be another truth than the one that goes on elsewhere.
          if (error instanceof DatabaseMoved) await database.close()
          throw unavailable(error)
        }
      },
    },
  }
}
