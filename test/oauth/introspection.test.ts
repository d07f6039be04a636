/** Token introspection over HTTP: RFC 7662, and its answers as JWTs: RFC 9701, RFC 8725 §3.11; design promise 4. */
import test, { type ExecutionContext } from 'ava'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { type AuditEventType, auditEvent } from '../../src/audit/audit.ts'
import { clientUpdate } from '../../src/clients/client.ts'
import { openSigningKey } from '../../src/keys/jws.ts'
import { createSigningKey, maxAccessTokenLifetime, publicationLead } from '../../src/keys/signing_key.ts'
import { formatRefreshToken, parseRefreshToken } from '../../src/sessions/refresh_token.ts'
import { disabledUpdate, passwordUpdate } from '../../src/sessions/user_change.ts'
import {
  createTestSecrets,
  issuer,
  oauthConfig,
  refusal,
  refused,
  type ServerOptions,
  startServer,
  startTime,
  type TestServer,
} from '../_server.ts'

type Tokens = { access_token: string; refresh_token: string; id_token?: string }
type AliceServer = Awaited<ReturnType<typeof startServerWithApi>>

const { retryWindow, idleLifetime } = oauthConfig.refresh
const challenge = 'Basic realm="latchkey", charset="UTF-8"'
const api = { client_id: 'api', client_secret: 'lks_api' }
const jwtType = 'application/token-introspection+jwt'
const app = { client_id: 'app', client_secret: 'lks_app' }
const asRefreshToken = { ...app, token_type_hint: 'refresh_token' }

/**
 * With `alice`, the confidential `app` by which she signs in, the resource server `api`, which asks, the confidential `web`, and the
 * public `phone`.
 */
async function startServerWithApi(t: ExecutionContext, options?: ServerOptions) {
  const server = await startServer(t, options)
  await server.addClient({ id: 'app', secret: 'lks_app', scope: 'read write openid profile email' })
  await server.addClient({ id: 'api', secret: 'lks_api', grantTypes: [] })
  await server.addClient({ id: 'web', secret: 'lks_web' })
  await server.addClient({ id: 'phone' })
  const aliceId = await server.addUser({ email: 'alice@example.com', fullName: 'Alice' })
  return {
    ...server,
    aliceId,
    signIn: (params: Record<string, string> = app) =>
      server.signIn({ ...('client_id' in params ? {} : app), ...params }),
    refresh: (refreshToken: string) => server.refresh(refreshToken, app),
  }
}

/** The resource server asks about access tokens, and the client itself about its refresh tokens. */
function introspect(server: TestServer, token: string, params: Record<string, string> = {}) {
  const asker = token.startsWith('lkr_') ? asRefreshToken : api
  return server.post('/introspect', { token, ...asker, ...params })
}

/** @returns whether each token is active; an inactive one must tell nothing else (RFC 7662 §2.2) */
async function areActive(t: ExecutionContext, server: TestServer, ...tokens: string[]): Promise<boolean[]> {
  const bodies = await Promise.all(tokens.map(async token => (await introspect(server, token)).body))
  for (const { error, ...body } of bodies) {
    // A client that is disabled or gone cannot even ask about its refresh tokens.
    if (error !== undefined) t.is(error, 'invalid_client')
    else if (body.active !== true) t.deepEqual(body, { active: false })
  }
  return bodies.map(body => body.active === true)
}

const both = (tokens: Tokens) => [tokens.access_token, tokens.refresh_token] as const

/** Everything that an answer could have changed. */
async function stateOf({ deps: { storage } }: TestServer) {
  const sessions = await storage.listLiveSessions({}, 0, 100)
  return [sessions, await storage.listAuditEvents(1000), await storage.pruneConsumed(Number.MAX_SAFE_INTEGER)]
}

const sessionIdOf = (tokens: Tokens) => decodeJwt(tokens.access_token).sid as string
const event = (type: AuditEventType) => auditEvent(type, startTime, {})

test('an active access token shows its claims, its type and the username, and nothing else (RFC 7662 §2.2)', async t => {
  const server = await startServerWithApi(t, { oauth: { accessTokenLifetime: 10 } })
  const { access_token } = await server.signIn({ scope: 'read' })
  const { jti, sid } = decodeJwt(access_token)

  const { status, headers, body } = await introspect(server, access_token)

  t.deepEqual(
    { status, contentType: headers.get('content-type'), cacheControl: headers.get('cache-control'), body },
    {
      status: 200,
      contentType: 'application/json; charset=utf-8',
      cacheControl: 'no-store',
      body: {
        active: true,
        token_type: 'Bearer',
        token_use: 'access_token',
        iss: issuer,
        aud: issuer,
        sub: server.aliceId,
        username: 'alice',
        client_id: 'app',
        scope: 'read',
        iat: startTime,
        exp: startTime + 10,
        jti,
        sid,
        auth_time: startTime,
        amr: ['pwd'],
        acr: 'urn:latchkey:1fa',
      },
    },
  )
})

