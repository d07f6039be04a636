/** The PostgreSQL that the tests bring along: true to production where that matters, and gone with the run. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import test from 'ava'
import pg from 'pg'
import { lendDatabase } from '../_lent_databases.ts'
import { asSuperuser, emptyDatabase, migratedDatabase } from '../_postgres.ts'
import { root } from '../_process.ts'
import type { TestContext } from '../_server.ts'

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

test('an embedded PostgreSQL loses nothing that it has answered, as in production', async t => {
  const url = await emptyDatabase(t)
  const settings = ['fsync', 'synchronous_commit', 'full_page_writes', 'server_encoding']
  const columns = settings.map(name => `current_setting('${name}') AS ${name}`)
  const [row] = await query(url, `SELECT ${columns.join()}`)
  t.deepEqual(row, { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on', server_encoding: 'UTF8' })
})

test('each test has a database of its own, and is no superuser there unless it asks', async t => {
  const [one, other] = [await emptyDatabase(t), await emptyDatabase(t)]
  const superuser = `SELECT current_database() AS name, usesuper FROM pg_user WHERE usename = current_user`
  await query(one, 'CREATE TABLE things (id int)')
  await query(other, 'CREATE TABLE things (id int)')
  const [[owner], [admin]] = [await query(one, superuser), await query(await asSuperuser(one), superuser)]
  t.is(owner!.name, admin!.name)
  t.deepEqual([owner!.usesuper, admin!.usesuper], [false, true])
})

test('a migrated database has every table and no row', async t => {
  const url = await migratedDatabase(t)
  t.deepEqual(await query(url, 'SELECT * FROM users'), [])
  t.deepEqual(await query(url, 'SELECT * FROM audit_events'), [])
  const [other] = await query(await migratedDatabase(t), 'SELECT count(*) AS sessions FROM sessions')
  t.deepEqual(other, { sessions: '0' })
})

/** Has a database as long as a test would that does this to it. @returns its name */
async function whileLent(work: (url: string) => Promise<unknown>): Promise<string> {
  const ends: (() => unknown)[] = []
  const url = await lendDatabase({ title: 'lent', teardown: end => void ends.push(end) } satisfies TestContext)
  await work(url)
  for (const end of ends.toReversed()) await end()
  return new URL(url).pathname
}

const addEvents = `INSERT INTO audit_events (at, type) VALUES (1, 'user.created'), (2, 'user.removed')`

test.serial(
  'a database that a test was lent is as a new one for the next: no rows, no connections, the first ids',
  async t => {
    let writer: pg.Client | undefined
    const ended = Promise.withResolvers<unknown>()
    const first = await whileLent(async url => {
      await query(url, addEvents)
      await query(url, "INSERT INTO remembered_ids (id, expires_at) VALUES ('x', 1)")
      writer = new pg.Client(url)
      writer.on('error', () => {}).once('end', ended.resolve)
      await writer.connect()
      await writer.query(`BEGIN; ${addEvents}`)
    })
    await ended.promise
    const second = await whileLent(async url => {
      t.deepEqual(await query(url, 'SELECT id FROM audit_events UNION ALL SELECT 1 FROM remembered_ids'), [])
      t.deepEqual(await query(url, `${addEvents} RETURNING id::int`), [{ id: 1 }, { id: 2 }])
      await t.throwsAsync(query(url, 'UPDATE audit_events SET at = 3'), { message: /append-only/ })
    })
    t.is(first, second)
  },
)

for (const change of [
  'CREATE TABLE things (id int)',
  'ALTER TABLE sessions ADD COLUMN thing int',
  'DROP INDEX sessions_client_id',
  'CREATE FUNCTION thing() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$',
  'ALTER TABLE audit_events DISABLE TRIGGER ALL',
  'DELETE FROM schema_migrations',
]) {
  test.serial(`no other test is lent a database in which somebody did this: ${change}`, async t => {
    const first = await whileLent(async url => query(await asSuperuser(url), change))
    t.not(await whileLent(url => query(url, 'SELECT FROM users')), first)
  })
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGKILL'] as const) {
  test(`an embedded PostgreSQL and its files go when who started it ends by ${signal}`, async t => {
    const worker = join(root, 'test/_postgres_worker.ts')
    const program = `const { startHost } = await import(${JSON.stringify(worker)})
      console.log((await startHost()).url)
      setInterval(() => {}, 1000)`
    const owner = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [url] = (await once(createInterface({ input: owner.stdout }), 'line')) as [string]
    const [row] = await query(`${url}/postgres`, `SELECT current_setting('data_directory') AS folder`)
    const folder = row!.folder as string
    t.true(existsSync(folder))

    owner.kill(signal)

    for (let i = 0; i < 300 && existsSync(folder); i++) await setTimeout(100)
    t.false(existsSync(folder))
    await t.throwsAsync(query(`${url}/postgres`, 'SELECT 1'), { code: 'ECONNREFUSED' })
  })
}
