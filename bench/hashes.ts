/** Bare argon2 in a process of its own: what a sign-in cannot be cheaper than. Argument: seconds. Prints one JSON line. */
import { availableParallelism } from 'node:os'
import argon2 from 'argon2'
import { readConfig } from '../src/config.ts'

// As bin/latchkey.js sets it; libuv reads it at the first use of the pool.
process.env.UV_THREADPOOL_SIZE = String(availableParallelism())

const { memory: memoryCost, passes: timeCost, lanes: parallelism, concurrency } = readConfig({}).passwordHashing
const stored = await argon2.hash('correct horse battery', { type: argon2.argon2id, memoryCost, timeCost, parallelism })

const before = process.cpuUsage()
const begin = performance.now()
const end = begin + Number(process.argv[2] ?? 2) * 1000
let hashes = 0
await Promise.all(
  Array.from({ length: concurrency }, async () => {
    while (performance.now() < end) {
      await argon2.verify(stored, 'correct horse battery')
      hashes++
    }
  }),
)
const { user, system } = process.cpuUsage(before)
const perSecond = hashes / ((performance.now() - begin) / 1000)
process.stdout.write(`${JSON.stringify({ perSecond, cpu: (user + system) / hashes })}\n`)
