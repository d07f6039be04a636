/**
 * Sessions of one user without bound (CWE-770): a sign-in beyond the limit ends the session seen longest ago, lists come by pages
 * (RFC 8288), and what a page or a sign-in costs does not grow with what there is.
 */

import test, { type ExecutionContext } from 'ava'
import { auditEvent } from '../../src/audit/audit.ts'
import { countedEvent } from '../../src/sessions/end.ts'
import { createSession, firstGeneration } from '../../src/sessions/session.ts'
import { makeRoomFor } from '../../src/sessions/session_limit.ts'
import { openSqliteStorage } from '../../src/storage/sqlite/sqlite.ts'
import { endCrowds } from '../../src/upkeep.ts'
import { getByCookie, isSignedIn, liveSessions, signInByCookie } from '../_cookies.ts'
import { createDatabase, dialect } from '../_databases.ts'
import { createFolder, deployment, runCommand } from '../_process.ts'
import {
  createClock,
  issuer,
  oauthConfig,
  refusal,
  refused,
  type ServerOptions,
  startServer,
  startServerWithAlice,
  startTime,
  type TestServer,
} from '../_server.ts'
import { findSession } from '../_storages.ts'

const limited = (sessionLimit: number): ServerOptions => ({ oauth: { sessionLimit } })

const revocations = async ({ deps: { storage } }: TestServer) =>
  (await storage.listAuditEvents(1000, { type: 'session.revoked' })).map(({ detail }) => detail)

/** A server, and sessions of alice that were written into its database: the newest sign-in last, seen in an order of their own. */
async function startServerWithRows(t: ExecutionContext, count: number, options: ServerOptions = {}) {
  const { open, query, analyze } = await createDatabase(t)
  const server = await startServerWithAlice(t, { storage: await open(), ...options })
  const idOf = (i: number) => String(i).padStart(22, 's')
  // 7919 is a prime: each is seen at a time of its own.
  const seenAt = (i: number) => startTime - count + ((i * 7919) % count)
  const [padded, at] = [`'${'s'.repeat(22)}' || i`, startTime - 2 * count]
  await query(`INSERT INTO sessions (id, user_id, client_id, scope, audience, generation, parent_generation,
    rotated_at, created_at, auth_time, amr, last_seen_at, idle_expires_at, expires_at)
    WITH RECURSIVE places(i) AS (SELECT 0 WHERE ${count} > 0 UNION ALL SELECT i + 1 FROM places WHERE i < ${count - 1})
    SELECT substr(${padded}, length(${padded}) - 21), '${server.aliceId}', 'app', 'read write', '', ${firstGeneration},
      ${firstGeneration - 1}, ${at} + i, ${at} + i, ${at} + i, 'pwd', ${startTime - count} + (i * 7919) % ${count},
      ${startTime + 1000} + i, ${startTime + 1e6} FROM places`)
  await analyze()
  const rows = async () => Number((await query('SELECT count(*) AS rows FROM sessions'))[0]!.rows)
  return { server, idOf, seenAt, rows }
}

test('at a sign-in beyond the limit the session seen longest ago ends, with a reason and one audit event', async t => {
  const server = await startServerWithAlice(t, limited(3))
  const first = await server.signIn()
  server.clock.advance(10)
  const second = await server.signIn()
  server.clock.advance(10)
  const third = await server.signIn()
  server.clock.advance(10)
  const seen = (await server.refresh(first.refresh_token)).body
  const fourth = await server.signIn()

  t.deepEqual(refusal(await server.refresh(second.refresh_token)), refused(400, 'invalid_grant'))
  t.is((await server.me(second.access_token)).status, 401)
  for (const { refresh_token } of [seen, third, fourth]) t.is((await server.refresh(refresh_token)).status, 200)
  const [event] = await server.deps.storage.listAuditEvents(1, { type: 'session.revoked' })
  t.like(event, { userId: server.aliceId, clientId: 'app', detail: 'session_limit: 1', ip: '127.0.0.1' })
  t.is((await findSession(server.deps.storage, event!.sessionId!))?.revokedReason, 'session_limit')
})

test('the limit counts live sessions of one user and one client', async t => {
  const server = await startServerWithAlice(t, limited(2))
  await server.addClient({ id: 'other' })
  await server.addUser({ username: 'bob' })
  for (const params of [{}, {}, { client_id: 'other' }, { client_id: 'other' }, { username: 'bob' }])
    await server.signIn(params)
  t.is((await liveSessions(server)).length, 5)
  const { access_token } = await server.signIn()
  t.is((await liveSessions(server)).length, 5)
  await server.post('/logout', {}, server.bearer(access_token))
  await server.signIn()
  t.deepEqual(await revocations(server), ['logout: 1', 'session_limit: 1'])
})

