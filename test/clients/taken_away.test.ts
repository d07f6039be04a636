/**
 * Design promise 10: what an operator takes away from a client is gone at the next refresh, and what is given back comes back. Nothing of
 * it ends a session. RFC 6749 §5.2 and §6, RFC 8707 §2.2.
 */
import test, { type ExecutionContext } from 'ava'
import { decodeJwt } from 'jose'
import { auditEvent } from '../../src/audit/audit.ts'
import { type Client, clientUpdate } from '../../src/clients/client.ts'
import type { OAuthConfig } from '../../src/oauth/deps.ts'
import { openSqliteStorage } from '../../src/storage/sqlite/sqlite.ts'
import { getByCookie, isSignedIn, setCookieValue, signInByCookie, withCookie } from '../_cookies.ts'
import { createFolder, deployment, runCommand } from '../_process.ts'
import {
  type Answer,
  createClock,
  issuer,
  oauthConfig,
  refusal,
  refused,
  startServer,
  startServerWithAlice,
  startTime,
  type TestServer,
} from '../_server.ts'

const api = 'https://api.example.com'
const files = 'https://files.example.com'

const day = 86_400
const changeClient = (server: TestServer, changes: Partial<Client>, id = 'app') =>
  server.deps.storage.changeClient(
    id,
    clientUpdate(client => ({ ...client, ...changes }), auditEvent('client.updated', server.clock.now(), {})),
  )

/** A server, and a session of `app` whose newest refresh token is kept. */
async function signedIn(t: ExecutionContext, client: Partial<Client> = {}, oauth: Partial<OAuthConfig> = {}) {
  const server = await startServerWithAlice(t, { oauth })
  await changeClient(server, client)
  let { refresh_token } = await server.signIn()
  return {
    server,
    change: (changes: Partial<Client>) => changeClient(server, changes),
    async refresh(params: Record<string, string> = {}): Promise<Answer> {
      const answer = await server.refresh(refresh_token, params)
      if (answer.status === 200) refresh_token = answer.body.refresh_token
      return answer
    },
  }
}

const scopesOf = ({ body }: Answer) => [body.scope, decodeJwt(body.access_token).scope]
const audOf = ({ body }: Answer) => decodeJwt(body.access_token).aud

test('a scope taken from a client is gone at the next refresh, and comes back with it', async t => {
  const { change, refresh } = await signedIn(t)
  await change({ scope: 'read admin' })
  // Never more than was granted at the sign-in.
  t.deepEqual(scopesOf(await refresh()), ['read', 'read'])
  // Who asks for all of its sign-in, as many libraries do at every refresh, gets what is left (RFC 6749 §3.3).
  t.deepEqual(scopesOf(await refresh({ scope: 'write read' })), ['read', 'read'])
  t.deepEqual(refusal(await refresh({ scope: 'admin' })), refused(400, 'invalid_scope'))
  await change({ scope: 'read write' })
  t.deepEqual(scopesOf(await refresh()), ['read write', 'read write'])
})

for (const [rule, scope, params] of [
  ['nothing of the session', 'admin', {}],
  ['nothing at all', '', {}],
  ['nothing of what is asked for', 'read', { scope: 'write' }],
] as const) {
  test(`with ${rule} left of the scope a refresh is invalid_scope and uses no token up`, async t => {
    const { change, refresh } = await signedIn(t)
    await change({ scope })
    t.deepEqual(refusal(await refresh(params)), refused(400, 'invalid_scope'))
    await change({ scope: 'read write' })
    t.is((await refresh(params)).status, 200)
  })
}

test('a session that was granted no scope has nothing to lose', async t => {
  const { change, refresh } = await signedIn(t, { scope: '' })
  await change({ scope: 'read' })
  const { status, body } = await refresh()
  t.deepEqual([status, 'scope' in body], [200, false])
})

