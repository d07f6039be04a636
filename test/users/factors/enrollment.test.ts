import test from 'ava'
import { secretNameOf } from '../../../src/keys/sealed_token.ts'
import { type Enrollment, formatEnrollment, parseEnrollment } from '../../../src/users/factors/enrollment.ts'
import { createRecoveryCodes } from '../../../src/users/factors/recovery_codes.ts'
import { createTestRandom, createTestSecrets, startTime } from '../../_server.ts'

const secrets = createTestSecrets()
const random = createTestRandom()
const enrollment: Enrollment = {
  factorId: 'fac_AAAAAAAAAAAAAAAAAAAAAA',
  kind: 'totp',
  userId: 'usr_AAAAAAAAAAAAAAAAAAAAAA',
  within: 'AAAAAAAAAAAAAAAAAAAAAA',
  version: 7,
  name: '한'.repeat(64),
  secret: random(32).toString('base64url'),
  recoveryCodes: createRecoveryCodes(random),
  expiresAt: startTime + 600,
}
const sealed = formatEnrollment(enrollment, secrets, random)

test('an enrollment opens as it was sealed, also under an older master secret, and not without it', t => {
  t.deepEqual(parseEnrollment(sealed, secrets), enrollment)
  t.deepEqual(parseEnrollment(sealed, createTestSecrets('new', 'secret')), enrollment)
  t.is(parseEnrollment(sealed, createTestSecrets('new')), undefined)
  t.is(secretNameOf(sealed), secrets[0].name)
})

test('nobody can read an enrollment, and each looks different', t => {
  const text = Buffer.from(sealed.slice('lke_'.length), 'base64url').toString('latin1')
  for (const part of [enrollment.secret, enrollment.recoveryCodes![0]!, enrollment.userId])
    t.false(text.includes(part) || sealed.includes(part))
  t.not(formatEnrollment(enrollment, secrets, random), sealed)
})

test('any other text is no enrollment, and none is looked at that is too long', t => {
  for (const other of [
    '',
    'x',
    'lke_',
    `lka_${sealed.slice(4)}`,
    sealed.slice(4),
    sealed.slice(0, -4),
    `${sealed}AAAA`,
  ])
    t.is(parseEnrollment(other, secrets), undefined, other)
  t.is(parseEnrollment(sealed.padEnd(100_000, 'A'), secrets), undefined)
  for (let at = 4; at < sealed.length; at += 97) {
    const changed = sealed[at] === 'A' ? 'B' : 'A'
    t.is(parseEnrollment(sealed.slice(0, at) + changed + sealed.slice(at + 1), secrets), undefined, `${at}`)
  }
})
