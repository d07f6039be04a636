/**
 * Databases of the embedded PostgreSQL that one test uses after the other: emptying one costs a fifth of making and removing one. For
 * those that only a storage sees; whoever has statements of its own takes a new one.
 */
import type pg from 'pg'
import { asSuperuser, atEnd, migratedDatabase, openClient } from './_postgres.ts'
import type { TestContext } from './_server.ts'

type Lent = Readonly<{
  url: string
  /** Of a superuser, for as long as the database is there. */
  client: pg.Client
  /** Those that are empty where nothing has happened. */
  tables: readonly string[]
  seeded: readonly string[]
  /** What there is beside the rows of {@link tables}. */
  shape: string
  remove: () => Promise<void>
}>

/** As many as are made at once: those that are waited for meanwhile may be given back before. */
const maxMaking = 4

/** Of what is not there in every database: PostgreSQL's FirstNormalObjectId. */
const firstOid = 16_384

const free: Lent[] = []
const waiting: PromiseWithResolvers<Lent>[] = []
let making = 0

/** A database with all tables and no rows, for this test alone until it ends. @returns its URL, for its owner */
export async function lendDatabase(t: TestContext): Promise<string> {
  const lent = free.pop() ?? (await waitForOne())
  t.teardown(async () => {
    if (await empty(lent)) giveBack(lent)
    else await lent.remove()
  })
  return lent.url
}

function waitForOne(): Promise<Lent> {
  const one = Promise.withResolvers<Lent>()
  waiting.push(one)
  if (making < maxMaking) void makeWhileWaitedFor()
  return one.promise
}

async function makeWhileWaitedFor(): Promise<void> {
  making++
  while (waiting.length > 0) {
    try {
      giveBack(await make())
    } catch (error) {
      waiting.shift()?.reject(error)
    }
  }
  making--
}

function giveBack(lent: Lent): void {
  const next = waiting.shift()
  if (next === undefined) free.push(lent)
  else next.resolve(lent)
}

async function make(): Promise<Lent> {
  const ends: (() => unknown)[] = []
  const owner = { title: 'lent', teardown: (end: () => unknown) => void ends.push(end) } as TestContext
  const url = await migratedDatabase(owner)
  const client = await openClient(owner, await asSuperuser(url))
  // Ordinary triggers do not run then: one of them keeps the audit trail as it is.
  await client.query('SET session_replication_role = replica')
  const { rows } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
     WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
  )
  const names = rows.map(({ name }) => name)
  const seeded = await filledOf(client, names)
  const tables = names.filter(name => !seeded.includes(name))
  let removed: Promise<void> | undefined
  async function endAll() {
    for (const end of ends.toReversed()) await end()
  }
  function remove() {
    removed ??= endAll()
    return removed
  }
  atEnd(remove)
  return { url, client, tables, seeded, shape: await shapeOf(client, seeded), remove }
}

/** @returns whether it is then as it was when it was new */
async function empty({ client, tables, seeded, shape }: Lent): Promise<boolean> {
  // Whoever still writes would write into the next test.
  await client.query(
    `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
  )
  if ((await shapeOf(client, seeded)) !== shape) return false
  const filled = await filledOf(client, tables)
  if (filled.length > 0) await client.query(`TRUNCATE ${filled.join()} CASCADE`)
  await client.query(`SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'`)
  return true
}

async function filledOf(client: pg.Client, tables: readonly string[]): Promise<string[]> {
  const columns = tables.map((name, i) => `EXISTS (SELECT FROM ${name}) AS "${i}"`)
  const { rows } = await client.query<Record<number, boolean>>(`SELECT ${columns.join()}`)
  return tables.filter((_, i) => rows[0]![i])
}

/** One text of all that is made by CREATE and changed by ALTER, and of the rows that a new database has. */
async function shapeOf(client: pg.Client, seeded: readonly string[]): Promise<string> {
  const { rows } = await client.query<{ shape: string }>(
    `SELECT md5(string_agg(part, chr(10) ORDER BY part)) AS shape FROM (
      SELECT concat_ws(' ', oid, relname, relkind, relchecks, relnatts) AS part FROM pg_class WHERE oid >= ${firstOid}
      UNION ALL SELECT concat_ws(' ', oid, tgname, tgenabled) FROM pg_trigger
      UNION ALL SELECT concat_ws(' ', oid, proname, prosrc) FROM pg_proc WHERE oid >= ${firstOid}
      ${seeded.map(name => `UNION ALL SELECT row::text FROM ${name} AS row`).join('\n')}
    ) AS parts`,
  )
  return rows[0]!.shape
}
