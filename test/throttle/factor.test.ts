/** Codes of second factors: guessed by nobody who has the password, and their owner is not shut out by who has it. */
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { OAuthError } from '../../src/error.ts'
import { throttleSettings } from '../../src/throttle/settings.ts'
import { createThrottle, type Throttle } from '../../src/throttle/throttle.ts'
import { refuseSignIn } from '../../src/users/user.ts'
import { createClock, createTestRandom, createTestSecrets } from '../_server.ts'
import { openTestStorage } from '../_storages.ts'

const home = '203.0.113.7'
const stranger = '198.51.100.1'
const settings = throttleSettings({ enabled: true, account: 10, network: 100, maxDelay: 120 })

type Decision = 'right' | 'wrong' | `wait ${number}`

async function start(t: ExecutionContext, given: { enabled?: boolean } = {}) {
  const storage = await openTestStorage(t)
  const clock = createClock()
  const deps = { storage, secrets: createTestSecrets(), now: clock.now, randomBytes: createTestRandom(t.title) }
  const open = async () => attemptsOf(await createThrottle({ ...settings, ...given }, deps))
  return {
    storage,
    clock,
    ...(await open()),
    restart: open,
    told: () => storage.listAuditEvents(100, { type: 'factor.guessed' }),
  }
}

function attemptsOf(throttle: Throttle) {
  async function give(ip: string, isRight: boolean, userId = 'usr_alice', kind = 'otp'): Promise<Decision> {
    try {
      await throttle.factor({ userId, kind }, { ip, requestId: 'req' }, async () => {
        if (!isRight) refuseSignIn('wrong code')
      })
      return 'right'
    } catch (error) {
      if (!(error instanceof OAuthError)) throw error
      return error.code === 'too_many_attempts' ? `wait ${error.retryAfter!}` : 'wrong'
    }
  }
  return {
    throttle,
    give,
    async fail(times: number, ip = stranger, userId = 'usr_alice', kind = 'otp') {
      const decisions = []
      for (let i = 0; i < times; i++) decisions.push(await give(ip, false, userId, kind))
      return decisions
    },
  }
}

test('ten wrong codes of one kind of one user are judged, over all networks, and then one in six minutes', async t => {
  const { give, clock } = await start(t)
  for (let i = 0; i < 10; i++) t.is(await give(`198.51.${i}.1`, false), 'wrong')
  t.is(await give('198.51.99.1', false), 'wait 360')
  t.is(await give('2001:db8::1', true), 'wait 360')
  clock.advance(359)
  t.is(await give(stranger, true), 'wait 1')
  for (let i = 0; i < 5; i++) {
    clock.advance(i === 0 ? 1 : 360)
    t.is(await give(stranger, false), 'wrong')
    t.is(await give('198.51.7.1', false), 'wait 360')
  }
  clock.advance(360)
  t.is(await give(stranger, true), 'right')
})

test('another kind of factor, and another user, have an allowance of their own', async t => {
  const { give, fail } = await start(t)
  await fail(10)
  t.is(await give(stranger, true), 'wait 360')
  t.is(await give(stranger, true, 'usr_alice', 'recovery_code'), 'right')
  t.is(await give(stranger, true, 'usr_bob'), 'right')
})

test('codes at once are no more guesses than one after the other, a right one among them neither (CWE-362)', async t => {
  const { give } = await start(t)
  const guesses = Array.from({ length: 40 }, (_, i) => give(`198.51.${i}.1`, i === 39))
  const decisions = await Promise.all(guesses)
  t.is(decisions.filter(decision => decision === 'wrong').length, 10)
  t.is(decisions[39], 'wait 360')
})

test('the successes of the owner give nothing back to who knows the password and guesses', async t => {
  const { give, clock } = await start(t)
  t.is(await give(home, true), 'right')
  let judged = 0
  for (let hour = 0; hour < 24; hour++) {
    for (let minute = 0; minute < 60; minute += 3) {
      if ((await give(stranger, false)) === 'wrong') judged++
      t.is(await give(home, true), 'right')
      clock.advance(180)
    }
  }
  t.true(judged >= 240 && judged <= 251, `${judged}`)
})

test('where the user gave a factor before, strangers who know the password shut nobody out; there too ten wrong codes are enough', async t => {
  const { give, fail, clock } = await start(t)
  t.is(await give(home, true), 'right')
  await fail(10)
  t.is(await give(home, true), 'right')
  t.deepEqual(await fail(11, home), [...Array(10).fill('wrong'), 'wait 360'])
  t.is(await give(home, true), 'wait 360')
  clock.advance(360)
  t.is(await give(home, true), 'right')
})

test('a right password alone makes no network known to the factors', async t => {
  const { throttle, give, fail } = await start(t)
  const password = { username: 'usr_alice', password: 'right', patience: 0 }
  await throttle.signIn(password, { ip: stranger }, async () => {})
  await fail(10, '192.0.2.1')
  t.is(await give(stranger, true), 'wait 360')
})

test('wrong codes where the user gave a factor before count for all other networks too', async t => {
  const { give, fail } = await start(t)
  t.is(await give(home, true), 'right')
  await fail(5, home)
  t.deepEqual(await fail(6), [...Array(5).fill('wrong'), 'wait 360'])
  t.is(await give(home, true), 'right')
})

