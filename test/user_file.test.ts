/** Files of users to import: what is taken, and messages that name the entry and never show a hash. */
import test from 'ava'
import { parseUserFile } from '../src/cli/user_file.ts'
import { createPasswords } from '../src/oauth/password.ts'
import { cheapHashing, createTestRandom, password, startTime as start } from './_server.ts'

const bcryptHash = '$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW'
const argon2Hash = '$argon2id$v=19$m=8,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$TWpq3uN1sVoLcnLGPxWnZw'

const parse = (text: string) => parseUserFile(text, start, createTestRandom())
const message = (text: string) => {
  try {
    return `took ${parse(text).length}`
  } catch (error) {
    return (error as Error).message
  }
}

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
  ['members that this program does not know', JSON.stringify([{ ...johndoe, id: 7, roles: ['admin'] }])],
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
  t.is(message(JSON.stringify([own])), 'took 1')
})

test('entries that cannot be taken are named with their place, all at once', t => {
  const text = JSON.stringify([
    johndoe,
    { ...johndoe, username: ' x' },
    { ...johndoe, hashed_password: 'plain' },
    { username: 'x' },
    'text',
    { ...johndoe, disabled: 'yes' },
  ])
  const lines = message(text).split('\n')
  t.is(lines[0], 'nothing was imported:')
  t.is(lines[1], 'entry 2: username: cannot be a username')
  t.is(lines[2], 'entry 3: hashed_password: is not a bcrypt or argon2id hash')
  t.regex(lines[3] ?? '', /^entry 4: hashed_password: /)
  t.regex(lines[4] ?? '', /^entry 5: entry: /)
  t.regex(lines[5] ?? '', /^entry 6: disabled: /)
  t.is(lines.length, 6)
})

test('the place is the line in JSON lines and the name in a dictionary', t => {
  const bad = { ...johndoe, username: '' }
  t.true(message(`${JSON.stringify(johndoe)}\n\nnot json\n`).includes('\nline 3: entry: '))
  t.true(message(JSON.stringify({ johndoe, bob: bad })).includes('\nuser "bob": username: '))
})

test('a long list of problems is cut short', t => {
  const lines = message(JSON.stringify(Array.from({ length: 30 }, () => ({ ...johndoe, username: '' })))).split('\n')
  t.is(lines.length, 22)
  t.is(lines.at(-1), 'and 10 more')
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
  ]) {
    const shown = message(text)
    t.regex(shown, /^nothing was imported: ?/)
    t.false(shown.includes(secret), shown)
    t.false(shown.includes(bcryptHash.slice(0, 20)), shown)
  }
})

test('what is no list of users is refused', t => {
  for (const text of ['7', 'null', '"text"', 'true']) {
    t.is(message(text), 'nothing was imported: the file has no users in it')
  }
  t.is(message(JSON.stringify([johndoe])), 'took 1')
})

test('an empty file is refused: it is the wrong one', t => {
  for (const text of ['', '\n']) {
    t.is(message(text), 'nothing was imported: the file has no users in it', JSON.stringify(text))
  }
})
