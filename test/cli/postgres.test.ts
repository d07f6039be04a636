/** The operator's commands on a PostgreSQL, beside running nodes. Design §1 "Commands". */
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { createMasterSecret } from '../../src/keys/master_secret.ts'
import { startFaultyProxy } from '../_faulty_proxy.ts'
import { asSuperuser, emptyDatabase, migratedDatabase, openClient } from '../_postgres.ts'
import {
  createFolder,
  deployment,
  type Environment,
  freePort,
  launcher,
  migratedDeployment,
  postForm,
  run,
  runCli,
  runCommand,
  startProcess,
} from '../_process.ts'
import { createTestRandom } from '../_server.ts'

const password = 'a password that will do'
const databasePassword = 'latchkey'

function deploy(t: ExecutionContext, url: string, extra: Environment = {}) {
  const folder = createFolder(t)
  const secret = join(folder, 'secret')
  writeFileSync(secret, createMasterSecret(createTestRandom(t.title)), { mode: 0o600 })
  const environment = deployment(folder, {
    LATCHKEY_DATABASE_URL: url,
    LATCHKEY_SECRET_FILE: secret,
    LATCHKEY_BOOTSTRAP: 'off',
    ...extra,
  })
  return { folder, environment, secret }
}

/** What messages call it. */
function printed(url: string): string {
  const { username, host, pathname } = new URL(url)
  return `postgres://${username}@${host}${pathname}`
}

/** Each kind of command that looks into the database. */
const commands: readonly (readonly [args: readonly string[], stdin?: string])[] = [
  [['user', 'add', 'alice', '--password-stdin'], password],
  [['user', 'list']],
  [['client', 'add', 'app', '--public', '--grant', 'password', '--grant', 'refresh_token']],
  [['client', 'list']],
  [['session', 'list', '--user', 'alice']],
  [['session', 'revoke', '--all']],
  [['key', 'list']],
  [['secret', 'status']],
  [['audit']],
]

test('commands beside a running node: what one does counts at once there, and each ends by itself', async t => {
  const { environment } = deploy(t, await emptyDatabase(t))
  const node = await startProcess(t, environment)
  const signIn = () =>
    postForm(`${node.url}/token`, { grant_type: 'password', client_id: 'app', username: 'alice', password })
  const json = async (args: readonly string[], stdin = '') => {
    const { code, stdout, stderr } = await runCli([...args, '--json'], environment, stdin)
    t.deepEqual([code, stderr], [0, ''], args.join(' '))
    return JSON.parse(stdout)
  }
  for (const [args, stdin] of commands) await json(args, stdin)
  const { status, body } = await signIn()
  t.is(status, 200)
  t.is((await json(['session', 'list', '--user', 'alice'])).length, 1)
  const { kid } = await json(['key', 'rotate'])
  t.true((await json(['key', 'list'])).some((key: { kid: string }) => key.kid === kid))

  await json(['user', 'disable', 'alice'])
  const refresh = { grant_type: 'refresh_token', client_id: 'app', refresh_token: String(body.refresh_token) }
  t.is((await postForm(`${node.url}/token`, refresh)).body.error, 'invalid_grant')
  const events: { type: string }[] = await json(['audit'])
  for (const type of ['user.created', 'client.created', 'session.created', 'user.disabled'])
    t.true(
      events.some(event => event.type === type),
      type,
    )
  t.is(await node.stop(), 0)
})

test('only serve and migrate make or change tables: any other command refuses an empty database, and names it', async t => {
  const url = await emptyDatabase(t)
  const { environment } = deploy(t, url)
  const client = await openClient(t, url)
  const tables = async () => (await client.query("SELECT 1 FROM pg_tables WHERE schemaname = 'public'")).rowCount

  for (const [args, stdin] of commands) {
    t.deepEqual(await runCommand(args, environment, stdin), {
      code: 1,
      stdout: '',
      stderr: `latchkey: the database ${printed(url)} has not all tables of this version; run latchkey migrate\n`,
    })
  }
  t.is(await tables(), 0)
  t.regex((await runCommand(['migrate'], environment)).stdout, /: \d+ migrations applied\n$/)
  t.is((await runCommand(['migrate'], environment)).stdout, `${printed(url)}: up to date\n`)
  for (const [args, stdin] of commands) t.is((await runCommand(args, environment, stdin)).code, 0, args.join(' '))
})

