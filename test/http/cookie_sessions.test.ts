/** Signing in with a cookie, over HTTP: POST /login, GET /profile, /logout. RFC 6265; OWASP session management and CSRF. */
import { once } from 'node:events'
import { request } from 'node:http'
import test from 'ava'
import fc from 'fast-check'
import { cookieName } from '../../src/http/browser/cookies.ts'
import { disabledUpdate } from '../../src/sessions/user_change.ts'
import {
  browserAccept,
  getByCookie,
  isSignedIn,
  liveSessions,
  ofPage,
  postFromPage,
  setCookieValue,
  signInByCookie,
  stateOf,
  withCookie,
} from '../_cookies.ts'
import { createTestSecrets, issuer, password, startServerWithAlice } from '../_server.ts'

for (const [type, body] of Object.entries({
  'application/x-www-form-urlencoded': new URLSearchParams({ username: 'alice', password }).toString(),
  'application/json': JSON.stringify({ username: 'alice', password }),
})) {
  test(`POST /login as ${type} signs in, and the cookie shows who it is`, async t => {
    const server = await startServerWithAlice(t)
    const answer = await server.request('/login', { method: 'POST', body, headers: { 'content-type': type } })
    t.deepEqual([answer.status, answer.body], [200, { message: 'Login successful' }])
    t.is(answer.headers.get('cache-control'), 'no-store')
    const profile = await getByCookie(server, '/profile', setCookieValue(answer)!)
    t.deepEqual([profile.status, profile.body], [200, { username: 'alice' }])
  })
}

test('POST /login with a wrong password, an unknown or a disabled user is the same 401, with detail and error, and no cookie', async t => {
  const server = await startServerWithAlice(t)
  await server.addUser({ username: 'bob', disabledAt: server.clock.now() })
  for (const params of [
    { username: 'alice', password: 'wrong' },
    { username: 'nobody', password },
    { username: 'bob', password },
  ]) {
    const { status, headers, body } = await server.post('/login', params)
    t.is(status, 401)
    t.deepEqual(body, {
      error: 'invalid_grant',
      error_description: 'the username or password is wrong',
      detail: 'Incorrect username or password',
    })
    t.deepEqual(headers.getSetCookie(), [])
  }
  t.deepEqual(await liveSessions(server), [])
})

test('GET /profile without a cookie is 401 Not authenticated', async t => {
  const server = await startServerWithAlice(t)
  const { status, headers, body } = await server.request('/profile')
  t.deepEqual([status, body.detail], [401, 'Not authenticated'])
  t.truthy(headers.get('www-authenticate'))
})

test('on https the cookie is __Host-, Secure, HttpOnly, SameSite=Lax and lives as long as the session may rest', async t => {
  const server = await startServerWithAlice(t)
  const { headers } = await server.post('/login', { username: 'alice', password })
  const [cookie = '', ...more] = headers.getSetCookie()
  t.deepEqual(more, [])
  t.regex(cookie, /^__Host-latchkey-1ce18487=lkc_[\w-]+; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure$/)
})

test('on http, which is loopback only, the cookie is neither __Host- nor Secure', async t => {
  const server = await startServerWithAlice(t, { oauth: { issuer: 'http://localhost:3000' } })
  const { headers } = await server.post('/login', { username: 'alice', password })
  t.regex(
    headers.getSetCookie()[0] ?? '',
    /^latchkey-f1de9e48=lkc_[\w-]+; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/,
  )
})

