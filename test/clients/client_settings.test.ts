/** What a client's record says overrides the server's settings, for that client and no other: scope, audience, lifetimes. */
import test, { type ExecutionContext } from 'ava'
import { decodeJwt } from 'jose'
import { auditEvent } from '../../src/audit/audit.ts'
import { type Client, clientUpdate } from '../../src/clients/client.ts'
import type { OAuthConfig } from '../../src/oauth/deps.ts'
import { issuer, oauthConfig, refusal, refused, startServerWithAlice, startTime, type TestServer } from '../_server.ts'

/** `app` has nothing of its own, `own` what is given; the settings say 10 s, 1000 s and 5000 s. */
async function startServerWithOwn(
  t: ExecutionContext,
  own: Partial<Client>,
  policy: Partial<OAuthConfig['refresh']> = {},
) {
  const refresh = { ...oauthConfig.refresh, idleLifetime: 1000, absoluteLifetime: 5000, ...policy }
  const server = await startServerWithAlice(t, { oauth: { accessTokenLifetime: 10, refresh } })
  await server.addClient({ id: 'own', ...own })
  return server
}

/** Signs in as both clients, so that each is the twin of the other. */
async function signInBoth(server: TestServer) {
  return [await server.signIn({ client_id: 'own' }), await server.signIn()] as const
}

const refreshOwn = (server: TestServer, refreshToken: string) => server.refresh(refreshToken, { client_id: 'own' })
const invalidGrant = refused(400, 'invalid_grant')

test("a client's scope is its own", async t => {
  const server = await startServerWithOwn(t, { scope: 'admin' })

  const [own, app] = await signInBoth(server)

  t.deepEqual([own.scope, app.scope], ['admin', 'read write'])
})

test("a client's audience goes before the server's", async t => {
  const server = await startServerWithOwn(t, { audience: ['https://api.example.com'] })

  const auds = (await signInBoth(server)).map(({ access_token }) => decodeJwt(access_token).aud)

  t.deepEqual(auds, ['https://api.example.com', issuer])
})

for (const [rule, accessTokenLifetime] of [
  ['shorter', 4],
  ['longer', 19],
] as const) {
  test(`a client's access token lifetime goes before the server's, ${rule}: at sign-in and refresh`, async t => {
    const server = await startServerWithOwn(t, { accessTokenLifetime })
    const [own, app] = await signInBoth(server)
    const refreshed = [
      (await refreshOwn(server, own.refresh_token)).body,
      (await server.refresh(app.refresh_token)).body,
    ]

    for (const [ofOwn, ofApp] of [[own, app], refreshed]) {
      t.deepEqual([ofOwn.expires_in, ofApp.expires_in], [accessTokenLifetime, 10])
      const { iat, exp } = decodeJwt(ofOwn.access_token)
      t.is(exp! - iat!, accessTokenLifetime)
    }
    server.clock.advance(Math.min(accessTokenLifetime, 10))
    const statuses = [(await server.me(own.access_token)).status, (await server.me(app.access_token)).status]
    t.deepEqual(statuses, accessTokenLifetime < 10 ? [401, 200] : [200, 401])
  })
}

test("a client's access token lifetime counts for client_credentials too", async t => {
  const server = await startServerWithOwn(t, {})
  for (const [id, own] of [
    ['worker', { accessTokenLifetime: 4 }],
    ['other', {}],
  ] as const) {
    await server.addClient({ id, secret: 'lks_secret', grantTypes: ['client_credentials'], ...own })
  }
  const lifetimeOf = async (client_id: string) => {
    const params = { grant_type: 'client_credentials', client_id, client_secret: 'lks_secret' }
    return (await server.token(params)).body.expires_in
  }

  t.deepEqual([await lifetimeOf('worker'), await lifetimeOf('other')], [4, 10])
})

test("a client's access token lifetime is spread by up to 5 %, too", async t => {
  const server = await startServerWithOwn(t, { accessTokenLifetime: 600 })

  const lifetimes = await Promise.all(
    Array.from({ length: 10 }, async () => (await server.signIn({ client_id: 'own' })).expires_in),
  )

  t.true(lifetimes.every(seconds => seconds >= 570 && seconds <= 600))
  t.true(new Set(lifetimes).size > 1)
})

for (const [rule, refreshIdleLifetime] of [
  ['shorter', 100],
  ['longer', 3000],
] as const) {
  test(`a client's idle lifetime goes before the server's, ${rule}: at sign-in and after every refresh`, async t => {
    const server = await startServerWithOwn(t, { refreshIdleLifetime })
    const [own, app] = await signInBoth(server)
    const shorter = Math.min(refreshIdleLifetime, 1000)

    server.clock.advance(shorter - 1)
    const [nextOwn, nextApp] = [await refreshOwn(server, own.refresh_token), await server.refresh(app.refresh_token)]
    t.deepEqual([nextOwn.status, nextApp.status], [200, 200])

    server.clock.advance(shorter)
    const last = [
      await refreshOwn(server, nextOwn.body.refresh_token),
      await server.refresh(nextApp.body.refresh_token),
    ]
    const [dead, alive] = refreshIdleLifetime < 1000 ? last : last.reverse()
    t.deepEqual(refusal(dead!), invalidGrant)
    t.is(alive!.status, 200)
  })
}

