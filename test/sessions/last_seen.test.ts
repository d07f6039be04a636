/**
 * A thief who holds a copy of the tokens, beside the owner: no answer tells when the owner refreshes, and what the thief does at that
 * moment leaves a trace. RFC 9700 §4.14.
 */
import { BlockList } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { seenNow, shownOf } from '../../src/sessions/last_seen.ts'
import { createSession, type Session } from '../../src/sessions/session.ts'
import { signInByCookie, withCookie } from '../_cookies.ts'
import { type Answer, startServerWithAlice, startTime, type TestServer } from '../_server.ts'
import { findSession } from '../_storages.ts'

const day = 86_400
const lifetimes = { idleLifetime: 30 * day, absoluteLifetime: 365 * day }
const api = { client_id: 'api', client_secret: 'lks_api' }
const web = { client_id: 'web', client_secret: 'lks_web' }

type Tokens = { access_token: string; refresh_token: string }

/** From an address and by a program; the server believes the forwarding header of the test. */
type Place = Readonly<{ ip: string; userAgent: string }>
const headersOf = ({ ip, userAgent }: Place) => ({ 'x-forwarded-for': ip, 'user-agent': userAgent })

const home = { ip: '192.0.2.1', userAgent: 'App/1' }
const abroad = { ip: '198.51.100.9', userAgent: 'curl/8' }

async function startSite(t: ExecutionContext) {
  const trustProxy = new BlockList()
  trustProxy.addAddress('127.0.0.1')
  const server = await startServerWithAlice(t, { http: { trustProxy } })
  for (const { client_id: id, client_secret: secret } of [api, web]) {
    await server.addClient({ id, secret, isPublic: false, scope: 'read write openid' })
  }
  return server
}

const signIn = async (server: TestServer, place: Place, device: string): Promise<Tokens> => {
  const params = { grant_type: 'password', ...web, username: 'alice', password: 'correct horse battery staple', device }
  return (await server.token(params, headersOf(place))).body
}

const refresh = (server: TestServer, refresh_token: string, place: Place): Promise<Answer> =>
  server.token({ grant_type: 'refresh_token', ...web, refresh_token }, headersOf(place))

/** All that a thief can ask without refreshing: with the copied pair, a copied cookie, and the secrets of two clients. */
async function look(server: TestServer, { access_token, refresh_token }: Tokens, cookie: string): Promise<unknown[]> {
  const from = headersOf(abroad)
  const bearer = { ...server.bearer(access_token), ...from }
  const page = { ...withCookie(cookie), ...from, accept: 'text/html' }
  const jwt = 'application/token-introspection+jwt'
  const answers = await Promise.all([
    ...['/users/me', '/userinfo', '/sessions'].map(path => server.request(path, { headers: bearer })),
    server.post('/userinfo', { access_token }, from),
    server.request('/sessions/AAAAAAAAAAAAAAAAAAAAAA', { method: 'DELETE', headers: bearer }),
    ...['/', '/login', '/profile', '/profile?start=8', '/profile/password'].map(path =>
      server.request(path, { headers: page }),
    ),
    ...[api, web].flatMap(client =>
      [access_token, refresh_token].flatMap(token => [
        server.post('/introspect', { ...client, token, token_type_hint: 'refresh_token' }, from),
        server.post('/introspect', { ...client, token, token_type_hint: 'refresh_token' }, { ...from, accept: jwt }),
      ]),
    ),
    // Refusals that use nothing up.
    ...[{ ...web, scope: 'admin' }, { ...web, resource: 'https://other.example' }, api, { client_id: 'app' }].map(
      params => server.token({ grant_type: 'refresh_token', refresh_token, ...params }, from),
    ),
  ])
  return answers.map(({ status, headers, body }) => {
    const shown = [...headers].filter(([name]) => !['date', 'x-request-id', 'content-length'].includes(name))
    // A signature of ES256 is another one each time.
    return [status, shown, typeof body === 'string' && body.startsWith('eyJ') ? body.split('.')[1] : body]
  })
}

