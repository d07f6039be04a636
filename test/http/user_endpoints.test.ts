/** What a signed-in user asks for by bearer token: /users/me, /logout, /sessions. RFC 6750; design promise 4. */
import { createHmac } from 'node:crypto'
import test from 'ava'
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose'
import { auditEvent } from '../../src/audit/audit.ts'
import { clientUpdate } from '../../src/clients/client.ts'
import { signingAlgs } from '../../src/keys/signing_key.ts'
import { disabledUpdate } from '../../src/sessions/user_change.ts'
import {
  type Answer,
  oauthConfig,
  password,
  refusal,
  refused,
  startServerWithAlice,
  startTime,
  type TestServer,
} from '../_server.ts'

const { accessTokenLifetime } = oauthConfig
const invalidToken = refused(401, 'invalid_token')
const endpoints = [
  ['GET', '/users/me'],
  ['POST', '/logout'],
  ['GET', '/sessions'],
  ['DELETE', '/sessions/AAAAAAAAAAAAAAAAAAAAAA'],
] as const

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}

function sessionIdOf(tokens: { access_token: string }): string {
  return decodeJwt(tokens.access_token).sid as string
}

function logout(server: TestServer, accessToken: string, query = ''): Promise<Answer> {
  return server.request(`/logout${query}`, { method: 'POST', headers: server.bearer(accessToken) })
}

function deleteSession(server: TestServer, accessToken: string, id: string): Promise<Answer> {
  return server.request(`/sessions/${id}`, { method: 'DELETE', headers: server.bearer(accessToken) })
}

function liveSessionIds(server: TestServer): Promise<string[]> {
  const list = server.deps.storage.listLiveSessions({}, server.clock.now(), 100)
  return list.then(sessions => sessions.map(({ id }) => id).sort())
}

async function assertWorks(server: TestServer, tokens: { access_token: string; refresh_token: string }) {
  const answers = [await server.me(tokens.access_token), await server.refresh(tokens.refresh_token)]
  return answers.every(({ status }) => status === 200)
}

async function assertDead(server: TestServer, tokens: { access_token: string; refresh_token: string }) {
  const answers = [
    await server.me(tokens.access_token),
    await server.request('/sessions', { headers: server.bearer(tokens.access_token) }),
    await logout(server, tokens.access_token, '?scope=all'),
    await server.refresh(tokens.refresh_token),
  ]
  return answers.map(({ status }) => status).join() === '401,401,401,400'
}

test('GET /users/me answers exactly username, email, whether it is verified, and full_name', async t => {
  const server = await startServerWithAlice(t)
  await server.addUser({ username: 'Bob' })

  const { status, headers, body } = await server.me((await server.signIn()).access_token)
  const bobs = await server.me((await server.signIn({ username: 'BOB' })).access_token)

  t.deepEqual(
    { status, contentType: headers.get('content-type'), cacheControl: headers.get('cache-control'), body },
    {
      status: 200,
      contentType: 'application/json; charset=utf-8',
      cacheControl: 'no-store',
      body: {
        username: 'alice',
        email: 'alice@example.com',
        email_verified: false,
        full_name: 'Alice',
        language: null,
      },
    },
  )
  t.deepEqual(bobs.body, { username: 'Bob', email: null, email_verified: false, full_name: null, language: null })
})

