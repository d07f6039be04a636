/** The refresh_token grant over HTTP. RFC 6749 §6, RFC 9700 §4.14; design promises 1 to 4. */
import test from 'ava'
import fc from 'fast-check'
import { auditEvent } from '../../src/audit/audit.ts'
import { formatRefreshToken, parseRefreshToken } from '../../src/sessions/refresh_token.ts'
import { disabledUpdate, passwordUpdate } from '../../src/sessions/user_change.ts'
import {
  createTestSecrets,
  oauthConfig,
  refusal,
  refused,
  startServer,
  startServerWithAlice,
  startTime,
  type TestServer,
} from '../_server.ts'
import { findSession, openTestStorage } from '../_storages.ts'

const invalidGrant = refused(400, 'invalid_grant')
const { idleLifetime, absoluteLifetime, retryWindow } = oauthConfig.refresh

function claimsOf(accessToken: string) {
  return JSON.parse(Buffer.from(accessToken.split('.')[1]!, 'base64url').toString())
}

/** Refreshes and insists on success. */
async function refreshed(server: TestServer, refreshToken: string, params: Record<string, string> = {}) {
  const answer = await server.refresh(refreshToken, params)
  if (answer.status !== 200) throw new Error(`refresh failed: ${JSON.stringify(answer.body)}`)
  return answer.body as { access_token: string; refresh_token: string; scope: string }
}

function liveSessions(server: TestServer) {
  return server.deps.storage.listLiveSessions({}, server.clock.now(), 100)
}

test('a refresh answers a new refresh token and a fresh access token (RFC 6749 §6)', async t => {
  const server = await startServerWithAlice(t, { oauth: { accessTokenLifetime: 10 } })
  const first = await server.signIn()

  const { status, headers, body } = await server.refresh(first.refresh_token)

  const { access_token, refresh_token, ...rest } = body
  t.deepEqual(
    { status, cacheControl: headers.get('cache-control'), pragma: headers.get('pragma'), rest },
    {
      status: 200,
      cacheControl: 'no-store',
      pragma: 'no-cache',
      rest: { token_type: 'Bearer', expires_in: 10, scope: 'read write' },
    },
  )
  t.not(refresh_token, first.refresh_token)
  t.not(access_token, first.access_token)
  t.is((await server.me(access_token)).status, 200)
})

test('a refresh changes nothing of who signed in, where and when', async t => {
  const server = await startServerWithAlice(t)
  const first = await server.signIn()
  server.clock.advance(100)

  const second = await refreshed(server, first.refresh_token)

  const { iat, exp, jti, ...before } = claimsOf(first.access_token)
  const after = claimsOf(second.access_token)
  t.deepEqual(after, { ...before, iat: iat + 100, exp: after.exp, jti: after.jti })
  t.true(after.exp > exp)
  t.not(after.jti, jti)
  t.is(after.auth_time, startTime)
})

test('promise 1: 20 concurrent uses of one refresh token yield one successor, the same for all', async t => {
  const server = await startServerWithAlice(t)
  const { refresh_token } = await server.signIn()

  const answers = await Promise.all(Array.from({ length: 20 }, () => server.refresh(refresh_token)))

  t.deepEqual(new Set(answers.map(answer => answer.status)), new Set([200]))
  t.is(new Set(answers.map(answer => answer.body.refresh_token)).size, 1)
  t.is(new Set(answers.map(answer => answer.body.access_token)).size, 20)
})

test('promise 2: after a lost answer the same successor is answered again, with a fresh access token', async t => {
  const server = await startServerWithAlice(t)
  const first = await server.signIn()
  const lost = await refreshed(server, first.refresh_token)
  server.clock.advance(retryWindow)

  const again = await refreshed(server, first.refresh_token)

  t.is(again.refresh_token, lost.refresh_token)
  t.not(again.access_token, lost.access_token)
  t.is((await server.me(again.access_token)).status, 200)
  t.is((await server.refresh(again.refresh_token)).status, 200)
})

