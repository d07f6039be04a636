/** Metadata, JWK Set and CORS. RFC 8414, OpenID Connect Discovery 1.0, RFC 7517; design promise 9. */
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, type JSONWebKeySet, jwtVerify, SignJWT } from 'jose'
import { auditEvent } from '../src/audit/audit.ts'
import type { Client } from '../src/clients/client.ts'
import { openSigningKey } from '../src/keys/jws.ts'
import {
  createSigningKey,
  jwksMaxAge,
  maxAccessTokenLifetime,
  newAlgLead,
  publicationLead,
  signingAlgs,
} from '../src/keys/signing_key.ts'
import { openSqliteStorage } from '../src/storage/sqlite/sqlite.ts'
import {
  issuer,
  password,
  refusal,
  refused,
  type ServerOptions,
  startServer,
  startServerWithAlice,
  startTime,
  type TestServer,
} from './_server.ts'

const jwksPath = '/.well-known/jwks.json'
const metadataPath = '/.well-known/oauth-authorization-server'
const discoveryPath = '/.well-known/openid-configuration'
const documents = [jwksPath, metadataPath, discoveryPath]

const methods = ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt']
const assertionAlgs = ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'PS256', 'RS256']

const metadata = {
  issuer,
  token_endpoint: `${issuer}/token`,
  token_endpoint_auth_methods_supported: methods,
  token_endpoint_auth_signing_alg_values_supported: assertionAlgs,
  revocation_endpoint: `${issuer}/revoke`,
  revocation_endpoint_auth_methods_supported: methods,
  revocation_endpoint_auth_signing_alg_values_supported: assertionAlgs,
  introspection_endpoint: `${issuer}/introspect`,
  introspection_endpoint_auth_methods_supported: methods.slice(1),
  introspection_endpoint_auth_signing_alg_values_supported: assertionAlgs,
  introspection_signing_alg_values_supported: ['ES256'],
  userinfo_endpoint: `${issuer}/userinfo`,
  jwks_uri: `${issuer}/.well-known/jwks.json`,
  grant_types_supported: ['password', 'refresh_token', 'client_credentials'],
  response_types_supported: [],
  scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
  claims_supported: [
    ...['iss', 'sub', 'aud', 'iat', 'exp', 'auth_time', 'amr', 'sid', 'at_hash'],
    ...['name', 'preferred_username', 'email'],
  ],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256'],
  request_uri_parameter_supported: false,
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

test('promise 9: the metadata say exactly what works, in the same words at both places (RFC 8414 §2, OIDC Discovery §3)', async t => {
  const server = await startServer(t)

  for (const path of [metadataPath, discoveryPath]) t.deepEqual((await server.request(path)).body, metadata)
})

test('the metadata of an issuer with a path are where its clients look (RFC 8414 §3.1, §5, OIDC Discovery §4)', async t => {
  const server = await startServer(t, { oauth: { issuer: 'https://example.com/auth/one' } })
  // What a proxy does that has the server below the path of its issuer, and the well-known places of the host lead here.
  const throughProxy = (path: string) => server.request(path.replace(/^\/auth\/one(?=\/)/, ''))

  for (const path of [
    `${metadataPath}/auth/one`,
    `${discoveryPath}/auth/one`,
    `/auth/one${discoveryPath}`,
    `/auth/one${metadataPath}`,
  ]) {
    const { status, body, headers } = await throughProxy(path)
    t.deepEqual([status, body.issuer], [200, 'https://example.com/auth/one'], path)
    t.is(headers.get('access-control-allow-origin'), '*')
  }
  for (const path of [`${discoveryPath}/auth`, `${discoveryPath}/auth/one/`, `${discoveryPath}/other`])
    t.is((await throughProxy(path)).status, 404, path)
  t.is((await startServer(t).then(plain => plain.request(`${discoveryPath}/auth/one`))).status, 404)
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

test('promise 9: there are no endpoints of OAuth and OpenID Connect but the announced ones', async t => {
  const server = await startServer(t)
  const { body } = await server.request(discoveryPath)
  const announced = Object.keys(body).filter(name => name.endsWith('_endpoint'))

  t.deepEqual(announced.sort(), [
    'introspection_endpoint',
    'revocation_endpoint',
    'token_endpoint',
    'userinfo_endpoint',
  ])
  for (const path of ['authorize', 'auth', 'register', 'par', 'device_authorization', 'bc-authorize', 'end_session']) {
    for (const answer of [await server.request(`/${path}`), await server.post(`/${path}`, {})]) {
      t.is(answer.status, 404, path)
    }
  }
})

test('promise 9: every announced grant works, and no other is supported', async t => {
  const server = await startServerWithAlice(t)
  const grantTypes: string[] = (await server.request(metadataPath)).body.grant_types_supported
  await server.addClient({ id: 'web', secret: 'lks_web', grantTypes })
  const client = { client_id: 'web', client_secret: 'lks_web' }
  const { refresh_token } = await server.signIn(client)
  const requests: Record<string, Record<string, string>> = {
    password: { username: 'alice', password },
    refresh_token: { refresh_token },
    client_credentials: {},
  }

  for (const grant_type of grantTypes) {
    t.is((await server.token({ grant_type, ...client, ...requests[grant_type]! })).status, 200, grant_type)
  }
  for (const grant_type of [
    'authorization_code',
    'implicit',
    'PASSWORD',
    'urn:ietf:params:oauth:grant-type:device_code',
    'urn:ietf:params:oauth:grant-type:jwt-bearer',
    'urn:ietf:params:oauth:grant-type:saml2-bearer',
    'urn:ietf:params:oauth:grant-type:token-exchange',
    'urn:openid:params:grant-type:ciba',
    '__proto__',
    'toString',
  ]) {
    const answer = await server.token({ grant_type, ...client, ...requests.password! })
    t.deepEqual(refusal(answer), refused(400, 'unsupported_grant_type'), grant_type)
  }
})

/** Where a client authenticates: what the metadata calls it, and a request that only needs a client. */
const authenticated = [
  ['token', '/token', { grant_type: 'client_credentials' }],
  ['revocation', '/revoke', { token: 'x' }],
  ['introspection', '/introspect', { token: 'x' }],
] as const

const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ed25519 = generateKeyPairSync('ed25519')
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const keyPairs: Record<string, { publicKey: KeyObject; privateKey: KeyObject }> = {
  ES256: p256,
  ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ES512: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  EdDSA: ed25519,
  Ed25519: ed25519,
}
const keyPairOf = (alg: string) => keyPairs[alg] ?? rsa

/** The key of an algorithm, which a client publishes without saying for which algorithm it is. */
function jwksFor(alg: string): JSONWebKeySet {
  return { keys: [keyPairOf(alg).publicKey.export({ format: 'jwk' })] }
}

let assertions = 0

/** RFC 7523 §3. */
function assertionClaims(clientId: string) {
  const about = { iss: clientId, sub: clientId, aud: issuer, jti: `jti ${assertions++}` }
  return { ...about, iat: startTime, exp: startTime + 60 }
}

function assertionParams(client_assertion: string) {
  return { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion }
}

function signAssertion(clientId: string, alg: string, key: KeyObject | Uint8Array = keyPairOf(alg).privateKey) {
  return new SignJWT(assertionClaims(clientId)).setProtectedHeader({ alg }).sign(key)
}

type Form = { params: Record<string, string>; headers?: Record<string, string> }
const basicOf = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})

/** One client for each method, registered for that one alone. */
const formOf: Record<string, () => Form | Promise<Form>> = {
  none: () => ({ params: { client_id: 'none' } }),
  client_secret_basic: () => ({ params: {}, headers: basicOf('client_secret_basic', 'lks_secret') }),
  client_secret_post: () => ({ params: { client_id: 'client_secret_post', client_secret: 'lks_secret' } }),
  private_key_jwt: async () => ({ params: assertionParams(await signAssertion('private_key_jwt', 'ES256')) }),
}

for (const [name, path, params] of authenticated) {
  test(`promise 9: every announced way of client authentication works at ${path}, and no other (RFC 8414 §2)`, async t => {
    const server = await startServer(t)
    for (const method of methods as Client['authenticationMethods']) {
      const grantTypes = method === 'none' ? ['password'] : ['client_credentials']
      const secret = method.startsWith('client_secret') ? 'lks_secret' : ''
      await server.addClient({
        id: method,
        authenticationMethods: [method],
        secret,
        jwks: jwksFor('ES256'),
        grantTypes,
      })
    }
    const { body } = await server.request(metadataPath)
    const announced: string[] = body[`${name}_endpoint_auth_methods_supported`]

    for (const method of methods) {
      const form = await formOf[method]!()
      const answer = await server.post(path, { ...params, ...form.params }, form.headers)
      if (method === 'none' && path === '/token') {
        // A public client is known here, though it has no grant for which none would be enough.
        t.deepEqual(refusal(answer), refused(400, 'unauthorized_client'))
      } else if (announced.includes(method)) {
        t.is(answer.status, 200, method)
      } else {
        t.deepEqual(
          refusal(answer),
          refused('authorization' in (form.headers ?? {}) ? 401 : 400, 'invalid_client'),
          method,
        )
      }
    }
    // client_secret_jwt (OIDC Core §9): an HMAC by the secret; tls_client_auth (RFC 8705 §2.1) is a client_id alone.
    const byHmac = await signAssertion('client_secret_basic', 'HS256', Buffer.from('lks_secret'.padEnd(32, '.')))
    for (const other of [assertionParams(byHmac), { client_id: 'client_secret_basic' }]) {
      const answer = await server.post(path, { ...params, ...other })
      t.deepEqual(refusal(answer), refused(400, 'invalid_client'))
    }
  })

  test(`promise 9: every announced alg of an assertion works at ${path}, and no other (RFC 8414 §2, RFC 7518 §3.1)`, async t => {
    const server = await startServer(t)
    const announced: string[] = (await server.request(metadataPath)).body[
      `${name}_endpoint_auth_signing_alg_values_supported`
    ]
    const others = ['RS384', 'RS512', 'PS384', 'PS512']
    for (const alg of [...announced, ...others, 'HS256', 'none']) {
      await server.addClient({
        id: alg,
        isPublic: false,
        authenticationMethods: ['private_key_jwt'],
        jwks: jwksFor(alg),
        grantTypes: ['client_credentials'],
      })
    }
    const ask = (assertion: string) => server.post(path, { ...params, ...assertionParams(assertion) })

    for (const alg of announced) t.is((await ask(await signAssertion(alg, alg))).status, 200, alg)
    for (const alg of others) {
      t.deepEqual(refusal(await ask(await signAssertion(alg, alg))), refused(400, 'invalid_client'), alg)
    }
    // The two ways in which a verifier that believes the header is cheated (RFC 8725 §2.1).
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const byPublicKey = `${encode({ alg: 'HS256' })}.${encode(assertionClaims('HS256'))}`
    const mac = createHmac('sha256', rsa.publicKey.export({ format: 'pem', type: 'spki' })).update(byPublicKey)
    const unsigned = `${encode({ alg: 'none' })}.${encode(assertionClaims('none'))}.`
    for (const assertion of [`${byPublicKey}.${mac.digest('base64url')}`, unsigned]) {
      t.deepEqual(refusal(await ask(assertion)), refused(400, 'invalid_client'))
    }
  })
}

const everyScope = 'openid profile email address phone offline_access read'

/** A server with a user about whom everything is known, and a client that may ask for every scope of OpenID Connect. */
async function startOpenIdServer(t: ExecutionContext, options: ServerOptions = {}) {
  const server = await startServer(t, options)
  await server.addClient({ scope: everyScope })
  await server.addClient({ id: 'api', secret: 'lks_api', grantTypes: [] })
  await server.addUser({ email: 'alice@example.com', fullName: 'Alice' })
  return server
}

async function userInfoOf(server: TestServer, accessToken: string) {
  return (await server.request('/userinfo', { headers: server.bearer(accessToken) })).body
}

async function signInWithIdToken(server: TestServer, params: Record<string, string> = {}) {
  return (await server.signIn(params)) as Awaited<ReturnType<TestServer['signIn']>> & { id_token?: string }
}

async function introspectionJwt(server: TestServer, token: string): Promise<string> {
  const form = { token, client_id: 'api', client_secret: 'lks_api' }
  return (await server.post('/introspect', form, { accept: 'application/token-introspection+jwt' })).body
}

for (const signingAlg of signingAlgs) {
  test(`promise 9: the announced signing alg is that of every JWT (${signingAlg}, RFC 9701 §7, OIDC Discovery §3)`, async t => {
    const server = await startOpenIdServer(t, { signingAlg })
    const { body } = await server.request(discoveryPath)
    const { access_token, id_token } = await signInWithIdToken(server)
    const jwts = [access_token, id_token!, await introspectionJwt(server, access_token)]

    t.deepEqual(body.id_token_signing_alg_values_supported, [signingAlg])
    t.deepEqual(body.introspection_signing_alg_values_supported, [signingAlg])
    const jwks = createLocalJWKSet(await jwksOf(server))
    for (const jwt of jwts) {
      await t.notThrowsAsync(
        jwtVerify(jwt, jwks, { algorithms: [signingAlg], currentDate: new Date(startTime * 1000) }),
      )
    }
    t.is('userinfo_signing_alg_values_supported' in body, false)
    const { headers } = await server.request('/userinfo', { headers: server.bearer(access_token) })
    t.is(headers.get('content-type'), 'application/json; charset=utf-8')
  })
}

test('promise 9: while the signing alg changes, those that sign and that verify are announced (OIDC Discovery §3)', async t => {
  const server = await startOpenIdServer(t, { signingAlg: 'ES256' })
  const { keyRing, secrets } = server.deps
  const key = await createSigningKey('RS256', secrets, startTime, startTime + newAlgLead)
  keyRing.replace([...keyRing.keys(), (await openSigningKey(key, secrets))!])

  for (const [seconds, signs, announced] of [
    [0, 'ES256', ['ES256', 'RS256']],
    [newAlgLead - 1, 'ES256', ['ES256', 'RS256']],
    [newAlgLead, 'RS256', ['ES256', 'RS256']],
    [newAlgLead + maxAccessTokenLifetime + publicationLead, 'RS256', ['RS256']],
  ] as const) {
    server.clock.advance(startTime + seconds - server.clock.now())
    const { access_token, id_token } = await signInWithIdToken(server)
    const jwts = [access_token, id_token!, await introspectionJwt(server, access_token)]
    t.deepEqual(
      jwts.map(jwt => decodeProtectedHeader(jwt).alg),
      [signs, signs, signs],
    )
    for (const path of [metadataPath, discoveryPath]) {
      const { body } = await server.request(path)
      t.deepEqual(body.id_token_signing_alg_values_supported, announced)
      t.deepEqual(body.introspection_signing_alg_values_supported, announced)
    }
  }
})

test('promise 9: the signing algs are announced anew also to who asks as rarely as the keys change', async t => {
  const server = await startOpenIdServer(t, { signingAlg: 'ES256' })
  const { keyRing, secrets } = server.deps
  const key = await createSigningKey('RS256', secrets, startTime, startTime + newAlgLead)
  const announced = async () => (await server.request(metadataPath)).body.id_token_signing_alg_values_supported
  t.deepEqual(await announced(), ['ES256'])

  keyRing.replace([...keyRing.keys(), (await openSigningKey(key, secrets))!])
  server.clock.advance(newAlgLead + maxAccessTokenLifetime + publicationLead)

  t.deepEqual(await announced(), ['RS256'])
})

test('promise 9: every announced scope gives something, offline_access the refresh token, and no other scope of OpenID Connect does (OIDC Core §5.4, §11)', async t => {
  const server = await startOpenIdServer(t)
  const announced: string[] = (await server.request(discoveryPath)).body.scopes_supported
  const given: Record<string, string[]> = {}

  for (const scope of everyScope.split(' ')) {
    const asked = [...new Set(['openid', scope])].join(' ')
    const tokens = await signInWithIdToken(server, { scope: asked })
    t.is(tokens.scope, asked)
    given[scope] = Object.keys(await userInfoOf(server, tokens.access_token)).sort()
    t.true('id_token' in tokens && 'refresh_token' in tokens)
  }

  t.deepEqual(given, {
    openid: ['sub'],
    profile: ['name', 'preferred_username', 'sub'],
    email: ['email', 'sub'],
    address: ['sub'],
    phone: ['sub'],
    offline_access: ['sub'],
    read: ['sub'],
  })
  t.deepEqual(announced, ['openid', 'profile', 'email', 'offline_access'])
  t.false('id_token' in (await signInWithIdToken(server, { scope: 'profile email' })))
})

test('promise 9: the announced claims are those of the ID token and of UserInfo, and no others (OIDC Discovery §3)', async t => {
  const server = await startOpenIdServer(t)
  const announced: string[] = (await server.request(discoveryPath)).body.claims_supported

  const { id_token, access_token } = await signInWithIdToken(server)

  const claims = [...Object.keys(decodeJwt(id_token!)), ...Object.keys(await userInfoOf(server, access_token))]
  t.deepEqual([...new Set(claims)].sort(), [...announced].sort())
  t.is(new Set(announced).size, announced.length)
})

test('promise 9: the announced subject type is public: one sub for all clients (OIDC Core §8)', async t => {
  const server = await startOpenIdServer(t)
  await server.addClient({ id: 'web', secret: 'lks_web', scope: everyScope })
  const { body } = await server.request(discoveryPath)

  const [app, web] = [
    await signInWithIdToken(server),
    await signInWithIdToken(server, { client_id: 'web', client_secret: 'lks_web' }),
  ]

  t.deepEqual(body.subject_types_supported, ['public'])
  t.is(decodeJwt(app.id_token!).sub, decodeJwt(web.id_token!).sub)
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
    t.is(first.headers.get('content-type')?.split(';')[0], 'application/json')
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

    for (const origin of [undefined, 'https://anything.example']) {
      const { status, headers } = await server.request(path, { headers: origin === undefined ? {} : { origin } })

      t.deepEqual(
        { status, allowed: headers.get('access-control-allow-origin'), vary: headers.get('vary') },
        { status: 200, allowed: '*', vary: path === jwksPath ? 'Accept' : null },
      )
      t.is(headers.get('access-control-allow-credentials'), null)
    }
  })
}