test('property: no answer to a holder of the tokens, or of a cookie, tells that the owner has refreshed', async t => {
  const place = fc.record({
    ip: fc.constantFrom('192.0.2.1', '198.51.100.77', '2001:db8::1'),
    userAgent: fc.constantFrom('App/1', 'App/2', ''),
  })
  const step = fc.record({ wait: fc.constantFrom(0, 1, 30, 59, 61, 900, 3599, 3600, 5000, day), place })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 4 }), step, fc.boolean(), async (steps, last, isOther) => {
      const server = await startSite(t)
      const [other, phone] = [await signIn(server, home, 'tablet'), await signIn(server, home, 'phone')]
      const cookie = await signInByCookie(server)
      let owned = phone
      for (const { wait, place } of steps) {
        server.clock.advance(wait)
        owned = (await refresh(server, owned.refresh_token, place)).body
      }
      server.clock.advance(last.wait)
      // What was copied may be of the session that is refreshed, or of its neighbour in the list.
      const copied = isOther ? other : owned
      // The cookie's own use moves its own session.
      await look(server, copied, cookie)
      const before = await look(server, copied, cookie)
      t.regex(JSON.stringify(before), /"token_use":"refresh_token"/)
      const { status } = await refresh(server, owned.refresh_token, last.place)
      t.is(status, 200)
      t.deepEqual(await look(server, copied, cookie), before)
    }),
    { seed: Number(process.env.FC_SEED ?? 1), numRuns: 25 },
  )
})

const session: Session = createSession(
  { id: 'a', userId: 'usr_alice', clientId: 'app', scope: 'read', audience: ['x'], amr: ['pwd'], ...home },
  startTime,
  lifetimes,
)

test('what moved in the past hour is shown from the full hour on, all of it', t => {
  const used = { ...session, ...seenNow(session, abroad, startTime + 7200) }
  const shown = (now: number) => {
    const { ip, userAgent, lastSeenAt } = shownOf(used, lifetimes, now)
    return { ip, userAgent, lastSeenAt: lastSeenAt - startTime }
  }
  for (const second of [7200, 7201, 10_799])
    t.deepEqual(shown(startTime + second), { ...home, lastSeenAt: 0 }, String(second))
  for (const second of [10_800, 20_000]) t.deepEqual(shown(startTime + second), { ...abroad, lastSeenAt: 7200 })
})

test('property: what is shown is never newer than it is, never before the sign-in, and live until it expires', t => {
  const step = fc.record({ wait: fc.nat(3 * day), place: fc.constantFrom(home, abroad, { ip: '192.0.2.1' }, {}) })
  const times = fc.record({ begin: fc.nat(day), wait: fc.nat(2 * day) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 6 }), times, (steps, { begin, wait }) => {
      let now = startTime + begin
      let used: Session = { ...session, createdAt: now, lastSeenAt: now, seenBeforeAt: now }
      for (const { wait, place } of steps) {
        now += wait
        used = { ...used, ...seenNow(used, place, now) }
      }
      now += wait
      const shown = shownOf(used, lifetimes, now)
      t.true(shown.lastSeenAt <= used.lastSeenAt && shown.lastSeenAt >= used.createdAt)
      t.true(shown.expiresAt > now && shown.expiresAt <= used.expiresAt)
      if (now - used.lastSeenAt >= 3600) {
        t.true(used.lastSeenAt - shown.lastSeenAt < 3600)
        t.is(shown.ip, used.ip)
      }
    }),
    { seed: 1 },
  )
})

test('a session of an older version, which has no earlier time, shows its sign-in until the hour is over', t => {
  const { seenBeforeAt: _, ...old } = { ...session, lastSeenAt: startTime + 4000 }
  t.is(shownOf(old, lifetimes, startTime + 5000).lastSeenAt, startTime)
  t.is(shownOf(old, lifetimes, startTime + 7200).lastSeenAt, startTime + 3600)
})

