/** One counter of failed attempts: a pure function of its state and the clock. */
import test from 'ava'
import fc from 'fast-check'
import {
  type Addition,
  addCounted,
  type Counter,
  countFailure,
  emptyCounter,
  failures,
  type Limit,
  maxRemembered,
  maxWaitOf,
  secondsAdded,
  waitOf,
} from '../../src/throttle/counter.ts'
import { inExcess, maxKnownNetworks } from '../../src/throttle/known_networks.ts'
import { networksOf } from '../../src/throttle/network.ts'
import { startTime as start } from '../_server.ts'

const limit = { allowance: 3, forget: 600 }
const longest = 120

const anyLimit = fc.record({ allowance: fc.integer({ min: 1, max: 200 }), forget: fc.integer({ min: 1, max: 86_400 }) })
const anyCounter = fc.record({ emptyAt: fc.integer({ min: 0, max: 4e9 }), readyAt: fc.integer({ min: 0, max: 4e9 }) })
const anyTime = fc.integer({ min: 0, max: 4e9 })

/** As many attempts as are let through in a time, by somebody who waits exactly as long as told; all of them fail. */
function guess(seconds: number): { waits: number[]; counter: Counter } {
  const waits: number[] = []
  let counter = emptyCounter
  for (let now = start; now < start + seconds; ) {
    const wait = waitOf(counter, now, longest)
    if (wait === 0) counter = countFailure(counter, limit, now, longest)
    else waits.push(wait)
    now += wait
  }
  return { waits, counter }
}

test('delays grow: none up to the allowance, then 1 s, doubled by each failure up to the longest (OWASP Authentication Cheat Sheet)', t => {
  t.deepEqual(guess(300).waits, [1, 2, 4, 8, 16, 32, 64, 120, 120])
})

test('whoever waits as told gets one guess in each longest delay, far fewer than 1,000 a day (NIST SP 800-63B §3.2.2)', t => {
  const { waits } = guess(86_400)
  t.true(waits.length <= limit.allowance + 8 + 86_400 / longest, `${waits.length}`)
})

test('no wait is longer than the longest delay, whatever the state says and wherever the clock is', t => {
  fc.assert(
    fc.property(anyCounter, anyLimit, anyTime, fc.integer({ min: 1, max: 120 }), (counter, any, now, most) => {
      const wait = waitOf(counter, now, most)
      t.true(wait >= 0 && wait <= most)
      const next = countFailure(counter, any, now, most)
      t.true(next.readyAt <= now + most)
      // After the longest delay a single attempt is let through.
      t.is(waitOf(next, now + most, most), 0)
    }),
  )
})

test('a counter is bounded: it is empty after a time that its limit gives, however many failures there were', t => {
  fc.assert(
    fc.property(anyCounter, anyLimit, anyTime, (counter, any, now) => {
      const next = countFailure(counter, any, now, longest)
      t.true(next.emptyAt > now && next.emptyAt <= now + (any.allowance + 8) * any.forget)
      t.is(failures(next, any, next.emptyAt), 0)
    }),
  )
})

test('up to the allowance nobody waits; a failure more never shortens a wait', t => {
  fc.assert(
    fc.property(anyLimit, any => {
      let counter = emptyCounter
      let before = 0
      for (let i = 1; i <= any.allowance + 12; i++) {
        counter = countFailure(counter, any, start, longest)
        const wait = waitOf(counter, start, longest)
        t.is(wait === 0, i <= any.allowance)
        t.true(wait >= before)
        before = wait
      }
    }),
  )
})

/** Counters of one account: a name each. Every failure counts as many times as there are names. */
function guessAll(limit: Limit, names: number, strategy: readonly (readonly [name: number, pause: number])[]) {
  const weighted = { ...limit, weight: names }
  const counters = Array<Counter>(names).fill(emptyCounter)
  const guesses: number[] = []
  let now = start
  for (const [name, pause] of strategy) {
    now += pause
    const at = name % names
    if (waitOf(counters[at]!, now, maxWaitOf(weighted, longest)) > 0) continue
    counters[at] = countFailure(counters[at]!, weighted, now, longest)
    guesses.push(now)
  }
  return guesses
}

