import test from 'ava'
import { acrOf, addAmr, satisfiesAcr } from '../../src/sessions/assurance.ts'

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