for (const [method, path] of endpoints) {
  test(`${method} ${path} without a token is 401 with a challenge that names no error (RFC 6750 §3.1)`, async t => {
    const server = await startServerWithAlice(t)

    for (const authorization of [undefined, 'Bearer', 'Bearer ', 'Basic YXBwOg==', 'x', 'Bearer a b', 'Bearer é']) {
      const answer = await server.request(path, {
        method,
        headers: authorization === undefined ? {} : { authorization },
      })
      t.deepEqual(refusal(answer), invalidToken, authorization)
      t.is(answer.headers.get('www-authenticate'), 'Bearer realm="latchkey"', authorization)
    }
  })

  test(`${method} ${path} with a bad token is 401 with error="invalid_token" (RFC 6750 §3.1)`, async t => {
    const server = await startServerWithAlice(t)
    const { access_token, refresh_token } = await server.signIn()
    const ids = await liveSessionIds(server)

    for (const token of [
      'x',
      'a.b.c',
      '..',
      `${access_token}.`,
      `${access_token}=`,
      refresh_token,
      access_token.slice(0, -1),
    ]) {
      const answer = await server.request(path, { method, headers: server.bearer(token) })
      t.deepEqual(refusal(answer), invalidToken, token)
      t.is(
        answer.headers.get('www-authenticate'),
        'Bearer realm="latchkey", error="invalid_token", error_description="the access token is expired, revoked or not valid here"',
      )
    }
    t.deepEqual(await liveSessionIds(server), ids)
    t.not((await server.request(path, { method, headers: server.bearer(access_token) })).status, 401)
  })

  test(`${method} ${path} with the token in the query string is invalid_request (RFC 6750 §2.3, §5.3)`, async t => {
    const server = await startServerWithAlice(t)
    const { access_token } = await server.signIn()
    const headers = server.bearer(access_token)

    for (const init of [{ method }, { method, headers }]) {
      const answer = await server.request(`${path}?access_token=${access_token}`, init)
      t.deepEqual(refusal(answer), refused(400, 'invalid_request'))
    }
    t.is((await liveSessionIds(server)).length, 1)
    t.not((await server.request(path, { method, headers })).status, 400)
  })
}

test('the Bearer scheme is compared without case (RFC 9110 §11.1)', async t => {
  const server = await startServerWithAlice(t)
  const { access_token } = await server.signIn()

  for (const scheme of ['bearer', 'BEARER', 'Bearer ']) {
    t.is((await server.request('/users/me', { headers: { authorization: `${scheme} ${access_token}` } })).status, 200)
  }
})

test('an access token works until the second it expires', async t => {
  const server = await startServerWithAlice(t)
  const { access_token, expires_in } = await server.signIn()
  t.is(decodeJwt(access_token).exp, startTime + expires_in)

  server.clock.advance(expires_in - 1)
  t.is((await server.me(access_token)).status, 200)
  server.clock.advance(1)
  t.deepEqual(refusal(await server.me(access_token)), invalidToken)
})

for (const signingAlg of signingAlgs) {
  test(`any changed character of an access token is refused (${signingAlg})`, async t => {
    const server = await startServerWithAlice(t, { signingAlg })
    const { access_token } = await server.signIn()
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

    for (const [i, character] of [...access_token].entries()) {
      // Every character of the header and the signature, some of the claims.
      if (i % 7 !== 0 && i < access_token.length - 90 && i > 20) continue
      const other = alphabet[(alphabet.indexOf(character) + 1) % 64]!
      const changed = access_token.slice(0, i) + other + access_token.slice(i + 1)
      t.is((await server.me(changed)).status, 401, `character ${i}`)
    }
    t.is((await server.me(access_token)).status, 200)
  })

  test(`a signature of another length is refused (${signingAlg})`, async t => {
    const server = await startServerWithAlice(t, { signingAlg })
    const { access_token } = await server.signIn()
    const [header, claims, signature = ''] = access_token.split('.')
    const raw = Buffer.from(signature, 'base64url')

    for (const bytes of [
      Buffer.alloc(0),
      Buffer.alloc(raw.length),
      Buffer.alloc(raw.length, 0xff),
      raw.subarray(1),
      raw.subarray(0, -1),
      Buffer.concat([raw, raw]),
      Buffer.concat([raw, Buffer.alloc(1)]),
      Buffer.concat([Buffer.alloc(1), raw]),
    ]) {
      t.is((await server.me(`${header}.${claims}.${bytes.toString('base64url')}`)).status, 401)
    }
    t.is((await server.me(access_token)).status, 200)
  })
}

test('a token of alg none is refused (RFC 8725 §3.1)', async t => {
  const server = await startServerWithAlice(t)
  const { access_token } = await server.signIn()
  const [header = '', claims, signature] = access_token.split('.')
  const { kid } = decodeProtectedHeader(access_token)

  for (const alg of ['none', 'None', 'NONE', '']) {
    const unsigned = base64url(JSON.stringify({ alg, typ: 'at+jwt', kid }))
    t.deepEqual(refusal(await server.me(`${unsigned}.${claims}.`)), invalidToken)
    t.deepEqual(refusal(await server.me(`${unsigned}.${claims}.${signature}`)), invalidToken)
  }
  t.deepEqual(refusal(await server.me(`${header}.${claims}.`)), invalidToken)
  t.is((await server.me(access_token)).status, 200)
})

