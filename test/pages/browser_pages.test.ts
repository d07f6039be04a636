/** The pages over HTTP: who gets one, what leads where, what a person typed. What they look like is in `pages.test.ts`. */
import test from 'ava'
import fc from 'fast-check'
import { createPasswords } from '../../src/users/password.ts'
import { browserAccept, getByCookie, ofPage, postFromPage, signInByCookie } from '../_cookies.ts'
import {
  type Answer,
  cheapHashing,
  createTestRandom,
  password,
  startServerWithAlice,
  type TestServer,
} from '../_server.ts'

const longestPage = 20_000
/** Tens of milliseconds, so that requests meet. */
const slowHashing = { ...cheapHashing, memory: 32_768 }

function openPage(server: TestServer, path: string, cookie?: string, headers: Record<string, string> = {}) {
  const all = { ...ofPage, ...headers }
  return cookie === undefined ? server.request(path, { headers: all }) : getByCookie(server, path, cookie, all)
}

function isPage({ headers, body }: Answer): boolean {
  return headers.get('content-type') === 'text/html; charset=utf-8' && body.startsWith('<!doctype html>')
}

for (const path of ['/', '/profile', '/nowhere', '/users']) {
  test(`${path} is a page to a browser and JSON to a program, and caches are told (RFC 9110 §12.5.1)`, async t => {
    const server = await startServerWithAlice(t)
    const cookie = await signInByCookie(server)
    const forBrowser = await openPage(server, path, cookie)
    const forProgram = await getByCookie(server, path, cookie)
    t.is(forBrowser.status, forProgram.status)
    t.true(isPage(forBrowser))
    t.regex(forProgram.headers.get('content-type') ?? '', /^application\/json/)
    t.regex(forBrowser.headers.get('vary') ?? '', /\bAccept\b.*Accept-Language/)
    t.regex(forProgram.headers.get('vary') ?? '', /\bAccept\b/)
  })
}

for (const accept of ['*/*', 'application/json', 'application/json, text/html', '', 'image/png']) {
  test(`Accept: '${accept}' gets JSON`, async t => {
    const server = await startServerWithAlice(t)
    const { headers } = await server.request('/', { headers: { accept } })
    t.regex(headers.get('content-type') ?? '', /^application\/json/)
  })
}

test('every page has a strict CSP, is not kept by caches, and asks for one stylesheet, the icon, one script and nothing else', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  for (const path of ['/', '/login', '/profile', '/profile/password', '/logout', '/nowhere']) {
    const answer = await openPage(server, path, path === '/login' ? undefined : cookie, {
      'sec-fetch-site': 'cross-site',
    })
    t.true(isPage(answer), path)
    t.is(answer.headers.get('cache-control'), 'no-store', path)
    t.is(
      answer.headers.get('content-security-policy'),
      "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    )
    t.is([...answer.body.matchAll(/<link rel="stylesheet"/g)].length, 1, path)
    const scripts = [...answer.body.matchAll(/<script[^>]*>/g)].map(([tag]) => tag)
    const isOurs = (tag: string) =>
      /^<script src="\/assets\/pages\.[\w-]{16}\.js" defer data-show="\w+" data-hide="\w+">$/.test(tag)
    t.true(scripts.length === 1 && scripts.every(isOurs), path)
    t.notRegex(answer.body, /<img|<iframe| style=| on\w+=/, path)
  }
})

test('the stylesheet and the script are kept for a year under a name that changes with them', async t => {
  const server = await startServerWithAlice(t)
  const { body } = await openPage(server, '/login')
  for (const [pattern, type, former] of [
    [/href="(\/assets\/style\.[\w-]{16}\.css)"/, 'text/css; charset=utf-8', '/assets/style.css'],
    [/src="(\/assets\/pages\.[\w-]{16}\.js)"/, 'text/javascript; charset=utf-8', '/assets/pages.js'],
  ] as const) {
    const { status, headers } = await server.request(pattern.exec(body)?.[1] ?? '')
    t.deepEqual([status, headers.get('cache-control')], [200, 'public, max-age=31536000, immutable'])
    t.is(headers.get('content-type'), type)
    t.is((await server.request(former)).status, 404)
  }
})

test('the icon is one, in three sizes, small, and kept', async t => {
  const server = await startServerWithAlice(t)
  for (const path of ['/', '/docs']) {
    const { body, headers } = await openPage(server, path)
    const [, href = ''] = /<link rel="icon" href="([^"]+)">/.exec(body) ?? []
    t.is(new URL(href, server.url + path).pathname, '/favicon.ico')
    t.regex(headers.get('content-security-policy') ?? '', /img-src 'self'/)
  }
  const response = await fetch(`${server.url}/favicon.ico`)
  const bytes = Buffer.from(await response.arrayBuffer())
  t.deepEqual([response.status, response.headers.get('content-type')], [200, 'image/x-icon'])
  t.is(response.headers.get('cache-control'), 'public, max-age=86400')
  // https://learn.microsoft.com/previous-versions/ms997538(v=msdn.10): a type, a number, and 16 bytes for each image.
  t.deepEqual([bytes.readUInt16LE(2), bytes.readUInt16LE(4), bytes.length < 8192], [1, 3, true])
  for (let at = 6; at < 6 + 3 * 16; at += 16) {
    const image = bytes.subarray(bytes.readUInt32LE(at + 12)).subarray(0, bytes.readUInt32LE(at + 8))
    t.is(image.subarray(1, 4).toString(), 'PNG')
    t.is(image.readUInt32BE(16), bytes.readUInt8(at))
  }
  const known = { 'if-none-match': response.headers.get('etag') ?? '' }
  t.is((await server.request('/favicon.ico', { headers: known })).status, 304)
})

