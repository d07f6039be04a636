/** Client assertions, `private_key_jwt`: RFC 7521 §4.2, RFC 7523 §2.2 and §3, OpenID Connect Core §9. */
import { createPublicKey, generateKeyPairSync, KeyObject, sign } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { CompactEncrypt } from 'jose'
import { auditEvent } from '../../src/audit/audit.ts'
import { clientUpdate, parseClientJwks } from '../../src/clients/client.ts'
import {
  assertionClaims,
  assertionType,
  assertRefused,
  assertToken,
  type ClientKey,
  createClientKey,
  joinJws,
  signAssertion,
  signHmac,
  startWatchedServer,
  withAssertion,
} from '../_client_keys.ts'
import { type Answer, issuer, refusal, refused, startServer, startTime } from '../_server.ts'
import { openTestStorage } from '../_storages.ts'

/** A server with the client `worker`, which has one key. */
async function startServerWithWorker(t: ExecutionContext, key?: ClientKey) {
  const workerKey = key ?? (await createClientKey('ES256', 'worker-1'))
  const server = await startWatchedServer(t)
  await server.addKeyClient({ id: 'worker', jwks: { keys: [workerKey.jwk] } })
  return {
    ...server,
    key: workerKey,
    sign: (claims?: Record<string, unknown>, header?: Record<string, unknown>) =>
      signAssertion(workerKey, 'worker', claims, header),
  }
}

/** What each endpoint is asked for once the client has authenticated. */
const endpoints: readonly [path: string, params: Record<string, string>][] = [
  ['/token', { grant_type: 'client_credentials' }],
  ['/revoke', { token: 'x' }],
  ['/introspect', { token: 'x' }],
]

for (const alg of ['ES256', 'ES384', 'ES512', 'RS256', 'PS256', 'EdDSA', 'Ed25519']) {
  test(`${alg} authenticates, whether or not the assertion and the key have a kid (RFC 7515 §4.1.4)`, async t => {
    const key = await createClientKey(alg)
    const stranger = await createClientKey(alg)
    const server = await startWatchedServer(t)
    await server.addKeyClient({ id: 'plain', jwks: { keys: [key.jwk] } })
    await server.addKeyClient({ id: 'named', jwks: { keys: [{ ...key.jwk, kid: 'a', alg, use: 'sig' }] } })

    assertToken(t, await server.tokenBy(await signAssertion(key, 'plain')))
    assertToken(t, await server.tokenBy(await signAssertion(key, 'named')))
    assertToken(t, await server.tokenBy(await signAssertion(key, 'named', {}, { kid: 'a' })))
    for (const [id, header] of [
      ['plain', {}],
      ['named', {}],
      ['named', { kid: 'a' }],
    ] as const) {
      const assertion = await signAssertion(stranger, id, {}, header)
      await assertRefused(t, server, () => server.tokenBy(assertion))
    }
  })
}

for (const alg of ['RS384', 'RS512', 'PS384', 'PS512']) {
  test(`${alg} is not among the algorithms of this server, RS256 with the same key is`, async t => {
    const key = await createClientKey('RS256')
    const hash = `SHA-${alg.slice(2)}`
    const name = alg.startsWith('RS') ? 'RSASSA-PKCS1-v1_5' : 'RSA-PSS'
    const pkcs8 = await crypto.subtle.exportKey('pkcs8', key.privateKey)
    const privateKey = await crypto.subtle.importKey('pkcs8', pkcs8, { name, hash }, true, ['sign'])
    const server = await startServerWithWorker(t, key)

    const assertion = await signAssertion({ ...key, alg, privateKey }, 'worker')
    await assertRefused(t, server, () => server.tokenBy(assertion))
    assertToken(t, await server.tokenBy(await server.sign()))
  })
}

