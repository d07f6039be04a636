/** The token `lka_…` of a sign-in that needs one more proof: draft-ietf-oauth-first-party-apps-04 §5.3.1. */
import test from 'ava'
import fc from 'fast-check'
import { auditEvent } from '../../src/audit/audit.ts'
import { decryptToken, type EncryptedFormat, encryptToken } from '../../src/keys/encrypted_token.ts'
import {
  type AuthSession,
  authSessionLifetime,
  consumeAuthSession,
  createAuthSession,
  formatAuthSession,
  maxWrongProofs,
  openAuthSession,
  parseAuthSession,
  takeTry,
  userOfAuthSession,
} from '../../src/oauth/auth_session.ts'
import { passwordUpdate } from '../../src/sessions/user_change.ts'
import { createTestRandom, createTestSecrets, startServerWithAlice } from '../_server.ts'

const secrets = createTestSecrets()
const randomBytes = createTestRandom('auth session')
const deps = { secrets, randomBytes }
const example: AuthSession = {
  id: Buffer.alloc(16, 7).toString('base64url'),
  clientId: 'app',
  user: { id: `usr_${Buffer.alloc(16, 9).toString('base64url')}`, credentialVersion: 3 },
  amr: ['pwd'],
  request: { scope: 'read', codeChallenge: 'c'.repeat(43) },
  expiresAt: 1_800_000_300,
}
const token = formatAuthSession(example, deps)

const base64urls = fc.string({
  unit: fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'),
  minLength: 22,
  maxLength: 22,
})
const authSessions: fc.Arbitrary<AuthSession> = fc.record(
  {
    id: base64urls,
    clientId: fc.string({ unit: fc.constantFrom(...'aZ09._~-'), minLength: 1, maxLength: 64 }),
    // Whatever the 22 characters are: an import brings ids that were made elsewhere.
    user: fc.record({ id: base64urls.map(text => `usr_${text}`), credentialVersion: fc.nat() }),
    amr: fc.subarray(['pwd', 'otp', 'hwk', 'swk', 'user', 'mfa']),
    sessionId: base64urls,
    request: fc.record({ scope: fc.string({ maxLength: 4096 }), nonce: fc.string({ unit: 'binary' }) }),
    expiresAt: fc.nat(),
  },
  { requiredKeys: ['id', 'clientId', 'amr', 'expiresAt'], noNullPrototype: true },
)

test('property: what is formatted is parsed, in a text of the alphabet that no form quotes', t => {
  fc.assert(
    fc.property(authSessions, authSession => {
      const text = formatAuthSession(authSession, deps)
      t.regex(text, /^lka_[\w-]+$/)
      t.deepEqual(parseAuthSession(text, secrets), authSession)
    }),
  )
})

test('nobody but this server reads in it, and no two are the same (§5.3.1)', t => {
  const bytes = Buffer.from(token.slice(4), 'base64url').toString('latin1')
  for (const part of [example.id, example.user!.id, 'app', 'pwd', 'read']) t.false(bytes.includes(part), part)
  t.not(formatAuthSession(example, deps), token)
})

test('any flipped bit is refused', t => {
  const bytes = Buffer.from(token.slice(4), 'base64url')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    t.is(parseAuthSession(`lka_${flipped.toString('base64url')}`, secrets), undefined)
  }
  t.deepEqual(parseAuthSession(`lka_${bytes.toString('base64url')}`, secrets), example)
})

test('property: any changed, added or removed character is refused', t => {
  const characters = fc.oneof(
    fc.constantFrom(...'ABCXYZabcxyz0189-_+/=. ";\n\0é'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  )
  fc.assert(
    fc.property(fc.nat({ max: token.length }), characters, (at, character) => {
      const changed = token.slice(0, at) + character + token.slice(at + 1)
      const added = token.slice(0, at) + character + token.slice(at)
      const removed = token.slice(0, at) + token.slice(at + 1)
      return [changed, added, removed].every(other => other === token || parseAuthSession(other, secrets) === undefined)
    }),
    { numRuns: 1000 },
  )
  t.deepEqual(parseAuthSession(token, secrets), example)
})

test('property: no text makes the parser throw, and none is taken that was not issued', t => {
  const nearly = fc
    .string({ unit: fc.constantFrom(...'ABab09-_+/=é\u{1f600}'), maxLength: 90 })
    .map(text => `lka_${text}`)
  const headed = fc
    .uint8Array({ maxLength: 64 })
    .map(bytes => `lka_${Buffer.concat([Buffer.of(1), secrets[0].id, bytes]).toString('base64url')}`)
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'binary' }), nearly, headed),
      text => parseAuthSession(text, secrets) === undefined,
    ),
    { numRuns: 1000 },
  )
  t.is(parseAuthSession(`lka_${'A'.repeat(1_000_000)}`, secrets), undefined)
})

