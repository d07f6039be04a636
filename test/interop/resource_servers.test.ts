/** Every resource server takes Latchkey's access tokens, refuses everything else and does not notice a key rotation. */
import { createHmac } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { openSigningKey } from '../../src/keys/jws.ts'
import { createKeyRing } from '../../src/keys/key_ring.ts'
import { createSigningKey, newAlgLead, publicationLead } from '../../src/keys/signing_key.ts'
import { password } from '../_server.ts'
import { audience, type Discoverable, publishKey, startDiscoverable } from './_discoverable.ts'
import { type ResourceServer, resourceServers } from './_resource_servers.ts'

/** @returns what somebody makes of a valid access token */
type Forge = (server: Discoverable, valid: string) => string | Promise<string>

const forgeries: Record<string, Forge> = {
  'that has expired (RFC 9068 §4)': (server, valid) => reissue(server, valid, { exp: server.clock.now() - 60 }),
  'for another audience (RFC 9068 §4)': (server, valid) => reissue(server, valid, { aud: 'https://other.example.com' }),
  'of another issuer (RFC 9068 §4)': (server, valid) => reissue(server, valid, { iss: `${server.issuer}/other` }),
  'that is an ID token (RFC 9068 §5)': async server => {
    const params = { grant_type: 'password', client_id: 'app', username: 'alice', password, scope: 'openid' }
    return (await server.token(params)).body.id_token
  },
  'with changed claims': (_server, valid) => {
    const [header, , signature] = valid.split('.')
    return `${header}.${encode({ ...decodeJwt(valid), scope: 'admin' })}.${signature}`
  },
  'with a changed signature': (_server, valid) => {
    const [header, claims, signature] = valid.split('.')
    const bytes = Buffer.from(signature!, 'base64url')
    bytes[40]! ^= 1
    return `${header}.${claims}.${bytes.toString('base64url')}`
  },
  'without its signature': (_server, valid) => valid.replace(/[^.]+$/, ''),
  'of alg none (RFC 8725 §3.1)': (_server, valid) => `${withAlg('none', valid)}.`,
  'signed by HS256 with the public key as the secret (RFC 8725 §3.1)': (server, valid) => {
    const secret = server.deps.keyRing.keys()[0]!.publicKey.export({ type: 'spki', format: 'pem' })
    const signed = withAlg('HS256', valid)
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
  },
  'signed by another key under the kid of the right one': async ({ deps, clock }, valid) => {
    const { kid } = decodeProtectedHeader(valid) as { kid: string }
    const other = await createSigningKey('ES256', deps.secrets, clock.now(), clock.now())
    const ring = createKeyRing([(await openSigningKey({ ...other, kid }, deps.secrets))!])
    return ring.sign(decodeJwt(valid), clock.now())
  },
  'of a key that nobody has published': async ({ deps, clock }, valid) => {
    const other = await createSigningKey('ES256', deps.secrets, clock.now(), clock.now())
    const ring = createKeyRing([(await openSigningKey(other, deps.secrets))!])
    return ring.sign(decodeJwt(valid), clock.now())
  },
}

for (const [name, start] of Object.entries(resourceServers)) {
  test(`${name} takes an access token`, async t => {
    const { server, call } = await startBoth(t, start)
    const { access_token } = await server.signIn()
    const { sub } = decodeJwt(access_token)
    t.deepEqual(await call(access_token), { status: 200, body: sub })
  })

  for (const [title, forge] of Object.entries(forgeries)) {
    test(`${name} refuses an access token ${title}`, async t => {
      const { server, call } = await startBoth(t, start)
      const valid = reissue(server, (await server.signIn()).access_token, {})
      const forged = await forge(server, valid)
      const { sub } = decodeJwt(valid)
      t.is(decodeJwt(forged).sub, sub)

      const { status, body } = await call(forged)

      t.is(status, 401)
      t.not(body, sub)
      t.deepEqual(await call(valid), { status: 200, body: sub })
    })
  }

  test(`${name} does not notice a rotation of the signing key`, async t => {
    const { server, call, startAnother } = await startBoth(t, start)
    // So that no token is of the wall clock's future when the lead has passed.
    server.clock.advance(-publicationLead)
    const before = (await server.signIn()).access_token
    t.is((await call(before)).status, 200)

    await publishKey(server, server.clock.now() + publicationLead)
    const published = (await server.signIn()).access_token
    t.is((await call(published)).status, 200)
    server.clock.advance(publicationLead)
    const after = (await server.signIn()).access_token

    t.is(decodeProtectedHeader(published).kid, decodeProtectedHeader(before).kid)
    t.not(decodeProtectedHeader(after).kid, decodeProtectedHeader(before).kid)
    t.is((await call(after)).status, 200)
    t.is((await call(before)).status, 200)
    const another = await startAnother()
    t.is((await another.call(before)).status, 200)
    t.is((await another.call(after)).status, 200)
  })
}

// express-oauth2-jwt-bearer refuses tokens of an algorithm that is not in the metadata.
test('metadata names the algorithm of every published key (RFC 8414 §2)', async t => {
  const server = await startDiscoverable(t)
  const { keyRing, secrets } = server.deps
  const now = server.clock.now()
  const next = await createSigningKey('RS256', secrets, now, now + newAlgLead)
  keyRing.replace([...keyRing.keys(), (await openSigningKey(next, secrets))!])
  await server.addClient()
  const { access_token } = await server.signIn()
  t.is(decodeProtectedHeader(access_token).alg, 'ES256')

  const start = resourceServers['express-oauth2-jwt-bearer']!
  const url = await start(t, { issuer: server.issuer, audience, jwksUri: `${server.issuer}/.well-known/jwks.json` })
  t.is((await fetch(url, { headers: server.bearer(access_token) })).status, 200)
})

async function startBoth(t: ExecutionContext, start: ResourceServer) {
  const server = await startDiscoverable(t)
  await server.addClient({ scope: 'read write openid' })
  const startAnother = async () => {
    const { issuer } = server
    const url = await start(t, { issuer, audience, jwksUri: `${issuer}/.well-known/jwks.json` })
    return {
      /** Presents an access token. */
      async call(accessToken: string) {
        const response = await fetch(url, { headers: server.bearer(accessToken) })
        return { status: response.status, body: await response.text() }
      },
    }
  }
  return { server, startAnother, ...(await startAnother()) }
}

/** The same token signed anew with some claims changed. */
function reissue({ deps, clock }: Discoverable, valid: string, changes: object): string {
  return deps.keyRing.sign({ ...decodeJwt(valid), ...changes }, clock.now())
}

/** @returns the header, with another algorithm, and the claims */
function withAlg(alg: string, valid: string): string {
  return `${encode({ ...decodeProtectedHeader(valid), alg })}.${valid.split('.')[1]}`
}

function encode(json: object): string {
  return Buffer.from(JSON.stringify(json)).toString('base64url')
}