/** Two servers on two ports of one host: a browser sends the cookies of both to each (RFC 6265 §8.5). */
test('two servers on two ports of one host leave each other’s cookie alone, in every answer (RFC 6265 §8.5)', async t => {
  const start = (port: number, seed: string) =>
    startServerWithAlice(t, {
      oauth: { issuer: `http://localhost:${port}` },
      secrets: createTestSecrets(seed),
    })
  const [one, two] = await Promise.all([start(3000, 'one'), start(3001, 'two')])
  const jar = new Map<string, string>()
  const ask = async (server: typeof one, path: string, params?: Record<string, string>) => {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const init = params && { method: 'POST', body: new URLSearchParams(params) }
    const { status, headers } = await server.request(path, { ...init, headers: { cookie } })
    for (const line of headers.getSetCookie()) {
      const [, name = '', value = '', maxAge] = /^([^=]+)=([^;]*);.* Max-Age=(\d+)/.exec(line)!
      if (maxAge === '0') jar.delete(name)
      else jar.set(name, value)
    }
    return status
  }
  const credentials = { username: 'alice', password }

  t.deepEqual([await ask(one, '/login', credentials), await ask(two, '/login', credentials)], [200, 200])
  t.is(jar.size, 2)
  t.deepEqual([await ask(one, '/profile'), await ask(two, '/profile')], [200, 200])
  t.is(await ask(one, '/logout', {}), 200)
  t.deepEqual([await ask(one, '/profile'), await ask(two, '/profile')], [401, 200])
  t.deepEqual([...jar.keys()], [cookieName('http://localhost:3001')])
})

test('a cookie of the name before the issuer was in it goes on, and gets the name of today', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const answer = await server.request('/profile', { headers: withCookie(cookie, '__Host-latchkey') })
  t.is(answer.status, 200)
  t.is(setCookieValue(answer), cookie)
  t.regex(
    answer.headers.getSetCookie()[1] ?? '',
    /^__Host-latchkey=; Path=\/; Max-Age=0; HttpOnly; SameSite=Lax; Secure$/,
  )

  const signedOut = await server.post('/logout', {}, withCookie(cookie, '__Host-latchkey'))
  t.deepEqual([signedOut.status, setCookieValue(signedOut), signedOut.headers.getSetCookie().length], [200, '', 2])
  t.false(await isSignedIn(server, cookie))
})

test('a cookie of the former name that another server made, or that is there twice, is nobody’s and stays', async t => {
  const server = await startServerWithAlice(t)
  const foreign = await startServerWithAlice(t, { secrets: createTestSecrets('another') })
  const own = await signInByCookie(server)
  for (const value of [await signInByCookie(foreign), 'x', `${own}; __Host-latchkey=${own}`]) {
    const answer = await server.request('/profile', { headers: withCookie(value, '__Host-latchkey') })
    t.deepEqual([answer.status, answer.headers.getSetCookie()], [401, []], value)
  }
  t.true(await isSignedIn(server, own))
})

test('each sign-in makes another value; one that was there before is not adopted, and its session ends', async t => {
  const server = await startServerWithAlice(t)
  const first = await signInByCookie(server)
  const answer = await server.post('/login', { username: 'alice', password }, withCookie(first))
  const second = setCookieValue(answer)!
  t.not(second, first)
  t.false(Buffer.from(second, 'base64url').includes(server.aliceId))
  t.false(await isSignedIn(server, first))
  t.true(await isSignedIn(server, second))
  t.is((await liveSessions(server)).length, 1)
})

test('a refused sign-in leaves the session as it was', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const { status, headers } = await server.post('/login', { username: 'alice', password: 'wrong' }, withCookie(cookie))
  t.deepEqual([status, headers.getSetCookie()], [401, []])
  t.true(await isSignedIn(server, cookie))
})

for (const method of ['POST', 'GET']) {
  test(`promise 4: ${method} /logout ends the session on the server and clears the cookie, which is dead if replayed`, async t => {
    const server = await startServerWithAlice(t)
    const cookie = await signInByCookie(server)
    const other = await signInByCookie(server)
    const answer = await server.request('/logout', { method, headers: withCookie(cookie) })
    t.deepEqual([answer.status, answer.body], [200, { message: 'Logout successful' }])
    t.is(setCookieValue(answer), '')
    t.is(answer.headers.get('clear-site-data'), null)
    t.false(await isSignedIn(server, cookie))
    t.true(await isSignedIn(server, other))
  })
}