test('an audience taken from a client is gone at the next refresh, and comes back with it (RFC 8707)', async t => {
  const { change, refresh } = await signedIn(t, { audience: [api, files] })
  await change({ audience: [files, 'urn:new'] })
  t.is(audOf(await refresh()), files)
  t.deepEqual(refusal(await refresh({ resource: api })), refused(400, 'invalid_target'))
  t.is(audOf(await refresh({ resource: files })), files)
  await change({ audience: [api, files] })
  t.deepEqual(audOf(await refresh()), [api, files])
})

for (const [rule, before, after] of [
  ['another', [api], [files]],
  ["the server's own", [api], undefined],
  ['one instead of the server’s own', undefined, [api]],
] as const) {
  test(`with ${rule} for an audience nothing is left: invalid_target, and no token is used up`, async t => {
    const { change, refresh } = await signedIn(t, { audience: before })
    await change({ audience: after })
    t.deepEqual(refusal(await refresh()), refused(400, 'invalid_target'))
    await change({ audience: before })
    t.is(audOf(await refresh()), before?.[0] ?? issuer)
  })
}

test("a session of the server's own audience follows it when it is renamed", async t => {
  const { server, refresh } = await signedIn(t)
  Object.assign(server.deps.config, { audience: [files] })
  t.is(audOf(await refresh()), files)
})

test('an idle lifetime that is made shorter counts from when a session was seen last, and comes back', async t => {
  const { server, change, refresh } = await signedIn(t)
  server.clock.advance(120)
  await change({ refreshIdleLifetime: 120 })
  t.deepEqual(refusal(await refresh()), refused(400, 'invalid_grant'))
  await change({ refreshIdleLifetime: 121 })
  const { status, body } = await refresh()
  t.deepEqual([status, body.expires_in], [200, 121])
  await change({ refreshIdleLifetime: undefined })
  t.is((await refresh()).status, 200)
  server.clock.advance(30 * day - 1)
  t.is((await refresh()).status, 200)
})

test('an absolute lifetime that is made shorter counts from the sign-in, and comes back', async t => {
  const { server, change, refresh } = await signedIn(t)
  server.clock.advance(10 * day)
  await change({ refreshAbsoluteLifetime: 10 * day + 60 })
  t.is((await refresh()).body.expires_in, 60)
  server.clock.advance(60)
  t.deepEqual(refusal(await refresh()), refused(400, 'invalid_grant'))
  await change({ refreshAbsoluteLifetime: undefined })
  t.is((await refresh()).status, 200)
})

test('a longer absolute lifetime gives no session more than its sign-in gave it', async t => {
  const { server, change, refresh } = await signedIn(t, { refreshAbsoluteLifetime: 1000 })
  await change({ refreshAbsoluteLifetime: 9000 })
  server.clock.advance(999)
  t.is((await refresh()).body.expires_in, 1)
  server.clock.advance(1)
  t.deepEqual(refusal(await refresh()), refused(400, 'invalid_grant'))
})

for (const [name, refresh] of Object.entries({
  LATCHKEY_REFRESH_IDLE_TTL: { ...oauthConfig.refresh, idleLifetime: 100 },
  LATCHKEY_REFRESH_ABSOLUTE_TTL: { ...oauthConfig.refresh, absoluteLifetime: 100 },
})) {
  test(`a restart with a shorter ${name} counts for the sessions that there are`, async t => {
    const { server, refresh: refreshNow } = await signedIn(t)
    server.clock.advance(100)
    // As after a restart: other settings, the same database.
    Object.assign(server.deps.config, { refresh })
    t.deepEqual(refusal(await refreshNow()), refused(400, 'invalid_grant'))
    Object.assign(server.deps.config, { refresh: oauthConfig.refresh })
    t.is((await refreshNow()).status, 200)
  })
}

