import test from 'ava'
import fc from 'fast-check'
import type { Factor } from '../../../src/users/factors/factor.ts'
import { spend } from '../../../src/users/factors/factor.ts'
import {
  base32,
  driftOf,
  matchTotp,
  openTotpSecret,
  otpauthUri,
  readTotpCode,
  sealTotpSecret,
  totpCode,
  verifyTotp,
} from '../../../src/users/factors/totp.ts'
import { createTestRandom, createTestSecrets } from '../../_server.ts'

const secret = Buffer.from('12345678901234567890')
const secrets = createTestSecrets()
const random = createTestRandom()
const factor: Factor = {
  id: 'fac_1',
  userId: 'usr_1',
  kind: 'totp',
  createdAt: 0,
  data: sealTotpSecret(secret, 'fac_1', secrets, random),
  counter: 0,
}

test('the codes are those of RFC 6238 Appendix B, of which apps show the last six digits', t => {
  const vectors = { 59: '94287082', 1111111109: '07081804', 1111111111: '14050471', 1234567890: '89005924' }
  for (const [time, code] of Object.entries({ ...vectors, 2000000000: '69279037', 20000000000: '65353130' }))
    t.is(totpCode(secret, Math.floor(Number(time) / 30)), code.slice(2))
})

test('a code counts in its step, the one before and the one after, and in no other (RFC 6238 §5.2)', t => {
  const now = 1_800_000_010
  const step = now / 30
  for (const away of [-2, -1, 0, 1, 2])
    t.is(
      matchTotp(secret, totpCode(secret, Math.floor(step) + away), now),
      Math.abs(away) > 1 ? undefined : Math.floor(step) + away,
    )
})

test('a code counts once: the same again, and an older one, are wrong (RFC 6238 §5.2)', t => {
  const now = 1_800_000_010
  const step = Math.floor(now / 30)
  const use = verifyTotp(factor, totpCode(secret, step), secrets, now)!
  t.like(use, { factorId: 'fac_1', kind: 'totp', step, at: now })
  const used = spend(factor, use)!
  t.like(used, { counter: step, usedAt: now })
  t.is(spend(used, use), undefined)
  t.is(verifyTotp(used, totpCode(secret, step), secrets, now), undefined)
  t.is(verifyTotp(used, totpCode(secret, step - 1), secrets, now), undefined)
  t.is(spend(used, verifyTotp(used, totpCode(secret, step + 1), secrets, now)!)?.counter, step + 1)
})

test('a code is six ASCII digits, with what apps put between their groups', t => {
  for (const good of ['123456', '123 456', ' 123-456 ', '123\u202f456']) t.is(readTotpCode(good), '123456', good)
  for (const bad of ['', '12345', '1234567', '１２３４５６', '١٢٣٤٥٦', '12345a', '+12345', '1e5000', ' '.repeat(99)])
    t.is(readTotpCode(bad), undefined, bad)
})

test('the secret is sealed under the master secret and bound to its factor', t => {
  t.deepEqual(openTotpSecret(factor, secrets), secret)
  t.is(openTotpSecret({ ...factor, id: 'fac_2' }, secrets), undefined)
  t.is(openTotpSecret(factor, createTestSecrets('another')), undefined)
  t.deepEqual(openTotpSecret(factor, createTestSecrets('another', 'secret')), secret)
  t.false(factor.data.includes(secret.toString('base64url')))
  t.throws(() => verifyTotp(factor, '123456', createTestSecrets('another'), 0), { code: 'temporarily_unavailable' })
})

test('an enrolment tells by how much a clock is wrong, up to ten minutes', t => {
  const now = 1_800_000_000
  for (const minutes of [-10, -5, -2, 2, 5, 10])
    t.is(driftOf(secret, totpCode(secret, now / 30 + minutes * 2), now), minutes * 60)
  t.is(driftOf(secret, totpCode(secret, now / 30 + 60), now), undefined)
})

test('property: base32 is that of RFC 4648 §6', t => {
  t.is(base32(Buffer.from('foobar')), 'MZXW6YTBOI')
  t.is(base32(Buffer.from('foob')), 'MZXW6YQ')
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), bytes => {
      const bits = [...base32(Buffer.from(bytes))].map(one =>
        'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(one).toString(2).padStart(5, '0'),
      )
      const text = bits.join('').slice(0, bytes.length * 8)
      return text === [...bytes].map(byte => byte.toString(2).padStart(8, '0')).join('')
    }),
  )
})

test('the key URI keeps names with colons, spaces and letters of any script in one label', t => {
  const uri = new URL(otpauthUri(secret, 'Our: shop', 'álice+x@example.com'))
  t.is(uri.protocol, 'otpauth:')
  t.is(uri.host, 'totp')
  t.deepEqual(uri.pathname.slice(1).split(':').map(decodeURIComponent), ['Our  shop', 'álice+x@example.com'])
  t.deepEqual(Object.fromEntries(uri.searchParams), {
    secret: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ',
    issuer: 'Our: shop',
    algorithm: 'SHA1',
    digits: '6',
    period: '30',
  })
})
