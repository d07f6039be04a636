/** The program as an operator runs it: starting, failing to start, stopping, crashing. */

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import argon2 from 'argon2'
import test from 'ava'
import bcrypt from 'bcrypt'
import Database from 'better-sqlite3'
import { auditEvent } from '../src/audit/audit.ts'
import { openSqliteStorage } from '../src/storage/sqlite/sqlite.ts'
import {
  createFolder,
  deployment,
  type Environment,
  freePort,
  launcher,
  migratedDeployment,
  postForm,
  root,
  run,
  runCli,
  runCommand,
  startProcess,
} from './_process.ts'

/** What the first start wrote for a person. */
function readFirstSignIn(folder: string) {
  const file = join(folder, 'data/first-sign-in')
  const content = readFileSync(file, 'utf8')
  const password = /this password:\n\n {2}(\S+)\n/.exec(content)?.[1] ?? ''
  return { file, content, password }
}

const signInAs = (url: string, username: string, password: string) =>
  postForm(`${url}/token`, { grant_type: 'password', client_id: 'app', username, password })

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

test('npm start on an empty database serves, and the first sign-in works over TCP', async t => {
  const folder = createFolder(t)
  const server = await startProcess(t, deployment(folder), ['npm', 'start'])

  const { file, password } = readFirstSignIn(folder)
  t.is(statSync(file).mode & 0o777, 0o600)
  t.is(statSync(join(folder, 'data/secret')).mode & 0o777, 0o600)
  const answer = await signInAs(server.url, 'admin', password)
  t.is(answer.status, 200)
  const me = await fetch(`${server.url}/users/me`, { headers: { authorization: `Bearer ${answer.body.access_token}` } })
  t.deepEqual(await me.json(), {
    username: 'admin',
    email: null,
    email_verified: false,
    full_name: 'Administrator',
    language: null,
  })
  t.true(server.log.some(line => line.file === file))
  t.false(JSON.stringify(server.log).includes(password))
})

test('the lines for curl that the first start gives work as they are', async t => {
  const folder = createFolder(t)
  const server = await startProcess(t, deployment(folder))
  const [signIn = '', refresh = '', signOut = ''] = readFirstSignIn(folder).content.match(/printf .*/g) ?? []
  const sh = async (line: string) => JSON.parse((await run('sh', ['-c', line], deployment(folder))).stdout)

  const first = await sh(signIn)
  const second = await sh(refresh.replace('REFRESH_TOKEN', first.refresh_token))
  const goodbye = await sh(signOut.replace('ACCESS_TOKEN', second.access_token))

  t.deepEqual(goodbye, { message: 'Logout successful' })
  t.is(
    (
      await postForm(`${server.url}/token`, {
        grant_type: 'refresh_token',
        client_id: 'app',
        refresh_token: second.refresh_token,
      })
    ).status,
    400,
  )
})

test('the first start creates nothing when bootstrap is off or a user exists', async t => {
  const [off, used] = [createFolder(t), createFolder(t)]
  await startProcess(t, deployment(off, { LATCHKEY_BOOTSTRAP: 'off' }))
  t.is((await runCommand(['user', 'list', '--json'], deployment(off))).stdout, '[]\n')

  await runCommand(['user', 'add', 'alice', '--password-stdin'], migratedDeployment(used), 'long enough by itself')
  const serve = async () => {
    const { stop } = await startProcess(t, deployment(used))
    await stop()
    const list = async (noun: string) =>
      JSON.parse((await runCommand([noun, 'list', '--json'], deployment(used))).stdout)
    return [await list('user'), await list('client')]
  }
  const [users, clients] = await serve()
  t.deepEqual(
    users.map((one: { username: string }) => one.username),
    ['alice'],
  )
  t.like(
    clients[0],
    { client_id: 'app', public: true, scope: 'read write' },
    'who adds a user first gets the client all the same',
  )
  await runCommand(['client', 'remove', 'app'], deployment(used))
  t.deepEqual((await serve())[1], [], 'what an operator removed later stays so')
})

