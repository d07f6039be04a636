/** Full, broken and slow: whatever the process writes to or reads from besides the database holds, ends or fills it. CWE-400, CWE-703. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import {
  createFolder,
  deployment,
  freePort,
  launcher,
  postForm,
  root,
  run,
  runCli,
  runCommand,
  startProcess,
} from '../_process.ts'

const testProcess = process.platform === 'linux' ? test.serial : test.skip

const quote = (text: string) => `"${text}"`
const serve = `exec ${quote(process.execPath)} ${quote(launcher)} serve`

/** A server whose output goes where a shell line sends it; `$LOG` is the sink. */
async function startOn(
  t: ExecutionContext,
  line: string,
  extra: Record<string, string> = {},
  stdout: 'pipe' | 'ignore' = 'ignore',
) {
  const folder = createFolder(t)
  const port = await freePort()
  const environment = deployment(folder, { LATCHKEY_PORT: String(port), LATCHKEY_LOG_LEVEL: 'debug', ...extra })
  const child = spawn('sh', ['-c', line], { env: environment, cwd: root, stdio: ['pipe', stdout, 'ignore'] })
  t.teardown(() => void child.kill('SIGKILL'))
  const url = `http://127.0.0.1:${port}`
  while (!(await isReady(url))) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`)
    await delay(50)
  }
  return { folder, child, url }
}

const isReady = (url: string) =>
  fetch(`${url}/health/ready`).then(
    ({ status }) => status === 200,
    () => false,
  )

const path = `/${'a'.repeat(500)}`

/** Each is a log line at level debug, of 700 bytes. */
async function ask(url: string, count: number): Promise<void> {
  let left = count
  const askOn = async () => {
    while (left-- > 0) await (await fetch(url + path)).text()
  }
  await Promise.all(Array.from({ length: 8 }, askOn))
}

function firstPassword(folder: string): string {
  return /this password:\n\n {2}(\S+)\n/.exec(readFileSync(join(folder, 'data/first-sign-in'), 'utf8'))![1]!
}

/** Signs in and refreshes. */
async function works(url: string, folder: string): Promise<number[]> {
  const password = firstPassword(folder)
  const app = { client_id: 'app' }
  const signIn = await postForm(`${url}/token`, { ...app, grant_type: 'password', username: 'admin', password })
  const refresh_token = String(signIn.body.refresh_token)
  const refresh = await postForm(`${url}/token`, { ...app, grant_type: 'refresh_token', refresh_token })
  return [signIn.status, refresh.status, (await fetch(`${url}/health/ready`)).status]
}

/** The exit code after SIGTERM; the time that it may take is that of the last lines and of a slow machine. */
async function end(t: ExecutionContext, child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  const began = performance.now()
  child.kill('SIGTERM')
  t.is((await exited)[0], 0)
  t.true(performance.now() - began < 9000)
}

type Line = { msg: string; path?: string; lost?: number }
const parse = (text: string): Line[] =>
  text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
const counted = (lines: readonly Line[]) =>
  lines.filter(({ path = '' }) => path.startsWith('/aaa')).length + lines.reduce((sum, { lost = 0 }) => sum + lost, 0)

/** Each request is a line or one of those lost; among these may be the few lines of what else was asked. */
function insistOnCount(t: ExecutionContext, lines: readonly Line[], requests: number): void {
  const count = counted(lines)
  t.true(count >= requests && count <= requests + 5, `${count} of ${requests}`)
}

for (const [name, line] of [
  ['stdout on a full disk', `${serve} >/dev/full`],
  ['stdout and stderr on a full disk', `${serve} >/dev/full 2>/dev/full`],
  ['stdout closed', `${serve} >&-`],
  ['stdout at the limit of a file’s size (EFBIG)', `truncate -s 8M "$LOG" && ulimit -f 16384 && ${serve} >>"$LOG"`],
] as const) {
  testProcess(`${name}: the server answers and ends as ever`, async t => {
    const { folder, child, url } = await startOn(t, line, { LOG: join(createFolder(t), 'log') })
    await ask(url, 200)
    t.deepEqual(await works(url, folder), [200, 200, 200])
    await end(t, child)
  })
}

testProcess(
  'a pipe whose reader has gone (EPIPE): the server answers and ends as ever; the next reader gets the lines',
  async t => {
    const fifo = join(createFolder(t), 'fifo')
    spawnSync('mkfifo', [fifo])
    const first = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
    const { folder, child, url } = await startOn(t, `${serve} >"$LOG"`, { LOG: fifo })
    closeSync(first)
    await ask(url, 200)
    t.deepEqual(await works(url, folder), [200, 200, 200])

    const reader = spawn('cat', [fifo], { stdio: ['ignore', 'pipe', 'ignore'] })
    t.teardown(() => void reader.kill('SIGKILL'))
    const [line] = await once(createInterface({ input: reader.stdout }), 'line')
    t.regex(String(line), /^\{.*\}$/)
    await end(t, child)
  },
)

for (const kind of ['pipe', 'socket'] as const) {
  testProcess(
    `a ${kind} that nobody reads holds nothing: the server answers, ends, and what was lost is counted when somebody reads`,
    async t => {
      const fifo = join(createFolder(t), 'fifo')
      spawnSync('mkfifo', [fifo])
      const reader = openSync(fifo, constants.O_RDWR)
      t.teardown(() => closeSync(reader))
      const { folder, child, url } = await startOn(
        t,
        kind === 'pipe' ? `${serve} >"$LOG"` : serve,
        { LOG: fifo },
        kind === 'pipe' ? 'ignore' : 'pipe',
      )
      // More than the pipe and the memory take.
      await ask(url, 3000)
      t.deepEqual(await works(url, folder), [200, 200, 200])

      const source =
        kind === 'socket' ? child.stdout! : spawn('cat', [fifo], { stdio: ['ignore', 'pipe', 'ignore'] }).stdout!
      const lines: Line[] = []
      const told = new Promise<void>(resolve => {
        createInterface({ input: source }).on('line', text => {
          lines.push(JSON.parse(text))
          if (lines.at(-1)!.lost !== undefined) resolve()
        })
      })
      await told
      insistOnCount(t, lines, 3000)
      await end(t, child)
    },
  )

  testProcess(`SIGTERM ends a server whose ${kind} nobody reads within seconds`, async t => {
    const fifo = join(createFolder(t), 'fifo')
    spawnSync('mkfifo', [fifo])
    const reader = openSync(fifo, constants.O_RDWR)
    t.teardown(() => closeSync(reader))
    const { child, url } = await startOn(
      t,
      kind === 'pipe' ? `${serve} >"$LOG"` : serve,
      { LOG: fifo },
      kind === 'pipe' ? 'ignore' : 'pipe',
    )
    await ask(url, 1000)
    await end(t, child)
  })
}

/** A file system of its own that can be filled up; needs root on Linux. */
function mountTiny(folder: string, size: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]).status === 0
}

const probe = mkdtempSync(join(tmpdir(), 'latchkey-mount-'))
const canMount = mountTiny(probe, '64k') && spawnSync('umount', [probe]).status === 0
rmSync(probe, { recursive: true, force: true })
const testFullDisk = canMount ? test.serial : test.skip

function createTiny(t: ExecutionContext, size: string): string {
  const folder = createFolder(t)
  mountTiny(folder, size)
  // Before the folder goes away: teardowns run in reverse order.
  t.teardown(() => spawnSync('umount', ['--lazy', folder]))
  return folder
}

testFullDisk(
  'a log volume that fills up: answers go on, and with room again every line is whole or counted',
  async t => {
    const volume = createTiny(t, '4m')
    const log = join(volume, 'log')
    const { folder, child, url } = await startOn(t, `${serve} >>"$LOG"`, { LOG: log })
    await ask(url, 100)
    spawnSync('dd', ['if=/dev/zero', `of=${join(volume, 'filler')}`, 'bs=1k'])

    await ask(url, 3000)
    t.deepEqual(await works(url, folder), [200, 200, 200])
    rmSync(join(volume, 'filler'))
    while (!readFileSync(log, 'utf8').includes('"lost":')) await delay(50)
    await ask(url, 100)
    await end(t, child)

    const lines = parse(readFileSync(log, 'utf8'))
    insistOnCount(t, lines, 3200)
    t.true(lines.some(({ lost = 0 }) => lost > 100))
    t.is(lines.at(-1)?.msg, 'stopped')
  },
)

testFullDisk('a log that is cut off under the server (copytruncate) goes on from its beginning', async t => {
  const log = join(createTiny(t, '4m'), 'log')
  const { child, url } = await startOn(t, `${serve} >>"$LOG"`, { LOG: log })
  await ask(url, 50)
  while (!readFileSync(log, 'utf8').includes('/aaa')) await delay(20)
  truncateSync(log)
  await ask(url, 50)
  await end(t, child)
  t.true(counted(parse(readFileSync(log, 'utf8'))) >= 50)
})

const testTerminal = spawnSync('script', ['--version']).status === 0 ? test.serial : test.skip

testTerminal('a terminal that was stopped holds nothing, and what was lost is counted when it goes on', async t => {
  const inner = `'${process.execPath}' '${launcher}' serve`
  // Its own output is not read, so it reads no more of the terminal either.
  const { child, url } = await startOn(t, `exec script -qec "exec ${inner}" /dev/null`, {}, 'pipe')
  await ask(url, 4000)
  t.true(await isReady(url))

  for await (const line of createInterface({ input: child.stdout! })) if (line.includes(' lost=')) break
  t.true(await isReady(url))
})

for (const command of [
  'user list',
  'user list --json',
  'user show admin --json',
  'client list',
  'session list --user admin',
  'key list',
  'audit',
  'secret status',
  'doctor',
  'migrate',
  'user export',
  '--help',
  'user add --help',
  '--version',
] as const) {
  testProcess(
    `latchkey ${command} whose output finds no room ends with 1 and one line, and does not say that all is well`,
    async t => {
      const environment = await withAdmin()
      const { code, stderr } = await run(
        'sh',
        ['-c', `${serve.replace(/ serve$/, '')} ${command} >/dev/full`],
        environment,
      )
      t.is(code, 1)
      t.regex(stderr, /^latchkey: cannot write to stdout: ENOSPC: [^\n]+\n$/)
    },
  )
}

let prepared: Promise<Record<string, string>> | undefined
const shared = mkdtempSync(join(tmpdir(), 'latchkey-'))
test.after.always(() => rmSync(shared, { recursive: true, force: true }))

/** One database for all commands that only look. */
function withAdmin(): Promise<Record<string, string>> {
  prepared ??= (async () => {
    const environment = deployment(shared)
    await runCommand(['migrate'], environment)
    await runCommand(['user', 'add', 'admin', '--password-stdin'], environment, 'a long enough one')
    return environment
  })()
  return prepared
}

testFullDisk(
  'output that only begins to fit is no success: user export on a disk that fills up ends with 1',
  async t => {
    const environment = await withAdmin()
    const volume = createTiny(t, '64k')
    const hash = `$2b$04$${'a'.repeat(53)}`
    const users = Array.from({ length: 1000 }, (_, i) =>
      JSON.stringify({ username: `user${i}`, hashed_password: hash }),
    )
    const file = join(createFolder(t), 'users')
    writeFileSync(file, users.join('\n'))
    const folder = createFolder(t)
    const own = deployment(folder)
    await runCommand(['migrate'], own)
    t.is((await runCommand(['user', 'import', file], own)).code, 0)
    t.truthy(environment)

    const { code, stderr } = await run('sh', ['-c', `${serve.replace(/ serve$/, '')} user export >"$OUT"`], {
      ...own,
      OUT: join(volume, 'out'),
    })

    t.is(code, 1)
    t.regex(stderr, /^latchkey: cannot write to stdout: ENOSPC/)
    const whole = await run('sh', ['-c', `${serve.replace(/ serve$/, '')} user export | wc -l`], own)
    t.is(whole.stdout.trim(), '1000')
  },
)

test.serial('a start that fails says so by its exit code where stderr is full too', async t => {
  const environment = deployment(createFolder(t), { LATCHKEY_PORT: 'eighty' })
  t.is((await run('sh', ['-c', `${serve} >/dev/full 2>/dev/full`], environment)).code, 78)
})

test.serial(
  'the first password that cannot be written ends the start with 1 and one line; no user is made, the next start makes one',
  async t => {
    const folder = createFolder(t)
    const environment = deployment(folder)
    const obstacle = join(folder, 'data/first-sign-in')
    mkdirSync(join(obstacle, 'obstacle'), { recursive: true })

    const { code, stderr } = await runCli(['serve'], environment)
    t.is(code, 1)
    t.regex(stderr, /^latchkey: cannot write the first password to \S+, so no user has been made: [^\n]+\n$/)
    t.is((await runCommand(['user', 'list', '--json'], environment)).stdout, '[]\n')
    t.false(existsSync(`${obstacle}.partial`))

    rmSync(obstacle, { recursive: true })
    await startProcess(t, environment)
    t.is(JSON.parse((await runCommand(['user', 'list', '--json'], environment)).stdout).length, 1)
  },
)

for (const [what, make] of [
  ['a pipe', (file: string) => void spawnSync('mkfifo', [file])],
  ['a folder', (file: string) => void mkdirSync(file)],
  ['an endless device', (file: string) => symlinkSync('/dev/zero', file)],
] as const) {
  testProcess(
    `a start with ${what} in the place of the master secret or of .env is one line and 78, and does not hang`,
    async t => {
      const folder = createFolder(t)
      make(join(folder, 'secret'))
      const secret = await runCli(['serve'], deployment(folder, { LATCHKEY_SECRET_FILE: join(folder, 'secret') }))
      t.is(secret.code, 78)
      t.regex(secret.stderr, /^latchkey: cannot read the master secret \S+: it is [^\n]+\n$/)

      make(join(folder, '.env'))
      const env = await runCli(['serve'], deployment(folder), '', folder)
      t.is(env.code, 78)
      t.regex(env.stderr, /^latchkey: cannot read \.env: it is [^\n]+\n$/)
    },
  )
}

testProcess('a .env that is /dev/null is an empty one', async t => {
  const folder = createFolder(t)
  symlinkSync('/dev/null', join(folder, '.env'))
  t.is((await runCli(['migrate'], deployment(folder), '', folder)).code, 0)
})

testProcess(
  'whatever becomes of the file of the master secret, the server goes on with what it has, keys are learnt, and all heals',
  async t => {
    const ways: [string, (file: string) => void][] = [
      ['a pipe', file => void spawnSync('mkfifo', [file])],
      ['a folder', file => void mkdirSync(file)],
      ['nothing', () => {}],
      ['empty', file => writeFileSync(file, '')],
      ['endless', file => symlinkSync('/dev/zero', file)],
    ]
    await Promise.all(
      ways.map(async ([what, make]) => {
        const folder = createFolder(t)
        const environment = deployment(folder)
        const server = await startProcess(t, environment)
        const file = join(folder, 'data/secret')
        renameSync(file, `${file}.kept`)
        make(file)
        while (!server.log.some(({ msg }) => msg === 'upkeep failed; it will be tried again')) await delay(100)
        t.deepEqual(await works(server.url, folder), [200, 200, 200], what)

        // A key made elsewhere, under the secret that the server has.
        const elsewhere = { ...environment, LATCHKEY_SECRET_FILE: `${file}.kept` }
        t.is((await runCli(['key', 'rotate'], elsewhere)).code, 0, what)
        const keys = async () =>
          ((await (await fetch(`${server.url}/.well-known/jwks.json`)).json()) as { keys: [] }).keys
        while ((await keys()).length < 2) await delay(100)

        rmSync(file, { recursive: true, force: true })
        renameSync(`${file}.kept`, file)
        while (!server.log.some(({ msg }) => msg === 'upkeep works again')) await delay(100)
        t.is(await server.stop(), 0, what)
      }),
    )
  },
)

testProcess('what could not be read when it was first asked for is read at the next request', async t => {
  const folder = createFolder(t)
  const checkout = join(folder, 'checkout')
  for (const name of ['src', 'migrations', 'bin', 'package.json'])
    cpSync(join(root, name), join(checkout, name), { recursive: true })
  mkdirSync(join(checkout, 'node_modules'))
  for (const name of readdirSync(join(root, 'node_modules')).filter(name => !name.startsWith('.')))
    symlinkSync(join(root, 'node_modules', name), join(checkout, 'node_modules', name))
  // Node remembers that a package is not there, but not that a file of it could not be read.
  const words = '@zxcvbn-ts/language-common'
  rmSync(join(checkout, 'node_modules/@zxcvbn-ts'))
  mkdirSync(join(checkout, 'node_modules', words), { recursive: true })
  for (const name of ['package.json', 'dist'])
    symlinkSync(join(root, 'node_modules', words, name), join(checkout, 'node_modules', words, name))
  const hidden = ['src/http/docs/page.css', 'src/http/docs/openapi.ts', `node_modules/${words}/dist`]
  const hide = (name: string) => renameSync(join(checkout, name), join(folder, basename(name)))
  const bringBack = (name: string) => renameSync(join(folder, basename(name)), join(checkout, name))
  const { url } = await startProcess(t, deployment(folder), [
    process.execPath,
    join(checkout, 'bin/latchkey.js'),
    'serve',
  ])
  const signedIn = await postForm(`${url}/token`, {
    client_id: 'app',
    grant_type: 'password',
    username: 'admin',
    password: firstPassword(folder),
  })
  const ask = async () => [
    (await fetch(`${url}/docs`)).status,
    (await fetch(`${url}/openapi.json`)).status,
    (
      await fetch(`${url}/users/me/password`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${signedIn.body.access_token}` },
        body: new URLSearchParams({ current_password: firstPassword(folder), new_password: 'another long one' }),
      })
    ).status,
  ]

  for (const name of hidden) hide(name)
  t.deepEqual(await ask(), [404, 500, 500])
  for (const name of hidden) bringBack(name)
  t.deepEqual(await ask(), [200, 200, 200])
})

testProcess('a compile cache that cannot be written stops nothing', async t => {
  const folder = createFolder(t)
  mkdirSync(join(folder, 'checkout/node_modules'), { recursive: true })
  cpSync(join(root, 'bin'), join(folder, 'checkout/bin'), { recursive: true })
  for (const name of ['src', 'package.json']) symlinkSync(join(root, name), join(folder, 'checkout', name))
  writeFileSync(join(folder, 'checkout/node_modules/.cache'), 'a file where the folder should be')
  const command = [process.execPath, join(folder, 'checkout/bin/latchkey.js'), 'serve']
  const server = await startProcess(t, deployment(folder), command)
  t.deepEqual(await works(server.url, folder), [200, 200, 200])
  t.is(await server.stop(), 0)
})
