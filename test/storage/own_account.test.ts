/** What users do with their own account, on every storage and on two nodes of it: other usernames, and deletions. */
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { deletionRequest, deletionUndo, removeDeleted, removeDeletedUsers } from '../../src/accounts/deletion.ts'
import { renaming } from '../../src/accounts/profile.ts'
import type { AuditEventType } from '../../src/audit/audit.ts'
import { deletionDelay, disabledUpdate } from '../../src/sessions/user_change.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { renameInterval, reservationLifetime } from '../../src/users/reserved_usernames.ts'
import type { User } from '../../src/users/user.ts'
import { databases, type TestDatabase } from '../_databases.ts'
import { startTime as start } from '../_server.ts'
import { findSession } from '../_storages.ts'
import { auditTypes, event, populate, refresh, session, user } from './_records.ts'

/** One test on every storage, with two nodes on one new database. */
function contract(
  title: string,
  run: (t: ExecutionContext, storage: Storage, other: Storage, database: TestDatabase) => Promise<void>,
) {
  for (const [name, create] of Object.entries(databases)) {
    test(`${name}: ${title}`, async t => {
      const database = await create(t)
      await run(t, await database.open(), await database.open(), database)
    })
  }
}

const rename = (storage: Storage, id: string, username: string, at = start, sessionId = `session of ${id}`) =>
  storage.renameUser(`usr_${id}`, { username, at }, renaming(username, {}, event('user.renamed', at)), sessionId)

const request = (storage: Storage, when: 'later' | 'now' = 'later', at = start) =>
  storage.changeUser('usr_alice', deletionRequest(when, event('user.deletion_requested', at), undefined), 's1')

const nodeAt = (storage: Storage, at: number) => ({ storage, now: () => at })

/** Alice and Bob, each signed in. */
async function populateBoth(storage: Storage) {
  // Fresh, and live, for longer than a day.
  const [authTime, end] = [start + renameInterval, start + 2 * renameInterval]
  const life = { authTime, idleExpiresAt: end, expiresAt: end }
  const of = (name: string) => session(`session of ${name}`, { userId: `usr_${name}`, ...life })
  await populate(storage, of('alice'), of('bob'))
}

const namesOf = async (storage: Storage) => (await storage.listUsers()).map(({ username }) => username)

contract('renameUser gives another username, keeps the old one for its user, and the sessions', async (t, storage) => {
  await populateBoth(storage)
  const outcome = await rename(storage, 'alice', 'Carol')
  t.like(outcome, { kind: 'done', user: { id: 'usr_alice', username: 'Carol', credentialVersion: 1 } })
  t.is((await storage.findUserByUsername('carol'))?.id, 'usr_alice')
  t.is(await storage.findUserByUsername('alice'), undefined)
  t.is((await findSession(storage, 'session of alice'))?.revokedAt, undefined)
  t.deepEqual(await auditTypes(storage), ['user.renamed'])
  t.deepEqual(await rename(storage, 'bob', 'ALICE'), { kind: 'taken' })
  t.deepEqual(await rename(storage, 'bob', 'carol'), { kind: 'taken' })
  t.deepEqual(await auditTypes(storage), ['user.renamed'])
  t.like(await rename(storage, 'alice', 'alice', start + renameInterval), { kind: 'done' })
  t.deepEqual(await namesOf(storage), ['alice', 'bob'])
})

contract(
  'a username that is given up is nobody else’s by any way, until it is taken on purpose',
  async (t, storage) => {
    await populateBoth(storage)
    await rename(storage, 'alice', 'carol')
    const other = user('ALICE', { id: 'usr_other' })
    const taken = [{ user: other, member: 'reserved_username' as const }]
    t.deepEqual(await storage.findTakenUsers([other]), taken)
    t.deepEqual(await storage.createUsers([other], event('user.created')), taken)
    t.deepEqual(await storage.importUsers([other], event('user.created'), () => start), taken)
    const update = (options = {}) =>
      storage.updateUser('usr_bob', { username: 'Alice' }, event('user.updated'), undefined, options)
    t.is(await update(), 'reserved_username_taken')
    t.deepEqual(await rename(storage, 'bob', 'Alice'), { kind: 'taken' })
    t.deepEqual(await namesOf(storage), ['bob', 'carol'])

    const takesReserved = { takesReserved: true }
    t.deepEqual(await storage.findTakenUsers([other], takesReserved), [])
    t.like(await update(takesReserved), { username: 'Alice' })
    // Whose it is now may write it otherwise, and has it kept.
    t.like(await storage.updateUser('usr_bob', { username: 'ALICE' }, event('user.updated')), { username: 'ALICE' })
    t.deepEqual(await rename(storage, 'alice', 'alice', start + renameInterval), { kind: 'taken' })
    await storage.updateUser('usr_bob', { username: 'bob' }, event('user.updated'))
    t.deepEqual(await rename(storage, 'alice', 'alice', start + renameInterval), { kind: 'taken' })
    t.deepEqual(await storage.createUsers([other], event('user.created'), takesReserved), [])
    await storage.removeUser(other.id, event('user.removed'))
    const third = user('alice', { id: 'usr_third' })
    t.like(await storage.importUsers([third], event('user.created'), () => start), [{ member: 'reserved_username' }])
    t.deepEqual(await storage.importUsers([third], event('user.created'), () => start, takesReserved), [])
  },
)

