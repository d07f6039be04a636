/** OpenID Connect: ID tokens (Core §2, §3.1.3.6, §12.2) and the UserInfo endpoint (§5.3, §5.4). */
import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose'
import { auditEvent } from '../../src/audit/audit.ts'
import { type SigningAlg, signingAlgs } from '../../src/keys/signing_key.ts'
import { disabledUpdate } from '../../src/sessions/user_change.ts'
import {
  issuer,
  refusal,
  refused,
  type ServerOptions,
  startServer,
  startServerWithAlice,
  startTime,
  type TestServer,
} from '../_server.ts'

const everyScope = 'openid profile email read'

/** Beside `app`, which has no OpenID scope: `phone` and `tablet`, which have every one. */
async function startOpenIdServer(t: ExecutionContext, options?: ServerOptions) {
  const server = await startServerWithAlice(t, options)
  for (const id of ['phone', 'tablet']) await server.addClient({ id, scope: everyScope })
  await server.addUser({ username: 'bob' })
  return server
}

type Tokens = Awaited<ReturnType<TestServer['signIn']>> & { id_token?: string }

function signIn(server: TestServer, params: Record<string, string> = {}): Promise<Tokens> {
  return server.signIn({ client_id: 'phone', ...params })
}

async function refresh(server: TestServer, tokens: Tokens, params: Record<string, string> = {}): Promise<Tokens> {
  return (await server.refresh(tokens.refresh_token, { client_id: 'phone', ...params })).body
}

/** Verifies as an app does that has nothing but the JWK Set. */
async function verifyIdToken(server: TestServer, idToken = '', audience = 'phone') {
  return jwtVerify(idToken, createLocalJWKSet((await server.request('/.well-known/jwks.json')).body), {
    issuer,
    audience,
    typ: 'JWT',
    currentDate: new Date(server.clock.now() * 1000),
  })
}

/** The left half of the hash of the signature, by its bits: 256 for ES256 and RS256, 512 for Ed25519 (RFC 8032 §5.1). */
function atHash(alg: SigningAlg, accessToken: string): string {
  const [hash, half] = { ES256: ['sha256', 16], RS256: ['sha256', 16], EdDSA: ['sha512', 32] }[alg] as [string, number]
  return createHash(hash).update(accessToken, 'ascii').digest().subarray(0, half).toString('base64url')
}

for (const alg of signingAlgs) {
  test(`an ID token has exactly its claims, at sign-in and refresh, and jose verifies it (${alg}, OIDC Core §2, §12.2)`, async t => {
    const server = await startOpenIdServer(t, { signingAlg: alg, oauth: { accessTokenLifetime: 10 } })
    const { keys } = (await server.request('/.well-known/jwks.json')).body
    const first = await signIn(server)
    server.clock.advance(5)
    const second = await refresh(server, first)

    for (const [tokens, iat] of [
      [first, startTime],
      [second, startTime + 5],
    ] as const) {
      const { protectedHeader, payload } = await verifyIdToken(server, tokens.id_token)
      t.deepEqual(protectedHeader, { alg, typ: 'JWT', kid: keys[0].kid })
      t.deepEqual(payload, {
        iss: issuer,
        sub: server.aliceId,
        aud: 'phone',
        iat,
        exp: iat + 10,
        auth_time: startTime,
        amr: ['pwd'],
        acr: 'urn:latchkey:1fa',
        sid: decodeJwt(first.access_token).sid,
        at_hash: atHash(alg, tokens.access_token),
        email: 'alice@example.com',
        email_verified: false,
      })
    }
    t.not(decodeJwt(second.id_token!).at_hash, decodeJwt(first.id_token!).at_hash)
  })
}

test('at_hash is that of the example in OIDC Core §A.3, by the same rule', t => {
  // The access token of the example and the at_hash of its ID token, which is signed with RS256.
  t.is(atHash('RS256', 'jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y'), '77QmUPtjPfzWtF2AnpK9RQ')
})

