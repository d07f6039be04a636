/** Wrong secrets that are recognised when they come again: an instance with an old one must not shut out the others beside it. In memory only. */

export type Guesses = Readonly<{
  /** Whether the very same was counted before. @param id of the counter, where there is one; `guess`, where it can be one */
  has: (id: string | undefined, guess: string | undefined) => boolean
  /** A few of each counter, the latest. */
  note: (id: string | undefined, guess: string | undefined) => void
  forget: (id: string) => void
  /** Forgets those that were noted before an instant. */
  prune: (before: number) => void
}>

/** Of one counter: those of a few instances that were forgotten. */
const maxGuesses = 4

/**
 * @param entries  counters of which there may be some; beyond it those go that were noted first
 * @param digestOf a guess: in memory there is nothing that was typed
 */
export function createGuesses(entries: number, digestOf: (guess: string) => string, now: () => number): Guesses {
  const noted = new Map<string, Readonly<{ digests: readonly string[]; at: number }>>()
  return {
    has: (id, guess) =>
      id !== undefined && guess !== undefined && noted.get(id)?.digests.includes(digestOf(guess)) === true,
    note(id, guess) {
      if (id === undefined || guess === undefined) return
      const before = noted.get(id)?.digests ?? []
      // To the end, so that the first is the one noted longest ago.
      noted.delete(id)
      if (noted.size >= entries) noted.delete(noted.keys().next().value!)
      noted.set(id, { digests: [digestOf(guess), ...before].slice(0, maxGuesses), at: now() })
    },
    forget: id => void noted.delete(id),
    prune(before) {
      for (const [id, { at }] of noted) if (at <= before) noted.delete(id)
    },
  }
}
