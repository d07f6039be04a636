/** Files of users to import: what is taken, and messages that name the entry and never show a hash. */
import test from 'ava'
import fc from 'fast-check'
import { readFullName, readUsername } from '../../src/text.ts'
import { readEmail } from '../../src/users/email.ts'
import { createPasswords } from '../../src/users/password.ts'
import { formatUser, parseUserFile } from '../../src/users/user_file.ts'
import { cheapHashing, createTestRandom, password, startTime as start } from '../_server.ts'

const bcryptHash = '$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW'
const argon2Hash = '$argon2id$v=19$m=8,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$TWpq3uN1sVoLcnLGPxWnZw'
const userId = 'usr_AAECAwQFBgcICQoLDA0ODw'

const read = (text: string) => parseUserFile(text, start, createTestRandom())
const parse = (text: string) => read(text).users.map(({ user }) => user)
/** What cannot be taken, as the command shows it. */
const problems = (text: string) =>
  read(text).problems.map(({ place, member, problem }) => [place, member, problem].filter(Boolean).join(': '))

/** The members of an entry that has all of them. */
const johndoe = {
  username: 'johndoe',
  full_name: 'John Doe',
  email: 'johndoe@example.com',
  hashed_password: bcryptHash,
  disabled: false,
}
const expected = {
  username: 'johndoe',
  email: 'johndoe@example.com',
  fullName: 'John Doe',
  roles: undefined,
  passwordHash: bcryptHash,
  credentialVersion: 1,
  createdAt: start,
  disabledAt: undefined,
}
const withoutId = (text: string) => parse(text).map(({ id: _, ...user }) => user)

test('the dictionary of the FastAPI tutorial is taken', t => {
  const alice = { username: 'alice', full_name: 'Alice', hashed_password: argon2Hash, disabled: true }
  const text = JSON.stringify({ johndoe, alice }, null, 2)
  t.deepEqual(withoutId(text), [
    expected,
    {
      ...expected,
      username: 'alice',
      email: undefined,
      fullName: 'Alice',
      passwordHash: argon2Hash,
      disabledAt: start,
    },
  ])
})

for (const [form, text] of [
  ['a JSON array', JSON.stringify([johndoe])],
  ['JSON lines', `${JSON.stringify(johndoe)}\n`],
  ['a single object', JSON.stringify(johndoe, null, 2)],
  ['a file with a byte order mark', `\ufeff${JSON.stringify([johndoe])}`],
  ['members that this program does not know', JSON.stringify([{ ...johndoe, id: 7, groups: ['admin'] }])],
] as const) {
  test(`${form} is taken`, t => {
    t.deepEqual(withoutId(text), [expected])
  })
}

test('several JSON lines are taken, with blank lines and CR LF', t => {
  const line = (username: string) => JSON.stringify({ ...johndoe, username })
  t.deepEqual(
    parse(`${line('a')}\r\n\r\n${line('b')}\n${line('c')}`).map(({ username }) => username),
    ['a', 'b', 'c'],
  )
})

test('members that are null or absent are absent', t => {
  const bare = { username: 'johndoe', hashed_password: bcryptHash }
  const withNulls = { ...bare, email: null, full_name: null, disabled: null }
  const user = { ...expected, email: undefined, fullName: undefined }
  t.deepEqual(withoutId(JSON.stringify([bare, withNulls])), [user, user])
})

test('each user gets an id of its own, and the username is kept in NFC', t => {
  const users = parse(JSON.stringify([{ ...johndoe, username: 'Zoe\u0308' }, johndoe]))
  t.is(users[0]?.username, 'Zo\u00eb')
  t.not(users[0]?.id, users[1]?.id)
  for (const { id } of users) t.regex(id, /^usr_[\w-]{22}$/)
})

test('hashes that this program made itself are taken', async t => {
  const passwords = await createPasswords(cheapHashing, createTestRandom())
  const own = { ...johndoe, hashed_password: await passwords.hash(password) }
  t.deepEqual(problems(JSON.stringify([own])), [])
})