test('of several keys each one authenticates, with its kid and without any (RFC 7517 §4.5)', async t => {
  const keys = await Promise.all(['ES256', 'ES256', 'ES256', 'EdDSA'].map(alg => createClientKey(alg)))
  const stranger = await createClientKey()
  const server = await startWatchedServer(t)
  await server.addKeyClient({ id: 'plain', jwks: { keys: keys.map(({ jwk }) => jwk) } })
  await server.addKeyClient({ id: 'named', jwks: { keys: keys.map(({ jwk }, i) => ({ ...jwk, kid: `${i}` })) } })

  for (const [i, key] of keys.entries()) {
    assertToken(t, await server.tokenBy(await signAssertion(key, 'plain')))
    assertToken(t, await server.tokenBy(await signAssertion(key, 'named')))
    assertToken(t, await server.tokenBy(await signAssertion(key, 'named', {}, { kid: `${i}` })))
    const misnamed = await signAssertion(key, 'named', {}, { kid: `${(i + 1) % keys.length}` })
    await assertRefused(t, server, () => server.tokenBy(misnamed))
  }
  for (const id of ['plain', 'named']) {
    const assertion = await signAssertion(stranger, id)
    await assertRefused(t, server, () => server.tokenBy(assertion))
  }
})

test('an assertion with a kid is tried with the keys that were registered without one, and with no key of another name (RFC 7517 §4.5)', async t => {
  const [first, second, named, stranger] = await Promise.all(
    ['ES256', 'ES256', 'ES256', 'ES256'].map(alg => createClientKey(alg)),
  )
  const server = await startWatchedServer(t)
  await server.addKeyClient({ id: 'one', jwks: { keys: [first!.jwk] } })
  const mixed = [first!.jwk, second!.jwk, { ...named!.jwk, kid: 'named' }]
  await server.addKeyClient({ id: 'several', jwks: { keys: mixed } })

  const sign = (key: ClientKey, id: string, kid: string) => signAssertion(key, id, {}, { kid })
  assertToken(t, await server.tokenBy(await sign(first!, 'one', 'mine')))
  for (const key of [first!, second!]) assertToken(t, await server.tokenBy(await sign(key, 'several', 'mine')))
  assertToken(t, await server.tokenBy(await sign(named!, 'several', 'named')))
  for (const [key, id, kid] of [
    [stranger!, 'one', 'mine'],
    [stranger!, 'several', 'mine'],
    [named!, 'several', 'mine'],
    [first!, 'several', 'named'],
  ] as const) {
    const assertion = await sign(key, id, kid)
    await assertRefused(t, server, () => server.tokenBy(assertion))
  }
})

test('of several keys the right one still has to sign the right claims', async t => {
  const keys = await Promise.all([createClientKey(), createClientKey()])
  const server = await startWatchedServer(t)
  await server.addKeyClient({ id: 'worker', jwks: { keys: keys.map(({ jwk }) => jwk) } })

  const expired = await signAssertion(keys[1], 'worker', { exp: startTime - 30 })
  await assertRefused(t, server, () => server.tokenBy(expired))
  assertToken(t, await server.tokenBy(await signAssertion(keys[1], 'worker')))
})

for (const [path, params] of endpoints) {
  test(`an assertion authenticates at ${path}: aud is the issuer or an endpoint, alone or in a list that names no other server (RFC 7523 §3, CVE-2025-27370)`, async t => {
    const server = await startServerWithWorker(t)

    for (const aud of [issuer, `${issuer}/token`, `${issuer}${path}`, [issuer], [`${issuer}/token`, issuer]]) {
      const answer = await server.post(path, { ...params, ...withAssertion(await server.sign({ aud })) })
      t.is(answer.status, 200, JSON.stringify(aud))
    }
    for (const aud of [
      'https://other.example.com',
      ['https://other.example.com', `${issuer}/token`],
      [issuer, 'https://other.example.com'],
      [issuer, `${issuer}/token`, `${issuer}.example.com`],
      [],
    ]) {
      const misdirected = await server.sign({ aud })
      await assertRefused(t, server, () => server.post(path, { ...params, ...withAssertion(misdirected) }))
    }
  })

  test(`an assertion works once, at ${path} as anywhere (RFC 7523 §3, jti)`, async t => {
    const server = await startServerWithWorker(t)
    const used = await server.sign()
    assertToken(t, await server.tokenBy(used))

    await assertRefused(t, server, () => server.post(path, { ...params, ...withAssertion(used) }))
    const fresh = await server.post(path, { ...params, ...withAssertion(await server.sign()) })
    t.is(fresh.status, 200)
  })
}

