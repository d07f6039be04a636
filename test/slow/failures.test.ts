/** What fails around the server: its files, its disk, its clock, its clients. It waits or answers 503, loses nothing and heals by itself. */
import { once } from 'node:events'
import { readFileSync, renameSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import Database from 'better-sqlite3'
import { decodeJwt } from 'jose'
import { firstGeneration } from '../../src/sessions/session.ts'
import { brokenPromises, createFleet, refusedRefreshes, type Tokens, userOf } from '../_devices.ts'
import { canPlayMachine, createMachine } from '../_machine.ts'
import { createFolder, deployment, type Environment, postForm, runCli, runCommand, startProcess } from '../_process.ts'

const testMachine = canPlayMachine ? test : test.skip

/** A server under the load of devices that follow the retry rule. */
async function startFleet(t: ExecutionContext, folder = createFolder(t), extra: Environment = {}) {
  t.timeout(120_000)
  const environment = deployment(folder, {
    LATCHKEY_THROTTLE: 'off',
    LATCHKEY_ISSUER: 'https://auth.example.com',
    ...extra,
  })
  const file = join(folder, 'data/latchkey.db')
  const server = await startProcess(t, environment)
  const firstSignIn = readFileSync(join(folder, 'data/first-sign-in'), 'utf8')
  const password = /this password:\n\n {2}(\S+)\n/.exec(firstSignIn)?.[1] ?? ''
  const account = { username: 'admin', password }
  const fleet = createFleet(12, account)
  let running = fleet.run(server.url)
  const isReady = async () => (await fetch(`${server.url}/health/ready`)).status

  return {
    folder,
    file,
    environment,
    server,
    account,
    fleet,
    isReady,
    /** Resolves when the devices have got so many answers more. */
    async more(answers: number) {
      const goal = fleet.history.length + answers
      await until(() => fleet.history.length >= goal)
    },
    async pause() {
      fleet.stop()
      await running
    },
    resume() {
      running = fleet.run(server.url)
    },
    running: () => running,
    /** Kills the server, starts it again and holds everything against it that was ever answered. */
    async assertNothingLost() {
      await server.stop('SIGKILL')
      await running
      const { url } = await startProcess(t, environment)
      t.deepEqual(fleet.signedOut, [])
      t.deepEqual(await brokenPromises(url, fleet.promisedAt()), [])
      t.deepEqual(await refusedRefreshes(url, fleet.promisedAt().living), [])
    },
  }
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(10)
}

for (const [name, suffixes] of [
  ['journal', ['-wal']],
  ['journal and its index', ['-wal', '-shm']],
] as const) {
  test(`promise 5: somebody deletes the ${name} under load; nothing that was answered is lost, not even by a kill -9`, async t => {
    const { server, file, fleet, more, assertNothingLost } = await startFleet(t)
    await more(100)

    for (const suffix of suffixes) rmSync(file + suffix)
    await more(100)

    t.is(
      server.log.filter(({ msg, why }) => msg === 'database opened again' && why === 'its journal was deleted').length,
      1,
    )
    t.deepEqual(fleet.unavailable, [])
    await assertNothingLost()
  })
}

test('a database that is replaced by a backup is used without a restart, and nobody is signed out', async t => {
  const { server, folder, file, environment, fleet, more, pause, resume, isReady } = await startFleet(t)
  await more(100)
  await pause()
  const backup = join(folder, 'backup.db')
  t.is((await runCli(['backup', backup], environment)).code, 0)
  resume()
  await more(12)
  await pause()

  renameSync(backup, file)
  await until(() => server.log.some(({ why }) => why === 'the file was replaced'))

  t.is(await isReady(), 200)
  // Sign-ins and logouts after the backup are lost, as docs/operating.md says. Those who were signed in before have newer tokens now.
  const living = sessionsOf(file, fleet.promisedAt().living)
  t.true(living.length > 0)
  t.deepEqual(await refusedRefreshes(server.url, living), [])
})

function sessionsOf(file: string, living: readonly Tokens[]) {
  const database = new Database(file)
  const known = new Set(database.prepare('SELECT id FROM sessions WHERE revoked_at IS NULL').pluck().all())
  database.close()
  return living.filter(({ accessToken }) => known.has(decodeJwt(accessToken).sid))
}

test('while the database file is gone writes are 503; put back, it is used, with everything in it', async t => {
  const { server, folder, file, fleet, more, isReady, assertNothingLost } = await startFleet(t)
  await more(50)

  renameSync(file, join(folder, 'elsewhere.db'))
  await until(() => fleet.unavailable.length >= 12)
  t.is(await isReady(), 503)
  renameSync(join(folder, 'elsewhere.db'), file)
  await more(50)

  t.is(await isReady(), 200)
  t.deepEqual([...new Set(fleet.unavailable)], [503])
  t.true(JSON.stringify(server.log).includes('is gone; put it back'))
  await assertNothingLost()
})

test('another process locks the database for ten seconds: writes wait or are 503, reads go on, then all is well', async t => {
  const { server, file, account, fleet, more, assertNothingLost } = await startFleet(t)
  const { body } = await postForm(`${server.url}/token`, { grant_type: 'password', client_id: 'app', ...account })
  await more(50)
  const answers = () => fleet.history.filter(({ kind }) => kind !== 'asks to end').length
  const other = new Database(file)

  other.exec('BEGIN EXCLUSIVE')
  const before = answers()
  await delay(10_000)
  t.is(await userOf(server.url, String(body.access_token)), 200)
  t.true(answers() - before <= 12, 'none but what was on its way')
  other.exec('ROLLBACK')
  other.close()
  await more(50)

  t.deepEqual([...new Set(fleet.unavailable)], [503])
  await assertNothingLost()
})

for (const error of ['EIO', 'ENOSPC', 'EROFS'] as const) {
  testMachine(
    `promise 8: while every write fails with ${error} it is 503, afterwards all is well by itself`,
    async t => {
      const folder = createFolder(t)
      const machine = createMachine(t, join(folder, 'data'))
      const { fleet, more, isReady, assertNothingLost } = await startFleet(t, folder, machine.environment)
      await more(50)

      machine.failWrites(error)
      await until(() => fleet.unavailable.length >= 24)
      t.is(await isReady(), 503)
      machine.failWrites(undefined)
      await more(50)

      t.is(await isReady(), 200)
      t.deepEqual([...new Set(fleet.unavailable)], [503])
      await assertNothingLost()
    },
  )
}

testMachine('a start on a disk that cannot be written to ends with 1 and one line', async t => {
  const folder = createFolder(t)
  const machine = createMachine(t, join(folder, 'data'))
  const environment = deployment(folder, machine.environment)
  t.is((await runCommand(['migrate'], environment)).code, 0)

  machine.failWrites('EROFS')
  const failed = await runCli(['serve'], environment)
  t.is(failed.code, 1)
  t.regex(failed.stderr, /^latchkey: cannot (?:open|migrate) the database \S+: .+\n$/)

  machine.failWrites(undefined)
  await t.notThrowsAsync(startProcess(t, environment))
})

testMachine(
  'promise 5: the clock set back and forward by hours and days signs nobody out and ends nothing',
  async t => {
    const folder = createFolder(t)
    const machine = createMachine(t, join(folder, 'data'))
    const { fleet, more, assertNothingLost } = await startFleet(t, folder, machine.environment)

    for (const hours of [0, -3, 3, 0, 26, 0, -26, 0]) {
      machine.setClock(hours * 3600)
      await more(100)
    }

    t.deepEqual(fleet.unavailable, [])
    await assertNothingLost()
  },
)

test('SIGTERM under load loses no answer: what was changed is exactly what was answered', async t => {
  const { server, file, fleet, more, running } = await startFleet(t)
  await more(100)

  t.is(await server.stop('SIGTERM'), 0)
  await running()

  const database = new Database(file, { readonly: true })
  const rows = database.prepare('SELECT id, generation, revoked_at IS NOT NULL AS ended FROM sessions').all() as {
    id: string
    generation: number
    ended: number
  }[]
  database.close()
  const answered = new Map<string, { generation: number; ended: number }>()
  for (const { kind, tokens } of fleet.history) {
    const sid = String(decodeJwt(tokens.accessToken).sid)
    const { generation, ended } = answered.get(sid) ?? { generation: firstGeneration - 1, ended: 0 }
    const isGrant = kind === 'signed in' || kind === 'refreshed'
    answered.set(sid, { generation: generation + (isGrant ? 1 : 0), ended: kind === 'ended' ? 1 : ended })
  }

  t.deepEqual(
    Object.fromEntries(rows.map(({ id, generation, ended }) => [id, { generation, ended }])),
    Object.fromEntries(answered),
  )
})

test('10,000 idle connections: sign-ins and refreshes go on beside them', async t => {
  const { server, fleet, more, assertNothingLost } = await startFleet(t)
  const port = Number(new URL(server.url).port)
  const sockets: Socket[] = []
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })

  for (let batch = 0; batch < 100; batch++) {
    const opened = Array.from({ length: 100 }, () => connect(port, '127.0.0.1'))
    sockets.push(...opened)
    // A request each: one on which nothing was ever sent would be closed after ten seconds.
    await Promise.all(
      opened.map(socket => {
        socket.write('GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n')
        return once(socket, 'data')
      }),
    )
    // The kill at the end.
    for (const socket of opened) socket.on('error', () => {})
  }
  await more(100)

  t.deepEqual(fleet.unavailable, [])
  t.is(sockets.filter(({ destroyed }) => destroyed).length, 0)
  await assertNothingLost()
})