test('sessions with a cookie are limited too', async t => {
  const server = await startServerWithAlice(t, limited(2))
  const cookies: string[] = []
  for (let i = 0; i < 3; i++) {
    cookies.push(await signInByCookie(server))
    server.clock.advance(1)
  }
  t.deepEqual(await Promise.all(cookies.map(cookie => isSignedIn(server, cookie))), [false, true, true])
})

test('of many sign-ins at the same moment no more than the limit are live', async t => {
  const server = await startServerWithAlice(t, limited(3))
  const signedIn = await Promise.all(Array.from({ length: 20 }, () => server.signIn()))
  t.is((await liveSessions(server)).length, 3)
  const answers = await Promise.all(signedIn.map(({ refresh_token }) => server.refresh(refresh_token)))
  t.is(answers.filter(({ status }) => status === 200).length, 3)
})

test('a sign-in is never what ends, though the clock was set back', async t => {
  const server = await startServerWithAlice(t, limited(2))
  await server.signIn()
  await server.signIn()
  server.clock.advance(-1000)
  const { access_token } = await server.signIn()
  t.is((await server.me(access_token)).status, 200)
  t.is((await liveSessions(server)).length, 2)
})

test('signing in and out all the time adds a bounded number of rows, of sessions that ended and of those that expired', async t => {
  const { server, rows } = await startServerWithRows(t, 0, limited(5))
  await server.addClient({ id: 'short', grantTypes: ['password'] })
  for (let i = 0; i < 110; i++) {
    const { access_token } = await server.signIn()
    await server.post('/logout', {}, server.bearer(access_token))
    await server.signIn({ client_id: 'short' })
    server.clock.advance(900)
  }
  t.true((await rows()) <= 2 * 5 + 100 + 1, `${await rows()}`)
})

test('a database that holds more comes below the limit in bounded steps: those seen last stay, all that ended is counted', async t => {
  const { server, idOf, seenAt, rows } = await startServerWithRows(t, 12_000)
  await server.addUser({ username: 'bob' })
  const bobs = await server.signIn({ username: 'bob' })
  const newest = await server.signIn()

  let position = ''
  const left: number[] = []
  do {
    position = await endCrowds(server.deps, position)
    left.push(await rows())
  } while (left.length < 5)

  t.true(
    left.every((count, i) => (left[i - 1] ?? 12_002) - count <= 5250),
    left.join(),
  )
  // A hundred are live, a hundred of those that the sign-in has ended are kept, and Bob has one.
  t.is(left.at(-1), 201)
  const live = await server.deps.storage.listLiveSessions({ userId: server.aliceId }, startTime, 1000)
  const expected = Array.from({ length: 12_000 }, (_, i) => i)
    .toSorted((a, b) => seenAt(b) - seenAt(a))
    .slice(0, 99)
  t.deepEqual(live.flatMap(({ id }) => (id.startsWith('s') ? id : [])).toSorted(), expected.map(idOf).toSorted())
  for (const { access_token } of [bobs, newest]) t.is((await server.me(access_token)).status, 200)
  const ended = (await revocations(server)).map(detail => Number(/^session_limit: (\d+)$/.exec(detail ?? '')?.[1]))
  t.is(
    ended.reduce((sum, count) => sum + count, 0),
    12_001 - 100,
  )
  t.is(live.length, 100)
  t.is(await endCrowds(server.deps, ''), '')
  t.is(await rows(), 201)
})

async function pagesOf(server: TestServer, accessToken: string, query: string, between = async () => {}) {
  const pages: string[][] = []
  let path: string | undefined = `/sessions${query}`
  while (path !== undefined) {
    const { status, headers, body } = await server.request(path, { headers: server.bearer(accessToken) })
    if (status !== 200) throw new Error(`${status}`)
    pages.push(body.sessions.map(({ id }: { id: string }) => id))
    const next: string | undefined = /^<(.*)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1]
    if (next?.startsWith(`${issuer}/sessions?`) === false) throw new Error(next)
    path = next?.slice(issuer.length)
    await between()
  }
  return pages
}

