import test from 'ava'
import { type Factor, spend } from '../../../src/users/factors/factor.ts'
import {
  countRecoveryCodes,
  createRecoveryCodes,
  digestRecoveryCodes,
  masterSecretsOfCodes,
  verifyRecoveryCode,
} from '../../../src/users/factors/recovery_codes.ts'
import { createTestRandom, createTestSecrets } from '../../_server.ts'

const secrets = createTestSecrets()
const codes = createRecoveryCodes(createTestRandom())
const factor: Factor = {
  id: 'fac_1',
  userId: 'usr_1',
  kind: 'recovery_codes',
  createdAt: 0,
  data: digestRecoveryCodes(codes, secrets),
  counter: 0,
}

test('there are ten codes of 80 bits, each of its own, in groups that a person can copy (NIST SP 800-63B-4 §4.2.1.1)', t => {
  t.is(new Set(codes).size, 10)
  for (const code of codes) t.regex(code, /^[0-9a-hjkmnp-tv-z]{4}(?:-[0-9a-hjkmnp-tv-z]{4}){3}$/)
  for (const code of codes) t.false(factor.data.includes(code) || factor.data.includes(code.replaceAll('-', '')))
})

test('each code counts once, and the others go on', t => {
  let row = factor
  for (const [i, code] of codes.entries()) {
    const use = verifyRecoveryCode(row, code, secrets, 7)!
    const spent = spend(row, use)!
    t.is(countRecoveryCodes(spent), 9 - i)
    t.is(spend(spent, use), undefined)
    t.is(verifyRecoveryCode(spent, code, secrets, 7), undefined)
    row = spent
  }
  t.is(row.data, '')
  t.is(verifyRecoveryCode(row, '', secrets, 7), undefined)
})

test('a code may be typed in any case, without its hyphens, and with letters that look like digits', t => {
  const [code = ''] = codes
  for (const typed of [
    code.toUpperCase(),
    code.replaceAll('-', ' '),
    ` ${code} `,
    code.replaceAll('0', 'O').replaceAll('1', 'l'),
  ])
    t.truthy(verifyRecoveryCode(factor, typed, secrets, 7), typed)
  for (const wrong of [
    '',
    code.slice(1),
    `${code}0`,
    createRecoveryCodes(createTestRandom('other'))[0]!,
    'x'.repeat(10_000),
  ])
    t.is(verifyRecoveryCode(factor, wrong, secrets, 7), undefined)
})

test('codes go on under an older master secret, and die with it', t => {
  t.truthy(verifyRecoveryCode(factor, codes[3]!, createTestSecrets('new', 'secret'), 7))
  t.is(verifyRecoveryCode(factor, codes[3]!, createTestSecrets('new'), 7), undefined)
  t.deepEqual([...masterSecretsOfCodes(factor)], [secrets[0].name])
})