test('who guesses at both names of an account, however mixed, has at most one guess more than at one name in the same time', t => {
  const step = fc.tuple(fc.nat(1), fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 300 }), fc.constant(3600)))
  const allowances = fc.record({ allowance: fc.integer({ min: 1, max: 20 }), forget: fc.constant(600) })
  fc.assert(
    fc.property(allowances, fc.array(step, { maxLength: 200 }), (limit, strategy) => {
      const both = guessAll(limit, 2, strategy)
      const elapsed = both.map(at => at - start)
      // The most that somebody gets at one name who asks every second.
      const one = fastest(limit, elapsed.at(-1) ?? 0)
      for (const [i, at] of elapsed.entries())
        t.true(i + 1 <= one.filter(other => other <= at).length + 1, `${i} ${at}`)
    }),
    { numRuns: 100 },
  )
})

/** When guesses are let through of somebody who waits exactly as long as told, in seconds from the first. */
function fastest(limit: Limit, seconds: number): number[] {
  const guesses: number[] = []
  let counter = emptyCounter
  for (let now = start; now <= start + seconds; ) {
    const wait = waitOf(counter, now, longest)
    if (wait === 0) {
      counter = countFailure(counter, limit, now, longest)
      guesses.push(now - start)
    }
    now += wait
  }
  return guesses
}

test('one name of two has half the guesses of the only one, and waits twice the longest delay', t => {
  const limit = { allowance: 10, forget: 600, weight: 2 }
  let counter = emptyCounter
  const waits: number[] = []
  for (let now = start, i = 0; i < 12; i++) {
    counter = countFailure(counter, limit, now, longest)
    const wait = waitOf(counter, now, maxWaitOf(limit, longest))
    waits.push(wait)
    now += wait
  }
  t.deepEqual(waits, [0, 0, 0, 0, 0, 3, 12, 48, 184, 240, 240, 240])
})

test('a clock that is set back by hours locks nobody out', t => {
  const { counter } = guess(3000)
  t.true(waitOf(counter, start + 2990, longest) > 0)
  t.is(waitOf(counter, start - 7200, longest), 0)
})

for (const [ip, network, site, neighbourhood] of [
  ['203.0.113.7', '203.0.113.7', undefined, '203.0.113'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2', '2001:db8:1', '2001:db8:1'],
  ['2001:db8:1:2::', '2001:db8:1:2', '2001:db8:1', '2001:db8:1'],
  ['2001:0DB8:0001:0002::ffff', '2001:db8:1:2', '2001:db8:1', '2001:db8:1'],
  ['2001:db8::1', '2001:db8:0:0', '2001:db8:0', '2001:db8:0'],
  ['::1', '0:0:0:0', '0:0:0', '0:0:0'],
  ['::ffff:203.0.113.7', '203.0.113.7', undefined, '203.0.113'],
  ['::ffff:cb00:7107', '203.0.113.7', undefined, '203.0.113'],
  ['fe80::1%eth0', 'fe80:0:0:0', 'fe80:0:0', 'fe80:0:0'],
  ['fe80::1%br_a-1.2', 'fe80:0:0:0', 'fe80:0:0', 'fe80:0:0'],
  ['', '', undefined, ''],
] as const) {
  test(`the network of ${JSON.stringify(ip)} is ${network} (RFC 4291 §2.5.4: 64 bits are one subnet)`, t => {
    t.deepEqual(networksOf(ip), { network, site, neighbourhood })
  })
}

test('an IPv6 address has one network however it is written (RFC 5952)', t => {
  const zone = fc.constantFrom('', '%eth0', '%br_a-1.2')
  const groups = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })
  fc.assert(
    fc.property(groups, zone, ([...parts], zone) => {
      parts[0] ||= 0x2001
      const full = parts.map(part => part.toString(16).padStart(4, '0'))
      // The shortest form, as it is written in a URL.
      const shortest = new URL(`http://[${full.join(':')}]`).hostname.slice(1, -1)
      const [high, low] = [parts[6]!, parts[7]!]
      const dotted = [...full.slice(0, 6), [high >> 8, high & 255, low >> 8, low & 255].join('.')].join(':')
      const network = parts.slice(0, 4).map(part => part.toString(16))
      const site = network.slice(0, 3).join(':')
      for (const ip of [full.join(':'), full.join(':').toUpperCase(), shortest, dotted])
        t.deepEqual(networksOf(ip + zone), { network: network.join(':'), site, neighbourhood: site })
    }),
  )
})