test('an active refresh token shows the sign-in, and the session as it is now (RFC 7662 §2.2)', async t => {
  const server = await startServerWithApi(t)
  const first = await server.signIn({ scope: 'read' })
  server.clock.advance(3600)
  const second = (await server.refresh(first.refresh_token)).body
  server.clock.advance(3600)

  const { status, body } = await introspect(server, second.refresh_token)

  t.is(status, 200)
  t.deepEqual(body, {
    active: true,
    token_use: 'refresh_token',
    iss: issuer,
    aud: issuer,
    sub: server.aliceId,
    username: 'alice',
    client_id: 'app',
    scope: 'read',
    iat: startTime + 3600,
    exp: startTime + 3600 + idleLifetime,
    sid: sessionIdOf(first),
    auth_time: startTime,
    amr: ['pwd'],
    acr: 'urn:latchkey:1fa',
  })
})

test("a refresh token's exp is the earlier of the idle and the absolute end of its session", async t => {
  const refresh = { ...oauthConfig.refresh, absoluteLifetime: idleLifetime + 500 }
  const server = await startServerWithApi(t, { oauth: { refresh } })
  const first = await server.signIn()
  t.is((await introspect(server, first.refresh_token)).body.exp, startTime + idleLifetime)
  server.clock.advance(3600)
  const second = (await server.refresh(first.refresh_token)).body
  server.clock.advance(3600)

  t.is((await introspect(server, second.refresh_token)).body.exp, startTime + idleLifetime + 500)
})

test("a client's own access token shows the client as sub, and no user (RFC 7662 §2.2)", async t => {
  const server = await startServerWithApi(t, { oauth: { accessTokenLifetime: 10 } })
  const secret = await server.addClient({ id: 'worker', isPublic: false, grantTypes: ['client_credentials'] })
  const params = { grant_type: 'client_credentials', client_id: 'worker', client_secret: secret }
  const { access_token } = (await server.token(params)).body

  t.deepEqual((await introspect(server, access_token)).body, {
    active: true,
    token_type: 'Bearer',
    token_use: 'access_token',
    iss: issuer,
    aud: issuer,
    sub: 'worker',
    client_id: 'worker',
    scope: 'read write',
    iat: startTime,
    exp: startTime + 10,
    jti: decodeJwt(access_token).jti,
  })
})

test('several audiences are a list, for both kinds of token (RFC 7662 §2.2)', async t => {
  const audience = ['https://api.example.com', issuer]
  const server = await startServerWithApi(t, { oauth: { audience } })

  for (const token of both(await server.signIn())) t.deepEqual((await introspect(server, token)).body.aud, audience)
})

/** What ends a session: each must show at the next question (design promise 4). */
const endings: [rule: string, end: (server: AliceServer, tokens: Tokens, tablet: Tokens) => Promise<unknown>][] = [
  [
    'POST /logout',
    (server, tokens) => server.request('/logout', { method: 'POST', headers: server.bearer(tokens.access_token) }),
  ],
  [
    'POST /logout?scope=others elsewhere',
    (server, _, tablet) =>
      server.request('/logout?scope=others', { method: 'POST', headers: server.bearer(tablet.access_token) }),
  ],
  [
    'DELETE /sessions/{id}',
    (server, tokens, tablet) =>
      server.request(`/sessions/${sessionIdOf(tokens)}`, {
        method: 'DELETE',
        headers: server.bearer(tablet.access_token),
      }),
  ],
  [
    'the revocation of the refresh token',
    (server, tokens) => server.post('/revoke', { ...app, token: tokens.refresh_token }),
  ],
  [
    'the revocation of the access token',
    (server, tokens) => server.post('/revoke', { ...app, token: tokens.access_token }),
  ],
  [
    'latchkey session revoke',
    ({ deps }, tokens) =>
      deps.storage.revokeSessions({ id: sessionIdOf(tokens) }, 'revoked_by_operator', event('session.revoked')),
  ],
  [
    'a change of the password',
    ({ deps, aliceId }) => deps.storage.changeUser(aliceId, passwordUpdate('x', event('user.password_changed'))),
  ],
  [
    'disabling the user',
    ({ deps, aliceId }) => deps.storage.changeUser(aliceId, disabledUpdate(true, event('user.disabled'))),
  ],
  ['removing the user', ({ deps, aliceId }) => deps.storage.removeUser(aliceId, event('user.removed'))],
  ['removing the client', ({ deps }) => deps.storage.removeClient('app', event('client.removed'))],
  [
    'disabling the client',
    ({ deps }) =>
      deps.storage.changeClient(
        'app',
        clientUpdate(client => ({ ...client, disabledAt: startTime }), event('client.disabled')),
      ),
  ],
]

