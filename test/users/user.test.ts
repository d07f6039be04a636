/** Users: the forms in which usernames are compared and what usernames and passwords may be. */
import test from 'ava'
import fc from 'fast-check'
import { readUsername, usernameKey } from '../../src/text.ts'
import { createUserId, meantBy, takenAmong, type User, userIdPrefix } from '../../src/users/user.ts'
import { createTestRandom } from '../_server.ts'

/** Letters with every kind of case mapping, marks that combine with them, and ordinary text. */
const names = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: fc.constantFrom(...'aAäÄßẞσςΣiİıIǆǅǇKÅſﬁΐᾳᾼŉ\u0301\u0308\u0345\u0307é') }),
)

test('property: NFC and NFD are one username', t => {
  fc.assert(
    fc.property(names, name => {
      const keys = [name, name.normalize('NFC'), name.normalize('NFD')].map(usernameKey)
      return new Set(keys).size === 1
    }),
    { numRuns: 3000 },
  )
  t.is(usernameKey('Zo\u00eb'), usernameKey('Zoe\u0308'))
})

test('every letter has one key with its upper and its lower case', t => {
  const differing = []
  for (let code = 1; code < 0x20000; code++) {
    if (code >= 0xd800 && code <= 0xdfff) continue
    const letter = String.fromCodePoint(code).normalize('NFC')
    const keys = [letter, letter.toLowerCase(), letter.toUpperCase()].map(usernameKey)
    if (new Set(keys).size > 1) differing.push(`U+${code.toString(16)} ${letter}: ${keys.join(' ')}`)
  }
  t.deepEqual(differing, [])
})

test('property: the key of a key is the key', t => {
  fc.assert(
    fc.property(names, name => usernameKey(usernameKey(name)) === usernameKey(name)),
    { numRuns: 3000 },
  )
  t.pass()
})

test('case variants are one username, other letters are not', t => {
  for (const [one, other] of [
    ['Alice', 'aLICE'],
    ['ΟΔΥΣΣΕΥΣ', 'Οδυσσευς'],
    ['straße', 'STRASSE'],
    ['straße', 'STRAẞE'],
    ['ÉMILE', 'émile'],
  ] as const) {
    t.is(usernameKey(one), usernameKey(other), `${one} ${other}`)
  }
  for (const [one, other] of [
    ['alice', 'alice1'],
    ['emile', 'émile'],
    ['a', 'а'],
  ] as const) {
    t.not(usernameKey(one), usernameKey(other), `${one} ${other}`)
  }
})

test('a username is kept as it was typed, in NFC', t => {
  t.is(readUsername('Zoe\u0308 van Dijk').text, 'Zo\u00eb van Dijk')
  t.is(readUsername('alice@example.com').text, 'alice@example.com')
  t.is(readUsername('a').text, 'a')
})

test('a username has 1 to 128 characters, counted as people count', t => {
  t.is(readUsername('').text, undefined)
  t.is(readUsername('a'.repeat(128)).text, 'a'.repeat(128))
  t.is(readUsername('a'.repeat(129)).text, undefined)
  t.is(readUsername('😀'.repeat(128)).text, '😀'.repeat(128))
  t.is(readUsername('e\u0301'.repeat(128)).text, '\u00e9'.repeat(128))
})

test('control characters, line ends, outer white space and lone surrogates are no username', t => {
  for (const text of ['a\0b', 'a\nb', 'a\tb', 'a\u007f', 'a\u0085b', 'a\u2028b', 'a\u2029b']) {
    t.is(readUsername(text).text, undefined, JSON.stringify(text))
  }
  for (const text of [' a', 'a ', '\u00a0a', 'a\u3000', ' ', '\ud800', 'a\udc00b']) {
    t.is(readUsername(text).text, undefined, JSON.stringify(text))
  }
  t.is(readUsername('a b').text, 'a b')
})

test('property: no text makes readUsername throw, and what it returns it returns again', t => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), names), text => {
      const username = readUsername(text).text
      return username === undefined || readUsername(username).text === username
    }),
  )
  t.pass()
})