contract('the username of who is removed is kept too, also from who was called otherwise', async (t, storage) => {
  await populateBoth(storage)
  t.true(await storage.removeUser('usr_alice', event('user.removed')))
  t.like(await storage.createUsers([user('alice', { id: 'usr_other' })], event('user.created')), [
    { member: 'reserved_username' },
  ])
  t.deepEqual(await rename(storage, 'bob', 'alice'), { kind: 'taken' })
  // The same user once more, as from an export.
  t.deepEqual(await storage.createUsers([user('alice')], event('user.created')), [])
})

contract('a username that was kept is free when its time is over, a limited number at once', async (t, storage) => {
  await populateBoth(storage)
  await rename(storage, 'alice', 'carol')
  await storage.removeUser('usr_bob', event('user.removed', start + 1))
  t.is(await storage.pruneReservedUsernames(start + reservationLifetime - 1), 0)
  t.is(await storage.pruneReservedUsernames(start + reservationLifetime), 1)
  t.is(await storage.pruneReservedUsernames(start + reservationLifetime), 0)
  t.deepEqual(await storage.findTakenUsers([user('alice', { id: 'usr_other' })]), [])
  t.like(await storage.findTakenUsers([user('bob', { id: 'usr_other' })]), [{ member: 'reserved_username' }])
})

contract(
  'a username changes once a day, also to another case, and whoever may not asks for none',
  async (t, storage) => {
    await populateBoth(storage)
    t.like(await rename(storage, 'alice', 'Alice'), { kind: 'done' })
    t.deepEqual(await rename(storage, 'alice', 'bob', start + 10), {
      kind: 'too_soon',
      retryAfter: renameInterval - 10,
    })
    t.deepEqual(await namesOf(storage), ['Alice', 'bob'])
    // A clock that was wrong when it was noted.
    t.like(await rename(storage, 'alice', 'alice', start - 10 * renameInterval), { kind: 'done' })
  },
)

contract('of two users who want one name at the same time on two nodes one gets it', async (t, storage, other) => {
  await populateBoth(storage)
  const outcomes = await Promise.all([rename(storage, 'alice', 'carol'), rename(other, 'bob', 'CAROL')])
  t.deepEqual(outcomes.map(({ kind }) => kind).toSorted(), ['done', 'taken'])
})

contract(
  'two users who swap their names at the same time on two nodes both keep what is theirs',
  async (t, storage, other) => {
    await populateBoth(storage)
    const outcomes = await Promise.all([rename(storage, 'alice', 'bob'), rename(other, 'bob', 'alice')])
    t.deepEqual(outcomes, [{ kind: 'taken' }, { kind: 'taken' }])
    t.deepEqual(await namesOf(storage), ['alice', 'bob'])
  },
)

contract('a name is not for who comes at the moment that it is given up', async (t, storage, other) => {
  await populateBoth(storage)
  const newcomer = user('alice', { id: 'usr_other' })
  const [, taken] = await Promise.all([
    storage.removeUser('usr_alice', event('user.removed')),
    other.createUsers([newcomer], event('user.created')),
  ])
  t.is(taken.length, 1)
})

contract('a deletion ends the sessions at once, and refreshes beside it find none', async (t, storage, other) => {
  await populate(storage, session('s1'), session('s2'))
  const { generation } = (await findSession(storage, 's2'))!
  const [outcome] = await Promise.all([request(storage), refresh(other, 's2', generation)])
  t.deepEqual(outcome, { kind: 'done', deleteAt: start + deletionDelay, isMailed: false })
  t.like(await storage.findUser('usr_alice'), {
    disabledAt: start,
    deleteAt: start + deletionDelay,
    credentialVersion: 2,
  })
  t.deepEqual(await storage.listLiveSessions({ userId: 'usr_alice' }, start, 10), [])
  const rotated = (await findSession(other, 's2'))!.generation
  t.is((await refresh(other, 's2', rotated)).kind, 'revoked')
  const another = session('s3')
  t.false(await other.createSession(another, { version: 1 }, event('session.created')))
  t.false(await other.createSession(another, { version: 2 }, event('session.created')))
  t.deepEqual(await request(storage), { kind: 'session_over' })
})