for (const [accept, type] of [
  ['*/*', 'application/json'],
  ['application/json', 'application/json'],
  ['text/html, application/xhtml+xml, */*;q=0.8', 'application/json'],
  ['application/jwk-set+json', 'application/jwk-set+json'],
  ['application/jwk-set+json, application/json', 'application/jwk-set+json'],
] as const) {
  test(`the keys are ${type} for Accept: ${accept}, and caches are told that it depends on that (RFC 7517 §8.5, RFC 9110 §12.5.5)`, async t => {
    const server = await startServer(t)
    const { status, headers, body } = await server.request(jwksPath, { headers: { accept } })
    t.deepEqual(
      [status, headers.get('content-type')?.split(';')[0], headers.get('vary'), body.keys.length],
      [200, type, 'Accept', 1],
    )
  })
}

const appOrigin = 'https://app.example.com'
const corsEndpoints = [
  ['POST', '/token'],
  ['POST', '/revoke'],
  ['GET', '/users/me'],
  ['GET', '/userinfo'],
  ['POST', '/userinfo'],
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
      t.regex(headers.get('vary') ?? '', /^Origin\b/)
      return [
        headers.get('access-control-allow-origin'),
        headers.get('access-control-expose-headers'),
        headers.get('access-control-allow-credentials'),
      ]
    }

    t.deepEqual(await allowedFor(appOrigin), [appOrigin, 'WWW-Authenticate, Retry-After, X-Request-Id, Link', null])
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

