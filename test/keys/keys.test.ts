/** Signing keys: states by time, rotation without a gap, signatures that others can verify, private halves that stay private. */
import test from 'ava'
import fc from 'fast-check'
import { calculateJwkThumbprint, compactVerify, createLocalJWKSet, importJWK } from 'jose'
import { type OpenedKey, openSigningKey } from '../../src/keys/jws.ts'
import { createKeyRing } from '../../src/keys/key_ring.ts'
import {
  createSigningKey,
  isNewest,
  jwksMaxAge,
  keyState,
  maxAccessTokenLifetime,
  publicationLead,
  type SigningAlg,
  type SigningKey,
  signingAlgs,
} from '../../src/keys/signing_key.ts'
import { createTestSecrets, startTime as start } from '../_server.ts'

const secrets = createTestSecrets()
const claims = { iss: 'https://auth.example.com', sub: 'usr_alice', exp: start + 900 }

async function openNewKey(alg: SigningAlg, activatesAt = start): Promise<OpenedKey> {
  return (await openSigningKey(await createSigningKey(alg, secrets, start, activatesAt), secrets))!
}

/** A key of which only the times matter. */
function timedKey(kid: string, createdAt: number, activatesAt: number): SigningKey {
  return { kid, alg: 'ES256', publicJwk: {}, privateJwe: '', createdAt, activatesAt }
}

test('a key is published, signs, verifies and retires, each for its time', t => {
  const first = timedKey('first', start, start)
  const second = timedKey('second', start + 1000, start + 1330)
  const all = [first, second]
  const retires = start + 1330 + maxAccessTokenLifetime + publicationLead
  const states = [start + 1000, start + 1329, start + 1330, retires - 1, retires].map(now =>
    all.map(key => keyState(key, all, now)),
  )
  t.deepEqual(states, [
    ['signing', 'published'],
    ['signing', 'published'],
    ['verifying', 'signing'],
    ['verifying', 'signing'],
    ['retired', 'signing'],
  ])
})

test('a clock set back to before every key leaves the first one signing', t => {
  const keys = [timedKey('first', start, start), timedKey('second', start + 1000, start + 1330)]
  t.deepEqual(
    keys.map(key => keyState(key, keys, start - 7200)),
    ['signing', 'published'],
  )
})

test('a key that has no successor signs for ever', t => {
  const key = timedKey('only', start, start)
  t.is(keyState(key, [key], start + 100 * 365 * 86_400), 'signing')
})

test('a new key is published for the max-age of the JWK Set and 30 s more before it signs', t => {
  t.is(jwksMaxAge, 300)
  t.is(publicationLead, 330)
})

const kids = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 8 })

test('property: whatever the activation times, exactly one key signs at any time', t => {
  fc.assert(
    fc.property(
      kids,
      fc.array(fc.nat(500_000), { minLength: 8, maxLength: 8 }),
      fc.integer({ min: -100_000, max: 700_000 }),
      (names, times, at) => {
        const all = names.map((kid, i) => timedKey(kid, start, start + times[i]!))
        return all.filter(key => keyState(key, all, start + at) === 'signing').length === 1
      },
    ),
    { numRuns: 2000 },
  )
  t.pass()
})

/** Keys as rotations make them: the first signs at once, every other after the lead and not before its predecessor. */
const schedules = fc.tuple(kids, fc.array(fc.nat(200_000), { minLength: 8, maxLength: 8 })).map(([names, pauses]) => {
  const keys: SigningKey[] = []
  let now = start
  for (const [i, kid] of names.entries()) {
    const previous = keys.at(-1)
    if (previous !== undefined) now += pauses[i]!
    const activatesAt = previous === undefined ? now : Math.max(now + publicationLead, previous.activatesAt)
    keys.push(timedKey(kid, now, activatesAt))
  }
  return keys
})

