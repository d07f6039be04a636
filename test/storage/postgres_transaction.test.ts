/** Reads and transactions of PostgreSQL: isolation, what is run anew, and what an error means, on a real server and a network that fails. */
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import { OAuthError } from '../../src/error.ts'
import type { Db } from '../../src/storage/postgres/connection.ts'
import { maxConnections, maxWaiting, openPool } from '../../src/storage/postgres/pool.ts'
import { createTransactions } from '../../src/storage/postgres/transaction.ts'
import { type DatabaseUrl, parseDatabaseUrl } from '../../src/storage/postgres/url.ts'
import { startFaultyProxy } from '../_faulty_proxy.ts'
import { asSuperuser, emptyDatabase } from '../_postgres.ts'
import type { TestContext } from '../_server.ts'

async function open(t: TestContext, database?: string, maxStatement?: number) {
  const text = database ?? (await emptyDatabase(t))
  const url = parseDatabaseUrl(text, {}) as DatabaseUrl
  const changes: string[] = []
  const pool = await openPool(url, {
    onChange: why => changes.push(why),
    ...(maxStatement === undefined ? {} : { maxStatement }),
  })
  t.teardown(() => pool.close())
  const { read, write } = createTransactions(pool)
  return { text, url, pool, read, write, changes }
}

const query = async ({ $client }: Db, text: string, values: unknown[] = []) => (await $client.query(text, values)).rows

/** With a table of one counter. */
async function openCounter(t: TestContext) {
  const opened = await open(t)
  await opened.write(tx => query(tx, 'CREATE TABLE counters (id integer PRIMARY KEY, n integer NOT NULL)'))
  await opened.write(tx => query(tx, 'INSERT INTO counters SELECT i, 0 FROM generate_series(1, 10) i'))
  const count = async () => (await opened.read(db => query(db, 'SELECT n FROM counters WHERE id = 1')))[0].n as number
  return { ...opened, count }
}

const isUnavailable = (error: unknown) =>
  error instanceof OAuthError && error.code === 'temporarily_unavailable' && error.retryAfter === 1

test('a write is one transaction in READ COMMITTED, whatever the defaults of the database are', async t => {
  const { text, url } = await open(t)
  const { write: alter } = await open(t, await asSuperuser(text))
  await alter(tx => query(tx, `ALTER DATABASE ${url.database} SET default_transaction_isolation = 'serializable'`))
  const { write } = await open(t, text)
  t.deepEqual(await write(tx => query(tx, 'SHOW transaction_isolation')), [{ transaction_isolation: 'read committed' }])
})

test('the server ends what a node that is gone has left: each transaction brings its limits, and takes them away', async t => {
  const { write, read } = await open(t)
  const limits = `SELECT current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement,
    current_setting('idle_in_transaction_session_timeout') AS idle`
  t.deepEqual(await write(tx => query(tx, limits)), [{ lock: '2s', statement: '9s', idle: '10s' }])
  t.deepEqual(await read(db => query(db, limits)), [{ lock: '0', statement: '0', idle: '0' }])
})

test('a statement that takes longer than whoever asked would wait is given up, and the operator waits longer', async t => {
  const text = await emptyDatabase(t)
  const [request, command] = [await open(t, text, 1500), await open(t, text, 60_000)]
  const slow = (db: Db) => query(db, 'SELECT pg_sleep(3)')
  t.true(isUnavailable(await t.throwsAsync(request.read(slow))))
  t.true(isUnavailable(await t.throwsAsync(request.write(slow))))
  await t.notThrowsAsync(command.read(slow))
  await t.notThrowsAsync(command.write(slow))
})

test('a 64-bit number comes as a number, and only to our own clients', async t => {
  const { read } = await open(t)
  t.deepEqual(await read(db => query(db, 'SELECT 4503599627370496::bigint AS n')), [{ n: 2 ** 52 }])
})

