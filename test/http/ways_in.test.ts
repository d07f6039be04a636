/**
 * Every way to a session, and that each asks for the second factor. The records of the endpoints are walked, so that a new one that begins
 * sessions is found; that all of them come through `sessions/begin.ts` is held by the test of the architecture.
 */
import test, { type ExecutionContext } from 'ava'
import { decodeJwt } from 'jose'
import { endpointsOf } from '../../src/app.ts'
import { auditEvent } from '../../src/audit/audit.ts'
import { bootstrap } from '../../src/bootstrap.ts'
import type { Endpoint } from '../../src/http/endpoint.ts'
import { formType, jsonType } from '../../src/http/media_types.ts'
import { grants } from '../../src/oauth/grants/index.ts'
import type { FactorPolicy } from '../../src/users/factors/owed.ts'
import { browserAccept, ofPage, setCookieValue, signInByCookie, withCookie } from '../_cookies.ts'
import { addRecoveryCodes, addTotp } from '../_factors.ts'
import { type Answer, password, startServerWithAlice, type TestServer } from '../_server.ts'
import { createApp, pkce } from '../oauth/_challenge.ts'
import { startAdminServer } from './admin/_admin.ts'

type Server = TestServer & { aliceId: string }

/** What `latchkey client update --require-factor` does. */
function demandFactor({ deps, clock }: TestServer) {
  const event = auditEvent('client.updated', clock.now(), {}, { clientId: 'app' })
  return deps.storage.changeClient('app', client => ({
    outcome: undefined,
    client: { ...client!, requireFactor: true },
    event,
  }))
}

/** Of alice, live, pending and ended. */
async function sessionsOf({ deps: { storage }, aliceId }: Server) {
  return (await storage.listSessionsOf(aliceId, { limit: 1000 })) ?? []
}

/** All that could sign alice in, by whatever name it is asked for. */
function everythingKnown(grantType: string): Record<string, string> {
  const names = { username: 'alice', password, current_password: password, client_id: 'app' }
  return { ...names, ...pkce, response_type: 'code', grant_type: grantType, kind: 'totp', name: 'Phone' }
}

/** Who asks: nobody, and whoever is signed in already. */
async function callersOf(server: Server, { caller }: Endpoint): Promise<Record<string, string>[]> {
  const callers: Record<string, string>[] = [{}]
  if (caller.includes('user')) callers.push(server.bearer((await server.signIn()).access_token))
  if (caller.includes('cookie')) callers.push(withCookie(await signInByCookie(server)))
  return callers
}

/** Asks in every way that a record knows: as each caller, for each grant, as a program and as a browser, with each type of body. */
async function askInEveryWay(server: Server, endpoint: Endpoint, callers: readonly Record<string, string>[]) {
  const path = endpoint.path.replace(/\{\w+\}/g, 'x')
  const method = endpoint.method.toUpperCase()
  const hasBody = method !== 'GET' && endpoint.body !== undefined
  for (const caller of callers)
    for (const look of [{ accept: jsonType }, { ...ofPage, accept: browserAccept }])
      for (const type of hasBody ? endpoint.body.types : ['']) {
        const headers = { ...caller, ...look }
        if (!hasBody) await server.request(path, { method, headers })
        else
          for (const grantType of Object.keys(grants)) {
            const params = everythingKnown(grantType)
            const body = type === formType ? new URLSearchParams(params).toString() : JSON.stringify(params)
            await server.request(path, { method, headers: { ...headers, 'content-type': type }, body })
          }
      }
}

/** @returns the endpoints that begin sessions of alice, who `has` set up what she has after she signed in */
async function endpointsThatBegin(t: ExecutionContext, has: (server: Server) => Promise<unknown>) {
  const server = await startServerWithAlice(t, { oauth: { sessionLimit: 1000 }, http: { docs: false } })
  // Last what deletes alice.
  const endpoints = endpointsOf(server.deps, false).toSorted(
    (a, b) => Number(a.id === 'deleteMe') - Number(b.id === 'deleteMe'),
  )
  const callers = await Promise.all(endpoints.map(endpoint => callersOf(server, endpoint)))
  await has(server)
  const beginning: string[] = []
  for (const [i, endpoint] of endpoints.entries()) {
    const before = new Set((await sessionsOf(server)).map(({ id }) => id))
    await askInEveryWay(server, endpoint, callers[i]!)
    if ((await sessionsOf(server)).some(({ id }) => !before.has(id)))
      beginning.push(`${endpoint.method.toUpperCase()} ${endpoint.path}`)
  }
  t.true((await sessionsOf(server)).every(({ amr }) => amr.join(' ') === 'pwd'))
  return beginning.toSorted()
}

