/** Every client library signs in, stays signed in, signs out and learns what went wrong. */
import { OAuth2Client, OAuth2Fetch } from '@badgateway/oauth2-client'
import test, { type ExecutionContext } from 'ava'
import ClientOAuth2 from 'client-oauth2'
import { decodeJwt, exportJWK, generateKeyPair } from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { password } from '../_server.ts'
import {
  type Client,
  clientId,
  connectOauth4webapi,
  connectOpenidClient,
  discoverOauth4webapi,
  discoverOpenidClient,
  insecure,
  type SetUp,
  setUps,
} from './_clients.ts'
import { audience, startDiscoverable } from './_discoverable.ts'

for (const [name, setUp] of Object.entries(setUps)) {
  const { secret, lacks = [] } = setUp

  test(`${name}: every refresh brings a new refresh token, and an old one ends the session (RFC 9700 §4.14.2)`, async t => {
    const { server, client } = await startBoth(t, setUp)
    const first = await client.signIn('alice', password)
    const second = await client.refresh(first)
    const third = await client.refresh(second)
    t.is(new Set([first, second, third].map(tokens => tokens.refreshToken)).size, 3)
    t.is((await server.me(third.accessToken)).status, 200)

    t.is(await errorCode(client, client.refresh(first)), 'invalid_grant')
    t.is(await errorCode(client, client.refresh(third)), 'invalid_grant')
    t.is((await server.me(third.accessToken)).status, 401)
  })

  test(`${name}: a wrong password is invalid_grant (RFC 6749 §5.2)`, async t => {
    const { client } = await startBoth(t, setUp)
    t.is(await errorCode(client, client.signIn('alice', 'wrong')), 'invalid_grant')
    await t.notThrowsAsync(client.signIn('alice', password))
  })

  if (!lacks.includes('signOut')) {
    test(`${name}: a revoked token has no session any more (RFC 7009 §2)`, async t => {
      const { server, client } = await startBoth(t, setUp)
      const tokens = await client.signIn('alice', password)
      await client.signOut!(tokens)
      t.is((await server.me(tokens.accessToken)).status, 401)
      t.is(await errorCode(client, client.refresh(tokens)), 'invalid_grant')
    })
  }

  if (secret === '') continue

  test(`${name}: a wrong client secret is invalid_client (RFC 6749 §5.2)`, async t => {
    const { server } = await startBoth(t, setUp)
    const client = await setUp.connect(server.issuer, `${secret}x`)
    t.is(await errorCode(client, client.signIn('alice', password)), 'invalid_client')
  })

  test(`${name}: a client gets a token for itself (RFC 6749 §4.4)`, async t => {
    const { client } = await startBoth(t, setUp)
    const { sub, client_id, aud, sid } = decodeJwt(await client.actForItself())
    t.deepEqual({ sub, client_id, aud, sid }, { sub: clientId, client_id: clientId, aud: audience, sid: undefined })
  })

  if (!lacks.includes('introspect')) {
    test(`${name}: introspection tells of a token until its session ends (RFC 7662 §2.2)`, async t => {
      const { server, client } = await startBoth(t, setUp)
      const { accessToken } = await client.signIn('alice', password)
      t.like(await client.introspect!(accessToken), { active: true, username: 'alice', client_id: clientId })
      await server.request('/logout', { method: 'POST', headers: server.bearer(accessToken) })
      t.deepEqual(await client.introspect!(accessToken), { active: false })
    })
  }
}

for (const alg of ['ES256', 'PS256', 'Ed25519']) {
  for (const [name, connect] of Object.entries({
    'openid-client': (issuer: string, key: oauth.CryptoKey) => connectOpenidClient(issuer, openid.PrivateKeyJwt(key)),
    oauth4webapi: (issuer: string, key: oauth.CryptoKey) => connectOauth4webapi(issuer, oauth.PrivateKeyJwt(key)),
  })) {
    test(`${name} authenticates by private_key_jwt with ${alg} at every endpoint (RFC 7523 §2.2)`, async t => {
      const { publicKey, privateKey } = await generateKeyPair(alg)
      const server = await startDiscoverable(t)
      const jwks = { keys: [await exportJWK(publicKey)] }
      await server.addClient({ ...registration, authenticationMethods: ['private_key_jwt'], jwks })
      const client = await connect(server.issuer, privateKey)
      const stranger = await connect(server.issuer, (await generateKeyPair(alg)).privateKey)

      const tokens = await client.refresh(await client.signIn('alice', password))
      t.is(decodeJwt(await client.actForItself()).sub, clientId)
      t.like(await client.introspect(tokens.accessToken), { active: true })
      await client.signOut(tokens)
      t.deepEqual(await client.introspect(tokens.accessToken), { active: false })
      t.is(await errorCode(client, stranger.signIn('alice', password)), 'invalid_client')
    })
  }
}