test('a client added before the first start leaves the first user to it, whose password is good there', async t => {
  const folder = createFolder(t)
  const grants = ['--grant', 'password', '--grant', 'refresh_token']
  await runCommand(['client', 'add', 'phone', '--public', ...grants, '--name', 'Our app'], migratedDeployment(folder))
  const server = await startProcess(t, deployment(folder))
  const text = readFileSync(join(folder, 'data/first-sign-in'), 'utf8')
  const password = /this password:\n\n {2}(\S+)\n/.exec(text)![1]!
  t.regex(text, /client_id=phone&/)
  const signIn = { grant_type: 'password', client_id: 'phone', username: 'admin', password }
  t.is((await postForm(`${server.url}/token`, signIn)).status, 200)
  const { stdout } = await runCommand(['client', 'list', '--json'], deployment(folder))
  t.deepEqual(
    JSON.parse(stdout).map((one: { client_id: string; client_name: string }) => [one.client_id, one.client_name]),
    [['phone', 'Our app']],
  )
})

test('a start warns of another issuer than the last one, and of a listener that others reach with an http issuer', async t => {
  const folder = createFolder(t)
  const warnings = async (extra: Environment) => {
    const server = await startProcess(t, deployment(folder, { LATCHKEY_BOOTSTRAP: 'off', ...extra }))
    await server.stop()
    return server.log.filter(({ level, issuer }) => level === 40 && issuer !== undefined)
  }
  t.deepEqual(await warnings({}), [], 'a free port is another one each time')
  t.deepEqual(await warnings({ LATCHKEY_ISSUER: 'https://a.example' }), [])
  t.deepEqual(await warnings({ LATCHKEY_ISSUER: 'https://a.example' }), [])
  const [changed, ...none] = await warnings({ LATCHKEY_ISSUER: 'https://b.example' })
  t.like(changed, { before: 'https://a.example', issuer: 'https://b.example' })
  t.deepEqual(none, [])
  t.deepEqual(await warnings({ LATCHKEY_ISSUER: 'https://b.example', LATCHKEY_HOST: '0.0.0.0' }), [])
  const [open] = await warnings({ LATCHKEY_HOST: '0.0.0.0' })
  t.like(open, { host: '0.0.0.0' })
  t.regex(String(open?.msg), /in the clear/)
})

test('a start says that there are no passkeys where the issuer is an IP address, and serves what is set for a domain', async t => {
  const environment = deployment(createFolder(t), { LATCHKEY_APPLE_APPS: 'A1B2C3D4E5.com.example.app' })
  const place = '/.well-known/apple-app-site-association'
  const told = 'there are no passkeys: the host of the issuer is an IP address'

  const atAddress = await startProcess(t, { ...environment, LATCHKEY_ISSUER: 'http://127.0.0.1:3000' })
  t.like(
    atAddress.log.find(({ msg }) => msg === told),
    { issuer: 'http://127.0.0.1:3000' },
  )
  t.is((await fetch(atAddress.url + place)).status, 404)
  await atAddress.stop()

  const atDomain = await startProcess(t, environment)
  t.false(atDomain.log.some(({ msg }) => msg === told))
  t.deepEqual(await (await fetch(atDomain.url + place)).json(), {
    webcredentials: { apps: ['A1B2C3D4E5.com.example.app'] },
  })
  await atDomain.stop()
})

test('promise 4 and 5: what was answered holds after kill -9: a logout stays, a sign-in and a rotation live', async t => {
  const folder = createFolder(t)
  const before = await startProcess(t, deployment(folder))
  const { password } = readFirstSignIn(folder)
  const ended = (await signInAs(before.url, 'admin', password)).body
  const living = (await signInAs(before.url, 'admin', password)).body
  await fetch(`${before.url}/logout`, { method: 'POST', headers: { authorization: `Bearer ${ended.access_token}` } })
  const refresh = (url: string, token: unknown) =>
    postForm(`${url}/token`, { grant_type: 'refresh_token', client_id: 'app', refresh_token: String(token) })
  const rotated = await refresh(before.url, living.refresh_token)

  await before.stop('SIGKILL')
  const after = await startProcess(t, deployment(folder))

  t.is((await refresh(after.url, ended.refresh_token)).status, 400)
  t.is((await refresh(after.url, rotated.body.refresh_token)).status, 200)
})