test('a database of a newer version is refused by every command, unless that version says that this one may go on', async t => {
  const url = await migratedDatabase(t)
  const { environment } = deploy(t, url)
  const client = await openClient(t, url)
  const add = (readableFrom: string) =>
    client.query(
      `INSERT INTO schema_migrations (migrated_to, readable_from, hash) SELECT 9000000000000, ${readableFrom}, 'x'`,
    )
  await add('(SELECT max(migrated_to) FROM schema_migrations)')
  t.is((await runCommand(['user', 'list'], environment)).code, 0)
  t.is((await runCommand(['migrate'], environment)).code, 0)
  await client.query('DELETE FROM schema_migrations WHERE migrated_to = 9000000000000')
  await add('9000000000000')

  for (const args of [['user', 'list'], ['migrate'], ['serve']]) {
    const { code, stderr } = await runCli(args, environment)
    t.is(code, 1)
    t.true(stderr.startsWith(`latchkey: the database ${printed(url)} was migrated by a newer latchkey`), stderr)
  }
})

test('a database that is not there is one line, without the password, and 1', async t => {
  const absent = new URL(await emptyDatabase(t))
  absent.pathname = '/absent'
  const proxy = await startFaultyProxy(t, { port: Number(absent.port) })
  proxy.goBlack()
  const urlOf = (port: number) => `postgres://latchkey:${databasePassword}@127.0.0.1:${port}/latchkey`
  const urls = [urlOf(await freePort()), absent.href, urlOf(proxy.port)]
  for (const url of urls) {
    const { environment } = deploy(t, url)
    for (const args of [['user', 'list'], ['migrate'], ['serve']]) {
      const { code, stdout, stderr } = await runCli(args, environment)
      t.deepEqual([code, stdout], [1, ''])
      t.regex(stderr, /^latchkey: cannot use the database [^\n]+\n$/)
      t.true(stderr.includes(printed(url)) && !stderr.includes(`:${databasePassword}@`), stderr)
    }
  }
})

test('backup says what to use instead, and writes nothing', async t => {
  const { environment, folder } = deploy(t, await migratedDatabase(t))
  const before = readdirSync(folder)
  const { code, stdout, stderr } = await runCommand(['backup', join(folder, 'x.db')], environment)
  t.deepEqual([code, stdout], [2, ''])
  for (const word of ['pg_dump', 'pg_basebackup', 'latchkey session revoke --all', 'master secret'])
    t.true(stderr.includes(word), word)
  t.false(stderr.includes(`:${databasePassword}@`))
  t.deepEqual(readdirSync(folder), before)
})

test('the first password goes into data/ of the working directory; of nodes that start together one makes it', async t => {
  const { environment, folder } = deploy(t, await emptyDatabase(t), { LATCHKEY_BOOTSTRAP: 'on' })
  const start = () => startProcess(t, environment, ['sh', '-c', `cd "$HOME" && exec node "${launcher}" serve`])
  const nodes = await Promise.all([start(), start(), start()])
  const file = join(folder, 'data/first-sign-in')
  t.is(statSync(file).mode & 0o777, 0o600)
  t.is(statSync(join(folder, 'data')).mode & 0o777, 0o700)
  t.deepEqual(readdirSync(join(folder, 'data')), ['first-sign-in'])
  const [, first = ''] = /this password:\n\n {2}(\S+)/.exec(readFileSync(file, 'utf8')) ?? []
  for (const { url } of nodes) {
    const params = { grant_type: 'password', client_id: 'app', username: 'admin', password: first }
    t.is((await postForm(`${url}/token`, params)).status, 200)
  }
  t.is(nodes.flatMap(({ log }) => log).filter(({ msg }) => /^first start/.test(String(msg))).length, 1)
})

test('a readable .env with the password of the database is told at the start; one without it is not', async t => {
  const url = await migratedDatabase(t)
  const { environment, folder } = deploy(t, url)
  const { LATCHKEY_DATABASE_URL: _, ...rest } = environment
  const withoutPassword = new URL(url)
  withoutPassword.password = ''
  const loose = async (text: string, extra: Environment = {}) => {
    writeFileSync(join(folder, '.env'), text)
    chmodSync(join(folder, '.env'), 0o644)
    const command = ['sh', '-c', `cd "$HOME" && exec node "${launcher}" serve`]
    const node = await startProcess(t, { ...rest, ...extra }, command)
    await node.stop()
    return node.log.filter(({ mode }) => mode !== undefined).map(({ file }) => file)
  }
  t.deepEqual(await loose(`LATCHKEY_DATABASE_URL=${url}\n`), ['.env'])
  t.deepEqual(await loose(`LATCHKEY_DATABASE_URL=${withoutPassword}\nPGPASSWORD=${databasePassword}\n`), ['.env'])
  t.deepEqual(await loose(`LATCHKEY_DATABASE_URL=${withoutPassword}\n`, { PGPASSWORD: databasePassword }), [])
})