test("a user's id is usr_ and 22 base64url characters, each time another", t => {
  const randomBytes = createTestRandom()
  const [one, other] = [createUserId(randomBytes), createUserId(randomBytes)]
  t.regex(one, /^usr_[\w-]{22}$/)
  t.true(one.startsWith(userIdPrefix))
  t.not(one, other)
})

test('a username has no character that cannot be seen, but for the joiners of some scripts', t => {
  for (const hidden of ['\u200b', '\u202e', '\u2066', '\ufeff', '\u00ad'])
    t.is(readUsername(`ali${hidden}ce`).text, undefined)
  t.is(readUsername('علی\u200cرضا').text, 'علی\u200cرضا')
})

const named = (username: string, id = `usr_${username}`): User => ({ id, username, credentialVersion: 1, createdAt: 0 })

test('taken: whose id, or name in its plainest form, is of one who is there or of one before', t => {
  const [alice, shouting, wide, sameId] = [
    named('alice'),
    named('ALICE'),
    named('ａｌｉｃｅ'),
    named('bob', 'usr_alice'),
  ]
  const nobody = () => undefined
  const isAlice = (user: User) => (user === alice ? 'username' : undefined)
  const taken = (users: readonly User[], takenBy: Parameters<typeof takenAmong>[1]) =>
    takenAmong(users, takenBy, false).map(({ user, member }) => [user, member])
  t.deepEqual(taken([alice, shouting, wide, sameId, named('carol')], nobody), [
    [shouting, 'username'],
    [wide, 'username'],
    [sameId, 'id'],
  ])
  t.deepEqual(taken([alice, named('carol')], nobody), [])
  t.deepEqual(taken([alice, named('carol')], isAlice), [[alice, 'username']])
  // Who is not created keeps the name from the others all the same: nothing is created then.
  t.deepEqual(taken([alice, shouting], isAlice), [
    [alice, 'username'],
    [shouting, 'username'],
  ])
})

test('taken, where addresses are unique: whose address is one of another, or another username, or whose username is another address', t => {
  const taken = (...users: User[]) => [true, false].map(isUnique => takenAmong(users, () => undefined, isUnique).length)
  const alice = { ...named('alice'), email: 'alice@example.com' }
  for (const other of [
    { ...named('bob'), email: 'alice@example.com' },
    { ...named('bob'), email: 'ＡＬＩＣＥ@example.COM' },
    named('alice@example.com'),
    named('Alice@Example.com'),
  ]) {
    t.deepEqual(taken(alice, other), [1, 0], JSON.stringify(other))
    t.deepEqual(taken(other, alice), [1, 0], JSON.stringify(other))
  }
  // The twins: nobody else's, and one's own twice.
  t.deepEqual(taken(alice, { ...named('bob'), email: 'bob@example.com' }, named('bob@example.net')), [0, 0])
  t.deepEqual(taken({ ...named('alice@example.com'), email: 'alice@example.com' }, named('bob')), [0, 0])
  t.deepEqual(taken(named('alice'), named('bob')), [0, 0])
})

test('meant: who is called that, then who is called so in plain, then the only one whose name looks so', t => {
  t.is(meantBy('exact', 'plain', ['a']), 'exact')
  t.is(meantBy(undefined, 'plain', ['a']), 'plain')
  t.is(meantBy(undefined, undefined, ['a']), 'a')
  t.is(meantBy(undefined, undefined, ['a', 'b']), undefined)
  t.is(meantBy(undefined, undefined, []), undefined)
})

test('meant, where an address says it as well: a username before an address, and of two who share one neither', t => {
  t.is(meantBy('exact', undefined, [], ['b']), 'exact')
  t.is(meantBy(undefined, 'plain', [], ['b']), 'plain')
  t.is(meantBy(undefined, undefined, ['a'], ['b']), 'a')
  t.is(meantBy(undefined, undefined, [], ['b']), 'b')
  t.is(meantBy(undefined, undefined, ['a', 'c'], ['b']), undefined)
  t.is(meantBy(undefined, undefined, [], ['b', 'c']), undefined)
})
