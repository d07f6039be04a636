/** What is announced of client authentication works, and nothing else does. RFC 8414 §2; design promise 9. */
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import test from 'ava'
import { type JSONWebKeySet, SignJWT } from 'jose'
import type { Client } from '../../src/clients/client.ts'
import { metadataPath } from '../_metadata.ts'
import { issuer, refusal, refused, startServer, startTime } from '../_server.ts'

const methods = ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt']

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