test('GET /sessions comes by pages: each session once, whatever is refreshed, ended or signed in meanwhile (RFC 8288)', async t => {
  const { server, idOf } = await startServerWithRows(t, 25)
  const { access_token, refresh_token } = await server.signIn()
  let token = refresh_token
  const pages = await pagesOf(server, access_token, '?limit=10', async () => {
    server.clock.advance(1)
    token = (await server.refresh(token)).body.refresh_token
    await server.signIn()
    await server.request(`/sessions/${idOf(3)}`, { method: 'DELETE', headers: server.bearer(access_token) })
  })
  t.deepEqual(
    pages.map(({ length }) => length),
    [10, 10, 5],
  )
  const expected = Array.from({ length: 25 }, (_, i) => idOf(i)).filter(id => id !== idOf(3))
  t.deepEqual(
    pages
      .flat()
      .filter(id => id.startsWith('s'))
      .toSorted(),
    expected.toSorted(),
  )
})

test('without a limit GET /sessions is a page of 200, and one that is the last has no Link', async t => {
  const { server } = await startServerWithRows(t, 204, limited(1000))
  const { access_token } = await server.signIn()
  t.deepEqual(
    (await pagesOf(server, access_token, '')).map(({ length }) => length),
    [200, 5],
  )
  const few = await startServerWithAlice(t)
  const answer = await few.request('/sessions', { headers: few.bearer((await few.signIn()).access_token) })
  t.deepEqual([answer.body.sessions.length, answer.headers.get('link')], [1, null])
})

for (const [query, isGood] of [
  ['limit=1', true],
  ['limit=200', true],
  ['limit=201', false],
  ['limit=0', false],
  ['limit=-1', false],
  ['limit=1e2', false],
  ['limit=', false],
  ['limit=1&limit=2', false],
  ['cursor=nobody', false],
  ['cursor=OWN', true],
  ['cursor=BOBS', false],
] as const) {
  test(`GET /sessions?${query} is ${isGood ? 'a page' : 'invalid_request'}`, async t => {
    const server = await startServerWithAlice(t)
    await server.addUser({ username: 'bob' })
    await server.signIn({ username: 'bob' })
    const { access_token } = await server.signIn()
    const [own, bobs] = [true, false].map(
      async isOwn => (await liveSessions(server)).find(({ userId }) => (userId === server.aliceId) === isOwn)!.id,
    )
    const path = `/sessions?${query.replace('OWN', (await own)!).replace('BOBS', (await bobs)!)}`
    const answer = await server.request(path, { headers: server.bearer(access_token) })
    if (isGood) t.is(answer.status, 200)
    else t.deepEqual(refusal(answer), refused(400, 'invalid_request'))
  })
}

test('a page passes over sessions that ended without looking at all of them', async t => {
  const { server } = await startServerWithRows(t, 5000, limited(10_000))
  server.clock.advance(1000 + 4500)
  const { access_token } = await server.signIn()
  server.clock.advance(-4500)
  const pages = await pagesOf(server, access_token, '?limit=100')
  t.is(new Set(pages.flat()).size, 5001 - 1001 + 1000)
})

test('the account page goes on from page to page beyond two hundred devices', async t => {
  const { server } = await startServerWithRows(t, 250, limited(1000))
  const cookie = await signInByCookie(server)
  const accept = { accept: 'text/html' }
  const ids = new Set<string>()
  let path: string | undefined = '/profile'
  while (path !== undefined) {
    const { status, body } = await getByCookie(server, path, cookie, accept)
    t.is(status, 200)
    for (const [, id] of (body as string).matchAll(/name="session" value="([^"]+)"/g)) ids.add(id!)
    path = /<a href="([^"]+)" rel="next">/.exec(body as string)?.[1]?.replaceAll('&amp;', '&')
  }
  t.is(ids.size, 251)
})

// Of either number PostgreSQL is asked as often for more, to get past those that the sign-in has ended.
const fewSessions = dialect === 'sqlite' ? 100 : 2000

test('a page of 200,000 sessions costs like one of a few, and so does a sign-in', async t => {
  const [many, few] = [await startServerWithRows(t, 200_000), await startServerWithRows(t, fewSessions)]
  const cpuOf = async (run: () => Promise<unknown>) => {
    await run()
    const before = process.cpuUsage()
    for (let i = 0; i < 20; i++) await run()
    const { user, system } = process.cpuUsage(before)
    return user + system
  }
  // The processor time of PostgreSQL is not ours to see; the fastest of some is what it takes where nobody is in the way.
  const fastestOf = async (run: () => Promise<unknown>) => {
    const all = []
    for (let i = 0; i < 20; i++) {
      const began = performance.now()
      await run()
      all.push(performance.now() - began)
    }
    return Math.min(...all)
  }
  // A look at every row would take a hundred times as long.
  const [costOf, maxRatio] = dialect === 'sqlite' ? [cpuOf, 4] : [fastestOf, 20]
  for (const ask of [
    async (server: TestServer, accessToken: string) =>
      server.request('/sessions?limit=100', { headers: server.bearer(accessToken) }),
    (server: TestServer) => server.signIn(),
  ]) {
    const costs = []
    for (const { server } of [many, few, many, few]) {
      const { access_token } = await server.signIn()
      costs.push(await costOf(() => ask(server, access_token)))
    }
    const [ofMany, ofFew] = [Math.min(costs[0]!, costs[2]!), Math.min(costs[1]!, costs[3]!)]
    t.true(ofMany < maxRatio * ofFew, `${costs}`)
  }
})

