/** decideRefresh: the table of the design's section 2 row by row, then the rotation state machine against a model. */
import test from 'ava'
import fc from 'fast-check'
import { createClient } from '../../src/clients/client.ts'
import {
  decideRefresh,
  type PresentedRefreshToken,
  type RefreshDecision,
  type RefreshPolicy,
  refreshChange,
  renewSession,
} from '../../src/sessions/refresh.ts'
import { createSession, firstGeneration, isLive, mayOpenSession, type Session } from '../../src/sessions/session.ts'
import { decideTouch } from '../../src/sessions/touch.ts'

const policy: RefreshPolicy = { idleLifetime: 1000, absoluteLifetime: 5000, retryWindow: 60, lateRetryWindow: 1000 }
const start = 1_800_000_000

function signIn(lifetimes: RefreshPolicy = policy): Session {
  const session = createSession(
    {
      id: 'AAAAAAAAAAAAAAAAAAAAAA',
      userId: 'usr_alice',
      clientId: 'app',
      scope: 'read write',
      audience: ['https://api.example.com'],
      amr: ['pwd'],
      device: 'phone',
      ip: '192.0.2.1',
      userAgent: 'test',
    },
    start,
    lifetimes,
  )
  return session
}

/** Generation 10, exchanged for 9 at the start. */
function rotatedSession(changes: Partial<Session> = {}): Session {
  return { ...signIn(), generation: 10, parentGeneration: 9, ...changes }
}

function present(generation: number, clientId = 'app'): PresentedRefreshToken {
  return { sessionId: 'AAAAAAAAAAAAAAAAAAAAAA', generation, clientId }
}

test('a session begins with one live refresh token, nothing to retry and both lifetimes', t => {
  t.deepEqual(signIn(), {
    id: 'AAAAAAAAAAAAAAAAAAAAAA',
    userId: 'usr_alice',
    clientId: 'app',
    scope: 'read write',
    audience: ['https://api.example.com'],
    amr: ['pwd'],
    device: 'phone',
    ip: '192.0.2.1',
    userAgent: 'test',
    generation: firstGeneration,
    parentGeneration: firstGeneration - 1,
    rotatedAt: start,
    createdAt: start,
    authTime: start,
    lastSeenAt: start,
    seenBeforeAt: start,
    idleExpiresAt: start + 1000,
    expiresAt: start + 5000,
  })
})

test('a session never idles longer than it lives', t => {
  t.is(signIn({ ...policy, idleLifetime: 9000 }).idleExpiresAt, start + 5000)
})

test('generations take the same number of bytes in SQLite from the first to the last', t => {
  // SQLite keeps 2^23 to 2^31 - 1 in four bytes; at one rotation a second that lasts for 67 years.
  t.true(firstGeneration - 1 >= 2 ** 23)
  t.true(firstGeneration + 67 * 365 * 86_400 < 2 ** 31)
})

test('rotate: the live token advances the session and extends its idle lifetime, never its absolute one', t => {
  const session = rotatedSession()
  t.deepEqual(decideRefresh(session, present(10), start + 100, policy), {
    kind: 'rotated',
    session: {
      ...session,
      parentGeneration: 10,
      generation: 11,
      rotatedAt: start + 100,
      lastSeenAt: start + 100,
      idleExpiresAt: start + 1100,
    },
  })
})

test('rotate: near its end a session idles no longer than it lives', t => {
  const session = rotatedSession({ lastSeenAt: start + 3900, idleExpiresAt: start + 4900 })
  t.like(decideRefresh(session, present(10), start + 4800, policy), {
    kind: 'rotated',
    session: { idleExpiresAt: start + 5000, expiresAt: start + 5000 },
  })
})

test('retry: the parent inside the retry window gets the very same successor, and the row is left alone', t => {
  const session = rotatedSession()
  t.deepEqual(decideRefresh(session, present(9), start + 30, policy), { kind: 'retried', session })
})

test('retry: the last second of the retry window counts, the next is a late retry', t => {
  const session = rotatedSession()
  t.is(decideRefresh(session, present(9), start + 60, policy).kind, 'retried')
  t.is(decideRefresh(session, present(9), start + 61, policy).kind, 'late_retried')
})

