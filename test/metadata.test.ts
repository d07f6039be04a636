/** Metadata, JWK Set and CORS. RFC 8414, OpenID Connect Discovery 1.0, RFC 7517; design promise 9. */
import test, { type ExecutionContext } from 'ava'
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import {
  createSigningKey,
  jwksMaxAge,
  longestAccessTokenLifetime,
  openSigningKey,
  publicationLead,
  signingAlgs,
} from '../src/oauth/keys.ts'
import { issuer, password, startServer, startServerWithAlice, type TestServer } from './_server.ts'

const jwksPath = '/.well-known/jwks.json'
const metadataPath = '/.well-known/oauth-authorization-server'
const discoveryPath = '/.well-known/openid-configuration'
const documents = [jwksPath, metadataPath, discoveryPath]

const metadata = {
  issuer,
  token_endpoint: `${issuer}/token`,
  token_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
  revocation_endpoint: `${issuer}/revoke`,
  revocation_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
  jwks_uri: `${issuer}/.well-known/jwks.json`,
  grant_types_supported: ['password', 'refresh_token'],
  response_types_supported: [],
}

async function jwksOf(server: TestServer): Promise<JSONWebKeySet> {
  return (await server.request(jwksPath)).body
}

/** fetch adds `Cache-Control: no-cache` to this: who asks us is already past every cache. */
function revalidating(etag: string) {
  return { 'if-none-match': etag }
}

/** Verifies as a resource server does that has nothing but the served JWK Set. */
async function verified(server: TestServer, accessToken: string, jwks?: JSONWebKeySet) {
  return jwtVerify(accessToken, createLocalJWKSet(jwks ?? (await jwksOf(server))), {
    issuer,
    audience: issuer,
    typ: 'at+jwt',
    currentDate: new Date(server.clock.now() * 1000),
    requiredClaims: ['sub', 'client_id', 'iat', 'jti', 'scope', 'sid', 'auth_time', 'amr'],
  })
}

/** Adds a signing key as a rotation does: it is published now and signs later. */
async function rotateKey(server: TestServer) {
  const { keyRing, secrets } = server.deps
  const key = await createSigningKey('ES256', secrets, server.clock.now(), server.clock.now() + publicationLead)
  keyRing.replace([...keyRing.keys(), (await openSigningKey(key, secrets))!])
  return key.kid
}

test('promise 9: the metadata documents say exactly what works (RFC 8414 §2)', async t => {
  const server = await startServer(t)

  t.deepEqual((await server.request(metadataPath)).body, metadata)
  t.deepEqual((await server.request(discoveryPath)).body, {
    ...metadata,
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
  })
})

test('promise 9: every announced endpoint exists and answers, also below a path', async t => {
  for (const base of ['https://auth.example.com', 'https://example.com/auth']) {
    const server = await startServer(t, { oauth: { issuer: base } })
    for (const path of [metadataPath, discoveryPath]) {
      const { body } = await server.request(path)
      t.is(body.issuer, base)
      for (const [name, url] of Object.entries<string>(body)) {
        if (!/_(?:endpoint|uri)$/.test(name)) continue
        t.true(url.startsWith(`${base}/`), name)
        const endpoint = url.slice(base.length)
        const answers = [await server.request(endpoint), await server.post(endpoint, {})]
        t.false(
          answers.some(({ status }) => status === 404),
          name,
        )
        t.true(
          answers.some(({ status }) => status !== 405),
          name,
        )
      }
    }
  }
})

test('promise 9: every announced grant and client authentication method works', async t => {
  const server = await startServerWithAlice(t)
  await server.addClient({ id: 'web', secret: 'lks_secret' })
  const { body } = await server.request(metadataPath)
  const { refresh_token } = await server.signIn()
  const requests: Record<string, Record<string, string>> = {
    password: { username: 'alice', password },
    refresh_token: { refresh_token },
  }
  for (const grant_type of body.grant_types_supported) {
    t.is((await server.token({ grant_type, client_id: 'app', ...requests[grant_type] })).status, 200, grant_type)
  }
  for (const grant_type of ['client_credentials', 'authorization_code', 'implicit']) {
    t.is((await server.token({ grant_type, client_id: 'app' })).body.error, 'unsupported_grant_type')
  }

  const basic = { authorization: `Basic ${Buffer.from('web:lks_secret').toString('base64')}` }
  const methods: Record<string, [params: Record<string, string>, headers: Record<string, string>]> = {
    none: [{ client_id: 'app' }, {}],
    client_secret_post: [{ client_id: 'web', client_secret: 'lks_secret' }, {}],
    client_secret_basic: [{}, basic],
  }
  for (const method of body.token_endpoint_auth_methods_supported) {
    const [params, headers] = methods[method]!
    t.is((await server.token({ grant_type: 'password', username: 'alice', password, ...params }, headers)).status, 200)
  }
  for (const method of body.revocation_endpoint_auth_methods_supported) {
    const [params, headers] = methods[method]!
    t.is((await server.post('/revoke', { token: 'x', ...params }, headers)).status, 200)
  }
})

