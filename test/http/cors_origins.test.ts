/** CORS: each client has origins of its own, beside those of the settings. The Fetch standard, CORS protocol. */
import test, { type ExecutionContext } from 'ava'
import { auditEvent } from '../../src/audit/audit.ts'
import { clientUpdate } from '../../src/clients/client.ts'
import { appOrigin, corsEndpoints, preflightHeaders } from '../_cors.ts'

import { password, type ServerOptions, startServerWithAlice, startTime, type TestServer } from '../_server.ts'
import { openTestStorage } from '../_storages.ts'

const phoneOrigin = 'https://phone.example.com'
const webOrigin = 'https://web.example.com'
const localOrigin = 'http://localhost:5173'
const nobodysOrigin = 'https://evil.example'

/** The settings allow `appOrigin`; of the clients, `phone` and `web` have origins of their own, and `app` has none. */
async function startServerWithOrigins(t: ExecutionContext, options: ServerOptions = {}) {
  const server = await startServerWithAlice(t, { http: { corsOrigins: [appOrigin] }, ...options })
  await server.addClient({ id: 'phone', scope: 'openid read', corsOrigins: [phoneOrigin, localOrigin] })
  await server.addClient({ id: 'web', secret: 'lks_web', scope: 'openid read', corsOrigins: [webOrigin] })
  return server
}

const allowedOrigin = ({ headers }: { headers: Headers }) => headers.get('access-control-allow-origin')

test('CORS: a preflight is answered for an origin of any client, and may be kept (fetch standard, CORS protocol)', async t => {
  const server = await startServerWithOrigins(t)

  for (const [method, path] of corsEndpoints) {
    const ask = (origin: string) =>
      server.request(path, { method: 'OPTIONS', headers: preflightHeaders(origin, method) })
    for (const origin of [phoneOrigin, localOrigin, webOrigin, appOrigin]) {
      const answer = await ask(origin)
      t.deepEqual(
        [answer.status, allowedOrigin(answer), answer.headers.get('access-control-max-age')],
        [204, origin, '7200'],
      )
      t.is(answer.headers.get('vary'), 'Origin')
      t.is(answer.headers.get('access-control-allow-credentials'), null)
    }
    for (const origin of [nobodysOrigin, `${phoneOrigin}:444`, 'null']) {
      const answer = await ask(origin)
      t.deepEqual([allowedOrigin(answer), answer.headers.get('access-control-max-age')], [null, null], origin)
    }
  }
})

type OriginServer = Awaited<ReturnType<typeof startServerWithOrigins>>
type Tokens = Awaited<ReturnType<TestServer['signIn']>>

/** Requests of the client `phone`, by the status that they get. */
const phoneRequests: [
  rule: string,
  status: number,
  ask: (server: OriginServer, tokens: Tokens, headers: Record<string, string>) => ReturnType<TestServer['request']>,
][] = [
  [
    'a sign-in',
    200,
    (server, _, headers) =>
      server.token({ grant_type: 'password', client_id: 'phone', username: 'alice', password }, headers),
  ],
  [
    'a sign-in that is refused',
    400,
    (server, _, headers) =>
      server.token({ grant_type: 'password', client_id: 'phone', username: 'alice', password: 'x' }, headers),
  ],
  [
    'a refresh',
    200,
    (server, { refresh_token }, headers) =>
      server.token({ grant_type: 'refresh_token', client_id: 'phone', refresh_token }, headers),
  ],
  [
    'POST /revoke',
    200,
    (server, { refresh_token }, headers) =>
      server.post('/revoke', { client_id: 'phone', token: refresh_token }, headers),
  ],
  [
    'POST /revoke that is refused',
    400,
    (server, _, headers) => server.post('/revoke', { client_id: 'phone' }, headers),
  ],
  ...(
    [
      ['GET', '/users/me', 200],
      ['GET', '/userinfo', 200],
      ['GET', '/sessions', 200],
      ['DELETE', '/sessions/AAAAAAAAAAAAAAAAAAAAAA', 404],
      ['POST', '/logout', 200],
      ['POST', '/logout?scope=x', 400],
    ] as const
  ).map(([method, path, status]): (typeof phoneRequests)[number] => [
    `${method} ${path}`,
    status,
    (server, { access_token }, headers) =>
      server.request(path, { method, headers: { ...server.bearer(access_token), ...headers } }),
  ]),
  ['POST /userinfo', 200, (server, { access_token }, headers) => server.post('/userinfo', { access_token }, headers)],
]

