/** Turns of those who wait because others fail for the same account: nobody is shut out for longer than the longest delay. */

import { type Counter, countFailure, failures, type Limit } from './counter.ts'
import type { Counters } from './counters.ts'

export type Turns = Readonly<{
  /**
   * Who is given a turn keeps it, however many others ask meanwhile.
   *
   * @param id   of an account in a neighbourhood, which gets only a few turns a day
   * @param wait seconds that all others wait
   * @returns seconds that this neighbourhood waits
   */
  waitFor: (id: string, wait: number) => number
  /** @param readyAt when it may be taken */
  give: (id: string, readyAt: number) => void
  take: (id: string) => void
}>

/** Times that a neighbourhood comes in turn, and seconds until one of them is forgotten. */
const limit: Limit = { allowance: 3, forget: 8 * 3600 }
/** Seconds that a turn is kept for whoever was told to come again. */
export const turnKept = 600

export function createTurns(counters: Counters, now: () => number, maxDelay: number): Turns {
  const areLeft = (turn: Counter) => failures(turn, limit, now()) < limit.allowance

  function isGiven({ readyAt }: Counter): boolean {
    const left = readyAt - now()
    return left <= maxDelay && left >= -turnKept
  }

  return {
    waitFor(id, wait) {
      const turn = counters.get(id)
      return areLeft(turn) && isGiven(turn) ? Math.max(0, turn.readyAt - now()) : wait
    },
    give(id, readyAt) {
      const turn = counters.get(id)
      if (areLeft(turn) && !isGiven(turn)) counters.set(id, { ...turn, readyAt })
    },
    take(id) {
      const { emptyAt } = countFailure(counters.get(id), limit, now(), maxDelay)
      counters.set(id, { emptyAt, readyAt: 0 }, { limit, now: now() })
    },
  }
}