test('retry: a clock that was set back makes no reuse of a retry', t => {
  const session = rotatedSession()
  t.deepEqual(decideRefresh(session, present(9), start - 3600, policy), { kind: 'retried', session })
  t.like(decideRefresh(session, present(10), start - 3600, policy), {
    kind: 'rotated',
    session: { idleExpiresAt: start - 2600 },
  })
})

test('late retry: after the window the unseen successor is killed and a new one issued to the same parent', t => {
  const session = rotatedSession()
  t.deepEqual(decideRefresh(session, present(9), start + 500, policy), {
    kind: 'late_retried',
    session: {
      ...session,
      parentGeneration: 9,
      generation: 11,
      rotatedAt: start + 500,
      lastSeenAt: start + 500,
      idleExpiresAt: start + 1500,
    },
  })
})

test('late retry: the use of a successor that a late retry killed is reuse', t => {
  const decision = decideRefresh(rotatedSession(), present(9), start + 500, policy)
  if (decision.kind !== 'late_retried') return t.fail(decision.kind)
  t.is(decideRefresh(decision.session, present(10), start + 501, policy).kind, 'reused')
  // The twins: the parent again and the new successor.
  t.is(decideRefresh(decision.session, present(9), start + 501, policy).kind, 'retried')
  t.is(decideRefresh(decision.session, present(11), start + 501, policy).kind, 'rotated')
})

test('late retry: it is believed until the last second of LATCHKEY_REFRESH_LATE_RETRY, then it is reuse', t => {
  const bounded = { ...policy, lateRetryWindow: 300 }
  t.is(decideRefresh(rotatedSession(), present(9), start + 300, bounded).kind, 'late_retried')
  t.is(decideRefresh(rotatedSession(), present(9), start + 301, bounded).kind, 'reused')
})

test('late retry: 0 turns it off and leaves the retry window', t => {
  const off = { ...policy, lateRetryWindow: 0 }
  t.is(decideRefresh(rotatedSession(), present(9), start + 60, off).kind, 'retried')
  t.is(decideRefresh(rotatedSession(), present(9), start + 61, off).kind, 'reused')
})

test('a retry window of 0 still covers the second of the rotation', t => {
  const none = { ...policy, retryWindow: 0, lateRetryWindow: 0 }
  t.is(decideRefresh(rotatedSession(), present(9), start, none).kind, 'retried')
  t.is(decideRefresh(rotatedSession(), present(9), start + 1, none).kind, 'reused')
})

test('heal: a token from after a restored backup is taken, and the row catches up', t => {
  const session = rotatedSession()
  t.deepEqual(decideRefresh(session, present(25), start + 100, policy), {
    kind: 'healed',
    session: {
      ...session,
      parentGeneration: 25,
      generation: 26,
      rotatedAt: start + 100,
      lastSeenAt: start + 100,
      idleExpiresAt: start + 1100,
    },
  })
})

test('heal: the very next generation is from the future too', t => {
  t.like(decideRefresh(rotatedSession(), present(11), start, policy), { kind: 'healed', session: { generation: 12 } })
})

test('reuse: a superseded token revokes the session (RFC 9700 §4.14.2)', t => {
  const session = rotatedSession()
  t.deepEqual(decideRefresh(session, present(8), start + 1, policy), {
    kind: 'reused',
    session: { ...session, revokedAt: start + 1, revokedReason: 'refresh_token_reuse' },
  })
})

test('reuse: after it neither the live token, its parent nor one from the future works', t => {
  const decision = decideRefresh(rotatedSession(), present(8), start + 1, policy)
  if (decision.kind !== 'reused') return t.fail(decision.kind)
  for (const generation of [8, 9, 10, 11, 99]) {
    t.deepEqual(decideRefresh(decision.session, present(generation), start + 2, policy), { kind: 'revoked' })
  }
})