test('one of another master secret is refused, and those of older ones are read', t => {
  const old = formatAuthSession(example, { ...deps, secrets: createTestSecrets('old') })
  t.is(parseAuthSession(old, secrets), undefined)
  t.deepEqual(parseAuthSession(old, createTestSecrets('new', 'old')), example)
})

test('two formats of two keys do not take the tokens of one another', t => {
  const one: EncryptedFormat = { prefix: 'x_', maxLength: 1000, key: secret => secret.authSessionKey }
  const other: EncryptedFormat = { ...one, key: secret => secret.enrollmentKey }
  const text = encryptToken(one, 'payload', secrets, randomBytes)
  t.is(decryptToken(one, text, secrets), 'payload')
  t.is(decryptToken(other, text, secrets), undefined)
  t.is(decryptToken({ ...one, maxLength: text.length - 1 }, text, secrets), undefined)
})

const invalidSession = { code: 'invalid_session' } as const

test("it is its client's for 300 seconds, and refused in one wording otherwise", async t => {
  const { deps, clock } = await startServerWithAlice(t)
  const authSession = createAuthSession(deps, { clientId: 'app', amr: [] })
  const text = formatAuthSession(authSession, deps)
  t.deepEqual(await openAuthSession(deps, text, 'app'), authSession)

  const refusals = [
    await t.throwsAsync(openAuthSession(deps, text, 'other'), invalidSession),
    await t.throwsAsync(openAuthSession(deps, 'lka_', 'app'), invalidSession),
  ]
  clock.advance(authSessionLifetime - 1)
  t.deepEqual(await openAuthSession(deps, text, 'app'), authSession)
  clock.advance(1)
  refusals.push(await t.throwsAsync(openAuthSession(deps, text, 'app'), invalidSession))
  t.is(new Set(refusals.map(error => error?.message)).size, 1)
})

test('it counts once: of many at the same moment one goes on', async t => {
  const { deps } = await startServerWithAlice(t)
  const authSession = createAuthSession(deps, { clientId: 'app', amr: [] })
  const results = await Promise.allSettled(Array.from({ length: 10 }, () => consumeAuthSession(deps, authSession)))
  t.is(results.filter(({ status }) => status === 'fulfilled').length, 1)
  await t.throwsAsync(openAuthSession(deps, formatAuthSession(authSession, deps), 'app'), invalidSession)
  const another = createAuthSession(deps, { clientId: 'app', amr: [] })
  await t.notThrowsAsync(consumeAuthSession(deps, another))
})

test('five tries end it, also at the same moment', async t => {
  const { deps } = await startServerWithAlice(t)
  const authSession = createAuthSession(deps, { clientId: 'app', amr: [] })
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => takeTry(deps, authSession)))
  t.is(results.filter(({ status }) => status === 'fulfilled').length, maxWrongProofs)
  await t.throwsAsync(takeTry(deps, authSession), invalidSession)
})

test('it is dead when the credentials have changed', async t => {
  const { deps, clock, aliceId } = await startServerWithAlice(t)
  const user = (await deps.storage.findUser(aliceId))!
  const known = { id: aliceId, credentialVersion: user.credentialVersion }
  const authSession = createAuthSession(deps, { clientId: 'app', user: known, amr: ['pwd'] })
  t.deepEqual(await userOfAuthSession(deps, authSession), user)
  const event = auditEvent('user.password_changed', clock.now(), {}, { userId: aliceId })
  await deps.storage.changeUser(aliceId, passwordUpdate('hash', event))
  await t.throwsAsync(userOfAuthSession(deps, authSession), invalidSession)
})