test('a token of HS256 under the public key is refused (RFC 8725 §2.1)', async t => {
  const server = await startServerWithAlice(t, { signingAlg: 'RS256' })
  const { access_token } = await server.signIn()
  const claims = access_token.split('.')[1]
  const { publicKey, stored } = server.deps.keyRing.keys()[0]!

  const header = base64url(JSON.stringify({ alg: 'HS256', typ: 'at+jwt', kid: stored.kid }))
  for (const secret of [
    publicKey.export({ type: 'spki', format: 'pem' }),
    publicKey.export({ type: 'spki', format: 'der' }),
    JSON.stringify(stored.publicJwk),
  ]) {
    const signature = createHmac('sha256', secret).update(`${header}.${claims}`).digest('base64url')
    t.deepEqual(refusal(await server.me(`${header}.${claims}.${signature}`)), invalidToken)
  }
  t.is((await server.me(access_token)).status, 200)
})

/** Tokens by the server's own key: what differs is one header member or one claim. */
const wrongTokens: [rule: string, header: object, claims: object][] = [
  ['of another issuer', {}, { iss: 'https://other.example.com' }],
  ['of the issuer with a slash', {}, { iss: `${oauthConfig.issuer}/` }],
  ['of the type of an ID token (RFC 9068 §4)', { typ: 'JWT' }, {}],
  ['of the type at+JWT with other members', { typ: 'application/at+jwt' }, {}],
  ['with a crit header', { crit: ['x'], x: 1 }, {}],
  ['with another kid', { kid: 'other' }, {}],
  ['with a jku header', { jku: 'https://attacker.example.com/jwks.json' }, {}],
  ['that expired', {}, { exp: startTime }],
  ['of an unknown session', {}, { sid: 'AAAAAAAAAAAAAAAAAAAAAA' }],
]

for (const [rule, headerChange, claimsChange] of wrongTokens) {
  test(`an access token ${rule} is refused`, async t => {
    const server = await startServerWithAlice(t)
    const { access_token } = await server.signIn()
    const header = decodeProtectedHeader(access_token) as { alg: string }
    const claims = decodeJwt(access_token)
    const { privateKey } = server.deps.keyRing.keys()[0]!
    const sign = (changedHeader: object, changedClaims: object) =>
      new SignJWT({ ...claims, ...changedClaims })
        .setProtectedHeader({ ...header, ...changedHeader })
        .sign(privateKey, { crit: { x: true } })

    t.deepEqual(refusal(await server.me(await sign(headerChange, claimsChange))), invalidToken)
    t.is((await server.me(await sign({}, {}))).status, 200)
  })
}

test('an access token by the same key id of another server is refused', async t => {
  const server = await startServerWithAlice(t)
  const other = await startServerWithAlice(t)
  const { access_token } = await other.signIn()

  t.deepEqual(refusal(await server.me(access_token)), invalidToken)
  t.is((await other.me(access_token)).status, 200)
})

test("a disabled user's and a removed user's access tokens are refused", async t => {
  const server = await startServerWithAlice(t)
  const bobsId = await server.addUser({ username: 'bob' })
  const [alices, bobs] = [await server.signIn(), await server.signIn({ username: 'bob' })]
  const { storage } = server.deps

  await storage.changeUser(server.aliceId, disabledUpdate(true, auditEvent('user.disabled', startTime, {})))
  t.deepEqual(refusal(await server.me(alices.access_token)), invalidToken)
  t.is((await server.me(bobs.access_token)).status, 200)
  await storage.removeUser(bobsId, auditEvent('user.removed', startTime, {}))
  t.deepEqual(refusal(await server.me(bobs.access_token)), invalidToken)
})

test('promise 4: POST /logout ends this session and nothing else', async t => {
  const server = await startServerWithAlice(t)
  await server.addUser({ username: 'bob' })
  const [phone, tablet, bobs] = [await server.signIn(), await server.signIn(), await server.signIn({ username: 'bob' })]

  const { status, headers, body } = await logout(server, phone.access_token)

  t.deepEqual(
    { status, cacheControl: headers.get('cache-control'), body },
    { status: 200, cacheControl: 'no-store', body: { message: 'Logout successful' } },
  )
  t.true(await assertDead(server, phone))
  t.true(await assertWorks(server, tablet))
  t.true(await assertWorks(server, bobs))
})

