/** CORS: an app of an allowed origin reads its answers, and no other does. The Fetch standard, CORS protocol. */
import test, { type ExecutionContext } from 'ava'
import { appOrigin, corsEndpoints, preflightHeaders } from '../_cors.ts'

import { issuer, password, startServerWithAlice } from '../_server.ts'

function startCorsServer(t: ExecutionContext) {
  return startServerWithAlice(t, { http: { corsOrigins: [appOrigin] } })
}

for (const [method, path] of corsEndpoints) {
  test(`CORS: ${method} ${path} is readable for an allowed origin, refusals included, and for no other`, async t => {
    const server = await startCorsServer(t)
    const allowedFor = async (origin: string) => {
      const { headers, status } = await server.request(path, { method, headers: { origin } })
      t.true(status >= 400 && status < 500)
      t.regex(headers.get('vary') ?? '', /^Origin\b/)
      return [
        headers.get('access-control-allow-origin'),
        headers.get('access-control-expose-headers'),
        headers.get('access-control-allow-credentials'),
      ]
    }

    t.deepEqual(await allowedFor(appOrigin), [appOrigin, 'WWW-Authenticate, Retry-After, X-Request-Id, Link', null])
    for (const origin of [
      'https://evil.example',
      `${appOrigin}.evil.example`,
      `${appOrigin}:8443`,
      'http://app.example.com',
      'null',
    ]) {
      t.deepEqual(await allowedFor(origin), [null, null, null], origin)
    }
  })

  test(`CORS: a preflight for ${method} ${path} is answered for an allowed origin and for no other`, async t => {
    const server = await startCorsServer(t)
    const preflight = async (origin: string) => {
      const { status, headers, body } = await server.request(path, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': method,
          'access-control-request-headers': 'authorization,content-type',
        },
      })
      return { status, origin: headers.get('access-control-allow-origin'), headers, body }
    }

    const allowed = await preflight(appOrigin)
    t.like(allowed, { status: 204, origin: appOrigin, body: '' })
    t.true(allowed.headers.get('access-control-allow-methods')?.split(', ').includes(method))
    t.regex(allowed.headers.get('access-control-allow-headers') ?? '', /Authorization, Content-Type/)
    t.regex(allowed.headers.get('access-control-max-age') ?? '', /^\d+$/)
    const other = await preflight('https://evil.example')
    t.is(other.origin, null)
    t.is(other.headers.get('access-control-allow-methods'), null)
  })
}

for (const [asked, allowed] of [
  ['traceparent,tracestate,baggage', 'Authorization, Content-Type, traceparent,tracestate,baggage'],
  ['authorization, sentry-trace', 'Authorization, Content-Type, authorization, sentry-trace'],
  ['x'.repeat(1024), `Authorization, Content-Type, ${'x'.repeat(1024)}`],
  ['x'.repeat(1025), 'Authorization, Content-Type'],
  ['a b', 'Authorization, Content-Type'],
  ['a;b', 'Authorization, Content-Type'],
  ['a,,b', 'Authorization, Content-Type'],
  ['caf\u00e9', 'Authorization, Content-Type'],
  ['', 'Authorization, Content-Type'],
] as const) {
  test(`CORS: a preflight that asks for ${JSON.stringify(asked.slice(0, 40))} of ${asked.length} characters allows an allowed origin ${allowed.slice(0, 60)} (fetch standard)`, async t => {
    const server = await startCorsServer(t)
    const ask = (path: string, origin: string) =>
      server.request(path, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': asked },
      })
    const allowedHeaders = async (path: string, origin: string) =>
      (await ask(path, origin)).headers.get('access-control-allow-headers')

    t.is(await allowedHeaders('/token', appOrigin), allowed)
    t.is(await allowedHeaders('/token', 'https://evil.example'), null)
    t.is(await allowedHeaders('/.well-known/jwks.json', 'https://evil.example'), allowed)
  })
}

for (const origin of [
  'capacitor://localhost',
  'ionic://localhost',
  'app://.',
  'tauri://localhost',
  'app://notes:8080',
]) {
  test(`CORS: an app in a web view at ${origin} signs in, by the settings or by its client`, async t => {
    const signIn = { grant_type: 'password', client_id: 'app', username: 'alice', password }
    const bySettings = await startServerWithAlice(t, { http: { corsOrigins: [origin] } })
    const byClient = await startServerWithAlice(t)
    await byClient.addClient({ id: 'phone', corsOrigins: [origin] })

    for (const [server, client_id] of [
      [bySettings, 'app'],
      [byClient, 'phone'],
    ] as const) {
      const { status, headers } = await server.token({ ...signIn, client_id }, { origin })
      t.deepEqual([status, headers.get('access-control-allow-origin')], [200, origin])
    }
    const { headers } = await byClient.token(signIn, { origin })
    t.is(headers.get('access-control-allow-origin'), null)
  })
}

test('CORS: an origin that is not allowed is logged once an hour, with the client; a flood of them fills no log', async t => {
  const lines: Record<string, unknown>[] = []
  const server = await startServerWithAlice(t, {
    http: { corsOrigins: [appOrigin] },
    onLog: line => lines.push(JSON.parse(line)),
  })
  const told = () => lines.filter(line => 'origin' in line).map(({ origin, client }) => [origin, client])
  const signIn = (headers: Record<string, string>) =>
    server.token({ grant_type: 'password', client_id: 'app', username: 'alice', password }, headers)
  const forgotten = 'https://forgotten.example.com'

  for (let i = 0; i < 3; i++) {
    await server.request('/token', { method: 'OPTIONS', headers: preflightHeaders(forgotten) })
    await signIn({ origin: forgotten })
    await signIn({ origin: appOrigin })
    // Pages and forms of this site, whatever address they were opened at, and forms of others.
    await signIn({ origin: issuer })
    await signIn({ origin: 'http://127.0.0.1:3000', 'sec-fetch-site': 'same-origin', 'sec-fetch-dest': 'empty' })
    await signIn({ origin: 'https://evil.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document' })
  }
  t.deepEqual(told(), [
    [forgotten, undefined],
    [forgotten, 'app'],
  ])

  for (let i = 0; i < 100; i++) await signIn({ origin: `https://${'x'.repeat(300)}${i}.example` })
  for (let i = 0; i < 100; i++) await signIn({ origin: `https://${i}.example` })
  t.is(told().length, 20)
  t.true(told().every(([origin]) => String(origin).length <= 200))
  server.clock.advance(3600)
  await signIn({ origin: forgotten })
  t.deepEqual(told().slice(20), [[forgotten, 'app']])
})

test('CORS: a browser app of an allowed origin signs in', async t => {
  const server = await startCorsServer(t)

  const { status, headers } = await server.token(
    { grant_type: 'password', client_id: 'app', username: 'alice', password },
    { origin: appOrigin },
  )

  t.deepEqual([status, headers.get('access-control-allow-origin')], [200, appOrigin])
})

test('CORS: paths that no browser app needs are not readable for an allowed origin', async t => {
  const server = await startCorsServer(t)

  for (const path of ['/health/live', '/health/ready', '/introspect', '/nothing']) {
    const { headers } = await server.request(path, { headers: { origin: appOrigin } })
    t.is(headers.get('access-control-allow-origin'), null, path)
    const preflight = await server.request(path, { method: 'OPTIONS', headers: preflightHeaders(appOrigin) })
    t.is(preflight.headers.get('access-control-allow-origin'), null, path)
  }
})
