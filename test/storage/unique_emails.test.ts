/** That an address is one user's, on every storage: as email or as username, in every spelling, whoever comes when. */
import test, { type ExecutionContext } from 'ava'
import type { Storage } from '../../src/storage/storage.ts'
import type { User } from '../../src/users/user.ts'
import { databases, type TestDatabase } from '../_databases.ts'
import { startTime as start } from '../_server.ts'
import { auditCount, event, user } from './_records.ts'

/** One test on every storage, each on its own new database, where addresses are unique. */
function contract(
  title: string,
  run: (t: ExecutionContext, storage: Storage, database: TestDatabase) => Promise<void>,
) {
  for (const [name, create] of Object.entries(databases)) {
    test(`${name}: ${title}`, async t => {
      const database = await create(t)
      await run(t, await database.open(), database)
    })
  }
}

const create = (storage: Storage, ...users: User[]) => storage.createUsers(users, event('user.created'))
const importAll = (storage: Storage, users: readonly User[], now = () => start) =>
  storage.importUsers(users, event('user.created'), now)
const update = (storage: Storage, id: string, change: Partial<User>) =>
  storage.updateUser(id, change, event('user.updated'))
const at = (username: string, email: string) => user(username, { email })

const ways = {
  createUsers: create,
  importUsers: (storage: Storage, ...users: User[]) => importAll(storage, users),
}

contract(
  "in a new database an address is one user's; one that may be shared says so, until it may not",
  async (t, storage) => {
    t.true(await storage.hasUniqueEmails())
    t.is(await storage.setUniqueEmails(true), 0)
    t.is(await storage.setUniqueEmails(false), 0)
    t.false(await storage.hasUniqueEmails())
    t.is(await storage.setUniqueEmails(false), 0)
    t.is(await storage.setUniqueEmails(true), 0)
    t.true(await storage.hasUniqueEmails())
  },
)

for (const [name, add] of Object.entries(ways)) {
  contract(
    `${name} refuses an address that is another's, in whatever spelling (NFKC_Casefold), and says so`,
    async (t, storage) => {
      await create(storage, at('alice', 'Alice@example.com'), user('bob@example.com'))
      const count = await auditCount(storage)
      for (const other of [
        at('x', 'Alice@example.com'),
        at('x', 'alice@EXAMPLE.com'),
        at('x', 'ａｌｉｃｅ@example.com'),
        at('x', 'alice@exa\u00admple.com'),
        at('x', 'bob@example.com'),
        at('x', 'BOB@example.com'),
      ])
        t.deepEqual(await add(storage, user('y'), other), [{ user: other, member: 'email' }], other.email)
      for (const username of ['alice@example.com', 'ALICE@example.com', 'ａlice@example.com'])
        t.deepEqual(await add(storage, user(username)), [{ user: user(username), member: 'username' }], username)
      t.is((await storage.listUsers()).length, 2)
      t.is(await auditCount(storage), count)
      // The twins: other addresses, and one's own twice.
      const own = at('carol@example.com', 'Carol@example.com')
      t.deepEqual(await add(storage, at('x', 'alice@example.net'), own), [])
    },
  )

  contract(`${name} refuses an address that is twice among the new ones`, async (t, storage) => {
    const [one, same, named] = [at('alice', 'a@example.com'), at('bob', 'A@example.com'), user('a@example.COM')]
    t.deepEqual(await add(storage, one, same), [{ user: same, member: 'email' }])
    t.deepEqual(await add(storage, one, named), [{ user: named, member: 'username' }])
    t.deepEqual(await add(storage, named, one), [{ user: one, member: 'email' }])
    t.deepEqual(await storage.listUsers(), [])
    t.deepEqual(await add(storage, one, user('bob')), [])
  })

  contract(`${name} takes an address as often as it comes where it may be shared`, async (t, storage) => {
    await storage.setUniqueEmails(false)
    t.deepEqual(await create(storage, at('alice', 'a@example.com')), [])
    t.deepEqual(await add(storage, at('bob', 'a@example.com'), at('carol', 'A@example.com'), user('a@example.com')), [])
    t.is((await storage.listUsers()).length, 4)
  })
}

