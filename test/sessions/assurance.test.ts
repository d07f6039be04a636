import test from 'ava'
import {
  acrOf,
  acrValues,
  addAmr,
  kindsReaching,
  meetsRequirements,
  raisedAmr,
  satisfiesAcr,
} from '../../src/sessions/assurance.ts'
import { type Factor, type FactorKind, factorKinds } from '../../src/users/factors/factor.ts'

test('the class of a sign-in is made of what was proved', t => {
  t.is(acrOf(['pwd']), 'urn:latchkey:1fa')
  t.is(acrOf(['pwd', 'otp', 'mfa']), 'urn:latchkey:2fa')
  t.is(acrOf(['pwd', 'mfa']), 'urn:latchkey:2fa')
  for (const key of ['hwk', 'swk']) t.is(acrOf([key, 'user', 'mfa']), 'phr')
})

test('a class is met by its own facts: a passkey without a password meets both of the others, a name that is none meets nothing', t => {
  t.true(satisfiesAcr(['hwk', 'user', 'mfa'], 'urn:latchkey:2fa'))
  t.true(satisfiesAcr(['hwk', 'user', 'mfa'], 'urn:latchkey:1fa'))
  t.false(satisfiesAcr(['pwd', 'otp', 'mfa'], 'phr'))
  t.false(satisfiesAcr(['pwd'], 'urn:latchkey:2fa'))
  t.false(satisfiesAcr(['pwd', 'otp', 'mfa'], 'urn:latchkey:9fa'))
})

test('what is proved later comes to what was proved before', t => {
  t.deepEqual(addAmr(['pwd'], ['otp', 'mfa']), ['pwd', 'otp', 'mfa'])
  t.deepEqual(addAmr(['pwd', 'otp', 'mfa'], ['hwk', 'user', 'mfa']), ['pwd', 'otp', 'hwk', 'user', 'mfa'])
})

test('a step-up keeps the password and replaces the factor: no class is as fresh as auth_time says but those proved then', t => {
  t.deepEqual(raisedAmr(['pwd'], ['otp', 'mfa']), ['pwd', 'otp', 'mfa'])
  t.deepEqual(raisedAmr(['pwd', 'otp', 'mfa'], ['swk', 'user', 'mfa']), ['pwd', 'swk', 'user', 'mfa'])
  t.is(acrOf(raisedAmr(['swk', 'user', 'mfa'], ['otp', 'mfa'])), 'urn:latchkey:2fa', 'a code makes no passkey fresh')
  t.is(acrOf(raisedAmr(['pwd', 'otp', 'mfa'], ['pwd'])), 'urn:latchkey:1fa', 'nor a password a code')
})

test('max_age counts from auth_time, and 0 is now (OIDC Core §3.1.2.1)', t => {
  const proved = { amr: ['pwd'], authTime: 1000 }
  for (const [maxAge, now, isMet] of [
    [0, 1000, true],
    [0, 1001, false],
    [300, 1300, true],
    [300, 1301, false],
    // Of another node, whose clock is a little ahead.
    [0, 999, true],
  ] as const)
    t.is(meetsRequirements({ maxAge }, proved, now), isMet, `${maxAge} at ${now}`)
})

test('one of several classes will do, and it has to be fresh too (RFC 9470 §5)', t => {
  const proved = { amr: ['pwd', 'otp', 'mfa'], authTime: 1000 }
  const meets = (acrValues: Parameters<typeof meetsRequirements>[0]['acrValues'], maxAge?: number) =>
    meetsRequirements({ acrValues, maxAge }, proved, 1100)
  t.true(meets(['phr', 'urn:latchkey:2fa']))
  t.true(meets(undefined))
  t.false(meets(['phr']))
  t.false(meets(['urn:latchkey:2fa'], 99))
  t.true(meets(['urn:latchkey:2fa'], 100))
})

test('the kinds that are asked for are those of the user that reach a class, and recovery codes alone are none', t => {
  const one = (kind: FactorKind): Factor => ({ id: kind, userId: 'usr_a', kind, createdAt: 0, data: '', counter: 0 })
  const all = factorKinds.map(one)
  t.deepEqual(kindsReaching(['phr'], all), ['passkey'])
  for (const acr of acrValues.slice(0, 2)) t.deepEqual(kindsReaching([acr], all), ['totp', 'recovery_codes', 'passkey'])
  t.deepEqual(kindsReaching(undefined, [one('totp')]), ['totp'])
  t.deepEqual(kindsReaching(['phr'], [one('totp')]), [])
  t.deepEqual(kindsReaching(undefined, [one('recovery_codes')]), [])
})
