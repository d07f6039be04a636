/** Turns of those who wait because others fail for the same account: nobody is shut out for longer than the longest delay. */

import { type Counter, countFailure, failures, type Limit } from './counter.ts'

/** Times that a neighbourhood comes in turn, and seconds until one of them is forgotten. */
export const turnLimit: Limit = { allowance: 3, forget: 8 * 3600 }
/** Seconds that a turn is kept for whoever was told to come again. */
export const turnKept = 600

/**
 * Who is given a turn keeps it, however many others ask meanwhile.
 *
 * @param turn of an account in a neighbourhood, which gets only a few turns a day
 * @param wait seconds that all others wait
 * @returns seconds that this neighbourhood waits
 */
export function waitForTurn(turn: Counter, wait: number, now: number, maxWait: number, limit = turnLimit): number {
  return areLeft(turn, now, limit) && isGiven(turn, now, maxWait) ? Math.max(0, turn.readyAt - now) : wait
}

/**
 * @param readyAt when it may be taken
 * @returns undefined when there is one already, or none is left
 */
export function giveTurn(
  turn: Counter,
  readyAt: number,
  now: number,
  maxWait: number,
  limit = turnLimit,
): Counter | undefined {
  return areLeft(turn, now, limit) && !isGiven(turn, now, maxWait) ? { ...turn, readyAt } : undefined
}

export function takeTurn(turn: Counter, now: number, maxDelay: number, limit = turnLimit): Counter {
  const { emptyAt } = countFailure(turn, limit, now, maxDelay)
  return { emptyAt, readyAt: 0 }
}

function areLeft(turn: Counter, now: number, limit: Limit): boolean {
  return failures(turn, limit, now) + (limit.weight ?? 1) <= limit.allowance
}

function isGiven({ readyAt }: Counter, now: number, maxWait: number): boolean {
  const left = readyAt - now
  return left <= maxWait && left >= -turnKept
}