for (const [rule, status, ask] of phoneRequests) {
  test(`CORS: ${rule} (${status}) is readable for the client's own origins and those of the settings, not for another client's`, async t => {
    const server = await startServerWithOrigins(t)

    for (const [origin, allowed] of [
      [phoneOrigin, phoneOrigin],
      [localOrigin, localOrigin],
      [appOrigin, appOrigin],
      [webOrigin, null],
      [nobodysOrigin, null],
    ] as const) {
      const tokens = await server.signIn({ client_id: 'phone' })
      const answer = await ask(server, tokens, { origin })
      t.deepEqual(
        [answer.status, allowedOrigin(answer), answer.headers.get('vary')?.split(', ')[0]],
        [status, allowed, 'Origin'],
        origin,
      )
      t.is(
        answer.headers.get('access-control-expose-headers'),
        allowed && 'WWW-Authenticate, Retry-After, X-Request-Id, Link',
      )
    }
  })
}

test('CORS: a client without origins of its own has those of the settings alone', async t => {
  const server = await startServerWithOrigins(t)
  const signIn = { grant_type: 'password', client_id: 'app', username: 'alice', password }

  t.is(allowedOrigin(await server.token(signIn, { origin: phoneOrigin })), null)
  t.is(allowedOrigin(await server.token(signIn, { origin: appOrigin })), appOrigin)
})

test('CORS: a confidential client has its own origins, too', async t => {
  const server = await startServerWithOrigins(t)
  const signIn = { grant_type: 'password', username: 'alice', password }
  const ask = (origin: string) => server.token(signIn, { authorization: `Basic ${btoa('web:lks_web')}`, origin })

  t.deepEqual([allowedOrigin(await ask(webOrigin)), allowedOrigin(await ask(phoneOrigin))], [webOrigin, null])
})

test('CORS: an error from before the client is known is readable for the origins of any client', async t => {
  const server = await startServerWithOrigins(t)
  const { access_token } = await server.signIn({ client_id: 'phone' })
  const signIn = { grant_type: 'password', username: 'alice', password }
  await server.request('/logout', { method: 'POST', headers: server.bearer(access_token) })
  const requests: [status: number, ask: (headers: { origin: string }) => ReturnType<TestServer['request']>][] = [
    [400, headers => server.token(signIn, headers)],
    [400, headers => server.token({ ...signIn, client_id: 'phones' }, headers)],
    [400, headers => server.token({ ...signIn, client_id: 'web', client_secret: 'x' }, headers)],
    [400, headers => server.token({}, headers)],
    [400, headers => server.request('/token', { method: 'POST', body: '{}', headers })],
    [400, headers => server.post('/revoke', { token: 'x' }, headers)],
    [405, headers => server.request('/token', { headers })],
    [401, headers => server.request('/users/me', { headers })],
    [401, headers => server.request('/userinfo', { headers: { ...server.bearer('x'), ...headers } })],
    [401, headers => server.request('/sessions', { headers: { ...server.bearer(access_token), ...headers } })],
  ]

  for (const [status, ask] of requests) {
    for (const [origin, allowed] of [
      [phoneOrigin, phoneOrigin],
      [webOrigin, webOrigin],
      [appOrigin, appOrigin],
      [nobodysOrigin, null],
    ] as const) {
      const answer = await ask({ origin })
      t.deepEqual([answer.status, allowedOrigin(answer)], [status, allowed])
    }
  }
})

test('CORS: an origin that is added or taken away counts within five seconds', async t => {
  const server = await startServerWithOrigins(t)
  const preflight = async (origin: string) =>
    allowedOrigin(await server.request('/token', { method: 'OPTIONS', headers: preflightHeaders(origin) }))
  const setOrigins = (corsOrigins: string[]) =>
    server.deps.storage.changeClient(
      'phone',
      clientUpdate(client => ({ ...client, corsOrigins }), auditEvent('client.updated', startTime, {})),
    )
  const newOrigin = 'https://new.example.com'
  t.deepEqual([await preflight(phoneOrigin), await preflight(newOrigin)], [phoneOrigin, null])

  await setOrigins([newOrigin])
  server.clock.advance(5)
  t.deepEqual([await preflight(phoneOrigin), await preflight(newOrigin)], [null, newOrigin])
  const { headers } = await server.token(
    { grant_type: 'password', client_id: 'phone', username: 'alice', password },
    { origin: newOrigin },
  )
  t.is(headers.get('access-control-allow-origin'), newOrigin)

  // Also when the clock has been set back meanwhile.
  await setOrigins([phoneOrigin])
  server.clock.advance(-86_400)
  t.deepEqual([await preflight(phoneOrigin), await preflight(newOrigin)], [phoneOrigin, null])
})