test('client_id may be there and must be the client of the assertion (RFC 7521 §4.2)', async t => {
  const server = await startServerWithWorker(t)
  await server.addClient()

  assertToken(t, await server.tokenBy(await server.sign(), { client_id: 'worker' }))
  for (const client_id of ['app', 'nobody']) {
    const answer = await server.tokenBy(await server.sign(), { client_id })
    t.deepEqual(refusal(answer), refused(400, 'invalid_request'))
  }
})

test('an assertion beside another client_id is refused without a write', async t => {
  const server = await startServerWithWorker(t)
  const assertion = await server.sign()

  await assertRefused(t, server, () => server.tokenBy(assertion, { client_id: 'other' }), [400, 'invalid_request'])
  assertToken(t, await server.tokenBy(await server.sign(), { client_id: 'worker' }))
})

/** The refused claims and the ones next to them that are taken; by default those of every good assertion. */
const claimRules: readonly [rule: string, refused: Record<string, unknown>, taken?: Record<string, unknown>][] = [
  ['for another server', { aud: 'https://other.example.com' }],
  ['for a server whose name begins like ours', { aud: `${issuer}.example.net` }],
  ['for an address of this server that takes no client', { aud: `${issuer}/users/me` }],
  ['for several other servers', { aud: ['https://a.example.com', 'https://b.example.com'] }],
  ['for nobody', { aud: [] }, { aud: [issuer] }],
  ['without aud', { aud: undefined }],
  ['with an aud that is no text', { aud: { toString: issuer } }],
  ['without jti', { jti: undefined }],
  ['with an empty jti', { jti: '' }],
  ['with a jti that is no text', { jti: 7 }, { jti: '7' }],
  ['with a jti of more than 256 characters', { jti: 'j'.repeat(257) }, { jti: 'j'.repeat(256) }],
  ['without exp', { exp: undefined }],
  ['with an exp that is no number', { exp: `${startTime + 60}` }],
  ['that expired, beyond a tolerance of 30 s', { exp: startTime - 30 }, { exp: startTime - 29 }],
  ['that lives longer than an hour', { exp: startTime + 3631 }, { exp: startTime + 3630 }],
  ['that lives for ever', { exp: 1e300 }],
  ['that is not valid yet, beyond a tolerance of 30 s', { nbf: startTime + 31 }, { nbf: startTime + 30 }],
  ['with an nbf that is no number', { nbf: 'now' }],
  ['issued in the future, beyond a tolerance of 30 s', { iat: startTime + 31 }, { iat: startTime + 30 }],
  ['with an iat that is no number', { iat: 'now' }, { iat: undefined }],
  ['whose iss is not its sub', { iss: 'other' }],
  ['without iss', { iss: undefined }],
  ['whose iss is this server', { iss: issuer }],
  ['whose sub is a client that is not there', { sub: 'nobody', iss: 'nobody' }],
  ['whose sub is another client', { sub: 'other', iss: 'other' }],
  ['without sub', { sub: undefined }],
  ['with an empty sub', { sub: '' }],
  ['whose sub is __proto__', { sub: '__proto__', iss: '__proto__' }],
  ['whose sub is in a list', { sub: ['worker'] }],
  ['whose sub is null', { sub: null }],
  ['whose sub is a number', { sub: 7, iss: 7 }],
]

for (const [rule, bad, good = {}] of claimRules) {
  test(`an assertion ${rule} is invalid_client (RFC 7523 §3)`, async t => {
    const server = await startServerWithWorker(t)
    await server.addKeyClient({ id: 'other', jwks: { keys: [(await createClientKey()).jwk] } })
    const assertion = await server.sign(bad)

    await assertRefused(t, server, () => server.tokenBy(assertion))
    assertToken(t, await server.tokenBy(await server.sign(good)))
  })
}