for (const algorithm of ['oidc', 'oauth2'] as const) {
  test(`openid-client discovers with ${algorithm}, and verifies the ID token and fetches the user's claims (OpenID Connect Core §3.1.3.7, §5.3)`, async t => {
    const server = await startDiscoverable(t)
    await server.addClient({ id: clientId, scope: 'openid profile' })
    const config = await discoverOpenidClient(server.issuer, openid.None(), algorithm)
    openid.enableNonRepudiationChecks(config)
    const answer = await openid.genericGrantRequest(config, 'password', {
      username: 'alice',
      password,
      scope: 'openid',
    })
    const sub = decodeJwt(answer.access_token).sub!
    t.is(answer.claims()?.sub, sub)
    t.like(await openid.fetchUserInfo(config, answer.access_token, sub), { sub })
  })
}

test('oauth4webapi verifies a signed introspection (RFC 9701 §5)', async t => {
  const { server, client, authentication } = await startOauth4webapi(t)
  const { accessToken } = await client.signIn('alice', password)
  const as = await discoverOauth4webapi(server.issuer)
  const self = { client_id: clientId }
  const options = { ...insecure, requestJwtResponse: true }

  const response = await oauth.introspectionRequest(as, self, authentication, accessToken, options)
  const introspection = await oauth.processIntrospectionResponse(as, self, response)

  t.like(introspection, { active: true, username: 'alice', client_id: clientId })
  await t.notThrowsAsync(oauth.validateApplicationLevelSignature(as, response, insecure))
})

test('oauth4webapi validates an access token (RFC 9068 §4)', async t => {
  const { server, client } = await startOauth4webapi(t)
  const { accessToken } = await client.signIn('alice', password)
  const as = await discoverOauth4webapi(server.issuer)
  const request = new Request(audience, { headers: server.bearer(accessToken) })

  const claims = await oauth.validateJwtAccessToken(as, request, audience, insecure)

  t.is(claims.client_id, clientId)
  await t.throwsAsync(oauth.validateJwtAccessToken(as, request, 'https://other.example.com', insecure))
})

test('oauth4webapi reads the challenge to a token that has been revoked (RFC 6750 §3)', async t => {
  const { server, client } = await startOauth4webapi(t)
  const tokens = await client.signIn('alice', password)
  const me = new URL(`${server.issuer}/users/me`)
  const ask = () => oauth.protectedResourceRequest(tokens.accessToken, 'GET', me, undefined, undefined, insecure)
  t.is((await ask()).status, 200)
  await client.signOut(tokens)
  const error = await t.throwsAsync(ask, { instanceOf: oauth.WWWAuthenticateChallengeError })
  t.like(error?.cause[0], { scheme: 'bearer', parameters: { error: 'invalid_token' } })
})

test('@badgateway/oauth2-client refreshes by itself when an access token has expired', async t => {
  const server = await startDiscoverable(t)
  await server.addClient({ id: clientId })
  const client = new OAuth2Client({ server: server.issuer, clientId })
  const stored: (string | null)[] = []
  const api = new OAuth2Fetch({
    client,
    getNewToken: () => (stored.length === 0 ? client.password({ username: 'alice', password }) : null),
    storeToken: token => stored.push(token.refreshToken),
    scheduleRefresh: false,
  })
  const me = `${server.issuer}/users/me`
  t.is((await api.fetch(me)).status, 200)
  server.clock.advance(900)
  t.is((await api.fetch(me)).status, 200)
  t.is(new Set(stored).size, 2)
})

test('client-oauth2 signs a request', async t => {
  const server = await startDiscoverable(t)
  await server.addClient({ id: clientId })
  const client = new ClientOAuth2({ clientId, accessTokenUri: `${server.issuer}/token` })
  const token = await client.owner.getToken('alice', password)
  const { url, headers } = token.sign({ url: `${server.issuer}/users/me`, headers: {} })
  t.is((await fetch(url, { headers: headers as Record<string, string> })).status, 200)
})

const registration = {
  id: clientId,
  grantTypes: ['password', 'refresh_token', 'client_credentials'],
}

async function startBoth(t: ExecutionContext, { secret, connect }: SetUp) {
  const server = await startDiscoverable(t)
  // A public client may not have the client_credentials grant.
  await server.addClient(secret === '' ? { id: clientId } : { ...registration, secret })
  return { server, client: await connect(server.issuer, secret) }
}

async function startOauth4webapi(t: ExecutionContext) {
  const server = await startDiscoverable(t)
  const secret = await server.addClient({ ...registration, isPublic: false })
  const authentication = oauth.ClientSecretBasic(secret)
  return { server, authentication, client: await connectOauth4webapi(server.issuer, authentication) }
}

/** @returns the code that the library's user sees */
async function errorCode(client: Client, call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => 'no error',
    error => client.errorCode(error),
  )
}