test('a restart forgets neither wrong codes nor where a factor was given, nor that somebody was told', async t => {
  const { give, fail, throttle, told, clock, restart } = await start(t)
  t.is(await give(home, true), 'right')
  await fail(10)
  await throttle.flush()
  const after = await restart()
  t.is(await after.give(stranger, true), 'wait 360')
  t.deepEqual(await after.fail(1, home), ['wrong'])
  t.is((await told()).length, 1)
  clock.advance(360)
  t.is(await after.give(stranger, true), 'right')
})

test('what is wrong with the request or the server is no wrong code', async t => {
  const { throttle, give, told } = await start(t)
  const broken = async () => {
    throw new OAuthError('invalid_request', 'no such parameter')
  }
  for (let i = 0; i < 20; i++)
    await t.throwsAsync(throttle.factor({ userId: 'usr_alice', kind: 'otp' }, { ip: stranger }, broken), {
      message: 'no such parameter',
    })
  t.is(await give(stranger, true), 'right')
  t.deepEqual(await told(), [])
})

test('LATCHKEY_THROTTLE=off: wrong codes slow nothing down', async t => {
  const { fail, give } = await start(t, { enabled: false })
  t.deepEqual(new Set(await fail(50)), new Set(['wrong']))
  t.is(await give(stranger, true), 'right')
})

test('the fifth wrong code in a row is in the audit trail, of whichever kinds and networks they were, once an hour', async t => {
  const { fail, told, clock } = await start(t)
  await fail(3)
  await fail(1, '198.51.7.1', 'usr_alice', 'recovery_code')
  t.deepEqual(await told(), [])
  await fail(1)
  const event = {
    at: clock.now(),
    type: 'factor.guessed' as const,
    userId: 'usr_alice',
    ip: stranger,
    requestId: 'req',
    detail: '5 wrong codes or more in a row, the last of kind otp',
  }
  const shown = async () => (await told()).map(one => ({ ...event, ...one }))
  t.deepEqual(await shown(), [event])
  await fail(5)
  clock.advance(3599)
  await fail(1)
  t.is((await told()).length, 1)
  clock.advance(1)
  await fail(1)
  t.is((await told()).length, 2)
  await fail(5, stranger, 'usr_bob')
  t.is((await told())[0]!.userId, 'usr_bob')
})

test('who mistypes four times and then gives the right code is nobody to be told of; who guesses slowly is', async t => {
  const { give, fail, told, clock } = await start(t)
  for (let day = 0; day < 5; day++) {
    await fail(4, home)
    t.is(await give(home, true), 'right')
    clock.advance(3600)
  }
  t.deepEqual(await told(), [])
  for (let i = 0; i < 5; i++) {
    await fail(1)
    clock.advance(3600)
  }
  t.is((await told()).length, 1)
})

const anyStep = fc.record({
  ip: fc.constantFrom(home, home, stranger, '198.51.7.1', '2001:db8:1:2::1'),
  kind: fc.constantFrom('otp', 'otp', 'recovery_code'),
  isRight: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  times: fc.integer({ min: 1, max: 12 }),
  pause: fc.constantFrom(0, 0, 1, 90, 359, 360, 1000, 7200),
})

/** What is promised of one counter: failures leak out one in six minutes, and the tenth makes wait for as long. */
function createBucket() {
  let [level, readyAt, at] = [0, 0, 0]
  return {
    wait: (now: number) => Math.max(0, readyAt - now),
    fail(now: number) {
      level = Math.max(0, level - (now - at) / 360) + 1
      at = now
      if (Math.ceil(level) >= 10) readyAt = now + 360
    },
  }
}

test('property: whatever is tried from wherever, it is judged by what was promised, and nobody waits longer than six minutes', async t => {
  const decided = new Set<string>()
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 1, maxLength: 25 }), async steps => {
      const { give, clock, storage } = await start(t)
      const buckets = new Map<string, ReturnType<typeof createBucket>>()
      const bucketOf = (...name: string[]) => {
        if (!buckets.has(name.join())) buckets.set(name.join(), createBucket())
        return buckets.get(name.join())!
      }
      const known = new Set<string>()
      for (const { ip, kind, isRight, times, pause } of steps) {
        for (let i = 0; i < times; i++) {
          const now = clock.now()
          const all = [bucketOf(kind), ...(known.has(ip) ? [bucketOf(kind, ip)] : [])]
          const wait = all.at(-1)!.wait(now)
          const expected = wait > 0 ? `wait ${wait}` : isRight ? 'right' : 'wrong'
          t.is(await give(ip, isRight, 'usr_alice', kind), expected as Decision)
          t.true(wait <= 360)
          if (expected === 'wrong') for (const bucket of all) bucket.fail(now)
          if (expected === 'right') known.add(ip)
          decided.add(`${known.has(ip) ? 'known' : 'new'} ${expected.split(' ')[0]}`)
        }
        clock.advance(pause)
      }
      await storage.close()
    }),
    { numRuns: 40 },
  )
  t.deepEqual([...decided].toSorted(), ['known right', 'known wait', 'known wrong', 'new wait', 'new wrong'])
})
