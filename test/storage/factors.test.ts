/** The contract of `src/users/factors/storage.ts`, and of the verbs that write factors, on every storage. */
import test, { type ExecutionContext } from 'ava'
import type { Storage } from '../../src/storage/storage.ts'
import type { Factor } from '../../src/users/factors/factor.ts'
import { startTime as start } from '../_server.ts'
import { storages } from '../_storages.ts'
import { auditTypes, event, populate, session } from './_records.ts'

function contract(title: string, run: (t: ExecutionContext, storage: Storage) => Promise<void>) {
  for (const [name, open] of Object.entries(storages)) {
    test(`${name}: ${title}`, async t => run(t, await open(t)))
  }
}

function factor(id: string, changes: Partial<Factor> = {}): Factor {
  return {
    id,
    userId: 'usr_alice',
    kind: 'totp',
    name: undefined,
    createdAt: start,
    usedAt: undefined,
    data: 'sealed',
    counter: 0,
    handle: undefined,
    ...changes,
  }
}

const put = (storage: Storage, ...factors: Factor[]) =>
  storage.changeUser(factors[0]!.userId, user => ({
    outcome: undefined,
    user: { ...user!, credentialVersion: user!.credentialVersion + 1 },
    factors: { put: factors },
    event: { ...event('factor.added'), userId: user!.id },
  }))

const version = async (storage: Storage) => (await storage.findUser('usr_alice'))!.credentialVersion

contract('changeUser adds, changes and removes factors with what it does to the user', async (t, storage) => {
  await populate(storage)
  const [phone, key] = [
    factor('phone', { name: 'Phone', usedAt: start + 1 }),
    factor('key', { kind: 'passkey', createdAt: start + 1, handle: 'credential' }),
  ]
  await put(storage, phone, key)
  t.deepEqual(await storage.listFactors('usr_alice'), [phone, key])
  t.deepEqual(await storage.listFactors('usr_bob'), [])
  t.deepEqual(await storage.findFactorByHandle('credential'), key)
  t.is(await storage.findFactorByHandle('other'), undefined)
  t.is(await version(storage), 2)

  const seen = await storage.changeUser('usr_alice', (_, __, factors) => ({
    outcome: factors,
    factors: { put: [{ ...phone, name: undefined, data: 'other', counter: 7, usedAt: start + 5 }], remove: ['key'] },
  }))
  t.deepEqual(seen, [phone, key])
  t.deepEqual(await storage.listFactors('usr_alice'), [
    { ...phone, name: undefined, data: 'other', counter: 7, usedAt: start + 5 },
  ])
  t.is(await storage.findFactorByHandle('credential'), undefined)
})

contract('a credential id is of one factor alone', async (t, storage) => {
  await populate(storage)
  await put(storage, factor('one', { kind: 'passkey', handle: 'same' }))
  await t.throwsAsync(put(storage, factor('two', { kind: 'passkey', handle: 'same', userId: 'usr_bob' })))
  t.deepEqual(await storage.listFactors('usr_bob'), [])
  await put(storage, factor('two', { kind: 'passkey', handle: 'another', userId: 'usr_bob' }))
  t.is((await storage.listFactors('usr_bob')).length, 1)
})

contract('a user who is removed takes the factors along', async (t, storage) => {
  await populate(storage)
  await put(storage, factor('phone'))
  await storage.removeUser('usr_alice', event('user.removed'))
  t.deepEqual(await storage.listFactorsOfKind('totp', '', 10), [])
})

contract('listFactorsOfKind pages through those of all users by id', async (t, storage) => {
  await populate(storage)
  const all = ['a', 'b', 'c', 'd'].map((id, i) => factor(id, { userId: i % 2 ? 'usr_bob' : 'usr_alice' }))
  for (const one of all) await put(storage, one)
  await put(storage, factor('bb', { kind: 'recovery_codes' }))
  t.deepEqual(await storage.listFactorsOfKind('totp', '', 3), all.slice(0, 3))
  t.deepEqual(await storage.listFactorsOfKind('totp', 'c', 3), all.slice(3))
})

contract('replaceFactorData replaces only what is still as it was', async (t, storage) => {
  await populate(storage)
  await put(storage, factor('one', { data: 'old' }), factor('two', { data: 'new already' }))
  const change = (id: string) => ({ id, before: 'old', after: 'new' })
  t.is(await storage.replaceFactorData([change('one'), change('two'), change('none')]), 1)
  t.deepEqual(
    (await storage.listFactors('usr_alice')).map(({ data }) => data),
    ['new', 'new already'],
  )
})

contract(
  'createSession uses up what was proved in its transaction: of many with one code, one is let in (RFC 6238 §5.2)',
  async (t, storage) => {
    await populate(storage)
    await put(storage, factor('phone', { counter: 5 }))
    const credentials = {
      version: await version(storage),
      uses: [{ factorId: 'phone', kind: 'totp', at: start + 9, step: 6 }] as const,
    }
    const began = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        storage.createSession(session(`s${i}`), credentials, event('session.created')),
      ),
    )
    t.is(began.filter(Boolean).length, 1)
    t.is((await storage.listLiveSessions({ userId: 'usr_alice' }, start, 10)).length, 1)
    t.like((await storage.listFactors('usr_alice'))[0], { counter: 6, usedAt: start + 9 })
    t.deepEqual(await auditTypes(storage), [])
  },
)

contract('createSession of who has a factor that is gone begins nothing', async (t, storage) => {
  await populate(storage)
  const uses = [{ factorId: 'gone', kind: 'totp', at: start, step: 6 }] as const
  t.false(await storage.createSession(session('s1'), { version: 1, uses }, event('session.created')))
  t.true(await storage.createSession(session('s1'), { version: 1, uses: [] }, event('session.created')))
})

contract('a factor that comes while a sign-in is under way stops it: it began without', async (t, storage) => {
  await populate(storage)
  const before = await version(storage)
  await put(storage, factor('phone'))
  t.false(await storage.createSession(session('s1'), { version: before }, event('session.created')))
  t.true(await storage.createSession(session('s1'), { version: before + 1 }, event('session.created')))
})
