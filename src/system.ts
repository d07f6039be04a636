/** The clock, randomness and the thread pool of this machine. */
import { randomBytes as cryptoRandomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'

/** Since the epoch: the only place that reads the clock. */
export const milliseconds = () => Date.now()
/** Seconds since the epoch. */
export const now = () => Math.floor(milliseconds() / 1000)

let pool = Buffer.alloc(0)

/** Random bytes, from `node:crypto` 4 KiB at a time: each call there is a system call. None is given out twice. */
export function randomBytes(size: number): Buffer {
  if (size > pool.length) pool = cryptoRandomBytes(Math.max(size, 4096))
  const bytes = pool.subarray(0, size)
  pool = pool.subarray(size)
  return bytes
}

/**
 * Lets password hashes, which are all that the thread pool does, give way to everything else: a storm of sign-ins takes what the
 * refreshes leave. Only Linux has priorities for each thread.
 */
export function lowerPoolPriority(): void {
  const tasks = '/proc/self/task'
  if (!existsSync(tasks)) return
  for (const id of readdirSync(tasks)) {
    try {
      if (readFileSync(`${tasks}/${id}/comm`, 'utf8').startsWith('libuv-worker'))
        setPriority(Number(id), constants.priority.PRIORITY_BELOW_NORMAL)
    } catch {
      // Ended meanwhile, or not allowed here: it works without.
    }
  }
}
