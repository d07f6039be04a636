import test from 'ava'
import type { Factor, FactorKind } from '../../../src/users/factors/factor.ts'
import { spend, spendAll } from '../../../src/users/factors/factor.ts'
import { factorPolicies, owedFactors } from '../../../src/users/factors/owed.ts'

const factor = (kind: FactorKind, changes: Partial<Factor> = {}): Factor => ({
  id: kind,
  userId: 'usr_1',
  kind,
  createdAt: 0,
  data: '',
  counter: 0,
  ...changes,
})

test('nothing is owed by who has proved a second factor, whatever is asked', t => {
  for (const policy of factorPolicies)
    for (const isDemanded of [true, false])
      t.is(owedFactors(policy, isDemanded, [factor('totp')], ['pwd', 'otp', 'mfa']), undefined)
})

test('who has a factor owes it where it is asked of those who have one; who has none owes nothing there', t => {
  const kinds = owedFactors('enrolled', false, [factor('totp'), factor('recovery_codes')], ['pwd'])
  t.deepEqual(kinds, { kinds: ['totp', 'recovery_codes'], mustEnroll: false })
  t.is(owedFactors('enrolled', false, [], ['pwd']), undefined)
  t.is(owedFactors('off', false, [factor('passkey')], ['pwd']), undefined)
})

test('who has none must set one up where everybody or the client needs one; recovery codes alone are none', t => {
  for (const factors of [[], [factor('recovery_codes')]])
    for (const [policy, isDemanded] of [
      ['all', false],
      ['off', true],
      ['enrolled', true],
    ] as const)
      t.deepEqual(owedFactors(policy, isDemanded, factors, ['pwd']), { kinds: [], mustEnroll: true })
  t.deepEqual(owedFactors('off', true, [factor('passkey')], ['pwd']), { kinds: ['passkey'], mustEnroll: false })
})

test('a passkey whose count went back is refused; one that never counts is not (WebAuthn §6.1.1)', t => {
  const use = (signCount: number) => ({ factorId: 'passkey', kind: 'passkey', at: 3, signCount }) as const
  t.is(spend(factor('passkey', { counter: 5 }), use(6))?.counter, 6)
  for (const signCount of [0, 4, 5]) t.is(spend(factor('passkey', { counter: 5 }), use(signCount)), undefined)
  t.like(spend(factor('passkey'), use(0)), { counter: 0, usedAt: 3 })
})

test('all that was proved is used up, or nothing: also twice the same at once, and what is of another kind', t => {
  const use = { factorId: 'totp', kind: 'totp', at: 3, step: 9 } as const
  t.like(spendAll([factor('totp')], [use])?.[0], { counter: 9 })
  t.is(spendAll([factor('totp')], [use, use]), undefined)
  t.is(spendAll([factor('totp')], [{ ...use, factorId: 'other' }]), undefined)
  t.is(spend(factor('passkey', { id: 'totp' }), use), undefined)
  t.is(spend(undefined, use), undefined)
})