for (const [asked, allowed] of [
  ['traceparent,tracestate,baggage', 'Authorization, Content-Type, traceparent,tracestate,baggage'],
  ['authorization, sentry-trace', 'Authorization, Content-Type, authorization, sentry-trace'],
  ['x'.repeat(1024), `Authorization, Content-Type, ${'x'.repeat(1024)}`],
  ['x'.repeat(1025), 'Authorization, Content-Type'],
  ['a b', 'Authorization, Content-Type'],
  ['a;b', 'Authorization, Content-Type'],
  ['a,,b', 'Authorization, Content-Type'],
  ['caf\u00e9', 'Authorization, Content-Type'],
  ['', 'Authorization, Content-Type'],
] as const) {
  test(`CORS: a preflight that asks for ${JSON.stringify(asked.slice(0, 40))} of ${asked.length} characters allows an allowed origin ${allowed.slice(0, 60)} (fetch standard)`, async t => {
    const server = await startCorsServer(t)
    const ask = (path: string, origin: string) =>
      server.request(path, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': asked },
      })
    const allowedHeaders = async (path: string, origin: string) =>
      (await ask(path, origin)).headers.get('access-control-allow-headers')

    t.is(await allowedHeaders('/token', appOrigin), allowed)
    t.is(await allowedHeaders('/token', 'https://evil.example'), null)
    t.is(await allowedHeaders('/.well-known/jwks.json', 'https://evil.example'), allowed)
  })
}

