/**
 * Debian's PostgreSQL, as it is run for real: a primary, standbys that stream from it, pgbouncer before it. Every process ends with the test, and
 * with the thread that started it if that is killed. Where the programs are missing the tests are skipped and say so, but in CI they fail.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  appendFileSync,
  chownSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { Client, type QueryResultRow } from 'pg'
import { freePort } from './_process.ts'

const binaries = '/usr/lib/postgresql/15/bin'
const pgbouncer = '/usr/sbin/pgbouncer'
/** Ends a child with its parent, and takes another user's place. */
const setpriv = '/usr/bin/setpriv'

export const database = 'latchkey'
/** Owns the database, and may no more than an operator would let it. */
export const role = 'latchkey'
const superuser = 'postgres'

type Teardown = Pick<ExecutionContext, 'teardown'>

/** Like `test`, where there is a PostgreSQL with its replica tools. */
export const testCluster = testWith({ 'postgresql-15': `${binaries}/pg_basebackup`, 'util-linux': setpriv })
/** Like `test`, where there is also pgbouncer. */
export const testPooled = testWith({
  'postgresql-15': `${binaries}/pg_basebackup`,
  'util-linux': setpriv,
  pgbouncer,
})

/** Like `test`, where there are the programs of these packages of Debian. */
export function testWith(packages: Record<string, string>) {
  const missing = Object.entries(packages).flatMap(([name, file]) => (existsSync(file) ? [] : [name]))
  return (title: string, run: (t: ExecutionContext) => Promise<void>) => {
    if (missing.length === 0) test(title, run)
    else if (process.env.CI) test(title, t => t.fail(`there is no ${missing.join(', ')}`))
    else test.skip(`${title} (skipped: there is no ${missing.join(', ')})`, run)
  }
}

/** Repeats a question until its answer is true. For what another process does in its own time; a test's own timeout is the bound on it. */
export async function until(what: string, ask: () => Promise<boolean> | boolean, limit = 60_000): Promise<void> {
  const end = Date.now() + limit
  while (!(await ask())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${limit} ms`)
    await delay(20)
  }
}

export type Postgres = Awaited<ReturnType<typeof startPrimary>>

/** PostgreSQL refuses to run as root: then it is the user of Debian's package. */
const user = process.getuid!() === 0 ? postgresUser() : undefined

function postgresUser() {
  const [, , uid, gid] = /^postgres:.*$/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[0].split(':') ?? []
  return uid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) }
}

const asOwner = user === undefined ? [] : [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups']

/** A folder of the user that the processes run as. Goes away with the test. */
function createOwnFolder(t: Teardown): string {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-pg-'))
  if (user !== undefined) chownSync(folder, user.uid, user.gid)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Lets a server of ours read a private file. */
export function giveToServer(file: string): void {
  if (user !== undefined) chownSync(file, user.uid, user.gid)
}

/** Runs one of PostgreSQL's programs to its end. @returns what it printed */
function runTool(name: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(setpriv, [...asOwner, join(binaries, name), ...args], {
    encoding: 'utf8',
    cwd: '/',
    env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' },
  })
  if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`)
  return stdout
}

/** A process that is killed hard when its parent's thread ends. */
function spawnOwned(t: Teardown, command: readonly string[], log: string): ChildProcess {
  const output = openSync(log, 'a')
  const child = spawn(setpriv, [...asOwner, '--pdeathsig', 'QUIT', ...command], {
    stdio: ['ignore', output, output],
    cwd: '/',
    env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' },
  })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      // Goes to a stopped process too.
      child.kill('SIGCONT')
      child.kill('SIGQUIT')
    }
    await exited
  })
  return child
}

export type PostgresSettings = Readonly<Record<string, string | number>>

/** An empty database cluster that is durable (`fsync` on), with an empty database. */
export async function startPrimary(t: Teardown, settings: PostgresSettings = {}) {
  const folder = createOwnFolder(t)
  const files = join(folder, 'data')
  runTool('initdb', [
    '-D',
    files,
    '-U',
    superuser,
    '--auth=trust',
    '-E',
    'UTF8',
    '--locale=C.UTF-8',
    '--no-sync',
    '--no-instructions',
  ])
  const primary = await startPostgres(t, folder, settings)
  await primary.query(`CREATE ROLE ${role} LOGIN`, [], 'postgres')
  await primary.createDatabase(database)
  return primary
}

/** One for all tests of a file, each of which takes a database of its own; to be called at its top. Started when first asked for. */
export function sharedPrimary(settings: PostgresSettings = {}): () => Promise<Postgres> {
  const ends: (() => unknown)[] = []
  let started: Promise<Postgres> | undefined
  test.after.always(async () => {
    for (const end of ends.reverse()) await end()
  })
  return () => {
    started ??= startPrimary({ teardown: end => ends.push(end) }, settings)
    return started
  }
}

/** A copy that follows its primary; it takes no writes until it is promoted. */
export async function startStandby(t: Teardown, primary: Postgres, settings: PostgresSettings = {}) {
  const folder = createOwnFolder(t)
  const source = ['-h', '127.0.0.1', '-p', String(primary.port), '-U', superuser]
  const slot = `standby_${primary.nextStandby()}`
  runTool('pg_basebackup', [...source, '-D', join(folder, 'data'), '-R', '-C', '-S', slot, '-c', 'fast', '--no-sync'])
  return startPostgres(t, folder, { cluster_name: slot, ...settings })
}

