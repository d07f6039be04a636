/**
 * Brings the tables up to date, and says which programs may use them. Two versions work on one database while its nodes are replaced one by one, so
 * a program may be older than the tables, as long as what came since leaves everything in place that it needs.
 */
import { fileURLToPath } from 'node:url'
import type { ClientBase } from 'pg'
import { readMigrationFiles } from '../drizzle.ts'
import { takeLock } from './advisory_lock.ts'
import type { Connection, Db } from './connection.ts'
import { isCollision } from './failure.ts'

const migrationsFolder = fileURLToPath(new URL('../../../migrations/postgres', import.meta.url))

/** Milliseconds that one statement of a migration may take, such as an index of a big table. */
const maxStatement = 3_600_000
/** Milliseconds that a node tries again while another one migrates, or while requests hold what is to be changed. */
const maxTurn = 600_000

export type Migration = Readonly<{
  /** When it was made, milliseconds: its name in the database. */
  at: number
  hash: string
  statements: readonly string[]
  /** The oldest migration whose program still works after this one: see `readableFrom`. */
  readableFrom: number
}>

/** What a program finds. `pending`: how many migrations are to be applied. `readable`: newer than this program, which may use it all the same. */
export type SchemaState = Readonly<
  { kind: 'pending'; count: number } | { kind: 'current' } | { kind: 'readable' } | { kind: 'too_new' }
>

/**
 * Those of this release, oldest first. A migration that takes something away says from which one on programs do without it, in a line of its own:
 * `-- readable from 0001`.
 */
export function readMigrations(): Migration[] {
  const files = readMigrationFiles({ migrationsFolder })
  let readableFrom = files[0]!.folderMillis
  return files.map(({ folderMillis, hash, sql }) => {
    const from = /^-- readable from (\d{4})$/m.exec(sql.join('\n'))?.[1]
    if (from !== undefined) readableFrom = files[Number(from)]!.folderMillis
    return { at: folderMillis, hash, statements: sql, readableFrom }
  })
}

/** @param known the migrations that this program has */
export async function schemaState(
  { $client }: { $client: ClientBase },
  known: readonly Migration[],
): Promise<SchemaState> {
  // Not by to_regclass, which may answer from before a lock was waited for.
  const { rows: tables } = await $client.query<{ exists: boolean }>(
    "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'schema_migrations' AND pg_table_is_visible(oid)) AS exists",
  )
  if (!tables[0]!.exists) return { kind: 'pending', count: known.length }
  const { rows } = await $client.query<{ migrated_to: number; readable_from: number }>(
    'SELECT migrated_to, readable_from FROM schema_migrations ORDER BY migrated_to DESC LIMIT 1',
  )
  const { migrated_to = 0, readable_from = 0 } = rows[0] ?? {}
  const newest = known.at(-1)!.at
  if (migrated_to > newest) return { kind: readable_from > newest ? 'too_new' : 'readable' }
  const count = known.filter(({ at }) => at > migrated_to).length
  return count === 0 ? { kind: 'current' } : { kind: 'pending', count }
}

/**
 * Applies what is missing, in one transaction that others wait for: any number of nodes may start at once.
 *
 * @returns how many migrations that were
 * @throws OAuthError `temporarily_unavailable`, or what the database says against a statement
 */
export async function migrate({ write }: Pick<Connection, 'write'>, known: readonly Migration[]): Promise<number> {
  const giveUpAt = performance.now() + maxTurn
  for (;;) {
    try {
      return await write(tx => migrateWithin(tx, known))
    } catch (error) {
      // A lock is waited for briefly each time: all requests wait behind who waits for a table.
      if (!isCollision(error) || performance.now() > giveUpAt) throw error
    }
  }
}

async function migrateWithin(tx: Db, known: readonly Migration[]): Promise<number> {
  const run = (text: string, values: unknown[] = []) => {
    const query = { text, values, query_timeout: maxStatement }
    return tx.$client.query(query)
  }
  await takeLock(tx, 'migrations')
  const state = await schemaState(tx, known)
  if (state.kind !== 'pending') return 0
  await run(`SET LOCAL statement_timeout = ${maxStatement}`)
  await run(
    `CREATE TABLE IF NOT EXISTS schema_migrations
      (migrated_to bigint PRIMARY KEY, readable_from bigint NOT NULL, hash text NOT NULL)`,
  )
  const missing = known.slice(-state.count)
  for (const { at, readableFrom, hash, statements } of missing) {
    for (const statement of statements) await run(statement)
    await run('INSERT INTO schema_migrations VALUES ($1, $2, $3)', [at, readableFrom, hash])
  }
  return missing.length
}
