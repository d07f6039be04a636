/**
 * Password hashes: argon2id (RFC 9106), at most as many at once as there are cores, a short queue behind them and a clear
 * refusal beyond it. A storm of sign-ins slows sign-ins, never refreshes. Imported hashes are verified as they are.
 */
import argon2 from 'argon2'
import { OAuthError } from '../error.ts'
import { toNfc } from '../normal_form.ts'
import { createCostEstimator, maxTime } from './password_cost.ts'
import { openPasswordHash } from './password_formats.ts'
import type { PasswordHash } from './password_functions.ts'

/** Memory in KiB, passes, lanes; how many hashes are under way at once, how many may wait for that. */
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
   * Verifies a password, as it is and in NFC. What is refused takes the same time whether there is a hash or not, and of
   * whatever kind it is.
   *
   * @param storedHash undefined for an unknown user
   * @param isRefused  true when a right password is refused as well
   */
  verify: (password: string, storedHash: string | undefined, isRefused?: boolean) => Promise<boolean>
  /**
   * The same for the few that are answered at a fixed time: in a short line of its own, which no storm of sign-ins lengthens.
   *
   * @param isLate whether nobody waits any more: then it computes nothing, and answers false
   */
  verifyAside: (password: string, storedHash: string, isLate: () => boolean) => Promise<boolean>
  /** Milliseconds in which {@link Passwords.verifyAside} answers, with room to spare. */
  patience: () => number
  /**
   * Computes one hash of each kind among stored ones that is new here: how long it takes is then known before the first password
   * is refused. One that takes longer than any refusal waits is only estimated, and so are those after ten seconds. Until it has
   * learnt them all, refusals wait as long as they ever do. Leaves it for another time when the queue is full.
   *
   * @throws Error when one cannot be computed, such as for want of memory; the others are then known
   */
  learn: (storedHashes: readonly string[]) => Promise<void>
  /** Throws at once what {@link Passwords.verify} would: before anything else is spent on an attempt that a flood turns away. */
  insistOnRoom: () => void
  /** How many hashes are under way, and how many wait for that. */
  load: () => Readonly<{ running: number; waiting: number }>
  /** True when a hash is of another kind or cost than new ones. */
  needsRehash: (storedHash: string) => boolean
  /** Whether a password has appeared in data breaches, as typed or in NFC; false where the operator has no list of those. Never asked at a sign-in. */
  isBreached: (password: string) => Promise<boolean>
  /**
   * False when a stored hash verifies other passwords than this as well, because its function reads less than all of one: what
   * was typed may be one of those, and must not take the place of the password.
   */
  isExact: (storedHash: string, password: string) => boolean
}>

/** Milliseconds that computing unknown kinds may go on; what is left then is estimated, and not as exact. */
const maxLearning = 10_000
const estimateMargin = 1.5

/**
 * @param isBreached of one form of a password
 * @throws OAuthError from every function that hashes: `temporarily_unavailable` when the queue is full
 */
