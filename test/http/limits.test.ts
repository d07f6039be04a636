/** How long each thing may be that a stranger sends, and what becomes of what is longer. Each limit with what is just within it. */
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import test from 'ava'
import bcrypt from 'bcrypt'
import { cookieName } from '../../src/http/browser/cookies.ts'
import { browserAccept, ofPage, signInByCookie, withCookie } from '../_cookies.ts'
import { root } from '../_process.ts'
import { issuer, password, refusal, refused, startServerWithAlice, type TestServer } from '../_server.ts'

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const json = { 'content-type': 'application/json' }

test('a URL of 8,000 characters is read, one more is 414 and not looked into (RFC 9110 §4.1, §15.5.15)', async t => {
  const lines: string[] = []
  const server = await startServerWithAlice(t, { onLog: line => lines.push(line) })
  const path = (length: number) => `/logout?${'x'.repeat(length - '/logout?'.length)}`

  t.is((await server.request(path(8000))).status, 401)
  t.deepEqual(refusal(await server.request(path(8001))), refused(414, 'invalid_request'))
  t.like(JSON.parse(lines.at(-1)!), { path: '/logout', status: 414 })

  const page = await server.request(path(8001), { headers: { accept: browserAccept } })
  t.is(page.status, 414)
  t.regex(page.headers.get('content-type')!, /^text\/html/)

  const { access_token: accessToken } = await server.signIn()
  t.is(
    (await server.request(`${path(8001)}&scope=all`, { method: 'POST', headers: server.bearer(accessToken) })).status,
    414,
  )
  t.is((await server.me(accessToken)).status, 200)
})

test('an app of an allowed origin can read that its URL was too long', async t => {
  const origin = 'https://app.example'
  const server = await startServerWithAlice(t, { http: { corsOrigins: [origin] } })
  const { status, headers } = await server.request(`/users/me?${'x'.repeat(8000)}`, { headers: { origin } })
  t.is(status, 414)
  t.is(headers.get('access-control-allow-origin'), origin)
})

const many = (count: number, separator: string, pair: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => pair(i)).join(separator)

test('100 parameters are read, of a query, a form or a JSON object; one more is invalid_request', async t => {
  const server = await startServerWithAlice(t)
  const { access_token: accessToken } = await server.signIn()
  const read: Record<string, (count: number) => Promise<{ status: number; body: unknown }>> = {
    query: count =>
      server.request(`/users/me?${many(count, '&', i => `a${i}`)}`, { headers: server.bearer(accessToken) }),
    form: count => {
      const credentials = `grant_type=password&client_id=app&username=alice&password=${encodeURIComponent(password)}`
      return server.request('/token', {
        method: 'POST',
        headers: form,
        body: `${credentials}&${many(count - 4, '&', i => `a${i}`)}`,
      })
    },
    JSON: count => {
      const credentials = `"username":"alice","password":${JSON.stringify(password)}`
      return server.request('/login', {
        method: 'POST',
        headers: json,
        body: `{${credentials},${many(count - 2, ',', i => `"a${i}":"[,{"`)}}`,
      })
    },
  }
  for (const [kind, send] of Object.entries(read)) {
    t.is((await send(100)).status, 200, kind)
    const { status, body } = await send(101)
    t.is(status, 400, kind)
    t.like(body, { error: 'invalid_request' }, kind)
  }
})

test('a repeated parameter of a query is read as before: two scopes are invalid_request, one is taken', async t => {
  const server = await startServerWithAlice(t)
  const logout = async (query: string) => {
    const { access_token: accessToken } = await server.signIn()
    return (await server.request(`/logout?${query}`, { method: 'POST', headers: server.bearer(accessToken) })).status
  }
  t.is(await logout('scope=others&scope=others'), 400)
  t.is(await logout('scope=other%73&%zz=+&__proto__=1'), 200)
})