test('introspection of a refresh token says what it would get now', async t => {
  const server = await startServer(t)
  await server.addClient({ secret: 'lks_app' })
  await server.addUser()
  const { refresh_token } = await server.signIn({ client_secret: 'lks_app' })
  const introspect = async () => {
    const form = { token: refresh_token, token_type_hint: 'refresh_token', client_id: 'app', client_secret: 'lks_app' }
    return (await server.post('/introspect', form)).body
  }
  await changeClient(server, { scope: 'read', refreshIdleLifetime: 100 })
  t.like(await introspect(), { active: true, scope: 'read', aud: issuer, exp: startTime + 100 })
  await changeClient(server, { scope: 'admin' })
  t.deepEqual(await introspect(), { active: false })
  await changeClient(server, { scope: 'read', audience: [api] })
  t.deepEqual(await introspect(), { active: false })
  await changeClient(server, { audience: undefined })
  server.clock.advance(100)
  t.deepEqual(await introspect(), { active: false })
})

test('an access token that is out lives its minutes with what it was issued with', async t => {
  const server = await startServerWithAlice(t)
  const { access_token } = await server.signIn()
  await changeClient(server, { scope: '', audience: [api], refreshIdleLifetime: 1, grantTypes: [] })
  server.clock.advance(60)
  t.is((await server.me(access_token)).status, 200)
})

test('client update browser --refresh-idle-ttl counts for the cookies that are out, and a used one goes on', async t => {
  const server = await startServerWithAlice(t)
  const [used, resting] = [await signInByCookie(server), await signInByCookie(server)]
  await changeClient(server, { refreshIdleLifetime: 120 }, 'browser')
  for (let passed = 0; passed < 180; passed += 60) {
    server.clock.advance(60)
    const answer = await getByCookie(server, '/profile', used)
    t.is(answer.status, 200)
    t.regex(answer.headers.getSetCookie()[0] ?? '', / Max-Age=120;/)
  }
  const answer = await server.request('/profile', { headers: withCookie(resting) })
  // Not cleared: it would come back with its lifetime.
  t.deepEqual([answer.status, setCookieValue(answer)], [401, undefined])
  await changeClient(server, { refreshIdleLifetime: undefined }, 'browser')
  t.true(await isSignedIn(server, resting))
})

test('an idle lifetime of seconds does not end a cookie that is used', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  await changeClient(server, { refreshIdleLifetime: 20 }, 'browser')
  for (let passed = 0; passed < 60; passed += 10) {
    server.clock.advance(10)
    t.true(await isSignedIn(server, cookie))
  }
})

test('client update browser --refresh-absolute-ttl counts from the sign-in by cookie', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  await changeClient(server, { refreshAbsoluteLifetime: 100 }, 'browser')
  server.clock.advance(99)
  t.true(await isSignedIn(server, cookie))
  server.clock.advance(1)
  t.false(await isSignedIn(server, cookie))
})

test('client disable browser refuses the cookies that are out, clears none, and enable takes them again', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  await changeClient(server, { disabledAt: startTime }, 'browser')
  const answer = await getByCookie(server, '/profile', cookie)
  t.deepEqual([answer.status, setCookieValue(answer)], [401, undefined])
  await changeClient(server, { disabledAt: undefined }, 'browser')
  t.true(await isSignedIn(server, cookie))
})

test('client update says how many live sessions a change touches, in text and as JSON', async t => {
  const environment = deployment(createFolder(t))
  const { storage } = openSqliteStorage(environment.LATCHKEY_DATABASE_URL!.slice('file:'.length))
  t.teardown(() => storage.close())
  const server = await startServer(t, { storage, clock: createClock(Math.floor(Date.now() / 1000)) })
  await server.addClient()
  await server.addUser()
  for (const params of [{}, { scope: 'read' }, { scope: 'write' }]) await server.signIn(params)
  const update = async (...options: string[]) =>
    (await runCommand(['client', 'update', 'app', ...options], environment)).stdout
  const touched = async (...options: string[]) => JSON.parse(await update(...options, '--json')).sessions_touched

  t.is(await update('--scope', 'write read'), 'changed the client app; no live session is touched\n')
  t.is(await update('--scope', 'read'), 'changed the client app; 2 live sessions are touched at their next refresh\n')
  t.is(await touched('--scope', 'read'), 0)
  t.is(await touched('--refresh-idle-ttl', '1h'), 3)
  t.is(await touched('--cors-origin', 'https://app.example.com'), 0)
  t.is(await touched('--audience', api), 3)
})