test('foreign: the token of another client is refused and changes nothing for its owner', t => {
  for (const generation of [8, 9, 10, 11]) {
    t.deepEqual(decideRefresh(rotatedSession(), present(generation, 'other'), start, policy), { kind: 'foreign' })
    t.true('session' in decideRefresh(rotatedSession(), present(generation, 'app'), start, policy))
  }
})

test('outdated: after a renewal every older token is refused and no reuse, also after the next rotation', t => {
  const renewed = renewSession(rotatedSession(), start + 10, policy, {})!
  t.like(renewed, { generation: 11, oldestGeneration: 11, idleExpiresAt: start + 1010, expiresAt: start + 5000 })
  const rotation = decideRefresh(renewed, present(11), start + 20, policy)
  if (rotation.kind !== 'rotated') return t.fail(rotation.kind)
  for (const session of [renewed, rotation.session]) {
    for (const generation of [8, 9, 10])
      t.deepEqual(decideRefresh(session, present(generation), start + 30, policy), { kind: 'outdated' })
  }
  // The twins: a retry, and reuse of what is superseded since.
  t.is(decideRefresh(rotation.session, present(11), start + 30, policy).kind, 'retried')
  const second = decideRefresh(rotation.session, present(12), start + 30, policy)
  if (second.kind !== 'rotated') return t.fail(second.kind)
  t.is(decideRefresh(second.session, present(11), start + 40, policy).kind, 'reused')
})

test('outdated: a cookie of before a renewal keeps nothing alive, and what has ended is not renewed', t => {
  const renewed = renewSession(rotatedSession(), start + 10, policy, {})!
  const touch = (generation: number) => decideTouch(renewed, { generation, caller: {} }, start + 90, policy)
  t.deepEqual([touch(0), touch(10)], [{ outcome: undefined }, { outcome: undefined }])
  const touched = { ...renewed, lastSeenAt: start + 90, idleExpiresAt: start + 1090 }
  t.like(touch(11), { outcome: touched, session: touched })
  t.is(renewSession(undefined, start, policy, {}), undefined)
  t.is(renewSession(rotatedSession({ revokedAt: start }), start, policy, {}), undefined)
  t.is(renewSession(rotatedSession(), start + 1000, policy, {}), undefined)
})

test('dead: no such session', t => {
  t.deepEqual(decideRefresh(undefined, present(10), start, policy), { kind: 'unknown' })
})

test('dead: a retry does not revive what was revoked, for whatever reason', t => {
  for (const revokedReason of ['logout', 'password_changed', 'user_disabled', 'revoked_by_operator'] as const) {
    const session = rotatedSession({ revokedAt: start, revokedReason })
    for (const generation of [8, 9, 10, 11]) {
      t.deepEqual(decideRefresh(session, present(generation), start, policy), { kind: 'revoked' })
    }
  }
})

test('dead: from its idle expiry on, a session gives nothing', t => {
  for (const generation of [8, 9, 10, 11]) {
    t.deepEqual(decideRefresh(rotatedSession(), present(generation), start + 1000, policy), { kind: 'expired' })
    t.true('session' in decideRefresh(rotatedSession(), present(generation), start + 999, policy))
  }
})

test('dead: from its absolute expiry on, a session gives nothing', t => {
  const session = rotatedSession({ lastSeenAt: start + 4500, idleExpiresAt: start + 9000 })
  for (const generation of [8, 9, 10, 11]) {
    t.deepEqual(decideRefresh(session, present(generation), start + 5000, policy), { kind: 'expired' })
    t.true('session' in decideRefresh(session, present(generation), start + 4999, policy))
  }
})

test('precedence: revoked before expired before foreign before what the generation says', t => {
  const revokedAt = start
  const late = start + 1000
  t.is(decideRefresh(rotatedSession({ revokedAt }), present(8, 'other'), late, policy).kind, 'revoked')
  t.is(decideRefresh(rotatedSession(), present(8, 'other'), late, policy).kind, 'expired')
  t.is(decideRefresh(rotatedSession(), present(8, 'other'), start, policy).kind, 'foreign')
  t.is(decideRefresh(rotatedSession(), present(8), start, policy).kind, 'reused')
})

