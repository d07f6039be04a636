/** Which of several servers takes writes, and what happens when it goes; TLS and poolers. Each test starts servers of its own. */
import { execFileSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { OAuthError } from '../../src/error.ts'
import { maxConnections, openPool } from '../../src/storage/postgres/pool.ts'
import { createTransactions } from '../../src/storage/postgres/transaction.ts'
import { type DatabaseUrl, parseDatabaseUrl } from '../../src/storage/postgres/url.ts'
import {
  giveToServer,
  makeSynchronous,
  startPgbouncer,
  startPrimary,
  startStandby,
  testCluster,
  testPooled,
  until,
  urlOf,
} from '../_cluster.ts'
import { startFaultyProxy } from '../_faulty_proxy.ts'
import { createFolder } from '../_process.ts'
import type { TestContext } from '../_server.ts'

const parse = (text: string, env = {}): DatabaseUrl => {
  const url = parseDatabaseUrl(text, env)
  if ('problem' in url) throw new Error(url.problem)
  // Servers are started meanwhile, which takes all the time of this process.
  return { ...url, connectTimeout: 10 }
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

const isUnavailable = (error: unknown) => error instanceof OAuthError && error.code === 'temporarily_unavailable'

testCluster('a server that does not write to disk is refused', async t => {
  const primary = await startPrimary(t, { fsync: 'off' })
  t.regex(await problemOf(t, parse(primary.url)), /: it has fsync off: a power cut would destroy it$/)
})

testCluster('the server that takes writes is found, wherever it stands among the hosts', async t => {
  const primary = await startPrimary(t)
  const standby = await startStandby(t, primary)
  const { ask } = await open(t, parse(urlOf(standby.address, primary.address)))
  t.deepEqual(await ask('SELECT pg_is_in_recovery() AS standby'), [{ standby: false }])
  t.regex(await problemOf(t, parse(standby.url)), /: it is a standby, which takes no writes$/)
})

testCluster('after a failover the promoted standby is used, and the old primary never again', async t => {
  const primary = await startPrimary(t)
  const standby = await startStandby(t, primary)
  const { ask, change, changes } = await open(t, parse(urlOf(primary.address, standby.address)))
  await change('CREATE TABLE writes (n integer)')
  // Idle connections too, of which each gets an error of its own.
  await Promise.all(Array.from({ length: 10 }, () => ask('SELECT pg_sleep(0.05)')))
  await primary.stop()
  const refused = await Promise.allSettled(Array.from({ length: 30 }, () => change('INSERT INTO writes VALUES (1)')))
  t.true(refused.every(one => one.status === 'rejected' && isUnavailable(one.reason)))
  await standby.promote()
  await primary.startAsStandby()
  let isDone = false
  while (!isDone) {
    isDone = await change('INSERT INTO writes VALUES (2)').then(
      () => true,
      error => t.true(isUnavailable(error)) && false,
    )
    await delay(50)
  }
  t.deepEqual(await ask('SELECT inet_server_port() AS port'), [{ port: standby.port }])
  t.true(changes.at(-1)!.endsWith(`now 127.0.0.1:${standby.port}`))
})

testCluster('a server that became a standby behind the same address is left at its first refusal (25006)', async t => {
  const primary = await startPrimary(t)
  const standby = await startStandby(t, primary)
  const proxy = await startFaultyProxy(t, primary)
  const { ask, change } = await open(t, parse(urlOf(`127.0.0.1:${proxy.port}`, standby.address)))
  await change('CREATE TABLE writes (n integer)')
  await primary.stop()
  await standby.promote()
  await primary.startAsStandby()
  let port: unknown
  while (port !== standby.port) {
    await change('INSERT INTO writes VALUES (1)').catch(error => t.true(isUnavailable(error)))
    port = (await ask('SELECT inet_server_port() AS port').catch(() => []))[0]?.port
  }
  t.pass()
})

testCluster('no connection left at the server is temporarily_unavailable, and those that are there go on', async t => {
  const primary = await startPrimary(t, { max_connections: 12, superuser_reserved_connections: 3 })
  const { ask } = await open(t, parse(primary.url))
  const all = await Promise.allSettled(Array.from({ length: 10 }, () => ask('SELECT pg_sleep(0.3)')))
  const other = await open(t, parse(primary.url)).catch(error => error)
  t.regex(String(other.message), /no connection left|remaining connection slots/)
  t.true(all.every(one => one.status === 'fulfilled' || isUnavailable(one.reason)))
  t.true(all.some(one => one.status === 'fulfilled'))
  t.deepEqual(await ask('SELECT 1 AS one'), [{ one: 1 }])
})

testCluster(
  'commits that wait for a standby that is gone are few, however many ask, and come through when it is back',
  async t => {
    const primary = await startPrimary(t)
    const standby = await startStandby(t, primary)
    const { change } = await open(t, parse(primary.url))
    await change('CREATE TABLE writes (n integer)')
    await makeSynchronous(primary)
    await standby.stop()
    const ask = async () => t.true(isUnavailable(await t.throwsAsync(change('INSERT INTO writes VALUES (1)'))))
    await Promise.all(Array.from({ length: 40 }, ask))
    await Promise.all(Array.from({ length: 5 }, ask))
    const [stuck] = await primary.query<{ count: number }>(
      "SELECT count(*)::integer FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
    )
    t.is(stuck!.count, maxConnections)
    await standby.start()
    await until('a write', () =>
      change('INSERT INTO writes VALUES (2)').then(
        () => true,
        () => false,
      ),
    )
    const rows = await primary.query('SELECT n, count(*)::integer FROM writes GROUP BY n ORDER BY n')
    t.deepEqual(rows[0], { n: 1, count: maxConnections })
  },
)

testPooled(
  'behind pgbouncer in transaction mode: reads, writes, and nothing of a transaction that outlives it',
  async t => {
    const primary = await startPrimary(t)
    const pooler = await startPgbouncer(t, primary, { default_pool_size: 2 })
    const { ask, change } = await open(t, parse(pooler.url))
    await change('CREATE TABLE counters AS SELECT 0 AS n')
    await Promise.all(Array.from({ length: 40 }, () => change('UPDATE counters SET n = n + 1')))
    t.deepEqual(await ask('SELECT n FROM counters'), [{ n: 40 }])
    const settings = await Promise.all(
      Array.from({ length: 10 }, () =>
        ask("SELECT current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement"),
      ),
    )
    t.deepEqual(new Set(settings.flat().map(row => JSON.stringify(row))), new Set(['{"lock":"0","statement":"0"}']))
  },
)

testCluster(
  'sslmode: disable, prefer and require take what there is; verify-ca and verify-full ask who it is',
  async t => {
    const { caFile, certFile, keyFile } = createCertificates(t, 'DNS:localhost')
    const primary = await startPrimary(t, { ssl: 'on', ssl_cert_file: certFile, ssl_key_file: keyFile })
    const plain = await startPrimary(t)
    const withMode = (server: { url: string }, parameters: string, host = '127.0.0.1') =>
      parse(`${server.url.replace('127.0.0.1', host)}?${parameters}`)
    const isEncrypted = async (url: DatabaseUrl) => {
      const { ask, pool } = await open(t, url)
      const [row] = await ask('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
      await pool.close()
      return row.ssl
    }
    t.is(await isEncrypted(withMode(primary, 'sslmode=disable')), false)
    t.is(await isEncrypted(withMode(primary, 'sslmode=prefer')), true)
    t.is(await isEncrypted(withMode(plain, 'sslmode=prefer')), false)
    t.is(await isEncrypted(withMode(primary, 'sslmode=require')), true)
    t.regex(await problemOf(t, withMode(plain, 'sslmode=require')), /does not support SSL/)
    t.is(await isEncrypted(withMode(primary, `sslmode=verify-ca&sslrootcert=${caFile}`)), true)
    t.is(await isEncrypted(withMode(primary, `sslmode=verify-full&sslrootcert=${caFile}`, 'localhost')), true)
    t.regex(await problemOf(t, withMode(primary, `sslmode=verify-full&sslrootcert=${caFile}`)), /does not match/)
    t.regex(await problemOf(t, withMode(primary, 'sslrootcert=system', 'localhost')), /certificate/)
    const { caFile: otherCa } = createCertificates(t, 'DNS:localhost')
    for (const mode of ['verify-ca', 'require', 'prefer'])
      t.regex(await problemOf(t, withMode(primary, `sslmode=${mode}&sslrootcert=${otherCa}`)), /certificate/)
    t.regex(
      await problemOf(t, withMode(primary, 'sslrootcert=/nowhere')),
      /^.*cannot read sslrootcert of LATCHKEY_DATABASE_URL: ENOENT/,
    )
  },
)

/** An authority and a certificate for one server, made by openssl. */
function createCertificates(t: TestContext, name: string) {
  const folder = createFolder(t)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=ca', '-days', '2')
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    's.key',
    '-out',
    's.crt',
    '-subj',
    '/CN=server',
    '-days',
    '2',
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-addext',
    `subjectAltName=${name}`,
  )
  chmodSync(folder, 0o755)
  giveToServer(join(folder, 's.key'))
  return { caFile: join(folder, 'ca.crt'), certFile: join(folder, 's.crt'), keyFile: join(folder, 's.key') }
}