test('promise 2: after the retry window a lost answer is replaced, and the replaced one ends the session when used', async t => {
  const server = await startServerWithAlice(t)
  const first = await server.signIn()
  const lost = await refreshed(server, first.refresh_token)
  server.clock.advance(retryWindow + 1)

  const late = await refreshed(server, first.refresh_token)

  t.not(late.refresh_token, lost.refresh_token)
  const [latest] = await server.deps.storage.listAuditEvents(1)
  t.like(latest, { type: 'session.late_retried', userId: server.aliceId, clientId: 'app' })
  t.deepEqual(refusal(await server.refresh(lost.refresh_token)), invalidGrant)
  t.deepEqual(refusal(await server.refresh(late.refresh_token)), invalidGrant)
  t.is((await server.me(late.access_token)).status, 401)
})

test('promise 2: after a late retry the session goes on with the new token, and a retry of it is answered', async t => {
  const server = await startServerWithAlice(t)
  const first = await server.signIn()
  await server.refresh(first.refresh_token)
  server.clock.advance(retryWindow + 1)

  const late = await refreshed(server, first.refresh_token)
  server.clock.advance(retryWindow)
  t.is((await refreshed(server, first.refresh_token)).refresh_token, late.refresh_token)
  server.clock.advance(1)
  const later = await refreshed(server, first.refresh_token)

  t.not(later.refresh_token, late.refresh_token)
  t.is((await server.refresh(later.refresh_token)).status, 200)
  t.is((await liveSessions(server)).length, 1)
})

test('a lost answer is retried late for as long as the session is idle', async t => {
  const server = await startServerWithAlice(t)
  const first = await server.signIn()
  await server.refresh(first.refresh_token)
  server.clock.advance(idleLifetime - 1)

  t.is((await server.refresh(first.refresh_token)).status, 200)
})

test('without late retries, a retry after the window is reuse', async t => {
  const server = await startServerWithAlice(t, { oauth: { refresh: { ...oauthConfig.refresh, lateRetryWindow: 0 } } })
  const first = await server.signIn()
  const second = await refreshed(server, first.refresh_token)
  server.clock.advance(retryWindow)
  t.is((await refreshed(server, first.refresh_token)).refresh_token, second.refresh_token)

  server.clock.advance(1)

  t.deepEqual(refusal(await server.refresh(first.refresh_token)), invalidGrant)
  t.deepEqual(refusal(await server.refresh(second.refresh_token)), invalidGrant)
})

test('late retries end with their own window', async t => {
  const server = await startServerWithAlice(t, {
    oauth: { refresh: { ...oauthConfig.refresh, lateRetryWindow: 3600 } },
  })
  const first = await server.signIn()
  await server.refresh(first.refresh_token)
  server.clock.advance(3600)
  await refreshed(server, first.refresh_token)
  server.clock.advance(3601)

  t.deepEqual(refusal(await server.refresh(first.refresh_token)), invalidGrant)
  t.deepEqual(await liveSessions(server), [])
})

test('reusing a superseded refresh token revokes the session, current token and access token too (RFC 9700 §4.14.2)', async t => {
  const server = await startServerWithAlice(t)
  const first = await server.signIn()
  const second = await refreshed(server, first.refresh_token)
  const third = await refreshed(server, second.refresh_token)
  t.is((await server.me(third.access_token)).status, 200)

  const reuse = await server.refresh(first.refresh_token)

  t.deepEqual(refusal(reuse), invalidGrant)
  for (const { refresh_token, access_token } of [first, second, third]) {
    t.deepEqual(refusal(await server.refresh(refresh_token)), invalidGrant)
    t.deepEqual(refusal(await server.me(access_token)), refused(401, 'invalid_token'))
  }
  const events = await server.deps.storage.listAuditEvents(100)
  t.is(events.filter(({ type }) => type === 'session.reused').length, 1)
  const session = await findSession(server.deps.storage, claimsOf(first.access_token).sid)
  t.is(session?.revokedReason, 'refresh_token_reuse')
})

test('reuse ends the session of this device only', async t => {
  const server = await startServerWithAlice(t)
  const phone = await server.signIn({ device: 'phone' })
  const tablet = await server.signIn({ device: 'tablet' })
  const second = await refreshed(server, phone.refresh_token)
  await refreshed(server, second.refresh_token)

  t.is((await server.refresh(phone.refresh_token)).status, 400)

  t.like(await liveSessions(server), { length: 1, 0: { device: 'tablet' } })
  t.is((await server.refresh(tablet.refresh_token)).status, 200)
})