test('SIGTERM answers the requests under way, closes the database and exits with 0', async t => {
  const folder = createFolder(t)
  // Hashes of some 100 ms, so that the sign-ins are under way when the signal arrives.
  const server = await startProcess(t, deployment(folder, { LATCHKEY_ARGON2_MEMORY: '65536' }))
  const { password } = readFirstSignIn(folder)
  const body = new URLSearchParams({ grant_type: 'password', client_id: 'app', username: 'admin', password }).toString()
  const port = Number(new URL(server.url).port)
  const sockets = await Promise.all(
    Array.from({ length: 6 }, async () => {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      socket.write(
        'POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n' +
          `Content-Length: ${body.length}\r\n\r\n${body}`,
      )
      return socket
    }),
  )
  const answers = sockets.map(socket => text(socket))
  // Connections are accepted in their order: once this one is answered, so are the six.
  await (await fetch(`${server.url}/health/live`)).text()

  const code = await server.stop('SIGTERM')

  for (const answer of await Promise.all(answers)) t.regex(answer, /^HTTP\/1\.1 200 OK\r\n/)
  t.is(code, 0)
  t.deepEqual(
    server.log.slice(-2).map(line => line.msg),
    ['stopping', 'stopped'],
  )
  t.throws(() => statSync(join(folder, 'data/latchkey.db-wal')), { code: 'ENOENT' })
})

for (const [setting, value, expected] of [
  ['LATCHKEY_PORT', 'eighty', /^latchkey: LATCHKEY_PORT is "eighty", which cannot be used; it takes a port/],
  ['LATCHKEY_PROT', '80', /^latchkey: LATCHKEY_PROT is not a setting of latchkey/],
  [
    'LATCHKEY_ISSUER',
    'http://auth.example.com',
    /^latchkey: LATCHKEY_ISSUER is "http:\/\/auth\.example\.com", which cannot be used; it takes an https URL/,
  ],
  ['LATCHKEY_SECRET', 'too-short', /^latchkey: LATCHKEY_SECRET has a value that cannot be used; it takes base64url/],
] as const) {
  test(`a start with ${setting}=${value} ends with 78 and one line that names it`, async t => {
    const { code, stdout, stderr } = await runCli(['serve'], deployment(createFolder(t), { [setting]: value }))
    t.is(code, 78)
    t.is(stdout.split('\n').filter(line => line !== '' && !line.includes('database migrated')).length, 0)
    t.regex(stderr, expected)
    t.is(stderr.trim().split('\n').length, 1)
    t.false(stderr.includes('too-short'))
  })
}

test('a wrong or lost master secret ends the start with 78 and one line, and the right one still works', async t => {
  const folder = createFolder(t)
  const server = await startProcess(t, deployment(folder))
  await server.stop()
  const file = join(folder, 'data/secret')
  const secret = readFileSync(file, 'utf8')

  writeFileSync(file, `${'A'.repeat(43)}\n`)
  const wrong = await runCli(['serve'], deployment(folder))
  t.is(wrong.code, 78)
  t.is(
    wrong.stderr,
    "latchkey: the master secret is not the one that this database's signing keys were encrypted under\n",
  )

  const lost = await runCli(['serve'], deployment(folder, { LATCHKEY_SECRET_FILE: join(folder, 'none') }))
  t.is(lost.code, 78)

  writeFileSync(file, secret)
  await t.notThrowsAsync(startProcess(t, deployment(folder)))
})

test('a port in use, a file that is no database and a newer database are one clear line and exit code 1', async t => {
  const folder = createFolder(t)
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => taken.close())
  await new Promise(resolve => taken.once('listening', resolve))
  const { port } = taken.address() as { port: number }
  const busy = await runCli(['serve'], deployment(folder, { LATCHKEY_PORT: String(port) }))
  t.deepEqual([busy.code, busy.stderr], [1, `latchkey: cannot listen on 127.0.0.1 port ${port}: the port is in use\n`])

  const garbage = join(folder, 'garbage.db')
  writeFileSync(garbage, 'this is a letter to my aunt, and not a database at all'.repeat(50))
  const corrupt = await runCli(['serve'], deployment(folder, { LATCHKEY_DATABASE_URL: `file:${garbage}` }))
  t.deepEqual(
    [corrupt.code, corrupt.stderr],
    [1, `latchkey: cannot open the database ${garbage}: file is not a database\n`],
  )

  const file = join(folder, 'data/latchkey.db')
  const database = new Database(file)
  database.prepare('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)').run('future', 9e12)
  database.close()
  const newer = await runCli(['serve'], deployment(folder))
  t.is(newer.code, 1)
  t.regex(newer.stderr, /^latchkey: the database \S+ was migrated by a newer latchkey; .*\n$/)
})