for (const [rule, refreshAbsoluteLifetime] of [
  ['shorter', 1500],
  ['longer', 9000],
] as const) {
  test(`a client's absolute lifetime goes before the server's, ${rule}, and no refresh extends it`, async t => {
    const server = await startServerWithOwn(t, { refreshAbsoluteLifetime })
    let [{ refresh_token: own }, { refresh_token: app }] = await signInBoth(server)
    const shorter = Math.min(refreshAbsoluteLifetime, 5000)
    while (server.clock.now() + 500 < startTime + shorter) {
      server.clock.advance(500)
      own = (await refreshOwn(server, own)).body.refresh_token
      app = (await server.refresh(app)).body.refresh_token
    }

    server.clock.advance(startTime + shorter - server.clock.now())

    const last = [await refreshOwn(server, own), await server.refresh(app)]
    const [dead, alive] = refreshAbsoluteLifetime < 5000 ? last : last.reverse()
    t.deepEqual(refusal(dead!), invalidGrant)
    t.is(alive!.status, 200)
  })
}

test("a client's lifetimes show in the user's list of sessions", async t => {
  const server = await startServerWithOwn(t, { refreshIdleLifetime: 700, refreshAbsoluteLifetime: 600 })
  const [, app] = await signInBoth(server)

  const { body } = await server.request('/sessions', { headers: server.bearer(app.access_token) })

  const ends = body.sessions.map((one: Record<string, unknown>) => [one.client_id, one.expires_at])
  t.deepEqual(Object.fromEntries(ends), { own: startTime + 600, app: startTime + 1000 })
})

test('a client without the refresh_token grant has sessions as long as its own access token', async t => {
  const server = await startServerWithOwn(t, { accessTokenLifetime: 4, grantTypes: ['password'] })
  const { access_token } = await server.signIn({ client_id: 'own' })
  const live = () => server.deps.storage.listLiveSessions({}, server.clock.now(), 10)

  server.clock.advance(3)
  t.deepEqual([(await server.me(access_token)).status, (await live()).length], [200, 1])
  server.clock.advance(1)
  t.deepEqual([(await server.me(access_token)).status, (await live()).length], [401, 0])
})

/** Refreshes twice with the same token, `age` seconds apart: the second is a retry, or reuse. */
async function retryAfter(server: TestServer, clientId: string, age: number) {
  const { refresh_token } = await server.signIn({ client_id: clientId })
  await server.refresh(refresh_token, { client_id: clientId })
  server.clock.advance(age)
  return server.refresh(refresh_token, { client_id: clientId })
}

test("without a setting, a late retry is believed as long as the client's own idle lifetime", async t => {
  const server = await startServerWithOwn(t, { refreshIdleLifetime: 3000 }, { lateRetryWindow: undefined })

  t.is((await retryAfter(server, 'own', 2999)).status, 200)
  t.deepEqual(refusal(await retryAfter(server, 'own', 3000)), invalidGrant)
  t.is((await retryAfter(server, 'app', 999)).status, 200)
  t.deepEqual(refusal(await retryAfter(server, 'app', 1000)), invalidGrant)
})

test("a setting bounds late retries for every client, whatever the client's idle lifetime is", async t => {
  const server = await startServerWithOwn(t, { refreshIdleLifetime: 3000 }, { lateRetryWindow: 500 })

  for (const client of ['own', 'app']) {
    t.is((await retryAfter(server, client, 500)).status, 200, client)
    t.deepEqual(refusal(await retryAfter(server, client, 501)), invalidGrant, client)
  }
})

test("a client's settings count from its next request, a refresh too", async t => {
  const server = await startServerWithOwn(t, {})
  const { refresh_token } = await server.signIn({ client_id: 'own' })
  const change = (changes: Partial<Client>) =>
    server.deps.storage.changeClient(
      'own',
      clientUpdate(client => ({ ...client, ...changes }), auditEvent('client.updated', startTime, {})),
    )

  await change({ accessTokenLifetime: 4, refreshIdleLifetime: 100, scope: 'read admin' })
  const refreshed = (await refreshOwn(server, refresh_token)).body

  t.deepEqual([refreshed.expires_in, refreshed.scope], [4, 'read'])
  t.is((await server.signIn({ client_id: 'own' })).scope, 'read admin')
  server.clock.advance(100)
  t.deepEqual(refusal(await refreshOwn(server, refreshed.refresh_token)), invalidGrant)

  await change({ accessTokenLifetime: undefined })
  t.is((await server.signIn({ client_id: 'own' })).expires_in, 10)
})
