/** The storages that the contract suite runs on. Each test opens its own, empty. */
import type { ExecutionContext } from 'ava'
import type { Session } from '../src/sessions/session.ts'
import { openSqliteStorage } from '../src/storage/sqlite/sqlite.ts'
import type { Storage } from '../src/storage/storage.ts'

export const storages: Record<string, (t: ExecutionContext) => Promise<Storage>> = {
  async sqlite(t) {
    const { storage } = openSqliteStorage(':memory:')
    t.teardown(() => storage.close())
    return storage
  },
}

/** The row of a session, live or ended. */
export function findSession(storage: Storage, id: string): Promise<Session | undefined> {
  return storage.changeSession(id, session => ({ outcome: session }))
}
