/** `/metrics`, over HTTP. */
import test from 'ava'
import fc from 'fast-check'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { noObserver } from '../../src/observer.ts'
import { addTotp } from '../_factors.ts'
import { type Answer, password, startServerWithAlice, type TestContext, type TestServer } from '../_server.ts'
import { byPassword, createApp } from '../oauth/_challenge.ts'
import { growth, parseMetrics } from './_scrape.ts'

type Scraping = Pick<TestServer, 'startAdmin'>

async function scrape(server: Scraping) {
  const { status, body, headers } = await (await server.startAdmin()).request('/metrics')
  if (status !== 200) throw new Error(`/metrics answered ${status}`)
  return { metrics: parseMetrics(body), text: String(body), headers }
}

/** @returns what `run` has added to the series whose names begin with `prefix` */
async function counted(server: Scraping, prefix: string, run: () => Promise<unknown>) {
  const { metrics } = await scrape(server)
  await run()
  return growth(metrics, (await scrape(server)).metrics, prefix)
}

const refreshes = (outcome: string) => ({ [`latchkey_refresh_total{outcome="${outcome}"}`]: 1 })
const signIns = (outcome: string) => ({ [`latchkey_sign_in_total{outcome="${outcome}"}`]: 1 })

test('each refresh is counted once, by what becomes of its token', async t => {
  const server = await startServerWithAlice(t)
  await server.addClient({ id: 'other' })
  const { refresh_token: first } = await server.signIn()
  const is = async (outcome: string, token: string, params?: Record<string, string>) =>
    t.deepEqual(
      await counted(server, 'latchkey_refresh_total', () => server.refresh(token, params)),
      refreshes(outcome),
      outcome,
    )
  const next = async (token: string): Promise<string> => (await server.refresh(token)).body.refresh_token

  await is('rotated', first)
  await is('retried', first)
  server.clock.advance(61)
  await is('late_retried', first)
  await is('unreadable', `${first}x`)
  await is('foreign', await next((await server.signIn()).refresh_token), { client_id: 'other' })
  await is('scope_exceeded', (await server.signIn()).refresh_token, { scope: 'admin' })
  await is('target_exceeded', (await server.signIn()).refresh_token, { resource: 'https://elsewhere.example' })

  const { refresh_token: stolen } = await server.signIn()
  await next(await next(stolen))
  await is('reused', stolen)
  await is('revoked', stolen)

  const { refresh_token: late } = await server.signIn()
  server.clock.advance(31 * 86_400)
  await is('expired', late)
})

test('each step of a sign-in is counted once, by what becomes of it', async t => {
  const server = await startServerWithAlice(t, { throttle: { account: 1 } })
  const signIn = (given: string) =>
    server.token({ grant_type: 'password', client_id: 'app', username: 'alice', password: given })
  const is = async (outcome: string, run: () => Promise<unknown>) =>
    t.deepEqual(await counted(server, 'latchkey_sign_in_total', run), signIns(outcome), outcome)

  await is('signed_in', () => signIn(password))
  await is('refused', () => signIn('wrong'))
  await is('refused', () =>
    server.token({ grant_type: 'password', client_id: 'app', username: 'nobody', password: 'wrong' }),
  )
  for (let tries = 0; tries < 5; tries++) await signIn('wrong')
  await is('throttled', () => signIn('wrong'))
})

test('a second factor that is owed, and a wrong, used, throttled and right one are counted once each, at whichever endpoint', async t => {
  const server = await startServerWithAlice(t)
  const phone = await addTotp(server, server.aliceId)
  const { challenge, exchange } = createApp(server)
  const signIn = (otp?: string) =>
    server.token({ grant_type: 'password', client_id: 'app', ...byPassword, ...(otp !== undefined && { otp }) })
  const is = async (expected: Record<string, number>, run: () => Promise<Answer>): Promise<Answer> => {
    let answer: Answer
    t.deepEqual(await counted(server, 'latchkey_sign_in_total', async () => (answer = await run())), expected)
    return answer!
  }

  await is(signIns('factor_owed'), () => signIn())
  await is(signIns('factor_refused'), () => signIn('wrong'))
  await is(signIns('signed_in'), () => signIn(phone.code()))
  await is(signIns('factor_refused'), () => signIn(phone.code()))

  const { auth_session } = (await is(signIns('factor_owed'), () => challenge(byPassword))).body
  await is(signIns('factor_refused'), () => challenge({ auth_session, otp: 'wrong' }))
  server.clock.advance(30)
  const issued = await is(signIns('signed_in'), () => challenge({ auth_session, otp: phone.code() }))
  t.is((await is({}, () => exchange(issued.body.authorization_code))).status, 200)

  const anybody = (await is({}, () => challenge({}))).body
  await is(signIns('refused'), () => challenge({ auth_session: anybody.auth_session, passkey: '{}' }))

  for (let tries = 0; tries < 10; tries++) await signIn('wrong')
  await is(signIns('throttled'), () => signIn(phone.code(1)))
})

