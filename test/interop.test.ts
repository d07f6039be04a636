/** Unmodified clients and resource servers, written by others: wire mistakes that our own tests would share. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { password, startServer } from './_server.ts'

const insecure = { [oauth.allowInsecureRequests]: true }

/** A server whose issuer is where it listens, as clients that discover it insist on. */
async function startDiscoverable(t: ExecutionContext) {
  const place = createServer()
  await new Promise<void>(resolve => place.listen(0, '127.0.0.1', resolve))
  t.teardown(() => void place.close())
  const issuer = `http://127.0.0.1:${(place.address() as AddressInfo).port}`
  const server = await startServer(t, { oauth: { issuer, audience: [issuer] } })
  // The issuer has to be known before the application is made, so a second listener passes everything on.
  place.on('request', forwardTo(server.url))
  t.teardown(() => place.closeAllConnections())
  const secret = await server.addClient({ id: 'web', isPublic: false })
  await server.addUser()
  return { ...server, issuer: new URL(issuer), secret }
}

function forwardTo(url: string): RequestListener {
  return async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const headers = Object.fromEntries(
      Object.entries(request.headers).filter(
        ([name]) => !['host', 'connection', 'content-length', 'transfer-encoding'].includes(name),
      ),
    ) as Record<string, string>
    const answer = await fetch(url + request.url, {
      method: request.method ?? 'GET',
      headers,
      ...(chunks.length > 0 ? { body: Buffer.concat(chunks) } : {}),
    })
    response.writeHead(answer.status, Object.fromEntries(answer.headers))
    response.end(Buffer.from(await answer.arrayBuffer()))
  }
}

for (const [name, authenticate] of [
  ['client_secret_basic', oauth.ClientSecretBasic],
  ['client_secret_post', oauth.ClientSecretPost],
] as const) {
  test(`oauth4webapi signs in, refreshes and revokes with ${name}; jose verifies its access tokens`, async t => {
    const { issuer, secret, clock } = await startDiscoverable(t)
    const as = await oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }),
    )
    const client = { client_id: 'web' }
    const authentication = authenticate(secret)

    const signIn = new URLSearchParams({ username: 'alice', password })
    const first = await oauth.processGenericTokenEndpointResponse(
      as,
      client,
      await oauth.genericTokenEndpointRequest(as, client, authentication, 'password', signIn, insecure),
    )
    t.is(first.scope, 'read write')
    const second = await oauth.processRefreshTokenResponse(
      as,
      client,
      await oauth.refreshTokenGrantRequest(as, client, authentication, first.refresh_token!, insecure),
    )
    const jwks = createRemoteJWKSet(new URL(as.jwks_uri!))
    const { payload } = await jwtVerify(second.access_token, jwks, {
      issuer: issuer.href.replace(/\/$/, ''),
      audience: issuer.href.replace(/\/$/, ''),
      typ: 'at+jwt',
      currentDate: new Date(clock.now() * 1000),
    })
    t.is(payload.client_id, 'web')

    await oauth.processRevocationResponse(
      await oauth.revocationRequest(as, client, authentication, second.refresh_token!, insecure),
    )
    const refused = await t.throwsAsync(
      oauth
        .refreshTokenGrantRequest(as, client, authentication, second.refresh_token!, insecure)
        .then(response => oauth.processRefreshTokenResponse(as, client, response)),
      { instanceOf: oauth.ResponseBodyError },
    )
    t.is(refused?.error, 'invalid_grant')
  })
}

test('oauth4webapi validates an access token as RFC 9068 says', async t => {
  const { issuer, url, addClient, signIn } = await startDiscoverable(t)
  await addClient()
  const { access_token } = await signIn()
  const as = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }),
  )
  const audience = issuer.href.replace(/\/$/, '')
  const request = (token: string) => new Request(`${url}/api`, { headers: { authorization: `Bearer ${token}` } })
  // The library reads the wall clock; the server's stands at another time, which is the tolerance.
  const options = { ...insecure, [oauth.clockTolerance]: 1e9 }

  const claims = await oauth.validateJwtAccessToken(as, request(access_token), audience, options)

  t.is(claims.client_id, 'app')
  await t.throwsAsync(oauth.validateJwtAccessToken(as, request(access_token), 'https://other.example.com', options))
})

test('openid-client discovers, signs in, refreshes and revokes', async t => {
  const { issuer, secret } = await startDiscoverable(t)
  const config = await openid.discovery(issuer, 'web', secret, undefined, {
    algorithm: 'oauth2',
    execute: [openid.allowInsecureRequests],
  })

  const first = await openid.genericGrantRequest(config, 'password', { username: 'alice', password })
  const second = await openid.refreshTokenGrant(config, first.refresh_token!)
  await openid.tokenRevocation(config, second.refresh_token!)

  await t.throwsAsync(openid.refreshTokenGrant(config, second.refresh_token!), { instanceOf: openid.ResponseBodyError })
})