test('no text is too odd for an address', t => {
  for (const text of [fc.string(), fc.ipV6(), fc.stringMatching(/^[0-9a-f:.%]{0,40}$/)])
    fc.assert(fc.property(text, ip => t.is(typeof networksOf(ip).network, 'string')))
  for (const odd of [':', ':::', '::::', '1:2', '1::2::3', 'g::1', '1:2:3:4:5:6:7:8:9', '::1.2.3', '%'])
    t.is(networksOf(odd).network, odd)
})

test('of the networks of one user or client those go that expire first', t => {
  const networks = Array.from({ length: maxKnownNetworks + 2 }, (_, i) => i)
  t.deepEqual(inExcess(networks), [maxKnownNetworks, maxKnownNetworks + 1])
  t.deepEqual(inExcess(networks.slice(2)), [])
})

/** What one process makes of a stored counter by failures at some seconds after the start. */
function countedBy(stored: Counter, limit: Limit, times: readonly number[], writtenAt: number): Addition {
  let counter = stored
  let seconds = 0
  for (const time of times.toSorted((a, b) => a - b)) {
    const failed = countFailure(counter, limit, start + time, longest)
    seconds += secondsAdded(counter, failed, start + time)
    counter = failed
  }
  return { ...counter, seconds, max: maxRemembered(limit), writtenAt }
}

/** A counter of that limit, by a clock that was right. */
const storedCounter = (limit: Limit, failed: number, ago: number): Counter =>
  failed === 0 ? emptyCounter : { emptyAt: start - ago + failed * limit.forget, readyAt: start - ago }

const someFailures = (limit: Limit) =>
  fc.record({
    stored: fc
      .record({
        failed: fc.integer({ min: 0, max: limit.allowance + 8 }),
        ago: fc.integer({ min: 0, max: 2 * limit.forget }),
      })
      .map(({ failed, ago }) => storedCounter(limit, failed, ago)),
    one: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 30 }),
    other: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 30 }),
  })

const limitAndFailures = fc
  .record({ allowance: fc.integer({ min: 1, max: 30 }), forget: fc.integer({ min: 60, max: 1000 }) })
  .chain(limit => someFailures(limit).map(failures => ({ limit, ...failures })))

test('property: what two processes count is stored alike whichever writes first, but for the seconds between their failures', t => {
  fc.assert(
    fc.property(limitAndFailures, fc.boolean(), ({ limit, stored, ...times }, isAtOnce) => {
      const [one, other] = [times.one, times.other].map(some => (isAtOnce ? some.map(() => 0) : some))
      const between = Math.max(...one!, ...other!) - Math.min(...one!, ...other!)
      const [a, b] = [one!, other!].map(some => countedBy(stored, limit, some, start + 5))
      const [ab, ba] = [addCounted(addCounted(stored, a!), b!), addCounted(addCounted(stored, b!), a!)]
      t.is(ab.readyAt, ba.readyAt)
      return Math.abs(ab.emptyAt - ba.emptyAt) <= between
    }),
    { numRuns: 3000 },
  )
})

test('property: what is stored is never less than what either process knows, never more than the bound, and what one alone knows exactly', t => {
  fc.assert(
    fc.property(limitAndFailures, ({ limit, stored, one, other }) => {
      const [a, b] = [one, other].map(times => countedBy(stored, limit, times, start + 5))
      const [first, both] = [addCounted(stored, a!), addCounted(addCounted(stored, a!), b!)]
      t.is(first.emptyAt, a!.emptyAt)
      return (
        both.emptyAt >= Math.max(a!.emptyAt, b!.emptyAt) &&
        both.readyAt >= Math.max(a!.readyAt, b!.readyAt) &&
        both.emptyAt <= start + 5 + maxRemembered(limit)
      )
    }),
    { numRuns: 3000 },
  )
})

test('a counter of a clock that has been set back since comes back below the bound when something is added', t => {
  const far = { emptyAt: start + 1_000_000, readyAt: start + 1_000_000 }
  const added = countedBy(far, limit, [0], start)
  t.deepEqual(addCounted(far, added), { emptyAt: start + 11 * 600, readyAt: start + 11 * 600 })
})