test('a session with a cookie is a row like any other: listed, and ended by a token of the same user', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const { access_token } = await server.signIn()
  const { body } = await server.request('/sessions', { headers: server.bearer(access_token) })
  const listed = body.sessions.find(({ client_id }: { client_id: string }) => client_id === 'browser')
  t.false(listed.current)
  t.true(await isSignedIn(server, cookie))
  await server.request(`/sessions/${listed.id}`, { method: 'DELETE', headers: server.bearer(access_token) })
  t.false(await isSignedIn(server, cookie))
})

for (const [what, end] of Object.entries({
  'POST /logout?scope=all of another device': async server => {
    const { access_token } = await server.signIn()
    await server.post('/logout?scope=all', {}, server.bearer(access_token))
  },
  'a password change': async server => {
    const { access_token } = await server.signIn()
    const change = { current_password: password, new_password: 'seven lamps over the harbour' }
    const { status } = await server.request('/users/me/password', {
      method: 'PUT',
      body: new URLSearchParams(change),
      headers: server.bearer(access_token),
    })
    if (status !== 200) throw new Error(`not changed: ${status}`)
  },
  'disabling the user': async server => {
    const event = { at: server.clock.now(), type: 'user.disabled' } as const
    await server.deps.storage.changeUser(server.aliceId, disabledUpdate(true, event))
  },
  'resting for longer than the idle lifetime': async server => server.clock.advance(30 * 86_400),
} satisfies Record<string, (server: Awaited<ReturnType<typeof startServerWithAlice>>) => Promise<void> | void>)) {
  test(`${what} ends a session with a cookie, which is cleared when it comes again`, async t => {
    const server = await startServerWithAlice(t)
    const cookie = await signInByCookie(server)
    t.true(await isSignedIn(server, cookie))
    await end(server)
    const answer = await getByCookie(server, '/profile', cookie)
    t.is(answer.status, 401)
    t.is(setCookieValue(answer), '')
  })
}

test('a cookie in use is kept alive, up to the absolute lifetime', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  let extended = 0
  for (let day = 0; day < 360; day += 20) {
    server.clock.advance(20 * 86_400)
    const answer = await getByCookie(server, '/profile', cookie)
    t.is(answer.status, 200, `day ${day}`)
    if (setCookieValue(answer) === cookie) extended++
  }
  t.is(extended, 18)
  server.clock.advance(5 * 86_400)
  t.is((await getByCookie(server, '/profile', cookie)).status, 401)
})

test('any changed character makes a cookie nobody’s, and it is cleared', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const character = fc.constantFrom(...'ABCXYZabcxyz0189-_')
  await fc.assert(
    fc.asyncProperty(fc.nat(cookie.length - 1), character, async (at, other) => {
      const forged = cookie.slice(0, at) + other + cookie.slice(at + 1)
      if (forged === cookie) return
      const answer = await getByCookie(server, '/profile', forged)
      t.deepEqual([answer.status, setCookieValue(answer)], [401, ''], forged)
    }),
    { seed: 1, numRuns: 100 },
  )
  t.true(await isSignedIn(server, cookie))
})

test('a cookie that is there twice, of another server, a refresh token or nonsense is nobody’s', async t => {
  const server = await startServerWithAlice(t)
  const foreign = await startServerWithAlice(t, { secrets: createTestSecrets('another') })
  const cookie = await signInByCookie(server)
  const { refresh_token } = await server.signIn()
  const values = [
    `${cookie}; ${cookieName(issuer)}=${cookie}`,
    `${cookie}; ${cookieName(issuer)}=x`,
    await signInByCookie(foreign),
    refresh_token,
    refresh_token.replace('lkr_', 'lkc_'),
    '',
    'x'.repeat(4000),
    `"${cookie}"`,
  ]
  for (const value of values) {
    const answer = await getByCookie(server, '/profile', value)
    t.deepEqual([answer.status, setCookieValue(answer)], [401, ''], value)
  }
  t.true(await isSignedIn(server, `${cookie}; other=1`))
})

