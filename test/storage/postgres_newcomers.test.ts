/** New users and clients on PostgreSQL: what several nodes make at once, and imports of many beside them. */
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import type pg from 'pg'
import { OAuthError } from '../../src/error.ts'
import { firstGeneration } from '../../src/sessions/session.ts'
import { takeLock } from '../../src/storage/postgres/advisory_lock.ts'
import { clientRows } from '../../src/storage/postgres/clients.ts'
import type { Db } from '../../src/storage/postgres/connection.ts'
import { drizzle } from '../../src/storage/postgres/drizzle.ts'
import { userRows } from '../../src/storage/postgres/user_rows.ts'
import { migratedDatabase, openClient, openOn } from '../_postgres.ts'
import { startTime as start, type TestContext } from '../_server.ts'
import { client, event, populate, refresh, session, user } from './_records.ts'

/** Nodes on one database, and a transaction beside them that has the lock of newcomers until it is ended. */
async function open(t: TestContext, nodes = 2) {
  const url = await migratedDatabase(t)
  const storages = await Promise.all(Array.from({ length: nodes }, () => openOn(t, url)))
  const beside = await openClient(t, url)
  const tx = drizzle({ client: beside as pg.PoolClient }) as Db
  return { storages, storage: storages[0]!, tx, query: (text: string) => beside.query(text) }
}

type Beside = Pick<Awaited<ReturnType<typeof open>>, 'tx' | 'query'>

async function holdNewcomers({ tx, query }: Beside): Promise<void> {
  await query('BEGIN')
  await takeLock(tx, 'newcomers')
}

