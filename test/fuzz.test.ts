/** A short run of the fuzzer, with a seed that stays, so that a failure is of the change that was made. `npm run fuzz` is the long one. */
import test from 'ava'
import { endpoints, fuzz, type Tally } from './fuzz/fuzzer.ts'

test('promise 8: what is almost right gets the standard’s answer at every endpoint, and a refusal changes nothing', async t => {
  t.timeout(180_000)
  const tally: Tally = new Map()

  // Far longer than it takes: what is found is made shorter until then, and shown.
  await t.notThrowsAsync(fuzz({ seed: 1, numRuns: 60, interruptAfterTimeLimit: 120_000 }, tally))

  const reached = new Set([...tally.keys()].map(name => name.split(' ')[0]))
  t.deepEqual(
    endpoints.map(({ path }) => path).filter(path => !reached.has(path)),
    [],
  )
})