test('a cookie is no refresh token and no access token (one key for each purpose)', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  t.is((await server.refresh(cookie)).status, 400)
  t.is((await server.refresh(cookie.replace('lkc_', 'lkr_'))).status, 400)
  t.is((await server.me(cookie)).status, 401)
  t.true(await isSignedIn(server, cookie))
})

const otherSites: Record<string, Record<string, string>> = {
  'Sec-Fetch-Site: cross-site': { 'sec-fetch-site': 'cross-site' },
  'Sec-Fetch-Site: same-site': { 'sec-fetch-site': 'same-site' },
  'the Origin of another site': { origin: 'https://evil.example' },
  'the Origin of another port': { origin: 'https://auth.example.com:8443' },
  'Origin: null': { origin: 'null' },
}
const changes = [
  ['POST', '/login', { username: 'alice', password }],
  ['POST', '/logout', {}],
  ['POST', '/profile/sign-out', { scope: 'all' }],
  [
    'POST',
    '/profile/password',
    { current_password: password, new_password: 'seven lamps over', new_password_repeat: 'seven lamps over' },
  ],
] as const

for (const [what, headers] of Object.entries(otherSites)) {
  for (const [method, path, params] of changes) {
    test(`${method} ${path} with ${what} is 403 and changes nothing, and the cookie stays`, async t => {
      const server = await startServerWithAlice(t)
      const cookie = await signInByCookie(server)
      const before = await stateOf(server)
      for (const accept of [browserAccept, 'application/json']) {
        for (const sent of [withCookie(cookie), {}]) {
          const answer = await server.post(path, { ...params }, { ...sent, ...headers, accept })
          // Nobody's request to sign out, to a program, is that of somebody without a token.
          if (path === '/logout' && !('cookie' in sent) && accept !== browserAccept) continue
          t.is(answer.status, 403, accept)
          t.is(answer.headers.get('content-type')?.split(';')[0], accept === browserAccept ? 'text/html' : accept)
          t.deepEqual(answer.headers.getSetCookie(), [])
        }
      }
      t.deepEqual(await stateOf(server), before)
      t.true(await isSignedIn(server, cookie))
      // The twin: from a page of our own.
      const { status } = await postFromPage(server, path, { ...params }, cookie)
      t.is(status, 303)
    })
  }
}

for (const host of ['127.0.0.1', 'localhost', '[::1]']) {
  test(`a browser without Fetch Metadata signs in at ${host}, whichever name of this machine the issuer has`, async t => {
    const server = await startServerWithAlice(t, { oauth: { issuer: 'http://localhost:3000' } })
    const signIn = async (headers: Record<string, string>) => {
      const body = new URLSearchParams({ username: 'alice', password }).toString()
      const sent = { accept: browserAccept, 'content-type': 'application/x-www-form-urlencoded', ...headers }
      const asked = request(`${server.url}/login`, { method: 'POST', headers: sent }).end(body)
      const [answer] = await once(asked, 'response')
      answer.resume()
      return answer.statusCode
    }
    t.is(await signIn({ host: `${host}:3000`, origin: `http://${host}:3000` }), 303)
    t.is(await signIn({ host: `${host}:3000`, origin: `http://${host}:3001` }), 403, 'another port')
    t.is(await signIn({ host: 'evil.example:3000', origin: 'http://evil.example:3000' }), 403, 'a name that leads here')
    const elsewhere = await startServerWithAlice(t)
    const local = { host: `${host}:3000`, origin: `http://${host}:3000`, accept: browserAccept }
    t.is((await elsewhere.post('/login', { username: 'alice', password }, local)).status, 403, 'a public issuer')
  })
}

