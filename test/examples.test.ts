/** Everything under `examples/`, run as a reader would run it: the resource servers as processes, the client on a bad network. */
import { spawn } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import { decodeJwt, type JWTPayload, SignJWT } from 'jose'
import {
  type Client,
  ClientError,
  type ClientOptions,
  createClient,
  type Proof,
  type ProofRequest,
} from '../examples/client/client.ts'
import { addWebhook } from '../src/admin/webhooks.ts'
import { auditEvent } from '../src/audit/audit.ts'
import { openSigningKey } from '../src/keys/jws.ts'
import { createKeyRing } from '../src/keys/key_ring.ts'
import { type MasterSecrets, parseMasterSecrets } from '../src/keys/master_secret.ts'
import { createSigningKey, type SigningKey } from '../src/keys/signing_key.ts'
import { openSqliteStorage } from '../src/storage/sqlite/sqlite.ts'
import { now } from '../src/system.ts'
import { stepAt, totpCode } from '../src/users/factors/totp.ts'
import { addPasskey, addTotp } from './_factors.ts'
import {
  createFolder,
  deployment,
  migratedDeployment,
  postForm,
  root,
  run,
  runCommand,
  startProcess,
} from './_process.ts'
import { createClock, createTestSecrets, password, startServerWithAlice } from './_server.ts'

// ---- Resource servers ----

/** Debian's own, which has Debian's packages; the one on the PATH may be another. */
const python = '/usr/bin/python3'
const resourceServers = [
  ['Express', [process.execPath, 'express.ts']],
  ['Koa', [process.execPath, 'koa.ts']],
  ['Fastify', [process.execPath, 'fastify.ts']],
  ['FastAPI', [python, 'fastapi_server.py']],
] as const

for (const [name, [command, file]] of resourceServers) {
  test(`the ${name} example takes the access tokens of this server and refuses all others (RFC 9068 §4, RFC 6750 §3)`, async t => {
    if (command === python && !(await hasPythonPackages(t))) return t.pass()
    const { issuer, accessToken, current, next, rsa, stranger, impostor } = await startLatchkeyWithKeys(t)
    const example = await startExample(t, command, file, { ISSUER: issuer })
    const hello = (token?: string) => ask(`${example}/hello`, token)
    const token = await accessToken('read')
    const claims = decodeJwt(token)

    t.deepEqual(await hello(token), { status: 200, challenge: null, body: { sub: claims.sub } })
    t.is((await hello(current.sign(claims))).status, 200, 'what this test signs is good')
    t.is((await hello(next.sign(claims))).status, 200, 'the key that signs next')

    const [header, payload, signature] = token.split('.') as [string, string, string]
    const hour = 3600
    for (const [why, refused] of Object.entries({
      'no JWT': 'x',
      'a changed signature': `${header}.${payload}.${swapFirst(signature)}`,
      'changed claims': `${header}.${encode({ ...claims, sub: 'usr_x' })}.${signature}`,
      'another audience': current.sign({ ...claims, aud: 'https://other.example' }),
      'no audience': current.sign({ ...claims, aud: undefined }),
      'another issuer': current.sign({ ...claims, iss: 'https://other.example' }),
      'no issuer': current.sign({ ...claims, iss: undefined }),
      'an expired token': current.sign({ ...claims, iat: claims.iat! - hour, exp: claims.exp! - hour }),
      'another type': current.sign(claims, 'JWT'),
      'an unknown key': stranger.sign(claims),
      'another key of the same name': impostor.sign(claims),
      'another algorithm of the same issuer': rsa.sign(claims),
      'an algorithm for shared secrets': await current.signWithPublicKey(claims),
      'no algorithm': `${encode({ alg: 'none', typ: 'at+jwt', kid: current.kid })}.${payload}.`,
    })) {
      const answer = await hello(refused)
      t.is(answer.status, 401, why)
      t.regex(answer.challenge ?? '', /^Bearer .*error="invalid_token"/, why)
    }
    const missing = await hello()
    t.is(missing.status, 401)
    t.regex(missing.challenge ?? '', /^Bearer(?!.*error=)/)
  })

  test(`the ${name} example wants the scope of a route (RFC 6750 §3.1)`, async t => {
    if (command === python && !(await hasPythonPackages(t))) return t.pass()
    const { issuer, accessToken } = await startLatchkey(t)
    const example = await startExample(t, command, file, { ISSUER: issuer })
    const [reader, writer] = [await accessToken('read'), await accessToken('read write')]
    const addNote = (token: string) => ask(`${example}/notes`, token, 'POST')

    t.deepEqual(await addNote(writer), { status: 201, challenge: null, body: { author: decodeJwt(writer).sub } })
    const refused = await addNote(reader)
    t.is(refused.status, 403)
    t.regex(refused.challenge ?? '', /^Bearer .*error="insufficient_scope".*scope="write"/)
    t.is((await ask(`${example}/hello`, reader)).status, 200)
  })

  test(`the ${name} example wants a role for a route, from the claim that its client asked for (RFC 9068 §2.2.3.1)`, async t => {
    if (command === python && !(await hasPythonPackages(t))) return t.pass()
    const folder = createFolder(t)
    const { issuer, accessToken } = await startLatchkey(t, folder)
    const example = await startExample(t, command, file, { ISSUER: issuer })
    const statistics = async () => ask(`${example}/statistics`, await accessToken('read'))
    const change = async (...args: string[]) => {
      const { code, stderr } = await runCommand(args, deployment(folder))
      if (code !== 0) throw new Error(stderr)
    }

    await change('user', 'update', 'admin', '--role', 'editor', '--role', 'admin')
    const withoutClaim = (await statistics()).status
    await change('client', 'update', 'app', '--claim', 'roles')
    t.deepEqual(await statistics(), { status: 200, challenge: null, body: { notes: 0 } })
    await change('user', 'update', 'admin', '--role', 'editor')
    const withoutRole = (await statistics()).status
    t.deepEqual([withoutClaim, withoutRole], [403, 403])
  })

  test(`the ${name} example wants two factors, or a passkey, of the last five minutes for a route (RFC 9470 §3)`, async t => {
    if (command === python && !(await hasPythonPackages(t))) return t.pass()
    const { issuer, accessToken, current } = await startLatchkeyWithKeys(t)
    const example = await startExample(t, command, file, { ISSUER: issuer })
    const token = await accessToken('read')
    const claims = decodeJwt(token)
    const pay = (more: object = {}) => ask(`${example}/payments`, current.sign({ ...claims, ...more }), 'POST')
    const now = Math.floor(Date.now() / 1000)

    for (const acr of ['urn:latchkey:2fa', 'phr'])
      t.deepEqual(await pay({ acr, auth_time: now }), { status: 201, challenge: null, body: { payer: claims.sub } })
    t.is((await pay({ acr: 'phr', auth_time: now - 270 })).status, 201)
    t.is(claims.acr, 'urn:latchkey:1fa')
    for (const more of [
      {},
      { acr: undefined },
      { acr: 'phr', auth_time: now - 330 },
      { acr: 'phr', auth_time: undefined },
    ]) {
      const { status, challenge } = await pay(more)
      t.is(status, 401, JSON.stringify(more))
      t.regex(
        challenge ?? '',
        /^Bearer error="insufficient_user_authentication", acr_values="urn:latchkey:2fa phr", max_age=300$/,
      )
    }
    t.is((await ask(`${example}/hello`, token)).status, 200)
    t.is((await ask(`${example}/payments`, undefined, 'POST')).status, 401)
  })

  test(`the ${name} example blames no token when the keys cannot be had`, async t => {
    if (command === python && !(await hasPythonPackages(t))) return t.pass()
    const issuer = 'http://127.0.0.1:1'
    const example = await startExample(t, command, file, { ISSUER: issuer })
    const token = `${encode({ alg: 'ES256', typ: 'at+jwt', kid: 'k' })}.${encode({ iss: issuer })}.${'A'.repeat(86)}`

    // express-oauth2-jwt-bearer makes every failure a 401.
    t.is((await ask(`${example}/hello`, token)).status, name === 'Express' ? 401 : 503)
  })
}