test('the lists of the command line are complete beyond a page: users, sessions, the audit trail', async t => {
  const environment = deployment(createFolder(t), { LATCHKEY_BOOTSTRAP: 'off' })
  const { storage } = openSqliteStorage(environment.LATCHKEY_DATABASE_URL!.slice('file:'.length))
  t.teardown(() => storage.close())
  const server = await startServer(t, { storage, clock: createClock(Math.floor(Date.now() / 1000)) })
  await server.addClient()
  const userIds = []
  for (let i = 0; i < 5; i++) userIds.push(await server.addUser({ username: `user${i}`, passwordHash: 'x' }))
  const users = Array.from({ length: 2100 }, (_, i) => ({
    id: `usr_${String(i).padStart(22, '0')}`,
    username: `name${i}`,
    passwordHash: 'x',
    credentialVersion: 1,
    createdAt: server.clock.now(),
  }))
  await storage.createUsers(users, { at: server.clock.now(), type: 'user.created' })
  const list = async (...args: string[]) => {
    const { stdout } = await runCommand([...args, '--json'], environment)
    const text = (await runCommand(args, environment)).stdout
    return { document: JSON.parse(stdout), lines: text.trimEnd().split('\n').length - 1 }
  }
  const all = await list('user', 'list')
  t.deepEqual([all.document.length, all.lines], [2105, 2105])
  t.is(new Set(all.document.map(({ id }: { id: string }) => id)).size, 2105)
  for (const [limit, count] of [
    ['1', 1],
    ['1000', 1000],
    ['2001', 2001],
    ['9999', 2107],
  ] as const) {
    const trail = await list('audit', '--limit', limit)
    t.deepEqual([trail.document.length, trail.lines], [count, count], limit)
  }
  t.deepEqual(await list('session', 'list'), { document: [], lines: 0 })
})

test('session list goes on by pages, last seen first', async t => {
  const { server, seenAt, idOf } = await startServerWithRows(t, 2500)
  const { storage } = server.deps
  const ids: string[] = []
  let last: { id: string; lastSeenAt: number } | undefined
  do {
    const page = await storage.listLiveSessions({}, startTime, 1000, last)
    ids.push(...page.map(({ id }) => id))
    last = page.at(-1)
  } while (last !== undefined)
  const expected = Array.from({ length: 2500 }, (_, i) => i).toSorted((a, b) => seenAt(b) - seenAt(a))
  t.deepEqual(ids, expected.map(idOf))
})

test('the limit is a hundred unless it is set', t => {
  t.is(oauthConfig.sessionLimit, 100)
})

test('room is made for a session that begins: the one seen longest ago ends, whatever the clock said before', t => {
  const signIn = { userId: 'usr_a', clientId: 'app', scope: '', audience: [], amr: ['pwd'] }
  const lifetimes = { idleLifetime: 10_000, absoluteLifetime: 100_000 }
  const make = (id: string, seenAt: number) =>
    createSession({ ...signIn, id, device: undefined, ip: undefined, userAgent: undefined }, seenAt, lifetimes)
  // Seen by a clock that was set back since.
  const others = [make('c', startTime + 90), make('b', startTime + 50), make('a', startTime + 70)]
  const room = (limit: number) => makeRoomFor(make('new', startTime), others, limit, startTime)
  t.deepEqual(room(4), { ended: [], forgotten: [] })
  t.deepEqual(
    room(3).ended.map(({ id }) => id),
    ['b'],
  )
  t.deepEqual(
    room(2).ended.map(({ id }) => id),
    ['a', 'b'],
  )
})

test('the audit trail says why sessions ended and how many, after what an event says already', t => {
  const event = auditEvent('session.revoked', startTime, {})
  t.is(countedEvent(event, 1, 'logout').detail, 'logout: 1')
  t.is(countedEvent({ ...event, detail: 'operator root' }, 2, 'logout').detail, 'operator root: logout: 2')
  t.is(countedEvent({ ...event, detail: 'session_limit' }, 3).detail, 'session_limit: 3')
})
