/** That of those who have an address only one has proved it, on every storage and whatever else is shared. */
import test, { type ExecutionContext } from 'ava'
import type { Storage } from '../../src/storage/storage.ts'
import type { User } from '../../src/users/user.ts'
import { databases, type TestDatabase } from '../_databases.ts'
import { startTime as start } from '../_server.ts'
import { auditCount, event, user } from './_records.ts'

/** One test on every storage, each on its own new database, where addresses may be shared. */
function contract(
  title: string,
  run: (t: ExecutionContext, storage: Storage, database: TestDatabase) => Promise<void>,
) {
  for (const [name, create] of Object.entries(databases)) {
    test(`${name}: ${title}`, async t => {
      const database = await create(t)
      const storage = await database.open()
      await storage.setUniqueEmails(false)
      await run(t, storage, database)
    })
  }
}

const at = (username: string, email: string, emailVerifiedAt?: number) =>
  user(username, { email, ...(emailVerifiedAt !== undefined && { emailVerifiedAt }) })
const create = (storage: Storage, ...users: User[]) => storage.createUsers(users, event('user.created'))
const importAll = (storage: Storage, ...users: User[]) => storage.importUsers(users, event('user.created'), () => start)
const update = (storage: Storage, id: string, change: Partial<User>) =>
  storage.updateUser(id, change, event('user.updated'))
/** The user has proved the address. */
const verify = (storage: Storage, id: string, email: string) =>
  storage.changeEmail<string>(
    id,
    before => ({
      outcome: 'done',
      user: { ...before!, email, emailVerifiedAt: start },
      event: event('user.updated'),
    }),
    'taken',
  )
const signingIn = async (storage: Storage, name: string) => (await storage.findUserToSignIn(name, 'email'))?.username

for (const [name, add] of Object.entries({ createUsers: create, importUsers: importAll })) {
  contract(`${name} takes one who has proved an address, and no second one, in any spelling`, async (t, storage) => {
    t.deepEqual(await add(storage, at('alice', 'A@example.com', start), at('bob', 'a@example.com')), [])
    const count = await auditCount(storage)
    for (const email of ['a@example.com', 'A@example.com', 'ａ@example.com']) {
      const carol = at('carol', email, start + 1)
      t.deepEqual(await add(storage, user('dave'), carol), [{ user: carol, member: 'email' }])
    }
    const [one, other] = [at('carol', 'c@example.com', start), at('dave', 'C@example.com', start)]
    t.deepEqual(await add(storage, one, other), [{ user: other, member: 'email' }])
    t.is(await auditCount(storage), count)
    // The twins: who has not proved it, and another address.
    t.deepEqual(await add(storage, at('carol', 'a@example.com'), at('dave', 'd@example.com', start)), [])
    t.like(await storage.findUser('usr_dave'), { email: 'd@example.com', emailVerifiedAt: start })
    t.is((await storage.findUser('usr_carol'))?.emailVerifiedAt, undefined)
  })
}

contract(
  'who proves a shared address first has it: by it that user signs in, and no other can prove it',
  async (t, storage) => {
    await create(storage, at('alice', 'a@example.com'), at('bob', 'A@example.com'), at('carol', 'a@example.com'))
    t.is(await signingIn(storage, 'a@example.com'), undefined)
    t.is(await verify(storage, 'usr_bob', 'A@example.com'), 'done')
    const count = await auditCount(storage)
    for (const by of ['email', 'both'] as const)
      t.is((await storage.findUserToSignIn('a@EXAMPLE.com', by))?.username, 'bob')
    t.is(await verify(storage, 'usr_alice', 'a@example.com'), 'taken')
    t.is(await update(storage, 'usr_carol', { emailVerifiedAt: start }), 'email_taken')
    t.is(await auditCount(storage), count)
    t.is((await storage.findUser('usr_alice'))?.emailVerifiedAt, undefined)
    // The twin: when it is free again.
    t.like(await update(storage, 'usr_bob', { emailVerifiedAt: undefined }), { email: 'A@example.com' })
    t.is(await verify(storage, 'usr_alice', 'a@example.com'), 'done')
    t.is(await signingIn(storage, 'a@example.com'), 'alice')
  },
)