/** A connection on which something arrives every second, and no request ever ends. */
async function connectSlowly(t: ExecutionContext, url: string, start: string, drop: string) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  const timer = setInterval(() => socket.write(drop), 1000)
  t.teardown(() => {
    clearInterval(timer)
    socket.destroy()
  })
  // A drop that crosses the answer is met by a reset (RFC 9293 §3.6.1), after the answer.
  socket.on('error', () => {})
  const closed = new Promise(resolve => socket.once('close', resolve))
  socket.write(start)
  let answer = ''
  socket.on('data', chunk => {
    answer += chunk
  })
  const begin = performance.now()
  await closed
  return { answer, seconds: (performance.now() - begin) / 1000 }
}

const requestLine = 'POST /token HTTP/1.1\r\nHost: localhost\r\n'
const bodyHeaders = 'Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n'

for (const [what, start, drop, limit] of [
  ['headers', requestLine, 'X-A: b\r\n', 10],
  ['a body', `${requestLine}${bodyHeaders}grant_type=`, 'a', 30],
] as const) {
  test(`200 clients that send ${what} a drop at a time are cut off after ${limit} s, and nobody else notices`, async t => {
    const { server, fleet, more, assertNothingLost } = await startFleet(t)

    const slow = Array.from({ length: 200 }, () => connectSlowly(t, server.url, start, drop))
    await more(200)
    t.deepEqual(fleet.unavailable, [])
    fleet.stop()

    for (const { answer, seconds } of await Promise.all(slow)) {
      t.regex(answer, /^HTTP\/1\.1 408 Request Timeout\r\n/)
      t.true(seconds > limit - 1 && seconds < limit + 10, `${seconds} s`)
    }
    await assertNothingLost()
  })
}