const publicMembers = {
  ES256: ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'],
  EdDSA: ['alg', 'crv', 'kid', 'kty', 'use', 'x'],
  RS256: ['alg', 'e', 'kid', 'kty', 'n', 'use'],
}

for (const signingAlg of signingAlgs) {
  test(`the JWK Set has public members only (${signingAlg}, RFC 7517 §4, RFC 7518 §6)`, async t => {
    const server = await startServer(t, { signingAlg })

    const { keys } = await jwksOf(server)

    t.is(keys.length, 1)
    t.deepEqual(Object.keys(keys[0]!).sort(), publicMembers[signingAlg])
    t.like(keys[0], { alg: signingAlg, use: 'sig' })
    t.deepEqual((await server.request(discoveryPath)).body.id_token_signing_alg_values_supported, [signingAlg])
  })

  test(`an access token is one that jose verifies with nothing but the JWK Set (${signingAlg}, RFC 9068 §4)`, async t => {
    const server = await startServerWithAlice(t, { signingAlg })
    const first = await server.signIn({ scope: 'read' })
    const second = (await server.refresh(first.refresh_token)).body

    for (const { access_token, expires_in } of [first, second]) {
      const { payload, protectedHeader } = await verified(server, access_token)
      t.deepEqual(protectedHeader, { alg: signingAlg, typ: 'at+jwt', kid: (await jwksOf(server)).keys[0]!.kid! })
      const { iat, exp, jti, sid, ...claims } = payload
      t.deepEqual(claims, {
        iss: issuer,
        aud: issuer,
        sub: server.aliceId,
        client_id: 'app',
        scope: 'read',
        auth_time: server.clock.now(),
        amr: ['pwd'],
      })
      t.is(exp! - iat!, expires_in)
      t.regex(jti!, /^[\w-]{22}$/)
      t.regex(String(sid), /^[\w-]{22}$/)
    }
  })
}

test('several audiences are a list, one is a string (RFC 7519 §4.1.3)', async t => {
  const audience = ['https://api.example.com', issuer]
  const server = await startServerWithAlice(t, { oauth: { audience } })
  const { access_token } = await server.signIn()

  t.deepEqual((await verified(server, access_token)).payload.aud, audience)
})

for (const path of documents) {
  test(`${path} may be cached for five minutes and revalidated (RFC 9110 §13.1.2)`, async t => {
    const server = await startServer(t)
    const first = await server.request(path)
    const etag = first.headers.get('etag') ?? ''

    t.is(first.status, 200)
    t.is(first.headers.get('cache-control'), `public, max-age=${jwksMaxAge}`)
    t.regex(etag, /^"[\w-]{22}"$/)
    t.is(
      first.headers.get('content-type')?.split(';')[0],
      path === jwksPath ? 'application/jwk-set+json' : 'application/json',
    )
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const { status, headers, body } = await server.request(path, { headers: revalidating(known) })
      t.deepEqual(
        { status, etag: headers.get('etag'), cacheControl: headers.get('cache-control'), body },
        { status: 304, etag, cacheControl: `public, max-age=${jwksMaxAge}`, body: '' },
      )
    }
    const changed = await server.request(path, { headers: revalidating('"x"') })
    t.deepEqual({ status: changed.status, body: changed.body }, { status: 200, body: first.body })
  })

  test(`${path} is open to every origin, without credentials`, async t => {
    const server = await startServer(t)

    const { status, headers } = await server.request(path, { headers: { origin: 'https://anything.example' } })

    t.deepEqual(
      { status, allowed: headers.get('access-control-allow-origin'), vary: headers.get('vary') },
      { status: 200, allowed: '*', vary: null },
    )
    t.is(headers.get('access-control-allow-credentials'), null)
  })
}

const appOrigin = 'https://app.example.com'
const corsEndpoints = [
  ['POST', '/token'],
  ['POST', '/revoke'],
  ['GET', '/users/me'],
  ['POST', '/logout'],
  ['GET', '/sessions'],
  ['DELETE', '/sessions/AAAAAAAAAAAAAAAAAAAAAA'],
] as const

function startCorsServer(t: ExecutionContext) {
  return startServerWithAlice(t, { http: { corsOrigins: [appOrigin] } })
}