test("another client's refresh token is invalid_grant, and nothing changes for its owner (RFC 6749 §6)", async t => {
  const server = await startServerWithAlice(t)
  await server.addClient({ id: 'other' })
  const first = await server.signIn()
  const second = await refreshed(server, first.refresh_token)
  const third = await refreshed(server, second.refresh_token)
  const before = await liveSessions(server)

  for (const { refresh_token } of [first, second, third]) {
    t.deepEqual(refusal(await server.refresh(refresh_token, { client_id: 'other' })), invalidGrant)
  }

  t.deepEqual(await liveSessions(server), before)
  t.is((await server.refresh(third.refresh_token)).status, 200)
})

test('a refresh without refresh_token is invalid_request', async t => {
  const server = await startServerWithAlice(t)
  const { refresh_token } = await server.signIn()

  t.deepEqual(refusal(await server.refresh('')), refused(400, 'invalid_request'))
  t.is((await server.refresh(refresh_token)).status, 200)
})

test('a client without the refresh_token grant is unauthorized_client', async t => {
  const server = await startServerWithAlice(t)
  await server.addClient({ id: 'plain', grantTypes: ['password'] })
  const { refresh_token } = await server.signIn()

  t.deepEqual(refusal(await server.refresh(refresh_token, { client_id: 'plain' })), refused(400, 'unauthorized_client'))
  t.is((await server.refresh(refresh_token)).status, 200)
})

test("a narrower scope is the access token's only, never the session's (RFC 6749 §6)", async t => {
  const server = await startServerWithAlice(t)
  const first = await server.signIn()

  const narrow = await refreshed(server, first.refresh_token, { scope: 'read' })

  t.is(narrow.scope, 'read')
  t.is(claimsOf(narrow.access_token).scope, 'read')
  t.is((await refreshed(server, narrow.refresh_token)).scope, 'read write')
})

test('a wider scope than was granted at sign-in is invalid_scope and does not use the token up (RFC 6749 §6)', async t => {
  const server = await startServerWithAlice(t)
  const first = await server.signIn({ scope: 'read' })
  const before = await liveSessions(server)

  for (const scope of ['read write', 'write', 'read "']) {
    t.deepEqual(refusal(await server.refresh(first.refresh_token, { scope })), refused(400, 'invalid_scope'))
  }

  t.deepEqual(await liveSessions(server), before)
  t.is((await refreshed(server, first.refresh_token, { scope: 'read' })).scope, 'read')
})

test('a session that is not refreshed for the idle lifetime ends; each refresh begins it anew', async t => {
  const server = await startServerWithAlice(t)
  const first = await server.signIn()
  server.clock.advance(idleLifetime - 1)
  const second = await refreshed(server, first.refresh_token)
  server.clock.advance(idleLifetime - 1)
  const third = await refreshed(server, second.refresh_token)
  server.clock.advance(idleLifetime)

  t.deepEqual(refusal(await server.refresh(third.refresh_token)), invalidGrant)
})

test('a retry does not lengthen the idle lifetime', async t => {
  const server = await startServerWithAlice(t)
  const first = await server.signIn()
  const second = await refreshed(server, first.refresh_token)
  server.clock.advance(retryWindow)
  await refreshed(server, first.refresh_token)
  server.clock.advance(idleLifetime - retryWindow)

  t.deepEqual(refusal(await server.refresh(second.refresh_token)), invalidGrant)
})

test('no refresh lengthens the absolute lifetime, and no access token outlives it', async t => {
  const server = await startServerWithAlice(t)
  let current = (await server.signIn()).refresh_token
  for (let elapsed = 0; elapsed + idleLifetime < absoluteLifetime; elapsed += idleLifetime - 1) {
    server.clock.advance(idleLifetime - 1)
    current = (await refreshed(server, current)).refresh_token
  }
  server.clock.advance(startTime + absoluteLifetime - 1 - server.clock.now())
  const last = await server.refresh(current)
  t.like(last, { status: 200, body: { expires_in: 1 } })
  server.clock.advance(1)

  t.deepEqual(refusal(await server.refresh(last.body.refresh_token)), invalidGrant)
  t.is((await server.me(last.body.access_token)).status, 401)
})