contract(
  'who is due is removed, with all sessions, once on several nodes, and nobody else',
  async (t, storage, other) => {
    await populate(storage, session('s1'))
    await request(storage)
    t.deepEqual(await storage.listUsersToRemove(start + deletionDelay - 1, 10), [])
    t.is(await removeDeletedUsers(nodeAt(storage, start + deletionDelay - 1)), 0)
    t.false(await removeDeleted(nodeAt(storage, start + deletionDelay - 1), 'usr_alice'))
    t.false(await removeDeleted(nodeAt(storage, start + deletionDelay), 'usr_bob'))
    t.deepEqual(await storage.listUsersToRemove(start + deletionDelay, 10), ['usr_alice'])
    // A month later: no server was there.
    const late = start + 30 * 86_400
    await Promise.all([removeDeletedUsers(nodeAt(storage, late)), removeDeletedUsers(nodeAt(other, late))])
    t.deepEqual(await namesOf(storage), ['bob'])
    t.is(await findSession(storage, 's1'), undefined)
    const removed = (await storage.listAuditEvents(10)).filter(({ type }) => type === 'user.removed')
    t.deepEqual(removed, [{ at: late, type: 'user.removed', userId: 'usr_alice', detail: 'deletion' }])
    t.like(await storage.findTakenUsers([user('alice', { id: 'usr_other' })]), [{ member: 'reserved_username' }])
  },
)

contract('many who are due go in steps, those first who have waited longest', async (t, storage) => {
  const due = Array.from({ length: 120 }, (_, i) => user(`u${i}`, { disabledAt: start, deleteAt: start + 120 - i }))
  await storage.createUsers(due, event('user.created'))
  t.deepEqual(await storage.listUsersToRemove(start + 200, 2), ['usr_u119', 'usr_u118'])
  for (const count of [50, 50, 20, 0]) t.is(await removeDeletedUsers(nodeAt(storage, start + 200)), count)
})

contract('an undo beside the removal: who is told that the account stays has it', async (t, storage, other) => {
  const many = Array.from({ length: 12 }, (_, i) => `a${i}`)
  const at = start + deletionDelay
  await storage.createUsers(
    many.map(name => user(name, { disabledAt: start, deleteAt: at, credentialVersion: 2 })),
    event('user.created'),
  )
  const outcomes = await Promise.all(
    many.flatMap((name, i) => [
      storage.changeUser(`usr_${name}`, deletionUndo(2, event('user.deletion_undone', at - 1))),
      // The clock of the other node is ahead.
      i % 2 === 0 ? removeDeleted(nodeAt(other, at), `usr_${name}`) : removeDeleted(nodeAt(storage, at), `usr_${name}`),
    ]),
  )
  for (const [i, name] of many.entries()) {
    const [undone, removed] = outcomes.slice(2 * i, 2 * i + 2)
    t.is((await storage.findUser(`usr_${name}`)) !== undefined, undone === 'undone', name)
    t.is(removed, undone !== 'undone', name)
  }
})

const steps = ['request', 'undo', 'disable', 'enable', 'wait'] as const

contract(
  'property: an undo enables nobody whom the operator has disabled, and whoever is not to be deleted is not',
  async (t, storage) => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...steps), { minLength: 2, maxLength: 8 }), async script => {
        await storage.removeUser('usr_alice', event('user.removed'))
        await storage.createUsers([user('alice')], event('user.created'))
        let at = start
        let byOperator = false
        let isDue = false
        const change = (decide: Parameters<typeof storage.changeUser<unknown>>[1]) =>
          storage.changeUser('usr_alice', decide)
        const find = async () => (await storage.findUser('usr_alice'))!
        for (const step of script) {
          const before: User = await find()
          if (step === 'wait') at += 1
          if (step === 'request' && before.disabledAt === undefined) {
            const decide = deletionRequest('later', event('user.deletion_requested', at), undefined)
            await change((row, _, factors) => decide(row, session('s1', { authTime: at, expiresAt: at + 9 }), factors))
            isDue = true
          }
          if (step === 'undo') {
            const { credentialVersion } = before
            await change(deletionUndo(credentialVersion, event('user.deletion_undone', at)))
            isDue = false
          }
          if (step === 'disable' || step === 'enable') {
            const type: AuditEventType = step === 'disable' ? 'user.disabled' : 'user.enabled'
            await change(disabledUpdate(step === 'disable', event(type, at)))
            byOperator = step === 'disable'
            if (step === 'enable') isDue = false
          }
          const { disabledAt, deleteAt } = await find()
          t.is(deleteAt !== undefined, isDue, script.join())
          t.is(disabledAt !== undefined, isDue || byOperator, script.join())
        }
      }),
      { numRuns: 40 },
    )
  },
)