for (const [rule, end] of endings) {
  test(`promise 4: after ${rule} both tokens are {"active":false}`, async t => {
    const server = await startServerWithApi(t)
    const [phone, tablet] = [await server.signIn(), await server.signIn()]
    t.deepEqual(await areActive(t, server, ...both(phone)), [true, true])

    await end(server, phone, tablet)

    t.deepEqual(await areActive(t, server, ...both(phone)), [false, false])
  })
}

test('promise 4: a logout ends this session and no other one', async t => {
  const server = await startServerWithApi(t)
  const [phone, tablet] = [await server.signIn(), await server.signIn()]

  await server.request('/logout', { method: 'POST', headers: server.bearer(phone.access_token) })

  t.deepEqual(await areActive(t, server, ...both(phone), ...both(tablet)), [false, false, true, true])
})

test("a disabled client's tokens are active again once it is enabled", async t => {
  const server = await startServerWithApi(t)
  const tokens = await server.signIn()
  const setDisabled = (disabledAt: number | undefined) =>
    server.deps.storage.changeClient(
      'app',
      clientUpdate(client => ({ ...client, disabledAt }), event('client.updated')),
    )

  await setDisabled(startTime)
  t.deepEqual(await areActive(t, server, ...both(tokens)), [false, false])
  await setDisabled(undefined)
  t.deepEqual(await areActive(t, server, ...both(tokens)), [true, true])
})

test('reuse of a superseded refresh token ends the whole family (RFC 9700 §4.14.2)', async t => {
  const server = await startServerWithApi(t)
  const first = await server.signIn()
  const second = (await server.refresh(first.refresh_token)).body
  const third = (await server.refresh(second.refresh_token)).body
  const family = [...both(first), ...both(second), ...both(third)]
  t.deepEqual(await areActive(t, server, ...family), [true, false, true, true, true, true])

  t.is((await server.refresh(first.refresh_token)).body.error, 'invalid_grant')

  t.deepEqual(await areActive(t, server, ...family), [false, false, false, false, false, false])
})

test('an access token is active until the second of its expiry, its refresh token longer', async t => {
  const server = await startServerWithApi(t)
  const tokens = await server.signIn()

  server.clock.advance(tokens.expires_in - 1)
  t.deepEqual(await areActive(t, server, ...both(tokens)), [true, true])
  server.clock.advance(1)
  t.deepEqual(await areActive(t, server, ...both(tokens)), [false, true])
})

test('a refresh token is active until the second of its expiry', async t => {
  const server = await startServerWithApi(t)
  const { refresh_token } = await server.signIn()

  server.clock.advance(idleLifetime - 1)
  t.deepEqual(await areActive(t, server, refresh_token), [true])
  server.clock.advance(1)
  t.deepEqual(await areActive(t, server, refresh_token), [false])
})

test('the parent of a refresh token is active as long as a retry is believed (design, section 2)', async t => {
  const refresh = { ...oauthConfig.refresh, lateRetryWindow: 3600 }
  const server = await startServerWithApi(t, { oauth: { refresh } })
  const first = await server.signIn()
  const second = (await server.refresh(first.refresh_token)).body

  for (const [age, parent] of [
    [0, true],
    [retryWindow, true],
    [retryWindow + 1, true],
    [3600, true],
    [3601, false],
  ] as const) {
    server.clock.advance(startTime + age - server.clock.now())
    t.deepEqual(await areActive(t, server, first.refresh_token, second.refresh_token), [parent, true], `${age} s`)
  }
  t.is((await server.refresh(second.refresh_token)).status, 200)
})

test('a refresh token from before a restored backup is active: it would be accepted (design, section 2)', async t => {
  const server = await startServerWithApi(t)
  const { refresh_token } = await server.signIn()
  const parsed = parseRefreshToken(refresh_token, server.deps.secrets)!
  const newer = formatRefreshToken({ ...parsed, generation: parsed.generation + 3 }, server.deps.secrets)

  t.deepEqual(await areActive(t, server, newer), [true])
  t.is((await server.refresh(newer)).status, 200)
})