for (const origin of [
  'capacitor://localhost',
  'ionic://localhost',
  'app://.',
  'tauri://localhost',
  'app://notes:8080',
]) {
  test(`CORS: an app in a web view at ${origin} signs in, by the settings or by its client`, async t => {
    const signIn = { grant_type: 'password', client_id: 'app', username: 'alice', password }
    const bySettings = await startServerWithAlice(t, { http: { corsOrigins: [origin] } })
    const byClient = await startServerWithAlice(t)
    await byClient.addClient({ id: 'phone', corsOrigins: [origin] })

    for (const [server, client_id] of [
      [bySettings, 'app'],
      [byClient, 'phone'],
    ] as const) {
      const { status, headers } = await server.token({ ...signIn, client_id }, { origin })
      t.deepEqual([status, headers.get('access-control-allow-origin')], [200, origin])
    }
    const { headers } = await byClient.token(signIn, { origin })
    t.is(headers.get('access-control-allow-origin'), null)
  })
}

test('CORS: an origin that is not allowed is logged once an hour, with the client; a flood of them fills no log', async t => {
  const lines: Record<string, unknown>[] = []
  const server = await startServerWithAlice(t, {
    http: { corsOrigins: [appOrigin] },
    onLog: line => lines.push(JSON.parse(line)),
  })
  const told = () => lines.filter(line => 'origin' in line).map(({ origin, client }) => [origin, client])
  const signIn = (headers: Record<string, string>) =>
    server.token({ grant_type: 'password', client_id: 'app', username: 'alice', password }, headers)
  const forgotten = 'https://forgotten.example.com'

  for (let i = 0; i < 3; i++) {
    await server.request('/token', { method: 'OPTIONS', headers: preflightHeaders(forgotten) })
    await signIn({ origin: forgotten })
    await signIn({ origin: appOrigin })
    // Pages and forms of this site, whatever address they were opened at, and forms of others.
    await signIn({ origin: issuer })
    await signIn({ origin: 'http://127.0.0.1:3000', 'sec-fetch-site': 'same-origin', 'sec-fetch-dest': 'empty' })
    await signIn({ origin: 'https://evil.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document' })
  }
  t.deepEqual(told(), [
    [forgotten, undefined],
    [forgotten, 'app'],
  ])

  for (let i = 0; i < 100; i++) await signIn({ origin: `https://${'x'.repeat(300)}${i}.example` })
  for (let i = 0; i < 100; i++) await signIn({ origin: `https://${i}.example` })
  t.is(told().length, 20)
  t.true(told().every(([origin]) => String(origin).length <= 200))
  server.clock.advance(3600)
  await signIn({ origin: forgotten })
  t.deepEqual(told().slice(20), [[forgotten, 'app']])
})

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

  for (const path of ['/health/live', '/health/ready', '/introspect', '/nothing']) {
    const { headers } = await server.request(path, { headers: { origin: appOrigin } })
    t.is(headers.get('access-control-allow-origin'), null, path)
    const preflight = await server.request(path, { method: 'OPTIONS', headers: preflightHeaders(appOrigin) })
    t.is(preflight.headers.get('access-control-allow-origin'), null, path)
  }
})