test('LATCHKEY_ADMIN_PORT opens a listener of its own, which the ready line names, and SIGTERM ends both', async t => {
  const folder = createFolder(t)
  const server = await startProcess(t, deployment(folder, { LATCHKEY_ADMIN_PORT: '0' }))
  const { adminUrl } = server.log.find(({ msg }) => msg === 'listening')! as { adminUrl: string }
  const ask = async (url: string) => (await fetch(url)).status

  t.regex(adminUrl, /^http:\/\/127\.0\.0\.1:\d+$/)
  t.not(adminUrl, server.url)
  t.is(await ask(`${adminUrl}/health/ready`), 200)
  t.is(await ask(`${adminUrl}/token`), 404)
  t.is(await ask(`${server.url}/admin/users`), 404)
  t.false(server.log.some(({ msg }) => /other machines/.test(String(msg))))

  t.is(await server.stop('SIGTERM'), 0)
  t.false(await isOpen(Number(new URL(adminUrl).port)))
  t.false(await isOpen(Number(new URL(server.url).port)))
})

test('without LATCHKEY_ADMIN_PORT there is one listener; beyond loopback the start warns; a port in use ends it', async t => {
  const folder = createFolder(t)
  const usual = await startProcess(t, deployment(folder))
  t.false('adminUrl' in usual.log.find(({ msg }) => msg === 'listening')!)
  await usual.stop()

  const open = { LATCHKEY_ADMIN_PORT: '0', LATCHKEY_ADMIN_HOST: '0.0.0.0' }
  const server = await startProcess(t, deployment(folder, open))
  t.true(server.log.some(({ msg, host }) => host === '0.0.0.0' && /other machines/.test(String(msg))))
  await server.stop()

  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  t.teardown(() => holder.close())
  const { port } = holder.address() as { port: number }
  const busy = await runCli(['serve'], deployment(folder, { LATCHKEY_ADMIN_PORT: String(port) }))
  t.deepEqual([busy.code, busy.stderr], [1, `latchkey: cannot listen on 127.0.0.1 port ${port}: the port is in use\n`])
})

test('the server notices what the command line changes, without a restart', async t => {
  const folder = createFolder(t)
  const environment = deployment(folder)
  const server = await startProcess(t, environment)
  const { password } = readFirstSignIn(folder)
  const { body } = await signInAs(server.url, 'admin', password)

  t.is((await runCommand(['user', 'disable', 'admin'], environment)).code, 0)

  t.is(
    (await fetch(`${server.url}/users/me`, { headers: { authorization: `Bearer ${body.access_token}` } })).status,
    401,
  )
  t.is((await signInAs(server.url, 'admin', password)).status, 400)
  await runCommand(['user', 'enable', 'admin'], environment)
  t.is((await signInAs(server.url, 'admin', password)).status, 200)
})

