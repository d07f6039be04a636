/** The storages that the contract suite runs on. Each test opens its own, empty. */
import type { ExecutionContext } from 'ava'
import type { Storage } from '../src/oauth/storage.ts'
import { openSqliteStorage } from '../src/storage/sqlite.ts'

export const storages: Record<string, (t: ExecutionContext) => Promise<Storage>> = {
  async sqlite(t) {
    const { storage } = openSqliteStorage(':memory:')
    t.teardown(() => storage.close())
    return storage
  },
}
