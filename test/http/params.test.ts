/** Form text to parameters: one non-empty string each, or invalid_request. RFC 6749 §3.2, Appendix B. */
import test from 'ava'
import fc from 'fast-check'
import { OAuthError } from '../../src/error.ts'
import { parseForm } from '../../src/http/params.ts'

/** The parameters as entries, or the code of the refusal. */
function outcome(text: string): [string, string | undefined][] | string {
  try {
    return Object.entries(parseForm(text).params)
  } catch (error) {
    return error instanceof OAuthError ? error.code : String(error)
  }
}

test('a form is one string for each name', t => {
  t.deepEqual(outcome('grant_type=password&username=alice&scope=read+write%20admin'), [
    ['grant_type', 'password'],
    ['username', 'alice'],
    ['scope', 'read write admin'],
  ])
})

test('an empty value counts as left out (RFC 6749 §3.2)', t => {
  t.deepEqual(outcome('a=&b&=c&d=e'), [
    ['', 'c'],
    ['d', 'e'],
  ])
  t.deepEqual(outcome(''), [])
  t.deepEqual(outcome('&&'), [])
})

test('a repeated parameter is refused, an empty one too (RFC 6749 §3.2)', t => {
  for (const text of ['a=1&a=1', 'a=1&a=2', 'a=&a=1', 'a&a', 'a=1&%61=2', 'a+b=1&a%20b=2']) {
    t.is(outcome(text), 'invalid_request', text)
  }
  t.deepEqual(outcome('a=1&A=1'), [
    ['a', '1'],
    ['A', '1'],
  ])
})

test('everything after the first equals sign is the value', t => {
  t.deepEqual(outcome('password=a=b==&x==y'), [
    ['password', 'a=b=='],
    ['x', '=y'],
  ])
})

test('brackets and dots make no structure', t => {
  t.deepEqual(outcome('a[b]=1&a[]=2&a.b=3'), [
    ['a[b]', '1'],
    ['a[]', '2'],
    ['a.b', '3'],
  ])
})

test('broken percent-encoding and malformed UTF-8 are refused', t => {
  for (const text of ['a=%', 'a=%4', 'a=%zz', '%=a', 'a=%ff', 'a=%c3', 'a=%ed%a0%80', 'a=%c0%80', 'a=\ufffd']) {
    t.is(outcome(text), 'invalid_request', text)
  }
  t.deepEqual(outcome('a=%c3%bc%F0%9F%98%80'), [['a', 'ü😀']])
})

test('a NUL is refused in names and values, encoded or not', t => {
  for (const text of ['a=%00', 'a=b%00c', 'a\0=b', 'a=b\0', '%00=a', '\0']) t.is(outcome(text), 'invalid_request', text)
  t.deepEqual(outcome('a=%01'), [['a', '\u0001']])
})

test('names of Object.prototype are names like any other', t => {
  const { params } = parseForm('__proto__=a&constructor=b&toString=c&hasOwnProperty=d')
  t.deepEqual(Object.entries(params), [
    ['__proto__', 'a'],
    ['constructor', 'b'],
    ['toString', 'c'],
    ['hasOwnProperty', 'd'],
  ])
  t.is(Object.getPrototypeOf(params), null)
  // The twin: a form without them has none of them.
  for (const name of ['__proto__', 'constructor', 'toString']) t.false(name in parseForm('a=b').params, name)
})

test('resource is the one name that may be repeated (RFC 8707 §2); values keep their order, empty ones are left out', t => {
  const { params, resources } = parseForm('resource=https%3A%2F%2Fa.example&scope=read&resource=&resource=b')
  t.deepEqual(resources, ['https://a.example', 'b'])
  t.deepEqual(Object.entries(params), [['scope', 'read']])
  t.is(outcome('scope=read&scope=read'), 'invalid_request')
})

test('property: any text gives non-empty strings without NUL, or invalid_request', t => {
  const formLike = fc.string({ unit: fc.constantFrom(...'ab=&%+0cf\0é\ufffd[]'), maxLength: 40 })
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), formLike), text => {
      const result = outcome(text)
      if (typeof result === 'string') return result === 'invalid_request'
      return result.every(([, value]) => typeof value === 'string' && value !== '' && !value.includes('\0'))
    }),
    { numRuns: 3000 },
  )
  t.pass()
})

test('property: what URLSearchParams writes is read as URLSearchParams reads it', t => {
  const texts = fc.string({ unit: 'grapheme' }).filter(text => !text.includes('\0') && !text.includes('\ufffd'))
  fc.assert(
    fc.property(fc.dictionary(texts, texts), record => {
      const form = new URLSearchParams(record)
      const expected = [...form].filter(([, value]) => value !== '')
      t.deepEqual(new Map(outcome(form.toString()) as [string, string][]), new Map(expected))
    }),
    { numRuns: 500 },
  )
})