test.serial(
  'promise 7: how long imported hashes take is known before the first request, and ten seconds after an import',
  async t => {
    const folder = createFolder(t)
    const port = await freePort()
    const environment = deployment(folder, { LATCHKEY_THROTTLE: 'off', LATCHKEY_PORT: String(port) })
    const hashed_password = await bcrypt.hash('their password', 12)
    // What the tests beside this one do makes times longer, and waiting for them most: this does not wait, and the least counts.
    const durations = [0, 1, 2].map(() => {
      const began = performance.now()
      bcrypt.compareSync('wrong', hashed_password)
      return performance.now() - began
    })
    const limit = Math.min(...durations) / 8
    const refuse = async () => {
      const began = performance.now()
      t.is((await signInAs(`http://127.0.0.1:${port}`, 'nobody', 'wrong')).status, 400)
      return performance.now() - began
    }
    const isSlow = async () => {
      for (let i = 0; i < 5; i++) if ((await refuse()) < limit) return false
      return true
    }

    const server = await startProcess(t, environment)
    t.false(await isSlow())
    writeFileSync(join(folder, 'users'), JSON.stringify({ username: 'johndoe', hashed_password }))
    t.is((await runCommand(['user', 'import', join(folder, 'users')], environment)).code, 0)
    const imported = performance.now()
    while (!(await isSlow())) {
      t.true(performance.now() - imported < 40_000)
      await setTimeout(250)
    }
    await server.stop()

    // As soon as the port is open, and not when the server says that it is ready.
    const started = startProcess(t, environment)
    while (!(await isOpen(port))) await setTimeout(1)
    t.true((await refuse()) > limit)
    await started
  },
)

/** Users with hashes that no import takes any more. */
async function storeUsers(folder: string, users: readonly { username: string; passwordHash: string }[]) {
  const { storage } = openSqliteStorage(join(folder, 'data/latchkey.db'))
  const event = auditEvent('user.created', 1, {})
  const rows = users.map((user, i) => ({
    ...user,
    id: `usr_${`${i}`.padStart(22, 'A')}`,
    credentialVersion: 1,
    createdAt: 1,
  }))
  await storage.createUsers(rows, event)
  await storage.close()
}

test.serial('stored hashes that take minutes hold up no start, and who has one signs in (CWE-400)', async t => {
  const folder = createFolder(t)
  const environment = migratedDeployment(folder)
  await runCommand(['client', 'add', 'app', '--public', '--grant', 'password'], environment)
  const dear = await argon2.hash('long enough', { memoryCost: 65_536, timeCost: 30, parallelism: 1 })
  const minutes = [94, 95, 96, 97, 98, 99].map(passes => ({
    username: `dear${passes}`,
    passwordHash: `$argon2id$v=19$m=131072,t=${passes},p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`,
  }))
  await storeUsers(folder, [{ username: 'johndoe', passwordHash: dear }, ...minutes])

  const began = performance.now()
  const server = await startProcess(t, environment)
  const elapsed = performance.now() - began

  t.log(`${Math.round(elapsed)} ms`)
  t.true(elapsed < 30_000)
  t.is((await signInAs(server.url, 'johndoe', 'long enough')).status, 200)
})

