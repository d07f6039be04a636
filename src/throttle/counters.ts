/** Counters of failed attempts, by id: never more than a bound, and what changed is handed out to be written in batches. */

import { type Counter, emptyCounter } from './counter.ts'
import type { StoredCounter } from './storage.ts'

export type Counters = Readonly<{
  get: (id: string) => Counter
  /** @param isKept whether a restart is to find it again */
  set: (id: string, counter: Counter, isKept: boolean) => void
  forget: (id: string) => void
  /** Whether the very same was tried here before; notes it. A few are recognised, until the counter is forgotten. */
  isRepeated: (id: string, guess: string) => boolean
  /** Forgets what ended before an instant. */
  prune: (before: number) => void
  /** Takes out what is to be written or deleted, of at most so many rows. */
  takeChanged: (most: number) => { kept: StoredCounter[]; gone: string[] }
  /** Puts back what could not be written. What is gone ends by itself, and would only pile up. */
  putBack: (kept: readonly StoredCounter[]) => void
  hasChanged: () => boolean
  size: () => number
}>

/** Wrong secrets of one counter that are recognised when they come again: those of a few instances that were forgotten. */
const mostGuesses = 4

/** @param entries how many there may be; beyond it those go that would be forgotten first */
export function createCounters(entries: number, stored: readonly StoredCounter[] = []): Counters {
  const counters = new Map<string, Counter>()
  const guesses = new Map<string, readonly string[]>()
  const changed = new Set<string>()
  for (const { id, ...counter } of stored) counters.set(id, counter)

  function forget(id: string) {
    guesses.delete(id)
    if (counters.delete(id)) changed.add(id)
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
    set(id, counter, isKept) {
      if (counters.size >= entries && !counters.has(id)) evict()
      counters.set(id, counter)
      if (isKept) changed.add(id)
    },
    forget,
    isRepeated(id, guess) {
      const before = guesses.get(id) ?? []
      if (before.includes(guess)) return true
      guesses.set(id, [guess, ...before].slice(0, mostGuesses))
      return false
    },
    prune(before) {
      for (const [id, counter] of counters) if (forgottenAt(counter) <= before) forget(id)
    },
    takeChanged(most) {
      const kept: StoredCounter[] = []
      const gone: string[] = []
      for (const id of changed) {
        if (kept.length + gone.length === most) break
        changed.delete(id)
        const counter = counters.get(id)
        if (counter === undefined) gone.push(id)
        else kept.push({ id, ...counter })
      }
      return { kept, gone }
    },
    putBack(kept) {
      for (const { id } of kept) if (counters.has(id)) changed.add(id)
    },
    hasChanged: () => changed.size > 0,
    size: () => counters.size,
  }
}

function forgottenAt({ emptyAt, readyAt }: Counter): number {
  return Math.max(emptyAt, readyAt)
}