/** Waits until every commit waits for a standby. */
export async function makeSynchronous(primary: Postgres): Promise<void> {
  await primary.query(`ALTER SYSTEM SET synchronous_standby_names = '*'`)
  await primary.query('SELECT pg_reload_conf()')
  await until('a synchronous standby', async () => {
    const [row] = await primary.query<{ synchronous: number }>(
      `SELECT count(*)::int AS synchronous FROM pg_stat_replication WHERE sync_state = 'sync'`,
    )
    return row!.synchronous > 0
  })
}

async function startPostgres(t: Teardown, folder: string, settings: PostgresSettings) {
  const files = join(folder, 'data')
  const log = join(folder, 'log')
  const port = await freePort()
  let child: ChildProcess | undefined
  let standbys = 0
  const given = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: folder,
    shared_buffers: '16MB',
    max_connections: 200,
    ...settings,
  }
  appendFileSync(
    join(files, 'postgresql.conf'),
    Object.entries(given)
      .map(([name, value]) => `${name} = '${value}'\n`)
      .join(''),
  )

  /** Rows of one statement as the superuser, on a connection of its own. */
  async function query<Row extends QueryResultRow>(sql: string, values: unknown[] = [], on = database): Promise<Row[]> {
    const client = new Client({ host: '127.0.0.1', port, user: superuser, database: on })
    client.on('error', () => {})
    await client.connect()
    try {
      return (await client.query<Row>(sql, values)).rows
    } finally {
      await client.end()
    }
  }

  /** Also of one that was stopped: as it was. */
  async function start() {
    child = spawnOwned(t, [join(binaries, 'postgres'), '-D', files], log)
    const started = child
    await until(`PostgreSQL on port ${port}`, async () => {
      if (started.exitCode !== null) throw new Error(`PostgreSQL ended: ${readFileSync(log, 'utf8')}`)
      return query('SELECT 1', [], 'postgres').then(
        () => true,
        () => false,
      )
    })
  }

  async function stop(signal: NodeJS.Signals) {
    const stopped = child!
    const exited = once(stopped, 'exit')
    if (stopped.exitCode !== null || stopped.signalCode !== null) return
    stopped.kill(signal)
    await exited
  }

  await start()
  return {
    port,
    /** `host:port`, as it stands in a URL with several hosts. */
    address: `127.0.0.1:${port}`,
    url: `postgres://${role}@127.0.0.1:${port}/${database}`,
    query,
    start,
    /** One that was stopped: now it only reads, and follows nobody. */
    startAsStandby() {
      writeFileSync(join(files, 'standby.signal'), '')
      return start()
    },
    /** As an administrator does it: what runs is ended with 57P01, what is committed is written. */
    stop: () => stop('SIGINT'),
    /** As a power cut does it to the program: nobody is told anything. */
    kill: () => stop('SIGKILL'),
    promote: async () => {
      await query('SELECT pg_promote(true, 60)')
      await until('a promoted standby', async () => {
        const [row] = await query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby')
        return !row!.standby
      })
    },
    /** An empty database on the same server. @returns its URL */
    async createDatabase(name = `test_${randomBytes(8).toString('hex')}`): Promise<string> {
      await query(`CREATE DATABASE ${name} OWNER ${role}`, [], 'postgres')
      return `postgres://${role}@127.0.0.1:${port}/${name}`
    },
    nextStandby: () => ++standbys,
    log: () => readFileSync(log, 'utf8'),
  }
}

/** The URL of one database that may be at several addresses. */
export function urlOf(...addresses: readonly string[]): string {
  return `postgres://${role}@${addresses.join(',')}/${database}`
}

/** Debian's pgbouncer in transaction mode, with the settings that it comes with otherwise. */
export async function startPgbouncer(t: Teardown, target: { port: number }, settings: PostgresSettings = {}) {
  const folder = createOwnFolder(t)
  const port = await freePort()
  const users = join(folder, 'users')
  const file = join(folder, 'pgbouncer.ini')
  const log = join(folder, 'log')
  writeFileSync(users, `"${role}" ""\n"postgres" ""\n`, { mode: 0o644 })
  const given = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'trust',
    auth_file: users,
    pool_mode: 'transaction',
    ...settings,
  }
  const lines = Object.entries(given).map(([name, value]) => `${name} = ${value}`)
  writeFileSync(file, `[databases]\n* = host=127.0.0.1 port=${target.port}\n[pgbouncer]\n${lines.join('\n')}\n`)
  const child = spawnOwned(t, [pgbouncer, file], log)
  const url = `postgres://${role}@127.0.0.1:${port}/${database}`
  await until(`pgbouncer on port ${port}`, async () => {
    if (child.exitCode !== null) throw new Error(`pgbouncer ended: ${readFileSync(log, 'utf8')}`)
    const client = new Client({ connectionString: url })
    client.on('error', () => {})
    return client.connect().then(
      () => client.end().then(() => true),
      () => false,
    )
  })
  return { port, url, address: `127.0.0.1:${port}` }
}