test('CSV is taken: names in the first line, in any order; what is empty is absent', t => {
  const csv = [
    'email,username,hashed_password,full_name,disabled',
    `johndoe@example.com,johndoe,${bcryptHash},John Doe,false`,
    `,alice,"${argon2Hash}","Doe, ""Al"" Alice",t`,
    '',
    `,bob,${bcryptHash},,`,
  ]
  const user = { ...expected, email: undefined }
  const users = [
    expected,
    { ...user, username: 'alice', fullName: 'Doe, "Al" Alice', passwordHash: argon2Hash, disabledAt: start },
    { ...user, username: 'bob', fullName: undefined },
  ]
  for (const text of [csv.join('\n'), csv.join('\r\n'), `\ufeff${csv.join('\n')}\n`])
    t.deepEqual(withoutId(text), users)
})

for (const [name, delimiter] of [
  ['semicolons', ';'],
  ['tabs', '\t'],
] as const) {
  test(`CSV is taken with ${name}; then commas need no quotes`, t => {
    const text = [`username${delimiter}hashed_password`, `alice${delimiter}${argon2Hash}`].join('\n')
    t.deepEqual(
      parse(text).map(({ username, passwordHash }) => [username, passwordHash]),
      [['alice', argon2Hash]],
    )
  })
}

test('an id of this program, and the times, are kept; an id of another kind is not', t => {
  const old = { ...johndoe, id: userId, created_at: 1_600_000_000, disabled: true, disabled_at: 1_700_000_000 }
  const kept = { id: userId, createdAt: 1_600_000_000, disabledAt: 1_700_000_000 }
  t.like(parse(JSON.stringify([old]))[0], kept)
  const iso = { ...old, created_at: '2020-09-13T12:26:40Z', disabled_at: '2023-11-14T23:13:20.5+01:00' }
  t.like(parse(JSON.stringify([iso]))[0], { ...kept, disabledAt: 1_700_000_000 })
  const csv = `username,hashed_password,id,created_at,disabled_at\na,${bcryptHash},${userId},1600000000,1700000000`
  t.like(parse(csv)[0], kept)
  for (const id of ['7', 7, 'usr_7', `${userId}=`, null])
    t.regex(parse(JSON.stringify([{ ...old, id }]))[0]?.id ?? '', /^usr_(?!AAECAwQF)[\w-]{22}$/)
})

for (const [name, value] of [
  ['created_at', -1],
  ['created_at', '1960-01-01T00:00:00Z'],
  ['created_at', 1_700_000_000_000],
  ['disabled_at', Number.MAX_SAFE_INTEGER],
] as const) {
  test(`${name} ${value} is refused: it cannot be shown as a date, or not be imported again`, t => {
    t.deepEqual(problems(JSON.stringify([{ ...johndoe, disabled: true, [name]: value }])), [
      `entry 1: ${name}: is not a time from 1970 to 9999, in seconds`,
    ])
    for (const good of [0, '1970-01-01T00:00:00Z', 253_402_300_799])
      t.deepEqual(problems(JSON.stringify([{ ...johndoe, disabled: true, [name]: good }])), [])
  })
}

test('a user who is not disabled and was disabled at some time is refused: it is not clear which counts', t => {
  const user = { ...johndoe, disabled: false, disabled_at: 1_700_000_000 }
  t.deepEqual(problems(JSON.stringify([user])), ['entry 1: disabled_at: contradicts disabled'])
  for (const clear of [{ disabled: true }, { disabled: null }, { disabled_at: null }])
    t.deepEqual(problems(JSON.stringify([{ ...user, ...clear }])), [])
})

test('property: what is written is read back as the same users', t => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).map(value => `x${value.normalize('NFC')}x`)
  const optional = { nil: undefined }
  const user = fc.record({
    id: fc.constant(userId),
    username: text.filter(value => readUsername(value).text === value),
    email: fc.option(
      text.map(value => `${value}@example.com`).filter(value => readEmail(value).text === value),
      optional,
    ),
    fullName: fc.option(
      text.filter(value => readFullName(value).text === value),
      optional,
    ),
    roles: fc.option(
      fc.uniqueArray(fc.stringMatching(/^[a-zA-Z0-9:._/-]{1,64}$/), { minLength: 1, maxLength: 50 }),
      optional,
    ),
    passwordHash: fc.constantFrom(bcryptHash, argon2Hash),
    credentialVersion: fc.constant(1),
    createdAt: fc.nat(),
    disabledAt: fc.option(fc.nat(), optional),
  })
  fc.assert(
    fc.property(fc.array(user, { minLength: 1 }), users =>
      t.deepEqual(parse(users.map(each => `${formatUser(each)}\n`).join('')), users),
    ),
  )
})