test('asking changes nothing: no rotation, no retry, no reuse, no trace, and the session goes on', async t => {
  const server = await startServerWithApi(t)
  const first = await server.signIn()
  const second = (await server.refresh(first.refresh_token)).body
  const third = (await server.refresh(second.refresh_token)).body
  const before = await stateOf(server)

  for (let i = 0; i < 3; i++) {
    t.deepEqual(
      await areActive(t, server, first.refresh_token, second.refresh_token, third.refresh_token, third.access_token),
      [false, true, true, true],
    )
    server.clock.advance(retryWindow - 50)
  }

  t.deepEqual(await stateOf(server), before)
  t.is((await server.refresh(second.refresh_token)).body.refresh_token, third.refresh_token)
  t.is((await server.refresh(third.refresh_token)).status, 200)
})

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}

/** Signed by the key of the server, so that only what differs can be the reason. */
const sign = ({ deps }: TestServer, claims: object) => deps.keyRing.sign(claims, deps.now())

const inactiveTokens: [rule: string, of: (server: TestServer, tokens: Tokens) => string | Promise<string>][] = [
  ['garbage', () => 'x'],
  ['one character', () => '.'],
  ['white space', () => ' '],
  ['__proto__', () => '__proto__'],
  ['a long text', () => 'é'.repeat(2000)],
  ['a password', () => 'correct horse battery staple'],
  ['a client secret', () => 'lks_web'],
  ['a prefix and nothing else', () => 'lkr_'],
  ['a refresh token that nobody made', () => `lkr_${'A'.repeat(76)}`],
  ['a refresh token without its prefix', (_, { refresh_token }) => refresh_token.slice(4)],
  ['a refresh token cut short', (_, { refresh_token }) => refresh_token.slice(0, -1)],
  ['a refresh token with a letter more', (_, { refresh_token }) => `${refresh_token}A`],
  [
    'a refresh token with another letter',
    (_, { refresh_token }) => refresh_token.replace(/.$/, last => (last === 'A' ? 'B' : 'A')),
  ],
  [
    'a refresh token of another master secret',
    ({ deps }, { refresh_token }) =>
      formatRefreshToken(parseRefreshToken(refresh_token, deps.secrets)!, createTestSecrets('another')),
  ],
  [
    'a refresh token of a session that is not there',
    ({ deps }, { refresh_token }) => {
      const parsed = parseRefreshToken(refresh_token, deps.secrets)!
      return formatRefreshToken({ ...parsed, sessionId: 'AAAAAAAAAAAAAAAAAAAAAA' }, deps.secrets)
    },
  ],
  ['an access token cut short', (_, { access_token }) => access_token.slice(0, -1)],
  ['an access token with white space', (_, { access_token }) => `${access_token} `],
  ['an access token with its scheme', (_, { access_token }) => `Bearer ${access_token}`],
  ['an access token with a part more', (_, { access_token }) => `${access_token}.x`],
  ['an access token without its signature', (_, { access_token }) => access_token.replace(/[^.]+$/, '')],
  [
    'an access token with other claims',
    (_, { access_token }) => {
      const [header, , signature] = access_token.split('.')
      return [header, base64url(JSON.stringify({ ...decodeJwt(access_token), scope: 'admin' })), signature].join('.')
    },
  ],
  [
    'an access token that asks for no signature',
    (_, { access_token }) =>
      `${base64url('{"alg":"none","typ":"at+jwt"}')}.${base64url(JSON.stringify(decodeJwt(access_token)))}.`,
  ],
  [
    'an access token of another issuer with the same key',
    (server, { access_token }) => sign(server, { ...decodeJwt(access_token), iss: 'https://other.example.com' }),
  ],
  [
    'an access token of a session that is not there',
    (server, { access_token }) => sign(server, { ...decodeJwt(access_token), sid: 'AAAAAAAAAAAAAAAAAAAAAA' }),
  ],
  [
    'an access token of a client that is not there',
    (server, { access_token }) => sign(server, { ...decodeJwt(access_token), client_id: 'nobody' }),
  ],
  ['an ID token', (_, { id_token }) => id_token!],
  [
    'an introspection as JWT',
    async (server, { access_token }) => {
      const { body } = await server.post('/introspect', { token: access_token, ...api }, { accept: jwtType })
      return body
    },
  ],
]

