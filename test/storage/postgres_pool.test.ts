/** The way to the server that takes writes: what it has to be, and what is said where there is none. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { inspectPostgres } from '../../src/storage/postgres/inspect.ts'
import { openPool } from '../../src/storage/postgres/pool.ts'
import { createTransactions } from '../../src/storage/postgres/transaction.ts'
import { type DatabaseUrl, parseDatabaseUrl } from '../../src/storage/postgres/url.ts'
import { until } from '../_cluster.ts'
import { startFaultyProxy } from '../_faulty_proxy.ts'
import { asSuperuser, emptyDatabase } from '../_postgres.ts'
import { createFolder, freePort } from '../_process.ts'
import type { TestContext } from '../_server.ts'

const parse = (text: string, env = {}): DatabaseUrl => {
  const url = parseDatabaseUrl(text, env)
  if ('problem' in url) throw new Error(url.problem)
  return url
}

async function open(t: TestContext, url: DatabaseUrl) {
  const changes: string[] = []
  const pool = await openPool(url, { onChange: why => changes.push(why) })
  t.teardown(pool.close)
  const { read, write } = createTransactions(pool)
  const ask = async (text: string) => read(async db => (await db.$client.query(text)).rows)
  const change = async (text: string) => write(async tx => (await tx.$client.query(text)).rows)
  return { pool, read, write, ask, change, changes }
}

const problemOf = async (t: ExecutionContext, url: DatabaseUrl) => (await t.throwsAsync(openPool(url)))!.message

for (const [setting, problem] of [
  ['default_transaction_read_only = on', /: it takes no writes: default_transaction_read_only is on$/],
  ['synchronous_commit = off', /: it has synchronous_commit off: what was answered could be lost$/],
  ['synchronous_commit = local', /: it has synchronous_commit local: what was answered could be lost$/],
] as const)
  test(`a server with ${setting} is refused in one line, and the doctor says the same`, async t => {
    const text = await emptyDatabase(t)
    const url = parse(text)
    const { pool } = await open(t, url)
    await pool.close()
    const admin = await open(t, parse(await asSuperuser(text)))
    await admin.change(`ALTER DATABASE ${url.database} SET ${setting}`)
    t.regex(await problemOf(t, url), problem)
    const [report] = await inspectPostgres(url)
    t.deepEqual(
      report!.checks
        .flatMap(check => check.problem ?? [])
        .map(text => `: it ${text}`)
        .filter(text => problem.test(text)).length,
      1,
    )
  })

test('a database that is not of UTF8 is refused', async t => {
  const url = parse(await asSuperuser(await emptyDatabase(t)))
  const admin = await open(t, url)
  const database = `${url.database}_ascii`
  await admin.ask(`CREATE DATABASE ${database} ENCODING SQL_ASCII LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`)
  t.teardown(() => admin.ask(`DROP DATABASE ${database}`))
  t.regex(await problemOf(t, { ...url, database }), /: it has the encoding SQL_ASCII, and has to have UTF8$/)
})

test('the doctor: a server in order, with what is to be migrated; one that is not there', async t => {
  const url = parse(await emptyDatabase(t))
  const nowhere = { name: '127.0.0.1', port: await freePort() }
  const reports = await inspectPostgres({ ...url, hosts: [nowhere, ...url.hosts] })
  t.deepEqual(reports[0], { host: `127.0.0.1:${nowhere.port}`, problem: 'nothing listens there', checks: [] })
  t.is(reports[1]!.schema?.kind, 'pending')
  t.deepEqual(
    reports[1]!.checks.map(({ check, problem }) => [check, problem]),
    [
      ['version', undefined],
      ['takes writes', undefined],
      ['encoding', undefined],
      ['fsync', undefined],
      ['synchronous_commit', undefined],
    ],
  )
})

test('every host that cannot be used is named with its reason', async t => {
  const url = parse(await emptyDatabase(t))
  const [a, b] = [await freePort(), await freePort()]
  const hosts = [a, b].map(port => ({ name: '127.0.0.1', port }))
  const message = await problemOf(t, { ...url, hosts })
  t.true(message.endsWith(`: 127.0.0.1:${a}: nothing listens there; 127.0.0.1:${b}: nothing listens there`), message)
  await t.notThrowsAsync(open(t, { ...url, hosts: [...hosts, ...url.hosts] }))
})

test('the password comes from the password file, which nobody else may read', async t => {
  const text = await emptyDatabase(t)
  const { user, password, hosts, database } = parse(text)
  const file = join(createFolder(t), 'pgpass')
  const url = { ...parse(text), password: undefined, passwordFile: file }
  t.regex(await problemOf(t, url), /asks for the password of latchkey.*there is no password file/)
  const port = hosts[0]!.port
  writeFileSync(
    file,
    `# ours\n127.0.0.1:1:*:*:wrong\n*:${port}:${database}:some\\:body:wrong\n*:${port}:*:${user}:${password}\n`,
  )
  chmodSync(file, 0o644)
  t.regex(await problemOf(t, url), /is not used, because others can read it: chmod 600$/)
  chmodSync(file, 0o600)
  await t.notThrowsAsync(open(t, url))
  writeFileSync(file, `*:*:other:*:${password}\n`)
  t.regex(await problemOf(t, url), /no line of the password file .* fits$/)
})

test('a connection without a password is closed, not left to the patience of the server', async t => {
  const url = parse(await emptyDatabase(t))
  const proxy = await startFaultyProxy(t, { port: url.hosts[0]!.port })
  const hosts = [{ name: '127.0.0.1', port: proxy.port }]
  const passwordFile = join(createFolder(t), 'none')
  await problemOf(t, { ...url, hosts, password: undefined, passwordFile })
  await until('no connection', () => proxy.connections() === 0, 10_000)
  t.pass()
})

test('in a network that swallows packets nothing holds up the end of the pool, nor the end of the process after it', async t => {
  const url = parse(await emptyDatabase(t))
  const proxy = await startFaultyProxy(t, { port: url.hosts[0]!.port })
  const { pool, ask } = await open(t, { ...url, hosts: [{ name: '127.0.0.1', port: proxy.port }] })
  await Promise.all(Array.from({ length: 5 }, () => ask('SELECT pg_sleep(0.1)')))
  const sockets = () => process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap').length
  const before = sockets()
  proxy.goBlack()
  await pool.close()
  // The proxy keeps its own ends of them.
  await until('the sockets are closed', () => sockets() <= before - 5)
  t.pass()
})

test('a host that swallows packets holds up neither a start nor a request for long', async t => {
  const url = parse(`${await emptyDatabase(t)}?connect_timeout=1`)
  const proxy = await startFaultyProxy(t, { port: url.hosts[0]!.port })
  const hole = { name: '127.0.0.1', port: proxy.port }
  proxy.goBlack()
  t.regex(await problemOf(t, { ...url, hosts: [hole] }), /: it does not answer$/)
  await t.notThrowsAsync(open(t, { ...url, hosts: [hole, ...url.hosts] }))
})