test('a request is counted by its route and status, and a refusal by its code', async t => {
  const server = await startServerWithAlice(t)
  const { access_token } = await server.signIn()
  const count = 'http_server_request_duration_seconds_count'
  const series = (method: string, route: string, status: number) =>
    `${count}{http_request_method="${method}",http_route="${route}",http_response_status_code="${status}"}`
  const own = series('GET', '/metrics', 200)

  t.deepEqual(await counted(server, count, () => server.me(access_token)), {
    [series('GET', '/users/me', 200)]: 1,
    [own]: 1,
  })
  const gone = () => server.request('/sessions/nothing', { method: 'DELETE', headers: server.bearer(access_token) })
  t.deepEqual(await counted(server, count, gone), { [series('DELETE', '/sessions/{id}', 404)]: 1, [own]: 1 })
  t.deepEqual(await counted(server, count, () => server.request('/nowhere')), {
    [series('_OTHER', 'unmatched', 404)]: 1,
    [own]: 1,
  })
  t.deepEqual(await counted(server, 'latchkey_refusals_total', () => server.me('not-a-token')), {
    'latchkey_refusals_total{code="invalid_token"}': 1,
  })
})

test('property: whatever strangers send, no series is made of it', async t => {
  const server = await startServerWithAlice(t)
  const wellKnown = ['/token', '/users/me', '/sessions/x', '/login', '/health/live']
  const methods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND', 'OPTIONS']
  const send = (method: string, path: string, client: string) =>
    server.request(path, {
      method,
      ...(method === 'POST' && {
        body: new URLSearchParams({ grant_type: 'password', client_id: client, username: client, password: client }),
      }),
    })
  // Each path once with a method that it does not have.
  for (const path of [...wellKnown, '/other'])
    for (const method of methods) await send(method, path, 'x').catch(() => {})
  const labels = async () => [...(await scrape(server)).metrics.keys()]
  const texts = fc.stringMatching(/^[a-z0-9]{12}$/)
  const sent: string[] = []
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...methods), texts, texts, async (method, path, client) => {
      sent.push(path, client)
      await send(method, `/${path}`, client).catch(() => {})
      await send(method, `/sessions/${path}`, client).catch(() => {})
    }),
    { numRuns: 30 },
  )
  const after = await labels()
  t.deepEqual(
    after.filter(name => sent.some(text => name.includes(text))),
    [],
  )
  t.true(after.length < 3000, `${after.length}`)
})

test('without a database /metrics answers what is known, and says that it cannot be used', async t => {
  const server = await startServerWithAlice(t)
  await server.signIn()
  await server.measure()
  const live = (await scrape(server)).metrics.get('latchkey_sessions_live')
  t.is(live, 1)
  await server.deps.storage.close()
  server.deps.observer.checked(false)
  await server.measure().catch(() => {})
  const { metrics } = await scrape(server)
  t.is(metrics.get('latchkey_sessions_live'), 1)
  t.is(metrics.get('latchkey_database_usable'), 0)
  t.is(metrics.get('latchkey_password_hashes_waiting'), 0)
})

test('the answer is of the text format, and no cache keeps it', async t => {
  const server = await startServerWithAlice(t)
  const { headers, text } = await scrape(server)
  t.is(headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  t.is(headers.get('cache-control'), 'no-store')
  t.regex(
    text,
    /^# HELP http_server_request_duration_seconds .*\n# TYPE http_server_request_duration_seconds histogram$/m,
  )
})

test('the next rotation is that of the newest key; there is none where keys do not rotate', async t => {
  const server: TestServer = await startServerWithAlice(t as TestContext)
  const next = (await scrape(server)).metrics.get('latchkey_key_next_rotation_timestamp_seconds')
  t.is(next, server.signingKey.activatesAt + 90 * 86_400)
  const never = createMetrics(false)
  never.watch({ ...server.deps, keyRotation: 0, known: () => ({}), deliveries: () => ({ failed: 0 }) })
  t.false(parseMetrics(await never.text()).has('latchkey_key_next_rotation_timestamp_seconds'))
})

test('buckets are cumulative, and what is on a bound is within it', async t => {
  const { observer, text } = createMetrics(false)
  for (const writes of [1, 2, 3, 32, 33]) observer.committed(0.001, writes)
  const metrics = parseMetrics(await text())
  const below = (le: string) => metrics.get(`latchkey_commit_writes_bucket{le="${le}"}`)
  t.deepEqual(['1', '2', '4', '16', '32', '+Inf'].map(below), [1, 2, 3, 3, 4, 5])
  t.is(metrics.get('latchkey_commit_writes_sum'), 71)
  t.is(metrics.get('latchkey_commit_writes_count'), 5)
  t.is(metrics.get('latchkey_commit_duration_seconds_bucket{le="0.001"}'), 5)
})

test('where nobody counts, an observer takes all that one takes', t => {
  const { observer } = createMetrics(false)
  t.deepEqual(Object.keys(noObserver).toSorted(), Object.keys(observer).toSorted())
})
