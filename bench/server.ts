/**
 * The real server as an operator runs it, each with a directory of its own; and its database, filled with as many sessions
 * as wanted by copying a real row.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { parseMasterSecrets } from '../src/keys/master_secret.ts'
import { formatRefreshToken } from '../src/sessions/refresh_token.ts'
import type { LoadResult, Plan } from './load.ts'

const program = fileURLToPath(new URL('../bin/latchkey.js', import.meta.url))

/** What `npm start` gives to Node, its flags included. */
const serveArguments = readStartScript().map(argument => (argument === 'bin/latchkey.js' ? program : argument))

export const clientId = 'phone'
/** A resource server, which may introspect. */
export const apiId = 'api'
export const apiSecret = 'bench-client-secret'
export const username = 'bench'
export const password = 'correct horse battery'

export type Running = Readonly<{
  pid: number
  port: number
  /** Milliseconds from the start of the process to its ready line. */
  startup: number
  stop: () => Promise<void>
}>

const children = new Set<ChildProcess>()

/** Whatever way this process ends, nothing that it started goes on. */
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

/** As docs/postgresql.md says of nodes on PostgreSQL, where requests live longer. */
export const postgresArguments = serveArguments.map(argument =>
  argument.replace(/^--max-semi-space-size=.*/, '--max-semi-space-size=16'),
)

/** Starts `latchkey serve` as `npm start` does, on the database in a directory. */
export async function startServer(
  directory: string,
  settings: Record<string, string> = {},
  nodeArguments: readonly string[] = serveArguments,
): Promise<Running> {
  const begin = performance.now()
  const child = track(
    spawn(process.execPath, nodeArguments, {
      cwd: directory,
      env: environment({ LATCHKEY_PORT: '0', LATCHKEY_BOOTSTRAP: 'off', ...settings }),
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  )
  const port = await new Promise<number>((resolve, reject) => {
    let log = ''
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      log += chunk
      const line = log.split('\n').find(text => text.includes('"msg":"listening"'))
      if (line === undefined) return
      log = ''
      resolve(Number(new URL((JSON.parse(line) as { url: string }).url).port))
    })
    child.once('exit', code => reject(new Error(`the server ended with ${code}: ${log}`)))
  })
  return { pid: child.pid!, port, startup: performance.now() - begin, stop: () => stop(child) }
}

/** A program that is no Latchkey, on a database of its own. */
export type Other = Running & { tokens: string[]; accessToken?: string }

export type Durability = 'FULL' | 'NORMAL'

/** Starts a program of this directory that reports `{ port, tokens }`. @param args its database, and how it is to use it */
export async function startOther(program: string, ...args: readonly string[]): Promise<Other> {
  const begin = performance.now()
  const child = track(fork(new URL(program, import.meta.url), args, { env: environment() }))
  const ready = await reply<{ port: number; tokens: string[]; accessToken?: string }>(child)
  return { ...ready, pid: child.pid!, startup: performance.now() - begin, stop: () => stop(child) }
}

export type Load = Readonly<{ run: (plan: Plan) => Promise<LoadResult>; stop: () => Promise<void> }>

/** Starts a load generator; it lives for many runs, so that its code is compiled once. */
export function startLoad(): Load {
  const child = track(fork(new URL('load.ts', import.meta.url), { env: environment() }))
  return {
    async run(plan) {
      child.send(plan)
      const result = await reply<LoadResult | { error: string }>(child)
      if ('error' in result) throw new Error(result.error)
      return result
    },
    stop: () => stop(child),
  }
}

/** @returns what bare argon2 does with nothing beside it, and its CPU time in microseconds a hash */
export async function hashFor(seconds: number): Promise<{ perSecond: number; cpu: number }> {
  const file = fileURLToPath(new URL('hashes.ts', import.meta.url))
  return JSON.parse(await runProgram([file, String(seconds)], process.cwd())) as { perSecond: number; cpu: number }
}

/** A new database with two clients and one user, made with the operator's own commands. */
export async function prepareDatabase(directory: string, settings: Record<string, string> = {}): Promise<void> {
  const run = (args: readonly string[], stdin?: string) => runProgram([program, ...args], directory, stdin, settings)
  const grants = ['--grant', 'password', '--grant', 'refresh_token', '--scope', 'read write']
  await run(['migrate'])
  await run(['client', 'add', clientId, '--public', ...grants, '--json'])
  const api = ['client', 'add', apiId, '--grant', 'client_credentials', '--scope', 'read', '--secret-stdin', '--json']
  await run(api, apiSecret)
  const user = ['--email', 'bench@example.com', '--name', 'Bench', '--password-stdin', '--json']
  await run(['user', 'add', username, ...user], password)
}

/** Signs in once. */
export async function signIn(port: number): Promise<{ access_token: string; refresh_token: string }> {
  const headers = { 'User-Agent': 'Example/4.2 (iPhone; iOS 19.1) CFNetwork/1498 Darwin/23' }
  const response = await fetch(`http://127.0.0.1:${port}/token`, { method: 'POST', headers, body: signInForm() })
  if (response.status !== 200) throw new Error(`sign-in: ${response.status} ${await response.text()}`)
  return (await response.json()) as { access_token: string; refresh_token: string }
}

export function signInForm(): URLSearchParams {
  return new URLSearchParams({ grant_type: 'password', client_id: clientId, username, password, device: 'Bench phone' })
}