for (const [method, path] of corsEndpoints) {
  test(`CORS: ${method} ${path} is readable for an allowed origin, refusals included, and for no other`, async t => {
    const server = await startCorsServer(t)
    const allowedFor = async (origin: string) => {
      const { headers, status } = await server.request(path, { method, headers: { origin } })
      t.true(status >= 400 && status < 500)
      t.is(headers.get('vary'), 'Origin')
      return [
        headers.get('access-control-allow-origin'),
        headers.get('access-control-expose-headers'),
        headers.get('access-control-allow-credentials'),
      ]
    }

    t.deepEqual(await allowedFor(appOrigin), [appOrigin, 'WWW-Authenticate, Retry-After, X-Request-Id', null])
    for (const origin of [
      'https://evil.example',
      `${appOrigin}.evil.example`,
      `${appOrigin}:8443`,
      'http://app.example.com',
      'null',
    ]) {
      t.deepEqual(await allowedFor(origin), [null, null, null], origin)
    }
  })

  test(`CORS: a preflight for ${method} ${path} is answered for an allowed origin and for no other`, async t => {
    const server = await startCorsServer(t)
    const preflight = async (origin: string) => {
      const { status, headers, body } = await server.request(path, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': method,
          'access-control-request-headers': 'authorization,content-type',
        },
      })
      return { status, origin: headers.get('access-control-allow-origin'), headers, body }
    }

    const allowed = await preflight(appOrigin)
    t.like(allowed, { status: 204, origin: appOrigin, body: '' })
    t.true(allowed.headers.get('access-control-allow-methods')?.split(', ').includes(method))
    t.regex(allowed.headers.get('access-control-allow-headers') ?? '', /Authorization, Content-Type/)
    t.regex(allowed.headers.get('access-control-max-age') ?? '', /^\d+$/)
    const other = await preflight('https://evil.example')
    t.is(other.origin, null)
    t.is(other.headers.get('access-control-allow-methods'), null)
  })
}

test('CORS: a browser app of an allowed origin signs in', async t => {
  const server = await startCorsServer(t)

  const { status, headers } = await server.token(
    { grant_type: 'password', client_id: 'app', username: 'alice', password },
    { origin: appOrigin },
  )

  t.deepEqual([status, headers.get('access-control-allow-origin')], [200, appOrigin])
})

test('CORS: paths that no browser app needs are not readable for an allowed origin', async t => {
  const server = await startCorsServer(t)

  for (const path of ['/health/live', '/health/ready', '/nothing']) {
    const { headers } = await server.request(path, { headers: { origin: appOrigin } })
    t.is(headers.get('access-control-allow-origin'), null, path)
  }
})

test('key rotation: a new key is published before it signs, and the old one stays until its last token has expired', async t => {
  const server = await startServerWithAlice(t)
  const kidOf = async () => decodeProtectedHeader((await server.signIn()).access_token).kid
  const publishedKids = async () => (await jwksOf(server)).keys.map(({ kid }) => kid)
  const oldKid = await kidOf()
  const before = await server.request(jwksPath)

  const newKid = await rotateKey(server)

  t.not(newKid, oldKid)
  t.deepEqual(await publishedKids(), [oldKid, newKid])
  const revalidated = await server.request(jwksPath, { headers: revalidating(before.headers.get('etag')!) })
  t.is(revalidated.status, 200)
  t.is(await kidOf(), oldKid)
  server.clock.advance(publicationLead - 1)
  t.is(await kidOf(), oldKid)
  // Whoever fetched the JWK Set just before the new key was in it asks again before the key signs.
  t.true(publicationLead > jwksMaxAge)
  server.clock.advance(1)
  t.is(await kidOf(), newKid)
  server.clock.advance(longestAccessTokenLifetime)
  t.deepEqual(await publishedKids(), [oldKid, newKid])
  server.clock.advance(publicationLead)
  t.deepEqual(await publishedKids(), [newKid])
})

test('key rotation: every unexpired access token verifies with the JWK Set of its time, and with one cached for its max-age', async t => {
  const server = await startServerWithAlice(t, { oauth: { accessTokenLifetime: longestAccessTokenLifetime } })
  const tokens: string[] = []
  const step = publicationLead / 3
  let cached: JSONWebKeySet[] = []

  for (let i = 0; i < 13; i++) {
    if (i % 4 === 1) await rotateKey(server)
    cached = [...cached, await jwksOf(server)].slice(-Math.floor(jwksMaxAge / step) - 1)
    tokens.push((await server.signIn()).access_token)
    for (const token of tokens) {
      await t.notThrowsAsync(verified(server, token))
      t.is((await server.me(token)).status, 200)
    }
    for (const jwks of cached) await t.notThrowsAsync(verified(server, tokens.at(-1)!, jwks))
    server.clock.advance(step)
  }
  t.is(new Set(tokens.map(token => decodeProtectedHeader(token).kid)).size, 4)
})