for (const [form, given, roles] of [
  ['a list', ['admin', 'billing:read', 'admin'], ['admin', 'billing:read']],
  ['a text with spaces', 'admin  billing:read', ['admin', 'billing:read']],
  ['a text with commas', 'admin, billing:read', ['admin', 'billing:read']],
  ['an empty list', [], undefined],
  ['nothing', null, undefined],
  ['as many and as long names as there may be', Array.from({ length: 50 }, (_, i) => `${i}`.padStart(64, 'r')), 'same'],
] as const) {
  test(`roles as ${form} are taken`, t => {
    const [read] = parse(JSON.stringify([{ ...johndoe, roles: given }]))
    t.deepEqual(read?.roles, roles === 'same' ? given : roles)
  })
}

for (const [form, given] of [
  ['one too many', Array.from({ length: 51 }, (_, i) => `${i}`)],
  ['one too long', ['r'.repeat(65)]],
  ['one with a space in it', ['two words']],
  ['one with a quote', ['"admin"']],
  ['one of other letters', ['관리자']],
  ['an empty one', ['']],
  ['a very long text', 'a '.repeat(100_000)],
  ['objects', [{ id: 1, name: 'admin' }]],
  ['a number', 7],
] as const) {
  test(`roles with ${form} are refused by their name`, t => {
    const [problem, ...others] = problems(JSON.stringify([{ ...johndoe, roles: given }]))
    t.regex(problem ?? '', /^entry 1: roles: (?:takes at most 50 names|is not a list of names)/)
    t.deepEqual(others, [])
  })
}

test('members that mean nothing here are named', t => {
  t.deepEqual(
    read(
      JSON.stringify([
        { ...johndoe, groups: [] },
        { ...johndoe, age: 7, groups: [] },
      ]),
    ).ignored,
    ['groups', 'age'],
  )
  t.deepEqual(read(JSON.stringify([johndoe])).ignored, [])
})

test('entries that cannot be taken are named with their place and why, all at once; the others are there', t => {
  const text = JSON.stringify([
    johndoe,
    { ...johndoe, username: ' x' },
    { ...johndoe, hashed_password: 'plain' },
    { ...johndoe, hashed_password: bcryptHash.slice(0, -1) },
    { ...johndoe, hashed_password: bcryptHash.replace('$12$', '$16$') },
    { username: 'x', hashed_password: 7 },
    'text',
    { ...johndoe, disabled: 'yes', created_at: 'yesterday', email: 7 },
  ])
  t.deepEqual(problems(text), [
    'entry 2: username: begins or ends with white space',
    'entry 3: hashed_password: is no password hash of a kind that can be verified here: docs/import.md lists them',
    'entry 4: hashed_password: is not a whole bcrypt hash',
    'entry 5: hashed_password: costs more than one sign-in may: the limit for bcrypt is cost 15',
    'entry 6: hashed_password: is not text',
    'entry 7: is not an object with the members of a user',
    'entry 8: email: is not text',
    'entry 8: disabled: is not true or false',
    'entry 8: created_at: is not seconds since 1970 or a time of ISO 8601',
  ])
  t.is(parse(text).length, 1)
})

test('the place is the line in JSON lines and CSV, and the name in a dictionary', t => {
  const bad = { ...johndoe, username: ' ' }
  t.deepEqual(problems(`${JSON.stringify(johndoe)}\n\nnot json\n`), [
    'line 3: is not an object with the members of a user',
  ])
  t.deepEqual(problems(JSON.stringify({ johndoe, bob: bad })), [
    'user "bob": username: begins or ends with white space',
  ])
  t.deepEqual(problems(`username,hashed_password\na,${bcryptHash}\n\nb,plain`), [
    'line 4: hashed_password: is no password hash of a kind that can be verified here: docs/import.md lists them',
  ])
})