test('precedence: a parent that is no longer believed is reuse, and the live token is no retry of itself', t => {
  // A row whose parent equals its generation cannot arise; were it to, the live token still rotates.
  t.is(decideRefresh(rotatedSession({ parentGeneration: 10 }), present(10), start, policy).kind, 'rotated')
})

test('isLive says what decideRefresh says, at both expiries and after a revocation', t => {
  t.true(isLive(rotatedSession(), start + 999))
  t.false(isLive(rotatedSession(), start + 1000))
  t.false(isLive(rotatedSession({ idleExpiresAt: start + 9000 }), start + 5000))
  t.false(isLive(rotatedSession({ revokedAt: start }), start))
})

test('promise 2: a thief who uses a stolen token first is found out by the next use of the owner and the thief', t => {
  let row = rotatedSession()
  const use = (generation: number, now: number) => {
    const decision = decideRefresh(row, present(generation), now, policy)
    if ('session' in decision) row = decision.session
    return decision.kind
  }
  t.is(use(10, start + 10), 'rotated')
  t.is(use(10, start + 200), 'late_retried')
  t.is(use(11, start + 300), 'reused')
  t.is(use(12, start + 301), 'revoked')
})

test('promise 2: a thief who comes later with a token that the owner has used twice over ends the session', t => {
  let row = rotatedSession()
  const use = (generation: number, now: number) => {
    const decision = decideRefresh(row, present(generation), now, policy)
    if ('session' in decision) row = decision.session
    return decision.kind
  }
  t.is(use(10, start + 10), 'rotated')
  t.is(use(11, start + 11), 'rotated')
  t.is(use(10, start + 12), 'reused')
  t.is(use(12, start + 13), 'revoked')
})

// The state machine under random interleavings.

const policies = fc.record({
  idleLifetime: fc.integer({ min: 60, max: 2000 }),
  absoluteLifetime: fc.integer({ min: 60, max: 6000 }),
  retryWindow: fc.integer({ min: 0, max: 120 }),
  lateRetryWindow: fc.integer({ min: 0, max: 2000 }),
})

type Action =
  | { kind: 'use'; which: 'live' | 'parent' | number; clientId: string }
  | { kind: 'logout' | 'snapshot' }
  | { kind: 'advance'; seconds: number }
  | { kind: 'restore'; which: number }