const phoneOrigin = 'https://phone.example.com'
const webOrigin = 'https://web.example.com'
const localOrigin = 'http://localhost:5173'
const nobodysOrigin = 'https://evil.example'

function preflightHeaders(origin: string, method = 'POST') {
  return {
    origin,
    'access-control-request-method': method,
    'access-control-request-headers': 'authorization,content-type',
  }
}

/** The settings allow `appOrigin`; of the clients, `phone` and `web` have origins of their own, and `app` has none. */
async function startServerWithOrigins(t: ExecutionContext, options: ServerOptions = {}) {
  const server = await startServerWithAlice(t, { http: { corsOrigins: [appOrigin] }, ...options })
  await server.addClient({ id: 'phone', scope: 'openid read', corsOrigins: [phoneOrigin, localOrigin] })
  await server.addClient({ id: 'web', secret: 'lks_web', scope: 'openid read', corsOrigins: [webOrigin] })
  return server
}

const allowedOrigin = ({ headers }: { headers: Headers }) => headers.get('access-control-allow-origin')

test('CORS: a preflight is answered for an origin of any client, and may be kept (fetch standard, CORS protocol)', async t => {
  const server = await startServerWithOrigins(t)

  for (const [method, path] of corsEndpoints) {
    const ask = (origin: string) =>
      server.request(path, { method: 'OPTIONS', headers: preflightHeaders(origin, method) })
    for (const origin of [phoneOrigin, localOrigin, webOrigin, appOrigin]) {
      const answer = await ask(origin)
      t.deepEqual(
        [answer.status, allowedOrigin(answer), answer.headers.get('access-control-max-age')],
        [204, origin, '7200'],
      )
      t.is(answer.headers.get('vary'), 'Origin')
      t.is(answer.headers.get('access-control-allow-credentials'), null)
    }
    for (const origin of [nobodysOrigin, `${phoneOrigin}:444`, 'null']) {
      const answer = await ask(origin)
      t.deepEqual([allowedOrigin(answer), answer.headers.get('access-control-max-age')], [null, null], origin)
    }
  }
})

