/** Several nodes on one database throttle as one does: each attempt is judged by what all of them have counted. */
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { createClock as createNodeClock } from '../../src/clock.ts'
import { OAuthError } from '../../src/error.ts'
import { openSqliteStorage } from '../../src/storage/sqlite/sqlite.ts'
import type { Storage } from '../../src/storage/storage.ts'
import type { ThrottleSettings } from '../../src/throttle/settings.ts'
import { throttleSettings } from '../../src/throttle/settings.ts'
import { createThrottle, type Throttle } from '../../src/throttle/throttle.ts'
import { databases } from '../_databases.ts'
import { startFaultyProxy } from '../_faulty_proxy.ts'
import { migratedDatabase, openOn } from '../_postgres.ts'
import {
  type Clock,
  createClock,
  createTestRandom,
  createTestSecrets,
  refusal,
  refused,
  password as rightPassword,
  startServer,
  startServerWithAlice,
} from '../_server.ts'

const home = '203.0.113.7'
const settings = throttleSettings({ enabled: true, account: 10, network: 100, maxDelay: 120 })

/** What an attempt came to: the wait, where there was one. */
type Decision = 'right' | 'wrong' | `wait ${number}` | 'unavailable'

/** Throttles of so many nodes, each with connections of its own. */
async function startNodes(
  t: ExecutionContext,
  count: number,
  given: Partial<ThrottleSettings> & { clock?: Clock; database?: string } = {},
) {
  const { clock = createClock(), database = await migratedDatabase(t), ...changed } = given
  const nodes = []
  for (let i = 0; i < count; i++) {
    const storage = await openOn(t, database)
    nodes.push({ storage, ...(await openThrottle(t, storage, { ...settings, ...changed }, clock)) })
  }
  return { nodes, clock, database }
}

async function openThrottle(t: ExecutionContext, storage: Storage, all: ThrottleSettings, clock: Clock) {
  const deps = { storage, secrets: createTestSecrets(), now: clock.now, randomBytes: createTestRandom(t.title) }
  return attemptsOf(await createThrottle(all, deps))
}

function attemptsOf(throttle: Throttle) {
  let guesses = 0
  const check =
    (isRight: boolean, code: 'invalid_grant' | 'invalid_client', milliseconds = 0) =>
    async () => {
      if (milliseconds > 0) await new Promise(resolve => setTimeout(resolve, milliseconds))
      if (!isRight) throw new OAuthError(code, 'wrong')
    }
  return {
    throttle,
    /** @param patience 0 for an answer at once */
    async signIn(ip: string, username: string, isRight: boolean, patience = 0, milliseconds = 0): Promise<Decision> {
      const typed = { username, password: isRight ? 'right' : `wrong ${guesses++}`, patience }
      return decisionOf(throttle.signIn(typed, { ip }, check(isRight, 'invalid_grant', milliseconds)))
    },
    client: (ip: string, clientId: string, isRight: boolean, secret = `secret ${guesses++}`) =>
      decisionOf(throttle.client({ clientId, secret }, { ip }, check(isRight, 'invalid_client'))),
    currentPassword: (sessionId: string, isRight: boolean) =>
      decisionOf(throttle.currentPassword(sessionId, check(isRight, 'invalid_grant'))),
    factor: (ip: string, userId: string, isRight: boolean, milliseconds = 0) =>
      decisionOf(throttle.factor({ userId, kind: 'otp' }, { ip }, check(isRight, 'invalid_grant', milliseconds))),
  }
}

async function decisionOf(attempt: Promise<void>): Promise<Decision> {
  try {
    await attempt
    return 'right'
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    if (error.code === 'too_many_attempts') return `wait ${error.retryAfter!}`
    return error.code === 'temporarily_unavailable' ? 'unavailable' : 'wrong'
  }
}

const inTurn = <Node>(nodes: readonly Node[], i: number) => nodes[i % nodes.length]!