type Latchkey = Awaited<ReturnType<typeof startLatchkey>>

/** The real server with its first client and user. */
async function startLatchkey(t: ExecutionContext, folder = createFolder(t)) {
  const server = await startProcess(t, deployment(folder))
  const adminPassword = /this password:\n\n {2}(\S+)\n/.exec(
    readFileSync(join(folder, 'data/first-sign-in'), 'utf8'),
  )![1]!
  return {
    issuer: String(server.log.find(line => line.msg === 'listening')?.issuer),
    adminPassword,
    async accessToken(scope: string): Promise<string> {
      const params = { grant_type: 'password', client_id: 'app', username: 'admin', password: adminPassword, scope }
      const { status, body } = await postForm(`${server.url}/token`, params)
      if (status !== 200) throw new Error(JSON.stringify(body))
      return String(body.access_token)
    },
  }
}

/** {@link startLatchkey} with one signing key in use and two published that sign later, and what can sign with them. */
async function startLatchkeyWithKeys(t: ExecutionContext) {
  const folder = createFolder(t)
  for (const alg of ['ES256', 'ES256', 'RS256']) {
    const { code, stderr } = await runCommand(
      ['key', 'rotate'],
      migratedDeployment(folder, { LATCHKEY_SIGNING_ALG: alg }),
    )
    if (code !== 0) throw new Error(stderr)
  }
  const latchkey: Latchkey = await startLatchkey(t, folder)
  const secrets = parseMasterSecrets(readFileSync(join(folder, 'data/secret'), 'utf8').trim())!
  const { storage } = openSqliteStorage(join(folder, 'data/latchkey.db'))
  const [current, next, rsa] = (await storage.listSigningKeys()) as [SigningKey, SigningKey, SigningKey]
  await storage.close()
  const foreign = createTestSecrets('foreign')
  const stranger = await createSigningKey('ES256', foreign, 0, 0)
  return {
    ...latchkey,
    current: await createSigner(current, secrets),
    next: await createSigner(next, secrets),
    rsa: await createSigner(rsa, secrets),
    stranger: await createSigner(stranger, foreign),
    impostor: await createSigner({ ...stranger, kid: current.kid }, foreign),
  }
}

