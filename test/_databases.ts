/** A database of either dialect, to be opened by as many storages as there are nodes, and looked at from beside them. Goes with the test. */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { openSqliteStorage } from '../src/storage/sqlite/sqlite.ts'
import type { Storage } from '../src/storage/storage.ts'
import { createFolder } from './_process.ts'
import type { TestContext } from './_server.ts'

export type Dialect = 'sqlite' | 'postgres'

/** On which the servers of this run keep their data; `npm run test:postgres` runs them once more on the other one. */
export const dialect = dialectOf(process.env.TEST_DIALECT)

export type Row = Record<string, unknown>

export type TestDatabase = Readonly<{
  /** One more storage on it, as another node has. */
  open: () => Promise<Storage>
  /** Runs one statement without parameters. @returns its rows */
  query: (text: string) => Promise<Row[]>
  tables: () => Promise<string[]>
  /** Tells the planner of PostgreSQL what was written, which it finds out by itself some time later. */
  analyze: () => Promise<void>
  /** Another value after every write, also after one that changed nothing; but for the counters of attempts, which several nodes share at once. */
  version: () => Promise<unknown>
}>

export const databases: Record<Dialect, (t: TestContext) => Promise<TestDatabase>> = {
  sqlite: createSqlite,
  postgres: createPostgres,
}

/** A database of the dialect of this run, with all tables and no rows. */
export function createDatabase(t: TestContext): Promise<TestDatabase> {
  return databases[dialect](t)
}

async function createSqlite(t: TestContext): Promise<TestDatabase> {
  const file = join(createFolder(t), 'latchkey.db')
  const open = async () => {
    const { storage } = openSqliteStorage(file)
    t.teardown(() => storage.close())
    return storage
  }
  // Migrated, so that it can be looked at before a server is there.
  await (await open()).close()
  const database = new Database(file)
  t.teardown(() => void database.close())
  const query = async (text: string) => {
    const statement = database.prepare(text)
    if (statement.reader) return statement.all() as Row[]
    statement.run()
    return []
  }
  return {
    open,
    query,
    tables: () =>
      namesOf(query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")),
    analyze: async () => {},
    version: async () => database.pragma('data_version', { simple: true }),
  }
}

async function createPostgres(t: TestContext): Promise<TestDatabase> {
  // AVA's plug-ins are only there where AVA is.
  const { migratedDatabase, openClient, openOn } = await import('./_postgres.ts')
  const url = await migratedDatabase(t)
  let client: ReturnType<typeof openClient> | undefined
  const query = async (text: string) => {
    client ??= openClient(t, url)
    return (await (await client).query(text)).rows as Row[]
  }
  const tables = () =>
    namesOf(query("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"))
  return {
    open: () => openOn(t, url),
    query,
    tables,
    analyze: async () => void (await query('ANALYZE')),
    async version() {
      const held = (await tables()).filter(table => table !== 'attempt_counters')
      const rows = held.map(table => `SELECT concat(xmin, ctid, "${table}") AS row FROM "${table}"`)
      return query(`SELECT md5(string_agg(row, '' ORDER BY row)) FROM (${rows.join(' UNION ALL ')}) AS rows`)
    },
  }
}

async function namesOf(rows: Promise<Row[]>): Promise<string[]> {
  return (await rows).map(({ name }) => String(name))
}

function dialectOf(text = 'sqlite'): Dialect {
  if (text === 'sqlite' || text === 'postgres') return text
  throw new Error(`TEST_DIALECT is sqlite or postgres, not ${text}`)
}