// Nothing but text reaches the database, which would throw.
for (const sub of [{}, { id: 'worker' }, [], true]) {
  test(`an assertion whose sub is ${JSON.stringify(sub)} is invalid_client (RFC 7519 §4.1.2)`, async t => {
    const server = await startServerWithWorker(t)
    const assertion = joinJws({ alg: 'ES256' }, assertionClaims('worker', { sub }), () => 'AAAA')

    await assertRefused(t, server, () => server.tokenBy(assertion))
    assertToken(t, await server.tokenBy(await server.sign()))
  })
}

test('the life of an assertion counts from now, not from its iat', async t => {
  const server = await startServerWithWorker(t)

  assertToken(t, await server.tokenBy(await server.sign({ iat: startTime - 86_400 })))
  const longLived = await server.sign({ iat: startTime, exp: startTime + 7200 })
  await assertRefused(t, server, () => server.tokenBy(longLived))
  server.clock.advance(3600)
  assertToken(t, await server.tokenBy(longLived))
})

/** Texts that look like the assertion of `worker` but are not signed by its key. */
const forgeries: readonly [rule: string, forge: (good: string, key: ClientKey) => string | Promise<string>][] = [
  ['with alg none (RFC 8725 §3.2)', () => joinJws({ alg: 'none' }, assertionClaims('worker'), () => '')],
  ['with alg None', () => joinJws({ alg: 'None' }, assertionClaims('worker'), () => '')],
  ['without alg', () => joinJws({}, assertionClaims('worker'), () => '')],
  [
    'with alg none that keeps the signature of another',
    good => joinJws({ alg: 'none' }, assertionClaims('worker'), () => good.split('.')[2]!),
  ],
  ...(['JWK', 'PEM'] as const).map(
    form =>
      [
        `signed with HS256 and the public key as ${form} (RFC 8725 §2.1)`,
        (_, { kid, jwk }) => {
          const pem = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
          const secret = form === 'JWK' ? JSON.stringify(jwk) : (pem as string)
          return joinJws({ alg: 'HS256', kid }, assertionClaims('worker'), signHmac(secret))
        },
      ] as (typeof forgeries)[number],
  ),
  ['signed by another key', async () => signAssertion(await createClientKey(), 'worker')],
  [
    'signed by another key under our kid',
    async (_, { kid }) => signAssertion(await createClientKey('ES256', kid), 'worker'),
  ],
  [
    'signed by the key in its own header (jwk)',
    async () => {
      const key = await createClientKey()
      return signAssertion(key, 'worker', {}, { jwk: key.jwk })
    },
  ],
  ['under a kid that is not there', (_, key) => signAssertion(key, 'worker', {}, { kid: 'worker-2' })],
  [
    'whose claims were changed',
    good => {
      const [header, , signature] = good.split('.')
      const claims = Buffer.from(JSON.stringify(assertionClaims('worker'))).toString('base64url')
      return [header, claims, signature].join('.')
    },
  ],
  [
    'whose signature was changed',
    good => {
      const at = good.lastIndexOf('.') + 1
      return good.slice(0, at) + (good[at] === 'A' ? 'B' : 'A') + good.slice(at + 1)
    },
  ],
  ['without its signature', good => good.slice(0, good.lastIndexOf('.') + 1)],
  ['with a signature in DER', (_, key) => derSigned(key)],
  ['with an unknown critical header (RFC 7515 §4.1.11)', (_, key) => joinCritical(key)],
  ['of two parts', good => good.slice(0, good.lastIndexOf('.'))],
  ['in quotes', good => `"${good}"`],
  ['that is no JWT', () => 'assertion'],
  ['that is two dots', () => '..'],
  [
    'whose header is null',
    good => `${Buffer.from('null').toString('base64url')}.${good.split('.').slice(1).join('.')}`,
  ],
  [
    'that is encrypted (JWE)',
    async (good, { jwk }) =>
      new CompactEncrypt(Buffer.from(good))
        .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', cty: 'JWT' })
        .encrypt({ ...jwk, alg: 'ECDH-ES' }),
  ],
]

function derSigned({ privateKey, kid }: ClientKey): string {
  const key = KeyObject.from(privateKey)
  return joinJws({ alg: 'ES256', kid }, assertionClaims('worker'), input =>
    sign('sha256', Buffer.from(input), key).toString('base64url'),
  )
}