test('CORS: the client of a removed record and the origins that only it had are forgotten', async t => {
  const server = await startServerWithOrigins(t)
  const { access_token } = await server.signIn({ client_id: 'phone' })
  const me = async (origin: string) => {
    const answer = await server.request('/users/me', { headers: { ...server.bearer(access_token), origin } })
    return [answer.status, allowedOrigin(answer)]
  }
  t.deepEqual(await me(phoneOrigin), [200, phoneOrigin])

  await server.deps.storage.removeClient('phone', auditEvent('client.removed', startTime, {}))
  server.clock.advance(5)

  t.deepEqual(await me(phoneOrigin), [401, null])
  t.deepEqual(await me(webOrigin), [401, webOrigin])
})

test('CORS: with the storage broken, the 503 and the preflight before it reach the apps of known origins', async t => {
  const server = await startServerWithOrigins(t)
  const refresh = { grant_type: 'refresh_token', client_id: 'phone', refresh_token: 'x' }
  const ask = (origin: string) => server.token(refresh, { origin })
  t.deepEqual([(await ask(phoneOrigin)).status, allowedOrigin(await ask(phoneOrigin))], [400, phoneOrigin])
  await server.request('/token', { method: 'OPTIONS', headers: preflightHeaders(phoneOrigin) })

  await server.deps.storage.close()

  for (const seconds of [0, 5, 3600]) {
    server.clock.advance(seconds)
    for (const [origin, allowed] of [
      [phoneOrigin, phoneOrigin],
      [appOrigin, appOrigin],
      [nobodysOrigin, null],
    ] as const) {
      const answer = await ask(origin)
      t.deepEqual([answer.status, allowedOrigin(answer)], [503, allowed], origin)
      t.regex(answer.headers.get('access-control-expose-headers') ?? 'Retry-After', /Retry-After/)
      const preflight = await server.request('/token', { method: 'OPTIONS', headers: preflightHeaders(origin) })
      t.is(allowedOrigin(preflight), allowed)
    }
  }
})

test("CORS: when the storage breaks under a request, the 503 reaches the client's app", async t => {
  const storage = await openTestStorage(t)
  // The client is known by then, and its record cannot be read again.
  const changeSession: typeof storage.changeSession = async (...decision) => {
    await storage.close()
    return storage.changeSession(...decision)
  }
  const server = await startServerWithOrigins(t, { storage: { ...storage, changeSession } })
  const { refresh_token } = await server.signIn({ client_id: 'phone' })
  const ask = (origin: string) =>
    server.token({ grant_type: 'refresh_token', client_id: 'phone', refresh_token }, { origin })
  const preflight = await server.request('/token', { method: 'OPTIONS', headers: preflightHeaders(phoneOrigin) })
  t.is(allowedOrigin(preflight), phoneOrigin)

  const first = await ask(phoneOrigin)
  const other = await ask(nobodysOrigin)

  t.deepEqual([first.status, allowedOrigin(first)], [503, phoneOrigin])
  t.deepEqual([other.status, allowedOrigin(other)], [503, null])
})

// Bug: who asks while the origins are read for the first time is answered from the empty set.
test('CORS: the first preflights after a start are answered alike when they come together', async t => {
  const storage = await openTestStorage(t)
  const reading = Promise.withResolvers<void>()
  // A storage that takes its time, as one behind a network does.
  const listClients = async () => {
    await reading.promise
    return storage.listClients()
  }
  const server = await startServerWithOrigins(t, { storage: { ...storage, listClients } })

  const preflights = Array.from({ length: 3 }, () =>
    server.request('/token', { method: 'OPTIONS', headers: preflightHeaders(phoneOrigin) }),
  )
  // By the time that these are answered, those have arrived.
  for (let i = 0; i < 3; i++) await server.request('/health/live')
  reading.resolve()

  t.deepEqual((await Promise.all(preflights)).map(allowedOrigin), [phoneOrigin, phoneOrigin, phoneOrigin])
})
