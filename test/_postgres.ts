/**
 * Databases of an embedded PostgreSQL, one for each test that asks. The server is shared by all files of a run and ends with it; the
 * machine needs none of its own.
 */
import { randomBytes } from 'node:crypto'
import { registerSharedWorker } from 'ava/plugin'
import pg from 'pg'
import type { PostgresHost } from './_postgres_host.ts'
import type { TestContext } from './_server.ts'

/** Owns the databases, and may no more than an operator would let it. */
const role = 'latchkey'
const rolePassword = 'latchkey'

let started: ReturnType<typeof start> | undefined

/** An empty database of UTF8 for this test alone. @returns its URL, for its owner, who is no superuser */
export async function emptyDatabase(t: TestContext): Promise<string> {
  const { admin, url } = await server()
  const name = `test_${randomBytes(8).toString('hex')}`
  await admin.query(`CREATE DATABASE ${name} OWNER ${role} TEMPLATE template0`)
  t.teardown(() => admin.query(`DROP DATABASE ${name} WITH (FORCE)`))
  return Object.assign(new URL(`${url}/${name}`), { username: role, password: rolePassword }).href
}

/** The same database for a superuser. */
export async function asSuperuser(database: string): Promise<string> {
  const { url } = await server()
  return url + new URL(database).pathname
}

function server() {
  started ??= start()
  return started
}

async function start(): Promise<{ admin: pg.Pool; url: string }> {
  const worker = registerSharedWorker<PostgresHost | 'start'>({
    filename: new URL('_postgres_worker.ts', import.meta.url),
    supportedProtocols: ['ava-4'],
    teardown: async () => (await started)?.admin.end(),
  })
  await worker.available
  const { value: reply } = await worker.publish('start').replies().next()
  const host = reply!.data as PostgresHost
  if ('error' in host) throw new Error(`no PostgreSQL for the tests: ${host.error}`)
  const admin = new pg.Pool({ connectionString: `${host.url}/postgres`, max: 4 })
  await exclusively(admin, createRole)
  return { admin, url: host.url }
}

/** Runs what one of the files that run at once does for all of them. */
async function exclusively(admin: pg.Pool, run: (client: pg.ClientBase) => Promise<void>): Promise<void> {
  const client = await admin.connect()
  try {
    await client.query('SELECT pg_advisory_lock(1)')
    await run(client)
    await client.query('SELECT pg_advisory_unlock(1)')
    client.release()
  } catch (error) {
    // Its connection goes, and the lock with it.
    client.release(true)
    throw error
  }
}

async function createRole(client: pg.ClientBase): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [role])
  if (rowCount === 0) await client.query(`CREATE ROLE ${role} LOGIN PASSWORD '${rolePassword}'`)
}