/** What Chromium, Firefox and Safari send besides for a page that somebody opens. */
const navigation = { accept: browserAccept, 'sec-fetch-dest': 'document', 'sec-fetch-user': '?1' }
const fromHere = { ...navigation, 'sec-fetch-site': 'same-origin' }

for (const [what, headers, method = 'GET'] of [
  ['from another site', { ...navigation, 'sec-fetch-site': 'cross-site' }],
  ['from a neighbour of the site', { ...navigation, 'sec-fetch-site': 'same-site' }],
  ['typed, from a bookmark or from a mail', { ...navigation, 'sec-fetch-site': 'none' }],
  ['of a browser that says nothing of where it comes from', { accept: browserAccept }],
  ['of Chromium that looks ahead', { ...fromHere, 'sec-purpose': 'prefetch' }],
  ['of Chromium that renders ahead', { ...fromHere, 'sec-purpose': 'prefetch;prerender' }],
  ['of an older Chromium or Safari that looks ahead', { ...fromHere, purpose: 'prefetch' }],
  ['of Safari that makes a preview', { ...fromHere, 'x-purpose': 'preview' }],
  ['of an older Firefox that looks ahead', { ...fromHere, 'x-moz': 'prefetch' }],
  ['in a frame', { ...fromHere, 'sec-fetch-dest': 'iframe' }],
  ['by HEAD', fromHere, 'HEAD'],
] as [string, Record<string, string>, string?][]) {
  test(`GET /logout ${what} asks first and changes nothing, and its button signs out (RFC 9110 §9.2.1, CWE-352)`, async t => {
    const server = await startServerWithAlice(t)
    const cookie = await signInByCookie(server)
    for (const path of ['/logout', '/logout?scope=all']) {
      const answer = await server.request(path, { method, headers: { ...withCookie(cookie), ...headers } })
      t.is(answer.status, 200)
      t.deepEqual([answer.headers.getSetCookie(), answer.headers.get('clear-site-data')], [[], null])
      if (method === 'GET') t.regex(answer.body, /<form [^>]*method="post" action="\/logout"/)
    }
    t.true(await isSignedIn(server, cookie))

    const signedOut = await postFromPage(server, '/logout', {}, cookie)
    t.deepEqual([signedOut.status, setCookieValue(signedOut)], [303, ''])
    t.false(await isSignedIn(server, cookie))
  })
}

for (const [what, headers, method = 'GET'] of [
  [
    'a picture of a page of ours',
    { accept: 'image/avif,image/webp,*/*;q=0.8', 'sec-fetch-site': 'same-origin', 'sec-fetch-dest': 'image' },
  ],
  [
    'a picture of another site',
    { accept: 'image/*,*/*;q=0.8', 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'image' },
  ],
  ['fetch() of a page of ours', { 'sec-fetch-site': 'same-origin', 'sec-fetch-dest': 'empty' }],
  ['a program that looks ahead', { purpose: 'prefetch' }],
  ['HEAD of a program', {}, 'HEAD'],
] as [string, Record<string, string>, string?][]) {
  test(`GET /logout by ${what} is 403 and changes nothing; POST signs out (RFC 9110 §9.2.1)`, async t => {
    const server = await startServerWithAlice(t)
    const cookie = await signInByCookie(server)
    const { status, headers: answered } = await server.request('/logout', {
      method,
      headers: { ...withCookie(cookie), ...headers },
    })
    t.deepEqual([status, answered.getSetCookie(), answered.get('clear-site-data')], [403, [], null])
    t.true(await isSignedIn(server, cookie))
    const fetched = { 'sec-fetch-site': 'same-origin', 'sec-fetch-dest': 'empty' }
    const signedOut = await server.post('/logout', {}, { ...withCookie(cookie), ...fetched })
    t.deepEqual([signedOut.status, signedOut.headers.get('clear-site-data')], [200, null])
    t.false(await isSignedIn(server, cookie))
  })
}