test('promise 4: after a logout no token of the session works, the superseded and the unseen ones included', async t => {
  const server = await startServerWithAlice(t)
  const first = await server.signIn()
  const second = (await server.refresh(first.refresh_token)).body
  const third = (await server.refresh(second.refresh_token)).body

  t.is((await logout(server, first.access_token)).status, 200)

  for (const tokens of [third, second, first]) t.true(await assertDead(server, tokens))
  server.clock.advance(accessTokenLifetime)
  t.is((await server.refresh(third.refresh_token)).status, 400)
})

test('POST /logout?scope=others ends every other session of the user', async t => {
  const server = await startServerWithAlice(t)
  await server.addUser({ username: 'bob' })
  const bobs = await server.signIn({ username: 'bob' })
  const [phone, tablet, laptop] = [await server.signIn(), await server.signIn(), await server.signIn()]

  t.is((await logout(server, phone.access_token, '?scope=others')).status, 200)

  t.true(await assertDead(server, tablet))
  t.true(await assertDead(server, laptop))
  t.true(await assertWorks(server, phone))
  t.true(await assertWorks(server, bobs))
})

test('POST /logout?scope=all ends every session of the user', async t => {
  const server = await startServerWithAlice(t)
  await server.addUser({ username: 'bob' })
  const [phone, tablet, bobs] = [await server.signIn(), await server.signIn(), await server.signIn({ username: 'bob' })]

  t.is((await logout(server, phone.access_token, '?scope=all')).status, 200)

  t.true(await assertDead(server, phone))
  t.true(await assertDead(server, tablet))
  t.true(await assertWorks(server, bobs))
})

for (const query of ['?scope=', '?scope=ALL', '?scope=everything', '?scope=all&scope=all', '?scope=__proto__']) {
  test(`POST /logout${query} is invalid_request and ends nothing`, async t => {
    const server = await startServerWithAlice(t)
    const [phone, tablet] = [await server.signIn(), await server.signIn()]

    t.deepEqual(refusal(await logout(server, phone.access_token, query)), refused(400, 'invalid_request'))
    t.true(await assertWorks(server, phone))
    t.true(await assertWorks(server, tablet))
  })
}

test("GET /sessions lists the user's sessions, last seen first, and says which one asks", async t => {
  const server = await startServerWithAlice(t)
  await server.addUser({ username: 'bob' })
  await server.signIn({ username: 'bob' })
  const tablet = await server.signIn({ device: 'tablet' })
  server.clock.advance(10)
  const phone = await server.signIn({ device: 'phone', scope: 'read' })
  const watch = await server.signIn({ device: 'watch' })
  server.clock.advance(10)
  const ended = await server.signIn()
  await logout(server, ended.access_token)

  const list = async () => {
    const { status, headers, body } = await server.request('/sessions', { headers: server.bearer(phone.access_token) })
    return { status, cacheControl: headers.get('cache-control'), body }
  }
  const common = { client_id: 'app', ip: '127.0.0.1', user_agent: 'node' }
  const { idleLifetime } = oauthConfig.refresh
  const phones = {
    ...common,
    id: sessionIdOf(phone),
    current: true,
    device: 'phone',
    scope: 'read',
    created_at: startTime + 10,
    last_seen_at: startTime + 10,
    expires_at: startTime + 10 + idleLifetime,
  }
  const watches = { ...phones, id: sessionIdOf(watch), current: false, device: 'watch', scope: 'read write' }
  const tablets = {
    ...common,
    id: sessionIdOf(tablet),
    current: false,
    device: 'tablet',
    scope: 'read write',
    created_at: startTime,
    last_seen_at: startTime,
    expires_at: startTime + idleLifetime,
  }
  const inOrder = (...sessions: { id: string; last_seen_at: number; created_at: number }[]) =>
    sessions.toSorted(
      (a, b) => b.last_seen_at - a.last_seen_at || b.created_at - a.created_at || (a.id < b.id ? -1 : 1),
    )

  t.deepEqual(await list(), {
    status: 200,
    cacheControl: 'no-store',
    body: { sessions: inOrder(phones, watches, tablets) },
  })
  server.clock.advance(3600)
  const second = (await server.refresh(tablet.refresh_token)).body
  server.clock.advance(3600)
  // The access token that asks is of a later refresh, which is not shown yet.
  const { access_token } = (await server.refresh(phone.refresh_token)).body
  const { body } = await server.request('/sessions', { headers: server.bearer(access_token) })
  const [hour, lastHour] = [startTime + 7200, startTime + 3600]
  t.deepEqual(body.sessions, [
    { ...phones, last_seen_at: hour },
    { ...tablets, last_seen_at: lastHour, expires_at: lastHour + idleLifetime },
    watches,
  ])
  t.is(sessionIdOf(second), tablets.id)
})

