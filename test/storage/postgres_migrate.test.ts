/** How the tables come into a PostgreSQL database, and which programs may use them. */
import test from 'ava'
import { type Database, openDatabase } from '../../src/storage/postgres/database.ts'
import { type Migration, readMigrations } from '../../src/storage/postgres/migrate.ts'
import { type DatabaseUrl, parseDatabaseUrl } from '../../src/storage/postgres/url.ts'
import { asSuperuser, emptyDatabase } from '../_postgres.ts'
import type { TestContext } from '../_server.ts'

const all = readMigrations()
const parse = (text: string) => parseDatabaseUrl(text, {}) as DatabaseUrl

async function open(t: TestContext, text: string, known?: readonly Migration[], migrates = true): Promise<Database> {
  const database = await openDatabase(parse(text), { migrates }, known)
  t.teardown(database.close)
  return database
}

const ask = async ({ read }: Database, text: string) => read(async db => (await db.$client.query(text)).rows)

test('ten nodes start at once on an empty database: all come up, and each migration is applied once', async t => {
  const text = await emptyDatabase(t)
  const nodes = await Promise.all(Array.from({ length: 10 }, () => open(t, text)))
  t.is(
    nodes.reduce((sum, { migrated }) => sum + migrated, 0),
    all.length,
  )
  const applied = await ask(nodes[0]!, 'SELECT migrated_to FROM schema_migrations ORDER BY migrated_to')
  t.deepEqual(
    applied,
    all.map(({ at }) => ({ migrated_to: at })),
  )
})

test('a program that knows all but the newest migration starts beside a migrated database, and migrates nothing', async t => {
  const text = await emptyDatabase(t)
  await open(t, text)
  const before = await open(t, text, all.slice(0, -1))
  t.is(before.migrated, 0)
  t.deepEqual(await ask(before, 'SELECT count(*) FROM schema_migrations'), [{ count: all.length }])
})

test('a database that was there before addresses were unique lets users share them; a new one does not', async t => {
  const relaxed = async (first: readonly Migration[], made?: string) => {
    const text = await emptyDatabase(t)
    const before = await open(t, text, first)
    if (made !== undefined) await ask(before, made)
    return (await ask(await open(t, text), 'SELECT rule FROM relaxed_rules')).map(({ rule }) => rule)
  }
  // Those of the release before 0006.
  const of = all.slice(0, 6)
  const user = "('usr_a', 'a', 'a', 'a@example.com', 'hash', 1, 0)"
  t.deepEqual(await relaxed(all), [])
  t.deepEqual(await relaxed(of), [], 'nothing was in it')
  const columns = 'id, username, username_key, email, password_hash, credential_version, created_at'
  t.deepEqual(await relaxed(of, `INSERT INTO users (${columns}) VALUES ${user}`), ['unique_email'])
  t.deepEqual(await relaxed(of, "INSERT INTO audit_events (at, type) VALUES (0, 'user.removed')"), ['unique_email'])
})

test('a program that the newest migration takes something away from refuses to start, in one line', async t => {
  const text = await emptyDatabase(t)
  const newest = { ...all.at(-1)!, at: all.at(-1)!.at + 1, statements: [] }
  await open(t, text, [...all, { ...newest, readableFrom: newest.at }])
  const error = await t.throwsAsync(open(t, text))
  t.regex(error!.message, /^the database postgres:\/\/\S+ was migrated by a newer latchkey[^\n]*$/)
  t.false(error!.message.includes(':latchkey@'))
})

test('a migration says from which one on programs do without what it takes away; the others take nothing away', t => {
  for (const { readableFrom } of all) t.true(all.some(({ at }) => at === readableFrom))
  t.is(all[0]!.readableFrom, all[0]!.at)
})

test('a migration that fails leaves the database as it was', async t => {
  const text = await emptyDatabase(t)
  const bad = {
    ...all.at(-1)!,
    at: all.at(-1)!.at + 1,
    statements: ['CREATE TABLE half (id integer)', 'SELECT nonsense'],
  }
  const error = await t.throwsAsync(open(t, text, [...all, bad]))
  t.regex(error!.message, /^cannot migrate the database \S+: column "nonsense" does not exist$/)
  t.is((await open(t, text)).migrated, all.length)
})

test('only who may migrate makes tables: another is told to, in one line', async t => {
  const text = await emptyDatabase(t)
  const refused = open(t, text, all, false)
  t.regex((await t.throwsAsync(refused))!.message, /run latchkey migrate$/)
  await open(t, text)
  t.is((await open(t, text, all, false)).migrated, 0)
})

test('a user without the right to make tables is told who could give it', async t => {
  const text = await emptyDatabase(t)
  const { user, database } = parse(text)
  const admin = await openDatabase(parse(await asSuperuser(text)), { migrates: true }, [{ ...all[0]!, statements: [] }])
  await admin.write(tx => tx.$client.query(`ALTER DATABASE ${database} OWNER TO postgres`))
  await admin.write(tx => tx.$client.query('REVOKE ALL ON SCHEMA public FROM PUBLIC; DROP TABLE schema_migrations'))
  await admin.close()
  const error = await t.throwsAsync(open(t, text))
  t.true(error!.message.startsWith('cannot migrate the database'), error!.message)
  t.true(error!.message.endsWith(`ALTER DATABASE ${database} OWNER TO ${user} gives the right to`), error!.message)
})

for (const [title, change, message] of [
  ['a wrong password', { password: 'wrong-secret' }, /: it refuses the password of latchkey$/],
  ['a database that is not there', { pathname: '/nowhere' }, /: it has no database nowhere; make it: createdb /],
  ['a port where nothing listens', { port: '1' }, /: nothing listens there$/],
  ['a host that does not exist', { hostname: 'no.invalid' }, /: there is no host of that name$/],
] as const)
  test(`${title} is one line for the operator, without the password`, async t => {
    const url = new URL(await emptyDatabase(t))
    Object.assign(url, change)
    const error = await t.throwsAsync(open(t, String(url)))
    t.regex(error!.message, message)
    t.regex(error!.message, /^cannot use the database postgres:\/\/latchkey@[^\n]*$/)
    t.false(error!.message.includes(':latchkey@') || error!.message.includes('wrong-secret'))
  })
