/**
 * Where counters are: in this process, which alone writes its database, or in a database that many nodes share, where each attempt
 * is judged by what all of them have counted.
 */
import type { Counters } from './counters.ts'
import type { CountersNow, Decide, SharedCounters } from './storage.ts'

export type CounterStore = Readonly<{
  /** Whether other nodes read and write the same counters. */
  isShared: boolean
  now: () => number
  read: (ids: readonly string[]) => CountersNow | Promise<CountersNow>
  /**
   * Decides and writes while nobody else counts on any of these.
   *
   * @param decide pure; it may be run again
   */
  change: <Outcome>(ids: readonly string[], decide: Decide<Outcome>) => Outcome | Promise<Outcome>
  /** The same after all that counted before, for a decision that counts nothing. */
  judge: <Outcome>(ids: readonly string[], decide: Decide<Outcome>) => Outcome | Promise<Outcome>
}>

/** The hidden counter of another one: of what nobody may see. Its id sorts after those of all others. */
export const hiddenOf = (id: string) => `~${id}`

const isHidden = (id: string) => id.startsWith('~')

/** @param hidden apart from the others, which must not be fewer or forgotten sooner for what nobody may see; not written */
export function createOwnStore(visible: Counters, hidden: Counters, now: () => number): CounterStore {
  const countersOf = (id: string) => (isHidden(id) ? hidden : visible)
  const get = (id: string) => countersOf(id).get(id)
  const read = () => ({ get, at: now() })

  function change<Outcome>(_ids: readonly string[], decide: Decide<Outcome>): Outcome {
    const { outcome, counters = [], forgotten = [] } = decide(read())
    for (const { id, limit, emptyAt, readyAt } of counters)
      countersOf(id).set(id, { emptyAt, readyAt }, limit && { limit, now: now() })
    for (const id of forgotten) countersOf(id).forget(id)
    return outcome
  }

  return { isShared: false, now, read, change, judge: change }
}

/** @param now left out where the clock of the database counts, which is one for all nodes, however far apart theirs are */
export function createSharedStore(shared: SharedCounters, now?: () => number): CounterStore {
  let ahead = 0
  const timed = (counters: CountersNow): CountersNow => {
    if (now !== undefined) return { get: counters.get, at: now() }
    ahead = counters.at - performance.now() / 1000
    return counters
  }
  return {
    isShared: true,
    now: now ?? (() => Math.floor(performance.now() / 1000 + ahead)),
    read: async ids => timed(await shared.findCounters(ids)),
    change: (ids, decide) => shared.changeCounters(ids, counters => decide(timed(counters))),
    judge: (ids, decide) => shared.judgeCounters(ids, counters => decide(timed(counters))),
  }
}