const actions: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('use' as const),
      which: fc.oneof(fc.constant('live' as const), fc.constant('parent' as const), fc.nat()),
      clientId: fc.oneof({ weight: 9, arbitrary: fc.constant('app') }, { weight: 1, arbitrary: fc.constant('other') }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'logout' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'snapshot' as const }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('advance' as const), seconds: fc.integer({ min: -5, max: 400 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restore' as const), which: fc.nat() }) },
)

/** What the design's table says, in terms of who was given which token rather than of a row. */
type Model = {
  /** The one token that may be used next. */
  live: number
  /** The token that `live` was given for; undefined before the first refresh. */
  spent: number | undefined
  spentAt: number
  idleEnd: number
  ended: boolean
}

function expectedKind(model: Model, token: number, clientId: string, now: number, end: number, rules: RefreshPolicy) {
  if (model.ended) return 'revoked'
  if (now >= Math.min(model.idleEnd, end)) return 'expired'
  if (clientId !== 'app') return 'foreign'
  if (token === model.live) return 'rotated'
  if (token > model.live) return 'healed'
  if (token !== model.spent) return 'reused'
  if (now <= model.spentAt + rules.retryWindow) return 'retried'
  return now <= model.spentAt + rules.lateRetryWindow ? 'late_retried' : 'reused'
}

test('property: any interleaving of uses, logout, time and restored backups follows the model', t => {
  const kindsSeen = new Set<string>()
  const check = (rules: RefreshPolicy, steps: readonly Action[]) => {
    let now = start
    let row = signIn(rules)
    const end = start + rules.absoluteLifetime
    let model: Model = {
      live: row.generation,
      spent: undefined,
      spentAt: start,
      idleEnd: start + rules.idleLifetime,
      ended: false,
    }
    const issued = [row.generation]
    const backups = [{ row, model }]

    for (const step of steps) {
      if (step.kind === 'advance') now += step.seconds
      if (step.kind === 'snapshot') backups.push({ row, model })
      if (step.kind === 'restore') ({ row, model } = backups[step.which % backups.length]!)
      if (step.kind === 'logout' && !model.ended) {
        row = { ...row, revokedAt: now, revokedReason: 'logout' }
        model = { ...model, ended: true }
      }
      if (step.kind === 'use') {
        const token =
          step.which === 'live'
            ? model.live
            : step.which === 'parent'
              ? (model.spent ?? model.live)
              : issued[step.which % issued.length]!
        const expected = expectedKind(model, token, step.clientId, now, end, rules)
        const before = row
        const decision = decideRefresh(row, present(token, step.clientId), now, rules)
        if (decision.kind !== expected) throw new Error(`${decision.kind} where the model says ${expected}`)
        kindsSeen.add(expected)
        if ('session' in decision) row = decision.session
        if (expected === 'retried' && row !== before) throw new Error('a retry changed the row')
        if (expected === 'rotated' || expected === 'healed' || expected === 'late_retried') {
          model = { live: row.generation, spent: token, spentAt: now, idleEnd: now + rules.idleLifetime, ended: false }
          // A token that was handed out for another one, or killed, is never handed out again while the row stands.
          if (row.generation <= Math.max(token, before.generation)) throw new Error('a generation came back')
          issued.push(row.generation)
        }
        if (expected === 'reused') model = { ...model, ended: true }
      }

      if (row.expiresAt !== end) throw new Error('the absolute lifetime moved')
      if (row.idleExpiresAt > row.expiresAt) throw new Error('the idle lifetime exceeds the absolute one')
      const rotating = [...new Set(issued)].filter(
        token => decideRefresh(row, present(token), now, rules).kind === 'rotated',
      )
      const live = isLive(row, now) ? [model.live] : []
      if (rotating.join() !== live.join()) throw new Error(`live: ${rotating}, not ${live}`)
      if (model.ended && issued.some(token => decideRefresh(row, present(token), now, rules).kind !== 'revoked')) {
        throw new Error('something works after the end')
      }
    }
  }
  fc.assert(fc.property(policies, fc.array(actions, { minLength: 1, maxLength: 40 }), check), { numRuns: 2000 })
  const everyKind = ['expired', 'foreign', 'healed', 'late_retried', 'retried', 'reused', 'revoked', 'rotated']
  t.deepEqual([...kindsSeen].toSorted(), everyKind)
})

const lonelyActions = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'refresh' as const }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'refresh_and_lose_answer' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'crash_before_commit' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'back_up' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restore' as const), which: fc.nat() }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('advance' as const), seconds: fc.integer({ min: -5, max: 900 }) }),
  },
)

test('property, promises 2 and 5: who keeps a token until its successor arrives is not signed out before expiry', t => {
  const works: RefreshDecision['kind'][] = ['rotated', 'retried', 'late_retried', 'healed']
  fc.assert(
    fc.property(policies, fc.array(lonelyActions, { maxLength: 60 }), (drawn, steps) => {
      // The default: late retries are believed for the idle lifetime.
      const rules = { ...drawn, lateRetryWindow: drawn.idleLifetime }
      let now = start
      let row = signIn(rules)
      let held = row.generation
      const backups = [row]
      for (const step of steps) {
        if (step.kind === 'advance') now += step.seconds
        if (step.kind === 'back_up') backups.push(row)
        if (step.kind === 'restore') row = backups[step.which % backups.length]!
        if (step.kind === 'crash_before_commit') decideRefresh(row, present(held), now, rules)
        if (step.kind !== 'refresh' && step.kind !== 'refresh_and_lose_answer') continue
        const expired = now >= row.idleExpiresAt || now >= row.expiresAt
        const decision = decideRefresh(row, present(held), now, rules)
        if (expired ? decision.kind !== 'expired' : !works.includes(decision.kind)) {
          throw new Error(`${decision.kind} for the only holder`)
        }
        if ('session' in decision) row = decision.session
        if ('session' in decision && step.kind === 'refresh') held = row.generation
      }
    }),
    { numRuns: 3000 },
  )
  t.pass()
})

