/** What a change of a user does to the user's sessions, as pure decisions. */
import test from 'ava'
import { auditEvent } from '../../src/audit/audit.ts'
import { createSession } from '../../src/sessions/session.ts'
import { disabledUpdate, ownPasswordUpdate, passwordUpdate } from '../../src/sessions/user_change.ts'
import type { User } from '../../src/users/user.ts'
import { startTime as start } from '../_server.ts'

const alice: User = { id: 'usr_a', username: 'alice', passwordHash: 'old', credentialVersion: 1, createdAt: start }
const lifetimes = { idleLifetime: 100, absoluteLifetime: 1000 }
const signIn = { id: 's', userId: alice.id, clientId: 'app', scope: '', audience: [], amr: ['pwd'] }
const session = createSession({ ...signIn, device: undefined, ip: undefined, userAgent: undefined }, start, lifetimes)
const event = auditEvent('user.password_changed', start + 5, {})

test('another password raises the credential version and ends all sessions', t => {
  t.deepEqual(passwordUpdate('new', event)(alice), {
    outcome: true,
    user: { ...alice, passwordHash: 'new', credentialVersion: 2 },
    endSessions: { reason: 'password_changed', at: start + 5 },
    event,
  })
  t.deepEqual(passwordUpdate('new', event)(undefined), { outcome: false })
})

test('another password from within a session ends all others, and renews that one', t => {
  const renewed = { ...session, generation: session.generation + 1 }
  const decide = ownPasswordUpdate({ passwordHash: 'new', version: 1 }, () => renewed, event)
  t.deepEqual(decide(alice, session), {
    outcome: renewed,
    user: { ...alice, passwordHash: 'new', credentialVersion: 2 },
    endSessions: { reason: 'password_changed', at: start + 5, exceptId: 's' },
    session: renewed,
    event,
  })
  const nothing = { outcome: undefined }
  t.deepEqual(decide({ ...alice, credentialVersion: 2 }, session), nothing)
  t.deepEqual(decide({ ...alice, id: 'usr_b' }, session), nothing)
  t.deepEqual(decide(undefined, session), nothing)
  const ended = ownPasswordUpdate({ passwordHash: 'new', version: 1 }, () => undefined, event)
  t.deepEqual(ended(alice, session), nothing)
})

test('disabling raises the credential version and ends all sessions; enabling revives none', t => {
  const disabled = { ...alice, disabledAt: start + 5, credentialVersion: 2 }
  const endSessions = { reason: 'user_disabled', at: start + 5 }
  t.deepEqual(disabledUpdate(true, event)(alice), { outcome: true, user: disabled, endSessions, event })
  t.deepEqual(disabledUpdate(false, event)(disabled), {
    outcome: true,
    user: { ...disabled, disabledAt: undefined, deleteAt: undefined },
    event,
  })
})

test('disabling twice, enabling who is enabled, and either of nobody change nothing', t => {
  t.deepEqual(disabledUpdate(true, event)({ ...alice, disabledAt: start }), { outcome: false })
  t.deepEqual(disabledUpdate(false, event)(alice), { outcome: false })
  for (const isDisabled of [true, false]) t.deepEqual(disabledUpdate(isDisabled, event)(undefined), { outcome: false })
})
