/** The changes of sessions on PostgreSQL: what one turn of the event loop asks for, by few statements, beside other nodes and in spite of them. */
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import { OAuthError } from '../../src/error.ts'
import { decideRefresh, type RefreshDecision, refreshChange } from '../../src/sessions/refresh.ts'
import { firstGeneration } from '../../src/sessions/session.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { databases } from '../_databases.ts'
import { startFaultyProxy } from '../_faulty_proxy.ts'
import { migratedDatabase, openClient, openOn } from '../_postgres.ts'
import { startTime as start, type TestContext } from '../_server.ts'
import { findSession } from '../_storages.ts'
import { caller, client, event, policy, session, user } from './_records.ts'

/** Alice with these sessions, on as many nodes. */
async function open(t: TestContext, ids: readonly string[], nodes = 1) {
  const { open: openNode, query } = await databases.postgres(t)
  const storages = await Promise.all(Array.from({ length: nodes }, openNode))
  const storage = storages[0]!
  await storage.createUsers([user('alice'), user('bob')], event('user.created'))
  for (const id of ['app', 'web']) await storage.createClient(client(id), event('client.created'))
  for (const id of ids) await storage.createSession(session(id), { version: 1 }, event('session.created'))
  return { storage, storages, query }
}

const named = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`)

const refresh = (storage: Storage, id: string, generation: number, now = start) =>
  storage.changeSession(id, row =>
    refreshChange(decideRefresh(row, { sessionId: id, generation, clientId: 'app', caller }, now, policy), now, caller),
  )

const isUnavailable = (error: unknown) => error instanceof OAuthError && error.code === 'temporarily_unavailable'

const count = (kinds: readonly string[]) =>
  Object.fromEntries([...Map.groupBy(kinds, kind => kind)].map(([kind, all]) => [kind, all.length]))

test('the changes of one turn are written together, 32 at most', async t => {
  const ids = named('s', 40)
  const { storage, query } = await open(t, ids)
  const decisions = await Promise.all(ids.map(id => refresh(storage, id, firstGeneration)))
  t.deepEqual(count(decisions.map(({ kind }) => kind)), { rotated: 40 })
  // Rows of one transaction bear its number.
  const sizes = await query('SELECT count(*)::int AS size FROM sessions GROUP BY xmin ORDER BY size')
  t.deepEqual(
    sizes.map(({ size }) => size),
    [8, 32],
  )
})

test('one token 50 times at once on two nodes: it is rotated once, and the others get the same successor', async t => {
  const { storages } = await open(t, ['a'], 2)
  const decisions = await Promise.all(
    Array.from({ length: 50 }, (_, i) => refresh(storages[i % 2]!, 'a', firstGeneration)),
  )
  t.deepEqual(count(decisions.map(({ kind }) => kind)), { rotated: 1, retried: 49 })
  const generations = decisions.map(decision => 'session' in decision && decision.session.generation)
  t.deepEqual([...new Set(generations)], [firstGeneration + 1])
})

test('a decision that fails takes no other with it, neither of its session nor of its turn', async t => {
  const { storage } = await open(t, ['a', 'b'])
  const results = await Promise.allSettled([
    refresh(storage, 'a', firstGeneration),
    storage.changeSession<RefreshDecision>('a', () => {
      throw new TypeError('a mistake')
    }),
    refresh(storage, 'a', firstGeneration),
    refresh(storage, 'b', firstGeneration),
  ])
  t.deepEqual(
    results.map(result => (result.status === 'fulfilled' ? result.value.kind : result.reason.message)),
    ['rotated', 'a mistake', 'retried', 'rotated'],
  )
  t.is((await findSession(storage, 'a'))?.generation, firstGeneration + 1)
})

test('a row that PostgreSQL refuses takes no other of its turn with it', async t => {
  const { storage } = await open(t, ['a', 'b', 'c'])
  const results = await Promise.allSettled([
    refresh(storage, 'a', firstGeneration),
    storage.changeSession('b', row => ({ outcome: undefined, session: { ...row!, device: 'a\0b' } })),
    refresh(storage, 'c', firstGeneration),
  ])
  t.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  const generations = await Promise.all(['a', 'b', 'c'].map(async id => (await findSession(storage, id))?.generation))
  t.deepEqual(generations, [firstGeneration + 1, firstGeneration, firstGeneration + 1])
})

test('an event without a change of the row is written too, also of a session that is not there', async t => {
  const { storage } = await open(t, ['a'])
  const note = (id: string) =>
    storage.changeSession(id, () => ({ outcome: undefined, events: [{ ...event('session.healed'), detail: id }] }))
  await Promise.all([note('a'), note('b')])
  const events = await storage.listAuditEvents(10, { type: 'session.healed' })
  t.deepEqual(events.map(({ detail }) => detail).toSorted(), ['a', 'b'])
})

test('logouts and refreshes of one turn are written together, each logout with its event', async t => {
  const ids = named('s', 20)
  const { storage, query } = await open(t, ids)
  const logout = (id: string) => storage.revokeSessions({ id }, 'logout', event('session.revoked'))
  const answers = await Promise.all(
    ids.flatMap((id, i) => (i % 2 === 0 ? [logout(id)] : [refresh(storage, id, firstGeneration).then(() => 0)])),
  )
  t.is(
    answers.reduce((a, b) => a + b),
    10,
  )
  t.is((await query('SELECT DISTINCT xmin FROM sessions')).length, 1)
  const events = await storage.listAuditEvents(20, { type: 'session.revoked' })
  t.deepEqual(
    events.map(({ userId }) => userId),
    Array(10).fill('usr_alice'),
  )
  t.is(await logout('s0'), 0)
})

test('who holds the lock of one session holds up no other', async t => {
  const url = await migratedDatabase(t)
  const storage = await openOn(t, url)
  await storage.createUsers([user('alice')], event('user.created'))
  await storage.createClient(client('app'), event('client.created'))
  for (const id of ['held', 'free']) await storage.createSession(session(id), { version: 1 }, event('session.created'))
  const other = await openClient(t, url)
  await other.query("BEGIN; UPDATE sessions SET last_seen_at = last_seen_at + 1 WHERE id = 'held'")
  let isDone = false
  const held = refresh(storage, 'held', firstGeneration).finally(() => (isDone = true))
  for (let i = 0; i < 20; i++) t.is((await refresh(storage, 'free', firstGeneration + i)).kind, 'rotated')
  t.false(isDone)
  await other.query('COMMIT')
  t.is((await held).kind, 'rotated')
  t.is((await findSession(storage, 'held'))?.generation, firstGeneration + 1)
})

/** Another node that changes a row while this one decides about it: within a decision nothing of this thread can. */
function createMeddler(t: TestContext, url: string) {
  const signal = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(
    `const { workerData, parentPort } = require('node:worker_threads')
    const { Client } = require('pg')
    const client = new Client(workerData.url)
    const ready = client.connect()
    parentPort.on('message', async text => {
      await ready
      await client.query(text)
      Atomics.store(workerData.signal, 0, 1)
      Atomics.notify(workerData.signal, 0)
    })`,
    { eval: true, workerData: { url, signal } },
  )
  t.teardown(() => worker.terminate())
  return (text: string) => {
    Atomics.store(signal, 0, 0)
    worker.postMessage(text)
    if (Atomics.wait(signal, 0, 0, 10_000) === 'timed-out') throw new Error('the other node did not come')
  }
}

test('what another node changes between a decision and its writing is decided anew, the third time under the lock', async t => {
  const url = await migratedDatabase(t)
  const storage = await openOn(t, url)
  await storage.createUsers([user('alice')], event('user.created'))
  await storage.createClient(client('app'), event('client.created'))
  for (const id of ['a', 'b']) await storage.createSession(session(id), { version: 1 }, event('session.created'))
  const meddle = createMeddler(t, url)

  for (const times of [1, 2, 3]) {
    const seen: number[] = []
    const changed = storage.changeSession('a', row => {
      const { lastSeenAt } = row!
      seen.push(lastSeenAt - start)
      if (seen.length <= times) meddle(`UPDATE sessions SET last_seen_at = last_seen_at + 1 WHERE id = 'a'`)
      return { outcome: undefined, session: { ...row!, lastSeenAt: lastSeenAt + 100 } }
    })
    const beside = refresh(storage, 'b', firstGeneration)
    await Promise.all([changed, beside])
    t.is(seen.length, times + 1)
    t.is((await findSession(storage, 'a'))!.lastSeenAt, start + seen.at(-1)! + 100)
  }
})

test('a reuse is decided about the row as it is when it ends: a session that another node has moved on goes on', async t => {
  const url = await migratedDatabase(t)
  const storage = await openOn(t, url)
  await storage.createUsers([user('alice')], event('user.created'))
  await storage.createClient(client('app'), event('client.created'))
  await storage.createSession(
    session('a', { generation: firstGeneration + 5 }),
    { version: 1 },
    event('session.created'),
  )
  const meddle = createMeddler(t, url)
  const kinds: string[] = []
  const decision = await storage.changeSession('a', row => {
    const presented = { sessionId: 'a', generation: firstGeneration + 3, clientId: 'app', caller }
    const decided = decideRefresh(row, presented, start, policy)
    kinds.push(decided.kind)
    if (kinds.length === 1) meddle(`UPDATE sessions SET parent_generation = ${firstGeneration + 3} WHERE id = 'a'`)
    return refreshChange(decided, start, caller)
  })
  t.deepEqual(kinds, ['reused', 'retried'])
  t.is(decision.kind, 'retried')
  t.is((await findSession(storage, 'a'))?.revokedAt, undefined)
  t.deepEqual(await storage.listAuditEvents(9, { type: 'session.reused' }), [])
})

test('of a batch whose answer is lost all are temporarily_unavailable, and every retry gets its one successor', async t => {
  const url = await migratedDatabase(t)
  const direct = await openOn(t, url)
  await direct.createUsers([user('alice')], event('user.created'))
  await direct.createClient(client('app'), event('client.created'))
  const ids = named('s', 8)
  for (const id of ids) await direct.createSession(session(id), { version: 1 }, event('session.created'))
  const proxy = await startFaultyProxy(t, { port: Number(new URL(url).port) })
  const storage = await openOn(t, Object.assign(new URL(url), { port: proxy.port }).href)

  for (const [lose, kind] of [
    [proxy.loseCommitAnswer, 'retried'],
    [proxy.loseCommit, 'rotated'],
  ] as const) {
    const before = await Promise.all(ids.map(id => findSession(direct, id)))
    const lost = lose({ statement: /update sessions/i })
    const refreshAll = () => Promise.allSettled(ids.map((id, i) => refresh(storage, id, before[i]!.generation)))
    const first = await refreshAll()
    await lost
    t.true(first.every(one => one.status === 'rejected' && isUnavailable(one.reason)))
    const second = await refreshAll()
    t.deepEqual(
      second.map(one => one.status === 'fulfilled' && one.value.kind),
      ids.map(() => kind),
    )
    const after = await Promise.all(ids.map(id => findSession(direct, id)))
    t.deepEqual(
      after.map(one => one!.generation),
      before.map(one => one!.generation + 1),
    )
  }
})

test('a batch that no standby has confirmed (WARNING 01000) is temporarily_unavailable, and the retry gets its successor', async t => {
  const { storage, query } = await open(t, ['a', 'b'])
  await query(
    `CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'not replicated'; RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER warn AFTER UPDATE ON sessions INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION warn()`,
  )
  const refreshBoth = () => Promise.allSettled(['a', 'b'].map(id => refresh(storage, id, firstGeneration)))
  const first = await refreshBoth()
  t.true(first.every(one => one.status === 'rejected' && isUnavailable(one.reason)))
  const second = await refreshBoth()
  t.deepEqual(
    second.map(one => one.status === 'fulfilled' && one.value.kind),
    ['retried', 'retried'],
  )
})

for (const level of ['repeatable read', 'serializable'])
  test(`a database whose default isolation is ${level} answers the same`, async t => {
    const url = await migratedDatabase(t)
    const admin = await openClient(t, url)
    await admin.query(`ALTER DATABASE ${new URL(url).pathname.slice(1)} SET default_transaction_isolation = '${level}'`)
    const storages = [await openOn(t, url), await openOn(t, url)]
    const storage = storages[0]!
    await storage.createUsers([user('alice')], event('user.created'))
    await storage.createClient(client('app'), event('client.created'))
    const ids = named('s', 8)
    for (const id of ids) await storage.createSession(session(id), { version: 1 }, event('session.created'))
    const decisions = await Promise.all(
      Array.from({ length: 80 }, (_, i) => refresh(storages[i % 2]!, ids[i % 7]!, firstGeneration)),
    )
    t.deepEqual(count(decisions.map(({ kind }) => kind)), { rotated: 7, retried: 73 })
  })

test('the limit of sessions is exact, from however many nodes the sign-ins come', async t => {
  const { storages } = await open(t, [], 3)
  const limit = 4
  const ids = named('s', 30)
  await Promise.all(
    ids.map((id, i) => storages[i % 3]!.createSession(session(id), { version: 1 }, event('session.created'), limit)),
  )
  t.is((await storages[0]!.listLiveSessions({}, start, 100)).length, limit)
})

test('more sessions than one statement ends are ended all at once', async t => {
  const { storage, query } = await open(t, ['a'])
  await query(`INSERT INTO sessions (id, user_id, client_id, scope, audience, generation, parent_generation, rotated_at, created_at, auth_time, amr, last_seen_at, idle_expires_at, expires_at)
    SELECT 'm' || i, user_id, client_id, scope, audience, generation, parent_generation, rotated_at, created_at, auth_time, amr, last_seen_at, idle_expires_at, expires_at
    FROM sessions CROSS JOIN generate_series(1, 12000) i`)
  const end = () => storage.revokeSessions({}, 'revoked_by_operator', event('session.revoked'))
  t.is(await end(), 12_001)
  t.is(await end(), 0)
  t.is((await query('SELECT DISTINCT xmin FROM sessions')).length, 1)
  const [recorded] = await storage.listAuditEvents(1)
  t.is(recorded?.detail, 'revoked_by_operator: 12001')
})

test('rotations need no room: rows change in their pages, and no index grows', async t => {
  const ids = named('s', 64)
  const { storage, query } = await open(t, ids)
  const sizes = async () => {
    const [row] = await query(
      "SELECT pg_table_size('sessions')::int AS rows, pg_indexes_size('sessions')::int AS indexes",
    )
    return row as { rows: number; indexes: number }
  }
  const rotate = async (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      const decisions = await Promise.all(ids.map(id => refresh(storage, id, firstGeneration + i, start + i)))
      if (decisions.some(({ kind }) => kind !== 'rotated')) throw new Error(`rotation ${i} went wrong`)
    }
  }
  await rotate(0, 50)
  const early = await sizes()
  await rotate(50, 200)
  const late = await sizes()
  t.is(late.indexes, early.indexes)
  t.true(late.rows <= early.rows * 1.25, `${early.rows} bytes became ${late.rows}`)
  // What a connection has counted is there for all when it ends.
  await storage.close()
  t.true(
    await until(async () => {
      const [row] = await query(
        "SELECT n_tup_upd::int AS updated, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = 'sessions'",
      )
      const { updated, hot } = row as { updated: number; hot: number }
      return updated >= 64 * 200 && hot > updated * 0.9
    }),
  )
})

/** The end of a connection takes a moment. */
async function until(isSo: () => Promise<boolean>): Promise<boolean> {
  for (let i = 0; i < 200; i++) {
    if (await isSo()) return true
    await delay(50)
  }
  return false
}
