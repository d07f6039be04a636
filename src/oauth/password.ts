/**
 * Password hashes: argon2id (RFC 9106), at most as many at once as there are cores, a short queue behind them and a clear
 * refusal beyond it. A storm of sign-ins slows sign-ins, never refreshes. Imported bcrypt hashes are verified as they are.
 */
import argon2 from 'argon2'
import bcrypt from 'bcrypt'
import { OAuthError } from './error.ts'

/** Memory in KiB, passes, lanes; how many hashes run at once, how many may wait. */
export type PasswordHashing = Readonly<{
  memory: number
  passes: number
  lanes: number
  concurrency: number
  queue: number
}>

export type Passwords = Readonly<{
  /** @returns a PHC string of argon2id */
  hash: (password: string) => Promise<string>
  /**
   * Verifies a password; takes the time of one hash also where there is none.
   *
   * @param storedHash undefined for an unknown user
   */
  verify: (password: string, storedHash: string | undefined) => Promise<boolean>
  /** True when a hash is of another kind or cost than new ones. */
  needsRehash: (storedHash: string) => boolean
}>

/** @throws OAuthError from every function that hashes: `temporarily_unavailable` when the queue is full */
export async function createPasswords(
  hashing: PasswordHashing,
  randomBytes: (size: number) => Buffer,
): Promise<Passwords> {
  const { memory: memoryCost, passes: timeCost, lanes: parallelism } = hashing
  const cost = { type: argon2.argon2id, memoryCost, timeCost, parallelism } as const
  const limited = createLimit(hashing.concurrency, hashing.queue)
  const hash = async (password: string) => {
    const phc = await limited(() => argon2.hash(password.normalize('NFC'), { ...cost, salt: randomBytes(16) }))
    // The package sorts the costs by name; in the order m, t, p every other implementation can read the hash.
    return phc.replace(/(m=\d+),(p=\d+),(t=\d+)/, '$1,$3,$2')
  }
  // What an unknown user's password is compared with, so that there is a hash of the same cost to compute.
  const nobodysHash = await hash(randomBytes(32).toString('base64url'))

  return {
    hash,
    async verify(password, storedHash) {
      const candidate = storedHash ?? nobodysHash
      const matches = isBcrypt(candidate)
        ? await limited(() => verifyBcrypt(password, candidate))
        : await limited(() => argon2.verify(candidate, password.normalize('NFC')))
      return matches && storedHash !== undefined
    },
    needsRehash: storedHash => !storedHash.startsWith('$argon2id$') || argon2.needsRehash(storedHash, cost),
  }
}

/**
 * True for text that {@link Passwords.verify} can take as a stored hash, at a cost that one sign-in may have: bcrypt up to
 * 2^15 rounds, argon2id up to 1 GiB and 99 passes. RFC 9106 §3.1 sets the lower limits.
 */
export function isPasswordHash(text: string): boolean {
  if (isBcrypt(text)) return true
  const match =
    /^\$argon2id\$v=19\$(m=\d{1,7}(?:,[tp]=\d{1,2}){2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{16,86})$/.exec(text)
  if (match === null) return false
  const [, costs = '', ...encodings] = match
  const { m = 0, t = 0, p = 0 } = Object.fromEntries(costs.split(',').map(cost => [cost[0], Number(cost.slice(2))]))
  const isCanonical = encodings.every(
    encoded => Buffer.from(encoded, 'base64').toString('base64').replace(/=+$/, '') === encoded,
  )
  return isCanonical && t >= 1 && p >= 1 && m >= 8 * p && m <= 1_048_576
}

function isBcrypt(hash: string): boolean {
  return /^\$2[aby]\$(?:0[4-9]|1[0-5])\$[./A-Za-z0-9]{53}$/.test(hash)
}

async function verifyBcrypt(password: string, storedHash: string): Promise<boolean> {
  // crypt_blowfish's $2y$ and OpenBSD's $2b$ are the same function under two names; the library knows the second.
  const hash = storedHash.replace(/^\$2y\$/, '$2b$')
  // Where the hash comes from, passwords were hashed as typed; here they are compared in NFC.
  const normalized = password.normalize('NFC')
  return (await bcrypt.compare(password, hash)) || (normalized !== password && (await bcrypt.compare(normalized, hash)))
}

/**
 * Runs at most `concurrency` tasks at once; `queue` more wait their turn. A place is held until its task ends, whether or
 * not anybody still waits for the result: the core is busy with it all the same.
 */
function createLimit(concurrency: number, queue: number): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0

  return async task => {
    if (running >= concurrency) {
      if (waiting.length >= queue) {
        throw new OAuthError('temporarily_unavailable', 'too many sign-ins at the moment', { retryAfter: 2 })
      }
      await new Promise<void>(resolve => waiting.push(resolve))
    } else {
      running++
    }
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }
}