test('the account page calls a client by its name, and one without a name by its id', async t => {
  const server = await startServerWithAlice(t)
  await server.addClient({ id: 'named', name: 'Our <app>' })
  await server.signIn()
  await server.signIn({ client_id: 'named' })
  const cookie = await signInByCookie(server)
  const { body } = await openPage(server, '/profile', cookie)
  t.true(body.includes('Our &lt;app&gt;'))
  t.false(body.includes('named'))
  t.regex(body, />app</)
})

test('/.well-known/change-password leads to the page, by way of the sign-in; what should not be there is 404 (W3C change-password-url)', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  for (const accept of ['*/*', browserAccept]) {
    const led = await server.request('/.well-known/change-password', { headers: { accept } })
    t.deepEqual(
      [led.status, led.headers.get('location'), led.headers.get('cache-control')],
      [303, '/profile/password', 'no-store'],
    )
    const missing = '/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200'
    t.is((await server.request(missing, { headers: { accept } })).status, 404)
  }
  t.is((await openPage(server, '/profile/password')).headers.get('location'), '/login?return_to=%2Fprofile%2Fpassword')
  t.is((await openPage(server, '/profile/password', cookie)).status, 200)
  const below = await startServerWithAlice(t, { oauth: { issuer: 'https://example.com/auth' } })
  const led = await below.request('/.well-known/change-password')
  t.is(led.headers.get('location'), '/auth/profile/password')
})

test('a browser that is not signed in is led to the sign-in page and from there back', async t => {
  const server = await startServerWithAlice(t)
  const asked = await openPage(server, '/profile/password')
  t.deepEqual([asked.status, asked.headers.get('location')], [303, '/login?return_to=%2Fprofile%2Fpassword'])
  const form = await openPage(server, '/login?return_to=%2Fprofile%2Fpassword')
  t.regex(form.body, /name="return_to" value="\/profile\/password"/)
  const answer = await postFromPage(server, '/login', { username: 'alice', password, return_to: '/profile/password' })
  t.deepEqual([answer.status, answer.headers.get('location')], [303, '/profile/password'])
})

const elsewhere = [
  'https://evil.example/',
  '//evil.example',
  '/\\evil.example',
  '\\\\evil.example',
  '/\t/evil.example',
  '/%0d%0aSet-Cookie:x=y\r\nx: y',
  'javascript:alert(1)',
  'profile',
  '/login',
  '/login?return_to=/login',
  '/logout',
  '/한국어',
  `/${'x'.repeat(3000)}`,
]
for (const returnTo of elsewhere) {
  test(`return_to ${JSON.stringify(returnTo.slice(0, 40))} leads to /`, async t => {
    const server = await startServerWithAlice(t)
    const posted = await postFromPage(server, '/login', { username: 'alice', password, return_to: returnTo })
    t.deepEqual([posted.status, posted.headers.get('location')], [303, '/'])
    const cookie = await signInByCookie(server)
    const opened = await openPage(server, `/login?return_to=${encodeURIComponent(returnTo)}`, cookie)
    t.deepEqual([opened.status, opened.headers.get('location')], [303, '/'])
  })
}

test('return_to leads to a path of this site with its query, and to / when it is there twice', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  for (const [query = '', location = ''] of [
    ['return_to=/a/b%3Fc%3Dd%23e', '/a/b?c=d#e'],
    ['return_to=/', '/'],
    ['return_to=/a&return_to=/b', '/'],
    ['return_to=', '/profile'],
    ['', '/profile'],
  ]) {
    t.is((await openPage(server, `/login?${query}`, cookie)).headers.get('location'), location, query)
  }
})

test('property: wherever return_to says, the browser stays on this site', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const part = fc.constantFrom(
    '/',
    '\\',
    '.',
    ':',
    '@',
    '?',
    '#',
    '%2f',
    '%5c',
    'evil.example',
    'https',
    '\t',
    ' ',
    'a',
  )
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 8 }), async parts => {
      const returnTo = encodeURIComponent(parts.join(''))
      const { headers } = await openPage(server, `/login?return_to=${returnTo}`, cookie)
      const base = 'https://auth.example.com/login'
      t.is(new URL(headers.get('location') ?? '', base).origin, new URL(base).origin, parts.join(''))
    }),
    { seed: 1, numRuns: 200 },
  )
})