test('CSV that is none says where', t => {
  t.deepEqual(problems(`username,hashed_password\na,${bcryptHash}\nb,${argon2Hash}`), [
    'line 3: has more or fewer columns than the first; a hash with commas in it belongs in double quotes',
  ])
  t.deepEqual(problems(`username,hashed_password\n"a,${bcryptHash}`), [
    'line 2: cannot be read as CSV (CSV_QUOTE_NOT_CLOSED)',
  ])
  t.deepEqual(problems(`username,hashed_password,username\na,${bcryptHash},b`), ['line 1: has two columns username'])
  t.deepEqual(problems(`username,hashed_password,x,x\na,${bcryptHash},b,c`), [])
})

test('a first line that is neither JSON nor names the columns is what is told, once', t => {
  const told = ['line 1: is neither JSON nor the names of columns, with username or email among them']
  for (const text of [
    `user,password\na,${bcryptHash}\nb,${bcryptHash}`,
    `a,${bcryptHash}`,
    `[${JSON.stringify(johndoe)},\n${JSON.stringify(johndoe)},]`,
  ])
    t.deepEqual(problems(text), told)
})

test('no message shows a hash, a password or the text of a file that cannot be read', t => {
  const secret = 'hunter2hunter2'
  for (const text of [
    JSON.stringify([{ ...johndoe, hashed_password: secret }]),
    JSON.stringify([{ ...johndoe, hashed_password: [secret] }]),
    JSON.stringify([{ ...johndoe, username: 7, hashed_password: `${bcryptHash}${secret}` }]),
    JSON.stringify({ johndoe: { ...johndoe, hashed_password: secret } }),
    JSON.stringify([secret]),
    `{"hashed_password": "${secret}"`,
    secret,
    JSON.stringify(secret),
    `fake_users_db = {'johndoe': {'hashed_password': '${secret}'}}`,
    `username,hashed_password\na,${secret}`,
    `username,hashed_password\na,${secret},${secret}`,
    `username,hashed_password\na,x"${secret}"`,
    `username,hashed_password\na,"${secret}"x`,
  ]) {
    const shown = problems(text).join('\n')
    t.not(shown, '', text)
    t.false(shown.includes(secret), shown)
    t.false(shown.includes(bcryptHash.slice(0, 20)), shown)
  }
})

test('what is no list of users, or an empty one, is refused: it is the wrong file', t => {
  for (const text of ['7', 'null', '"text"', 'true', '', '\n', '[]', '{}', 'username,hashed_password\n']) {
    t.deepEqual(problems(text), ['the file: has no users in it'], text)
  }
  t.deepEqual(problems(JSON.stringify([johndoe])), [])
})

test('names and addresses in a file are held to the rules that hold everywhere, each with the reason', t => {
  const user = (changes: object) => ({ ...johndoe, ...changes })
  const lines = [
    user({ username: 'admin\u3164' }),
    user({ username: 'ａｄｍｉｎ' }),
    user({ username: 'a\ud800' }),
    user({ email: 'a@example.com, b@example.com' }),
    user({ email: 'not known' }),
    user({ full_name: 'John\u202eDoe' }),
    user({ full_name: 'John\u001b[2J' }),
  ].map(one => `${JSON.stringify(one)}\n`)
  t.deepEqual(problems(lines.join('')), [
    'line 1: username: has a character that cannot be seen: U+3164',
    'line 2: username: has letters of full or half width, which look like the usual ones',
    'line 3: username: has a character that cannot be seen: U+D800',
    'line 4: email: is not one e-mail address',
    'line 5: email: is not one e-mail address',
    'line 6: full_name: has a character that cannot be in a name: U+202E',
    'line 7: full_name: has a character that cannot be in a name: U+001B',
  ])
  const kept = user({ username: '김철수', email: ' kim@예시.한국 ', full_name: 'Kim\tCheol\u2028Su ' })
  t.like(parse(JSON.stringify(kept))[0], {
    username: '김철수',
    email: 'kim@xn--vv4b11d.xn--3e0b707e',
    fullName: 'Kim Cheol Su',
  })
  t.like(parse(JSON.stringify(user({ email: ' ', full_name: '' })))[0], { email: undefined, fullName: undefined })
})
