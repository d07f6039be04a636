/** The metadata say what works, and no more. RFC 8414, OpenID Connect Discovery 1.0; design promise 9. */
import test, { type ExecutionContext } from 'ava'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { openSigningKey } from '../../src/keys/jws.ts'
import {
  createSigningKey,
  maxAccessTokenLifetime,
  newAlgLead,
  publicationLead,
  signingAlgs,
} from '../../src/keys/signing_key.ts'
import { discoveryPath, jwksOf, metadataPath } from '../_metadata.ts'
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
} from '../_server.ts'
import { createApp, verifier } from './_challenge.ts'

const methods = ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt']
const assertionAlgs = ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'PS256', 'RS256']

const metadata = {
  issuer,
  token_endpoint: `${issuer}/token`,
  authorization_challenge_endpoint: `${issuer}/authorize-challenge`,
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
  grant_types_supported: ['password', 'authorization_code', 'refresh_token', 'client_credentials'],
  response_types_supported: ['code'],
  code_challenge_methods_supported: ['S256'],
  scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
  claims_supported: [
    ...['iss', 'sub', 'aud', 'iat', 'exp', 'auth_time', 'amr', 'acr', 'sid', 'at_hash'],
    ...['name', 'preferred_username', 'locale', 'email', 'email_verified'],
  ],
  acr_values_supported: ['urn:latchkey:1fa', 'urn:latchkey:2fa', 'phr'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256'],
  request_uri_parameter_supported: false,
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
    'authorization_challenge_endpoint',
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
    authorization_code: { code: await createApp(server).code(client), code_verifier: verifier },
    refresh_token: { refresh_token },
    client_credentials: {},
  }

  for (const grant_type of grantTypes) {
    t.is((await server.token({ grant_type, ...client, ...requests[grant_type]! })).status, 200, grant_type)
  }
  for (const grant_type of [
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

const everyScope = 'openid profile email address phone offline_access read'

/** A server with a user about whom everything is known, and a client that may ask for every scope of OpenID Connect. */
async function startOpenIdServer(t: ExecutionContext, options: ServerOptions = {}) {
  const server = await startServer(t, options)
  await server.addClient({ scope: everyScope })
  await server.addClient({ id: 'api', secret: 'lks_api', grantTypes: [] })
  await server.addUser({ email: 'alice@example.com', fullName: 'Alice', language: 'en' })
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
    profile: ['locale', 'name', 'preferred_username', 'sub'],
    email: ['email', 'email_verified', 'sub'],
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