test('the endpoints that begin sessions are these, of all that there are: a new one comes into this list and into the ways below', async t => {
  t.deepEqual(await endpointsThatBegin(t, async () => {}), ['POST /authorize-challenge', 'POST /login', 'POST /token'])
})

test('with all that is known but the second factor, no endpoint begins a session or makes one surer', async t => {
  const begun = await endpointsThatBegin(t, async server => {
    await addTotp(server, server.aliceId)
    await addRecoveryCodes(server, server.aliceId)
  })
  t.deepEqual(begun, [])
})

type Outcome = 'signed_in' | 'proof' | 'enrollment'

function outcomeOf({ status, body }: Answer): Outcome {
  if (status === 200) return 'signed_in'
  if (status !== 403 || body.error !== 'insufficient_authorization') throw new Error(JSON.stringify(body))
  return body.enrollment_required ? 'enrollment' : 'proof'
}

/** Each way in with the right password and nothing more. Of a browser, which is told by pages, only whether it is signed in. */
const ways: Readonly<Record<string, (server: Server) => Promise<Answer>>> = {
  'the password grant': server =>
    server.token({ grant_type: 'password', client_id: 'app', username: 'alice', password }),
  'the challenge endpoint': server => createApp(server).challenge({ username: 'alice', password }),
  '/login by form': server => server.post('/login', { username: 'alice', password }),
  '/login by JSON': server =>
    server.request('/login', {
      method: 'POST',
      headers: { 'content-type': jsonType },
      body: JSON.stringify({ username: 'alice', password }),
    }),
}

const table: readonly [policy: FactorPolicy, isDemanded: boolean, hasFactor: boolean, Outcome][] = [
  ['off', false, false, 'signed_in'],
  ['off', false, true, 'signed_in'],
  ['off', true, false, 'enrollment'],
  ['off', true, true, 'proof'],
  ['enrolled', false, false, 'signed_in'],
  ['enrolled', false, true, 'proof'],
  ['enrolled', true, false, 'enrollment'],
  ['enrolled', true, true, 'proof'],
  ['all', false, false, 'enrollment'],
  ['all', false, true, 'proof'],
  ['all', true, false, 'enrollment'],
  ['all', true, true, 'proof'],
]

for (const [name, signIn] of Object.entries(ways))
  for (const [policy, isDemanded, hasFactor, outcome] of table) {
    // The client of the server's own pages is made by itself.
    if (isDemanded && name.startsWith('/login')) continue
    const client = isDemanded ? ' of a client with require_factor' : ''
    const user = hasFactor ? 'has a second factor' : 'has none'
    test(`LATCHKEY_REQUIRE_FACTOR=${policy}: ${name}${client}, for who ${user}, comes to: ${outcome}`, async t => {
      const server = await startServerWithAlice(t, { oauth: { requireFactor: policy } })
      if (isDemanded) await demandFactor(server)
      if (hasFactor) await addTotp(server, server.aliceId)
      const answer = await signIn(server)
      t.is(outcomeOf(answer), outcome)
      t.is((await sessionsOf(server)).length, outcome === 'signed_in' ? 1 : 0)
      if (name.startsWith('/login')) t.is(setCookieValue(answer) !== undefined, outcome === 'signed_in')
    })
  }

test('/login of a browser gives no cookie before the second factor', async t => {
  const server = await startServerWithAlice(t)
  const signIn = () => server.post('/login', { username: 'alice', password }, ofPage)
  t.truthy(setCookieValue(await signIn()))
  await addTotp(server, server.aliceId)
  t.is(setCookieValue(await signIn()), undefined)
  t.is((await sessionsOf(server)).length, 1)
})

