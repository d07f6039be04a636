/** The value of the session cookie, `lkc_` and 76 base64url characters of 57 bytes; and that no format stands in for another. */
import test from 'ava'
import fc from 'fast-check'
import type { MasterSecrets } from '../../src/keys/master_secret.ts'
import { openToken, sealToken, type TokenFormat } from '../../src/keys/sealed_token.ts'
import { formatRefreshToken, parseRefreshToken } from '../../src/sessions/refresh_token.ts'
import { firstGeneration } from '../../src/sessions/session.ts'
import { formatSessionCookie, parseSessionCookie } from '../../src/sessions/session_cookie.ts'
import { createTestSecrets } from '../_server.ts'

const secrets = createTestSecrets()
const formatCookie = (sessionId: string, secrets: MasterSecrets, generation = firstGeneration) =>
  formatSessionCookie({ sessionId, generation }, secrets)
const sessionOf = (text: string, secrets: MasterSecrets) => parseSessionCookie(text, secrets)?.sessionId
const sessionId = Buffer.alloc(16, 7).toString('base64url')
const cookie = formatCookie(sessionId, secrets)
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

const sessionIds = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map(bytes => Buffer.from(bytes).toString('base64url'))

test('a session cookie is lkc_ and 76 base64url characters, none of which a Cookie header quotes (RFC 6265 §4.1.1)', t => {
  fc.assert(fc.property(sessionIds, id => /^lkc_[\w-]{76}$/.test(formatCookie(id, secrets))))
  t.pass()
})

test('property: what is formatted is parsed', t => {
  fc.assert(
    fc.property(sessionIds, fc.integer({ min: 0, max: 2 ** 32 - 1 }), (sessionId, generation) => {
      t.deepEqual(parseSessionCookie(formatCookie(sessionId, secrets, generation), secrets), { sessionId, generation })
    }),
  )
})

test('a cookie of older versions, which has no generation, is older than any change of the password', t => {
  const former: TokenFormat = { prefix: 'lkc_', payloadLength: 16, key: secret => secret.sessionCookieKey }
  const value = sealToken(former, Buffer.from(sessionId, 'base64url'), secrets)
  t.is(value.length, 75)
  t.deepEqual(parseSessionCookie(value, secrets), { sessionId, generation: 0 })
  t.is(parseSessionCookie(value, createTestSecrets('other')), undefined)
})

test('property: two sessions have two cookies, one session has one', t => {
  fc.assert(
    fc.property(sessionIds, sessionIds, (a, b) => {
      return (formatCookie(a, secrets) === formatCookie(b, secrets)) === (a === b)
    }),
  )
  t.is(formatCookie(sessionId, createTestSecrets()), cookie)
})

test('any flipped bit of the 57 bytes is refused', t => {
  const bytes = Buffer.from(cookie.slice(4), 'base64url')
  t.is(bytes.length, 57)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    t.is(sessionOf(`lkc_${flipped.toString('base64url')}`, secrets), undefined)
  }
  t.is(sessionOf(`lkc_${bytes.toString('base64url')}`, secrets), sessionId)
})

test('every other base64url character at every place is refused', t => {
  const taken = []
  for (let at = 0; at < cookie.length; at++) {
    for (const character of alphabet) {
      const other = cookie.slice(0, at) + character + cookie.slice(at + 1)
      if (other !== cookie && sessionOf(other, secrets) !== undefined) taken.push(other)
    }
  }
  t.deepEqual(taken, [])
})

test('property: any changed, added or removed character is refused', t => {
  const characters = fc.oneof(
    fc.constantFrom(...'ABCXYZabcxyz0189-_+/=. ";\n\0é'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  )
  fc.assert(
    fc.property(fc.nat({ max: cookie.length }), characters, (at, character) => {
      const changed = cookie.slice(0, at) + character + cookie.slice(at + 1)
      const added = cookie.slice(0, at) + character + cookie.slice(at)
      const removed = cookie.slice(0, at) + cookie.slice(at + 1)
      return [changed, added, removed].every(other => {
        return other === cookie || sessionOf(other, secrets) === undefined
      })
    }),
    { numRuns: 2000 },
  )
  t.is(sessionOf(cookie, secrets), sessionId)
})

test('property: no text makes the parser throw, and none is taken that was not issued', t => {
  const nearly = fc
    .string({ unit: fc.constantFrom(...'ABab09-_+/=é\u{1f600}'), maxLength: 90 })
    .map(text => `lkc_${text}`)
  const sized = fc
    .uint8Array({ minLength: 57, maxLength: 57 })
    .map(bytes => `lkc_${Buffer.from([1, ...bytes.slice(1)]).toString('base64url')}`)
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'binary' }), fc.string(), nearly, sized),
      text => sessionOf(text, secrets) === undefined,
    ),
    { numRuns: 2000 },
  )
  t.pass()
})

