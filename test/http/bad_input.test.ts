/** Promise 8: any input gets the standard's answer, never a 5xx, a stack trace, a hang or half a write. */
import { connect } from 'node:net'
import { deflateSync, gzipSync } from 'node:zlib'
import test from 'ava'
import fc from 'fast-check'
import { decodeJwt } from 'jose'
import { password, refusal, refused, startServerWithAlice, type TestServer } from '../_server.ts'

const formType = 'application/x-www-form-urlencoded'
const signInForm = 'grant_type=password&client_id=app&username=alice&password=correct+horse+battery+staple'

/** Everything that a request could have changed. */
async function stateOf({ deps: { storage }, clock }: TestServer) {
  return [
    await storage.listLiveSessions({}, clock.now(), 1000),
    await storage.listUsers(),
    await storage.listClients(),
    await storage.listSigningKeys(),
    await storage.listAuditEvents(1000),
    // How many identifiers were remembered; nothing here is to be remembered at all.
    await storage.pruneConsumed(Number.MAX_SAFE_INTEGER),
  ]
}

/** Sends bytes as they are and reads until the server closes the connection. */
function sendRaw(server: TestServer, ...parts: (string | Uint8Array)[]) {
  const { hostname, port } = new URL(server.url)
  return new Promise<{ status: number; head: string; body: string }>((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    const chunks: Buffer[] = []
    socket.setTimeout(30_000, () => socket.destroy(new Error('no answer in 30 seconds')))
    socket.on('data', chunk => chunks.push(chunk))
    socket.on('error', error => (chunks.length > 0 ? undefined : reject(error)))
    socket.on('close', () => {
      const text = Buffer.concat(chunks).toString()
      const [head = '', body = ''] = text.split('\r\n\r\n')
      resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]), head, body })
    })
    socket.write(Buffer.concat(parts.map(part => Buffer.from(part as string))))
  })
}