test('property: the key of every unexpired token is published, whatever rotations came before and after', t => {
  fc.assert(
    fc.property(
      schedules,
      fc.nat(1_600_000),
      fc.integer({ min: 0, max: maxAccessTokenLifetime - 1 }),
      (schedule, issuedAfter, age) => {
        const existing = (now: number) => schedule.filter(key => key.createdAt <= now)
        const issuedAt = start + issuedAfter
        const signer = existing(issuedAt).find(key => keyState(key, existing(issuedAt), issuedAt) === 'signing')!
        const now = issuedAt + age
        return keyState(signer, existing(now), now) !== 'retired'
      },
    ),
    { numRuns: 3000 },
  )
  t.pass()
})

test('property: a key is in the JWK Set for the whole lead before it signs', t => {
  fc.assert(
    fc.property(schedules, fc.nat(publicationLead - 1), (schedule, after) =>
      schedule.slice(1).every(key => {
        const now = key.createdAt + after
        const existing = schedule.filter(other => other.createdAt <= now)
        return keyState(key, existing, now) === 'published'
      }),
    ),
  )
  t.pass()
})

test('property: forgetting retired keys changes nothing for the others', t => {
  fc.assert(
    fc.property(schedules, fc.nat(2_000_000), (schedule, after) => {
      const now = start + after
      const kept = schedule.filter(key => keyState(key, schedule, now) !== 'retired')
      return kept.every(key => keyState(key, kept, now) === keyState(key, schedule, now))
    }),
    { numRuns: 2000 },
  )
  t.pass()
})

for (const alg of signingAlgs) {
  test(`${alg}: what is signed verifies here, and with jose from the JWK Set alone`, async t => {
    const ring = createKeyRing([await openNewKey(alg)])
    const jwt = ring.sign(claims, start)
    t.deepEqual(ring.verify(jwt, start), claims)

    const { payload, protectedHeader } = await compactVerify(jwt, createLocalJWKSet(JSON.parse(ring.jwks(start))))
    t.deepEqual(JSON.parse(new TextDecoder().decode(payload)), claims)
    t.deepEqual(protectedHeader, { alg, typ: 'at+jwt', kid: ring.keys()[0]?.stored.kid })
  })

  test(`${alg}: the kid is the RFC 7638 thumbprint, and the public JWK has public members only`, async t => {
    const key = await createSigningKey(alg, secrets, start, start + 330)
    const members = { ES256: ['crv', 'x', 'y'], EdDSA: ['crv', 'x'], RS256: ['e', 'n'] }[alg]
    t.deepEqual(Object.keys(key.publicJwk).toSorted(), ['alg', 'kid', 'kty', 'use', ...members].toSorted())
    t.like(key, { alg, createdAt: start, activatesAt: start + 330 })
    t.like(key.publicJwk, { alg, kid: key.kid, use: 'sig' })
    t.is(key.kid, await calculateJwkThumbprint(key.publicJwk))
    t.regex(key.kid, /^[\w-]{43}$/)
  })

  test(`${alg}: no private member is stored in the clear or served`, async t => {
    const opened = await openNewKey(alg)
    const privateJwk = opened.privateKey.export({ format: 'jwk' }) as Record<string, string>
    const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi'].filter(name => name in privateJwk)
    t.true(privateMembers.includes('d'))
    const shown = JSON.stringify(opened.stored) + createKeyRing([opened]).jwks(start)
    t.true(shown.includes((opened.stored.publicJwk.x ?? opened.stored.publicJwk.n)!))
    for (const name of privateMembers) t.false(shown.includes(privateJwk[name]!), name)
  })

  test(`${alg}: another master secret does not open a key, an older one of several does`, async t => {
    const key = await createSigningKey(alg, createTestSecrets('old'), start, start)
    t.is(await openSigningKey(key, createTestSecrets('other')), undefined)
    const opened = await openSigningKey(key, createTestSecrets('new', 'old'))
    t.is(opened?.stored.kid, key.kid)
    const ring = createKeyRing([opened!])
    t.deepEqual(ring.verify(ring.sign(claims, start), start), claims)
  })
}

