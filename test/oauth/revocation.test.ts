/** Token revocation over HTTP. RFC 7009; design promise 4. */
import test, { type ExecutionContext } from 'ava'
import { decodeJwt } from 'jose'
import { formatRefreshToken, parseRefreshToken } from '../../src/sessions/refresh_token.ts'
import { createTestSecrets, refusal, refused, startServerWithAlice, type TestServer } from '../_server.ts'
import { findSession } from '../_storages.ts'

type Tokens = { access_token: string; refresh_token: string; id_token?: string }

const basic = { authorization: `Basic ${Buffer.from('web:lks_secret').toString('base64')}` }

async function startServerWithClients(t: ExecutionContext) {
  const server = await startServerWithAlice(t)
  await server.addClient({ id: 'web', secret: 'lks_secret' })
  return server
}

function revoke(server: TestServer, token: string, params: Record<string, string> = {}) {
  return server.post('/revoke', { client_id: 'app', token, ...params })
}

async function works(server: TestServer, { access_token, refresh_token }: Tokens): Promise<boolean[]> {
  return [(await server.me(access_token)).status === 200, (await server.refresh(refresh_token)).status === 200]
}

test('revoking the refresh token ends its session, access tokens too, and nothing else (RFC 7009 §2.1)', async t => {
  const server = await startServerWithAlice(t)
  const [phone, tablet] = [await server.signIn(), await server.signIn()]

  const { status, headers, body } = await revoke(server, phone.refresh_token)

  t.deepEqual(
    { status, contentType: headers.get('content-type'), cacheControl: headers.get('cache-control'), body },
    { status: 200, contentType: 'application/json; charset=utf-8', cacheControl: 'no-store', body: {} },
  )
  t.deepEqual(await works(server, phone), [false, false])
  t.deepEqual(await works(server, tablet), [true, true])
  const session = await findSession(server.deps.storage, decodeJwt(phone.access_token).sid as string)
  t.is(session?.revokedReason, 'revoked_by_client')
})

test('revoking a superseded refresh token ends its session', async t => {
  const server = await startServerWithAlice(t)
  const first = await server.signIn()
  const second = (await server.refresh(first.refresh_token)).body
  const third = (await server.refresh(second.refresh_token)).body

  t.deepEqual((await revoke(server, first.refresh_token)).body, {})

  t.deepEqual(await works(server, third), [false, false])
})

test('revoking an access token ends its session', async t => {
  const server = await startServerWithAlice(t)
  const [phone, tablet] = [await server.signIn(), await server.signIn()]
  const refreshed = (await server.refresh(phone.refresh_token)).body

  t.is((await revoke(server, phone.access_token)).status, 200)

  t.deepEqual(await works(server, refreshed), [false, false])
  t.deepEqual(await works(server, tablet), [true, true])
})

test('revoking twice is no error (RFC 7009 §2.2)', async t => {
  const server = await startServerWithAlice(t)
  const { refresh_token } = await server.signIn()

  for (const answer of [await revoke(server, refresh_token), await revoke(server, refresh_token)]) {
    t.like(answer, { status: 200, body: {} })
  }
  const events = await server.deps.storage.listAuditEvents(100)
  t.is(events.filter(({ type }) => type === 'session.revoked').length, 1)
})

test('an unknown, forged or expired token is 200 and changes nothing (RFC 7009 §2.2)', async t => {
  const server = await startServerWithAlice(t)
  const tokens = await server.signIn()
  const { access_token, refresh_token } = tokens
  const parsed = parseRefreshToken(refresh_token, server.deps.secrets)!

  for (const token of [
    'x',
    '__proto__',
    'é'.repeat(1000),
    refresh_token.slice(0, -1),
    refresh_token.slice(4),
    access_token.slice(0, -1),
    formatRefreshToken(parsed, createTestSecrets('another')),
    formatRefreshToken({ ...parsed, sessionId: 'AAAAAAAAAAAAAAAAAAAAAA' }, server.deps.secrets),
  ]) {
    t.like(await revoke(server, token), { status: 200, body: {} })
  }
  server.clock.advance(900)
  t.is((await revoke(server, access_token)).status, 200)

  t.is((await server.refresh(refresh_token)).status, 200)
})

test("another client's token is 200 and untouched", async t => {
  const server = await startServerWithClients(t)
  const mine = await server.signIn()
  const theirs = await server.signIn({ client_id: 'web', client_secret: 'lks_secret' })

  for (const token of [mine.refresh_token, mine.access_token]) {
    t.like(await server.post('/revoke', { token }, basic), { status: 200, body: {} })
  }
  for (const token of [theirs.refresh_token, theirs.access_token]) {
    t.like(await revoke(server, token), { status: 200, body: {} })
  }

  t.deepEqual(await works(server, mine), [true, true])
  t.is((await server.me(theirs.access_token)).status, 200)
  t.is((await server.post('/revoke', { token: theirs.refresh_token }, basic)).status, 200)
  t.is((await server.me(theirs.access_token)).status, 401)
})

