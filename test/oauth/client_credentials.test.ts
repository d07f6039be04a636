/** The client_credentials grant over HTTP: a client acts for itself. RFC 6749 §4.4; its tokens: RFC 9068 §2.2, RFC 7009. */
import test, { type ExecutionContext } from 'ava'
import { decodeJwt } from 'jose'
import { auditEvent } from '../../src/audit/audit.ts'
import { clientProblem, clientUpdate, createClient } from '../../src/clients/client.ts'
import {
  issuer,
  oauthConfig,
  refusal,
  refused,
  type ServerOptions,
  startServerWithAlice,
  startTime,
  type TestServer,
} from '../_server.ts'

const grant_type = 'client_credentials'
const worker = { client_id: 'worker', client_secret: 'lks_worker' }
const other = { client_id: 'other', client_secret: 'lks_other' }

/** Beside `app` and `alice`: `worker` and `other`, which act for themselves. */
async function startServerWithWorkers(t: ExecutionContext, options?: ServerOptions) {
  const server = await startServerWithAlice(t, options)
  await server.addClient({ id: 'worker', secret: 'lks_worker', grantTypes: [grant_type] })
  await server.addClient({ id: 'other', secret: 'lks_other', grantTypes: [grant_type], scope: 'read' })
  return server
}

async function accessTokenOf(server: TestServer, client = worker): Promise<string> {
  return (await server.token({ grant_type, ...client })).body.access_token
}

/** As a resource server sees it. */
async function introspect(server: TestServer, token: string) {
  return (await server.post('/introspect', { token, ...other })).body
}

const setDisabled = ({ deps: { storage } }: TestServer, id: string, disabled: boolean) =>
  storage.changeClient(
    id,
    clientUpdate(
      client => ({ ...client, disabledAt: disabled ? startTime : undefined }),
      auditEvent(disabled ? 'client.disabled' : 'client.enabled', startTime, {}),
    ),
  )

test('client_credentials answers an access token and no refresh token, and makes no session (RFC 6749 §4.4.3)', async t => {
  const server = await startServerWithWorkers(t, { oauth: { accessTokenLifetime: 10 } })
  const { storage } = server.deps
  const events = await storage.listAuditEvents(100)

  const { status, headers, body } = await server.token({ grant_type, ...worker })

  const { access_token, ...rest } = body
  t.deepEqual(
    { status, cacheControl: headers.get('cache-control'), pragma: headers.get('pragma'), rest },
    {
      status: 200,
      cacheControl: 'no-store',
      pragma: 'no-cache',
      rest: { token_type: 'Bearer', expires_in: 10, scope: 'read write' },
    },
  )
  t.true(access_token.length > 0)
  t.deepEqual(await storage.listLiveSessions({}, startTime, 10), [])
  t.deepEqual(await storage.listAuditEvents(100), events)
})

test('its access token has the client as sub, and no sid, auth_time or amr (RFC 9068 §2.2)', async t => {
  const server = await startServerWithWorkers(t, { oauth: { accessTokenLifetime: 10 } })

  const [first, second] = [await accessTokenOf(server), await accessTokenOf(server)].map(token => decodeJwt(token))

  const { jti, ...claims } = first!
  t.deepEqual(claims, {
    iss: issuer,
    aud: issuer,
    sub: 'worker',
    client_id: 'worker',
    iat: startTime,
    exp: startTime + 10,
    scope: 'read write',
  })
  t.regex(jti!, /^[\w-]{22}$/)
  t.not(second!.jti, jti)
})

test('nobody signed in, so there is no ID token and no refresh token, whatever the client is registered for', async t => {
  const server = await startServerWithWorkers(t)
  await server.addClient({
    id: 'web',
    secret: 'lks_web',
    grantTypes: [grant_type, 'password', 'refresh_token'],
    scope: 'openid profile',
  })
  const web = { client_id: 'web', client_secret: 'lks_web' }

  const own = await server.token({ grant_type, ...web, username: 'alice', password: 'correct horse battery staple' })

  t.is(own.status, 200)
  t.deepEqual(Object.keys(own.body).sort(), ['access_token', 'expires_in', 'scope', 'token_type'])
  t.is(decodeJwt(own.body.access_token).sub, 'web')
  t.deepEqual(Object.keys(await server.signIn(web)).sort(), [
    'access_token',
    'expires_in',
    'id_token',
    'refresh_token',
    'scope',
    'token_type',
  ])
})

for (const [rule, scope, granted] of [
  ['without scope the whole of what the client may have', undefined, 'read write'],
  ['an empty scope is no scope', '', 'read write'],
  ['a part', 'write', 'write'],
  ['all of it, in the order asked for', 'write read', 'write read'],
  ['a token twice is one', 'read read', 'read'],
] as const) {
  test(`scope of client_credentials: ${rule} (RFC 6749 §3.3)`, async t => {
    const server = await startServerWithWorkers(t)

    const { status, body } = await server.token({ grant_type, ...worker, ...(scope !== undefined && { scope }) })

    t.deepEqual([status, body.scope, decodeJwt(body.access_token).scope], [200, granted, granted])
  })
}

