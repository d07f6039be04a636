/** Counters of failed attempts, by id: never more than a bound, and what changed is handed out to be written in batches. */

import { type Counter, emptyCounter, forgottenAt, type Limit, maxRemembered, secondsAdded } from './counter.ts'
import type { CountedCounter, ForgottenCounter, StoredCounter } from './storage.ts'

/** By which limit, and when, something was counted. */
export type Counted = Readonly<{ limit: Limit; now: number }>

export type Counters = Readonly<{
  get: (id: string) => Counter
  /** @param counted of what a restart is to find again */
  set: (id: string, counter: Counter, counted?: Counted) => void
  forget: (id: string) => void
  /** Forgets what ended before an instant. */
  prune: (before: number) => void
  /** Takes out what is to be written or deleted, of at most so many rows. */
  takeChanged: (max: number, now: number) => { counted: CountedCounter[]; gone: ForgottenCounter[] }
  /** Puts back what could not be written. What is gone ends by itself, and would only pile up. */
  putBack: (counted: readonly CountedCounter[]) => void
  hasChanged: () => boolean
  size: () => number
}>

/**
 * @param entries how many there may be; beyond it those go that would be forgotten first
 * @param stored  those of the last run; left out where none is written
 */
export function createCounters(entries: number, stored?: readonly StoredCounter[]): Counters {
  const counters = new Map<string, Counter>()
  /** What is not written yet: seconds that were added, and that the counter is remembered at most. */
  const unwritten = new Map<string, Readonly<{ seconds: number; max: number }>>()
  /** Of what is forgotten here, what was written of it. */
  const gone = new Map<string, number>()
  for (const { id, ...counter } of stored ?? []) counters.set(id, counter)

  /** @param expired an instant before which nothing is remembered, whoever counted it */
  function forget(id: string, expired = 0) {
    const counter = counters.get(id)
    if (counter === undefined) return
    counters.delete(id)
    if (stored === undefined) return
    const written = counter.emptyAt - (unwritten.get(id)?.seconds ?? 0)
    unwritten.delete(id)
    gone.set(id, Math.max(written, gone.get(id) ?? 0, expired))
  }

  function add(id: string, seconds: number, max: number) {
    unwritten.set(id, { seconds: (unwritten.get(id)?.seconds ?? 0) + seconds, max })
  }

  /** Makes room by a tenth: first goes what would be forgotten first, so that nobody can wash away an account's failures. */
  function evict() {
    const order = Float64Array.from(counters.values(), forgottenAt).sort()
    let left = Math.ceil(order.length / 10)
    const latest = order[left] ?? Number.POSITIVE_INFINITY
    for (const [id, counter] of counters) {
      if (forgottenAt(counter) > latest) continue
      forget(id)
      if (--left === 0) return
    }
  }

  return {
    get: id => counters.get(id) ?? emptyCounter,
    set(id, counter, counted) {
      if (counters.size >= entries && !counters.has(id)) evict()
      const before = counters.get(id) ?? emptyCounter
      counters.set(id, counter)
      if (counted !== undefined && stored !== undefined)
        add(id, secondsAdded(before, counter, counted.now), maxRemembered(counted.limit))
    },
    forget: id => forget(id),
    prune(before) {
      for (const [id, counter] of counters) if (forgottenAt(counter) <= before) forget(id, before)
    },
    takeChanged(max, now) {
      const taken = { counted: [] as CountedCounter[], gone: [] as ForgottenCounter[] }
      for (const [id, emptyAt] of gone) {
        if (taken.gone.length === max) return taken
        gone.delete(id)
        taken.gone.push({ id, emptyAt })
      }
      for (const [id, added] of unwritten) {
        if (taken.gone.length + taken.counted.length === max) return taken
        unwritten.delete(id)
        taken.counted.push({ id, ...counters.get(id)!, ...added, writtenAt: now })
      }
      return taken
    },
    putBack(counted) {
      for (const { id, seconds, max } of counted) if (counters.has(id)) add(id, seconds, max)
    },
    hasChanged: () => unwritten.size > 0 || gone.size > 0,
    size: () => counters.size,
  }
}