type OriginServer = Awaited<ReturnType<typeof startServerWithOrigins>>
type Tokens = Awaited<ReturnType<TestServer['signIn']>>

/** Requests of the client `phone`, by the status that they get. */
const phoneRequests: [
  rule: string,
  status: number,
  ask: (server: OriginServer, tokens: Tokens, headers: Record<string, string>) => ReturnType<TestServer['request']>,
][] = [
  [
    'a sign-in',
    200,
    (server, _, headers) =>
      server.token({ grant_type: 'password', client_id: 'phone', username: 'alice', password }, headers),
  ],
  [
    'a sign-in that is refused',
    400,
    (server, _, headers) =>
      server.token({ grant_type: 'password', client_id: 'phone', username: 'alice', password: 'x' }, headers),
  ],
  [
    'a refresh',
    200,
    (server, { refresh_token }, headers) =>
      server.token({ grant_type: 'refresh_token', client_id: 'phone', refresh_token }, headers),
  ],
  [
    'POST /revoke',
    200,
    (server, { refresh_token }, headers) =>
      server.post('/revoke', { client_id: 'phone', token: refresh_token }, headers),
  ],
  [
    'POST /revoke that is refused',
    400,
    (server, _, headers) => server.post('/revoke', { client_id: 'phone' }, headers),
  ],
  ...(
    [
      ['GET', '/users/me', 200],
      ['GET', '/userinfo', 200],
      ['GET', '/sessions', 200],
      ['DELETE', '/sessions/AAAAAAAAAAAAAAAAAAAAAA', 404],
      ['POST', '/logout', 200],
      ['POST', '/logout?scope=x', 400],
    ] as const
  ).map(([method, path, status]): (typeof phoneRequests)[number] => [
    `${method} ${path}`,
    status,
    (server, { access_token }, headers) =>
      server.request(path, { method, headers: { ...server.bearer(access_token), ...headers } }),
  ]),
  ['POST /userinfo', 200, (server, { access_token }, headers) => server.post('/userinfo', { access_token }, headers)],
]