test('ES256: 400 signatures of every shape of r and s verify with jose (RFC 7518 §3.4)', async t => {
  const opened = await openNewKey('ES256')
  const ring = createKeyRing([opened])
  const publicKey = await importJWK(opened.stored.publicJwk, 'ES256')
  let short = 0
  for (let i = 0; i < 400; i++) {
    const jwt = ring.sign({ ...claims, jti: i }, start)
    const signature = Buffer.from(jwt.split('.')[2]!, 'base64url')
    t.is(signature.length, 64)
    await compactVerify(jwt, publicKey, { algorithms: ['ES256'] })
    t.truthy(ring.verify(jwt, start))
    if (signature[0] === 0 || signature[32] === 0) short++
  }
  t.log(`${short} with a leading zero byte in r or s`)
})

test('ES256: r or s with leading zero bytes survives the way from DER and back', async t => {
  const opened = await openNewKey('ES256')
  const ring = createKeyRing([opened])
  const publicKey = await importJWK(opened.stored.publicJwk, 'ES256')
  // One signature of 256 has such an r, one of 256 such an s.
  const found = new Map<'r' | 's', string>()
  for (let i = 0; found.size < 2 && i < 20_000; i++) {
    const jwt = ring.sign({ ...claims, jti: i }, start)
    const signature = Buffer.from(jwt.split('.')[2]!, 'base64url')
    if (signature[0] === 0) found.set('r', jwt)
    if (signature[32] === 0) found.set('s', jwt)
  }
  t.is(found.size, 2)
  for (const jwt of found.values()) {
    t.truthy(ring.verify(jwt, start))
    await t.notThrowsAsync(compactVerify(jwt, publicKey))
  }
})

test('ES256: a signature of another length or of zeros is refused, never an exception', async t => {
  const ring = createKeyRing([await openNewKey('ES256')])
  const jwt = ring.sign(claims, start)
  const [header, body, signature] = jwt.split('.')
  const bytes = Buffer.from(signature!, 'base64url')
  const others = [
    Buffer.alloc(0),
    Buffer.alloc(64),
    Buffer.alloc(64, 255),
    bytes.subarray(0, 63),
    Buffer.concat([bytes, Buffer.alloc(1)]),
    Buffer.concat([Buffer.alloc(32), bytes.subarray(32)]),
  ]
  for (const other of others) t.is(ring.verify(`${header}.${body}.${other.toString('base64url')}`, start), undefined)
  t.deepEqual(ring.verify(jwt, start), claims)
})

for (const alg of signingAlgs) {
  test(`${alg}: any single changed character of a JWT is refused`, async t => {
    const ring = createKeyRing([await openNewKey(alg)])
    const jwt = ring.sign(claims, start)
    const taken = []
    for (let at = 0; at < jwt.length; at++) {
      for (const character of ['A', 'b', '-', '.', '=', ' ']) {
        const other = jwt.slice(0, at) + character + jwt.slice(at + 1)
        if (other !== jwt && ring.verify(other, start) !== undefined) taken.push(other)
      }
      if (ring.verify(jwt.slice(0, at) + jwt.slice(at + 1), start) !== undefined) taken.push(at)
    }
    t.deepEqual(taken, [])
    t.deepEqual(ring.verify(jwt, start), claims)
  })
}

test('property: no text makes verify throw', async t => {
  const ring = createKeyRing([await openNewKey('ES256')])
  const [header] = ring.sign(claims, start).split('.')
  const dotted = fc.array(fc.string({ unit: 'binary' }), { maxLength: 5 }).map(parts => parts.join('.'))
  fc.assert(
    fc.property(
      fc.oneof(
        dotted,
        dotted.map(text => `${header}.${text}`),
      ),
      text => ring.verify(text, start) === undefined,
    ),
    { numRuns: 500 },
  )
  t.pass()
})