for (const [rule, tokenOf] of inactiveTokens) {
  test(`${rule} is {"active":false}, and no error (RFC 7662 §2.2)`, async t => {
    const server = await startServerWithApi(t)
    const tokens = await server.signIn()
    const token = await tokenOf(server, tokens)
    const before = await stateOf(server)

    const { status, body } = await introspect(server, token)

    t.deepEqual({ status, body }, { status: 200, body: { active: false } })
    t.deepEqual(await stateOf(server), before)
    // The twins: what is asked about is well made but for that.
    t.deepEqual(await areActive(t, server, ...both(tokens), sign(server, decodeJwt(tokens.access_token))), [
      true,
      true,
      true,
    ])
  })
}

test('another server\'s access token is {"active":false}, though it has the same claims', async t => {
  const server = await startServerWithApi(t)
  const { access_token } = await server.signIn()
  const [otherKey, secrets] = [
    await createSigningKey('ES256', server.deps.secrets, startTime, startTime),
    server.deps.secrets,
  ]
  const otherServer = await startServer(t)
  otherServer.deps.keyRing.replace([(await openSigningKey(otherKey, secrets))!])
  const foreign = sign(otherServer, decodeJwt(access_token))

  t.deepEqual(await areActive(t, server, access_token, foreign), [true, false])
})

test('an access token of a key that is retired is {"active":false}, and before that is active', async t => {
  const server = await startServerWithApi(t)
  const { keyRing, secrets } = server.deps
  const { access_token } = await server.signIn()
  const now = server.clock.now()
  const key = await createSigningKey('ES256', secrets, now, now)
  // Outlives its key, which no token of ours does.
  const eternal = sign(server, { ...decodeJwt(access_token), exp: now + 10 * maxAccessTokenLifetime })
  keyRing.replace([...keyRing.keys(), (await openSigningKey({ ...key, activatesAt: now + 1 }, secrets))!])

  server.clock.advance(maxAccessTokenLifetime + publicationLead)
  t.deepEqual(await areActive(t, server, eternal), [true])
  server.clock.advance(1)
  t.deepEqual(await areActive(t, server, eternal), [false])
})

test("a confidential client that is no resource server may ask about any client's access tokens, in every way it may authenticate (RFC 7662 §2.1)", async t => {
  const server = await startServerWithApi(t)
  const web = { client_id: 'web', client_secret: 'lks_web' }
  const basic = { authorization: `Basic ${Buffer.from('api:lks_api').toString('base64')}` }
  const tokens = [(await server.signIn()).access_token, (await server.signIn(web)).access_token]

  for (const token of tokens) {
    const answers = [
      await server.post('/introspect', { token, ...api }),
      await server.post('/introspect', { token }, basic),
      await server.post('/introspect', { token, ...web }),
    ]
    for (const { status, body } of answers) t.deepEqual([status, body.active], [200, true])
  }
})

const refusedAskers: [rule: string, params: Record<string, string>, headers?: Record<string, string>][] = [
  ['without any client', {}],
  ['of a public client', { client_id: 'phone' }],
  ['of a public client by Basic', {}, { authorization: `Basic ${Buffer.from('phone:').toString('base64')}` }],
  ['with a wrong secret', { client_id: 'api', client_secret: 'lks_web' }],
  ['with a wrong secret by Basic', {}, { authorization: `Basic ${Buffer.from('api:lks_web').toString('base64')}` }],
  ['without the secret', { client_id: 'api' }],
  ['of an unknown client', { client_id: 'nobody', client_secret: 'lks_api' }],
  ['of a disabled client', { client_id: 'gone', client_secret: 'lks_gone' }],
]

for (const [rule, params, headers] of refusedAskers) {
  for (const kind of ['good', 'bad'] as const) {
    test(`a question ${rule} about a ${kind} token is invalid_client (RFC 7662 §2.3, RFC 6749 §5.2)`, async t => {
      const server = await startServerWithApi(t)
      await server.addClient({ id: 'gone', secret: 'lks_gone', disabledAt: startTime })
      const token = kind === 'good' ? (await server.signIn()).access_token : 'x'

      const answer = await server.post('/introspect', { token, ...params }, headers)

      t.deepEqual(refusal(answer), refused(headers === undefined ? 400 : 401, 'invalid_client'))
      t.is(answer.headers.get('www-authenticate'), headers === undefined ? null : challenge)
      t.is((await introspect(server, token)).body.active, kind === 'good')
    })
  }
}

