/** What an e-mail address may be. */
import test from 'ava'
import fc from 'fast-check'
import { emailKey } from '../../src/text.ts'
import { readEmail } from '../../src/users/email.ts'

const readings = (texts: readonly string[]) => texts.map(text => readEmail(text).text)

test('an e-mail address is one: a local part, one @, a domain (RFC 5321 §4.1.2, RFC 6531)', t => {
  const good = [
    'alice@example.com',
    'Alice@Example.COM',
    "o'neill+x@example.co.uk",
    'a.b..c.@163.com',
    'a%b!c=d{e}@r3---sn.example',
    'root@localhost',
    '김철수@xn--vv4b11d.xn--3e0b707e',
    'иван@xn--e1afmkfd.xn--p1ai',
    `${'a'.repeat(249)}@b.de`,
  ]
  t.deepEqual(readings(good), good)
  t.is(readEmail(' alice@example.com\u00a0').text, 'alice@example.com')
})

test('nothing that a header or a mail server could read as more than one address is an address', t => {
  const bad = [
    '',
    'alice',
    '@example.com',
    'alice@',
    'a@b@c',
    'a@b, c@d',
    'a@b.c,evil@e.com',
    'a@b;c',
    'group:a@b.c;',
    'A <a@b>',
    '<a@b>',
    '"a"@b',
    '"a@b"@c',
    'a(comment)@b',
    'a\\@b',
    'a b@c',
    'a@[127.0.0.1]',
    'a@127.0.0.1',
    'a@4',
    'a@b..c',
    'a@.b',
    'a@b.',
    'a@-b.c',
    'a@b-.c',
    'a@b_c.d',
    `a@${'b'.repeat(64)}.c`,
    'a@b\r\nBcc: x@y',
    'a@b.c\r\n',
    '\na@b.c',
    'a@b\u0000',
    'a@b\u202e',
    'a\u200d@b',
    'a\u3164@b',
    'a\ud800@b',
    'a\ufffd@b',
    '\u0301a@b',
    `${'a'.repeat(250)}@b.de`,
    // 255 bytes.
    `${'김'.repeat(83)}@aa.de`,
    'a'.repeat(1_000_000),
  ]
  for (const text of bad) t.is(readEmail(text).text, undefined, JSON.stringify(text.slice(0, 300)))
})

test('what only looks like another address is refused: other widths, ligatures, scripts that are mixed (UTS #39 §5.2)', t => {
  const bad = [
    'ａlice@example.com',
    'alice＠example.com',
    'alice@ｅxample.com',
    'alice@example。com',
    'ﬁnn@example.com',
    'x²@example.com',
    // With a Cyrillic letter, also in its ASCII form.
    'аlice@example.com',
    'alice@аpple.com',
    'alice@xn--pple-43d.com',
    'αlice@example.com',
    // A picture, and what is none.
    'alice@xn--n3h.net',
    'alice@xn--zzzzzzzz99',
  ]
  for (const text of bad) t.is(readEmail(text).text, undefined, text)
  // Scripts that one language has beside each other.
  for (const text of ['김alice2@example.com', '山田たろう@example.jp']) t.is(readEmail(text).text, text)
})

test('a domain in other letters is kept in its ASCII form, composed, so that one mailbox has one text (RFC 5891)', t => {
  t.deepEqual(readings(['김@예시.한국', '山田@例え.jp', 'a@faß.de', 'ivan@почта.com', 'zoe\u0308@exa\u0308mple.com']), [
    '김@xn--vv4b11d.xn--3e0b707e',
    '山田@xn--r8jz45g.jp',
    'a@xn--fa-hia.de',
    'ivan@xn--80a1acny.com',
    'zoë@xn--exmple-cua.com',
  ])
})

const texts = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.string({
    unit: fc.constantFrom(
      ...'aZ9@..-+_ ,:;<>()[]"\\\r\n\0',
      'é',
      'а',
      '김',
      '例',
      'ｅ',
      'ﬁ',
      '\u0301',
      '\u200d',
      'xn--',
    ),
    maxLength: 30,
  }),
  fc.emailAddress(),
)
const halves = fc.tuple(texts, texts).map(parts => parts.join('@'))

test('property: an address that is taken is one line with one @, short, and taken again as it is', t => {
  fc.assert(
    fc.property(fc.oneof(texts, halves), given => {
      const { text, problem } = readEmail(given)
      if (text === undefined) return problem !== ''
      const [local = '', domain = '', ...more] = text.split('@')
      return (
        readEmail(text).text === text &&
        more.length === 0 &&
        /^[a-z0-9.-]+$/i.test(domain) &&
        !/[\p{C}\p{Z}"(),:;<>[\]\\]/u.test(local) &&
        local !== '' &&
        text === text.normalize('NFKC') &&
        Buffer.byteLength(text) <= 254 &&
        emailKey(text) !== undefined
      )
    }),
    { numRuns: 20_000 },
  )
  t.pass()
})

test('property: a plain address of ASCII is taken as it is, and with anything of a list, a group or a header in it it is not', t => {
  const word = fc.stringMatching(/^[a-z0-9]{1,20}$/)
  const plain = fc.tuple(word, word, fc.constantFrom('com', 'co.kr', 'museum')).map(([a, b, tld]) => `${a}@${b}.${tld}`)
  const breaking = fc.constantFrom(...',:;<>()[]"\\ \r\n\0@\t\v\u2028\u00ad', '\r\nBcc: ')
  fc.assert(
    fc.property(plain, breaking, fc.nat(), (address, part, at) => {
      const place = 1 + (at % (address.length - 1))
      const broken = address.slice(0, place) + part + address.slice(place)
      return readEmail(address).text === address && readEmail(broken).text === undefined
    }),
    { numRuns: 5000 },
  )
  t.pass()
})