export async function createPasswords(
  hashing: PasswordHashing,
  randomBytes: (size: number) => Buffer,
  isBreached: (form: string) => boolean = () => false,
): Promise<Passwords> {
  const { memory: memoryCost, passes: timeCost, lanes: parallelism } = hashing
  const cost = { type: argon2.argon2id, memoryCost, timeCost, parallelism } as const
  const limited = createLimit(hashing.concurrency, hashing.queue)
  const aside = createLimit(Math.max(1, hashing.concurrency / 2), hashing.queue)
  const hash = async (password: string) => {
    const phc = await limited.run(() => argon2.hash(toNfc(password), { ...cost, salt: randomBytes(16) }))
    // The package sorts the costs by name; in the order m, t, p every other implementation can read the hash.
    return phc.replace(/(m=\d+),(p=\d+),(t=\d+)/, '$1,$3,$2')
  }
  const began = performance.now()
  // What an unknown user's password is compared with, so that there is a hash of the same cost to compute.
  const nobodysHash = await hash(randomBytes(32).toString('base64url'))
  /** Kinds of which only is known that they are there. */
  const unknown = new Map<string, PasswordHash>()
  const durations = createDurations(openPasswordHash(nobodysHash)!.kind, performance.now() - began, unknown)
  const estimator = createCostEstimator()

  /** @returns whether one of the forms of a password is right, and how long one took */
  async function check(candidate: PasswordHash, forms: readonly string[]) {
    const { matches, elapsed } = await limited.run(async () => {
      const began = performance.now()
      let matches = false
      // All of them, so that no time tells which was right.
      for (const form of forms) matches = (await candidate.verify(form)) || matches
      return { matches, elapsed: performance.now() - began }
    })
    durations.add(candidate.kind, elapsed / forms.length)
    return { matches, elapsed }
  }

  return {
    hash,
    insistOnRoom: limited.insistOnRoom,
    async learn(storedHashes) {
      for (const text of storedHashes) {
        const stored = openPasswordHash(text)
        if (stored !== undefined && !durations.has(stored.kind)) unknown.set(stored.kind, stored)
      }
      const somePassword = [randomBytes(12).toString('base64url')]
      let failure: unknown
      const began = performance.now()
      for (const [kind, stored] of unknown) {
        if (!limited.hasRoom()) break
        try {
          const estimate = await limited.run(() => estimator.time(stored))
          const isComputed = estimate <= maxTime && performance.now() - began < maxLearning
          if (isComputed) await check(stored, somePassword)
          else durations.add(kind, estimate * estimateMargin)
        } catch (error) {
          failure ??= error
        }
        unknown.delete(kind)
      }
      if (failure !== undefined) throw failure
    },
    async verify(password, storedHash, isRefused = false) {
      const candidate = openPasswordHash(storedHash ?? nobodysHash)
      if (candidate === undefined) throw new Error('a stored password hash cannot be read')
      const forms = formsOf(password)
      const { matches, elapsed } = await check(candidate, forms)
      const isRight = matches && storedHash !== undefined
      const padding = durations.longest() * forms.length - elapsed
      if ((!isRight || isRefused) && padding > 0) await new Promise(resolve => setTimeout(resolve, padding))
      return isRight
    },
    async verifyAside(password, storedHash, isLate) {
      const candidate = openPasswordHash(storedHash)
      if (candidate === undefined) return false
      let matches = false
      await aside.run(async () => {
        for (const form of formsOf(password)) matches = (!isLate() && (await candidate.verify(form))) || matches
      })
      return matches
    },
    // Two forms of a password may have to be computed, behind the hashes that are in the pool already.
    patience: () => Math.min(5 * durations.most(), maxPatience) + minPatience,
    load: () => ({
      running: limited.running() + aside.running(),
      waiting: limited.waiting() + aside.waiting(),
    }),
    needsRehash: storedHash => !storedHash.startsWith('$argon2id$') || argon2.needsRehash(storedHash, cost),
    isBreached: async password => formsOf(password).some(isBreached),
    isExact: (storedHash, password) => {
      const stored = openPasswordHash(storedHash)
      return stored !== undefined && formsOf(password).every(form => stored.isExact(form))
    },
  }
}

/** Where an imported hash comes from, passwords were hashed as typed; here they are in NFC. */
const formsOf = (password: string) => [...new Set([toNfc(password), password])]

/** Milliseconds: for what else a busy machine does, and what nobody should wait longer for. */
const minPatience = 100
const maxPatience = 2_500

/**
 * How long hashes of each kind take on this machine. Beside imported hashes an unknown user would answer sooner or later than
 * they do: whatever is refused waits until the slowest kind would have been computed, and for the limit while there are kinds that
 * are not known. Without imported hashes nothing waits.
 */
function createDurations(ownKind: string, ownDuration: number, unknown: Pick<ReadonlyMap<string, unknown>, 'size'>) {
  const durations = new Map([[ownKind, ownDuration]])
  return {
    has: (kind: string) => durations.has(kind),
    add(kind: string, milliseconds: number) {
      const known = durations.get(kind) ?? 0
      // Up at once, down slowly: a wait that most hashes stay below.
      durations.set(kind, milliseconds > known ? milliseconds : known + (milliseconds - known) / 32)
    },
    most: () => (unknown.size > 0 ? Math.max(maxTime, ...durations.values()) : Math.max(...durations.values())),
    /** Milliseconds. A hash that takes longer than the limit shows; nobody else should wait for it. */
    longest() {
      if (unknown.size > 0) return maxTime
      return durations.size === 1 ? 0 : Math.min(Math.max(...durations.values()) * 1.1, maxTime)
    },
  }
}

/**
 * Runs at most `concurrency` tasks at once; `queue` more wait their turn. A place is held until its task ends, whether or
 * not anybody still waits for the result: the core is busy with it all the same.
 */
function createLimit(concurrency: number, queue: number) {
  const waiting: (() => void)[] = []
  let running = 0

  const hasRoom = () => running < concurrency || waiting.length < queue

  function insistOnRoom() {
    if (hasRoom()) return
    throw new OAuthError('temporarily_unavailable', 'too many sign-ins at the moment', { retryAfter: 2 })
  }

  return {
    hasRoom,
    insistOnRoom,
    running: () => running,
    waiting: () => waiting.length,
    async run<T>(task: () => Promise<T>): Promise<T> {
      insistOnRoom()
      if (running < concurrency) running++
      else await new Promise<void>(resolve => waiting.push(resolve))
      try {
        return await task()
      } finally {
        const next = waiting.shift()
        if (next === undefined) running--
        else next()
      }
    },
  }
}
