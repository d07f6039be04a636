/** Scopes: parsing and narrowing. RFC 6749 §3.3. */
import test from 'ava'
import fc from 'fast-check'
import { OAuthError } from '../../src/error.ts'
import { grantScope, narrowScope, parseScope } from '../../src/oauth/scope.ts'

const scopeCharacters = Array.from({ length: 94 }, (_, i) => String.fromCharCode(0x21 + i)).filter(
  character => character !== '"' && character !== '\\',
)
const scopeTokens = fc.string({ unit: fc.constantFrom(...scopeCharacters), minLength: 1, maxLength: 8 })
/** Few tokens, so that lists overlap. */
const scopes = fc.array(fc.constantFrom('read', 'write', 'admin', 'a:b', 'x'), { maxLength: 6 })

test('property: a scope is its distinct tokens in the order given', t => {
  fc.assert(
    fc.property(fc.array(scopeTokens, { minLength: 1 }), tokens => {
      t.deepEqual(parseScope(tokens.join(' ')), [...new Set(tokens)])
    }),
  )
  t.deepEqual(parseScope('write read write'), ['write', 'read'])
})

test('the empty text is the empty scope', t => {
  t.deepEqual(parseScope(''), [])
})

test('every character of a scope token is taken, every other one refused', t => {
  for (let code = 0; code < 0x180; code++) {
    const character = String.fromCharCode(code)
    const isScopeCharacter = scopeCharacters.includes(character)
    t.is(parseScope(`a${character}b`) !== undefined, isScopeCharacter || character === ' ', `code ${code}`)
  }
})

test('outer spaces, tabs and line ends are no separators', t => {
  for (const text of [' read', 'read ', 'read\twrite', 'read\nwrite', ' ', 'read\n']) t.is(parseScope(text), undefined)
  t.deepEqual(parseScope('read write'), ['read', 'write'])
})

test('property: no text makes the parser throw, and what it takes has no white space or quotes', t => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), text =>
      (parseScope(text) ?? []).every(token => /^[^\s"\\]+$/.test(token)),
    ),
  )
  t.pass()
})

test('a long scope that is malformed at its end is refused quickly', t => {
  const started = performance.now()
  t.is(parseScope(`${'a '.repeat(8000)}"`), undefined)
  t.is(parseScope(`${'a'.repeat(16_000)}"`), undefined)
  t.true(performance.now() - started < 500)
})

test('nothing requested is everything allowed', t => {
  t.is(narrowScope(undefined, 'read write'), 'read write')
  t.is(narrowScope(undefined, ''), '')
})

test('what is requested is granted in its own order, without repeats', t => {
  t.is(narrowScope('write', 'read write'), 'write')
  t.is(narrowScope('write read', 'read write'), 'write read')
  t.is(narrowScope('write write', 'read write'), 'write')
  t.is(narrowScope('read write', 'read write'), 'read write')
})

test('asking for more is refused whole, not cut down', t => {
  t.is(narrowScope('read admin', 'read write'), undefined)
  t.is(narrowScope('rea', 'read write'), undefined)
  t.is(narrowScope('READ', 'read write'), undefined)
  t.is(narrowScope('read', ''), undefined)
  t.is(narrowScope('read', 'read write'), 'read')
})

test('property: what is granted is within what is requested and what is allowed', t => {
  fc.assert(
    fc.property(scopes, scopes, (requested: string[], allowed: string[]) => {
      const granted = narrowScope(requested.join(' '), [...new Set(allowed)].join(' '))
      const asksForMore = requested.some(token => !allowed.includes(token))
      if (granted === undefined) return asksForMore
      const tokens = granted === '' ? [] : granted.split(' ')
      return !asksForMore && tokens.every(token => requested.includes(token) && allowed.includes(token))
    }),
    { numRuns: 1000 },
  )
  t.pass()
})

test('property: no chain of narrowings ever widens', t => {
  fc.assert(
    fc.property(scopes, fc.array(scopes), (allowed, requests) => {
      const session = [...new Set(allowed)].join(' ')
      let current = session
      for (const request of requests) {
        const before = current
        current = narrowScope(request.join(' '), current) ?? current
        if (current.split(' ').some(token => !before.split(' ').includes(token) && token !== '')) return false
      }
      return true
    }),
  )
  t.pass()
})

test('grantScope throws invalid_scope for what narrowScope refuses', t => {
  for (const requested of ['admin', 'read"', ' ']) {
    const error = t.throws(() => grantScope(requested, 'read write'), { instanceOf: OAuthError })
    t.is(error?.code, 'invalid_scope')
  }
  t.is(grantScope('read', 'read write'), 'read')
})