async function createSigner(key: SigningKey, secrets: MasterSecrets) {
  const ring = createKeyRing([(await openSigningKey(key, secrets))!])
  return {
    kid: key.kid,
    sign: (claims: object, typ?: 'JWT') => ring.sign(claims, key.activatesAt, typ),
    /** Takes the public key for a shared secret, as an attacker would. */
    signWithPublicKey(claims: JWTPayload) {
      const pem = createPublicKey({ key: key.publicJwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
      const header = { alg: 'HS256', typ: 'at+jwt', kid: key.kid }
      return new SignJWT(claims).setProtectedHeader(header).sign(Buffer.from(pem))
    },
  }
}

/** Starts an example on a free port. @returns the URL that it prints */
async function startExample(t: ExecutionContext, command: string, file: string, settings: Record<string, string>) {
  const environment = { ...deployment(createFolder(t)), PORT: '0', ...settings }
  const path = join(root, 'examples/resource-servers', file)
  const child = spawn(command, [path], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  const stderr = text(child.stderr)
  for await (const line of createInterface({ input: child.stdout })) return line
  throw new Error(`${file} ended: ${await stderr}`)
}

/** On a developer's machine Python may be missing; the machine that decides must have it. */
async function hasPythonPackages(t: ExecutionContext): Promise<boolean> {
  const { code } = await run(python, ['-c', 'import fastapi, uvicorn, jwt'], deployment(createFolder(t))).catch(() => ({
    code: null,
  }))
  if (code === 0) return true
  if (process.env.CI !== undefined) throw new Error(`${python} cannot import fastapi, uvicorn and jwt`)
  t.log(`skipped: ${python} cannot import fastapi, uvicorn and jwt`)
  return false
}

async function ask(url: string, token?: string, method = 'GET') {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const response = await fetch(url, { method, headers })
  const body = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') ?? false
  const challenge = response.headers.get('www-authenticate')
  return { status: response.status, challenge, body: isJson ? JSON.parse(body) : body }
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const swapFirst = (base64url: string) => (base64url.startsWith('A') ? 'B' : 'A') + base64url.slice(1)

// ---- The receiver of webhooks ----

test('the example of a receiver takes an event once, and refuses what is not signed by its secret', async t => {
  const server = await startServerWithAlice(t, { clock: createClock(now()) })
  const storage = server.deps.storage
  const add = (url: string) =>
    addWebhook({ ...server.deps, secrets: async () => server.deps.secrets }, { url }, { name: 'operator test' })
  const keeper = await startKeeper(t)
  const { secret } = await add(keeper.url)
  const environment = { ...deployment(createFolder(t)), PORT: '0', WEBHOOK_SECRET: secret! }
  const child = spawn(process.execPath, [join(root, 'examples/webhooks/receiver.ts')], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const receiver = /http:\S+/.exec(String((await lines.next()).value))![0]!

  await storage.addAuditEvents([auditEvent('user.removed', now(), {}, { userId: server.aliceId })])
  await server.deliver()
  t.true(keeper.kept.length >= 2)
  for (const { headers, body } of [...keeper.kept, ...keeper.kept])
    t.is((await fetch(receiver, { method: 'POST', headers, body })).status, 204)
  t.is((await lines.next()).value, `forget the customer ${server.aliceId}`)
  const { headers, body } = keeper.kept.at(-1)!
  const statusOf = async (init: RequestInit) => (await fetch(receiver, { method: 'POST', ...init })).status
  t.is(await statusOf({ headers, body: body.replace(server.aliceId, 'usr_other') }), 401)
  t.is(await statusOf({ headers: { ...headers, 'webhook-id': 'evt_1_1' }, body }), 401)
  t.is(await statusOf({ body }), 401)
})

/** Keeps what is sent to a webhook, to be sent on as often as a test likes. */
async function startKeeper(t: ExecutionContext) {
  const kept: { headers: Record<string, string>; body: string }[] = []
  const server = createServer(async (request, response) => {
    const signed = Object.entries(request.headers).filter(([name]) => name.startsWith('webhook-'))
    kept.push({ headers: Object.fromEntries(signed) as Record<string, string>, body: await text(request) })
    response.end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, kept }
}

// ---- The client ----

test('the client example: a request has the access token, and the issuer and apis alone get it (RFC 6750 §2.1)', async t => {
  const { proxy, client, storage } = await startSignedIn(t)

  t.deepEqual(await (await client.fetch(`${proxy.url}/users/me`, { headers: { 'x-test': '1' } })).json(), alice)
  t.is(proxy.seen.at(-1)?.headers['x-test'], '1')
  for (const url of [`${proxy.url}.example/users/me`, 'https://other.example/', '/users/me']) {
    await t.throwsAsync(client.fetch(url), { instanceOf: TypeError })
  }
  const elsewhere = createClient({
    ...clientOptions(proxy.url, storage),
    issuer: 'https://auth.example',
    apis: [proxy.url],
  })
  await t.throwsAsync(elsewhere.fetch('https://auth.example.evil/'), { instanceOf: TypeError })
})

test('the client example: a wrong password is invalid_grant and stores nothing, and the right one signs in', async t => {
  const { client, storage } = await startClient(t)

  await throwsCode(t, client.signIn('alice', 'wrong'), 'invalid_grant')
  t.is(storage.text, undefined)
  t.false(await client.isSignedIn())
  await client.signIn('alice', password)
  t.true(await client.isSignedIn())
})

test('the client example: what is typed arrives as it is, and what is not given is not sent (RFC 6749 Appendix B)', async t => {
  const { proxy, client } = await startClient(t)
  const device = 'Älice & Bob = 100 % + 1'

  await client.signIn('alice', password, { device })
  await client.signIn('alice', password, { device: undefined } as object)
  t.deepEqual(
    proxy.to('/token').map(({ form }) => form.device),
    [device, undefined],
  )
})

test('the client example: twenty parallel 401s cause one refresh, and so does one that comes late', async t => {
  const { server, proxy, client } = await startSignedIn(t, { now: () => 0 })
  server.clock.advance(1000)
  const gate = createGate()
  proxy.plan('/users/me', holdAnswer(gate))

  const late = client.fetch(`${proxy.url}/users/me`)
  await gate.reached
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.fetch(`${proxy.url}/users/me`)))
  gate.open()
  answers.push(await late)

  t.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.is(proxy.to('/token').length, 2, 'the sign-in and one refresh')
  t.is(proxy.to('/users/me').length, 42)
})

test('the client example: a request that is refused twice is answered with the second 401', async t => {
  const { proxy, client } = await startSignedIn(t)
  proxy.plan('/notes', answer(401), answer(401))

  t.is((await client.fetch(`${proxy.url}/notes`)).status, 401)
  t.is(proxy.to('/notes').length, 2)
})

test('the client example: a request is repeated with its body, and one whose body is a stream is not', async t => {
  const { proxy, client } = await startSignedIn(t)
  proxy.plan('/notes', answer(401), answer(201), answer(401))

  const text = await client.fetch(`${proxy.url}/notes`, { method: 'POST', body: 'milk' })
  const stream = new Blob(['milk']).stream()
  const streamed = await client.fetch(`${proxy.url}/notes`, { method: 'POST', body: stream, duplex: 'half' })

  t.deepEqual([text.status, streamed.status], [201, 401])
  t.deepEqual(
    proxy.to('/notes').map(({ body }) => body),
    ['milk', 'milk', 'milk'],
  )
})

test('the client example: the access token is refreshed 30 seconds before it expires, not sooner', async t => {
  const { server, proxy, client } = await startSignedIn(t)
  const me = () => client.fetch(`${proxy.url}/users/me`)
  await me()
  const { exp } = decodeJwt(proxy.seen.at(-1)!.headers.authorization!.slice(7))

  server.clock.advance(exp! - server.clock.now() - 31)
  await me()
  t.is(proxy.to('/token').length, 1)
  server.clock.advance(1)
  await me()
  t.is(proxy.to('/token').length, 2)
  t.is(proxy.to('/users/me').length, 3, 'no 401 was needed')
})

test('the client example: an access token of ten seconds is used for nine', async t => {
  const { server, proxy, client } = await startSignedIn(t, {}, { accessTokenLifetime: 10 })
  const me = () => client.fetch(`${proxy.url}/users/me`)

  server.clock.advance(8)
  await me()
  t.is(proxy.to('/token').length, 1)
  server.clock.advance(1)
  await me()
  t.is(proxy.to('/token').length, 2)
})

test('the client example: a refresh whose answer is lost is sent again with the same token (promise 2)', async t => {
  const { server, proxy, client, waits } = await startSignedIn(t)
  server.clock.advance(1000)
  proxy.plan('/token', loseAnswer, loseAnswer)

  t.is((await client.fetch(`${proxy.url}/users/me`)).status, 200)
  const [, first, second, third] = proxy.to('/token').map(({ body }) => body)
  t.is(first, second)
  t.is(first, third)
  t.is(waits.length, 2)
})

test('the client example: no network signs nobody out; a day later the same refresh token brings new ones (promise 2)', async t => {
  const { server, proxy, client, storage, waits, signedOut } = await startSignedIn(t)
  server.clock.advance(1000)
  const before = storage.text
  proxy.plan(
    '/token',
    loseAnswer,
    noConnection,
    noConnection,
    answer(502),
    answer(200, '<html>Welcome to the hotel</html>'),
  )

  await throwsCode(t, client.fetch(`${proxy.url}/users/me`), 'unavailable')
  t.is(proxy.to('/token').length, 6, 'the sign-in, a refresh and four retries')
  waits.forEach((wait, retry) => {
    t.true(wait >= 0 && wait <= 1000 * 2 ** retry)
  })
  t.is(waits.length, 4)
  t.false(waits.every(Number.isInteger), 'a random part of a second')
  t.is(storage.text, before)
  t.true(await client.isSignedIn())

  server.clock.advance(86_400)
  t.is((await client.fetch(`${proxy.url}/users/me`)).status, 200)
  t.not(storage.text, before)
  t.is(signedOut.length, 0)
})

test("the client example: what somebody else answers in the server's place counts as no answer", async t => {
  const { server, proxy, client, waits, signedOut } = await startSignedIn(t)
  server.clock.advance(1000)
  proxy.plan('/token', answer(200, '{}'), answer(403, '{"message":"blocked"}'), answer(400, 'invalid_grant'))

  t.is((await client.fetch(`${proxy.url}/users/me`)).status, 200)
  t.is(waits.length, 3)
  t.is(signedOut.length, 0)
})

test('the client example: a server that never answers is given up after the timeout', async t => {
  const { proxy, client, options } = await startSignedIn(t)
  const impatient = createClient({ ...options, timeout: 30 })
  proxy.plan('/token', ...Array.from({ length: 5 }, () => holdAnswer(createGate())))

  await throwsCode(t, impatient.fetch(`${proxy.url}/users/me`), 'unavailable')
  t.true(await impatient.isSignedIn())
  t.is((await client.fetch(`${proxy.url}/users/me`)).status, 200)
})

test('the client example: Retry-After is obeyed, and an hour of it is not waited for (RFC 9110 §10.2.3)', async t => {
  const { server, proxy, client, waits } = await startSignedIn(t)
  server.clock.advance(1000)
  proxy.plan('/token', answer(503, '', { 'retry-after': '7' }), answer(429, '', { 'retry-after': '3600' }))

  const error = await throwsCode(t, client.fetch(`${proxy.url}/users/me`), 'unavailable')
  t.is(error.retryAfter, 3600)
  t.is(waits.length, 1)
  t.true(waits[0]! >= 7000 && waits[0]! <= 8000)
  t.is((await client.fetch(`${proxy.url}/users/me`)).status, 200)
})

test('the client example: a crash between the answer and the save goes on with the parent token (promise 2)', async t => {
  const { server, proxy, client, storage, options } = await startSignedIn(t)
  server.clock.advance(1000)
  const before = storage.text
  storage.failNextSave()

  t.is((await client.fetch(`${proxy.url}/users/me`)).status, 200, 'the new access token is good')
  t.is(storage.text, before)

  server.clock.advance(1000)
  const afterCrash = createClient(options)
  t.is((await afterCrash.fetch(`${proxy.url}/users/me`)).status, 200)
  t.not(storage.text, before)
  server.clock.advance(1000)
  t.is((await afterCrash.fetch(`${proxy.url}/users/me`)).status, 200)
})

test('the client example: a sign-in that cannot be stored fails and leaves no session behind', async t => {
  const { client, storage, sessions } = await startClient(t)
  storage.failNextSave()

  await t.throwsAsync(client.signIn('alice', password), { message: 'disk full' })
  t.is(await sessions(), 0)
  await client.signIn('alice', password)
  t.is(await sessions(), 1)
})

test('the client example: invalid_grant signs out and tells once; any other refusal does not (RFC 6749 §5.2)', async t => {
  const { server, proxy, client, storage, signedOut, aliceId } = await startSignedIn(t)
  server.clock.advance(1000)
  const me = () => client.fetch(`${proxy.url}/users/me`)
  proxy.plan('/token', answer(401, '{"error":"invalid_client"}'))

  await throwsCode(t, me(), 'invalid_client')
  t.true(await client.isSignedIn())
  t.is(signedOut.length, 0)

  await endSessions(server, aliceId)
  await Promise.all(Array.from({ length: 5 }, () => throwsCode(t, me(), 'signed_out')))
  t.is(storage.text, undefined)
  t.false(await client.isSignedIn())
  t.is(signedOut.length, 1)
})

test('the client example: a session that ended while the app was closed is told at its start', async t => {
  const { server, proxy, options, signedOut, aliceId } = await startSignedIn(t)
  await endSessions(server, aliceId)

  await throwsCode(t, createClient(options).fetch(`${proxy.url}/users/me`), 'signed_out')
  t.is(signedOut.length, 1)
})

test('the client example: two tabs that refresh at the same time go one after the other (Web Locks)', async t => {
  const { server, proxy, client, options } = await startSignedIn(t)
  const tabs = [client, createClient(options)]
  for (let round = 0; round < 3; round++) {
    server.clock.advance(1000)
    const answers = await Promise.all(tabs.map(tab => tab.fetch(`${proxy.url}/users/me`)))
    t.deepEqual(
      answers.map(({ status }) => status),
      [200, 200],
    )
  }
  const presented = proxy.to('/token').flatMap(({ form }) => form.refresh_token ?? [])
  t.is(new Set(presented).size, 6, 'no refresh token was needed twice')
})

test('the client example: without a lock, two tabs in the same refresh get the same successor and both go on (promise 1)', async t => {
  const { server, proxy, client, options } = await startSignedIn(t, { lock: task => task() })
  const tabs = [client, createClient(options)]
  server.clock.advance(1000)
  const gates = [createGate(), createGate()]
  proxy.plan('/token', ...gates.map(gate => holdAnswer(gate)))

  const answers = Promise.all(tabs.map(tab => tab.fetch(`${proxy.url}/users/me`)))
  await Promise.all(gates.map(gate => gate.reached))
  for (const gate of gates) gate.open()

  t.deepEqual(
    (await answers).map(({ status }) => status),
    [200, 200],
  )
  t.is(proxy.to('/token').length, 3)
  server.clock.advance(1000)
  for (const tab of tabs) t.is((await tab.fetch(`${proxy.url}/users/me`)).status, 200)
})

test('the client example: a retry presents what the storage holds by then, not what it held before', async t => {
  const { server, proxy, client, options } = await startSignedIn(t)
  server.clock.advance(1000)
  const other = createClient(options)
  let waited = false
  const slow = createClient({
    ...options,
    async wait() {
      // While this tab waits, another one moves on twice: the first token would now be a stolen one.
      for (const tab of waited ? [] : [client, other]) await tab.fetch(`${proxy.url}/users/me`)
      waited = true
    },
  })
  proxy.plan('/token', loseAnswer)

  t.is((await slow.fetch(`${proxy.url}/users/me`)).status, 200)
  t.true(waited)
})

test('the client example: an answer that comes after other tabs have moved on overwrites nothing', async t => {
  const { server, proxy, client, options, storage } = await startSignedIn(t, { lock: task => task() })
  server.clock.advance(1000)
  const gate = createGate()
  proxy.plan('/token', holdAnswer(gate))
  const me = (tab: Client) => tab.fetch(`${proxy.url}/users/me`)

  const slow = me(client)
  await gate.reached
  await me(createClient(options))
  await me(createClient(options))
  const latest = storage.text
  gate.open()

  t.is((await slow).status, 200)
  t.is(proxy.to('/token').at(-1)?.form.refresh_token, JSON.parse(latest!).refreshToken)
  t.is((await me(createClient(options))).status, 200)
})

test('the client example: an invalid_grant for a token that another tab has replaced signs nobody out', async t => {
  const { server, proxy, client, options, signedOut } = await startSignedIn(t, { lock: task => task() })
  server.clock.advance(1000)
  const gate = createGate()
  proxy.plan('/token', holdAnswer(gate, answer(400, '{"error":"invalid_grant"}')))

  const slow = client.fetch(`${proxy.url}/users/me`)
  await gate.reached
  await createClient(options).fetch(`${proxy.url}/users/me`)
  gate.open()

  t.is((await slow).status, 200)
  t.is(signedOut.length, 0)
})

test('the client example: a tab never acts for the user who has signed in in another one', async t => {
  const { server, proxy, client, options, signedOut } = await startSignedIn(t)
  await server.addUser({ username: 'bob' })
  const other = createClient(options)
  await other.signIn('bob', password)

  await throwsCode(t, client.fetch(`${proxy.url}/users/me`), 'signed_out')
  t.is(signedOut.length, 1)
  t.like(await (await other.fetch(`${proxy.url}/users/me`)).json(), { username: 'bob' })
})

test('the client example: a request that began for one user is not repeated for the next', async t => {
  const { server, proxy, client } = await startSignedIn(t)
  await server.addUser({ username: 'bob' })
  const gate = createGate()
  proxy.plan('/notes', holdAnswer(gate, answer(401)))

  const note = client.fetch(`${proxy.url}/notes`, { method: 'POST', body: 'of alice' })
  await gate.reached
  await client.signIn('bob', password)
  gate.open()

  await throwsCode(t, note, 'signed_out')
  t.is(proxy.to('/notes').length, 1)
})

test('the client example: signing out ends the session at the server and forgets it here (RFC 7009)', async t => {
  const { proxy, client, storage, sessions, signedOut } = await startSignedIn(t)
  t.is(await sessions(), 1)

  t.true(await client.signOut())
  t.is(await sessions(), 0)
  t.is(storage.text, undefined)
  await throwsCode(t, client.fetch(`${proxy.url}/users/me`), 'signed_out')
  t.is(signedOut.length, 0, 'the app has asked for it')
  t.true(await client.signOut(), 'once more does no harm')
})

test('the client example: signing out without a network holds here at once and is finished later', async t => {
  const { proxy, client, options, storage, sessions } = await startSignedIn(t)
  proxy.plan('/revoke', ...Array(5).fill(noConnection), noConnection)

  t.false(await client.signOut())
  t.false(await client.isSignedIn())
  await throwsCode(t, client.fetch(`${proxy.url}/users/me`), 'signed_out')
  t.is(await sessions(), 1)

  const afterRestart = createClient(options)
  t.false(await afterRestart.isSignedIn())
  t.true(await afterRestart.signOut())
  t.is(await sessions(), 0)
  t.is(storage.text, undefined)
})

test('the client example: a new sign-in first ends the session before it', async t => {
  const { proxy, client, sessions } = await startSignedIn(t)
  proxy.plan('/revoke', ...Array(5).fill(noConnection))

  await throwsCode(t, client.signIn('alice', password), 'unavailable')
  t.is(await sessions(), 1)
  await client.signIn('alice', password)
  t.is(await sessions(), 1)
})

test('the client example: signing out during a refresh ends the session all the same', async t => {
  const { server, proxy, client, sessions, storage } = await startSignedIn(t)
  server.clock.advance(1000)
  const gate = createGate()
  proxy.plan('/token', holdAnswer(gate))

  const request = client.fetch(`${proxy.url}/users/me`).catch(() => {})
  await gate.reached
  const signOut = client.signOut()
  gate.open()

  t.true(await signOut)
  await request
  t.is(await sessions(), 0)
  t.is(storage.text, undefined)
  t.false(await client.isSignedIn())
})

test('the client example: where there are no Web Locks, a sign-out is not undone by a refresh that is being stored', async t => {
  const { server, proxy, options, storage } = await startSignedIn(t)
  server.clock.advance(1000)
  const gate = createGate()
  let saves = 0
  const slow: ClientOptions['storage'] = {
    ...storage,
    async save(text) {
      gate.arrive()
      if (saves++ === 0) await gate.opened
      await storage.save(text)
    },
  }
  const client = withoutWebLocks(() => createClient({ ...options, storage: slow }))
  proxy.plan('/revoke', ...Array(5).fill(noConnection))

  const request = client.fetch(`${proxy.url}/users/me`).catch(() => {})
  await gate.reached
  const signOut = client.signOut()
  // All that can happen now has happened.
  await new Promise(setImmediate)
  gate.open()

  t.false(await signOut)
  await request
  t.false(await client.isSignedIn())
})

test('the client example: a redirect is not followed with a password or a refresh token', async t => {
  const { proxy, client } = await startClient(t)
  proxy.plan('/token', answer(307, '', { location: '/elsewhere' }))

  await throwsCode(t, client.signIn('alice', password), 'unavailable')
  t.is(proxy.to('/elsewhere').length, 0)
})

test('the examples together: a payment needs the code that was set up on another device, and the phone stays one session (RFC 9470 §7)', async t => {
  const { issuer, adminPassword } = await startLatchkey(t)
  const api = await startExample(t, process.execPath, 'express.ts', { ISSUER: issuer })
  const secret: { current?: Buffer } = {}
  // The code that set it up is used up, so the next one.
  const nextCode = () => ({ otp: totpCode(secret.current!, stepAt(Date.now() / 1000) + 1) })
  const { asked, askForProof } = answering(nextCode)
  const options = { issuer, clientId: 'app', apis: [api] }
  const [laptop, phone] = [
    createClient({ ...options, storage: createStorage() }),
    createClient({ ...options, storage: createStorage(), askForProof }),
  ]
  for (const device of [laptop, phone]) await device.signIn('admin', adminPassword)

  const send = (path: string, params: Record<string, string>) =>
    laptop.fetch(`${issuer}/users/me/factors${path}`, { method: 'POST', body: new URLSearchParams(params) })
  const begun = (await (await send('', { kind: 'totp' })).json()) as { enrollment: string; secret: string }
  secret.current = fromBase32(begun.secret)
  const otp = totpCode(secret.current, stepAt(Date.now() / 1000))
  t.is((await send('/confirm', { enrollment: begun.enrollment, otp })).status, 200)

  const pay = (device: Client) => device.fetch(`${api}/payments`, { method: 'POST' })
  t.is((await pay(phone)).status, 201)
  t.deepEqual(asked, [{ factors: ['otp', 'recovery_code'], wasWrong: false }])
  t.is((await pay(phone)).status, 201, 'and it is not asked again')
  const { sessions } = (await (await phone.fetch(`${issuer}/sessions`)).json()) as { sessions: object[] }
  t.is(sessions.length, 2)
})

/** What the user answers, and what was asked. */
function answering(...proofs: (Proof | undefined | ((wanted: ProofRequest) => Proof))[]) {
  const asked: ProofRequest[] = []
  const askForProof = async (wanted: ProofRequest) => {
    asked.push(wanted)
    const proof = proofs.shift()
    return typeof proof === 'function' ? proof(wanted) : proof
  }
  return { asked, askForProof }
}

/** What an app for codes does with the text below the QR code: RFC 4648 §6. */
function fromBase32(text: string): Buffer {
  const bits = [...text]
    .map(one => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(one).toString(2).padStart(5, '0'))
    .join('')
  return Buffer.from(bits.match(/.{8}/g)!.map(byte => Number.parseInt(byte, 2)))
}

const accessTokenOf = (proxy: { seen: { headers: IncomingMessage['headers'] }[] }) =>
  decodeJwt(proxy.seen.at(-1)!.headers.authorization!.slice(7))

test('the client example: a password, then a code: the second factor is asked for until it is right (draft-ietf-oauth-first-party-apps-04)', async t => {
  const codes: Proof[] = []
  const { asked, askForProof } = answering(
    () => codes[0]!,
    () => codes[1]!,
  )
  const { server, aliceId, proxy, client, sessions } = await startClient(t, { askForProof })
  const { code } = await addTotp(server, aliceId)
  codes.push({ otp: code() === '000000' ? '000001' : '000000' }, { otp: code() })

  await client.signIn('alice', password, { device: 'Phone', scope: 'read' })
  t.deepEqual(asked, [
    { factors: ['otp'], wasWrong: false },
    { factors: ['otp'], wasWrong: true },
  ])
  t.is((await client.fetch(`${proxy.url}/users/me`)).status, 200)
  t.like(accessTokenOf(proxy), { acr: 'urn:latchkey:2fa', amr: ['pwd', 'otp', 'mfa'], scope: 'read' })
  server.clock.advance(1000)
  t.is((await client.fetch(`${proxy.url}/users/me`)).status, 200)
  t.is(await sessions(), 1)
})

test('the client example: who gives up is not signed in, nor where nobody can be asked', async t => {
  const { server, aliceId, client, options, storage, sessions } = await startClient(t, answering(undefined))
  await addTotp(server, aliceId)
  await throwsCode(t, client.signIn('alice', password), 'cancelled')
  const { askForProof: _, ...mute } = options
  const error = await throwsCode(t, createClient(mute).signIn('alice', password), 'insufficient_authorization')
  t.deepEqual(error.next?.factors, ['otp'])
  t.is(storage.text, undefined)
  t.is(await sessions(), 0)
})

test('the client example: a passkey alone signs in, and no name is typed (WebAuthn §7.2)', async t => {
  const given: { get?: (options: unknown) => Proof } = {}
  const { asked, askForProof } = answering(({ passkeyOptions }) => given.get!(passkeyOptions))
  const { server, aliceId, proxy, client } = await startClient(t, { askForProof })
  const { authenticator } = await addPasskey(server, aliceId)
  // In a browser: JSON.stringify(await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }))
  given.get = options => ({ passkey: authenticator.get(options as Parameters<typeof authenticator.get>[0]) })

  await client.signInWithPasskey({ device: 'Laptop' })
  t.deepEqual(asked[0]?.factors, ['passkey'])
  t.is((await client.fetch(`${proxy.url}/users/me`)).status, 200)
  t.like(accessTokenOf(proxy), { acr: 'phr', amr: ['hwk', 'user', 'mfa'] })
})

test('the client example: an API that wants a second factor gets it, in the same session, with one question for many requests (RFC 9470 §3)', async t => {
  const codes: Proof[] = []
  const { asked, askForProof } = answering(() => codes[0]!)
  const { server, aliceId, proxy, client, sessions } = await startSignedIn(t, { askForProof })
  const { code } = await addTotp(server, aliceId)
  server.clock.advance(100)
  codes.push({ otp: code() })
  await client.fetch(`${proxy.url}/users/me`)
  const { sid } = accessTokenOf(proxy)
  proxy.plan('/payments', moreWanted, moreWanted, answer(201), answer(201))

  const pay = () => client.fetch(`${proxy.url}/payments`, { method: 'POST', body: '5' })
  t.deepEqual(
    (await Promise.all([pay(), pay()])).map(({ status }) => status),
    [201, 201],
  )
  t.deepEqual(asked, [{ factors: ['otp'], wasWrong: false }])
  t.like(accessTokenOf(proxy), { sid, acr: 'urn:latchkey:2fa', auth_time: server.clock.now() })
  t.is(await sessions(), 1)
})

test('the client example: who gives up gets the 401 of the API and stays signed in; what the user has not set up says so', async t => {
  const { server, aliceId, proxy, client, options, signedOut } = await startSignedIn(t, answering(undefined))
  const pay = (by = client) => by.fetch(`${proxy.url}/payments`, { method: 'POST', body: '5' })
  proxy.plan('/payments', moreWanted, moreWanted, moreWanted)
  await throwsCode(t, pay(), 'unmet_authentication_requirements')
  await addTotp(server, aliceId)
  t.is((await pay()).status, 401)
  const { askForProof: _, ...mute } = options
  t.is((await pay(createClient(mute))).status, 401, 'where nobody can be asked')
  t.is((await client.fetch(`${proxy.url}/users/me`)).status, 200)
  t.is(signedOut.length, 0)
})

test('the client example: a proof whose answer is lost is not asked for again: the session has been raised', async t => {
  const codes: Proof[] = []
  const { asked, askForProof } = answering(() => codes[0]!)
  const { server, aliceId, proxy, client } = await startSignedIn(t, { askForProof })
  codes.push({ otp: (await addTotp(server, aliceId)).code() })
  const pay = () => client.fetch(`${proxy.url}/payments`, { method: 'POST', body: '5' })
  proxy.plan('/payments', moreWanted, moreWanted, answer(201))
  proxy.plan('/authorize-challenge', loseAnswer)

  await throwsCode(t, pay(), 'unavailable')
  t.is((await pay()).status, 201)
  t.is(asked.length, 1)
})

const alice = {
  username: 'alice',
  email: 'alice@example.com',
  email_verified: false,
  full_name: 'Alice',
  language: null,
}

type OAuthSettings = { accessTokenLifetime?: number }

/** A server, a bad network before it, and a client whose clock is the server's and whose waits take no time. */
async function startClient(t: ExecutionContext, options: Partial<ClientOptions> = {}, oauth: OAuthSettings = {}) {
  const server = await startServerWithAlice(t, { oauth })
  const proxy = await startProxy(t, server.url)
  const storage = createStorage()
  const waits: number[] = []
  const signedOut: true[] = []
  const all: ClientOptions = {
    ...clientOptions(proxy.url, storage),
    onSignedOut: () => signedOut.push(true),
    now: () => server.clock.now() * 1000,
    wait: async milliseconds => void waits.push(milliseconds),
    ...options,
  }
  const { aliceId } = server
  const sessions = async () =>
    (await server.deps.storage.listLiveSessions({ userId: aliceId }, server.clock.now(), 10)).length
  return { server, aliceId, proxy, storage, waits, signedOut, sessions, options: all, client: createClient(all) }
}

/** React Native has none. Nothing else runs meanwhile. */
function withoutWebLocks<T>(create: () => T): T {
  const original = Object.getOwnPropertyDescriptor(globalThis, 'navigator')!
  Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true })
  try {
    return create()
  } finally {
    Object.defineProperty(globalThis, 'navigator', original)
  }
}

async function startSignedIn(...args: Parameters<typeof startClient>) {
  const started = await startClient(...args)
  await started.client.signIn('alice', password)
  return started
}

const clientOptions = (url: string, storage: ClientOptions['storage']): ClientOptions => ({
  issuer: url,
  clientId: 'app',
  storage,
  apis: [],
})

function createStorage() {
  let saveFails = false
  const storage = {
    text: undefined as string | undefined,
    failNextSave() {
      saveFails = true
    },
    load: async () => storage.text,
    async save(text: string) {
      const fails = saveFails
      saveFails = false
      if (fails) throw new Error('disk full')
      storage.text = text
    },
    async clear() {
      storage.text = undefined
    },
  }
  return storage
}

type Server = Awaited<ReturnType<typeof startServerWithAlice>>

/** What an operator does. */
async function endSessions({ deps }: Server, userId: string): Promise<void> {
  await deps.storage.revokeSessions({ userId }, 'revoked_by_operator', auditEvent('session.revoked', deps.now(), {}))
}

async function throwsCode(t: ExecutionContext, call: Promise<unknown>, code: string): Promise<ClientError> {
  const error = await t.throwsAsync(call, { instanceOf: ClientError })
  t.is(error?.code, code)
  return error!
}

// ---- A bad network ----

type Exchange = { forward: () => Promise<Response>; response: ServerResponse }
type Behaviour = (exchange: Exchange) => Promise<void>

const passOn: Behaviour = async ({ forward, response }) => sendAnswer(response, await forward())

const loseAnswer: Behaviour = async ({ forward, response }) => {
  await forward()
  response.destroy()
}

const noConnection: Behaviour = async ({ response }) => void response.destroy()

const answer =
  (status: number, body = '', headers: Record<string, string> = {}): Behaviour =>
  async ({ response }) =>
    void response.writeHead(status, headers).end(body)

/** What an API says that wants two factors of the last five minutes. */
const moreWanted = answer(401, '', {
  'www-authenticate': 'Bearer error="insufficient_user_authentication", acr_values="urn:latchkey:2fa phr", max_age=300',
})

/** Lets the answer wait at a gate: the server has acted, and the client does not know. */
const holdAnswer =
  (gate: Gate, behaviour: Behaviour = passOn): Behaviour =>
  async exchange => {
    const forwarded = behaviour === passOn ? await exchange.forward() : undefined
    gate.arrive()
    await gate.opened
    await behaviour({ ...exchange, forward: async () => forwarded! })
  }

type Gate = ReturnType<typeof createGate>

function createGate() {
  const [reached, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  return { reached: reached.promise, arrive: reached.resolve, opened: opened.promise, open: opened.resolve }
}

/** Passes requests on, but for those that a test has planned something else for. */
async function startProxy(t: ExecutionContext, target: string) {
  const seen: { path: string; headers: IncomingMessage['headers']; body: string; form: Record<string, string> }[] = []
  const plans = new Map<string, Behaviour[]>()
  const proxy = createServer(async (request, response) => {
    const path = request.url!
    const body = await text(request)
    const { headers, method = 'GET' } = request
    seen.push({ path, headers, body, form: Object.fromEntries(new URLSearchParams(body)) })
    const behaviour = plans.get(path)?.shift() ?? passOn
    const forward = () =>
      fetch(target + path, {
        method,
        headers: pick(headers, ['authorization', 'content-type']),
        body: method === 'GET' ? null : body,
      })
    await behaviour({ forward, response }).catch(() => response.destroy())
  })
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    seen,
    /** What has come for a path. */
    to: (path: string) => seen.filter(request => request.path === path),
    /** What happens to the next requests for a path, one after the other. */
    plan: (path: string, ...behaviours: Behaviour[]) => plans.set(path, behaviours),
  }
}

async function sendAnswer(response: ServerResponse, from: Response): Promise<void> {
  response.writeHead(from.status, { 'content-type': from.headers.get('content-type') ?? '' })
  response.end(await from.text())
}

function pick(headers: IncomingMessage['headers'], names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap(name => (headers[name] === undefined ? [] : [[name, String(headers[name])]])))
}