test('a hundred guesses at once over three nodes are no more than one after the other at one (CWE-362)', async t => {
  const { nodes, clock } = await startNodes(t, 3)
  const random = createTestRandom(t.title)
  const decisions = await Promise.all(
    Array.from({ length: 100 }, (_, i) => inTurn(nodes, i).signIn(home, 'alice', false, 0, random(1)[0]! / 8)),
  )
  t.is(decisions.filter(decision => decision === 'wrong').length, 11)
  t.is(decisions.filter(decision => decision.startsWith('wait')).length, 89)
  for (const node of nodes) t.regex(await node.signIn(home, 'alice', true), /^wait/)
  t.is(await nodes[1]!.signIn(home, 'bob', true), 'right')
  clock.advance(120)
  t.is(await nodes[2]!.signIn(home, 'alice', true), 'right')
})

test('the right password among guesses at once is let in only if it would be one after the other (CWE-362)', async t => {
  const { nodes, clock } = await startNodes(t, 2)
  const guesses = Array.from({ length: 60 }, (_, i) => inTurn(nodes, i).signIn(home, 'alice', false))
  const last = nodes[0]!.signIn(home, 'alice', true, 0, 400)
  t.is((await Promise.all(guesses)).filter(decision => decision === 'wrong').length, 11)
  t.regex(await last, /^wait/)
  clock.advance(3600)
  const few = Array.from({ length: 4 }, (_, i) => inTurn(nodes, i).signIn(home, 'alice', false))
  t.is(await nodes[0]!.signIn(home, 'alice', true, 0, 400), 'right')
  t.deepEqual(new Set(await Promise.all(few)), new Set(['wrong']))
})

test('fifty sign-ins of one account at once with the right password are all let in on two nodes, and leave no row', async t => {
  const { nodes } = await startNodes(t, 2)
  const decisions = await Promise.all(
    Array.from({ length: 50 }, (_, i) => inTurn(nodes, i).signIn(home, 'alice', true)),
  )
  t.deepEqual(new Set(decisions), new Set(['right']))
  t.deepEqual(await nodes[0]!.storage.listCounters(0, 10), [])
})

test('guesses from many networks share one allowance on all nodes, and so do those of one network', async t => {
  const { nodes } = await startNodes(t, 3)
  const elsewhere = []
  for (let i = 0; i < 40; i++) elsewhere.push(await inTurn(nodes, i).signIn(`198.51.${i}.1`, 'alice', false))
  t.is(elsewhere.filter(decision => decision === 'wrong').length, 31)
  const sprayed = await Promise.all(
    Array.from({ length: 150 }, (_, i) => inTurn(nodes, i).signIn('192.0.2.1', `user ${i}`, false)),
  )
  t.is(sprayed.filter(decision => decision === 'wrong').length, 101)
  t.regex(await nodes[0]!.signIn('192.0.2.1', 'bob', true), /^wait/)
})

test('a turn that one node gave is taken at another: a round-robin proxy shuts no owner out', async t => {
  const { nodes, clock } = await startNodes(t, 3)
  for (let i = 0; i < 200; i++) {
    const decision = await inTurn(nodes, i).signIn(`198.${i}.0.1`, 'alice', false)
    if (decision === 'wait 120') break
    if (decision.startsWith('wait')) clock.advance(Number(decision.slice(5)))
  }
  t.is(await nodes[0]!.signIn(home, 'alice', true), 'wait 120')
  for (let second = 0; second < 120; second += 20) {
    clock.advance(20)
    for (let i = 0; i < 3; i++) await inTurn(nodes, i).signIn(`100.64.${second}.${i}`, 'alice', false)
  }
  t.is(await nodes[1]!.signIn(home, 'alice', true), 'right')
})