test('an error of the caller rolls back and is thrown as it is', async t => {
  const { write, count } = await openCounter(t)
  const mistake = new TypeError('a mistake')
  const refusal = new OAuthError('invalid_grant', 'no')
  for (const thrown of [mistake, refusal]) {
    const error = await t.throwsAsync(
      write(async tx => {
        await query(tx, 'UPDATE counters SET n = 9')
        throw thrown
      }),
    )
    t.is<unknown, unknown>(error, thrown)
  }
  t.is(await count(), 0)
})

test('a mistake in a statement is no trouble of the database', async t => {
  const { write, read, count } = await openCounter(t)
  await t.throwsAsync(
    write(tx => query(tx, 'SELECT nonsense')),
    { message: /nonsense/, name: 'error' },
  )
  await t.throwsAsync(
    read(db => query(db, 'SELECT nonsense')),
    { message: /nonsense/ },
  )
  t.is(await count(), 0)
})

test('an error that the caller caught does not let the transaction pass for committed', async t => {
  const { write, count } = await openCounter(t)
  await t.throwsAsync(
    write(async tx => {
      await query(tx, 'UPDATE counters SET n = 9')
      await query(tx, 'SELECT nonsense').catch(() => {})
    }),
    { message: /had failed/ },
  )
  t.is(await count(), 0)
})

test('a deadlock is run anew as a whole, and both sides come through', async t => {
  const { write, read } = await openCounter(t)
  let runs = 0
  let arrived = 0
  const bothAreThere = Promise.withResolvers<void>()
  const addBoth = (first: number, second: number) =>
    write(async tx => {
      runs++
      await query(tx, 'UPDATE counters SET n = n + 1 WHERE id = $1', [first])
      if (++arrived === 2) bothAreThere.resolve()
      await bothAreThere.promise
      await query(tx, 'UPDATE counters SET n = n + 1 WHERE id = $1', [second])
    })
  await Promise.all([addBoth(1, 2), addBoth(2, 1)])
  t.true(runs > 2)
  t.deepEqual(await read(db => query(db, 'SELECT n FROM counters WHERE id <= 2')), [{ n: 2 }, { n: 2 }])
})

test('a lock that nobody gives back is temporarily_unavailable, not an endless wait', async t => {
  const { write, text } = await openCounter(t)
  const other = await open(t, text)
  const done = Promise.withResolvers<void>()
  const locked = Promise.withResolvers<void>()
  const holding = other.write(async tx => {
    await query(tx, 'UPDATE counters SET n = 1 WHERE id = 1')
    locked.resolve()
    await done.promise
  })
  await locked.promise
  const waiting = write(async tx => {
    await query(tx, "SET LOCAL lock_timeout = '20ms'")
    await query(tx, 'UPDATE counters SET n = 2 WHERE id = 1')
  })
  t.true(isUnavailable(await t.throwsAsync(waiting)))
  done.resolve()
  await holding
})

test('20 writes at once on one row: each counts once', async t => {
  const { write, count } = await openCounter(t)
  await Promise.all(
    Array.from({ length: 20 }, () => write(tx => query(tx, 'UPDATE counters SET n = n + 1 WHERE id = 1'))),
  )
  t.is(await count(), 20)
})

test('some thousand reads wait for ten connections; what comes beyond that is refused at once', async t => {
  const { read } = await open(t)
  const length = maxConnections + maxWaiting + 100
  const gate = Promise.withResolvers<void>()
  // Nobody gets on before all have come.
  const all = Promise.allSettled(Array.from({ length }, () => read(async () => gate.promise)))
  const first = await Promise.race([all, read(async () => {}).catch(error => error)])
  t.true(isUnavailable(first))
  gate.resolve()
  const refused = (await all).filter(one => one.status === 'rejected')
  t.is(refused.length, 100)
  t.true(refused.every(({ reason }) => isUnavailable(reason)))
  t.deepEqual(await read(db => query(db, 'SELECT 1 AS one')), [{ one: 1 }])
})

