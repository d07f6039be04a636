/**
 * Databases of an embedded PostgreSQL, one for each test that asks. The server is shared by all files of a run and ends with it; the
 * machine needs none of its own.
 */
import { randomBytes } from 'node:crypto'
import { registerSharedWorker } from 'ava/plugin'
import pg from 'pg'
import { openPostgresStorage } from '../src/storage/postgres/postgres.ts'
import { type DatabaseUrl, parseDatabaseUrl } from '../src/storage/postgres/url.ts'
import type { Storage } from '../src/storage/storage.ts'
import type { PostgresHost } from './_postgres_host.ts'
import type { TestContext } from './_server.ts'

/** Owns the databases, and may no more than an operator would let it. */
const role = 'latchkey'
const rolePassword = 'latchkey'
/** Migrated once a run, and copied for each test. */
const template = 'migrated'

let started: ReturnType<typeof start> | undefined

let migrated: Promise<void> | undefined

const ends: (() => Promise<unknown>)[] = []

/** An empty database of UTF8 for this test alone. @returns its URL, for its owner, who is no superuser */
export async function emptyDatabase(t: TestContext): Promise<string> {
  return createDatabase(t, 'template0')
}

/** A database with all tables and no rows for this test alone. @returns its URL, for its owner */
export async function migratedDatabase(t: TestContext): Promise<string> {
  migrated ??= server().then(({ admin, url }) => exclusively(admin, client => migrateTemplate(client, url)))
  await migrated
  return createDatabase(t, template)
}

async function createDatabase(t: TestContext, from: string): Promise<string> {
  const { admin, url } = await server()
  const name = `test_${randomBytes(8).toString('hex')}`
  await admin.query(`CREATE DATABASE ${name} OWNER ${role} TEMPLATE ${from} STRATEGY file_copy`)
  t.teardown(() => admin.query(`DROP DATABASE ${name} WITH (FORCE)`))
  return ownersUrl(url, name)
}

/** Runs with the end of this file, while the server is still there. */
export function atEnd(end: () => Promise<unknown>): void {
  ends.push(end)
}

const ownersUrl = (url: string, database: string) =>
  Object.assign(new URL(`${url}/${database}`), { username: role, password: rolePassword }).href

/** One more storage on a database, as another node has. Closes with the test. */
export async function openOn(t: TestContext, url: string): Promise<Storage> {
  const storage = await openStorage(url)
  t.teardown(() => storage.close())
  return storage
}

async function openStorage(url: string): Promise<Storage> {
  const { storage } = await openPostgresStorage(parseDatabaseUrl(url, {}) as DatabaseUrl, { migrates: true })
  return storage
}

/** A client of the database beside all storages. Closes with the test. */
export async function openClient(t: TestContext, url: string): Promise<pg.Client> {
  const client = new pg.Client(url)
  await client.connect()
  t.teardown(() => client.end())
  return client
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
    async teardown() {
      for (const end of ends.reverse()) await end()
      await (await started)?.admin.end()
    },
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

async function migrateTemplate(client: pg.ClientBase, url: string): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [template])
  if (rowCount !== 0) return
  // It gets its name when it is whole.
  await client.query('DROP DATABASE IF EXISTS migrating WITH (FORCE)')
  await client.query(`CREATE DATABASE migrating OWNER ${role} TEMPLATE template0`)
  const storage = await openStorage(ownersUrl(url, 'migrating'))
  await storage.close()
  await client.query(`ALTER DATABASE migrating RENAME TO ${template}`)
}
