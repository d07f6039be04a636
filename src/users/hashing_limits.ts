/** How many password hashes run and wait, by what the machine has. */
import { availableParallelism } from 'node:os'

export function hashingLimits() {
  return {
    // As many as there are cores run, since the pool has as many threads (bin/latchkey.js); as many again wait in the pool itself, so
    // that no core is idle until the event loop has come round to the next one.
    concurrency: 2 * availableParallelism(),
    // At some 20 hashes a second and core, the last in the queue waits under two seconds.
    queue: 32 * availableParallelism(),
  }
}