/** Sends bytes as they are. @returns the status, and whether the connection is closed after it */
function sendRaw(server: TestServer, ...parts: (string | Buffer)[]) {
  const { hostname, port } = new URL(server.url)
  return new Promise<{ status: number; closes: boolean }>((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    let text = ''
    socket.setTimeout(30_000, () => socket.destroy(new Error('no answer in 30 seconds')))
    socket.on('error', reject).on('data', chunk => {
      text += chunk
      if (!text.includes('\r\n\r\n')) return
      resolve({ status: Number(text.slice(9, 12)), closes: /^Connection: close\r$/im.test(text) })
      socket.destroy()
    })
    socket.write(Buffer.concat(parts.map(part => Buffer.from(part as string))))
  })
}

const signInForm = `grant_type=password&client_id=app&username=alice&password=${encodeURIComponent(password)}`
const head = (...headers: string[]) =>
  [
    'POST /token HTTP/1.1',
    'Host: localhost',
    'Content-Type: application/x-www-form-urlencoded',
    ...headers,
    '',
    '',
  ].join('\r\n')
const chunked = (...pieces: (string | Buffer)[]) =>
  Buffer.concat(
    [...pieces.flatMap(piece => [`${piece.length.toString(16)}\r\n`, piece, '\r\n']), '0\r\n\r\n'].map(part =>
      Buffer.from(part as string),
    ),
  )

test('a body without a length may come in 200 pieces; in more it is refused and the connection closed (CWE-407)', async t => {
  const server = await startServerWithAlice(t)
  const pieces = (count: number) => [signInForm, ...Array<string>(count - 1).fill('&')]
  const few = [signInForm, ...Array<string>(199).fill('a').with(0, '&')]

  t.deepEqual(await sendRaw(server, head('Transfer-Encoding: chunked'), chunked(...few)), {
    status: 200,
    closes: false,
  })
  t.deepEqual(await sendRaw(server, head('Transfer-Encoding: chunked'), chunked(...pieces(201))), {
    status: 400,
    closes: true,
  })
  // A large one in few pieces is too large, and one of a length may come as it likes.
  t.is(
    (await sendRaw(server, head('Transfer-Encoding: chunked'), chunked('a'.repeat(10_000), 'a'.repeat(10_000)))).status,
    413,
  )
})

test('a compressed body says how long it is, or it is 411 (RFC 9110 §15.5.12)', async t => {
  const server = await startServerWithAlice(t)
  const body = gzipSync(signInForm)
  const gzip = 'Content-Encoding: gzip'
  t.is((await sendRaw(server, head(gzip, `Content-Length: ${body.length}`), body)).status, 200)
  t.is((await sendRaw(server, head(gzip, 'Transfer-Encoding: chunked'), chunked(body))).status, 411)
})

test('what is far longer than any password is a wrong one: no part of it counts (promise 7)', async t => {
  const server = await startServerWithAlice(t, { throttle: { enabled: false } })
  // Of which no more than the first 72 bytes are looked at.
  await server.addUser({ username: 'imported', passwordHash: await bcrypt.hash('x'.repeat(72), 4) })
  const signIn = (username: string, typed: string) =>
    server.token({ grant_type: 'password', client_id: 'app', username, password: typed })

  t.is((await signIn('imported', 'x'.repeat(72))).status, 200)
  const wrong = refusal(await signIn('nobody', password))
  t.deepEqual(wrong, refused(400, 'invalid_grant'))
  for (const [username, typed] of [
    ['imported', 'x'.repeat(10_000)],
    ['alice', password + ' '.repeat(10_000)],
    ['nobody', 'x'.repeat(10_000)],
    [`alice${'x'.repeat(10_000)}`, password],
    ['\u0301\u0316'.repeat(1000), password],
  ] as const)
    t.deepEqual(refusal(await signIn(username, typed)), wrong)

  const { access_token: accessToken } = await server.signIn()
  const change = (current_password: string) =>
    server.request('/users/me/password', {
      method: 'PUT',
      headers: { ...server.bearer(accessToken), ...json },
      body: JSON.stringify({ current_password, new_password: 'seven lamps over the harbour' }),
    })
  t.like(await change(password + ' '.repeat(10_000)), { status: 400, body: { error: 'invalid_grant' } })
  t.is((await change(password)).status, 200)
})