function joinCritical({ privateKey, kid }: ClientKey): string {
  const key = KeyObject.from(privateKey)
  return joinJws({ alg: 'ES256', kid, crit: ['x'], x: true }, assertionClaims('worker'), input =>
    sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url'),
  )
}

for (const [rule, forge] of forgeries) {
  test(`an assertion ${rule} is invalid_client`, async t => {
    const server = await startServerWithWorker(t)
    const good = await server.sign()
    const forged = await forge(good, server.key)

    await assertRefused(t, server, () => server.tokenBy(forged))
    assertToken(t, await server.tokenBy(good))
  })
}

test('any changed character of an assertion is refused', async t => {
  const server = await startServerWithWorker(t)
  const good = await server.sign()
  const before = await server.version()
  // The last character of a part may carry bits that base64url ignores.
  const ends = new Set([...good.matchAll(/\.|$/g)].map(({ index }) => index - 1))
  const places = Array.from(good, (_, i) => i).filter(i => i % 5 === 0 && good[i] !== '.' && !ends.has(i))

  for (const i of places) {
    const changed = good.slice(0, i) + (good[i] === 'Q' ? 'R' : 'Q') + good.slice(i + 1)
    t.is((await server.tokenBy(changed)).status, 400, `at ${i}`)
  }
  t.deepEqual(await server.version(), before)
  assertToken(t, await server.tokenBy(good))
})

test('a key that is meant for encryption does not authenticate (RFC 7517 §4.2)', async t => {
  const key = await createClientKey()
  const server = await startWatchedServer(t)
  await server.addKeyClient({ id: 'enc', jwks: { keys: [{ ...key.jwk, use: 'enc' }] } })
  await server.addKeyClient({ id: 'sig', jwks: { keys: [{ ...key.jwk, use: 'sig' }] } })

  const assertion = await signAssertion(key, 'enc')
  await assertRefused(t, server, () => server.tokenBy(assertion))
  assertToken(t, await server.tokenBy(await signAssertion(key, 'sig')))
})

test("one client's key does not authenticate another", async t => {
  const server = await startServerWithWorker(t)
  const other = await createClientKey('ES256', server.key.kid)
  await server.addKeyClient({ id: 'other', jwks: { keys: [other.jwk] } })

  const stolen = await signAssertion(server.key, 'other')
  await assertRefused(t, server, () => server.tokenBy(stolen))
  assertToken(t, await server.tokenBy(await signAssertion(other, 'other')))
})

/** jose makes no RSA key of less than 2048 bits, an operator does. */
function signWeakly(id: string): { jwk: object; assertion: string } {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const assertion = joinJws({ alg: 'RS256' }, assertionClaims(id), input =>
    sign('sha256', Buffer.from(input), privateKey).toString('base64url'),
  )
  return { jwk: publicKey.export({ format: 'jwk' }), assertion }
}

// jose throws a TypeError for such a key, unlike for any other trouble.
for (const count of [1, 2]) {
  test(`an RSA key of less than 2048 bits does not authenticate (RFC 7518 §3.3), one of ${count}`, async t => {
    const server = await startServerWithWorker(t)
    const { jwk, assertion } = signWeakly('weak')
    const strong = await createClientKey('RS256')
    await server.addKeyClient({ id: 'weak', jwks: { keys: [jwk, strong.jwk].slice(0, count) } })

    await assertRefused(t, server, () => server.tokenBy(assertion))
    assertToken(t, await server.tokenBy(await server.sign()))
    if (count > 1) assertToken(t, await server.tokenBy(await signAssertion(strong, 'weak')))
  })
}