type Check = { check: string; state: string; found: string; advice?: string }

async function examine(environment: Environment) {
  const { code, stdout, stderr } = await runCommand(['doctor', '--json'], environment)
  if (stderr !== '') throw new Error(stderr)
  const { findings, healthy } = JSON.parse(stdout) as { findings: Check[]; healthy: boolean }
  if (healthy !== (code === 0)) throw new Error('healthy and the exit code differ')
  return { findings: Object.fromEntries(findings.map(one => [one.check, one])), names: findings.map(one => one.check) }
}

test('the doctor finds a PostgreSQL well, says what a start asks of it, and nothing that is of SQLite alone', async t => {
  const url = await emptyDatabase(t)
  const { environment } = deploy(t, url)
  await (await startProcess(t, environment)).stop()
  const { findings, names } = await examine(environment)
  t.deepEqual([...new Set(Object.values(findings).map(({ state }) => state))], ['ok'], JSON.stringify(findings))
  t.deepEqual(names, [
    'database',
    'migrations',
    'master secret',
    'signing keys',
    'clients',
    'e-mail addresses',
    'file modes',
    'version',
    'takes writes',
    'encoding',
    'fsync',
    'synchronous_commit',
    'connections',
    'clock of the database',
    'clock',
  ])
  t.is(findings.database!.found, printed(url))
})

test('the doctor tells what keeps a node from starting, and changes nothing', async t => {
  const url = await emptyDatabase(t)
  const { environment } = deploy(t, url)
  const client = await openClient(t, url)
  const database = new URL(url).pathname.slice(1)

  const empty = await examine(environment)
  t.like(empty.findings.migrations, {
    state: 'warning',
    advice: 'run latchkey migrate, or start a server, which does it',
  })
  await runCommand(['migrate'], environment)
  t.is((await examine(environment)).findings.migrations!.state, 'ok')

  await client.query(`ALTER DATABASE ${database} SET synchronous_commit = off`)
  const lax = await examine(environment)
  t.like(lax.findings.database, { state: 'failed' })
  t.like(lax.findings.synchronous_commit, { state: 'failed' })
  t.regex(lax.findings.synchronous_commit!.found, /what was answered could be lost/)
  await client.query(`ALTER DATABASE ${database} RESET synchronous_commit`)

  const away = `postgres://latchkey:${databasePassword}@127.0.0.1:${await freePort()}/latchkey`
  const { findings } = await examine({ ...environment, LATCHKEY_DATABASE_URL: away })
  t.like(findings.database, { state: 'failed' })
  t.regex(findings.server!.found, /nothing listens there/)
})

test('the doctor tells of each of several hosts: one that is away is no failure while another takes writes', async t => {
  const url = await migratedDatabase(t)
  const { host, pathname } = new URL(url)
  const away = `127.0.0.1:${await freePort()}`
  const several = `postgres://latchkey:${databasePassword}@${away},${host}${pathname}`
  const { environment } = deploy(t, several)
  const { findings } = await examine(environment)
  t.like(findings[`server (${away})`], { state: 'warning' })
  t.like(findings[`takes writes (${host})`], { state: 'ok' })
  t.regex(findings.database!.found, new RegExp(`, by ${host}$`))
})

test('the master secret is rotated beside a node, from its file', async t => {
  const { environment, secret } = deploy(t, await emptyDatabase(t))
  const node = await startProcess(t, environment)
  const before = readFileSync(secret, 'utf8').trim()
  const { code, stderr } = await runCommand(['secret', 'rotate'], environment)
  t.deepEqual([code, stderr], [0, ''])
  t.regex(readFileSync(secret, 'utf8'), new RegExp(`^[\\w-]{43},${before}\n$`))
  t.is(await node.stop(), 0)
})

/** A copy of a database that nobody uses at the moment, as a restored backup is. @returns its URL */
async function copyOf(t: ExecutionContext, url: string): Promise<string> {
  const [copy, server] = [new URL(url), new URL(await asSuperuser(url))]
  copy.pathname += '_restored'
  const [from, to] = [url, copy.href].map(one => new URL(one).pathname.slice(1))
  server.pathname = '/postgres'
  const admin = await openClient(t, server.href)
  await admin.query(`CREATE DATABASE ${to} TEMPLATE ${from} OWNER ${copy.username} STRATEGY file_copy`)
  t.teardown(() => admin.query(`DROP DATABASE ${to} WITH (FORCE)`))
  return copy.href
}