for (const scope of ['admin', 'read admin', 'rea', 'READ', 're"ad', 'openid']) {
  test(`scope of client_credentials: ${scope}, which the client does not have, is invalid_scope (RFC 6749 §5.2)`, async t => {
    const server = await startServerWithWorkers(t)

    t.deepEqual(refusal(await server.token({ grant_type, ...worker, scope })), refused(400, 'invalid_scope'))
    t.is((await server.token({ grant_type, ...worker, scope: 'read' })).status, 200)
  })
}

test('client_credentials is for confidential clients only: a public one is never registered for it (RFC 6749 §4.4)', async t => {
  const draft = { id: 'app', grantTypes: [grant_type], scope: 'read', createdAt: startTime }
  const byKeys = { authenticationMethods: ['private_key_jwt'], jwksUri: 'https://app.example.com/jwks.json' } as const

  t.regex(clientProblem(createClient(draft)) ?? '', /RFC 6749 §4\.4/)
  t.is(clientProblem(createClient({ ...draft, grantTypes: ['password'] })), undefined)
  t.is(clientProblem(createClient({ ...draft, ...byKeys })), undefined)
})

test('a client that is not registered for client_credentials is unauthorized_client, a public one too (RFC 6749 §5.2)', async t => {
  const server = await startServerWithWorkers(t)
  await server.addClient({ id: 'web', secret: 'lks_web' })

  for (const client of [{ client_id: 'app' }, { client_id: 'web', client_secret: 'lks_web' }]) {
    t.deepEqual(refusal(await server.token({ grant_type, ...client })), refused(400, 'unauthorized_client'))
  }
  t.is((await server.token({ grant_type, ...worker })).status, 200)
  await t.notThrowsAsync(server.signIn({ client_id: 'web', client_secret: 'lks_web' }))
})

test('a client that acts for itself cannot sign users in (RFC 6749 §5.2)', async t => {
  const server = await startServerWithWorkers(t)
  const { refresh_token } = await server.signIn()
  const signIn = { grant_type: 'password', username: 'alice', password: 'correct horse battery staple' }

  for (const params of [signIn, { grant_type: 'refresh_token', refresh_token }]) {
    t.deepEqual(refusal(await server.token({ ...params, ...worker })), refused(400, 'unauthorized_client'))
    t.is((await server.token({ ...params, client_id: 'app' })).status, 200)
  }
})

test('client_credentials without, with a wrong or with another client secret is invalid_client (RFC 6749 §4.4.2)', async t => {
  const server = await startServerWithWorkers(t)

  for (const client of [
    {},
    { client_id: 'worker' },
    { client_id: 'worker', client_secret: 'lks_other' },
    { client_id: 'nobody', client_secret: 'lks_worker' },
  ]) {
    const answer = await server.token({ grant_type, ...client } as Record<string, string>)
    t.deepEqual(refusal(answer), refused(400, 'invalid_client'))
    t.is(answer.headers.get('www-authenticate'), null)
  }
  t.is((await server.token({ grant_type, ...worker })).status, 200)
})

for (const [method, path] of [
  ['GET', '/users/me'],
  ['GET', '/userinfo'],
  ['GET', '/sessions'],
  ['DELETE', '/sessions/SESSION'],
  ['POST', '/logout?scope=others'],
  ['POST', '/logout?scope=all'],
  ['POST', '/logout'],
] as const) {
  test(`a client's own token is no user's: ${method} ${path} is 401 invalid_token and changes nothing`, async t => {
    const server = await startServerWithAlice(t)
    const { storage } = server.deps
    // Named and scoped like a user's.
    const secret = await server.addClient({
      id: 'alice',
      isPublic: false,
      grantTypes: [grant_type, 'password'],
      scope: 'openid profile email',
    })
    const client = { client_id: 'alice', client_secret: secret }
    const users = await server.signIn(client)
    const own = (await server.token({ grant_type, ...client })).body
    const before = await storage.listLiveSessions({}, startTime, 10)
    const ask = (accessToken: string) =>
      server.request(path.replace('SESSION', before[0]!.id), { method, headers: server.bearer(accessToken) })

    const answer = await ask(own.access_token)

    t.deepEqual(refusal(answer), refused(401, 'invalid_token'))
    t.regex(answer.headers.get('www-authenticate') ?? '', /^Bearer realm="latchkey", error="invalid_token"/)
    t.deepEqual(await storage.listLiveSessions({}, startTime, 10), before)
    t.regex(String((await ask(users.access_token)).status), /^20[04]$/)
  })
}