test('disabling a user ends every session, for good', async t => {
  const server = await startServerWithAlice(t)
  const first = await server.signIn()
  const second = await refreshed(server, first.refresh_token)
  const disable = (disabled: boolean) =>
    server.deps.storage.changeUser(server.aliceId, disabledUpdate(disabled, auditEvent('user.disabled', startTime, {})))

  await disable(true)
  // The current token, and the parent inside its retry window: a retry never revives.
  t.deepEqual(refusal(await server.refresh(second.refresh_token)), invalidGrant)
  t.deepEqual(refusal(await server.refresh(first.refresh_token)), invalidGrant)
  await disable(false)
  t.deepEqual(refusal(await server.refresh(second.refresh_token)), invalidGrant)
  t.truthy(await server.signIn())
})

test('a password change ends every session of the user, and of nobody else', async t => {
  const server = await startServerWithAlice(t)
  await server.addUser({ username: 'bob' })
  const [first, other, bobs] = [await server.signIn(), await server.signIn(), await server.signIn({ username: 'bob' })]
  const passwordHash = await server.deps.passwords.hash('another password')

  await server.deps.storage.changeUser(
    server.aliceId,
    passwordUpdate(passwordHash, auditEvent('user.password_changed', startTime, {})),
  )

  t.deepEqual(refusal(await server.refresh(first.refresh_token)), invalidGrant)
  t.deepEqual(refusal(await server.refresh(other.refresh_token)), invalidGrant)
  t.is((await server.me(first.access_token)).status, 401)
  t.is((await server.refresh(bobs.refresh_token)).status, 200)
  t.truthy(await server.signIn({ password: 'another password' }))
})

test('a removed user and a removed client have no sessions', async t => {
  const server = await startServerWithAlice(t)
  await server.addClient({ id: 'other' })
  const first = await server.signIn()
  const second = await server.signIn({ client_id: 'other' })

  await server.deps.storage.removeClient('other', auditEvent('client.removed', startTime, {}))
  t.is((await server.me(second.access_token)).status, 401)
  t.is((await server.me(first.access_token)).status, 200)
  await server.deps.storage.removeUser(server.aliceId, auditEvent('user.removed', startTime, {}))
  t.deepEqual(refusal(await server.refresh(first.refresh_token)), invalidGrant)
  t.is((await server.me(first.access_token)).status, 401)
})

test('refresh tokens of another master secret are refused', async t => {
  const storage = await openTestStorage(t)
  const server = await startServerWithAlice(t, { storage })
  const { refresh_token } = await server.signIn()
  const foreign = formatRefreshToken(
    parseRefreshToken(refresh_token, server.deps.secrets)!,
    createTestSecrets('another secret'),
  )

  t.deepEqual(refusal(await server.refresh(foreign)), invalidGrant)
  t.is((await server.refresh(refresh_token)).status, 200)
})

test('after a rotation of the master secret old refresh tokens still work, and their successors are under the new one', async t => {
  const [old, both] = [createTestSecrets('old'), createTestSecrets('new', 'old')]
  const server = await startServerWithAlice(t, { secrets: both })
  const { refresh_token } = await server.signIn()
  const older = formatRefreshToken(parseRefreshToken(refresh_token, both)!, old)
  t.not(older, refresh_token)

  const next = await refreshed(server, older)

  t.truthy(parseRefreshToken(next.refresh_token, createTestSecrets('new')))
  t.is(parseRefreshToken(next.refresh_token, old), undefined)
  t.is((await refreshed(server, older)).refresh_token, next.refresh_token)
  t.is((await server.refresh(next.refresh_token)).status, 200)
})