for (const [what, headers, status] of [
  ['a link of our own page', fromHere, 303],
  ['a link of our own page, in a browser that says no more than that', ofPage, 303],
  ['a program', {}, 200],
  ['a program that takes JSON', { accept: 'application/json' }, 200],
] as const) {
  test(`GET /logout by ${what} signs out at once`, async t => {
    const server = await startServerWithAlice(t)
    const cookie = await signInByCookie(server)
    const answer = await getByCookie(server, '/logout', cookie, headers)
    t.deepEqual([answer.status, setCookieValue(answer)], [status, ''])
    // Or Back would show a page that the browser has kept.
    t.is(answer.headers.get('clear-site-data'), status === 303 ? '"cache"' : null)
    t.false(await isSignedIn(server, cookie))
  })
}

test('a dead cookie empties the cache of a browser only where a person opens a page', async t => {
  const server = await startServerWithAlice(t)
  for (const [headers, cleared] of [
    [fromHere, '"cache"'],
    [{ 'sec-fetch-site': 'same-origin', 'sec-fetch-dest': 'empty' }, null],
    [{}, null],
  ] as const) {
    const answer = await getByCookie(server, '/profile', 'dead', headers)
    t.deepEqual([setCookieValue(answer), answer.headers.get('clear-site-data')], ['', cleared])
  }
})

test('POST /logout?scope=others keeps this session and its cookie; an unknown scope changes nothing', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const other = await signInByCookie(server)
  const wrong = await server.post('/logout?scope=some', {}, withCookie(cookie))
  t.deepEqual([wrong.status, wrong.headers.getSetCookie()], [400, []])
  t.true(await isSignedIn(server, other))
  const answer = await server.post('/logout?scope=others', {}, withCookie(cookie))
  t.deepEqual([answer.status, answer.headers.getSetCookie()], [200, []])
  t.true(await isSignedIn(server, cookie))
  t.false(await isSignedIn(server, other))
})

test('a session of another client cannot be used as a cookie, nor ended by another user', async t => {
  const server = await startServerWithAlice(t)
  await server.addUser({ username: 'bob' })
  const bob = await signInByCookie(server, { username: 'bob' })
  const alice = await signInByCookie(server)
  const session = (await liveSessions(server)).find(({ userId }) => userId === server.aliceId)!
  await postFromPage(server, '/profile/sign-out', { session: session.id }, bob)
  t.true(await isSignedIn(server, alice))
  await postFromPage(server, '/profile/sign-out', { session: session.id }, alice)
  t.false(await isSignedIn(server, alice))
})

test('nonsense bodies to the browser endpoints are refused with a 4xx and change nothing', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const before = await stateOf(server)
  const body = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.constantFrom('{', '[]', '{"username":1,"password":[]}', 'null', '{"__proto__":{"a":"b"}}', 'a[b]=c&a=d', '%'),
    fc.json().map(text => text.slice(0, 2000)),
  )
  const type = fc.constantFrom(
    'application/json',
    'application/x-www-form-urlencoded',
    'text/plain',
    'application/json; charset=utf-16',
    'multipart/form-data; boundary=x',
  )
  const path = fc.constantFrom('/login', '/profile/sign-out', '/profile/password')
  await fc.assert(
    fc.asyncProperty(path, type, body, fc.boolean(), async (path, type, text, isBrowser) => {
      const { status, headers } = await server.request(path, {
        method: 'POST',
        body: text,
        headers: { ...withCookie(cookie), 'content-type': type, accept: isBrowser ? browserAccept : '*/*' },
      })
      t.true(status >= 400 && status < 500, `${status} ${path} ${type} ${text}`)
      t.is(headers.get('cache-control'), 'no-store')
    }),
    { seed: Number(process.env.FC_SEED ?? 1), numRuns: 150 },
  )
  t.deepEqual(await stateOf(server), before)
})