/** Of this database: that of another test is on the same server. */
const waiting = `FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

/** Resolves when so many wait for the lock of newcomers. */
async function untilWaiting({ query }: Beside, count: number): Promise<void> {
  for (let tries = 0; tries < 2000; tries++) {
    const { rowCount } = await query(`SELECT ${waiting}`)
    if (rowCount === count) return
    await delay(10)
  }
  throw new Error(`${count} are not waiting`)
}

/** More than one statement sends, and more than one makes users of. */
const manyUsers = Array.from({ length: 12_000 }, (_, i) => user(`alice${i}`, { email: `alice${i}@example.com` }))
const isUnavailable = (error: unknown) => error instanceof OAuthError && error.code === 'temporarily_unavailable'

test('of names that look alike one is made, however many nodes are asked at once (NFKC_Casefold)', async t => {
  const { storages } = await open(t, 3)
  for (let round = 0; round < 8; round++) {
    const names = [`five${round}`, `ﬁve${round}`, `ＦＩＶＥ${round}`]
    const outcomes = await Promise.all(
      storages.map((storage, i) =>
        storage.createUsers([user(names[i]!, { id: `usr_${round}_${i}` })], event('user.created')),
      ),
    )
    t.deepEqual(outcomes.map(taken => taken.length).toSorted(), [0, 1, 1])
  }
  t.is((await storages[0]!.listUsers()).length, 8)
})

test('of nodes that start at once on an empty database one bootstraps', async t => {
  const { storages } = await open(t, 5)
  const outcomes = await Promise.all(
    storages.map((storage, i) => storage.bootstrap(client(`app${i}`), user(`admin${i}`), event('user.created'))),
  )
  t.deepEqual(outcomes.toSorted(), [false, false, false, false, true])
  t.is((await storages[0]!.listUsers()).length, 1)
  t.is((await storages[0]!.listClients()).length, 1)
})

for (const [who, insert] of [
  ['a client', (tx: Db) => clientRows.insert(tx, client('web'))],
  ['a user', (tx: Db) => userRows.insert(tx, [user('bob')])],
] as const) {
  test(`who is about to bootstrap waits for ${who} that another node is making, and then does not`, async t => {
    const { storage, ...beside } = await open(t, 1)
    await holdNewcomers(beside)
    const bootstrapped = storage.bootstrap(client('app'), user('admin'), event('user.created'))
    await untilWaiting(beside, 1)
    await insert(beside.tx)
    await beside.query('COMMIT')
    t.false(await bootstrapped)
    t.is((await storage.listUsers()).length + (await storage.listClients()).length, 1)
  })
}

for (const [rule, name, id, email, member] of [
  ['a name', 'alice3', 'usr_new', undefined, 'username'],
  ['a name that looks like one (NFKC_Casefold)', 'ａｌｉｃｅ3', 'usr_new', undefined, 'username'],
  ['an id', 'carol', 'usr_alice3', undefined, 'id'],
  ['an address', 'carol', 'usr_new', 'ALICE3@example.com', 'email'],
  ['a name that is an address', 'Alice3@example.com', 'usr_new', undefined, 'email'],
] as const) {
  test(`who is created before an import ends keeps ${rule}, and that creates none`, async t => {
    const { storage, ...beside } = await open(t, 1)
    await holdNewcomers(beside)
    const imported = storage.importUsers(manyUsers, event('user.created'), () => start)
    // All of them are at the server.
    await untilWaiting(beside, 1)
    await userRows.insert(beside.tx, [user(name, { id, email })])
    await beside.query('COMMIT')
    t.deepEqual(await imported, [{ user: manyUsers[3], member }])
    t.deepEqual(
      (await storage.listUsers()).map(({ username }) => username),
      [name],
    )
    t.deepEqual(await storage.listAuditEvents(1), [])
  })
}

test('who is created while an import ends waits for it, and hears that the name is taken', async t => {
  const { storages, ...beside } = await open(t)
  await holdNewcomers(beside)
  const imported = storages[0]!.importUsers(manyUsers, event('user.created'), () => start)
  await untilWaiting(beside, 1)
  const [taken, free] = [user('alice3', { id: 'usr_new' }), user('carol')]
  const created = [taken, free].map(one => storages[1]!.createUsers([one], event('user.created')))
  await untilWaiting(beside, 3)
  await beside.query('COMMIT')
  t.deepEqual(await imported, [])
  t.deepEqual(await Promise.all(created), [[{ user: taken, member: 'username' }], []])
  t.is((await storages[1]!.listUsers()).length, manyUsers.length + 1)
})

test('while an import waits nobody sees its users, and sessions go on', async t => {
  const { storages, storage, ...beside } = await open(t)
  await populate(storage, session('a'))
  await holdNewcomers(beside)
  const imported = storage.importUsers(manyUsers, event('user.created'), () => start)
  await untilWaiting(beside, 1)
  for (const node of storages) {
    t.is((await node.listUsers()).length, 2)
    t.is(await node.findUserByUsername('alice0'), undefined)
    t.deepEqual((await node.samplePasswordHashes('', 10)).hashes, ['hash', 'hash'])
  }
  t.is((await refresh(storages[1]!, 'a', firstGeneration)).kind, 'rotated')
  t.true(await storages[1]!.createSession(session('b'), { version: 1 }, event('session.created')))
  await beside.query('COMMIT')
  t.deepEqual(await imported, [])
  t.is((await storages[1]!.listUsers()).length, manyUsers.length + 2)
})

test('an import whose connection is lost is temporarily_unavailable and leaves nothing; the next one creates all', async t => {
  const { storage, ...beside } = await open(t, 1)
  await holdNewcomers(beside)
  const imported = storage.importUsers(manyUsers, event('user.created'), () => start)
  await untilWaiting(beside, 1)
  // As its own role may.
  await beside.query(`SELECT pg_terminate_backend(pid) ${waiting}`)
  t.true(isUnavailable(await t.throwsAsync(imported)))
  await beside.query('COMMIT')
  t.deepEqual(await storage.listUsers(), [])
  t.deepEqual(await storage.importUsers(manyUsers, event('user.created'), () => start), [])
  t.is((await storage.listUsers()).length, manyUsers.length)
  t.is((await storage.listAuditEvents(2)).length, 1)
})

test('a user with names that PostgreSQL would read as more than texts is kept as it was', async t => {
  const { storage } = await open(t, 1)
  const odd = ['{a,b}', '"', '\\', "'; drop table users; --", 'NULL', '', 'a\nb', '💥'].map((text, i) =>
    user(`user${i}`, { fullName: text, email: text, passwordHash: text || undefined }),
  )
  t.deepEqual(await storage.createUsers(odd, event('user.created')), [])
  for (const one of odd) t.deepEqual(await storage.findUser(one.id), one)
})

test('a new username waits for newcomers and then finds what they took; an update without one waits for nobody', async t => {
  const { storage, ...beside } = await open(t, 1)
  await populate(storage, session('s1'))
  await holdNewcomers(beside)
  const renamed = storage.updateUser('usr_alice', { username: 'carol' }, event('user.updated'))
  await untilWaiting(beside, 1)

  t.like(await storage.updateUser('usr_alice', { roles: ['admin'] }, event('user.updated')), { roles: ['admin'] })
  t.is((await refresh(storage, 's1', firstGeneration)).kind, 'rotated')
  await userRows.insert(beside.tx, [user('Carol')])
  await beside.query('COMMIT')

  t.is(await renamed, 'username_taken')
  const free = await storage.updateUser('usr_alice', { username: 'dave' }, event('user.updated'))
  t.like(free, { username: 'dave', roles: ['admin'] })
})