test('what follows the signature is refused', async t => {
  const ring = createKeyRing([await openNewKey('ES256')])
  const jwt = ring.sign(claims, start)
  for (const other of [`${jwt}.`, `${jwt}.x`, `${jwt}.x.y`, `.${jwt}`, `${jwt}\n`, '', '..']) {
    t.is(ring.verify(other, start), undefined)
  }
  t.deepEqual(ring.verify(jwt, start), claims)
})

test('the header chooses neither algorithm nor key: alg none and HS256 are refused (RFC 8725 §3.1)', async t => {
  const opened = await openNewKey('ES256')
  const ring = createKeyRing([opened])
  const [, body, signature] = ring.sign(claims, start).split('.')
  for (const header of [
    { alg: 'none' },
    { alg: 'none', typ: 'at+jwt', kid: opened.stored.kid },
    { alg: 'HS256', typ: 'at+jwt', kid: opened.stored.kid },
    { alg: 'ES256', typ: 'JWT', kid: opened.stored.kid },
    { alg: 'ES256', kid: opened.stored.kid },
  ]) {
    const encoded = Buffer.from(JSON.stringify(header)).toString('base64url')
    t.is(ring.verify(`${encoded}.${body}.${signature}`, start), undefined)
    t.is(ring.verify(`${encoded}.${body}.`, start), undefined)
  }
  const good = Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'at+jwt', kid: opened.stored.kid }))
  t.deepEqual(ring.verify(`${good.toString('base64url')}.${body}.${signature}`, start), claims)
})

test('the token of a key that another server has is refused', async t => {
  const [ours, theirs] = [createKeyRing([await openNewKey('ES256')]), createKeyRing([await openNewKey('ES256')])]
  t.is(ours.verify(theirs.sign(claims, start), start), undefined)
  t.deepEqual(theirs.verify(theirs.sign(claims, start), start), claims)
})

test('through a rotation the ring signs with the one key and publishes both until the old one retires', async t => {
  const [old, next] = [await openNewKey('ES256'), await openNewKey('EdDSA', start + publicationLead)]
  const ring = createKeyRing([old])
  const before = ring.sign(claims, start)
  ring.replace([old, next])
  const kidOf = (jwt: string) => JSON.parse(Buffer.from(jwt.split('.')[0]!, 'base64url').toString()).kid
  const published = (now: number) => JSON.parse(ring.jwks(now)).keys.map((key: { kid: string }) => key.kid)

  t.is(kidOf(ring.sign(claims, start + publicationLead - 1)), old.stored.kid)
  t.deepEqual(published(start), [old.stored.kid, next.stored.kid])

  t.is(kidOf(ring.sign(claims, start + publicationLead)), next.stored.kid)
  const retires = start + publicationLead + maxAccessTokenLifetime + publicationLead
  t.deepEqual(published(retires - 1), [old.stored.kid, next.stored.kid])
  t.deepEqual(ring.verify(before, retires - 1), claims)

  t.deepEqual(published(retires), [next.stored.kid])
  t.is(ring.verify(before, retires), undefined)
})

test('a ring without a key does not sign', async t => {
  const ring = createKeyRing([])
  t.throws(() => ring.sign(claims, start), { message: 'no signing key is active' })
  ring.replace([await openNewKey('ES256')])
  t.truthy(ring.sign(claims, start))
})

test('a key is added to the newest that its maker knew, and to no other', t => {
  const keys = [timedKey('k1', start, start), timedKey('k2', start + 1, start + 1)]
  t.true(isNewest(keys, 'k2'))
  t.false(isNewest(keys, 'k1'))
  t.false(isNewest(keys, undefined))
  t.true(isNewest([], undefined))
  t.false(isNewest([], 'k1'))
})
