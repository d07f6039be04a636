/** The network that fails on command does what the tests of PostgreSQL believe of it: against a real server. */
import type { ExecutionContext } from 'ava'
import { Client } from 'pg'
import {
  database,
  makeSynchronous,
  startPgbouncer,
  startPrimary,
  startStandby,
  testCluster,
  testPooled,
} from '../_cluster.ts'
import { startFaultyProxy } from '../_faulty_proxy.ts'

const update = 'UPDATE counter SET n = n + 1'

async function start(t: ExecutionContext) {
  const primary = await startPrimary(t)
  await primary.query('CREATE TABLE counter AS SELECT 0 AS n')
  const proxy = await startFaultyProxy(t, primary)
  const count = async () => (await primary.query<{ n: number }>('SELECT n FROM counter'))[0]!.n
  const connect = () => connectTo(t, proxy.port)
  return { primary, proxy, count, connect }
}

async function connectTo(t: ExecutionContext, port: number) {
  const client = new Client({ host: '127.0.0.1', port, user: 'postgres', database, query_timeout: 3000 })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.end().catch(() => {}))
  return client
}

async function transaction(client: Client, ...statements: string[]) {
  for (const statement of ['BEGIN', ...statements, 'COMMIT']) await client.query(statement, [])
}

testCluster('a COMMIT whose answer is lost has happened, one that is lost on its way has not', async t => {
  const { proxy, count, connect } = await start(t)
  const lost = proxy.loseCommitAnswer()
  const first = await connect()
  const error = await t.throwsAsync(transaction(first, update))
  await lost
  t.is((error as { code?: string }).code, undefined, 'there is no SQLSTATE')
  t.is(await count(), 1)

  const onItsWay = proxy.loseCommit()
  await t.throwsAsync(transaction(await connect(), update))
  await onItsWay
  t.is(await count(), 1)

  await transaction(await connect(), update)
  t.is(await count(), 2)
})

testCluster('only the transaction that has a certain statement is lost, or the statement alone', async t => {
  const { proxy, count, connect } = await start(t)
  const client = await connect()
  const lost = proxy.loseCommitAnswer({ statement: /^UPDATE/ })
  await transaction(client, 'SELECT 1')
  await client.query('SELECT 2')
  await t.throwsAsync(client.query(update, []))
  await lost
  t.is(await count(), 1)

  const silent = proxy.loseCommitAnswer({ statement: /^UPDATE/, silence: 'black' })
  const second = await connect()
  const error = await t.throwsAsync(transaction(second, update))
  await silent
  t.regex(error!.message, /timeout/)
  t.is(await count(), 2)
})

testCluster('connections are cut, refused, or go black, and pass again', async t => {
  const { proxy, connect } = await start(t)
  const client = await connect()
  t.is(proxy.connections(), 1)
  proxy.cut()
  await t.throwsAsync(client.query('SELECT 1'))

  proxy.refuse()
  await t.throwsAsync(connect(), { message: /ECONNREFUSED/ })
  await proxy.pass()

  const later = await connect()
  proxy.goBlack()
  await t.throwsAsync(later.query('SELECT 1'), { message: /timeout/ })
  await proxy.pass()
  await t.throwsAsync(later.query('SELECT 1'), { message: /timeout/ }, 'what was black stays so')
  const newest = await connect()
  t.is((await newest.query('SELECT 1')).rowCount, 1)
})

testCluster('a standby follows its primary, waits for it, and is promoted', async t => {
  const primary = await startPrimary(t)
  const standby = await startStandby(t, primary)
  await makeSynchronous(primary)
  await primary.query('CREATE TABLE counter AS SELECT 1 AS n')
  await t.throwsAsync(standby.query('CREATE TABLE other AS SELECT 1'), { message: /read-only/ })

  await primary.kill()
  await standby.promote()

  t.deepEqual(await standby.query('SELECT n FROM counter'), [{ n: 1 }])
  await standby.query('UPDATE counter SET n = 2')
  await primary.start()
  t.deepEqual(await primary.query('SELECT n FROM counter'), [{ n: 1 }], 'the old one knows nothing of it')
})

testPooled('pgbouncer gives each transaction any connection of its pool', async t => {
  const primary = await startPrimary(t)
  const { port } = await startPgbouncer(t, primary, { default_pool_size: 1 })
  const [first, second] = [await connectTo(t, port), await connectTo(t, port)]
  const backend = async (client: Client) => (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid
  t.is(await backend(first), await backend(second))
})
