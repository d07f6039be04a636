/**
 * Where counters are: in this process, which alone writes its database, or in a database that many nodes share, where each attempt
 * is judged by what all of them have counted.
 */
import type { Counters } from './counters.ts'
import type { Decide, FindCounter, SharedCounters } from './storage.ts'

/** Counters as they are at a moment: `at`, in seconds since the epoch. */
export type CountersNow = Readonly<{ get: FindCounter; at: number }>

export type CounterStore = Readonly<{
  read: (ids: readonly string[]) => CountersNow | Promise<CountersNow>
  /**
   * Decides and writes while nobody else counts on any of these.
   *
   * @param decide pure; it may be run again
   */
  change: <Outcome>(ids: readonly string[], decide: Decide<Outcome, CountersNow>) => Outcome | Promise<Outcome>
  /** The same after all that counted before, for a decision that counts nothing. */
  judge: <Outcome>(ids: readonly string[], decide: Decide<Outcome, CountersNow>) => Outcome | Promise<Outcome>
}>

/** The hidden counter of another one: of what nobody may see. Its id sorts after those of all others. */
export const hiddenOf = (id: string) => `~${id}`

const isHidden = (id: string) => id.startsWith('~')

/** @param hidden apart from the others, which must not be fewer or forgotten sooner for what nobody may see; not written */
export function createOwnStore(visible: Counters, hidden: Counters, now: () => number): CounterStore {
  const countersOf = (id: string) => (isHidden(id) ? hidden : visible)
  const get = (id: string) => countersOf(id).get(id)
  const read = () => ({ get, at: now() })

  function change<Outcome>(_ids: readonly string[], decide: Decide<Outcome, CountersNow>): Outcome {
    const { outcome, counters = [], forgotten = [] } = decide(read())
    for (const { id, limit, emptyAt, readyAt } of counters)
      countersOf(id).set(id, { emptyAt, readyAt }, limit && { limit, now: now() })
    for (const id of forgotten) countersOf(id).forget(id)
    return outcome
  }

  return { read, change, judge: change }
}

export function createSharedStore(shared: SharedCounters, now: () => number): CounterStore {
  return {
    read: async ids => ({ get: await shared.findCounters(ids), at: now() }),
    change: (ids, decide) => shared.changeCounters(ids, get => decide({ get, at: now() })),
    judge: (ids, decide) => shared.judgeCounters(ids, get => decide({ get, at: now() })),
  }
}