/** Through a network that fails on command. */
async function openThroughProxy(t: TestContext) {
  const direct = await openCounter(t)
  const proxy = await startFaultyProxy(t, { port: direct.url.hosts[0]!.port })
  const through = new URL(direct.text)
  through.port = String(proxy.port)
  return { direct, proxy, ...(await open(t, through.href)) }
}

test('the answer to a COMMIT is lost: nobody knows, so it is temporarily_unavailable, and it has happened', async t => {
  const { direct, proxy, write } = await openThroughProxy(t)
  const lost = proxy.loseCommitAnswer()
  const failed = write(tx => query(tx, 'UPDATE counters SET n = n + 1 WHERE id = 1'))
  t.true(isUnavailable(await t.throwsAsync(failed)))
  await lost
  t.is(await direct.count(), 1)
  // The next one has a connection of its own.
  await write(tx => query(tx, 'UPDATE counters SET n = n + 1 WHERE id = 1'))
  t.is(await direct.count(), 2)
})

test('a COMMIT that is lost on its way is temporarily_unavailable too, and nothing has happened', async t => {
  const { direct, proxy, write } = await openThroughProxy(t)
  const lost = proxy.loseCommit()
  const failed = write(tx => query(tx, 'UPDATE counters SET n = n + 1 WHERE id = 1'))
  t.true(isUnavailable(await t.throwsAsync(failed)))
  await lost
  t.is(await direct.count(), 0)
})

test('connections that are cut are 503 for who has them, and end no process; the next request has new ones', async t => {
  const { direct, proxy, read, changes } = await openThroughProxy(t)
  const busy = Array.from({ length: 5 }, () => read(db => query(db, 'SELECT pg_sleep(9)')))
  const all = Promise.allSettled(busy)
  const sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(9)' AND state = 'active'"
  while ((await direct.read(db => query(db, sleeping)))[0].count < 5) await delay(10)
  proxy.cut()
  for (const one of await all) t.true(one.status === 'rejected' && isUnavailable(one.reason))
  t.deepEqual(await read(db => query(db, 'SELECT 1 AS one')), [{ one: 1 }])
  t.is(changes.length, 1)
})

test('while there is no server requests are refused without waiting, by one search; afterwards all is well by itself', async t => {
  const { proxy, read } = await openThroughProxy(t)
  proxy.refuse()
  const all = await Promise.allSettled(Array.from({ length: 100 }, () => read(db => query(db, 'SELECT 1'))))
  t.true(all.every(one => one.status === 'rejected' && isUnavailable(one.reason)))
  await proxy.pass()
  let answer: unknown
  while (answer === undefined) {
    await delay(50)
    answer = await read(db => query(db, 'SELECT 1 AS one')).catch(() => undefined)
  }
  t.deepEqual(answer, [{ one: 1 }])
})

test('while a search meets nothing but silence requests do not wait for it', async t => {
  const { proxy, read } = await openThroughProxy(t)
  proxy.refuse()
  await t.throwsAsync(read(db => query(db, 'SELECT 1')))
  proxy.goBlack()
  await proxy.pass()
  proxy.goBlack()
  // Each search takes three seconds from now on, and a test two minutes.
  for (let i = 0; i < 100; i++) await t.throwsAsync(read(db => query(db, 'SELECT 1')))
  t.pass()
})

test('a WARNING 01000 at COMMIT is no success: a standby did not confirm it', async t => {
  const { write, count } = await openCounter(t)
  await write(tx =>
    query(
      tx,
      `CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'not replicated'; RETURN NULL; END $$`,
    ),
  )
  await write(tx =>
    query(
      tx,
      'CREATE CONSTRAINT TRIGGER warn AFTER UPDATE ON counters INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION warn()',
    ),
  )
  const error = await t.throwsAsync(write(tx => query(tx, 'UPDATE counters SET n = 1 WHERE id = 1')))
  t.true(isUnavailable(error))
  t.regex(String((error!.cause as Error).message), /not replicated/)
  t.is(await count(), 1)
  await t.notThrowsAsync(
    write(tx => query(tx, 'INSERT INTO counters VALUES (11, 0)')),
    'the connection is in order',
  )
})