test('an ID token and an introspection as JWT are nothing to revoke: 200, and the session goes on (RFC 8725 §3.11)', async t => {
  const server = await startServerWithClients(t)
  await server.addClient({ id: 'openid', scope: 'openid' })
  const tokens: Tokens = await server.signIn({ client_id: 'openid' })
  const accept = 'application/token-introspection+jwt'
  const introspection = await server.post('/introspect', { token: tokens.access_token }, { ...basic, accept })
  const revokeAsOpenid = (token: string) => revoke(server, token, { client_id: 'openid' })

  for (const token of [tokens.id_token!, introspection.body]) {
    t.like(await revokeAsOpenid(token), { status: 200, body: {} })
  }

  t.is((await server.me(tokens.access_token)).status, 200)
  t.is((await revokeAsOpenid(tokens.access_token)).status, 200)
  t.is((await server.me(tokens.access_token)).status, 401)
})

test('a revocation shows at the next introspection, for the whole family (RFC 7009 §2, RFC 7662 §2.2)', async t => {
  const server = await startServerWithClients(t)
  const web = { client_id: 'web', client_secret: 'lks_secret' }
  const [phone, tablet] = [await server.signIn(web), await server.signIn(web)]
  const refreshed = (await server.refresh(phone.refresh_token, web)).body
  const areActive = async (...tokens: Tokens[]) => {
    const all = tokens.flatMap(({ access_token, refresh_token }) => [access_token, refresh_token])
    const answers = await Promise.all(
      all.map(token => server.post('/introspect', { token, token_type_hint: 'refresh_token' }, basic)),
    )
    return answers.map(({ body }) => body.active)
  }
  t.deepEqual(await areActive(phone, refreshed), [true, true, true, true])

  await revoke(server, refreshed.refresh_token, web)

  t.deepEqual(await areActive(phone, refreshed, tablet), [false, false, false, false, true, true])
})

test('a user token is revoked by the client it was issued to, not by the one that acts for itself (RFC 7009 §2.1)', async t => {
  const server = await startServerWithAlice(t)
  await server.addClient({ id: 'worker', secret: 'lks_worker', grantTypes: ['client_credentials'] })
  const worker = { client_id: 'worker', client_secret: 'lks_worker' }
  const tokens = await server.signIn()

  for (const token of [tokens.access_token, tokens.refresh_token]) {
    t.like(await server.post('/revoke', { token, ...worker }), { status: 200, body: {} })
  }

  t.deepEqual(await works(server, tokens), [true, true])
  t.is(await server.deps.storage.pruneConsumed(Number.MAX_SAFE_INTEGER), 0)
})

for (const hint of ['refresh_token', 'access_token', 'x', '__proto__', '']) {
  test(`token_type_hint=${hint} changes nothing: a token shows what it is (RFC 7009 §2.1)`, async t => {
    const server = await startServerWithAlice(t)
    const [phone, tablet] = [await server.signIn(), await server.signIn()]

    t.is((await revoke(server, phone.refresh_token, { token_type_hint: hint })).status, 200)
    t.is((await revoke(server, tablet.access_token, { token_type_hint: hint })).status, 200)

    t.deepEqual(await works(server, phone), [false, false])
    t.deepEqual(await works(server, tablet), [false, false])
  })
}

test('a revocation without token is invalid_request (RFC 7009 §2.1)', async t => {
  const server = await startServerWithAlice(t)
  const { refresh_token } = await server.signIn()

  t.deepEqual(refusal(await server.post('/revoke', { client_id: 'app' })), refused(400, 'invalid_request'))
  t.deepEqual(refusal(await revoke(server, '')), refused(400, 'invalid_request'))
  t.is((await revoke(server, refresh_token)).status, 200)
})

test('a revocation needs client authentication (RFC 7009 §2.1)', async t => {
  const server = await startServerWithClients(t)
  const { refresh_token: token, access_token } = await server.signIn({ client_id: 'web', client_secret: 'lks_secret' })

  for (const answer of [
    await server.post('/revoke', { token }),
    await server.post('/revoke', { token, client_id: 'web' }),
    await server.post('/revoke', { token, client_id: 'web', client_secret: 'lks_secrets' }),
    await server.post('/revoke', { token, client_id: 'nobody' }),
  ]) {
    t.deepEqual(refusal(answer), refused(400, 'invalid_client'))
    t.is(answer.headers.get('www-authenticate'), null)
  }
  const wrong = `Basic ${Buffer.from('web:lks_secrets').toString('base64')}`
  const byHeader = await server.post('/revoke', { token }, { authorization: wrong })
  t.deepEqual(refusal(byHeader), refused(401, 'invalid_client'))
  t.is(byHeader.headers.get('www-authenticate'), 'Basic realm="latchkey", charset="UTF-8"')
  t.is((await server.me(access_token)).status, 200)
  t.is((await server.post('/revoke', { token }, basic)).status, 200)
  t.is((await server.me(access_token)).status, 401)
})

test('a token in the query string, a repeated token and a JSON body are invalid_request', async t => {
  const server = await startServerWithAlice(t)
  const tokens = await server.signIn()
  const form = `client_id=app&token=${tokens.refresh_token}`
  const post = (path: string, body: string, type = 'application/x-www-form-urlencoded') =>
    server.request(path, { method: 'POST', body, headers: { 'content-type': type } })

  for (const answer of [
    await post(`/revoke?token=${tokens.refresh_token}`, form),
    await post('/revoke', `${form}&token=x`),
    await post('/revoke', JSON.stringify({ client_id: 'app', token: tokens.refresh_token }), 'application/json'),
  ]) {
    t.deepEqual(refusal(answer), refused(400, 'invalid_request'))
  }
  t.is((await server.me(tokens.access_token)).status, 200)
  t.is((await post('/revoke', form)).status, 200)
  t.is((await server.me(tokens.access_token)).status, 401)
})