test('a restored backup is the state of its time: it signs nobody out, and whoever signed out since is in again until all sessions are ended (promise 5)', async t => {
  const url = await emptyDatabase(t)
  const { environment } = deploy(t, url)
  await runCommand(['migrate'], environment)
  for (const [args, stdin] of commands.slice(0, 3)) await runCommand(args, environment, stdin)
  const start = async (database: string) => {
    const node = await startProcess(t, { ...environment, LATCHKEY_DATABASE_URL: database })
    const post = (path: string, params: Record<string, string>) =>
      postForm(node.url + path, { client_id: 'app', ...params })
    return {
      signIn: async () =>
        String((await post('/token', { grant_type: 'password', username: 'alice', password })).body.refresh_token),
      refresh: (token: string) => post('/token', { grant_type: 'refresh_token', refresh_token: token }),
      revoke: (token: string) => post('/revoke', { token }),
      stop: node.stop,
    }
  }
  const before = await start(url)
  const [phone, left] = [await before.signIn(), await before.signIn()]
  await before.stop()
  const restored = await copyOf(t, url)

  const since = await start(url)
  let newest = phone
  for (let i = 0; i < 3; i++) newest = String((await since.refresh(newest)).body.refresh_token)
  t.is((await since.revoke(left)).status, 200)
  t.is((await since.refresh(left)).body.error, 'invalid_grant')
  await since.stop()

  const after = await start(restored)
  const healed = await after.refresh(newest)
  t.is(healed.status, 200, 'newer than the row: the row went back in time, and is healed')
  t.is((await after.refresh(String(healed.body.refresh_token))).status, 200)
  t.is((await after.refresh(left)).status, 200)
  const onRestored = { ...environment, LATCHKEY_DATABASE_URL: restored }
  const { stdout } = await runCommand(['audit', '--type', 'session.healed', '--json'], onRestored)
  t.is(JSON.parse(stdout).length, 1)
  t.is((await runCommand(['session', 'revoke', '--all'], onRestored)).code, 0)
  t.is((await after.refresh(newest)).body.error, 'invalid_grant')
  t.is(await after.stop(), 0)
})

test('a command and a server load the driver of their own database, and not that of the other one', async t => {
  const watch = `import { registerHooks } from 'node:module'
    const loaded = new Set()
    registerHooks({ resolve(name, context, next) { if (/^(?:pg|better-sqlite3)$/.test(name)) loaded.add(name); return next(name, context) } })
    process.on('exit', () => console.error('loaded', ...loaded))`
  const load = async (args: readonly string[], environment: Environment) => {
    const hook = `data:text/javascript,${encodeURIComponent(watch)}`
    const { stderr } = await run(process.execPath, ['--import', hook, launcher, ...args], environment)
    return /^loaded ?(.*)$/m.exec(stderr)?.[1]
  }
  const folder = createFolder(t)
  const onFile = migratedDeployment(folder)
  const away = deploy(t, `postgres://latchkey@127.0.0.1:${await freePort()}/latchkey`).environment
  t.is(await load(['--help'], onFile), '')
  t.is(await load(['user', 'list'], onFile), 'better-sqlite3')
  t.is(await load(['serve'], { ...onFile, LATCHKEY_HOST: '192.0.2.1' }), 'better-sqlite3')
  t.is(await load(['user', 'list'], away), 'pg')
  t.is(await load(['serve'], away), 'pg')
})

for (const [lost, does] of [
  ['answer', true],
  ['request', false],
] as const) {
  test(`a command whose commit lost its ${lost} says that it may have done it, and why`, async t => {
    const url = await migratedDatabase(t)
    const proxy = await startFaultyProxy(t, { port: Number(new URL(url).port) })
    const { environment } = deploy(t, Object.assign(new URL(url), { port: String(proxy.port) }).href)
    const lose = does ? proxy.loseCommitAnswer : proxy.loseCommit
    const sprung = lose({ statement: /insert into "?users/i })
    const result = await runCommand(['user', 'import', '-'], environment, '{"username":"alice"}\n')
    await sprung
    t.deepEqual(result, {
      code: 1,
      stdout: '',
      stderr:
        'latchkey: the database cannot be used at the moment: Connection terminated unexpectedly; it may have done all the same what it was told: look before you repeat it\n',
    })
    const { stdout } = await runCommand(['user', 'list', '--json'], environment)
    t.is(JSON.parse(stdout).length, does ? 1 : 0)
  })
}
