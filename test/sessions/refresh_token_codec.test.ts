/** The text form of refresh tokens: `lkr_` and 76 base64url characters of 57 bytes, authentic to the last bit. */
import test from 'ava'
import fc from 'fast-check'
import { formatRefreshToken, parseRefreshToken } from '../../src/sessions/refresh_token.ts'
import { createTestSecrets } from '../_server.ts'

const secrets = createTestSecrets()
const token = { sessionId: Buffer.alloc(16, 7).toString('base64url'), generation: 2 ** 24 }

const tokens = fc.record({
  sessionId: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytes => Buffer.from(bytes).toString('base64url')),
  generation: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
})

test('a refresh token is lkr_ and 76 base64url characters', t => {
  fc.assert(fc.property(tokens, value => /^lkr_[\w-]{76}$/.test(formatRefreshToken(value, secrets))))
  t.pass()
})

test('property: what is formatted is parsed', t => {
  fc.assert(
    fc.property(tokens, value => {
      const parsed = parseRefreshToken(formatRefreshToken(value, secrets), secrets)
      return parsed?.sessionId === value.sessionId && parsed.generation === value.generation
    }),
  )
  t.deepEqual(parseRefreshToken(formatRefreshToken(token, secrets), secrets), token)
})

test('a token is derived: the same session and generation give the same text', t => {
  t.is(formatRefreshToken(token, secrets), formatRefreshToken({ ...token }, createTestSecrets()))
  t.not(formatRefreshToken(token, secrets), formatRefreshToken({ ...token, generation: token.generation + 1 }, secrets))
})

test('any flipped bit of the 57 bytes is refused', t => {
  const bytes = Buffer.from(formatRefreshToken(token, secrets).slice(4), 'base64url')
  t.is(bytes.length, 57)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    t.is(parseRefreshToken(`lkr_${flipped.toString('base64url')}`, secrets), undefined)
  }
  t.deepEqual(parseRefreshToken(`lkr_${bytes.toString('base64url')}`, secrets), token)
})

test('property: any changed, added or removed character is refused', t => {
  const text = formatRefreshToken(token, secrets)
  const characters = fc.oneof(
    fc.constantFrom(...'ABCXYZabcxyz0189-_+/=. \n\0é'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  )
  fc.assert(
    fc.property(fc.nat({ max: text.length }), characters, (at, character) => {
      const changed = text.slice(0, at) + character + text.slice(at + 1)
      const added = text.slice(0, at) + character + text.slice(at)
      const removed = text.slice(0, at) + text.slice(at + 1)
      return [changed, added, removed].every(other => other === text || parseRefreshToken(other, secrets) === undefined)
    }),
    { numRuns: 2000 },
  )
  t.deepEqual(parseRefreshToken(text, secrets), token)
})

test('every other base64url character at every place is refused', t => {
  const text = formatRefreshToken(token, secrets)
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const taken = []
  for (let at = 0; at < text.length; at++) {
    for (const character of alphabet) {
      const other = text.slice(0, at) + character + text.slice(at + 1)
      if (other !== text && parseRefreshToken(other, secrets) !== undefined) taken.push(other)
    }
  }
  t.deepEqual(taken, [])
})

test('property: no text makes the parser throw, and none is taken that was not issued', t => {
  const nearly = fc
    .string({ unit: fc.constantFrom(...'ABab09-_+/=é\u{1f600}'), maxLength: 90 })
    .map(text => `lkr_${text}`)
  const sized = fc
    .uint8Array({ minLength: 57, maxLength: 57 })
    .map(bytes => `lkr_${Buffer.from([1, ...bytes.slice(1)]).toString('base64url')}`)
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'binary' }), fc.string(), nearly, sized),
      text => parseRefreshToken(text, secrets) === undefined,
    ),
    { numRuns: 2000 },
  )
  t.pass()
})

test('one token has one text: plain base64, padding and white space are refused', t => {
  // Sought: a token whose text uses both characters in which the alphabets differ.
  const text = Array.from({ length: 1000 }, (_, i) => formatRefreshToken({ ...token, generation: i }, secrets)).find(
    candidate => candidate.slice(4).includes('-') && candidate.slice(4).includes('_'),
  )!
  const plain = `lkr_${text.slice(4).replaceAll('-', '+').replaceAll('_', '/')}`
  for (const other of [plain, `${text}=`, `${text} `, ` ${text}`, `${text}\n`, text.replace('lkr_', 'LKR_')]) {
    t.is(parseRefreshToken(other, secrets), undefined)
  }
  t.not(parseRefreshToken(text, secrets), undefined)
})

test('a token of another master secret is refused', t => {
  t.is(parseRefreshToken(formatRefreshToken(token, createTestSecrets('other')), secrets), undefined)
  t.deepEqual(
    parseRefreshToken(formatRefreshToken(token, createTestSecrets('other')), createTestSecrets('other')),
    token,
  )
})

test('the id of a master secret does not replace its key', t => {
  const bytes = Buffer.from(formatRefreshToken(token, createTestSecrets('other')).slice(4), 'base64url')
  secrets[0].id.copy(bytes, 1)
  t.is(parseRefreshToken(`lkr_${bytes.toString('base64url')}`, secrets), undefined)
})

test('rotating the master secret keeps the tokens of the older ones, and new tokens are of the newest', t => {
  const old = formatRefreshToken(token, createTestSecrets('old'))
  t.deepEqual(parseRefreshToken(old, createTestSecrets('new', 'old')), token)
  t.deepEqual(parseRefreshToken(old, createTestSecrets('new', 'middle', 'old')), token)
  t.is(parseRefreshToken(old, createTestSecrets('new')), undefined)
  t.is(formatRefreshToken(token, createTestSecrets('new', 'old')), formatRefreshToken(token, createTestSecrets('new')))
})