contract(
  'another address is proved by nobody, and ends what was verified before; the same one is not another',
  async (t, storage) => {
    await create(storage, { ...at('alice', 'a@example.com', start), emailChanges: [{ id: 1, at: start }] })
    t.like(await update(storage, 'usr_alice', { fullName: 'Alice', email: 'a@example.com' }), {
      emailVerifiedAt: start,
      credentialVersion: 1,
      emailChanges: [{ id: 1, at: start }],
    })
    const changed = {
      email: 'b@example.com',
      emailVerifiedAt: undefined,
      credentialVersion: 2,
      emailChanges: undefined,
    }
    t.like(await update(storage, 'usr_alice', { email: 'b@example.com' }), changed)
    t.like(await storage.findUser('usr_alice'), changed)
    t.like(await update(storage, 'usr_alice', { email: 'c@example.com', emailVerifiedAt: start + 1 }), {
      emailVerifiedAt: start + 1,
      credentialVersion: 3,
    })
    t.like(await update(storage, 'usr_alice', { email: undefined }), { emailVerifiedAt: undefined })
    t.deepEqual(await create(storage, at('bob', 'c@example.com', start)), [])
  },
)

contract(
  'changeEmail keeps to unique addresses, where they are unique, whether they are proved or not',
  async (t, storage) => {
    await storage.setUniqueEmails(true)
    await create(storage, at('alice', 'a@example.com'), user('bob'), user('c@example.com'))
    const count = await auditCount(storage)
    for (const email of ['A@example.com', 'C@example.com']) t.is(await verify(storage, 'usr_bob', email), 'taken')
    t.is((await storage.findUser('usr_bob'))?.email, undefined)
    t.is(await auditCount(storage), count)
    t.is(await verify(storage, 'usr_bob', 'b@example.com'), 'done')
    t.like(await storage.findUser('usr_bob'), { email: 'b@example.com', emailVerifiedAt: start })
    t.is(await signingIn(storage, 'b@example.com'), 'bob')
  },
)

contract('of many who prove one address at the same time, at two nodes, one has it', async (t, storage, database) => {
  const nodes = [storage, await database.open()]
  const names = Array.from({ length: 10 }, (_, i) => `user${i}`)
  await create(storage, ...names.map(name => at(name, 'a@example.com')))
  const many = Array.from({ length: 300 }, (_, i) => user(`other${i}`))
  const outcomes = await Promise.all([
    ...names.map((name, i) => verify(nodes[i % 2]!, `usr_${name}`, 'a@example.com')),
    create(nodes[1]!, at('late', 'A@example.com', start)).then(taken => (taken.length > 0 ? 'taken' : 'done')),
    importAll(nodes[0]!, ...many, at('imported', 'A@example.com', start)).then(
      taken => (taken.length > 0 ? 'taken' : 'done'),
      () => 'taken',
    ),
  ])
  t.is(outcomes.filter(outcome => outcome === 'done').length, 1, String(outcomes))
  const proved = (await storage.listUsers()).filter(one => one.emailVerifiedAt !== undefined)
  t.is(proved.length, 1)
})

contract('changes of an address that can be undone are kept as they are', async (t, storage) => {
  await create(storage, user('alice'))
  const emailChanges = [
    { id: 2, at: start },
    { id: 17, at: start + 86_400 },
  ]
  await storage.changeUser('usr_alice', before => ({ outcome: true, user: { ...before!, emailChanges } }))
  t.deepEqual((await storage.findUser('usr_alice'))?.emailChanges, emailChanges)
  await storage.changeUser('usr_alice', before => ({ outcome: true, user: { ...before!, emailChanges: [] } }))
  t.is((await storage.findUser('usr_alice'))?.emailChanges, undefined)
})

contract('an address with a domain in other letters signs in as it is typed and as it is kept', async (t, storage) => {
  await create(storage, at('alice', '김@xn--vv4b11d.xn--3e0b707e', start), at('bob', 'bob@예시.한국'))
  for (const typed of ['김@예시.한국', '김@xn--vv4b11d.xn--3e0b707e', ' 김@예시.한국 '])
    t.is(await signingIn(storage, typed), 'alice', typed)
  // One from before addresses were kept in that form.
  t.is(await signingIn(storage, 'bob@예시.한국'), 'bob')
  t.is(await signingIn(storage, 'bob@xn--vv4b11d.xn--3e0b707e'), undefined)
})
