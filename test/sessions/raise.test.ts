/** What a step-up does to a session: as a pure decision, and to the row of every storage. */
import test, { type ExecutionContext } from 'ava'
import { auditEvent } from '../../src/audit/audit.ts'
import { createRefusals } from '../../src/audit/refusals.ts'
import { OAuthError } from '../../src/error.ts'
import { raise, raiseSession } from '../../src/sessions/raise.ts'
import type { Storage } from '../../src/storage/storage.ts'
import type { Factor, FactorUse } from '../../src/users/factors/factor.ts'
import { startTime as start } from '../_server.ts'
import { storages } from '../_storages.ts'
import {
  auditTypes,
  caller,
  client,
  event,
  ids,
  policy,
  populate,
  refresh,
  session,
  user,
} from '../storage/_records.ts'

const phone: Factor = { id: 'phone', userId: 'usr_alice', kind: 'totp', createdAt: start, data: 'x', counter: 5 }
const use = (step: number): FactorUse => ({ factorId: 'phone', kind: 'totp', at: start + 500, step })
const alice = user('alice')
const app = client('app')
const before = session('phone')
const proof = { user: alice, amr: ['otp', 'mfa'], at: start + 500, uses: [use(6)] }
const raised = auditEvent('session.raised', start + 500, caller)
const decide = raise(proof, app, policy, raised)

test('a proof makes the session fresh and adds to the password what was proved, and is used up (RFC 9470 §4)', t => {
  const after = { ...before, authTime: start + 500, amr: ['pwd', 'otp', 'mfa'] }
  t.deepEqual(decide(alice, before, [phone]), {
    outcome: { kind: 'raised', session: after },
    session: after,
    factors: { put: [{ ...phone, counter: 6, usedAt: start + 500 }] },
    event: raised,
  })
})

test('who has no factor proves the password, and a better hash of it is kept', t => {
  const byPassword = raise({ user: alice, amr: ['pwd'], at: start + 500, passwordHash: 'new' }, app, policy, raised)
  t.like(byPassword(alice, before, []), {
    outcome: { kind: 'raised' },
    session: { authTime: start + 500, amr: ['pwd'] },
    user: { ...alice, passwordHash: 'new' },
  })
})

test('a code that has been used, and a factor that is gone, raise nothing', t => {
  t.deepEqual(decide(alice, before, [{ ...phone, counter: 6 }]), { outcome: { kind: 'used' } })
  t.deepEqual(decide(alice, before, []), { outcome: { kind: 'used' } })
})

const ended: ReturnType<typeof decide> = { outcome: { kind: 'ended' } }
for (const [why, decided] of Object.entries({
  'is gone': decide(alice, undefined, [phone]),
  'was ended': decide(alice, { ...before, revokedAt: start + 1, revokedReason: 'logout' }, [phone]),
  'has expired': decide(alice, { ...before, idleExpiresAt: start + 500 }, [phone]),
  'has expired by what its client gives now': raise(
    proof,
    app,
    { ...policy, absoluteLifetime: 500 },
    raised,
  )(alice, before, [phone]),
  "is another user's": decide(alice, { ...before, userId: 'usr_bob' }, [phone]),
  'is of another client': decide(alice, { ...before, clientId: 'web' }, [phone]),
  'has a user with other credentials by now': decide({ ...alice, credentialVersion: 2 }, before, [phone]),
  'has a user who is disabled': decide({ ...alice, disabledAt: start }, before, [phone]),
  'has a user who is gone': decide(undefined, before, [phone]),
}))
  test(`a session that ${why} is not raised, and the code not used up`, t => {
    t.deepEqual(decided, ended)
  })

function contract(title: string, run: (t: ExecutionContext, storage: Storage) => Promise<void>) {
  for (const [name, open] of Object.entries(storages)) {
    test(`${name}: ${title}`, async t => run(t, await open(t)))
  }
}

const where = { sessionId: 'phone', client: app, lifetimes: policy }

async function withPhone(storage: Storage) {
  await populate(storage, before, session('tablet'))
  await storage.changeUser('usr_alice', () => ({ outcome: undefined, factors: { put: [phone] } }))
  const refusals = createRefusals(storage, () => start + 500)
  return { storage, refusals }
}

contract('a raised session is the same row, and the other one stays as it is', async (t, storage) => {
  const deps = await withPhone(storage)
  const after = await raiseSession(deps, proof, where, caller)

  const [first, second] = (await storage.listSessionsOf('usr_alice', { limit: 10 }))!.toSorted((a, b) =>
    a.id < b.id ? -1 : 1,
  )
  t.deepEqual(first, after!)
  t.deepEqual(first, { ...before, authTime: start + 500, amr: ['pwd', 'otp', 'mfa'] })
  t.deepEqual(second, session('tablet'))
  t.deepEqual(await auditTypes(storage), ['session.raised'])
  t.like((await storage.listAuditEvents(1))[0], { sessionId: 'phone', userId: 'usr_alice', detail: 'by otp mfa' })
  const rotated = await refresh(storage, 'phone', before.generation, start + 600)
  t.like(rotated, { kind: 'rotated', session: { authTime: start + 500, amr: ['pwd', 'otp', 'mfa'] } })
})

contract(
  'of twenty who bring one code at the same moment, one raises the session (RFC 6238 §5.2)',
  async (t, storage) => {
    const deps = await withPhone(storage)
    const tries = await Promise.allSettled(Array.from({ length: 20 }, () => raiseSession(deps, proof, where, caller)))

    t.is(tries.filter(({ status }) => status === 'fulfilled').length, 1)
    for (const one of tries)
      if (one.status === 'rejected') t.true(one.reason instanceof OAuthError && one.reason.code === 'invalid_grant')
    await deps.refusals.flush(true)
    const [refusedEvent] = await storage.listAuditEvents(1)
    t.like(refusedEvent, { type: 'factor.refused', sessionId: 'phone', count: 19 })
  },
)

contract('a session that has ended is not raised, and its code is still good', async (t, storage) => {
  const deps = await withPhone(storage)
  await storage.revokeSessions({ id: 'phone' }, 'logout', event('session.revoked', start + 1))

  t.is(await raiseSession(deps, proof, where, caller), undefined)
  t.is((await storage.listFactors('usr_alice'))[0]!.counter, 5)
  t.deepEqual(ids(await storage.listLiveSessions({}, start + 500, 10)), ['tablet'])
})