test("revoking a client's own access token makes it inactive, and no other one (RFC 7009 §2.1)", async t => {
  const server = await startServerWithWorkers(t)
  const [revoked, kept] = [await accessTokenOf(server), await accessTokenOf(server)]
  t.is((await introspect(server, revoked)).active, true)

  const answer = await server.post('/revoke', { token: revoked, ...worker })

  t.like(answer, { status: 200, body: {} })
  t.deepEqual(await introspect(server, revoked), { active: false })
  t.is((await introspect(server, kept)).active, true)
})

test("another client's revocation of it is 200 and changes nothing (RFC 7009 §2.2)", async t => {
  const server = await startServerWithWorkers(t)
  const token = await accessTokenOf(server)
  const before = await server.deps.storage.listAuditEvents(100)

  for (const client of [other, { client_id: 'app' }]) {
    t.like(await server.post('/revoke', { token, ...client }), { status: 200, body: {} })
  }

  t.is((await introspect(server, token)).active, true)
  t.deepEqual(await server.deps.storage.listAuditEvents(100), before)
  t.is((await server.post('/revoke', { token, ...worker })).status, 200)
  t.deepEqual(await introspect(server, token), { active: false })
})

test('revoking it twice is no error and is audited once, with its jti (RFC 7009 §2.2)', async t => {
  const server = await startServerWithWorkers(t)
  const token = await accessTokenOf(server)

  for (let i = 0; i < 2; i++) t.is((await server.post('/revoke', { token, ...worker })).status, 200)

  const events = (await server.deps.storage.listAuditEvents(100)).filter(({ type }) => type === 'token.revoked')
  t.deepEqual(
    events.map(({ at, clientId, sessionId, detail }) => ({ at, clientId, sessionId, detail })),
    [{ at: startTime, clientId: 'worker', sessionId: undefined, detail: decodeJwt(token).jti }],
  )
})

test('its revocation is remembered until the token expires, and no longer', async t => {
  const server = await startServerWithWorkers(t)
  const { storage } = server.deps
  const token = await accessTokenOf(server)
  await server.post('/revoke', { token, ...worker })

  server.clock.advance(decodeJwt(token).exp! - startTime - 1)
  t.is(await storage.pruneConsumed(server.clock.now()), 0)
  t.deepEqual(await introspect(server, token), { active: false })
  server.clock.advance(1)
  t.is(await storage.pruneConsumed(server.clock.now()), 1)
  t.deepEqual(await introspect(server, token), { active: false })
})

test('revoking an expired one remembers nothing', async t => {
  const server = await startServerWithWorkers(t)
  const token = await accessTokenOf(server)
  server.clock.advance(oauthConfig.accessTokenLifetime)

  t.is((await server.post('/revoke', { token, ...worker })).status, 200)

  t.is(await server.deps.storage.pruneConsumed(Number.MAX_SAFE_INTEGER), 0)
})

test('a disabled client gets no token, and its tokens are inactive until it is enabled again', async t => {
  const server = await startServerWithWorkers(t)
  const token = await accessTokenOf(server)

  await setDisabled(server, 'worker', true)
  t.deepEqual(refusal(await server.token({ grant_type, ...worker })), refused(400, 'invalid_client'))
  t.deepEqual(await introspect(server, token), { active: false })

  await setDisabled(server, 'worker', false)
  t.is((await server.token({ grant_type, ...worker })).status, 200)
  t.is((await introspect(server, token)).active, true)
})

test("a removed client's tokens are inactive, and another's are not", async t => {
  const server = await startServerWithWorkers(t)
  const [token, others] = [await accessTokenOf(server), await accessTokenOf(server, other)]

  t.true(await server.deps.storage.removeClient('worker', auditEvent('client.removed', startTime, {})))

  t.deepEqual(refusal(await server.token({ grant_type, ...worker })), refused(400, 'invalid_client'))
  t.deepEqual(await introspect(server, token), { active: false })
  t.is((await introspect(server, others)).active, true)
})

test('a client that was removed and added again under its name does not take over the tokens of the one before', async t => {
  const server = await startServerWithWorkers(t)
  const token = await accessTokenOf(server)
  await server.deps.storage.removeClient('worker', auditEvent('client.removed', startTime, {}))
  server.clock.advance(1)
  await server.addClient({ id: 'worker', secret: 'lks_worker', grantTypes: [grant_type] })

  t.deepEqual(await introspect(server, token), { active: false })
  t.is((await introspect(server, await accessTokenOf(server))).active, true)
})

test('a public client is refused whatever its record says: unauthorized_client (RFC 6749 §4.4)', async t => {
  const server = await startServerWithWorkers(t)
  await server.addClient({ id: 'spa', isPublic: true, grantTypes: [grant_type] })
  t.deepEqual(refusal(await server.token({ grant_type, client_id: 'spa' })), refused(400, 'unauthorized_client'))
  t.is((await server.token({ grant_type, ...worker })).status, 200)
})
