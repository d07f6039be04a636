/** Refreshes at several nodes whose clocks or settings are not the same, as pure decisions about one row. */
import test from 'ava'
import fc from 'fast-check'
import { seenNow, shownOf } from '../../src/sessions/last_seen.ts'
import { decideRefresh, type RefreshPolicy, refreshChange } from '../../src/sessions/refresh.ts'
import { createSession, isLive, type Session } from '../../src/sessions/session.ts'
import { startTime as start } from '../_server.ts'

const day = 86_400
const policy: RefreshPolicy = {
  idleLifetime: 30 * day,
  absoluteLifetime: 365 * day,
  retryWindow: 60,
  lateRetryWindow: 30 * day,
}
const caller = { ip: '192.0.2.1', userAgent: 'test', requestId: 'req_1' }

function signIn(now = start): Session {
  const who = { id: 'AAAAAAAAAAAAAAAAAAAAAA', userId: 'usr_alice', clientId: 'app', scope: 'read', amr: ['pwd'] }
  return createSession({ ...who, audience: [], device: undefined, ...caller }, now, policy)
}

/** What a node makes of a refresh, and the row after it. */
function refresh(session: Session, generation: number, now: number, own = policy) {
  const presented = { sessionId: session.id, generation, clientId: 'app', caller }
  const decision = decideRefresh(session, presented, now, own)
  return { decision, session: refreshChange(decision, now, caller).session ?? session }
}

/** Seconds that clocks of nodes are apart at most where each goes by the same one, with room to spare. */
const apart = 15
const anyClocks = fc.array(fc.integer({ min: -apart, max: apart }), { minLength: 2, maxLength: 4 })
const anyStep = fc.record({
  /** Since the step before: an app refreshes when it has to, or asks again. */
  after: fc.constantFrom(0, 1, 900, 3600, 7 * day),
  /** Requests of one app with the same token at once, seconds after one another, and the nodes that they come to. */
  requests: fc.array(fc.record({ node: fc.nat(3), later: fc.integer({ min: 0, max: 3 }) }), {
    minLength: 1,
    maxLength: 6,
  }),
  /** Which of the answers the app keeps; -1 when all of them were lost. */
  keeps: fc.integer({ min: -1, max: 5 }),
})

test('property: whichever nodes an app comes to, with requests at once and lost answers, it is never signed out, whatever seconds clocks are apart', t => {
  fc.assert(
    fc.property(anyClocks, fc.array(anyStep, { minLength: 1, maxLength: 30 }), (clocks, steps) => {
      let time = start
      let session = signIn(start + clocks[0]!)
      let generation = session.generation
      for (const { after, requests, keeps } of steps) {
        time += after
        const answers: number[] = []
        for (const { node, later } of requests) {
          time += later
          const made = refresh(session, generation, time + clocks[node % clocks.length]!)
          if (!('session' in made.decision)) throw new Error(made.decision.kind)
          t.not(made.decision.kind, 'reused')
          session = made.session
          answers.push(session.generation)
        }
        if (keeps >= 0) generation = answers[keeps % answers.length]!
      }
      return true
    }),
    { numRuns: 500 },
  )
})

test('property: a session that was rotated in the future is inside the retry window, and its successor the same, however far', t => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 20 * day }), ahead => {
      const session = signIn()
      const rotated = refresh(session, session.generation, start + ahead).session
      const { decision } = refresh(rotated, session.generation, start + 1)
      t.is(decision.kind, 'retried')
      t.is('session' in decision && decision.session.generation, rotated.generation)
    }),
  )
})

test('property: no clock that is behind takes back what another one wrote: a session lives as long as its rows say, less what they are apart', t => {
  fc.assert(
    fc.property(fc.integer({ min: -day, max: day }), fc.integer({ min: 0, max: 20 * day }), (ahead, after) => {
      const session = signIn(start + ahead)
      t.true(isLive(session, start + after, policy))
      const { decision, session: next } = refresh(session, session.generation, start + after)
      t.is(decision.kind, 'rotated')
      t.true(isLive(next, start + after + 29 * day, policy))
      t.is(next.expiresAt, session.expiresAt)
    }),
  )
})

test('property: when it was last seen is shown in full hours also where the row is of the future, and never before it began', t => {
  fc.assert(
    fc.property(fc.integer({ min: -day, max: day }), fc.integer({ min: -day, max: day }), (seen, asked) => {
      const session = signIn()
      const row = { ...session, ...seenNow(session, caller, start + seen) }
      const { lastSeenAt, expiresAt } = shownOf(row, policy, start + asked)
      t.true(lastSeenAt >= session.createdAt)
      t.true(lastSeenAt === session.createdAt || lastSeenAt % 3600 === 0)
      t.true(expiresAt <= session.expiresAt)
    }),
  )
})

test('property: a node with shorter lifetimes refuses, and takes nothing from a session that goes on at the others', t => {
  const shorter = { ...policy, idleLifetime: day, absoluteLifetime: 2 * day, lateRetryWindow: day }
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 29 * day }), after => {
      const session = signIn()
      const refused = refresh(session, session.generation, start + after, shorter)
      if (after >= day) {
        t.is(refused.decision.kind, 'expired')
        t.deepEqual(refused.session, session)
      }
      const { decision } = refresh(refused.session, refused.session.generation, start + after)
      t.is(decision.kind, 'rotated')
    }),
  )
})

test('property: retry windows of nodes may differ: what one repeats within its own is the successor that the other made', t => {
  const anyWindow = fc.integer({ min: 5, max: 600 })
  fc.assert(
    fc.property(anyWindow, anyWindow, fc.integer({ min: 0, max: 5 }), (one, other, after) => {
      const session = signIn()
      const rotated = refresh(session, session.generation, start, { ...policy, retryWindow: one }).session
      const again = refresh(rotated, session.generation, start + after, { ...policy, retryWindow: other })
      t.is(again.decision.kind, 'retried')
      t.deepEqual(again.session, rotated)
    }),
  )
})