test('client secrets are guessed no faster on three nodes than on one, also at once (RFC 6749 §2.3.1)', async t => {
  const { nodes, clock } = await startNodes(t, 3)
  const decisions = await Promise.all(Array.from({ length: 60 }, (_, i) => inTurn(nodes, i).client(home, 'web', false)))
  t.is(decisions.filter(decision => decision === 'wrong').length, 11)
  for (const node of nodes) t.regex(await node.client(home, 'web', true), /^wait/)
  t.is(await nodes[0]!.client('203.0.113.8', 'web', true), 'right')
  clock.advance(120)
  t.is(await nodes[0]!.client(home, 'web', true), 'right')
})

test('an instance with an old client secret behind a round-robin proxy counts once a node, and shuts out none beside it', async t => {
  const { nodes } = await startNodes(t, 3)
  for (let i = 0; i < 60; i++) t.is(await inTurn(nodes, i).client(home, 'web', false, 'the old secret'), 'wrong')
  t.is(await nodes[0]!.client(home, 'web', true), 'right')
})

test('the current password is guessed no faster with a stolen session on two nodes; a success at one clears it at the other', async t => {
  const { nodes } = await startNodes(t, 2)
  for (let i = 0; i < 11; i++) t.is(await inTurn(nodes, i).currentPassword('stolen', false), 'wrong')
  for (const node of nodes) t.regex(await node.currentPassword('stolen', true), /^wait/)
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 9; i++) t.is(await inTurn(nodes, i).currentPassword('own', false), 'wrong')
    t.is(await inTurn(nodes, round).currentPassword('own', true), 'right')
  }
})

test('codes of second factors are guessed no faster on three nodes than on one, also at once, and one of them tells of it (CWE-362)', async t => {
  const { nodes, clock } = await startNodes(t, 3)
  const random = createTestRandom(t.title)
  const guesses = Array.from({ length: 60 }, (_, i) =>
    inTurn(nodes, i).factor(`198.51.${i}.1`, 'usr_alice', false, random(1)[0]! / 8),
  )
  const last = nodes[0]!.factor('192.0.2.1', 'usr_alice', true, 400)
  t.is((await Promise.all(guesses)).filter(decision => decision === 'wrong').length, 10)
  t.is(await last, 'wait 360')
  for (const node of nodes) t.is(await node.factor(home, 'usr_alice', true), 'wait 360')
  t.is((await nodes[0]!.storage.listAuditEvents(10, { type: 'factor.guessed' })).length, 1)
  clock.advance(360)
  t.is(await nodes[1]!.factor(home, 'usr_alice', true), 'right')
  await nodes[1]!.throttle.flush()
  for (let i = 0; i < 10; i++) await inTurn(nodes, i).factor('198.51.100.1', 'usr_alice', false)
  t.is(await nodes[2]!.factor(home, 'usr_alice', true), 'right')
})

test('what is heard although everybody waits has one allowance on all nodes', async t => {
  const { nodes } = await startNodes(t, 2)
  t.is(await nodes[0]!.signIn(home, 'alice', true), 'right')
  await nodes[0]!.throttle.flush()
  for (let i = 0; i < 32; i++) await inTurn(nodes, i).signIn(`198.51.${i}.1`, 'alice', false)
  const unseen = (i: number, isRight: boolean) => inTurn(nodes, i).signIn(home, 'alice', isRight, 20_000)
  for (let i = 0; i < 10; i++) t.regex(await unseen(i, false), /^wait/)
  t.is(await unseen(0, true), 'right')
  for (let i = 0; i < 11; i++) t.regex(await unseen(i, false), /^wait/)
  for (let i = 0; i < 2; i++) t.regex(await unseen(i, true), /^wait/)
})

test('a flood of refused attempts writes nothing on any node', async t => {
  const { nodes } = await startNodes(t, 2)
  for (let i = 0; i < 11; i++) await inTurn(nodes, i).signIn(home, 'alice', false)
  const before = await nodes[0]!.storage.listCounters(0, 100)
  for (let i = 0; i < 100; i++) t.regex(await inTurn(nodes, i).signIn(home, 'alice', i % 2 === 0), /^wait/)
  t.deepEqual(await nodes[0]!.storage.listCounters(0, 100), before)
})

