/** The JWK Set: public members, caching, rotation. RFC 7517, RFC 9068 §4. */
import test from 'ava'
import { decodeProtectedHeader, type JSONWebKeySet } from 'jose'
import { jwksMaxAge, maxAccessTokenLifetime, publicationLead, signingAlgs } from '../../src/keys/signing_key.ts'
import { discoveryPath, documents, jwksOf, jwksPath, revalidating, rotateKey, verified } from '../_metadata.ts'
import { issuer, startServer, startServerWithAlice } from '../_server.ts'

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
        acr: 'urn:latchkey:1fa',
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
