/** Replacing the master secret and the signing keys while people stay signed in. Design, settings; RFC 9700 §4.14, ASVS 5 V13.3. */
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import pino from 'pino'
import { clientUpdate } from '../../src/clients/client.ts'
import { digestClientSecret, masterSecretOfDigest } from '../../src/clients/client_secret.ts'
import { createMasterSecret } from '../../src/keys/master_secret.ts'
import { maxAccessTokenLifetime, publicationLead, unhurriedLead } from '../../src/keys/signing_key.ts'
import { openSqliteStorage } from '../../src/storage/sqlite/sqlite.ts'
import { reloadKeys, rotateKey } from '../../src/upkeep.ts'
import { codeOf } from '../_factors.ts'
import {
  createFolder,
  deployment,
  launcher,
  migratedDeployment,
  postForm,
  type RunningServer,
  root,
  run,
  runCli,
  runCommand,
  startProcess,
} from '../_process.ts'
import { createTestRandom, createTestSecrets, startServerWithAlice, startTime, type TestServer } from '../_server.ts'

const password = 'a password that will do'
const silent = pino({ level: 'silent' })
const rotation = { keyRotation: 90 * 86_400, signingAlg: 'ES256' } as const

const kidsOf = async ({ deps }: TestServer) => (await deps.storage.listSigningKeys()).map(({ kid }) => kid)

test('a signing key is followed by another when it is as old as the setting says, and not before', async t => {
  const server = await startServerWithAlice(t)
  const { deps, clock } = server
  const [first] = await kidsOf(server)
  clock.advance(rotation.keyRotation - 1)
  await rotateKey(deps, rotation, silent)
  t.deepEqual(await kidsOf(server), [first!])

  clock.advance(1)
  await Promise.all([rotateKey(deps, rotation, silent), rotateKey(deps, rotation, silent)])
  const [, second, ...more] = await kidsOf(server)
  t.deepEqual(more, [], 'of two nodes one adds a key')
  await reloadKeys(deps)

  const kidOf = async () =>
    JSON.parse(Buffer.from((await server.signIn()).access_token.split('.')[0]!, 'base64url').toString()).kid
  t.is(await kidOf(), first)
  clock.advance(unhurriedLead)
  t.is(await kidOf(), second)
  await rotateKey(deps, rotation, silent)
  t.is((await kidsOf(server)).length, 2)

  clock.advance(maxAccessTokenLifetime + publicationLead)
  await reloadKeys(deps)
  t.deepEqual(await kidsOf(server), [second!])
  const events = await deps.storage.listAuditEvents(10, { type: 'key' })
  t.deepEqual(
    events.map(({ type, detail }) => [type, detail]),
    [
      ['key.removed', first],
      ['key.created', `ES256 ${second}`],
      ['key.created', undefined],
    ],
  )
})

test('LATCHKEY_KEY_ROTATION=0 never adds a key', async t => {
  const server = await startServerWithAlice(t)
  server.clock.advance(10 * 365 * 86_400)
  await rotateKey(server.deps, { ...rotation, keyRotation: 0 }, silent)
  t.is((await kidsOf(server)).length, 1)
})

test('a client that authenticates after a rotation no longer depends on the old master secret; a wrong secret changes nothing', async t => {
  const secrets = createTestSecrets('new', 'old')
  const server = await startServerWithAlice(t, { secrets })
  const digests = async () => (await server.deps.storage.findClient('web'))!.secretDigests
  const clientSecret = await server.addClient({ id: 'web', isPublic: false })
  const old = digestClientSecret(clientSecret, secrets[1]!)
  const other = digestClientSecret('another secret', secrets[1]!)
  await server.deps.storage.changeClient(
    'web',
    clientUpdate(client => ({ ...client, secretDigests: [other, old] }), {
      at: startTime,
      type: 'client.updated',
    }),
  )
  const introspect = (client_secret: string) =>
    server.post('/introspect', { client_id: 'web', client_secret, token: 'x' })

  t.is((await introspect('wrong')).status, 400)
  t.deepEqual(await digests(), [other, old])
  t.is((await introspect(clientSecret)).status, 200)
  t.deepEqual(await digests(), [other, digestClientSecret(clientSecret, secrets[0])])
  const events = (await server.deps.storage.listAuditEvents(100)).length
  t.is((await introspect(clientSecret)).status, 200)
  t.is((await server.deps.storage.listAuditEvents(100)).length, events, 'the second time nothing is written')
  t.is(masterSecretOfDigest((await digests())[1]!), secrets[0].name)
})

const refresh = (server: RunningServer, token: unknown) =>
  postForm(`${server.url}/token`, { grant_type: 'refresh_token', client_id: 'app', refresh_token: String(token) })