test('DELETE /sessions/{id} ends one session of the user', async t => {
  const server = await startServerWithAlice(t)
  const [phone, tablet, laptop] = [await server.signIn(), await server.signIn(), await server.signIn()]

  const { status, body } = await deleteSession(server, phone.access_token, sessionIdOf(tablet))

  t.deepEqual({ status, body }, { status: 204, body: '' })
  t.true(await assertDead(server, tablet))
  t.true(await assertWorks(server, phone))
  t.true(await assertWorks(server, laptop))
  t.deepEqual(refusal(await deleteSession(server, phone.access_token, sessionIdOf(tablet))), refused(404, 'not_found'))
})

test('DELETE /sessions/{id} of the session that asks is a logout', async t => {
  const server = await startServerWithAlice(t)
  const phone = await server.signIn()

  t.is((await deleteSession(server, phone.access_token, sessionIdOf(phone))).status, 204)
  t.true(await assertDead(server, phone))
})

test("another user's session is 404 like an unknown one, and untouched", async t => {
  const server = await startServerWithAlice(t)
  await server.addUser({ username: 'bob' })
  const [alices, bobs] = [await server.signIn(), await server.signIn({ username: 'bob' })]
  const unknown = await deleteSession(server, alices.access_token, 'AAAAAAAAAAAAAAAAAAAAAA')

  const others = await deleteSession(server, alices.access_token, sessionIdOf(bobs))

  t.deepEqual(refusal(others), refused(404, 'not_found'))
  t.deepEqual({ status: others.status, body: others.body }, { status: unknown.status, body: unknown.body })
  t.true(await assertWorks(server, bobs))
  t.is((await deleteSession(server, bobs.access_token, sessionIdOf(bobs))).status, 204)
})

for (const id of [
  '%00',
  '%25',
  '%',
  '%ff',
  '%F0%9F%93%B1',
  '..%2Fme',
  '__proto__',
  "'%20OR%201=1--",
  'x'.repeat(4000),
]) {
  test(`DELETE /sessions/${id.slice(0, 20)} is refused and ends nothing`, async t => {
    const server = await startServerWithAlice(t)
    const phone = await server.signIn()

    const { status, body } = await deleteSession(server, phone.access_token, id)

    t.true(status === 404 || status === 400, String(status))
    t.truthy(body.error)
    t.true(await assertWorks(server, phone))
  })
}

test("a disabled client's access tokens are refused until it is enabled again", async t => {
  const server = await startServerWithAlice(t)
  const { access_token } = await server.signIn()
  const setDisabled = (disabledAt: number | undefined) =>
    server.deps.storage.changeClient(
      'app',
      clientUpdate(client => ({ ...client, disabledAt }), auditEvent('client.updated', startTime, {})),
    )

  await setDisabled(startTime)
  t.is((await server.me(access_token)).status, 401)
  await setDisabled(undefined)
  t.is((await server.me(access_token)).status, 200)
})

test('a malformed request that no good token came with is told how to send one, and nobody who has shown a token is (RFC 6750 §3)', async t => {
  const server = await startServerWithAlice(t)
  const { access_token } = await server.signIn()
  const change = async (body: string, type: string) => {
    const headers = { ...server.bearer(access_token), 'content-type': type }
    const answer = await server.request('/users/me/password', { method: 'PUT', headers, body })
    return [answer.status, answer.body.error, answer.headers.get('www-authenticate')]
  }
  const json = 'application/json'
  const challenge = 'Bearer realm="latchkey", error="invalid_request"'
  t.deepEqual(await change('x', 'text/plain'), [400, 'invalid_request', challenge])
  t.deepEqual(await change('{}', json), [400, 'invalid_request', null])
  const short = JSON.stringify({ current_password: password, new_password: 'short' })
  t.deepEqual(await change(short, json), [400, 'invalid_request', null])
  const good = JSON.stringify({ current_password: password, new_password: 'seven lamps over the harbour' })
  t.deepEqual(await change(good, json), [200, undefined, null])
})