contract('updateUser gives an address that is free, and frees the old one', async (t, storage) => {
  await create(storage, at('alice', 'a@example.com'), at('bob', 'b@example.com'), user('c@example.com'))
  const count = await auditCount(storage)
  for (const email of ['b@example.com', 'B@Example.com', 'C@example.com'])
    t.is(await update(storage, 'usr_alice', { email }), 'email_taken', email)
  t.is(await update(storage, 'usr_alice', { username: 'B@example.com' }), 'username_taken')
  t.is(await update(storage, 'usr_alice', { username: 'x', email: 'b@example.com' }), 'email_taken')
  t.deepEqual(await storage.findUser('usr_alice'), at('alice', 'a@example.com'))
  t.is(await auditCount(storage), count)

  for (const change of [{ email: 'A@example.com' }, { username: 'a@example.com' }, { email: 'd@example.com' }])
    t.like(await update(storage, 'usr_alice', change), change)
  t.deepEqual(await create(storage, at('dave', 'b@example.net')), [])
  t.is(((await update(storage, 'usr_alice', { username: 'alice' })) as User).username, 'alice')
  t.deepEqual(await create(storage, at('erin', 'a@example.com')), [])
  t.is(((await update(storage, 'usr_erin', { email: undefined })) as User).email, undefined)
  t.deepEqual(await create(storage, at('frank', 'a@example.com')), [])
})

contract('who is removed frees an address; who gets another password, or is disabled, keeps it', async (t, storage) => {
  await create(storage, at('alice', 'a@example.com'))
  await storage.changeUser('usr_alice', before => ({
    outcome: true,
    user: { ...before!, passwordHash: 'another', disabledAt: start },
  }))
  t.is((await create(storage, at('bob', 'a@example.com'))).length, 1)
  await storage.removeUser('usr_alice', event('user.removed'))
  t.deepEqual(await create(storage, at('bob', 'a@example.com')), [])
})

contract('of many who want one address at the same time, at two nodes, one gets it', async (t, storage, database) => {
  const nodes = [storage, await database.open()]
  await create(storage, user('alice'), user('bob'), user('frank'))
  const many = (name: string) => [
    ...Array.from({ length: 300 }, (_, i) => user(`${name}${i}`)),
    at(name, 'A@example.com'),
  ]
  const outcomes = await Promise.allSettled([
    update(nodes[0]!, 'usr_alice', { email: 'a@example.com' }),
    update(nodes[1]!, 'usr_bob', { email: 'A@example.com' }),
    update(nodes[1]!, 'usr_frank', { username: 'a@example.com' }),
    create(nodes[0]!, at('carol', 'a@Example.com')),
    create(nodes[1]!, user('a@EXAMPLE.com')),
    importAll(nodes[0]!, many('dave')),
    importAll(nodes[1]!, many('erin')),
  ])
  const wins = outcomes.filter(
    one =>
      one.status === 'fulfilled' &&
      typeof one.value === 'object' &&
      !(Array.isArray(one.value) && one.value.length > 0),
  )
  const users = await storage.listUsers()
  const called = users.filter(one => [one.username, one.email].some(name => name?.toLowerCase() === 'a@example.com'))
  t.is(called.length, 1, JSON.stringify(called))
  t.is(wins.length, 1)
})

contract(
  'addresses that are shared keep the rule out, and are told: most users first, within a bound',
  async (t, storage) => {
    await storage.setUniqueEmails(false)
    const sharing = Array.from({ length: 4 }, (_, i) => at(`user${i}`, i % 2 === 0 ? 'a@example.com' : 'A@Example.com'))
    await create(
      storage,
      ...sharing,
      at('erin', 'e@example.com'),
      user('E@example.com'),
      at('f@example.com', 'f@example.com'),
    )
    t.deepEqual(await storage.listSharedEmails(3), {
      count: 2,
      examples: [
        { email: 'a@example.com', users: 4, usernames: ['user0', 'user1', 'user2'] },
        { email: 'e@example.com', users: 2, usernames: ['E@example.com', 'erin'] },
      ],
    })
    t.is((await storage.listSharedEmails(1)).examples.length, 1)
    t.is(await storage.setUniqueEmails(true), 2)
    t.false(await storage.hasUniqueEmails())

    for (const id of ['usr_user1', 'usr_user2', 'usr_user3', 'usr_erin'])
      await update(storage, id, { email: undefined })
    t.deepEqual(await storage.listSharedEmails(3), { count: 0, examples: [] })
    t.is(await storage.setUniqueEmails(true), 0)
    t.is((await create(storage, at('new', 'a@example.com'))).length, 1)
  },
)

