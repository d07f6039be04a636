/** The real program in a process of its own, on a real file in a folder of its own. Ends with the test. */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'
import { migrate, openDatabase } from '../src/storage/sqlite/migrate.ts'
import type { CommandAnswer, CommandRequest } from './_command_host.ts'
import { compileCache } from './_compile_cache.ts'
import type { TestContext } from './_server.ts'

export const root = fileURLToPath(new URL('..', import.meta.url))
export const launcher = join(root, 'bin/latchkey.js')

export type Environment = Record<string, string>

export type CliResult = { code: number | null; stdout: string; stderr: string }

export type RunningServer = {
  url: string
  child: ChildProcess
  /** Parsed log lines so far. */
  log: Record<string, unknown>[]
  stderr: () => string
  /** Sends a signal and waits for the end. @returns the exit code, null when a signal ended it */
  stop: (signal?: NodeJS.Signals) => Promise<number | null>
}

/** A folder that goes away with the test. */
export function createFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The environment of a deployment in a folder: cheap hashes, a free port, nothing of this process's own settings. */
export function deployment(folder: string, extra: Environment = {}): Environment {
  return {
    PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}`,
    HOME: folder,
    NODE_COMPILE_CACHE: compileCache,
    LATCHKEY_PORT: '0',
    LATCHKEY_DATABASE_URL: `file:${join(folder, 'data/latchkey.db')}`,
    LATCHKEY_ARGON2_MEMORY: '8',
    // Who has no load balancer has nobody to wait for.
    LATCHKEY_DRAIN: '0',
    ...extra,
  }
}

/** Like {@link deployment}, of one whose database has been made: commands make none. */
export function migratedDeployment(folder: string, extra: Environment = {}): Environment {
  const environment = deployment(folder, extra)
  const file = environment.LATCHKEY_DATABASE_URL!.slice('file:'.length)
  const database = openDatabase(file)
  migrate(database, file)
  database.close()
  return environment
}

/** Runs `latchkey` with arguments to its end. */
export async function runCli(
  args: readonly string[],
  environment: Environment,
  stdin = '',
  cwd = root,
): Promise<CliResult> {
  return run(process.execPath, [launcher, ...args], environment, stdin, cwd)
}

let commands = 0
let startedHost: ReturnType<typeof startCommandHost> | undefined

/** Like {@link runCli}, for tests of what a command does and not of its process: see _command_host.ts. */
export function runCommand(args: readonly string[], environment: Environment, stdin = ''): Promise<CliResult> {
  startedHost ??= startCommandHost()
  return startedHost({ id: commands++, args, environment, stdin })
}

function startCommandHost() {
  const host = fork(join(root, 'test/_command_host.ts'), {
    cwd: root,
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: compileCache },
    execArgv: [],
  })
  const waiting = new Map<number, PromiseWithResolvers<CliResult>>()
  // Only an answer that somebody waits for keeps the test file running; the host ends with it.
  host.unref()
  host.channel?.unref()
  host.on('message', ({ id, ...result }: CommandAnswer) => {
    waiting.get(id)?.resolve(result)
    waiting.delete(id)
    if (waiting.size === 0) host.channel?.unref()
  })
  host.on('exit', code => {
    for (const { reject } of waiting.values()) reject(new Error(`the command host ended with ${code}`))
  })
  return (request: CommandRequest) => {
    const answer = Promise.withResolvers<CliResult>()
    waiting.set(request.id, answer)
    host.channel?.ref()
    host.send(request)
    return answer.promise
  }
}

export async function run(
  command: string,
  args: readonly string[],
  environment: Environment,
  stdin = '',
  cwd = root,
): Promise<CliResult> {
  const child = spawn(command, args, { env: environment, cwd, stdio: 'pipe' })
  child.stdin.on('error', () => {}).end(stdin)
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { code, stdout, stderr }
}

/** Starts the server and waits for its ready line. Rejects with its output when it ends before that. */
export async function startProcess(
  t: ExecutionContext,
  environment: Environment,
  command: readonly string[] = [process.execPath, launcher, 'serve'],
): Promise<RunningServer> {
  const [file, ...args] = command
  const child = spawn(file!, args, { env: environment, cwd: root, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  // Not 'exit', which may come before the last lines of the log.
  const exited = once(child, 'close') as Promise<[number | null]>
  t.teardown(() => {
    // The whole group: npm does not hand SIGKILL on.
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL')
  })
  let stderr = ''
  child.stderr.on('data', chunk => {
    stderr += chunk
  })
  const log: Record<string, unknown>[] = []
  const ready = new Promise<string>(resolve => {
    createInterface({ input: child.stdout }).on('line', line => {
      if (!line.startsWith('{')) return
      const entry = JSON.parse(line)
      log.push(entry)
      if (entry.msg === 'listening') resolve(entry.url)
    })
  })
  const ended = exited.then(([code]) => {
    throw new Error(`the server ended with ${code}: ${stderr}`)
  })
  const url = await Promise.race([ready, ended])
  ended.catch(() => {})
  return {
    url,
    child,
    log,
    stderr: () => stderr,
    async stop(signal = 'SIGTERM') {
      process.kill(signal === 'SIGKILL' ? -child.pid! : child.pid!, signal)
      const [code] = await exited
      return code
    },
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

/** POSTs a form. */
export async function postForm(url: string, params: Record<string, string>) {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(params) })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