const anyAttempt = fc.record({
  node: fc.nat(2),
  who: fc.constantFrom('sign-in', 'sign-in', 'sign-in', 'client', 'current', 'factor', 'factor' as const),
  ip: fc.constantFrom(home, '203.0.113.8', '198.51.100.1', '2001:db8:1:2::1', '2001:db8:1:3::1'),
  name: fc.constantFrom('alice', 'alice', 'ALICE', 'bob', 'nobody'),
  isRight: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  times: fc.integer({ min: 1, max: 6 }),
  pause: fc.constantFrom(0, 0, 0, 1, 4, 30, 120, 3600),
})

for (const patience of [0, 20_000]) {
  const which = patience === 0 ? 'turns included' : 'with what is heard beside the line'
  test(`property: whatever the order and the nodes of attempts, they are decided as at one process alone, ${which}`, async t => {
    const database = await migratedDatabase(t)
    const small = { ...settings, account: 3, elsewhere: 5, network: 8, site: 12, password: 1_000_000 }
    const clock = createClock()
    const { nodes } = await startNodes(t, 3, { ...small, clock, database })
    const decided = new Set<string>()
    await fc.assert(
      fc.asyncProperty(fc.array(anyAttempt, { minLength: 5, maxLength: 30 }), async attempts => {
        // Everything is forgotten, and what is written of turns and networks too.
        clock.advance(100 * 86_400)
        const storage = openSqliteStorage(':memory:').storage
        const alone = await openThrottle(t, storage, small, clock)
        for (const { node, who, ip, name, isRight, times, pause } of attempts) {
          const attempt = (at: typeof alone) => {
            if (who === 'client') return at.client(ip, name, isRight)
            if (who === 'current') return at.currentPassword(name, isRight)
            if (who === 'factor') return at.factor(ip, 'usr_alice', isRight)
            return at.signIn(ip, name, isRight, patience)
          }
          for (let i = 0; i < times; i++) {
            const decision = await attempt(nodes[node]!)
            t.is(decision, await attempt(alone))
            decided.add(`${who} ${decision.split(' ')[0]}`)
            // Within the second it is known to this node only.
            await nodes[node]!.throttle.flush()
          }
          clock.advance(pause)
        }
        await storage.close()
      }),
      { numRuns: 40 },
    )
    for (const who of ['sign-in', 'factor'])
      for (const what of ['right', 'wrong', 'wait']) t.true(decided.has(`${who} ${what}`), `${who} ${what}`)
  })
}

test('property: attempts at once on three nodes all end, and every one that was judged is counted once', async t => {
  const database = await migratedDatabase(t)
  const large = { account: 1000, elsewhere: 1000, network: 1000, site: 1000, password: 100_000 }
  const clock = createClock()
  const { nodes } = await startNodes(t, 3, { ...large, clock, database })
  const anyGuess = fc.record({
    node: fc.nat(2),
    ip: fc.constantFrom(home, '203.0.113.8', '2001:db8:1:2::1', '2001:db8:1:3::1'),
    name: fc.constantFrom('alice', 'bob', 'carol'),
    isRight: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(anyGuess, { minLength: 30, maxLength: 60 }), async guesses => {
      clock.advance(100 * 86_400)
      const decisions = await Promise.all(
        guesses.map(({ node, ip, name, isRight }) => nodes[node]!.signIn(ip, name, isRight)),
      )
      t.deepEqual(
        decisions,
        guesses.map(({ isRight }) => (isRight ? 'right' : 'wrong')),
      )
      const wrong = guesses.filter(({ isRight }) => !isRight).length
      const counters = await nodes[0]!.storage.listCounters(clock.now(), 1000)
      const seconds = counters.filter(({ id }) => !id.startsWith('~')).map(({ emptyAt }) => emptyAt - clock.now())
      const sites = guesses.filter(({ isRight, ip }) => !isRight && ip.includes(':')).length
      // An account here and an account anywhere 600 s each, a network and a site 60.
      t.is(
        seconds.reduce((sum, one) => sum + one, 0),
        wrong * (600 + 600 + 60) + sites * 60,
      )
    }),
    { numRuns: 15 },
  )
})