test('an access token is no client authentication here, not even a good one (RFC 7662 §2.1)', async t => {
  const server = await startServerWithApi(t)
  const { access_token: token } = await server.signIn()

  const answer = await server.post('/introspect', { token }, server.bearer(token))

  t.deepEqual(refusal(answer), refused(401, 'invalid_client'))
  t.is(answer.headers.get('www-authenticate'), challenge)
  t.is((await introspect(server, token)).body.active, true)
})

test('a question without token is invalid_request; an empty one is none (RFC 7662 §2.1, RFC 6749 §3.2)', async t => {
  const server = await startServerWithApi(t)

  for (const params of [{}, { token: '' }, { token_type_hint: 'access_token' }]) {
    t.deepEqual(refusal(await server.post('/introspect', { ...api, ...params })), refused(400, 'invalid_request'))
  }
  t.like(await introspect(server, 'x'), { status: 200, body: { active: false } })
})

for (const hint of ['access_token', 'refresh_token', 'x', '__proto__', '']) {
  test(`token_type_hint=${hint}: an access token shows what it is, a refresh token is active for its client that names it (RFC 7662 §2.1)`, async t => {
    const server = await startServerWithApi(t)
    const tokens = await server.signIn()

    const access = await introspect(server, tokens.access_token, { token_type_hint: hint })
    t.deepEqual([access.body.active, access.body.token_use], [true, 'access_token'])
    const refresh = await introspect(server, tokens.refresh_token, { token_type_hint: hint })
    const isNamed = hint === 'refresh_token'
    t.deepEqual([refresh.body.active, refresh.body.token_use], isNamed ? [true, 'refresh_token'] : [false, undefined])
    t.deepEqual((await introspect(server, 'x', { token_type_hint: hint })).body, { active: false })
  })
}

test('a refresh token is shown to nobody but its own client: a resource server must not take it for an access token (RFC 7662 §4)', async t => {
  const server = await startServerWithApi(t)
  const { refresh_token: token } = await server.signIn()
  const ask = async (params: Record<string, string>) => (await server.post('/introspect', { token, ...params })).body

  for (const asker of [api, { client_id: 'web', client_secret: 'lks_web' }]) {
    for (const hint of ['', 'access_token', 'refresh_token']) {
      t.deepEqual(await ask({ ...asker, token_type_hint: hint }), { active: false }, hint)
    }
  }
  t.is((await ask(asRefreshToken)).active, true)
})

test('a resource server of named resources sees tokens for these and no others, of either kind of grant (RFC 7662 §4)', async t => {
  const [mail, files] = ['https://mail.example.com', 'files']
  const server = await startServerWithApi(t)
  const audience = [mail, files, issuer]
  await server.addClient({
    id: 'reader',
    secret: 'lks_reader',
    audience,
    grantTypes: ['password', 'client_credentials'],
  })
  await server.addClient({ id: 'mail', secret: 'lks_mail', grantTypes: [], resources: [mail] })
  await server.addClient({ id: 'files', secret: 'lks_files', grantTypes: [], resources: [files, 'archive'] })
  await server.addClient({
    id: 'other',
    secret: 'lks_other',
    grantTypes: [],
    resources: ['https://mail.example.com/', 'mail'],
  })
  const reader = { client_id: 'reader', client_secret: 'lks_reader' }
  const tokenFor = async (params: Record<string, string>) =>
    (await server.token({ grant_type: 'client_credentials', ...reader, ...params })).body.access_token
  const tokens = {
    mail: await tokenFor({ resource: mail }),
    all: await tokenFor({}),
    issuer: (await server.signIn()).access_token,
    user: (await server.signIn({ ...reader, resource: mail })).access_token,
  }
  const seenBy = async (id: string) => {
    const answers = await Promise.all(
      Object.entries(tokens).map(async ([name, token]) => {
        const { body } = await server.post('/introspect', { token, client_id: id, client_secret: `lks_${id}` })
        if (!body.active) t.deepEqual(body, { active: false })
        return body.active ? name : undefined
      }),
    )
    return answers.filter(name => name !== undefined)
  }

  t.deepEqual(await seenBy('mail'), ['mail', 'all', 'user'])
  t.deepEqual(await seenBy('files'), ['all'])
  t.deepEqual(await seenBy('other'), [])
  t.deepEqual(await seenBy('api'), ['mail', 'all', 'issuer', 'user'])
})