for (const [rule, status, ask] of phoneRequests) {
  test(`CORS: ${rule} (${status}) is readable for the client's own origins and those of the settings, not for another client's`, async t => {
    const server = await startServerWithOrigins(t)

    for (const [origin, allowed] of [
      [phoneOrigin, phoneOrigin],
      [localOrigin, localOrigin],
      [appOrigin, appOrigin],
      [webOrigin, null],
      [nobodysOrigin, null],
    ] as const) {
      const tokens = await server.signIn({ client_id: 'phone' })
      const answer = await ask(server, tokens, { origin })
      t.deepEqual(
        [answer.status, allowedOrigin(answer), answer.headers.get('vary')?.split(', ')[0]],
        [status, allowed, 'Origin'],
        origin,
      )
      t.is(
        answer.headers.get('access-control-expose-headers'),
        allowed && 'WWW-Authenticate, Retry-After, X-Request-Id, Link',
      )
    }
  })
}

test('CORS: a client without origins of its own has those of the settings alone', async t => {
  const server = await startServerWithOrigins(t)
  const signIn = { grant_type: 'password', client_id: 'app', username: 'alice', password }

  t.is(allowedOrigin(await server.token(signIn, { origin: phoneOrigin })), null)
  t.is(allowedOrigin(await server.token(signIn, { origin: appOrigin })), appOrigin)
})

test('CORS: a confidential client has its own origins, too', async t => {
  const server = await startServerWithOrigins(t)
  const signIn = { grant_type: 'password', username: 'alice', password }
  const ask = (origin: string) => server.token(signIn, { ...basicOf('web', 'lks_web'), origin })

  t.deepEqual([allowedOrigin(await ask(webOrigin)), allowedOrigin(await ask(phoneOrigin))], [webOrigin, null])
})

test('CORS: an error from before the client is known is readable for the origins of any client', async t => {
  const server = await startServerWithOrigins(t)
  const { access_token } = await server.signIn({ client_id: 'phone' })
  const signIn = { grant_type: 'password', username: 'alice', password }
  await server.request('/logout', { method: 'POST', headers: server.bearer(access_token) })
  const requests: [status: number, ask: (headers: { origin: string }) => ReturnType<TestServer['request']>][] = [
    [400, headers => server.token(signIn, headers)],
    [400, headers => server.token({ ...signIn, client_id: 'phones' }, headers)],
    [400, headers => server.token({ ...signIn, client_id: 'web', client_secret: 'x' }, headers)],
    [400, headers => server.token({}, headers)],
    [400, headers => server.request('/token', { method: 'POST', body: '{}', headers })],
    [400, headers => server.post('/revoke', { token: 'x' }, headers)],
    [405, headers => server.request('/token', { headers })],
    [401, headers => server.request('/users/me', { headers })],
    [401, headers => server.request('/userinfo', { headers: { ...server.bearer('x'), ...headers } })],
    [401, headers => server.request('/sessions', { headers: { ...server.bearer(access_token), ...headers } })],
  ]

  for (const [status, ask] of requests) {
    for (const [origin, allowed] of [
      [phoneOrigin, phoneOrigin],
      [webOrigin, webOrigin],
      [appOrigin, appOrigin],
      [nobodysOrigin, null],
    ] as const) {
      const answer = await ask({ origin })
      t.deepEqual([answer.status, allowedOrigin(answer)], [status, allowed])
    }
  }
})

test('CORS: an origin that is added or taken away counts within five seconds', async t => {
  const server = await startServerWithOrigins(t)
  const preflight = async (origin: string) =>
    allowedOrigin(await server.request('/token', { method: 'OPTIONS', headers: preflightHeaders(origin) }))
  const setOrigins = (corsOrigins: string[]) =>
    server.deps.storage.changeClient(
      'phone',
      client => ({ ...client, corsOrigins }),
      auditEvent('client.updated', startTime, {}),
    )
  const newOrigin = 'https://new.example.com'
  t.deepEqual([await preflight(phoneOrigin), await preflight(newOrigin)], [phoneOrigin, null])

  await setOrigins([newOrigin])
  server.clock.advance(5)
  t.deepEqual([await preflight(phoneOrigin), await preflight(newOrigin)], [null, newOrigin])
  const { headers } = await server.token(
    { grant_type: 'password', client_id: 'phone', username: 'alice', password },
    { origin: newOrigin },
  )
  t.is(headers.get('access-control-allow-origin'), newOrigin)

  // Also when the clock has been set back meanwhile.
  await setOrigins([phoneOrigin])
  server.clock.advance(-86_400)
  t.deepEqual([await preflight(phoneOrigin), await preflight(newOrigin)], [phoneOrigin, null])
})