test('an ID token is for its client and lives as long as its access token (OIDC Core §2)', async t => {
  const server = await startOpenIdServer(t)
  const tokens = await signIn(server)
  const { exp } = decodeJwt(tokens.id_token!)

  t.deepEqual([exp, exp], [decodeJwt(tokens.access_token).exp, startTime + tokens.expires_in])
  await t.throwsAsync(verifyIdToken(server, tokens.id_token, 'tablet'), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' })
  await t.notThrowsAsync(verifyIdToken(server, tokens.id_token))
  server.clock.advance(tokens.expires_in)
  await t.throwsAsync(verifyIdToken(server, tokens.id_token), { code: 'ERR_JWT_EXPIRED' })
})

test("an ID token's audience is the client, whatever its access token is for (OIDC Core §2, RFC 8707)", async t => {
  const server = await startOpenIdServer(t)
  await server.addClient({ id: 'own', scope: 'openid', audience: ['https://api.example.com'] })

  const { id_token } = await signIn(server, { client_id: 'own', resource: 'https://api.example.com' })

  t.is(decodeJwt(id_token!).aud, 'own')
})

for (const [rule, params, has] of [
  ['with openid', { scope: 'openid' }, true],
  ['with openid among others', { scope: 'read openid' }, true],
  ['without a scope, where openid is the default', {}, true],
  ['with profile and email alone', { scope: 'profile email' }, false],
  ['by a client that does not have openid', { client_id: 'app' }, false],
] as const) {
  test(`a sign-in ${rule} has ${has ? 'an' : 'no'} ID token (OIDC Core §3.1.2.1)`, async t => {
    const server = await startOpenIdServer(t)

    const tokens = await signIn(server, params)

    t.is('id_token' in tokens, has)
    t.is(tokens.scope.split(' ').includes('openid'), has)
  })
}

test('a scope token that contains openid is not openid', async t => {
  const server = await startOpenIdServer(t)
  await server.addClient({ id: 'odd', scope: 'openid2 xopenid openid' })

  t.false('id_token' in (await signIn(server, { client_id: 'odd', scope: 'openid2 xopenid' })))
  t.true('id_token' in (await signIn(server, { client_id: 'odd' })))
})

test('offline_access is never refused and means what a refresh token means (OIDC Core §11)', async t => {
  const server = await startServer(t)
  await server.addClient({ scope: 'read write' })
  await server.addClient({ id: 'once', scope: 'read write', grantTypes: ['password'] })
  await server.addClient({ id: 'worker', secret: 'lks_worker', scope: 'read', grantTypes: ['client_credentials'] })
  await server.addUser()

  const first = await server.signIn({ scope: 'read offline_access' })
  t.is(first.scope, 'read offline_access')
  const second = (await server.refresh(first.refresh_token)).body
  t.is(second.scope, 'read offline_access')
  t.is((await server.refresh(second.refresh_token, { scope: 'read' })).body.scope, 'read')
  // Not asked for, not granted by name; asked for at a refresh, no error.
  const plain = await server.signIn()
  t.is(plain.scope, 'read write')
  t.is((await server.refresh(plain.refresh_token, { scope: 'read offline_access' })).body.scope, 'read')
  // Where there is no refresh token it is ignored.
  const once = await server.signIn({ client_id: 'once', scope: 'read offline_access' })
  t.deepEqual([once.scope, 'refresh_token' in once], ['read', false])
  const worker = { grant_type: 'client_credentials', client_id: 'worker', client_secret: 'lks_worker' }
  t.is((await server.token({ ...worker, scope: 'read offline_access' })).body.scope, 'read')
  const beyond = await server.token({ ...worker, scope: 'write offline_access' })
  t.deepEqual(refusal(beyond), refused(400, 'invalid_scope'))
})

test('openid for a client that does not have it is invalid_scope', async t => {
  const server = await startOpenIdServer(t)
  const request = {
    grant_type: 'password',
    username: 'alice',
    password: 'correct horse battery staple',
    scope: 'openid',
  }

  t.deepEqual(refusal(await server.token({ ...request, client_id: 'app' })), refused(400, 'invalid_scope'))
  t.is((await server.token({ ...request, client_id: 'phone' })).status, 200)
})

test('a refresh narrowed to leave out openid has no ID token, the next one has (OIDC Core §12.2)', async t => {
  const server = await startOpenIdServer(t)
  const first = await signIn(server)

  const narrowed = await refresh(server, first, { scope: 'read' })
  const whole = await refresh(server, narrowed)

  t.deepEqual(
    [first, narrowed, whole].map(tokens => 'id_token' in tokens),
    [true, false, true],
  )
})

test('a sign-in without openid never gets an ID token by a refresh (RFC 6749 §6)', async t => {
  const server = await startOpenIdServer(t)
  const first = await signIn(server, { scope: 'read' })

  const wider = await server.refresh(first.refresh_token, { client_id: 'phone', scope: 'read openid' })

  t.deepEqual(refusal(wider), refused(400, 'invalid_scope'))
  t.false('id_token' in (await refresh(server, first)))
})

test('auth_time, sub and sid stay through a year of refreshes and retries, iat does not (OIDC Core §12.2)', async t => {
  const server = await startOpenIdServer(t)
  const first = await signIn(server)
  let [parent, tokens] = [first, first]
  for (let month = 0; month < 11; month++) {
    server.clock.advance(29 * 86_400)
    ;[parent, tokens] = [tokens, await refresh(server, tokens)]
  }
  server.clock.advance(3600)
  const late = await refresh(server, parent)

  const { iat: firstIat, exp: _, at_hash: __, ...stays } = decodeJwt(first.id_token!)
  const { iat, exp: ___, at_hash, ...claims } = decodeJwt(late.id_token!)
  t.deepEqual(claims, stays)
  t.deepEqual([firstIat, iat], [startTime, server.clock.now()])
  t.is(at_hash, atHash('ES256', late.access_token))
})

test('every sign-in has an auth_time and a sid of its own; sub is the same for every client (OIDC Core §8)', async t => {
  const server = await startOpenIdServer(t)
  const phone = decodeJwt((await signIn(server)).id_token!)
  server.clock.advance(100)
  const tablet = decodeJwt((await signIn(server, { client_id: 'tablet' })).id_token!)
  const bobs = decodeJwt((await signIn(server, { username: 'bob' })).id_token!)

  t.deepEqual([phone.auth_time, tablet.auth_time], [startTime, startTime + 100])
  t.not(phone.sid, tablet.sid)
  t.deepEqual([tablet.sub, bobs.sub === phone.sub], [phone.sub, false])
})

/** The ways to ask, each with the access token where it belongs. */
const ways: [rule: string, ask: (server: TestServer, accessToken: string) => ReturnType<TestServer['request']>][] = [
  ['GET, in the header', (server, token) => server.request('/userinfo', { headers: server.bearer(token) })],
  ['POST, in the header, with an empty form', (server, token) => server.post('/userinfo', {}, server.bearer(token))],
  ['POST, in the form (RFC 6750 §2.2)', (server, token) => server.post('/userinfo', { access_token: token })],
]

for (const [rule, ask] of ways) {
  test(`UserInfo by ${rule}: sub and the claims of the scope, as JSON (OIDC Core §5.3)`, async t => {
    const server = await startOpenIdServer(t)
    const { access_token, id_token } = await signIn(server)

    const { status, headers, body } = await ask(server, access_token)

    t.deepEqual(
      { status, contentType: headers.get('content-type'), cacheControl: headers.get('cache-control'), body },
      {
        status: 200,
        contentType: 'application/json; charset=utf-8',
        cacheControl: 'no-store',
        body: {
          sub: server.aliceId,
          name: 'Alice',
          preferred_username: 'alice',
          email: 'alice@example.com',
          email_verified: false,
        },
      },
    )
    t.is(body.sub, decodeJwt(id_token!).sub)
  })

  test(`UserInfo by ${rule}: after a logout it is 401 invalid_token (OIDC Core §5.3.3)`, async t => {
    const server = await startOpenIdServer(t)
    const [phone, tablet] = [await signIn(server), await signIn(server)]
    await server.request('/logout', { method: 'POST', headers: server.bearer(phone.access_token) })

    const answer = await ask(server, phone.access_token)

    t.deepEqual(refusal(answer), refused(401, 'invalid_token'))
    t.regex(answer.headers.get('www-authenticate') ?? '', /^Bearer realm="latchkey", error="invalid_token"/)
    t.is((await ask(server, tablet.access_token)).status, 200)
  })

  test(`UserInfo by ${rule}: without openid it is 403 insufficient_scope with a challenge (RFC 6750 §3.1)`, async t => {
    const server = await startOpenIdServer(t)
    const { access_token } = await signIn(server, { scope: 'profile email read' })

    const answer = await ask(server, access_token)

    t.deepEqual(refusal(answer), refused(403, 'insufficient_scope'))
    t.is(answer.headers.get('www-authenticate'), 'Bearer realm="latchkey", error="insufficient_scope", scope="openid"')
    t.is((await server.me(access_token)).status, 200)
    t.is((await ask(server, (await signIn(server, { scope: 'openid' })).access_token)).status, 200)
  })
}

for (const [scope, username, claims] of [
  ['openid', 'alice', {}],
  ['openid read', 'alice', {}],
  ['openid profile', 'alice', { name: 'Alice', preferred_username: 'alice' }],
  ['openid email', 'alice', { email: 'alice@example.com', email_verified: false }],
  [everyScope, 'bob', { preferred_username: 'bob' }],
  ['openid email', 'bob', {}],
] as const) {
  test(`UserInfo with ${scope} for ${username} has ${['sub', ...Object.keys(claims)].join(', ')} (OIDC Core §5.3.2, §5.4)`, async t => {
    const server = await startOpenIdServer(t)
    const { access_token } = await signIn(server, { scope, username })

    const { status, body } = await server.request('/userinfo', { headers: server.bearer(access_token) })

    t.deepEqual({ status, body }, { status: 200, body: { sub: decodeJwt(access_token).sub, ...claims } })
  })
}

test('an ID token has the address and whether it is verified, as that is now, with the scope email only (OIDC Core §2, §5.4)', async t => {
  const server = await startOpenIdServer(t)
  const emailOf = (tokens: Tokens) => {
    const { email, email_verified } = decodeJwt(tokens.id_token!)
    return { email, email_verified }
  }
  const first = await signIn(server, { scope: 'openid email' })
  t.deepEqual(emailOf(first), { email: 'alice@example.com', email_verified: false })
  const event = auditEvent('user.updated', startTime, {}, {})
  await server.deps.storage.updateUser(server.aliceId, { emailVerifiedAt: startTime }, event)
  t.deepEqual(emailOf(await refresh(server, first)), { email: 'alice@example.com', email_verified: true })
  t.like((await server.request('/userinfo', { headers: server.bearer(first.access_token) })).body, {
    email_verified: true,
  })
  t.like((await server.me(first.access_token)).body, { email_verified: true })
  for (const params of [{ scope: 'openid profile' }, { scope: 'openid email', username: 'bob' }])
    t.deepEqual(emailOf(await signIn(server, params)), { email: undefined, email_verified: undefined })
})

test('UserInfo knows the scope of the access token that asks, not that of its session (RFC 6749 §6)', async t => {
  const server = await startOpenIdServer(t)
  const first = await signIn(server)
  const ask = async (tokens: Tokens) =>
    (await server.request('/userinfo', { headers: server.bearer(tokens.access_token) })).body

  const narrowed = await refresh(server, first, { scope: 'openid email' })

  t.deepEqual(Object.keys(await ask(narrowed)).sort(), ['email', 'email_verified', 'sub'])
  t.deepEqual(Object.keys(await ask(first)).sort(), ['email', 'email_verified', 'name', 'preferred_username', 'sub'])
  const without = await refresh(server, narrowed, { scope: 'read' })
  t.is((await ask(without)).error, 'insufficient_scope')
})

test('UserInfo in two ways at once is invalid_request, even with the same token (RFC 6750 §2)', async t => {
  const server = await startOpenIdServer(t)
  const { access_token } = await signIn(server)

  for (const headers of [server.bearer(access_token), server.bearer('x'), { authorization: 'Basic YXBwOg==' }]) {
    t.deepEqual(refusal(await server.post('/userinfo', { access_token }, headers)), refused(400, 'invalid_request'))
  }
  t.is((await server.post('/userinfo', { access_token })).status, 200)
  t.is((await server.post('/userinfo', {}, server.bearer(access_token))).status, 200)
})

test('UserInfo takes no access token twice, in the query string or in JSON (RFC 6750 §2.2, §2.3)', async t => {
  const server = await startOpenIdServer(t)
  const { access_token } = await signIn(server)
  const post = (path: string, body: string, type = 'application/x-www-form-urlencoded') =>
    server.request(path, { method: 'POST', body, headers: { 'content-type': type } })
  const form = `access_token=${access_token}`

  for (const answer of [
    await post('/userinfo', `${form}&${form}`),
    await post(`/userinfo?${form}`, ''),
    await post('/userinfo', JSON.stringify({ access_token }), 'application/json'),
    await server.request(`/userinfo?${form}`),
    await server.request(`/userinfo?${form}`, { headers: server.bearer(access_token) }),
  ]) {
    t.deepEqual(refusal(answer), refused(400, 'invalid_request'))
  }
  t.is((await post('/userinfo', form)).status, 200)
})

test('UserInfo without a token is 401 with a challenge that names no error (RFC 6750 §3.1)', async t => {
  const server = await startOpenIdServer(t)

  for (const answer of [
    await server.request('/userinfo'),
    await server.post('/userinfo', {}),
    await server.post('/userinfo', { access_token: '' }),
    await server.request('/userinfo', { headers: { authorization: 'Basic YXBwOg==' } }),
  ]) {
    t.deepEqual(refusal(answer), refused(401, 'invalid_token'))
    t.is(answer.headers.get('www-authenticate'), 'Bearer realm="latchkey"')
  }
})

test('UserInfo refuses what is no access token, an expired one and that of a disabled user (OIDC Core §5.3.3)', async t => {
  const server = await startOpenIdServer(t)
  const [tokens, bobs] = [await signIn(server), await signIn(server, { username: 'bob' })]
  const ask = (token: string) => server.request('/userinfo', { headers: server.bearer(token) })

  for (const token of ['x', tokens.refresh_token, tokens.id_token!, tokens.access_token.slice(0, -1)]) {
    t.deepEqual(refusal(await ask(token)), refused(401, 'invalid_token'))
  }
  await server.deps.storage.changeUser(server.aliceId, disabledUpdate(true, auditEvent('user.disabled', startTime, {})))
  t.deepEqual(refusal(await ask(tokens.access_token)), refused(401, 'invalid_token'))
  t.is((await ask(bobs.access_token)).status, 200)
  server.clock.advance(bobs.expires_in)
  t.deepEqual(refusal(await ask(bobs.access_token)), refused(401, 'invalid_token'))
})

test('no other endpoint takes an access token from a form (RFC 6750 §2.2)', async t => {
  const server = await startOpenIdServer(t)
  const { access_token } = await signIn(server)

  t.deepEqual(refusal(await server.post('/logout', { access_token })), refused(401, 'invalid_token'))
  t.is((await server.post('/userinfo', { access_token })).status, 200)
})

/** POSTs as `curl -X POST` does: without a word about a body. */
function postWithoutLength(server: TestServer, accessToken: string): Promise<string> {
  const { hostname, port } = new URL(server.url)
  const lines = ['POST /userinfo HTTP/1.1', 'Host: x', 'Connection: close', `Authorization: Bearer ${accessToken}`]
  const socket = connect(Number(port), hostname)
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  return text(socket)
}

test('UserInfo by POST, in the header, with no word about a body (OIDC Core §5.3.1)', async t => {
  const server = await startOpenIdServer(t)
  const { access_token } = await signIn(server)

  t.regex(await postWithoutLength(server, access_token), /^HTTP\/1\.1 200 /)
  t.regex(await postWithoutLength(server, `${access_token}x`), /^HTTP\/1\.1 401 /)
})

// Bug: fetch() and many others send Content-Length: 0 with a POST, which is taken for a body that is no form.
test('UserInfo by POST, in the header, without a body (OIDC Core §5.3.1)', async t => {
  const server = await startOpenIdServer(t)
  const { access_token } = await signIn(server)

  t.is((await server.request('/userinfo', { method: 'POST', headers: server.bearer(access_token) })).status, 200)
})