test('client_assertion and client_assertion_type come together, and there is one type (RFC 7521 §4.2)', async t => {
  const server = await startServerWithWorker(t)
  const assertion = await server.sign()
  const rows: Record<string, string>[] = [
    { client_assertion: assertion },
    { client_assertion: assertion, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer' },
    { client_assertion: assertion, client_assertion_type: assertionType.toUpperCase() },
    { client_assertion: assertion, client_assertion_type: 'jwt-bearer' },
    { client_assertion_type: assertionType },
    { client_assertion_type: assertionType, client_assertion: '' },
    { client_assertion_type: assertionType, client_id: 'worker' },
    { client_assertion: assertion, client_id: 'worker' },
  ]

  for (const row of rows) {
    const send = () => server.token({ grant_type: 'client_credentials', ...row })
    await assertRefused(t, server, send, undefined, JSON.stringify(row))
  }
  assertToken(t, await server.tokenBy(assertion))
})

test('an assertion does not make a public client of who leaves half of it out', async t => {
  const server = await startServerWithWorker(t)
  await server.addClient({ id: 'app', grantTypes: ['refresh_token'] })
  const params = { grant_type: 'refresh_token', refresh_token: 'x', client_id: 'app' }

  for (const half of [{ client_assertion_type: assertionType }, { client_assertion: await server.sign() }]) {
    await assertRefused(t, server, () => server.token({ ...params, ...half }))
  }
  t.is((await server.token(params)).body.error, 'invalid_grant')
})

test('an assertion beside a secret or Basic is invalid_request: two methods at once (RFC 6749 §2.3)', async t => {
  const key = await createClientKey()
  const server = await startWatchedServer(t)
  const secret = await server.addKeyClient({
    id: 'worker',
    authenticationMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    jwks: { keys: [key.jwk] },
  })
  const assertion = await signAssertion(key, 'worker')
  const basic = { authorization: `Basic ${Buffer.from(`worker:${secret}`).toString('base64')}` }
  const grant = { grant_type: 'client_credentials' }
  const twoMethods: [number, string] = [400, 'invalid_request']

  const sends: (() => Promise<Answer>)[] = [
    () => server.tokenBy(assertion, { client_id: 'worker', client_secret: secret }),
    () => server.tokenBy(assertion, { client_secret: 'wrong' }),
    () => server.tokenBy(assertion, {}, basic),
    () => server.tokenBy(assertion, {}, { authorization: 'Bearer x' }),
    () => server.token({ ...grant, client_assertion_type: assertionType }, basic),
    () => server.token({ ...grant, client_assertion: assertion }, basic),
    () => server.tokenBy(assertion, { client_secret: secret }, basic),
  ]
  for (const [i, send] of sends.entries()) await assertRefused(t, server, send, twoMethods, `${i}`)
  assertToken(t, await server.token(grant, basic))
  assertToken(t, await server.token({ ...grant, client_id: 'worker', client_secret: secret }))
  assertToken(t, await server.tokenBy(assertion))
})

test('a disabled client does not authenticate until it is enabled again', async t => {
  const server = await startServerWithWorker(t)
  const assertion = await server.sign()
  const setDisabledAt = (disabledAt: number | undefined) =>
    server.deps.storage.changeClient(
      'worker',
      clientUpdate(client => ({ ...client, disabledAt }), auditEvent('client.updated', startTime, {})),
    )

  await setDisabledAt(startTime)
  await assertRefused(t, server, () => server.tokenBy(assertion))
  await setDisabledAt(undefined)
  assertToken(t, await server.tokenBy(assertion))
})

test('an access token of this server is no assertion (RFC 8725 §2.8)', async t => {
  const server = await startServerWithWorker(t)
  const { access_token } = (await server.tokenBy(await server.sign())).body

  await assertRefused(t, server, () => server.tokenBy(access_token))
  assertToken(t, await server.tokenBy(await server.sign()))
})

test('a client whose keys are those of this server gets in by no token of this server', async t => {
  const server = await startWatchedServer(t)
  const jwks = JSON.parse(server.deps.keyRing.jwks(startTime))
  await server.addKeyClient({ id: 'mirror', jwks })
  const secret = await server.addClient({ id: 'web', secret: 'lks_x', grantTypes: ['client_credentials'] })
  const { access_token } = (
    await server.token({ grant_type: 'client_credentials', client_id: 'web', client_secret: secret })
  ).body
  const claims = (overrides: Record<string, unknown>) => assertionClaims('mirror', overrides)

  await assertRefused(t, server, () => server.tokenBy(access_token))
  const foreign = server.deps.keyRing.sign(claims({ iss: issuer }), startTime, 'at+jwt')
  await assertRefused(t, server, () => server.tokenBy(foreign))
  assertToken(t, await server.tokenBy(server.deps.keyRing.sign(claims({}), startTime, 'JWT')))
})

test('an assertion used 20 times at once authenticates once (RFC 7523 §3, jti)', async t => {
  const server = await startServerWithWorker(t)
  const assertion = await server.sign()

  const answers = await Promise.all(Array.from({ length: 20 }, () => server.tokenBy(assertion)))

  const refusals = answers.filter(({ status }) => status !== 200)
  t.is(refusals.length, 19)
  for (const answer of refusals) t.deepEqual(refusal(answer), refused(400, 'invalid_client'))
  await assertRefused(t, server, () => server.tokenBy(assertion))
  assertToken(t, await server.tokenBy(await server.sign()))
})

test('an assertion that 20 requests have looked up before one of them writes authenticates once', async t => {
  const storage = await openTestStorage(t)
  const everybodyLooked = Promise.withResolvers<void>()
  let lookups = 0
  const key = await createClientKey()
  const server = await startServer(t, {
    storage: {
      ...storage,
      async isConsumed(id) {
        const known = await storage.isConsumed(id)
        if (++lookups === 20) everybodyLooked.resolve()
        await everybodyLooked.promise
        return known
      },
    },
  })
  await server.addClient({
    authenticationMethods: ['private_key_jwt'],
    grantTypes: ['client_credentials'],
    jwks: { keys: [key.jwk] },
  })
  const assertion = await signAssertion(key, 'app')
  const send = () => server.token({ grant_type: 'client_credentials', ...withAssertion(assertion) })

  const answers = await Promise.all(Array.from({ length: 20 }, send))

  t.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array.from({ length: 19 }, () => 400)])
})