async function startWithUser(t: ExecutionContext, folder: string, extra: Record<string, string> = {}) {
  const environment = migratedDeployment(folder, { LATCHKEY_BOOTSTRAP: 'off', ...extra })
  await runCommand(['user', 'add', 'alice', '--password-stdin'], environment, password)
  await runCommand(['client', 'add', 'app', '--public', '--grant', 'password', '--grant', 'refresh_token'], environment)
  return { environment, server: await startProcess(t, environment) }
}

const signIn = async (server: RunningServer) => {
  const answer = await postForm(`${server.url}/token`, {
    grant_type: 'password',
    client_id: 'app',
    username: 'alice',
    password,
  })
  if (answer.status !== 200) throw new Error(JSON.stringify(answer))
  return answer.body
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('this took too long')
    await wait(50)
  }
}

test('secret rotate: the running server takes the new secret over, nobody is signed out, and the old one can go when it is not needed', async t => {
  const folder = createFolder(t)
  const { environment, server } = await startWithUser(t, folder)
  const cli = async (...args: string[]) => runCommand(['secret', ...args], environment)
  const json = async (...args: string[]) => JSON.parse((await cli(...args, '--json')).stdout)
  const file = join(folder, 'data/secret')
  const before = readFileSync(file, 'utf8').trim()
  const [phone, tablet] = [await signIn(server), await signIn(server)]
  t.regex((await cli('drop-old')).stderr, /there is no old master secret/)

  const rotated = await json('rotate')
  t.is(rotated.reencrypted_keys, 1)
  const [newest = '', old, ...more] = readFileSync(file, 'utf8').trim().split(',')
  t.deepEqual([old, more], [before, []])
  t.not(newest, before)
  t.is(statSync(file).mode & 0o777, 0o600)
  t.false(existsSync(`${file}.partial`))
  t.regex((await cli('drop-old')).stderr, /^latchkey: no server uses the new master secret yet/)
  await until(() =>
    server.log.some(({ msg, secret }) => msg === 'the master secret has been rotated' && secret === rotated.newest),
  )

  const refreshed = await refresh(server, phone.refresh_token)
  t.is(refreshed.status, 200)
  const [now, then] = await json('status')
  t.like(now, { name: rotated.newest, newest: true, signing_keys: 1, sessions: null })
  // The margin for other servers counts the phone as well.
  t.like(then, { newest: false, signing_keys: 0, sessions: 2 })
  const refusal = await cli('drop-old')
  t.is(refusal.code, 1)
  t.regex(refusal.stderr, /^latchkey: the old master secret is still needed: 2 sessions were last refreshed/)
  t.is(readFileSync(file, 'utf8').trim(), `${newest},${old}`)

  const dropped = await json('drop-old', '--force')
  t.deepEqual(dropped, { newest: rotated.newest, dropped: [then.name] })
  t.is(readFileSync(file, 'utf8').trim(), newest)
  await server.stop()
  const restarted = await startProcess(t, environment)
  t.is((await refresh(restarted, refreshed.body.refresh_token)).status, 200)
  t.is((await refresh(restarted, tablet.refresh_token)).status, 400, 'this is what --force is for')

  const { storage } = openSqliteStorage(join(folder, 'data/latchkey.db'))
  const events = await storage.listAuditEvents(10, { type: 'secret' })
  await storage.close()
  t.deepEqual(
    events.map(({ type }) => type),
    ['secret.old_dropped', 'secret.in_use', 'secret.rotated', 'secret.in_use'],
  )
  t.false(JSON.stringify([events, server.log, refusal]).includes(newest))
})

test('with LATCHKEY_SECRET the operator puts the new value first; secret rotate encrypts the keys under it', async t => {
  const folder = createFolder(t)
  const [older, newer] = ['a', 'b'].map(seed => createMasterSecret(createTestRandom(seed))) as [string, string]
  const { environment, server } = await startWithUser(t, folder, { LATCHKEY_SECRET: older })
  const session = await signIn(server)
  await server.stop()
  const wrong = await runCommand(['secret', 'rotate'], environment)
  t.is(wrong.code, 1)
  t.regex(wrong.stderr, /put a new one and a comma before it/)

  const both = { ...environment, LATCHKEY_SECRET: `${newer},${older}` }
  const between = await startProcess(t, both)
  const refreshed = await refresh(between, session.refresh_token)
  t.is(refreshed.status, 200)
  await between.stop()
  t.is(
    (await runCli(['serve'], { ...environment, LATCHKEY_SECRET: newer })).code,
    78,
    'the keys are still under the old one',
  )
  t.like(JSON.parse((await runCommand(['secret', 'rotate', '--json'], both)).stdout), { reencrypted_keys: 1 })

  const after = await startProcess(t, { ...environment, LATCHKEY_SECRET: newer })
  t.is((await refresh(after, refreshed.body.refresh_token)).status, 200)
})

test('a secret put into the file by mistake signs nobody out: the server says so and goes on with the one it has', async t => {
  const folder = createFolder(t)
  const { server } = await startWithUser(t, folder)
  const session = await signIn(server)
  writeFileSync(join(folder, 'data/secret'), createMasterSecret(createTestRandom('another')))

  await until(() => server.log.some(({ msg }) => msg === 'upkeep failed; it will be tried again'))

  t.is((await refresh(server, session.refresh_token)).status, 200)
})