test('any changed character of a refresh token is refused and changes nothing', async t => {
  const server = await startServerWithAlice(t)
  const { refresh_token } = await server.signIn()
  const before = await liveSessions(server)
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

  for (const [i, character] of [...refresh_token].entries()) {
    const other = alphabet[(alphabet.indexOf(character) + 1) % 64]!
    const changed = refresh_token.slice(0, i) + other + refresh_token.slice(i + 1)
    t.deepEqual(refusal(await server.refresh(changed)), invalidGrant, `character ${i}`)
  }
  await fc.assert(
    fc.asyncProperty(fc.nat(79), fc.string({ unit: 'binary', maxLength: 2 }), async (i, text) => {
      const changed = refresh_token.slice(0, i) + text + refresh_token.slice(i + 1)
      fc.pre(changed !== refresh_token)
      t.is((await server.refresh(changed)).status, 400)
    }),
  )

  t.deepEqual(await liveSessions(server), before)
  t.is((await server.refresh(refresh_token)).status, 200)
})

test('a refresh token has one spelling only', async t => {
  const server = await startServerWithAlice(t)
  let { refresh_token } = await server.signIn()
  // One that plain base64 would spell otherwise.
  while (!/[-_]/.test(refresh_token.slice(4))) refresh_token = (await server.signIn()).refresh_token

  for (const other of [
    `lkr_${refresh_token.slice(4).replaceAll('-', '+').replaceAll('_', '/')}`,
    refresh_token.slice(4),
    refresh_token.toUpperCase(),
    ` ${refresh_token}`,
    `${refresh_token}\n`,
    `${refresh_token}=`,
    `${refresh_token}A`,
    refresh_token.slice(0, -1),
    refresh_token.repeat(2),
  ]) {
    t.deepEqual(refusal(await server.refresh(other)), invalidGrant)
  }
  t.is((await server.refresh(refresh_token)).status, 200)
})

test('promise 4: 20 refreshes race a logout; whatever wins, nothing works afterwards', async t => {
  const server = await startServerWithAlice(t)
  const { refresh_token, access_token } = await server.signIn()
  const logout = () => server.request('/logout', { method: 'POST', headers: server.bearer(access_token) })

  const answers = await Promise.all(
    Array.from({ length: 21 }, (_, i) => (i === 10 ? logout() : server.refresh(refresh_token))),
  )

  t.is(answers[10]!.status, 200)
  const tokens = answers.filter((answer, i) => i !== 10 && answer.status === 200).map(({ body }) => body)
  for (const body of [...tokens, { refresh_token, access_token }]) {
    t.deepEqual(refusal(await server.refresh(body.refresh_token)), invalidGrant)
    t.is((await server.me(body.access_token)).status, 401)
  }
  t.deepEqual(await liveSessions(server), [])
})

test('20 refreshes with the current token race 20 with a superseded one: the session ends, whatever the order', async t => {
  const server = await startServerWithAlice(t)
  const first = await server.signIn()
  const second = await refreshed(server, first.refresh_token)
  const third = await refreshed(server, second.refresh_token)

  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => server.refresh(i % 2 === 0 ? third.refresh_token : first.refresh_token)),
  )

  t.true(answers.every(({ status }) => status === 200 || status === 400))
  t.deepEqual(await liveSessions(server), [])
})

test('promise 3: a session is one row, however often it is refreshed', async t => {
  const server = await startServerWithAlice(t)
  let current = (await server.signIn()).refresh_token
  const events = (await server.deps.storage.listAuditEvents(1000)).length

  for (let i = 0; i < 100; i++) {
    server.clock.advance(10)
    current = (await refreshed(server, current)).refresh_token
  }

  t.is((await liveSessions(server)).length, 1)
  t.is((await server.deps.storage.listAuditEvents(1000)).length, events)
})

test('a refresh token from the future is taken: a restored backup signs nobody out (promise 5)', async t => {
  const server = await startServer(t)
  await server.addClient()
  await server.addUser()
  const { secrets } = server.deps
  const { refresh_token } = await server.signIn()
  const { sessionId, generation } = parseRefreshToken(refresh_token, secrets)!
  const newer = formatRefreshToken({ sessionId, generation: generation + 7 }, secrets)

  const healed = await refreshed(server, newer)

  t.deepEqual(parseRefreshToken(healed.refresh_token, secrets), { sessionId, generation: generation + 8 })
  t.is((await refreshed(server, newer)).refresh_token, healed.refresh_token)
  t.is((await server.refresh(healed.refresh_token)).status, 200)
  const events = await server.deps.storage.listAuditEvents(10)
  t.is(events.filter(({ type }) => type === 'session.healed').length, 1)
})
