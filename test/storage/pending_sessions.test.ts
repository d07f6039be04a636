/** The contract of sessions that have not begun: their authorization code has not been exchanged. On every storage. */
import test, { type ExecutionContext } from 'ava'
import { decideExchange, endBeyondLimit, exchangeChange } from '../../src/sessions/code_exchange.ts'
import {
  codeLifetime,
  createPendingSession,
  firstGeneration,
  isLive,
  type Session,
} from '../../src/sessions/session.ts'
import { disabledUpdate } from '../../src/sessions/user_change.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { startTime as start } from '../_server.ts'
import { storages } from '../_storages.ts'
import { auditTypes, caller, event, ids, policy, populate, refresh, session } from './_records.ts'

function contract(title: string, run: (t: ExecutionContext, storage: Storage) => Promise<void>) {
  for (const [name, open] of Object.entries(storages)) {
    test(`${name}: ${title}`, async t => run(t, await open(t)))
  }
}

/** Of the same sign-in as `session` of the other contracts. */
function pending(id: string, now = start): Session {
  return { ...session(id), ...createPendingSession(session(id), now) }
}

const row = (storage: Storage, id: string) => storage.changeSession(id, one => ({ outcome: one }))
const exchange = (storage: Storage, id: string, clientId = 'app', now = start) =>
  storage.changeSession(id, one => exchangeChange(decideExchange(one, { clientId, caller }, now, policy), now, caller))

contract('a pending session is in no list and no count, and no refresh token is of it', async (t, storage) => {
  await populate(storage, session('live'), pending('pending'))
  t.deepEqual(ids(await storage.listLiveSessions({}, start, 10)), ['live'])
  t.is(await storage.findLiveSession('pending', start), undefined)
  t.like(await storage.countLiveSessions('', start), { live: 1 })
  t.is(await storage.countSessionsNotSeenSince(start, start), 1)
  t.deepEqual(
    (await storage.countLiveSessionsByGrant('app', start)).map(({ count }) => count),
    [1],
  )
  for (const generation of [firstGeneration - 3, firstGeneration - 2, firstGeneration - 1, firstGeneration])
    t.is((await refresh(storage, 'pending', generation)).kind, 'expired')
  t.deepEqual(await row(storage, 'pending'), pending('pending'))
})

contract('its first exchange begins it, with the lifetimes of any other; another one ends it', async (t, storage) => {
  await populate(storage, pending('one'))
  const at = start + codeLifetime - 1
  t.is((await exchange(storage, 'one', 'app', at)).kind, 'exchanged')
  const begun = (await storage.findLiveSession('one', at))!.session
  t.like(begun, {
    generation: firstGeneration,
    idleExpiresAt: at + policy.idleLifetime,
    expiresAt: at + policy.absoluteLifetime,
  })
  t.is((await refresh(storage, 'one', firstGeneration, at)).kind, 'rotated')
  t.is((await exchange(storage, 'one', 'app', at)).kind, 'reused')
  t.like(await row(storage, 'one'), { revokedAt: at, revokedReason: 'code_reuse' })
  t.is((await exchange(storage, 'one', 'app', at)).kind, 'revoked')
  t.deepEqual(await auditTypes(storage), ['session.reused'])
})

contract('nothing changes for another client, nor when it is late', async (t, storage) => {
  await populate(storage, pending('one'))
  t.is((await exchange(storage, 'one', 'web')).kind, 'foreign')
  t.is((await exchange(storage, 'other')).kind, 'unknown')
  t.is((await exchange(storage, 'one', 'app', start + codeLifetime)).kind, 'expired')
  t.deepEqual(await row(storage, 'one'), pending('one'))
  t.is((await exchange(storage, 'one')).kind, 'exchanged')
})

contract('of many exchanges at once one begins it', async (t, storage) => {
  await populate(storage, pending('one'))
  const kinds = await Promise.all(Array.from({ length: 8 }, async () => (await exchange(storage, 'one')).kind))
  t.is(kinds.filter(kind => kind === 'exchanged').length, 1)
  t.is(kinds.filter(kind => kind === 'reused').length, 1)
})

contract('what ends the sessions of a user or a client ends it too', async (t, storage) => {
  await populate(storage, pending('by id'), pending('by client'), pending('by user'))
  t.is(await storage.revokeSessions({ id: 'by id', clientId: 'app' }, 'revoked_by_client', event('session.revoked')), 1)
  t.is(await storage.revokeSessions({ clientId: 'app' }, 'revoked_by_operator', event('session.revoked')), 2)
  for (const id of ['by id', 'by client', 'by user']) t.is((await exchange(storage, id)).kind, 'revoked')

  await storage.createSession(pending('late'), { version: 1 }, event('code.issued'))
  await storage.changeUser('usr_alice', disabledUpdate(true, event('user.disabled')))
  t.is((await exchange(storage, 'late')).kind, 'revoked')
})

contract('it pushes no session out before it begins, and the one seen longest ago when it does', async (t, storage) => {
  await populate(storage, session('old'), session('new', { lastSeenAt: start + 1 }))
  const limit = 2
  t.true(await storage.createSession(pending('first'), { version: 1 }, event('code.issued'), limit))
  t.true(await storage.createSession(pending('second'), { version: 1 }, event('code.issued'), limit))
  t.deepEqual(ids(await storage.listLiveSessions({}, start, 10)), ['new', 'old'])

  const decision = await exchange(storage, 'first', 'app', start + 2)
  if (decision.kind !== 'exchanged') return t.fail(decision.kind)
  await endBeyondLimit({ storage, now: () => start + 2 }, decision.session, limit, caller)
  t.deepEqual(ids(await storage.listLiveSessions({}, start, 10)), ['first', 'new'])
  t.is((await exchange(storage, 'second', 'app', start + 2)).kind, 'exchanged')
})

contract('those that nobody exchanges are few, and go', async (t, storage) => {
  await populate(storage)
  for (let i = 0; i < 5; i++)
    await storage.createSession(pending(`pending ${i}`, start + i), { version: 1 }, event('code.issued', start + i), 2)
  t.deepEqual(ids((await storage.listSessionsOf('usr_alice', { limit: 10 }))!).length, 2)
  t.false(isLive(pending('pending'), start))
  await storage.pruneSessions('', start + 10 + codeLifetime)
  t.deepEqual(await storage.listSessionsOf('usr_alice', { limit: 10 }), [])
})
