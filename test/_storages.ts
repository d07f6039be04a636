/** The storages that the contract suite runs on. Each test opens its own, empty; it goes with the test. */
import type { Session } from '../src/sessions/session.ts'
import { openSqliteStorage } from '../src/storage/sqlite/sqlite.ts'
import type { Storage } from '../src/storage/storage.ts'
import { type Dialect, dialect } from './_databases.ts'
import type { TestContext } from './_server.ts'

export const storages: Record<Dialect, (t: TestContext) => Promise<Storage>> = {
  async sqlite(t) {
    const { storage } = openSqliteStorage(':memory:')
    t.teardown(() => storage.close())
    return storage
  },
  async postgres(t) {
    // AVA's plug-ins are only there where AVA is.
    const [{ lendDatabase }, { openOn }] = await Promise.all([import('./_lent_databases.ts'), import('./_postgres.ts')])
    return openOn(t, await lendDatabase(t))
  },
}

/** An empty storage of the dialect of this run. */
export function openTestStorage(t: TestContext): Promise<Storage> {
  return storages[dialect](t)
}

/** The row of a session, live or ended. */
export function findSession(storage: Storage, id: string): Promise<Session | undefined> {
  return storage.changeSession(id, session => ({ outcome: session }))
}