test('a password of 1,024 characters works in every normal form, also with more marks on a letter than NFC puts together', async t => {
  const server = await startServerWithAlice(t)
  const { access_token: accessToken } = await server.signIn()
  const longest = '한'.repeat(1000) + 'ế'.repeat(24)
  const zalgo = `seven lamps${'\u0301\u0316'.repeat(100)}`
  let before = password
  for (const chosen of [longest, zalgo]) {
    const { status } = await server.request('/users/me/password', {
      method: 'PUT',
      headers: { ...server.bearer(accessToken), ...json },
      body: JSON.stringify({ current_password: before, new_password: chosen }),
    })
    t.is(status, 200)
    before = chosen
    const typed = chosen === longest ? [longest.normalize('NFC'), longest.normalize('NFD')] : [zalgo]
    for (const text of typed) {
      const login = await server.request('/login', {
        method: 'POST',
        headers: json,
        body: JSON.stringify({ username: 'alice', password: text }),
      })
      // The page counts what was typed, and decomposed it is more than 1,024 characters.
      t.is(login.status, [...text].length > 1024 ? 400 : 200)
    }
  }
})

test('a header that is too long counts as left out, and one that says where a request comes from as another site', async t => {
  const server = await startServerWithAlice(t)
  const longAccept = (length: number) => `text/html,a/${'x'.repeat(length - 'text/html,a/'.length)}`
  const typeFor = async (accept: string) =>
    (await server.request('/nothing', { headers: { accept } })).headers.get('content-type')
  t.regex((await typeFor(longAccept(1000)))!, /^text\/html/)
  t.regex((await typeFor(longAccept(1001)))!, /^application\/json/)

  const { etag } = Object.fromEntries((await server.request('/.well-known/jwks.json')).headers)
  const revalidate = async (header: string) =>
    (await server.request('/.well-known/jwks.json', { headers: { 'if-none-match': header } })).status
  t.is(await revalidate(`${etag}${', "a"'.repeat(100)}`), 304)
  t.is(await revalidate(`${etag}${', "a"'.repeat(1000)}`), 200)

  const login = async (headers: Record<string, string>) =>
    (await server.post('/login', { username: 'alice', password }, headers)).status
  t.is(await login({ origin: new URL(issuer).origin }), 200)
  t.is(await login({ origin: `${new URL(issuer).origin}${'x'.repeat(500)}` }), 403)
  t.is(await login({ 'sec-fetch-site': 'none' }), 200)
  t.is(await login({ 'sec-fetch-site': `none${'x'.repeat(100)}` }), 403)
})

test('the session cookie is found among hundreds of others, and only where it is one', async t => {
  const server = await startServerWithAlice(t)
  const value = await signInByCookie(server)
  const name = cookieName(issuer)
  const others = many(200, '; ', i => `cookie${i}=${'v'.repeat(20)}`)
  const status = async (cookie: string) =>
    (await server.request('/profile', { headers: { ...ofPage, accept: 'application/json', cookie } })).status

  const { cookie } = withCookie(value)
  for (const good of [
    cookie,
    `${others}; ${cookie}`,
    `${cookie};${others}`,
    `${others};\t  ${cookie} ; a=b`,
    `x${cookie}; ${cookie}`,
    `a=${cookie}; ${cookie}`,
  ])
    t.is(await status(good), 200, good)
  for (const bad of [others, `x${cookie}`, `a=${cookie}`, `a ${cookie}`, `${cookie}; ${cookie}`, `${name}=; ${cookie}`])
    t.is(await status(bad), 401, bad)
})

const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(name =>
  name.endsWith('.ts'),
)
const sourcesWith = (pattern: RegExp) =>
  sources.filter(name => pattern.test(readFileSync(join(root, 'src', name), 'utf8')))

test('no query is read but by http/query.ts: Koa’s own reader takes time by the square of the parameters', t => {
  t.deepEqual(sourcesWith(/\bctx\.query\b|\bquerystring\b/), ['http/query.ts'])
})

test('no text is normalized but by normal_form.ts, in linear time', t => {
  t.deepEqual(sourcesWith(/\.normalize\(/), ['normal_form.ts'])
})