test('a jti counts once: in another assertion of the client too, not in one of another client', async t => {
  const server = await startServerWithWorker(t)
  const other = await createClientKey()
  await server.addKeyClient({ id: 'other', jwks: { keys: [other.jwk] } })
  const jti = 'the same'

  assertToken(t, await server.tokenBy(await server.sign({ jti })))
  const again = await server.sign({ jti, exp: startTime + 90 })
  await assertRefused(t, server, () => server.tokenBy(again))
  assertToken(t, await server.tokenBy(await signAssertion(other, 'other', { jti })))
  const otherAgain = await signAssertion(other, 'other', { jti, exp: startTime + 90 })
  await assertRefused(t, server, () => server.tokenBy(otherAgain))
})

test('a refused assertion uses up no jti', async t => {
  const server = await startServerWithWorker(t)
  const jti = 'once'
  const misdirected = await server.sign({ jti, aud: 'https://other.example.com' })
  const forged = await signAssertion(await createClientKey(), 'worker', { jti })

  await assertRefused(t, server, () => server.tokenBy(misdirected))
  await assertRefused(t, server, () => server.tokenBy(forged))
  assertToken(t, await server.tokenBy(await server.sign({ jti })))
})

test('an assertion is used up by the request that it authenticated, whatever became of that', async t => {
  const server = await startServerWithWorker(t)
  const assertion = await server.sign()

  t.is((await server.tokenBy(assertion, { scope: 'write' })).body.error, 'invalid_scope')
  await assertRefused(t, server, () => server.tokenBy(assertion))
  assertToken(t, await server.tokenBy(await server.sign(), { scope: 'read' }))
})

test('a jti is forgotten no sooner than its assertion has expired', async t => {
  const server = await startServerWithWorker(t)
  const { storage } = server.deps
  const assertion = await server.sign({ exp: startTime + 60.5 })
  assertToken(t, await server.tokenBy(assertion))

  // 61 s of life and 30 s of tolerance.
  server.clock.advance(90)
  t.is(await storage.pruneConsumed(server.clock.now()), 0)
  await assertRefused(t, server, () => server.tokenBy(assertion))
  // The twin that was not used shows that this one is refused for its jti.
  assertToken(t, await server.tokenBy(await server.sign({ exp: startTime + 60.5 })))

  server.clock.advance(1)
  t.is(await storage.pruneConsumed(server.clock.now()), 2)
  await assertRefused(t, server, () => server.tokenBy(assertion))
  assertToken(t, await server.tokenBy(await server.sign({ exp: startTime + 120 })))
})