test('a token in the query string, twice or in JSON is invalid_request, and GET is not allowed (RFC 7662 §2.1)', async t => {
  const server = await startServerWithApi(t)
  const { access_token: token } = await server.signIn()
  const form = new URLSearchParams({ ...api, token }).toString()
  const post = (path: string, body: string, type = 'application/x-www-form-urlencoded') =>
    server.request(path, { method: 'POST', body, headers: { 'content-type': type } })

  for (const answer of [
    await post(`/introspect?token=${token}`, form),
    await post('/introspect', `${form}&token=x`),
    await post('/introspect', JSON.stringify({ ...api, token }), 'application/json'),
  ]) {
    t.deepEqual(refusal(answer), refused(400, 'invalid_request'))
  }
  const get = await server.request('/introspect')
  t.deepEqual([get.status, get.headers.get('allow')], [405, 'POST'])
  t.like(await post('/introspect', form), { status: 200, body: { active: true } })
})

test('a broken storage is 503, never {"active":false} (design, section 2)', async t => {
  const server = await startServerWithApi(t)
  const { access_token } = await server.signIn()
  t.is((await introspect(server, access_token)).status, 200)

  await server.deps.storage.close()

  const answer = await introspect(server, access_token)
  t.deepEqual(refusal(answer), refused(503, 'temporarily_unavailable'))
  t.truthy(answer.headers.get('retry-after'))
})

/** Verifies as a resource server does that has nothing but the JWK Set. */
async function verifyIntrospection(server: TestServer, jwt: string, audience: string) {
  return jwtVerify(jwt, createLocalJWKSet((await server.request('/.well-known/jwks.json')).body), {
    issuer,
    audience,
    typ: 'token-introspection+jwt',
    currentDate: new Date(server.clock.now() * 1000),
  })
}

test('as JWT: who asked is its audience, token_introspection is the answer, and jose verifies it (RFC 9701 §5)', async t => {
  const server = await startServerWithApi(t)
  const tokens = await server.signIn()
  const { keys } = (await server.request('/.well-known/jwks.json')).body
  server.clock.advance(10)

  for (const token of [tokens.access_token, 'x']) {
    const { status, headers, body } = await server.post('/introspect', { token, ...api }, { accept: jwtType })

    t.deepEqual(
      {
        status,
        contentType: headers.get('content-type'),
        vary: headers.get('vary'),
        cacheControl: headers.get('cache-control'),
      },
      { status: 200, contentType: jwtType, vary: 'Accept', cacheControl: 'no-store' },
    )
    const { protectedHeader, payload } = await verifyIntrospection(server, body, 'api')
    t.deepEqual(protectedHeader, { alg: 'ES256', typ: 'token-introspection+jwt', kid: keys[0].kid })
    t.deepEqual(payload, {
      iss: issuer,
      aud: 'api',
      iat: startTime + 10,
      token_introspection: (await introspect(server, token)).body,
    })
  }
})