function head(line: string, ...headers: string[]): string {
  return [`${line} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers, '', ''].join('\r\n')
}

const nastyText = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '\0',
    '\r\n',
    '\ud800',
    '\ufffd',
    '__proto__',
    'constructor',
    "' OR 1=1 --",
    '%',
    '%00',
    '%ff',
    '$2b$04$',
    'null',
    '-1',
    '1e999',
    '../../etc/passwd',
    '<script>',
    '{{7*7}}',
    'a'.repeat(5000),
    '\u{1f4f1}'.repeat(300),
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
)
const paramName = fc.oneof(
  fc.constantFrom(
    ...['grant_type', 'client_id', 'client_secret', 'username', 'scope', 'device', 'refresh_token', 'token'],
    ...['token_type_hint', 'username[]', 'a[b]', '__proto__', 'constructor'],
    ...['access_token', 'resource', 'client_assertion', 'client_assertion_type'],
  ),
  nastyText,
)
const paramValue = fc.oneof(
  nastyText,
  fc.constantFrom(
    'password',
    'refresh_token',
    'client_credentials',
    'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    'https://auth.example.com',
    'app',
    'web',
    'alice',
    'read',
    'read write',
    `lkr_${'A'.repeat(76)}`,
    'a.b.c',
  ),
)
const rawPair = fc.tuple(paramName, fc.constantFrom('=', '', '==', '%3D'), paramValue)
const form = fc.oneof(
  fc.array(fc.tuple(paramName, paramValue), { maxLength: 8 }).map(pairs => {
    return new URLSearchParams(
      pairs.map(([name, value]): [string, string] => [name.toWellFormed(), value.toWellFormed()]),
    ).toString()
  }),
  // Nothing encoded.
  fc.array(rawPair, { maxLength: 8 }).map(pairs => pairs.map(parts => parts.join('')).join('&')),
  // A good request but for one thing.
  fc.tuple(paramName, paramValue).map(([name, value]) => `${signInForm.replace('staple', 'wrong')}&${name}=${value}`),
  fc.constantFrom('{', '[]', '{"grant_type":"password"}', '&&&', '='.repeat(100)),
)
const headerText = nastyText.map(text => text.replaceAll(/[^\x20-\x7e\x80-\xff]/g, '').slice(0, 3000))
const authorization = fc.oneof(
  fc.constant(undefined),
  headerText,
  nastyText.map(text => `Basic ${Buffer.from(text).toString('base64')}`),
  fc.tuple(nastyText, nastyText).map(pair => `Basic ${Buffer.from(pair.join(':')).toString('base64')}`),
  nastyText.map(text => `Bearer ${Buffer.from(text).toString('base64url')}`),
  fc.array(nastyText, { maxLength: 5 }).map(parts => {
    return `Bearer ${parts.map(part => Buffer.from(part).toString('base64url')).join('.')}`
  }),
)
const path = fc.oneof(
  fc.constantFrom(
    ...[
      '/token',
      '/revoke',
      '/introspect',
      '/users/me',
      '/userinfo',
      '/logout',
      '/sessions',
      '/sessions/x',
      '/health/live',
      '/health/ready',
    ],
    ...['/.well-known/jwks.json', '/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'],
  ),
  nastyText.map(text => `/sessions/${encodeURIComponent(text.toWellFormed()).slice(0, 2000)}`),
  fc.constantFrom(
    '/sessions/%',
    '/sessions/%ff',
    '/%',
    '/%00',
    '/token/',
    '/token%2F',
    '/logout?scope=%ff',
    '/logout?scope',
  ),
  nastyText.map(text => `/users/me?${encodeURIComponent(text.toWellFormed()).slice(0, 2000)}`),
)
const request = fc.record({
  method: fc.constantFrom('GET', 'POST', 'POST', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'PROPFIND'),
  path,
  form,
  authorization,
  contentType: fc.oneof({ weight: 5, arbitrary: fc.constant(formType) }, headerText),
  origin: fc.oneof(fc.constant(undefined), fc.constantFrom('null', 'https://app.example.com'), headerText),
})

test('promise 8: nonsense to every endpoint gets a 4xx in JSON and changes nothing', async t => {
  const server = await startServerWithAlice(t, { http: { corsOrigins: ['https://app.example.com'] } })
  await server.addClient({ id: 'web', secret: 'lks_secret' })
  const { access_token } = await server.signIn()
  const before = await stateOf(server)

  const property = fc.asyncProperty(request, async input => {
    const headers = new Headers({ 'content-type': input.contentType })
    if (input.authorization !== undefined) headers.set('authorization', input.authorization)
    if (input.origin !== undefined) headers.set('origin', input.origin)
    const hasBody = input.method !== 'GET' && input.method !== 'HEAD'
    const {
      status,
      headers: answered,
      body,
    } = await server.request(input.path, {
      method: input.method,
      headers,
      ...(hasBody && { body: input.form }),
    })
    t.true(status < 500, `${status} ${JSON.stringify(body)}`)
    t.is(answered.get('x-content-type-options'), 'nosniff')
    if (status >= 400 && input.method !== 'HEAD') {
      t.regex(body.error, /^[a-z_]+$/)
      t.notRegex(JSON.stringify(body), /\.ts\b|\bat \//)
      t.is(answered.get('cache-control'), 'no-store')
    }
    if (status === 405) t.truthy(answered.get('allow'), `${input.method} ${input.path}`)
    if (status === 401) t.truthy(answered.get('www-authenticate'))
  })
  // A fixed seed, so that a failure is of the change that was made; another one by FC_SEED.
  await fc.assert(property, { numRuns: 300, seed: Number(process.env.FC_SEED ?? 1) })

  t.deepEqual(await stateOf(server), before)
  t.is((await server.me(access_token)).status, 200)
})

test('promise 8: nonsense with a good access token changes nothing either', async t => {
  const server = await startServerWithAlice(t)
  const { access_token } = await server.signIn()
  const before = await stateOf(server)
  const target = fc.oneof(
    nastyText.map(text => ['DELETE', `/sessions/${encodeURIComponent(text.toWellFormed()).slice(0, 2000)}`] as const),
    nastyText
      .filter(text => text !== 'all' && text !== 'others')
      .map(text => ['POST', `/logout?scope=${encodeURIComponent(text.toWellFormed()).slice(0, 2000)}`] as const),
  )

  const property = fc.asyncProperty(target, async ([method, target]) => {
    const { status, body } = await server.request(target, { method, headers: server.bearer(access_token) })
    t.true(status === 400 || status === 404 || status === 405, `${status} ${target}`)
    t.truthy(body.error)
  })
  await fc.assert(property, { numRuns: 100, seed: Number(process.env.FC_SEED ?? 1) })

  t.deepEqual(await stateOf(server), before)
})

test('promise 8: nonsense beside a good access token at /userinfo is a 4xx or the claims, and changes nothing', async t => {
  const server = await startServerWithAlice(t)
  await server.addClient({ id: 'openid', scope: 'openid email' })
  const { access_token } = await server.signIn({ client_id: 'openid' })
  const before = await stateOf(server)
  const userInfo = { sub: server.aliceId, email: 'alice@example.com', email_verified: false }
  const tokenForm = new URLSearchParams({ access_token }).toString()

  const property = fc.asyncProperty(form, fc.boolean(), async (nonsense, inForm) => {
    const { status, headers, body } = await server.request('/userinfo', {
      method: 'POST',
      body: inForm ? `${tokenForm}&${nonsense}` : nonsense,
      headers: { 'content-type': formType, ...(!inForm && server.bearer(access_token)) },
    })
    if (status === 200) t.deepEqual(body, userInfo)
    else t.deepEqual([status, body.error], [400, 'invalid_request'])
    t.is(headers.get('cache-control'), 'no-store')
  })
  await fc.assert(property, {
    numRuns: 100,
    seed: Number(process.env.FC_SEED ?? 1),
    examples: [
      ['x=1', true],
      ['x=1', false],
    ],
  })

  t.deepEqual(await stateOf(server), before)
})

test('promise 8: nonsense from a client that authenticates is {"active":false} or a 4xx at /introspect, and changes nothing', async t => {
  const server = await startServerWithAlice(t)
  await server.addClient({ id: 'web', secret: 'lks_secret' })
  const { access_token, refresh_token } = await server.signIn({ client_id: 'web', client_secret: 'lks_secret' })
  const authorization = `Basic ${Buffer.from('web:lks_secret').toString('base64')}`
  const before = await stateOf(server)
  const nearToken = fc
    .tuple(fc.constantFrom(access_token, refresh_token), fc.nat(), fc.string({ unit: 'binary', maxLength: 3 }))
    .map(([token, at, text]) => {
      const index = at % token.length
      return token.slice(0, index) + text.toWellFormed() + token.slice(index + 1)
    })
    .filter(token => token !== access_token && token !== refresh_token && !token.includes('\0'))
  const tokenForm = fc
    .oneof(
      nearToken,
      nastyText.map(text => text.toWellFormed()),
    )
    .map(token => {
      return new URLSearchParams({ token, token_type_hint: 'refresh_token' }).toString()
    })
  const accept = fc.oneof(headerText, fc.constantFrom('application/token-introspection+jwt', 'application/json', '*/*'))

  const property = fc.asyncProperty(fc.oneof(tokenForm, form), accept, async (body, accept) => {
    const answer = await server.request('/introspect', {
      method: 'POST',
      body,
      headers: { 'content-type': formType, authorization, accept },
    })
    if (answer.status !== 200) {
      t.deepEqual([answer.status, answer.body.error], [400, 'invalid_request'])
    } else if (answer.headers.get('content-type') === 'application/token-introspection+jwt') {
      t.deepEqual(decodeJwt(answer.body).token_introspection, { active: false })
    } else t.deepEqual(answer.body, { active: false })
    t.is(answer.headers.get('cache-control'), 'no-store')
  })
  await fc.assert(property, { numRuns: 200, seed: Number(process.env.FC_SEED ?? 1) })

  t.deepEqual(await stateOf(server), before)
  for (const token of [access_token, refresh_token]) {
    const form = { token, token_type_hint: 'refresh_token' }
    t.true((await server.post('/introspect', form, { authorization })).body.active)
  }
})

const post = (...headers: string[]) => head('POST /token', `Content-Type: ${formType}`, ...headers)
const withLength = (body: string | Uint8Array, ...headers: string[]) =>
  post(`Content-Length: ${Buffer.from(body as string).length}`, ...headers)
const bomb = gzipSync(Buffer.alloc(10_000_000, 'x'))
const notGzip = Buffer.from('this is not gzip')
const cutGzip = gzipSync(signInForm).subarray(0, 30)

/** What is sent, and the status that it gets. */
const rawRequests: [rule: string, status: number, parts: (string | Uint8Array)[]][] = [
  ['bytes that are no UTF-8', 400, [withLength('x=....'), 'x=', new Uint8Array([0xff, 0xfe, 0xc0, 0x80])]],
  ['a surrogate in UTF-8', 400, [withLength('x=...'), 'x=', new Uint8Array([0xed, 0xa0, 0x80])]],
  ['an overlong NUL', 400, [withLength('x=..'), 'x=', new Uint8Array([0xc0, 0x80])]],
  ['a UTF-16 body', 400, [withLength(Buffer.from(signInForm, 'utf16le')), Buffer.from(signInForm, 'utf16le')]],
  ['a NUL in the path', 400, [head('GET /users/\0me')]],
  ['bytes that are no ASCII in the path', 400, [head('GET /users/\u00e9')]],
  ['an encoded NUL in the path', 404, [head('GET /users/%00me')]],
  ['broken percent-encoding in the path', 404, [head('GET /%zz')]],
  ['an absolute URL that cannot be read', 400, [head('GET http://[/token')]],
  ['an absolute URL with a bad port', 400, [head('GET http://localhost:x/token')]],
  ['a path that begins with two slashes', 404, [head('GET //[')]],
  ['a long path', 404, [head(`GET /${'x'.repeat(7999)}`)]],
  ['a longer path', 414, [head(`GET /${'x'.repeat(8000)}`)]],
  ['huge headers', 431, [head('GET /users/me', `Authorization: Bearer ${'x'.repeat(20_000)}`)]],
  ['hundreds of headers', 404, [head('GET /nothing', ...Array.from({ length: 500 }, (_, i) => `X-${i}: y`))]],
  ['a Content-Length that is no number', 400, [post('Content-Length: x'), signInForm]],
  ['a negative Content-Length', 400, [post('Content-Length: -1'), signInForm]],
  ['two Content-Lengths', 400, [post('Content-Length: 1', 'Content-Length: 2'), 'ab']],
  ['Content-Length and Transfer-Encoding', 400, [post('Content-Length: 1', 'Transfer-Encoding: chunked'), '0\r\n\r\n']],
  ['broken chunks', 400, [post('Transfer-Encoding: chunked'), 'zz\r\nx\r\n0\r\n\r\n']],
  ['no Host', 400, ['GET /users/me HTTP/1.1\r\nConnection: close\r\n\r\n']],
  ['no HTTP', 400, ['hello\r\n\r\n']],
  ['a gzip bomb', 413, [withLength(bomb, 'Content-Encoding: gzip'), bomb]],
  ['a body called gzip that is not', 400, [withLength(notGzip, 'Content-Encoding: gzip'), notGzip]],
  ['a body called deflate that is not', 400, [withLength(notGzip, 'Content-Encoding: deflate'), notGzip]],
  ['a body called br that is not', 400, [withLength(notGzip, 'Content-Encoding: br'), notGzip]],
  ['half a gzip body', 400, [withLength(cutGzip, 'Content-Encoding: gzip'), cutGzip]],
  ['an unknown Content-Encoding', 400, [withLength(signInForm, 'Content-Encoding: zstd'), signInForm]],
  ['two Content-Encodings', 400, [withLength(signInForm, 'Content-Encoding: gzip, gzip'), signInForm]],
  [
    'a body of chunks over 16 KiB',
    413,
    [post('Transfer-Encoding: chunked'), `4E20\r\n${'x'.repeat(20_000)}\r\n0\r\n\r\n`],
  ],
  ['a Content-Length over 16 KiB', 413, [post('Content-Length: 20000'), 'x'.repeat(20_000)]],
  ['JSON', 400, [head('POST /token', 'Content-Type: application/json', 'Content-Length: 2'), '{}']],
  ['an unknown method', 400, [head('SIGNIN /token')]],
  ['an Expect that cannot be met', 417, [withLength('', 'Expect: a-miracle')]],
]

for (const [rule, status, parts] of rawRequests) {
  test(`promise 8: a request with ${rule} is ${status}, and the next one is answered`, async t => {
    const server = await startServerWithAlice(t)
    const before = await stateOf(server)

    const answer = await sendRaw(server, ...parts)

    t.is(answer.status, status, answer.body)
    t.notRegex(answer.body, /\.ts\b|\bat \/|node_modules/)
    t.deepEqual(await stateOf(server), before)
    t.truthy(await server.signIn())
  })
}

for (const [name, value, other] of [
  ['Authorization', 'Basic YXBwOg==', 'Basic YXBwOg=='],
  ['Authorization', 'Basic YXBwOg==', 'Bearer x'],
  ['Content-Type', formType, formType],
  ['Content-Type', formType, 'application/json'],
  ['Host', 'localhost', 'other.example.com'],
] as const) {
  test(`two headers ${name}, ${value} and ${other}, are invalid_request: Node would drop one (RFC 9110 §5.3, RFC 9112 §3.2)`, async t => {
    const server = await startServerWithAlice(t)
    const all = { Host: 'localhost', 'Content-Type': formType, Connection: 'close' }
    const send = (extra: readonly string[]) => {
      const lines = Object.entries({ ...all, 'Content-Length': signInForm.length, [name]: value })
      const header = [...lines.map(line => line.join(': ')), ...extra].join('\r\n')
      return sendRaw(server, `POST /token HTTP/1.1\r\n${header}\r\n\r\n${signInForm}`)
    }
    const before = await stateOf(server)

    for (const spelling of [name, name.toLowerCase(), name.toUpperCase()]) {
      const { status, body } = await send([`${spelling}: ${other}`])
      t.is(status, 400)
      t.like(JSON.parse(body), {
        error: 'invalid_request',
        error_description: `the header ${name.toLowerCase()} is given twice`,
      })
    }
    t.deepEqual(await stateOf(server), before)
    t.is((await send([])).status, 200)
  })
}

test('what Node joins instead is a value that nothing takes: two Origins, two Sec-Fetch-Sites (RFC 9110 §5.3)', async t => {
  const origin = 'https://app.example.com'
  const server = await startServerWithAlice(t, { http: { corsOrigins: [origin] } })
  const login = JSON.stringify({ username: 'alice', password: 'correct horse battery staple' })
  const signIn = (...headers: string[]) =>
    sendRaw(
      server,
      head('POST /login', 'Content-Type: application/json', `Content-Length: ${login.length}`, ...headers),
      login,
    )

  t.is((await signIn('Sec-Fetch-Site: same-origin')).status, 200)
  t.is((await signIn('Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: cross-site')).status, 403)
  t.is((await signIn('Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: same-origin')).status, 403)
  t.is((await signIn('Origin: https://auth.example.com')).status, 200)
  t.is((await signIn('Origin: https://auth.example.com', 'Origin: https://evil.example.com')).status, 403)
})

test('promise 8: a request that says more than it sends is no sign-in', async t => {
  const server = await startServerWithAlice(t)
  const before = await stateOf(server)
  const { hostname, port } = new URL(server.url)

  // Every parameter arrives, one byte of the body does not.
  await new Promise<void>(resolve => {
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {}).on('close', () => resolve())
    socket.resume().end(post(`Content-Length: ${signInForm.length + 1}`) + signInForm)
  })

  t.deepEqual(await stateOf(server), before)
  t.is((await sendRaw(server, withLength(signInForm), signInForm)).status, 200)
})

test('a compressed body is a body', async t => {
  const server = await startServerWithAlice(t)
  const send = (body: Uint8Array, encoding: string) =>
    sendRaw(server, withLength(body, `Content-Encoding: ${encoding}`), body)

  t.is((await send(gzipSync(signInForm), 'gzip')).status, 200)
  t.is((await send(deflateSync(signInForm), 'deflate')).status, 200)
})

test('promise 8: a caller that leaves before the answer breaks nothing', async t => {
  const server = await startServerWithAlice(t)
  const { hostname, port } = new URL(server.url)

  await Promise.all(
    Array.from({ length: 10 }, () => {
      return new Promise<void>(resolve => {
        const socket = connect(Number(port), hostname, () => {
          socket.write(withLength(signInForm) + signInForm, () => {
            socket.resetAndDestroy()
            resolve()
          })
        })
        socket.on('error', () => {})
      })
    }),
  )

  t.truthy(await server.signIn())
  t.is((await server.request('/health/ready')).status, 200)
})

test('promise 8: the longest username, password, scope and device that fit get an ordinary answer', async t => {
  const server = await startServerWithAlice(t)
  const signIn = (params: Record<string, string>) =>
    server.token({ grant_type: 'password', client_id: 'app', username: 'alice', password, ...params })

  for (const params of [
    { username: 'x'.repeat(15_000) },
    { password: 'x'.repeat(15_000) },
    { username: '\u{1f4f1}'.repeat(1200) },
  ]) {
    t.deepEqual(refusal(await signIn(params)), refused(400, 'invalid_grant'))
  }
  t.deepEqual(refusal(await signIn({ scope: 'x '.repeat(7000) })), refused(400, 'invalid_scope'))
  t.deepEqual(refusal(await signIn({ client_id: 'x'.repeat(15_000) })), refused(400, 'invalid_client'))
  t.is((await signIn({ device: 'x'.repeat(15_000) })).status, 200)
})