test('the log says why an assertion was refused, and never shows it', async t => {
  const lines: string[] = []
  const key = await createClientKey()
  const server = await startWatchedServer(t, { onLog: line => lines.push(line) })
  await server.addKeyClient({ id: 'worker', jwks: { keys: [key.jwk] } })
  const refuse = async (assertion: string) => {
    t.is((await server.tokenBy(assertion)).status, 400)
    t.false(lines.some(line => line.includes(assertion.slice(0, 40))))
    return JSON.parse(lines.at(-1)!).cause
  }
  const used = await signAssertion(key, 'worker')
  assertToken(t, await server.tokenBy(used))

  t.is(await refuse(used), 'client assertion: client worker: its jti was used before')
  t.regex(await refuse(await signAssertion(key, 'worker', { aud: 'x' })), /^client assertion: client worker: .*"aud"/)
  t.regex(await refuse(await signAssertion(key, 'worker', { exp: startTime + 9999 })), /it lives too long/)
  t.is(await refuse(await signAssertion(key, 'nobody')), 'client assertion: no such client')
})

test('a JWK Set of a client is taken with all its public keys and nothing else of it (RFC 7517 §5)', async t => {
  const keys = (await Promise.all(['ES256', 'RS256', 'EdDSA'].map(alg => createClientKey(alg, alg)))).map(
    ({ jwk }) => jwk,
  )

  t.deepEqual(parseClientJwks(JSON.stringify({ keys, of: 'nobody' })), { keys })
})

test('a JWK Set with a key that is too short or cannot sign is not taken (RFC 7518 §3)', t => {
  const jwk = (key: KeyObject) => key.export({ format: 'jwk' })
  const rsa = (modulusLength: number) => jwk(generateKeyPairSync('rsa', { modulusLength }).publicKey)
  const ec = (namedCurve: string) => jwk(generateKeyPairSync('ec', { namedCurve }).publicKey)
  const isTaken = (key: object) => parseClientJwks(JSON.stringify({ keys: [key] })) !== undefined

  t.deepEqual([rsa(2048), rsa(2040)].map(isTaken), [true, false])
  t.deepEqual(['P-256', 'P-384', 'P-521', 'secp256k1'].map(ec).map(isTaken), [true, true, true, false])
  t.true(isTaken(jwk(generateKeyPairSync('ed25519').publicKey)))
  t.false(isTaken(jwk(generateKeyPairSync('x25519').publicKey)))
  t.false(isTaken(jwk(generateKeyPairSync('ed448').publicKey)))
})

test('a JWK Set that shows a private or secret key, or is none, is not taken', async t => {
  const { jwk } = await createClientKey()
  for (const document of [
    { keys: [{ ...jwk, d: 'AAAA' }] },
    { keys: [jwk, { ...jwk, d: 'AAAA' }] },
    { keys: [{ kty: 'oct', k: 'AAAA' }] },
    { keys: [jwk, { kty: 'oct', k: 'AAAA' }] },
    { keys: [] },
    { keys: [null] },
    { keys: ['key'] },
    { keys: [{}] },
    { keys: [{ ...jwk, kty: 'XY' }] },
    { keys: [{ ...jwk, x: 'AAAA' }] },
    { keys: { a: jwk } },
    { keys: JSON.stringify([jwk]) },
    { keys: null },
    { jwks: { keys: [jwk] } },
    jwk,
    [jwk],
    null,
    'keys',
  ]) {
    t.is(parseClientJwks(JSON.stringify(document)), undefined, JSON.stringify(document))
  }
  for (const text of ['', 'keys', '{"keys":[', '\0']) t.is(parseClientJwks(text), undefined, text)
  t.not(parseClientJwks(JSON.stringify({ keys: [jwk] })), undefined)
})