for (const [when, turnAt] of [
  ['before it begins', 1],
  ['beside its batches', 3],
  ['at the same time', 0],
] as const) {
  contract(
    `where addresses become unique ${when}, an import brings none that is another's`,
    async (t, storage, database) => {
      await storage.setUniqueEmails(false)
      const other = await database.open()
      // More than one batch writes, however fast the machine.
      const many = Array.from({ length: 5000 }, (_, i) => at(`user${i}`, `user${i % 4999}@example.com`))
      let turning = turnAt === 0 ? other.setUniqueEmails(true) : undefined
      let calls = 0
      const now = () => {
        if (++calls === turnAt) turning ??= other.setUniqueEmails(true)
        return start
      }
      const [imported] = await Promise.allSettled([importAll(storage, many, now)])
      const inTheWay = await (turning ?? other.setUniqueEmails(true))
      const isImported = imported.status === 'fulfilled' && imported.value.length === 0
      // Either all of them were first, and stand in the way of the rule; or it was, and none is there.
      t.is((await storage.listUsers()).length, isImported ? 5000 : 0)
      t.is(await storage.hasUniqueEmails(), inTheWay === 0)
      t.is((await storage.listSharedEmails(1)).count, isImported ? 1 : 0)
      t.is(inTheWay, isImported ? 1 : 0)
    },
  )
}

contract('findUserToSignIn finds by username, by address or by both, in every spelling', async (t, storage) => {
  await create(storage, at('Alice', 'Alice@example.com'), user('bob'))
  const find = async (name: string) => [
    (await storage.findUserToSignIn(name, 'username'))?.username,
    (await storage.findUserToSignIn(name, 'email'))?.username,
    (await storage.findUserToSignIn(name, 'both'))?.username,
  ]
  for (const name of ['alice', 'ALICE ', 'ａlice']) t.deepEqual(await find(name), ['Alice', undefined, 'Alice'], name)
  for (const email of ['alice@example.com', ' ALICE@Example.com', 'ａlice@example.com'])
    t.deepEqual(await find(email), [undefined, 'Alice', 'Alice'], email)
  t.deepEqual(await find('bob'), ['bob', undefined, 'bob'])
  for (const nobody of ['', ' ', 'carol', 'bob@example.com', 'alice@example', '\u3164'])
    t.deepEqual(await find(nobody), [undefined, undefined, undefined], nobody)
})

contract('where addresses are shared nobody is meant by one, and a username comes first', async (t, storage) => {
  await storage.setUniqueEmails(false)
  await create(
    storage,
    at('alice', 'a@example.com'),
    at('bob', 'A@example.com'),
    at('carol', 'c@example.com'),
    user('C@example.com'),
  )
  for (const by of ['email', 'both'] as const) t.is(await storage.findUserToSignIn('a@example.com', by), undefined)
  t.is((await storage.findUserToSignIn('c@example.com', 'both'))?.username, 'C@example.com')
  t.is((await storage.findUserToSignIn('c@example.com', 'email'))?.username, 'carol')
})

test('postgres: addresses that a node of the release before has written count when addresses become unique', async t => {
  const database = await databases.postgres(t)
  const storage = await database.open()
  await storage.setUniqueEmails(false)
  await create(storage, at('alice', 'Zoë@example.com'), at('bob', 'bob@example.com'), at('carol', 'carol@example.com'))
  // It knows no keys, and leaves those that it finds.
  await database.query("UPDATE users SET email_key = NULL WHERE username = 'alice'")
  await database.query("UPDATE users SET email = 'ZOE\u0308@example.com' WHERE username = 'bob'")
  const expected = { count: 1, examples: [{ email: 'zoë@example.com', users: 2, usernames: ['alice', 'bob'] }] }
  t.is(await storage.setUniqueEmails(true), 1)
  t.deepEqual(await storage.listSharedEmails(5), expected)
  await update(storage, 'usr_bob', { email: 'bob@example.com' })
  t.is(await storage.setUniqueEmails(true), 0)
  t.is((await create(storage, at('dave', 'ZOË@example.com'))).length, 1)
})