test('each way in begins one session with the factor, which says so: in the same request, at the next one, or by its code', async t => {
  const server = await startServerWithAlice(t)
  const { challenge, exchange } = createApp(server)
  const { codes } = await addRecoveryCodes(server, server.aliceId)
  await addTotp(server, server.aliceId)
  let used = 0
  const proof = () => ({ recovery_code: codes[used++]! })
  const amrOf = ({ body }: Answer) => decodeJwt(body.access_token).amr

  const atOnce = await server.token({
    ...{ grant_type: 'password', client_id: 'app', username: 'alice', password },
    ...proof(),
  })
  t.deepEqual(amrOf(atOnce), ['pwd', 'mfa'])
  for (const way of ['the password grant', 'the challenge endpoint']) {
    const { auth_session } = (await ways[way]!(server)).body
    const { body } = await challenge({ auth_session, ...proof() })
    t.deepEqual(amrOf(await exchange(body.authorization_code)), ['pwd', 'mfa'], way)
  }
  for (const way of ['/login by form', '/login by JSON']) {
    const { auth_session } = (await ways[way]!(server)).body
    const answer = await server.post('/login', { auth_session, ...proof() })
    t.truthy(setCookieValue(answer), way)
  }
  const sessions = await sessionsOf(server)
  t.deepEqual(
    sessions.map(({ amr }) => amr.join(' ')),
    Array(5).fill('pwd mfa'),
  )
})

test('an authorization code is worth what was proved for it, and no exchange adds to that', async t => {
  const server = await startServerWithAlice(t)
  const { code, exchange } = createApp(server)
  const text = await code()
  await addTotp(server, server.aliceId)
  t.deepEqual(decodeJwt((await exchange(text)).body.access_token).amr, ['pwd'])
})

for (const [policy, isDemanded] of [
  ['enrolled', false],
  ['enrolled', true],
  ['all', true],
] as const)
  test(`LATCHKEY_REQUIRE_FACTOR=${policy}${isDemanded ? ' and require_factor' : ''}: a session of before goes on, by refresh and by cookie, and stays what it was`, async t => {
    const server = await startServerWithAlice(t)
    const [tokens, cookie] = [await server.signIn(), await signInByCookie(server)]
    await addTotp(server, server.aliceId)
    if (isDemanded) await demandFactor(server)
    // As after a restart with another setting.
    Object.assign(server.deps.config, { requireFactor: policy })

    const { status, body } = await server.refresh(tokens.refresh_token)
    t.is(status, 200)
    t.like(decodeJwt(body.access_token), { acr: 'urn:latchkey:1fa', amr: ['pwd'] })
    t.is((await server.request('/profile', { headers: withCookie(cookie) })).status, 200)
    t.true((await sessionsOf(server)).every(({ amr }) => amr.join(' ') === 'pwd'))
    const surer = await server.refresh(body.refresh_token, { acr_values: 'urn:latchkey:2fa' })
    t.is(surer.body.error, 'insufficient_authorization', 'an API that needs it asks for it')
  })

test('a change of the password makes no session surer, and is none for who owes the factor', async t => {
  const server = await startServerWithAlice(t)
  const [first, second] = [await server.signIn(), await server.signIn()]
  const change = (accessToken: string, current: string, next: string) =>
    server.request('/users/me/password', {
      method: 'PUT',
      headers: { ...server.bearer(accessToken), 'content-type': formType },
      body: new URLSearchParams({ current_password: current, new_password: next }).toString(),
    })
  const changed = await change(first.access_token, password, 'another correct horse')
  t.deepEqual(decodeJwt(changed.body.access_token).amr, ['pwd'])
  await addTotp(server, server.aliceId)
  t.is((await change(changed.body.access_token, 'another correct horse', 'a third correct horse')).status, 401)
  t.is((await server.me(second.access_token)).status, 401, 'which ended the other one')
})

test('whoever made a user, the first sign-in asks: an operator by the admin API, and the first start', async t => {
  const server = await startAdminServer(t, { oauth: { requireFactor: 'all' } })
  const bob = { username: 'bob', password: 'a password of bob' }
  t.is((await server.ask('POST', '/admin/users', bob)).status, 201)
  const signIn = (who: { username: string; password: string }) =>
    server.token({ grant_type: 'password', client_id: 'app', ...who })
  t.is(outcomeOf(await signIn(bob)), 'enrollment')

  let text = ''
  const fresh = await startServerWithAlice(t, { oauth: { requireFactor: 'all' } })
  await fresh.deps.storage.removeUser(fresh.aliceId, auditEvent('user.removed', fresh.clock.now(), {}))
  const terminal = {
    write(more: string) {
      text += more
    },
  }
  const database = { kind: 'file', path: 'latchkey.db' } as const
  await bootstrap(
    fresh.deps,
    { database, oauth: fresh.deps.config },
    { url: 'http://localhost', hasServed: false },
    terminal,
  )
  const admin = { username: 'admin', password: /this password:\n\n {2}(\S+)\n/.exec(text)![1]! }
  t.is(outcomeOf(await fresh.token({ grant_type: 'password', client_id: 'app', ...admin })), 'enrollment')
})
