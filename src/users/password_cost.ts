/**
 * What a stored password hash costs to verify on this machine: computed from its parameters and the speed of its function, which
 * is measured with a cheap hash of the same function. A hash that costs more than this is taken by no import, since every guess
 * at it would hold a core, and every refusal would have to take as long (promise 7).
 */
import { openPasswordHash } from './password_formats.ts'
import type { PasswordHash } from './password_functions.ts'

/** Milliseconds. */
export const maxTime = 2000
/** Bytes: as many times as there are cores, this must be there beside everything else. Dovecot's argon2id takes it all. */
const maxMemory = 256 * 1024 * 1024

/** Some milliseconds each: short enough to run between two turns of whatever else the machine does. */
const samples: Readonly<Record<string, string>> = {
  argon2: `$argon2id$v=19$m=8192,t=1,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`,
  bcrypt: `$2b$06$${'.'.repeat(53)}`,
  scrypt: `$scrypt$ln=11,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`,
  'sha256-crypt': `$5$rounds=2000$salt$${'.'.repeat(43)}`,
  'sha512-crypt': `$6$rounds=2000$salt$${'.'.repeat(86)}`,
  phpass: `$P$9${'.'.repeat(8)}${'.'.repeat(22)}`,
  ...Object.fromEntries(
    ['sha1', 'sha224', 'sha256', 'sha384', 'sha512'].map(hash => [
      `pbkdf2-${hash}`,
      `pbkdf2:${hash}:5000$salt$${'0'.repeat(32)}`,
    ]),
  ),
}

/** Of each function the least of this many: whatever else runs only makes times longer. */
const runs = 5

export function createCostEstimator() {
  /** Milliseconds for a unit of cost. */
  const speeds = new Map<string, Promise<number>>()

  async function measure(sample: PasswordHash): Promise<number> {
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < runs; i++) {
      const began = performance.now()
      await sample.verify('measured')
      least = Math.min(least, performance.now() - began)
    }
    return least / sample.cost.units
  }

  return {
    /** @returns milliseconds, about */
    async time({ cost }: PasswordHash): Promise<number> {
      const text = samples[cost.of]
      // A single hash function.
      if (text === undefined) return 0
      const known = speeds.get(cost.of) ?? measure(openPasswordHash(text)!)
      speeds.set(cost.of, known)
      return (await known) * cost.units
    },
    /** @returns why a hash costs too much, as what comes after "hashed_password: "; undefined when it does not */
    async problem(hash: PasswordHash): Promise<string | undefined> {
      const { memory } = hash.cost
      if (memory > maxMemory) {
        const [needed, limit] = [memory, maxMemory].map(bytes => Math.ceil(bytes / 1024 / 1024))
        return `costs more than one sign-in may: ${needed} MiB of memory, and the limit is ${limit} MiB`
      }
      const time = await this.time(hash)
      if (time <= maxTime) return undefined
      return `costs more than one sign-in may: about ${(time / 1000).toFixed(1)} s on this machine, and the limit is ${maxTime / 1000} s`
    },
  }
}