test('a session shows where it was last refreshed, and the operator sees at once when and from where', async t => {
  const server = await startSite(t)
  const phone = await signIn(server, home, 'phone')
  server.clock.advance(7100)
  const tablet = await signIn(server, home, 'tablet')
  await refresh(server, phone.refresh_token, { ip: '203.0.113.5', userAgent: `App/2 ${'x'.repeat(300)}` })

  const stored = await server.deps.storage.listLiveSessions({}, server.clock.now(), 10)
  const operators = stored.find(({ device }) => device === 'phone')!
  t.is(operators.lastSeenAt, startTime + 7100)
  t.deepEqual([operators.ip, operators.userAgent?.length], ['203.0.113.5', 160])
  const users = async () => {
    const { body } = await server.request('/sessions', { headers: server.bearer(tablet.access_token) })
    return body.sessions.find(({ device }: { device: string }) => device === 'phone')
  }
  t.like(await users(), { ip: '192.0.2.1', user_agent: 'App/1', last_seen_at: startTime })
  server.clock.advance(100)
  t.like(await users(), { ip: '203.0.113.5', user_agent: operators.userAgent, last_seen_at: startTime + 3600 })
})

/** Types and addresses, oldest first, of what was written about retries. */
async function retriesOf(server: TestServer) {
  const events = await server.deps.storage.listAuditEvents(1000)
  return events
    .filter(({ type }) => /retried/.test(type))
    .map(({ type, ip, detail }) => [type, ip, detail])
    .toReversed()
}

for (const [what, place] of [
  ['another address', { ...home, ip: abroad.ip }],
  ['another program', { ...home, userAgent: abroad.userAgent }],
  ['an IPv6 address', { ...home, ip: '2001:db8::1' }],
] as const) {
  test(`a retry from ${what} than the refresh it repeats gets the same answer and is in the audit trail, once a day`, async t => {
    const server = await startSite(t)
    let { refresh_token } = await signIn(server, home, 'phone')
    const expected = []
    for (const hours of [0, 1, 24, 1]) {
      server.clock.advance(hours * 3600)
      const first = await refresh(server, refresh_token, home)
      const retries = await Promise.all([1, 2, 3].map(() => refresh(server, refresh_token, place)))
      for (const { body } of retries) t.is(body.refresh_token, first.body.refresh_token)
      if (hours !== 1)
        expected.push(['session.retried_elsewhere', place.ip, 'repeats a refresh from 192.0.2.1 by App/1'])
      t.deepEqual(await retriesOf(server), expected)
      refresh_token = first.body.refresh_token
    }
  })
}

test('a late retry from elsewhere is in the audit trail as both', async t => {
  const server = await startSite(t)
  const { refresh_token } = await signIn(server, home, 'phone')
  await refresh(server, refresh_token, home)
  server.clock.advance(3600)
  t.is((await refresh(server, refresh_token, abroad)).status, 200)
  t.deepEqual(await retriesOf(server), [
    ['session.late_retried', abroad.ip, undefined],
    ['session.retried_elsewhere', abroad.ip, 'repeats a refresh from 192.0.2.1 by App/1'],
  ])
})

for (const [what, first, again] of [
  ['the same address and program', home, home],
  [
    'another address of the same IPv6 /64 (RFC 8981)',
    { ...home, ip: '2001:db8::1' },
    { ...home, ip: '2001:db8::aaaa:2' },
  ],
] as const) {
  test(`a retry from ${what} writes nothing`, async t => {
    const server = await startSite(t)
    const { refresh_token } = await signIn(server, home, 'phone')
    await refresh(server, refresh_token, first)
    const [before] = await server.deps.storage.listLiveSessions({}, server.clock.now(), 10)
    server.clock.advance(60)
    t.is((await refresh(server, refresh_token, again)).status, 200)
    t.deepEqual(await retriesOf(server), [])
    t.deepEqual(await findSession(server.deps.storage, before!.id), before)
  })
}

test('the refresh of a client that changes its network and program at each one writes no event and adds no row', async t => {
  const server = await startSite(t)
  let { refresh_token } = await signIn(server, home, 'phone')
  const before = (await server.deps.storage.listAuditEvents(1000)).length
  for (const place of [abroad, home, abroad, home]) {
    server.clock.advance(900)
    refresh_token = (await refresh(server, refresh_token, place)).body.refresh_token
  }
  t.is((await server.deps.storage.listAuditEvents(1000)).length, before)
  t.is((await server.deps.storage.listLiveSessions({}, server.clock.now(), 10)).length, 1)
})