test('a stored hash that this machine has not the memory for stops no start; other users sign in', async t => {
  const folder = createFolder(t)
  const environment = migratedDeployment(folder)
  // No larger than it must be: one that takes longer than any refusal waits is not computed at all.
  const hashed_password = `$argon2id$v=19$m=393216,t=1,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
  await runCommand(['client', 'add', 'app', '--public', '--grant', 'password'], environment)
  await runCommand(['user', 'add', 'alice', '--password-stdin'], environment, 'long enough by itself')
  await storeUsers(folder, [{ username: 'johndoe', passwordHash: hashed_password }])
  const message = 'how long some stored password hashes take is not known'

  const start = async () => {
    const command = `ulimit -v 1650000 && exec "${process.execPath}" "${launcher}" serve`
    const server = await startProcess(t, environment, ['sh', '-c', command])
    t.is((await signInAs(server.url, 'alice', 'long enough by itself')).status, 200)
    await server.stop()
    return server.log.some(({ msg }) => msg === message)
  }

  t.true(await start())
  t.is((await runCommand(['user', 'remove', 'johndoe'], environment)).code, 0)
  t.false(await start())
})

test('the packed package installs elsewhere and runs as plain JavaScript on Node 24', async t => {
  const folder = createFolder(t)
  const environment = { ...deployment(folder), npm_config_cache: process.env.npm_config_cache ?? '' }
  const packed = await run('npm', ['pack', '--silent', '--pack-destination', folder], {
    ...process.env,
    ...environment,
  } as Record<string, string>)
  t.is(packed.code, 0, packed.stderr)
  const archive = join(folder, packed.stdout.trim().split('\n').at(-1)!)
  const unpacked = await run('tar', ['xzf', archive, '-C', folder], environment)
  t.is(unpacked.code, 0)
  // Its dependencies are those of this checkout: what is tested is that what we ship is enough.
  await run('ln', ['-s', join(root, 'node_modules'), join(folder, 'package/node_modules')], environment)

  const server = await startProcess(t, environment, [
    process.execPath,
    join(folder, 'package/bin/latchkey.js'),
    'serve',
  ])

  t.is((await fetch(`${server.url}/health/ready`)).status, 200)
  t.throws(() => statSync(join(folder, 'package/src')), { code: 'ENOENT' })
  t.is(await server.stop(), 0)
})

test('.env in the working directory sets what the environment does not', async t => {
  const folder = createFolder(t)
  writeFileSync(join(folder, '.env'), 'LATCHKEY_HOST="not a host"\nLATCHKEY_PORT=eighty\n')
  const start = () => runCli(['serve'], deployment(folder), '', folder)

  // The port is in both, and the environment's is good.
  t.deepEqual(await start(), {
    code: 78,
    stdout: '',
    stderr:
      'latchkey: LATCHKEY_HOST is "not a host", which cannot be used; it takes an IP address or host name to listen on\n',
  })

  writeFileSync(join(folder, '.env'), `LATCHKEY_DATABASE_URL=file:${join(folder, 'from-env.db')}\n`)
  const { LATCHKEY_DATABASE_URL: _, ...environment } = deployment(folder)
  t.is((await runCli(['migrate', '--json'], environment, '', folder)).code, 0)
  t.true(statSync(join(folder, 'from-env.db')).size > 0)
})

/** A file system of its own that can be filled up; needs root on Linux. */
function mountTiny(folder: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder]).status === 0
}

const probe = mkdtempSync(join(tmpdir(), 'latchkey-mount-'))
const canMount = mountTiny(probe) && spawnSync('umount', [probe]).status === 0
rmSync(probe, { recursive: true, force: true })
const testFullDisk = canMount ? test : test.skip

testFullDisk(
  'promise 8: a full disk is 503 with Retry-After, and heals by itself when there is room again',
  async t => {
    const folder = createFolder(t)
    mountTiny(folder)
    // Before the folder goes away: teardowns run in reverse order.
    t.teardown(() => spawnSync('umount', ['--lazy', folder]))
    const server = await startProcess(t, deployment(folder))
    const { password } = readFirstSignIn(folder)
    const signIn = () =>
      fetch(`${server.url}/token`, {
        method: 'POST',
        body: new URLSearchParams({ grant_type: 'password', client_id: 'app', username: 'admin', password }),
      })
    const ready = async () => (await fetch(`${server.url}/health/ready`)).status
    t.is((await signIn()).status, 200)
    spawnSync('dd', ['if=/dev/zero', `of=${join(folder, 'filler')}`, 'bs=1k'])

    // What still fits into the last page of the log may succeed.
    let refused = await signIn()
    for (let i = 0; i < 20 && refused.status === 200; i++) refused = await signIn()

    t.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1'])
    t.is(((await refused.json()) as { error: string }).error, 'temporarily_unavailable')
    t.is(await ready(), 503)
    rmSync(join(folder, 'filler'))
    t.is(await ready(), 200)
    t.is((await signIn()).status, 200)
  },
)

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`failed attempts outlive a restart after ${signal}, a crash forgets a second at the most`, async t => {
    const folder = createFolder(t)
    const environment = deployment(folder)
    const first = await startProcess(t, environment)
    const { password } = readFirstSignIn(folder)
    for (let i = 0; i < 11; i++) t.is((await signInAs(first.url, 'nobody', `wrong ${i}`)).status, 400)
    for (let i = 0; i < 6; i++) t.not((await signInAs(first.url, 'nobody', `wrong again ${i}`)).status, 200)
    // The batch of the last second.
    if (signal === 'SIGKILL') await setTimeout(1500)
    await first.stop(signal)

    const second = await startProcess(t, environment)
    const statuses = []
    for (let i = 0; i < 3; i++) statuses.push((await signInAs(second.url, 'nobody', `and again ${i}`)).status)
    // Without a memory all three would be judged.
    t.true(statuses.includes(429), statuses.join())
    t.is((await signInAs(second.url, 'admin', password)).status, 200)
  })
}