test('.env with the master secret in it is told at the start when others can read it', async t => {
  const folder = createFolder(t)
  const file = join(folder, '.env')
  const environment = deployment(folder)
  const loose = async (text: string, mode: number) => {
    writeFileSync(file, text)
    chmodSync(file, mode)
    const server = await startProcess(t, environment, ['sh', '-c', `cd "$HOME" && exec node "${launcher}" serve`])
    await server.stop()
    return server.log.filter(({ mode }) => mode !== undefined).map(({ file, mode }) => [file, mode])
  }
  const secret = `LATCHKEY_SECRET=${createMasterSecret(createTestRandom('a'))}\n`

  t.deepEqual(await loose(secret, 0o644), [['.env', '0644']])
  t.deepEqual(await loose(secret, 0o600), [])
})

test('a file that others can read is told at the start', async t => {
  const folder = createFolder(t)
  const { environment, server } = await startWithUser(t, folder)
  t.false(server.log.some(({ mode }) => mode !== undefined))
  await server.stop()
  chmodSync(join(folder, 'data/secret'), 0o644)
  chmodSync(join(folder, 'data/latchkey.db'), 0o660)

  const again = await startProcess(t, environment)

  t.deepEqual(
    again.log.filter(({ mode }) => mode !== undefined).map(({ file, mode, level }) => [file, mode, level]),
    [
      [join(folder, 'data/latchkey.db'), '0660', 40],
      [join(folder, 'data/latchkey.db-wal'), '0660', 40],
      [join(folder, 'data/latchkey.db-shm'), '0660', 40],
      [join(folder, 'data/secret'), '0644', 40],
    ],
  )
})

const testAsRoot = process.geteuid?.() === 0 ? test : test.skip

testAsRoot(
  "root's file that is lent to the server's group is not told, one that all can read is: systemd#29435",
  async t => {
    const folder = createFolder(t)
    chmodSync(folder, 0o755)
    const modes = [0o400, 0o440, 0o460, 0o444]
    const files = modes.map(mode => join(folder, mode.toString(8)))
    for (const [i, file] of files.entries()) {
      writeFileSync(file, '')
      chmodSync(file, modes[i]!)
    }
    const code = `const { looseFiles } = await import('${root}/src/secret_file.ts')
    const look = () => looseFiles(${JSON.stringify(files)}).map(({ mode }) => mode)
    const asRoot = look()
    process.seteuid(65534)
    console.log(JSON.stringify([asRoot, look()]))`
    const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '-e', code], {})

    t.is(stderr, '')
    t.deepEqual(JSON.parse(stdout), [
      ['0440', '0460', '0444'],
      ['0460', '0444'],
    ])
  },
)

test('secret rotate: the running server encrypts the secrets of codes anew; recovery codes cannot be, and drop-old says how many users have such', async t => {
  const folder = createFolder(t)
  const { environment, server } = await startWithUser(t, folder)
  const json = async (...args: string[]) =>
    JSON.parse((await runCommand(['secret', ...args, '--json'], environment)).stdout)
  const headers = { authorization: `Bearer ${(await signIn(server)).access_token}` }
  const enroll = async (path: string, params: Record<string, string>) => {
    const body = new URLSearchParams(params)
    const answer = await fetch(`${server.url}/users/me/factors${path}`, { method: 'POST', body, headers })
    if (!answer.ok) throw new Error(await answer.text())
    return (await answer.json()) as Record<string, string>
  }
  const { enrollment = '', secret = '' } = await enroll('', { kind: 'totp' })
  const at = () => Math.floor(Date.now() / 1000)
  const { recovery_codes } = await enroll('/confirm', { enrollment, otp: codeOf(secret, at()) })
  t.like((await json('status'))[0], { totp_secrets: null, recovery_codes: null })

  await json('rotate')
  const [, waiting] = await json('status')
  t.is(waiting.recovery_codes, 1)
  await until(async () => (await json('status'))[1].totp_secrets === 0)
  await runCommand(['session', 'revoke', '--all'], environment)
  const { stderr } = await runCommand(['secret', 'drop-old'], environment)
  t.regex(stderr, /^latchkey: the old master secret is still needed: the recovery codes of 1 user were made under it/)

  await json('drop-old', '--force')
  await server.stop()
  const restarted = await startProcess(t, environment)
  const form = { grant_type: 'password', client_id: 'app', username: 'alice', password }
  const attempt = (more: Record<string, string>) => postForm(`${restarted.url}/token`, { ...form, ...more })
  t.is((await attempt({ recovery_code: recovery_codes![0]! })).status, 400, 'this is what --force is for')
  t.is((await attempt({ otp: codeOf(secret, at() + 30) })).status, 200)
})