/**
 * Fills a database up to a number of sessions, four to a user, with copies of its first session and user under random
 * ids. Copies have the size of real rows and follow the schema by themselves. No server may run on it.
 *
 * @returns bytes that each session added
 */
export function fillSessions(directory: string, sessions: number): number {
  const database = new Database(databaseFile(directory))
  // Nothing here need survive a power cut.
  database.pragma('synchronous = OFF')
  database.pragma('foreign_keys = OFF')
  database.pragma('cache_size = -1000000')
  const present = database.prepare('SELECT count(*) FROM sessions').pluck().get() as number
  const missing = sessions - present
  const users = Array.from({ length: Math.ceil(missing / 4) }, () => `usr_${randomId()}`)
  insertCopies(
    database,
    'users',
    users.map(id => ({ id, username: id, username_key: id.toLowerCase() })),
  )
  const before = checkpointedSize(database)
  insertCopies(
    database,
    'sessions',
    Array.from({ length: missing }, (_, i) => ({ id: randomId(), user_id: users[i >> 2]! })),
  )
  const after = checkpointedSize(database)
  database.close()
  return (after - before) / missing
}

/** Inserts copies of the first row of a table with some columns changed, in one transaction. */
function insertCopies(database: Database.Database, table: string, changes: readonly Record<string, string>[]): void {
  const model = database.prepare(`SELECT * FROM ${table} LIMIT 1`).get() as Record<string, unknown>
  const columns = Object.keys(model)
  const insert = database.prepare(`INSERT INTO ${table} VALUES (${columns.map(() => '?').join(', ')})`)
  database.transaction(() => {
    for (const change of changes) insert.run(columns.map(column => change[column] ?? model[column]))
  })()
}

/** Refresh tokens of so many sessions, picked at random among all. */
export function tokensOf(directory: string, count: number): string[] {
  const secrets = parseMasterSecrets(readFileSync(join(directory, 'data', 'secret'), 'utf8'))
  if (secrets === undefined) throw new Error('the master secret cannot be read')
  const database = new Database(databaseFile(directory), { readonly: true })
  const rows = database
    .prepare<[number], { id: string; generation: number }>(
      'SELECT id, generation FROM sessions WHERE revoked_at IS NULL ORDER BY random() LIMIT ?',
    )
    .all(count)
  database.close()
  return rows.map(({ id, generation }) => formatRefreshToken({ sessionId: id, generation }, secrets))
}

/** Adds copies of the first row of a table under other ids, until there are so many rows. No server may run on it. */
export function fillTable(directory: string, table: 'users' | 'clients', count: number): void {
  const database = new Database(databaseFile(directory))
  database.pragma('synchronous = OFF')
  const present = database.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number
  const ids = Array.from({ length: Math.max(0, count - present) }, () => randomId())
  const names = (id: string): Record<string, string> =>
    table === 'users' ? { id: `usr_${id}`, username: id, username_key: id.toLowerCase() } : { id }
  insertCopies(database, table, ids.map(names))
  checkpointedSize(database)
  database.close()
}

/** Adds a signing key with the operator's own command. */
export async function rotateKey(directory: string): Promise<void> {
  await runProgram([program, 'key', 'rotate', '--json'], directory)
}

/** Moves everything into a database file, and returns its size in bytes. */
export function checkpoint(file: string): number {
  const database = new Database(file)
  const size = checkpointedSize(database)
  database.close()
  return size
}

/** Bytes of the write-ahead log. */
export function walSize(directory: string): number {
  return statSync(`${databaseFile(directory)}-wal`, { throwIfNoEntry: false })?.size ?? 0
}

export function databaseFile(directory: string): string {
  return join(directory, 'data', 'latchkey.db')
}

function checkpointedSize(database: Database.Database): number {
  database.pragma('wal_checkpoint(TRUNCATE)')
  return (
    (database.pragma('page_count', { simple: true }) as number) *
    (database.pragma('page_size', { simple: true }) as number)
  )
}

/** The words after `node`. */
function readStartScript(): string[] {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  const words = (JSON.parse(text) as { scripts: { start: string } }).scripts.start.split(' ')
  return words.slice(words.indexOf('node') + 1)
}

function randomId(): string {
  return randomBytes(16).toString('base64url')
}

/** Settings of whoever runs the benchmark must not change what it measures. */
function environment(settings: Record<string, string> = {}): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LATCHKEY_DRAIN: '0', ...settings }
}

function track<T extends ChildProcess>(child: T): T {
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

function stop(child: ChildProcess): Promise<void> {
  return new Promise(resolve => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once('exit', () => resolve())
    child.kill('SIGTERM')
  })
}

function reply<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const failed = (code: number | null) => reject(new Error(`a child process ended with ${code}`))
    child.once('exit', failed)
    child.once('message', message => {
      child.off('exit', failed)
      resolve(message as T)
    })
  })
}

function runProgram(
  args: readonly string[],
  directory: string,
  stdin = '',
  settings: Record<string, string> = {},
): Promise<string> {
  const child = track(
    spawn(process.execPath, args, { cwd: directory, env: environment(settings), stdio: ['pipe', 'pipe', 'inherit'] }),
  )
  child.stdin.end(stdin)
  return new Promise((resolve, reject) => {
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
    })
    child.once('close', code =>
      code === 0 ? resolve(output) : reject(new Error(`${args.join(' ')} ended with ${code}`)),
    )
  })
}
