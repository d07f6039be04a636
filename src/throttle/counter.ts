/**
 * What failed attempts do to the next ones: one counter as a pure function of its state and the clock. `failures.ts` says what
 * is counted; here is how.
 *
 * A counter is a bucket: each failure fills it by one, and one is forgotten every {@link Limit.forget} seconds. Up to the
 * allowance nobody waits; each failure beyond it doubles the wait, from one second to the longest delay and never more, or makes wait
 * for as long as the limit says. So a person who mistypes notices nothing, and a program gets one guess in each longest delay.
 */

/** Instants are seconds since the epoch. The same two numbers however many failures there were. */
export type Counter = Readonly<{
  /** When the last failure will be forgotten. */
  emptyAt: number
  /** When the next attempt may be made. */
  readyAt: number
}>

export type Limit = Readonly<{
  /** Failures that nobody waits for. */
  allowance: number
  /** Seconds until one failure is forgotten. */
  forget: number
  /** Seconds that each failure beyond the allowance makes wait, where that does not begin with one and grow. */
  delay?: number
  /** Failures that each one counts as, where that is not one: it fills the counter by so many, and makes wait for as long as they would together. */
  weight?: number | undefined
}>

/** A counter as one process knows it, with what that has counted since it last wrote: of what is stored others write too. */
export type Addition = Counter &
  Readonly<{
    /** Seconds that the last failure will be forgotten later for it. */
    seconds: number
    /** Seconds that it is remembered at most, from when it is written. */
    max: number
    writtenAt: number
  }>

export const emptyCounter: Counter = { emptyAt: 0, readyAt: 0 }

/** How far a counter goes beyond its allowance: enough doublings for any delay that can be set. */
const maxBeyond = 8

/** How many failures are remembered; a part that is being forgotten counts as one. */
export function failures(counter: Counter, limit: Limit, now: number): number {
  return Math.min(Math.ceil(Math.max(0, counter.emptyAt - now) / limit.forget), maxFailures(limit))
}

function maxFailures({ allowance, weight = 1 }: Limit): number {
  return allowance + maxBeyond + weight - 1
}

/** @returns seconds until an attempt may be made, 0 when it may be made now */
export function waitOf({ readyAt }: Counter, now: number, maxWait: number): number {
  const wait = readyAt - now
  // A longer one was noted by a clock that has been set back since: it must not lock anybody out.
  return wait > 0 && wait <= maxWait ? wait : 0
}

/** Seconds that a counter is remembered at most. */
export function maxRemembered(limit: Limit): number {
  return maxFailures(limit) * limit.forget
}

/** Seconds that a limit makes wait at most. @param maxDelay of one failure */
export function maxWaitOf({ delay, weight = 1 }: Limit, maxDelay: number): number {
  return weight * (delay ?? maxDelay)
}

/** The counter after one more failure. */
export function countFailure(counter: Counter, limit: Limit, now: number, maxDelay: number): Counter {
  const { weight = 1 } = limit
  const emptyAt = Math.min(Math.max(counter.emptyAt, now) + weight * limit.forget, now + maxRemembered(limit))
  const beyond = failures({ ...counter, emptyAt }, limit, now) - limit.allowance
  let delay = 0
  for (let nth = beyond; nth > 0 && nth > beyond - weight; nth--)
    delay += limit.delay ?? Math.min(maxDelay, 2 ** (nth - 1))
  return { emptyAt, readyAt: delay === 0 ? 0 : now + delay }
}

/** When a counter means nothing any more. */
export function forgottenAt({ emptyAt, readyAt }: Counter): number {
  return Math.max(emptyAt, readyAt)
}

/** Seconds that a counter is remembered longer for what was counted now. */
export function secondsAdded(before: Counter, after: Counter, now: number): number {
  return after.emptyAt - Math.max(before.emptyAt, now)
}

/**
 * What is stored of a counter, with what one process has counted added to it. In which order the processes come does not matter, but
 * for the seconds between their first failures where nothing was stored, and nothing that one has counted is lost to another.
 */
export function addCounted(stored: Counter, { emptyAt, readyAt, seconds, max, writtenAt }: Addition): Counter {
  // What is remembered for longer was noted by a clock that has been set back since.
  const latest = writtenAt + max
  return {
    emptyAt: Math.min(Math.max(stored.emptyAt + seconds, emptyAt), latest),
    readyAt: Math.max(Math.min(stored.readyAt, latest), readyAt),
  }
}
