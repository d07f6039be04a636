/** Users who have proved an address (`src/users/storage.ts`), on every storage. */
import test, { type ExecutionContext } from 'ava'
import type { Storage } from '../../src/storage/storage.ts'
import { startTime as start } from '../_server.ts'
import { storages } from '../_storages.ts'
import { auditTypes, event, user } from './_records.ts'

function contract(title: string, run: (t: ExecutionContext, storage: Storage) => Promise<void>) {
  for (const [name, open] of Object.entries(storages)) {
    test(`${name}: ${title}`, async t => run(t, await open(t)))
  }
}

const erin = user('erin', { email: 'erin@example.com', emailVerifiedAt: start, language: 'ko' })
const use = { id: 'mail link x', expiresAt: start + 60 }
const signedUp = event('user.signed_up')

contract(
  'createProvenUser makes the user and uses up what proved the address, once, with one event',
  async (t, storage) => {
    t.is(await storage.createProvenUser(erin, use, signedUp), 'created')
    t.deepEqual(await storage.findUser(erin.id), erin)
    t.true(await storage.isConsumed(use.id))
    const other = user('fred', { email: 'fred@example.com', emailVerifiedAt: start })
    t.is(await storage.createProvenUser(other, use, signedUp), 'used')
    t.is(await storage.createProvenUser(other, { ...use, id: 'mail link y' }, signedUp), 'created')
    t.deepEqual(await auditTypes(storage), ['user.signed_up', 'user.signed_up'])
  },
)

contract(
  'createProvenUser writes nothing where the name or the address is taken, in whatever spelling',
  async (t, storage) => {
    await storage.createUsers(
      [user('alice', { email: 'alice@example.com' }), user('bob@example.com')],
      event('user.created'),
    )
    const refused = async (username: string, email: string) =>
      storage.createProvenUser(user(username, { email, emailVerifiedAt: start }), use, signedUp)
    t.is(await refused('ALICE', 'a@example.com'), 'username_taken')
    t.is(await refused('alice@example.com', 'a@example.com'), 'username_taken')
    t.is(await refused('a', 'Alice@Example.com'), 'email_taken')
    t.is(await refused('a', 'bob@example.com'), 'email_taken')
    t.false(await storage.isConsumed(use.id))
    t.is((await storage.listUsers()).length, 2)
    t.deepEqual(await auditTypes(storage), ['user.created', 'user.created'])
  },
)

contract('createProvenUser gives nobody a username that is kept for who had it', async (t, storage) => {
  await storage.createUsers([user('alice')], event('user.created'))
  await storage.removeUser('usr_alice', event('user.removed'))
  const one = user('ALICE', { email: 'a@example.com', emailVerifiedAt: start })
  t.is(await storage.createProvenUser(one, use, signedUp), 'username_taken')
  t.false(await storage.isConsumed(use.id))
})

contract('createProvenUser takes no address that somebody has where addresses may be shared', async (t, storage) => {
  await storage.setUniqueEmails(false)
  await storage.createUsers([user('alice', { email: 'shared@example.com' })], event('user.created'))
  const one = user('a', { email: 'shared@example.com', emailVerifiedAt: start })
  t.is(await storage.createProvenUser(one, use, signedUp), 'email_taken')
})

contract('of many at once with one proof, or with one address, one is made', async (t, storage) => {
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, i) => {
      const one = user(`user${i}`, {
        email: i < 10 ? `user${i}@example.com` : 'one@example.com',
        emailVerifiedAt: start,
      })
      return storage.createProvenUser(one, i < 10 ? use : { ...use, id: `mail link ${i}` }, signedUp)
    }),
  )
  t.is(outcomes.slice(0, 10).filter(outcome => outcome === 'created').length, 1)
  t.is(outcomes.slice(10).filter(outcome => outcome === 'created').length, 1)
  t.is((await storage.listUsers()).length, 2)
})

contract('findUserOfAddress finds who has an address, verified or not, and who is called so', async (t, storage) => {
  const [alice, bob] = [user('alice', { email: 'alice@example.com' }), user('bob@example.com')]
  await storage.createUsers([alice, bob], event('user.created'))
  t.deepEqual(await storage.findUserOfAddress('ALICE@example.com'), alice)
  t.deepEqual(await storage.findUserOfAddress('bob@example.com'), bob)
  t.is(await storage.findUserOfAddress('carol@example.com'), undefined)
})