test('CORS: the client of a removed record and the origins that only it had are forgotten', async t => {
  const server = await startServerWithOrigins(t)
  const { access_token } = await server.signIn({ client_id: 'phone' })
  const me = async (origin: string) => {
    const answer = await server.request('/users/me', { headers: { ...server.bearer(access_token), origin } })
    return [answer.status, allowedOrigin(answer)]
  }
  t.deepEqual(await me(phoneOrigin), [200, phoneOrigin])

  await server.deps.storage.removeClient('phone', auditEvent('client.removed', startTime, {}))
  server.clock.advance(5)

  t.deepEqual(await me(phoneOrigin), [401, null])
  t.deepEqual(await me(webOrigin), [401, webOrigin])
})

test('CORS: with the storage broken, the 503 and the preflight before it reach the apps of known origins', async t => {
  const server = await startServerWithOrigins(t)
  const refresh = { grant_type: 'refresh_token', client_id: 'phone', refresh_token: 'x' }
  const ask = (origin: string) => server.token(refresh, { origin })
  t.deepEqual([(await ask(phoneOrigin)).status, allowedOrigin(await ask(phoneOrigin))], [400, phoneOrigin])
  await server.request('/token', { method: 'OPTIONS', headers: preflightHeaders(phoneOrigin) })

  await server.deps.storage.close()

  for (const seconds of [0, 5, 3600]) {
    server.clock.advance(seconds)
    for (const [origin, allowed] of [
      [phoneOrigin, phoneOrigin],
      [appOrigin, appOrigin],
      [nobodysOrigin, null],
    ] as const) {
      const answer = await ask(origin)
      t.deepEqual([answer.status, allowedOrigin(answer)], [503, allowed], origin)
      t.regex(answer.headers.get('access-control-expose-headers') ?? 'Retry-After', /Retry-After/)
      const preflight = await server.request('/token', { method: 'OPTIONS', headers: preflightHeaders(origin) })
      t.is(allowedOrigin(preflight), allowed)
    }
  }
})

test("CORS: when the storage breaks under a request, the 503 reaches the client's app", async t => {
  const { storage } = openSqliteStorage(':memory:')
  // The client is known by then, and its record cannot be read again.
  const refreshSession: typeof storage.refreshSession = async (...decision) => {
    await storage.close()
    return storage.refreshSession(...decision)
  }
  const server = await startServerWithOrigins(t, { storage: { ...storage, refreshSession } })
  const { refresh_token } = await server.signIn({ client_id: 'phone' })
  const ask = (origin: string) =>
    server.token({ grant_type: 'refresh_token', client_id: 'phone', refresh_token }, { origin })
  const preflight = await server.request('/token', { method: 'OPTIONS', headers: preflightHeaders(phoneOrigin) })
  t.is(allowedOrigin(preflight), phoneOrigin)

  const first = await ask(phoneOrigin)
  const other = await ask(nobodysOrigin)

  t.deepEqual([first.status, allowedOrigin(first)], [503, phoneOrigin])
  t.deepEqual([other.status, allowedOrigin(other)], [503, null])
})

// Bug: who asks while the origins are read for the first time is answered from the empty set.
test('CORS: the first preflights after a start are answered alike when they come together', async t => {
  const { storage } = openSqliteStorage(':memory:')
  t.teardown(() => storage.close())
  const reading = Promise.withResolvers<void>()
  // A storage that takes its time, as one behind a network does.
  const listClients = async () => {
    await reading.promise
    return storage.listClients()
  }
  const server = await startServerWithOrigins(t, { storage: { ...storage, listClients } })

  const preflights = Array.from({ length: 3 }, () =>
    server.request('/token', { method: 'OPTIONS', headers: preflightHeaders(phoneOrigin) }),
  )
  // By the time that these are answered, those have arrived.
  for (let i = 0; i < 3; i++) await server.request('/health/live')
  reading.resolve()

  t.deepEqual((await Promise.all(preflights)).map(allowedOrigin), [phoneOrigin, phoneOrigin, phoneOrigin])
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
  server.clock.advance(maxAccessTokenLifetime)
  t.deepEqual(await publishedKids(), [oldKid, newKid])
  server.clock.advance(publicationLead)
  t.deepEqual(await publishedKids(), [newKid])
})

test('key rotation: every unexpired access token verifies with the JWK Set of its time, and with one cached for its max-age', async t => {
  const server = await startServerWithAlice(t, { oauth: { accessTokenLifetime: maxAccessTokenLifetime } })
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