test('one cookie has one text: plain base64, padding, quotes and white space are refused', t => {
  const plain = (text: string) => `lkc_${text.slice(4).replaceAll('-', '+').replaceAll('_', '/')}`
  // Sought: a value whose text uses both characters in which the alphabets differ.
  const text = Array.from({ length: 1000 }, (_, i) => {
    return formatCookie(Buffer.alloc(16, i).toString('base64url'), createTestSecrets(`secret ${i}`))
  }).findIndex(candidate => candidate.slice(4).includes('-') && candidate.slice(4).includes('_'))
  const own = createTestSecrets(`secret ${text}`)
  const value = formatCookie(Buffer.alloc(16, text).toString('base64url'), own)

  for (const other of [
    plain(value),
    `${value}=`,
    `${value} `,
    ` ${value}`,
    `"${value}"`,
    value.replace('lkc', 'LKC'),
  ]) {
    t.is(sessionOf(other, own), undefined, other)
  }
  t.not(sessionOf(value, own), undefined)
})

test('a cookie of another master secret is refused, also under the id of ours', t => {
  const foreign = formatCookie(sessionId, createTestSecrets('other'))
  const bytes = Buffer.from(foreign.slice(4), 'base64url')
  secrets[0].id.copy(bytes, 1)

  t.is(sessionOf(foreign, secrets), undefined)
  t.is(sessionOf(`lkc_${bytes.toString('base64url')}`, secrets), undefined)
  t.is(sessionOf(foreign, createTestSecrets('other')), sessionId)
})

test('rotating the master secret keeps the cookies of the older ones, and new cookies are of the newest', t => {
  const old = formatCookie(sessionId, createTestSecrets('old'))
  t.is(sessionOf(old, createTestSecrets('new', 'middle', 'old')), sessionId)
  t.is(sessionOf(old, createTestSecrets('new')), undefined)
  t.is(formatCookie(sessionId, createTestSecrets('new', 'old')), formatCookie(sessionId, createTestSecrets('new')))
})

test('property: a refresh token is no cookie and a cookie no refresh token, whatever its prefix says', t => {
  const generations = fc.integer({ min: 0, max: 2 ** 32 - 1 })
  fc.assert(
    fc.property(sessionIds, generations, (id, generation) => {
      const token = formatRefreshToken({ sessionId: id, generation }, secrets)
      const value = formatCookie(id, secrets)
      return (
        [token, token.replace('lkr_', 'lkc_'), `lkc_${token.slice(4, 75)}`, `lkc_${token.slice(4)}`].every(
          text => sessionOf(text, secrets) === undefined,
        ) &&
        [value, value.replace('lkc_', 'lkr_'), `lkr_${value.slice(4)}`, `lkr_${value.slice(4, 75)}`].every(
          text => parseRefreshToken(text, secrets) === undefined,
        )
      )
    }),
  )
  t.is(sessionOf(cookie, secrets), sessionId)
})

test('two formats of one shape and two keys do not take the tokens of one another', t => {
  const one: TokenFormat = { prefix: 'x_', payloadLength: 16, key: secret => secret.sessionCookieKey }
  const other: TokenFormat = { ...one, key: secret => secret.refreshTokenKey }
  const payload = Buffer.alloc(16, 7)
  const sealed = sealToken(one, payload, secrets)
  t.deepEqual(openToken(one, sealed, secrets), payload)
  t.is(openToken(other, sealed, secrets), undefined)
})

test('property: payloads of every length are opened as they were sealed', t => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), bytes => {
      const format: TokenFormat = { prefix: 'x_', payloadLength: bytes.length, key: secret => secret.sessionCookieKey }
      return openToken(format, sealToken(format, Buffer.from(bytes), secrets), secrets)?.equals(bytes) === true
    }),
  )
  t.pass()
})