test('property, promise 1: any number of uses of one token inside the window have one successor', t => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 20 }), fc.array(fc.integer({ min: 0, max: 60 })), (uses, delays) => {
      let row = rotatedSession()
      const successors = new Set<number>()
      const times = [0, ...delays, ...Array.from({ length: uses }, () => 0)].toSorted((a, b) => a - b)
      for (const delay of times) {
        const decision = decideRefresh(row, present(10), start + delay, policy)
        if (!('session' in decision)) throw new Error(decision.kind)
        row = decision.session
        successors.add(row.generation)
      }
      return successors.size === 1 && row.generation === 11
    }),
  )
  t.pass()
})

test('refreshChange: an ordinary rotation writes its row and says nothing, a retry and what is refused write nothing', t => {
  const rotated = decideRefresh(rotatedSession(), present(10), start + 10, policy)
  if (rotated.kind !== 'rotated') return t.fail(rotated.kind)
  t.deepEqual(refreshChange(rotated, start + 10, {}), { outcome: rotated, session: rotated.session })
  const retried = decideRefresh(rotatedSession(), present(9), start + 10, policy)
  t.is(retried.kind, 'retried')
  t.deepEqual(refreshChange(retried, start + 10, {}), { outcome: retried })
  const refusals: RefreshDecision[] = [
    ...(['unknown', 'revoked', 'expired', 'foreign', 'outdated', 'target_exceeded'] as const).map(kind => ({ kind })),
    { kind: 'scope_exceeded', allowed: 'read' },
  ]
  for (const refusal of refusals) t.deepEqual(refreshChange(refusal, start, {}), { outcome: refusal })
})

test('refreshChange: what is out of the ordinary is written with its row, and says from where (RFC 9700 §4.14)', t => {
  const caller = { ip: '192.0.2.7', userAgent: 'test', requestId: 'request-1' }
  const session = rotatedSession({ ip: '203.0.113.1', userAgent: 'phone' })
  const about = { userId: session.userId, clientId: session.clientId, sessionId: session.id, ip: caller.ip }
  const typesOf = (decision: RefreshDecision) => {
    const { outcome, session: written, events = [] } = refreshChange(decision, start + 5, caller)
    t.is(outcome, decision)
    t.is(written, 'session' in decision ? decision.session : undefined)
    for (const event of events) t.like(event, { ...about, at: start + 5, requestId: caller.requestId })
    return events.map(({ type, detail }) => (detail === undefined ? type : `${type}: ${detail}`))
  }
  const repeats = { ip: '203.0.113.1', userAgent: undefined }
  const elsewhere = 'session.retried_elsewhere: repeats a refresh from 203.0.113.1 by an unnamed program'
  t.deepEqual(typesOf({ kind: 'healed', session }), ['session.healed'])
  t.deepEqual(typesOf({ kind: 'reused', session }), ['session.reused'])
  t.deepEqual(typesOf({ kind: 'late_retried', session }), ['session.late_retried'])
  t.deepEqual(typesOf({ kind: 'retried', session, repeats }), [elsewhere])
  t.deepEqual(typesOf({ kind: 'late_retried', session, repeats }), ['session.late_retried', elsewhere])
})

test('mayOpenSession: only for a user who is there, enabled and of the version that was verified, at a client that is there', t => {
  const user = { id: 'usr_a', username: 'alice', credentialVersion: 3, createdAt: start }
  const client = createClient({ id: 'app', grantTypes: [], scope: '', createdAt: start })
  t.true(mayOpenSession(user, client, 3))
  t.false(mayOpenSession(undefined, client, 3))
  t.false(mayOpenSession(user, undefined, 3))
  for (const version of [2, 4]) t.false(mayOpenSession(user, client, version))
  t.false(mayOpenSession({ ...user, disabledAt: start }, client, 3))
})