test('property: what a person or a device typed is text on the page, and never markup', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const markup = fc
    .array(fc.constantFrom('<', '>', '"', "'", '&', '<script>', '</form>', 'é', '\u202e', ' ', 'x', '`', '&lt;'), {
      minLength: 1,
      maxLength: 12,
    })
    .map(parts => parts.join(''))
  await fc.assert(
    fc.asyncProperty(markup, async text => {
      const refused = await postFromPage(server, '/login', { username: text, password: 'wrong', return_to: `/${text}` })
      const { refresh_token } = await server.signIn({ device: text })
      const account = await openPage(server, '/profile', cookie)
      for (const { body } of [refused, account]) {
        t.notRegex(body, /<script(?! src="\/assets\/)|value=""[^ >]|value="[^"]*[<>]/)
        t.is(body.split('<form').length, body.split('</form>').length, text)
      }
      await server.post('/revoke', { token: refresh_token, client_id: 'app' })
    }),
    { seed: 1, numRuns: 40 },
  )
})

test('an overlong field is told beside it, keeps what was typed but for the password, and no page exceeds 20 KB', async t => {
  const server = await startServerWithAlice(t)
  const secret = 'p'.repeat(1025)
  const username = '&'.repeat(15_000)
  const answer = await postFromPage(server, '/login', { username, password: secret, return_to: `/${'&'.repeat(1999)}` })
  t.is(answer.status, 400)
  t.true(isPage(answer))
  t.true(Buffer.byteLength(answer.body) < longestPage, String(Buffer.byteLength(answer.body)))
  t.regex(answer.body, new RegExp(`value="${'&amp;'.repeat(200)}`))
  t.false(answer.body.includes('pppp'))
  t.is([...answer.body.matchAll(/aria-invalid="true"/g)].length, 2)
  const program = await server.post('/login', { username: 'alice', password: secret })
  t.deepEqual([program.status, program.body.error], [400, 'invalid_request'])
})

test('the account page with the most and longest devices stays below 20 KB', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  for (let i = 0; i < 30; i++) {
    const headers = { 'user-agent': '<'.repeat(160) }
    const params = { grant_type: 'password', client_id: 'app', username: 'alice', password, device: '&'.repeat(64) }
    await server.token(params, headers)
  }
  for (const language of ['en', 'ko']) {
    const { body } = await openPage(server, '/profile', cookie, { 'accept-language': language })
    t.true(Buffer.byteLength(body) < longestPage, `${language}: ${Buffer.byteLength(body)}`)
  }
})

test('too many sign-ins at once are told by a page with Retry-After, and 503 to a program', async t => {
  const passwords = await createPasswords({ ...slowHashing, concurrency: 1, queue: 1 }, createTestRandom(t.title))
  const server = await startServerWithAlice(t, { passwords })
  const attempts = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      i % 2 === 0
        ? postFromPage(server, '/login', { username: 'alice', password })
        : server.post('/login', { username: 'alice', password }),
    ),
  )
  const busy = attempts.filter(({ status }) => status === 503)
  t.true(busy.length > 0)
  for (const answer of busy) {
    t.truthy(answer.headers.get('retry-after'))
    t.true(isPage(answer) || answer.body.error === 'temporarily_unavailable')
  }
  t.true(attempts.every(({ status }) => [200, 303, 503].includes(status)))
})

for (const [accept, type] of [
  [browserAccept, 'text/html'],
  ['application/json', 'application/json'],
]) {
  test(`405 and 413 come as ${type} too`, async t => {
    const server = await startServerWithAlice(t)
    const headers = { accept: accept! }
    const patched = await server.request('/profile', { method: 'PATCH', headers })
    t.deepEqual([patched.status, patched.headers.get('content-type')?.split(';')[0]], [405, type!])
    const large = await server.post('/login', { username: 'x'.repeat(70_000) }, headers)
    t.deepEqual([large.status, large.headers.get('content-type')?.split(';')[0]], [413, type!])
  })
}

test('behind a proxy that takes the path of the issuer off, every link, form and redirect has it', async t => {
  const server = await startServerWithAlice(t, { oauth: { issuer: 'https://example.com/auth' } })
  const cookie = await signInByCookie(server)
  for (const path of ['/', '/login', '/profile', '/profile/password', '/logout', '/nowhere', '/login?return_to=//x']) {
    const { body } = await openPage(server, path, path.startsWith('/login') ? undefined : cookie, {
      'sec-fetch-site': 'cross-site',
    })
    const links = [...body.matchAll(/ (?:href|action)="([^"]*)"/g)].map(([, link]) => link)
    t.true(links.length > 1, path)
    t.deepEqual(
      links.filter(link => !link.startsWith('/auth/') && !link.startsWith('#')),
      [],
      path,
    )
  }
  const location = async (answer: Promise<Answer>) => (await answer).headers.get('location')
  t.is(await location(openPage(server, '/profile')), '/auth/login?return_to=%2Fauth%2Fprofile')
  t.is(await location(openPage(server, '/login?return_to=/auth/login', cookie)), '/auth/')
  t.is(await location(openPage(server, '/login?return_to=/shop', cookie)), '/shop')
  t.is(await location(postFromPage(server, '/login', { username: 'alice', password })), '/auth/profile')
  t.is(await location(openPage(server, '/logout', cookie)), '/auth/logout')
})