test('as JWT: one that was made for another client does not verify (RFC 9701 §5)', async t => {
  const server = await startServerWithApi(t)
  const web = { client_id: 'web', client_secret: 'lks_web' }
  const { access_token: token } = await server.signIn()

  const { body } = await server.post('/introspect', { token, ...web }, { accept: jwtType })

  await t.notThrowsAsync(verifyIntrospection(server, body, 'web'))
  await t.throwsAsync(verifyIntrospection(server, body, 'api'), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' })
})

test('as JWT: after the logout it says {"active":false} and nothing else (RFC 9701 §5)', async t => {
  const server = await startServerWithApi(t)
  const { access_token, refresh_token } = await server.signIn()
  await server.request('/logout', { method: 'POST', headers: server.bearer(access_token) })

  for (const token of [access_token, refresh_token]) {
    const { body } = await server.post('/introspect', { token, ...api }, { accept: jwtType })
    t.deepEqual(decodeJwt(body).token_introspection, { active: false })
  }
})

for (const [accept, contentType] of [
  [jwtType, jwtType],
  [jwtType.toUpperCase(), jwtType],
  [`${jwtType}, application/json`, jwtType],
  [`${jwtType}, application/json;q=0.9, */*;q=0.1`, jwtType],
  [`application/json;q=0.5, ${jwtType}`, jwtType],
  ['application/json', 'application/json; charset=utf-8'],
  [`application/json, ${jwtType};q=0.9`, 'application/json; charset=utf-8'],
  [`${jwtType};q=0`, 'application/json; charset=utf-8'],
  ['*/*', 'application/json; charset=utf-8'],
  ['application/*', 'application/json; charset=utf-8'],
  ['application/jwt', 'application/json; charset=utf-8'],
  ['text/html', 'application/json; charset=utf-8'],
  ['nonsense', 'application/json; charset=utf-8'],
  ['', 'application/json; charset=utf-8'],
] as const) {
  test(`Accept: ${accept} is answered as ${contentType.split(';')[0]} (RFC 9701 §4)`, async t => {
    const server = await startServerWithApi(t)
    const { access_token: token } = await server.signIn()

    const { status, headers, body } = await server.post('/introspect', { token, ...api }, { accept })

    t.deepEqual([status, headers.get('content-type'), headers.get('vary')], [200, contentType, 'Accept'])
    t.is((contentType === jwtType ? (decodeJwt(body).token_introspection as { active: boolean }) : body).active, true)
  })
}

test('an error is JSON, also for who asks for a JWT (RFC 9701 §5, RFC 7662 §2.3)', async t => {
  const server = await startServerWithApi(t)
  const ask = (params: Record<string, string>) => server.post('/introspect', params, { accept: jwtType })

  t.deepEqual(refusal(await ask({ client_id: 'phone', token: 'x' })), refused(400, 'invalid_client'))
  t.deepEqual(refusal(await ask(api)), refused(400, 'invalid_request'))
  t.is((await ask({ ...api, token: 'x' })).headers.get('content-type'), jwtType)
})

/** Signed by the same key as an access token, for the same issuer: the type alone keeps them apart. */
const otherJwts: [rule: string, of: (server: TestServer, tokens: Tokens) => string | Promise<string>][] = [
  ['an ID token', (_, { id_token }) => id_token!],
  [
    'an introspection as JWT',
    async (server, { access_token: token }) =>
      (await server.post('/introspect', { token, ...api }, { accept: jwtType })).body,
  ],
  [
    'an ID token with the claims of an access token',
    ({ deps }, { access_token }) => deps.keyRing.sign(decodeJwt(access_token), deps.now(), 'JWT'),
  ],
  [
    'an introspection with the claims of an access token',
    ({ deps }, { access_token }) => deps.keyRing.sign(decodeJwt(access_token), deps.now(), 'token-introspection+jwt'),
  ],
]

for (const [rule, jwtOf] of otherJwts) {
  test(`${rule} is refused as an access token everywhere (RFC 8725 §3.11)`, async t => {
    const server = await startServerWithApi(t)
    const tokens = await server.signIn()
    const jwt = await jwtOf(server, tokens)
    const before = await stateOf(server)
    const ask = (accessToken: string) =>
      Promise.all([
        ...['/users/me', '/userinfo', '/sessions'].map(path =>
          server.request(path, { headers: server.bearer(accessToken) }),
        ),
        server.post('/userinfo', { access_token: accessToken }),
        server.request('/logout?scope=others', { method: 'POST', headers: server.bearer(accessToken) }),
      ])

    for (const answer of [
      ...(await ask(jwt)),
      await server.request('/logout', { method: 'POST', headers: server.bearer(jwt) }),
      await server.request(`/sessions/${sessionIdOf(tokens)}`, { method: 'DELETE', headers: server.bearer(jwt) }),
    ]) {
      t.deepEqual(refusal(answer), refused(401, 'invalid_token'))
      t.regex(answer.headers.get('www-authenticate') ?? '', /error="invalid_token"/)
    }
    t.deepEqual((await introspect(server, jwt)).body, { active: false })
    t.like(await server.post('/revoke', { token: jwt, ...app }), { status: 200, body: {} })
    const refresh = await server.refresh(jwt)
    t.deepEqual(refusal(refresh), refused(400, 'invalid_grant'))
    t.deepEqual(await stateOf(server), before)

    t.is(decodeProtectedHeader(tokens.access_token).kid, decodeProtectedHeader(jwt).kid)
    for (const { status } of await ask(tokens.access_token)) t.is(status, 200)
  })
}

test('a refresh token that its client may no longer use is inactive: the token endpoint would refuse it', async t => {
  const server = await startServerWithApi(t)
  const { refresh_token } = await server.signIn()
  const setGrants = (...grantTypes: string[]) =>
    server.deps.storage.changeClient(
      'app',
      clientUpdate(client => ({ ...client, grantTypes }), event('client.updated')),
    )

  await setGrants('password')
  t.deepEqual(await areActive(t, server, refresh_token), [false])
  t.is((await server.refresh(refresh_token)).body.error, 'unauthorized_client')
  await setGrants('password', 'refresh_token')
  t.deepEqual(await areActive(t, server, refresh_token), [true])
})
