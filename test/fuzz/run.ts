/** `npm run fuzz -- --seconds 600 --seed 1`: fuzzes for a time, 60 s unless told otherwise, and ends with 1 when something is found. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { fuzz, type Tally } from './fuzzer.ts'

const { values } = parseArgs({ options: { seconds: { type: 'string' }, seed: { type: 'string' } } })
const seconds = Number(values.seconds ?? 60)
const seed = Number(values.seed ?? randomInt(2 ** 31))
if (!(seconds > 0) || !Number.isSafeInteger(seed)) {
  console.error('usage: npm run fuzz -- [--seconds NUMBER] [--seed INTEGER]')
  process.exit(2)
}

const tally: Tally = new Map()
console.log(`fuzzing for ${seconds} s with --seed ${seed}`)
try {
  await fuzz({ seed, numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: seconds * 1000 }, tally)
} catch (error) {
  const { message, cause } = error as Error
  console.error(message)
  console.error(`\n${cause instanceof Error ? cause.stack : cause}\n`)
  process.exitCode = 1
}
for (const [name, count] of [...tally].sort()) console.log(`${String(count).padStart(8)}  ${name}`)
const requests = [...tally.values()].reduce((sum, count) => sum + count, 0)
console.log(`${requests} requests, ${process.exitCode === 1 ? 'something was found' : 'nothing found'}`)