test('nodes whose clocks are an hour apart throttle alike: they go by the clock of the database', async t => {
  const database = await databases.postgres(t)
  const nodes = await Promise.all(
    [0, 3_600_000, -3_600_000].map(async (ahead, i) => {
      const storage = await database.open()
      const clock = await createNodeClock(storage.databaseTime, { warn: () => {} }, () => Date.now() + ahead)
      const deps = { storage, secrets: createTestSecrets(), randomBytes: createTestRandom(`${t.title} ${i}`) }
      return attemptsOf(await createThrottle(settings, { ...deps, now: clock.now }))
    }),
  )
  let judged = 0
  for (let i = 0; i < 60; i++) if ((await inTurn(nodes, i).signIn(home, 'alice', false)) === 'wrong') judged++
  // One more for each wait that this outlasts: one second, two, four.
  t.true(judged >= 11 && judged <= 16, `${judged}`)
  for (const node of nodes) await node.throttle.flush()
  for (const node of nodes) t.regex(await node.signIn(home, 'alice', true), /^wait \d{1,3}$/)
})

test('a database that cannot be asked lets nothing through uncounted: 503 within a bounded time, and no hash', async t => {
  const database = await migratedDatabase(t)
  const proxy = await startFaultyProxy(t, { port: Number(new URL(database).port) })
  const url = Object.assign(new URL(database), { port: String(proxy.port) }).href
  const { nodes } = await startNodes(t, 1, { database: url })
  t.is(await nodes[0]!.signIn(home, 'alice', true), 'right')
  proxy.refuse()
  const began = performance.now()
  for (const isRight of [true, false]) {
    t.is(await nodes[0]!.signIn(home, 'alice', isRight), 'unavailable')
    t.is(await nodes[0]!.client(home, 'web', isRight), 'unavailable')
  }
  t.true(performance.now() - began < 30_000)
})

test('over HTTP two servers on one database refuse as one: the eleventh wrong password, then 429 at both (RFC 6585 §4)', async t => {
  const database = await databases.postgres(t)
  const clock = createClock()
  const one = await startServerWithAlice(t, { storage: await database.open(), clock })
  const other = await startServer(t, { storage: await database.open(), clock })
  const ask = (i: number, password: string) =>
    inTurn([one, other], i).token({ grant_type: 'password', client_id: 'app', username: 'alice', password })
  for (let i = 0; i < 11; i++) t.is((await ask(i, `wrong ${i}`)).status, 400)
  for (let i = 0; i < 2; i++) t.deepEqual(refusal(await ask(i, 'wrong')), refused(429, 'temporarily_unavailable'))
  clock.advance(120)
  t.is((await ask(1, rightPassword)).status, 200)
})

test('attempts that wait for one another leave most connections to everybody else', async t => {
  const database = await databases.postgres(t)
  const storage = await database.open()
  const node = await openThrottle(t, storage, settings, createClock())
  t.is(await node.signIn(home, 'alice', false), 'wrong')
  await database.query('BEGIN')
  await database.query('SELECT pg_advisory_xact_lock(hashtextextended(id, 0)) FROM attempt_counters ORDER BY id')
  const attempts = Array.from({ length: 30 }, () => node.signIn(home, 'alice', false))
  const waiting = async () => {
    const [row] = await database.query(
      `SELECT count(*)::integer AS n FROM pg_locks JOIN pg_database ON pg_database.oid = database
       WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted`,
    )
    return row!.n as number
  }
  while ((await waiting()) < 4) await new Promise(resolve => setTimeout(resolve, 20))
  await Promise.all(Array.from({ length: 20 }, () => storage.findUser('usr_nobody')))
  t.true((await waiting()) <= 4)
  await database.query('COMMIT')
  const decisions = await Promise.all(attempts)
  t.is(decisions.filter(decision => decision === 'wrong').length, 10)
})