test('a connection may be used again for 620 s, longer than proxies keep theirs, and the answer says so', async t => {
  const { server } = await startFleet(t)
  const { headers } = await fetch(`${server.url}/health/live`)
  t.is(headers.get('keep-alive'), 'timeout=620')
})

test('a connection on which nothing is ever sent is closed after 10 s; one that was used waits for its next request', async t => {
  const server = await startProcess(t, deployment(createFolder(t)))
  const used = connect(Number(new URL(server.url).port), '127.0.0.1')
  t.teardown(() => used.destroy())
  const ask = async () => {
    used.write('GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const [chunk] = await once(used, 'data')
    return String(chunk).split('\r\n')[0]
  }
  t.is(await ask(), 'HTTP/1.1 200 OK')

  const { answer, seconds } = await connectSlowly(t, server.url, '', '')

  t.regex(answer, /^HTTP\/1\.1 408 Request Timeout\r\n/)
  t.true(seconds > 9 && seconds < 20, `${seconds} s`)
  t.is(await ask(), 'HTTP/1.1 200 OK')
})

test('headers beyond 16 KiB are 431 and the connection is closed; a few KiB are taken', async t => {
  const { server } = await startFleet(t)
  const send = async (size: number) => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    socket.end(`GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-A: ${'a'.repeat(size)}\r\nConnection: close\r\n\r\n`)
    return (await text(socket)).split('\r\n')[0]
  }
  t.is(await send(8000), 'HTTP/1.1 200 OK')
  t.is(await send(17_000), 'HTTP/1.1 431 Request Header Fields Too Large')
})
