/** Reading the audit trail forward, from a place in it: whether that is still there, and what is known to be missing. */
import type { EventPlace, PlacedEvent } from './audit.ts'
import type { Followed } from './storage.ts'

/** What a database finds at a place and behind it. */
export type Found = Readonly<{
  /** From the event of the place on, where that is still there, in the order of their numbers. */
  events: readonly PlacedEvent[]
  /** The smallest number that there is. */
  oldest: number | undefined
  /** The largest number that was ever given. */
  last: number
}>

/** @returns undefined where the place is of another trail, or of one that went on differently before this database was restored */
export function followedFrom(after: EventPlace | undefined, { events, oldest, last }: Found): Followed | undefined {
  if (after === undefined) return { events, mayMiss: false }
  const [first] = events
  if (first?.id === after.id) return first.at === after.at ? { events: events.slice(1), mayMiss: false } : undefined
  // Only the oldest events can go. One that is missing among others never was here.
  if (after.id > last || (oldest !== undefined && oldest <= after.id)) return undefined
  return { events, mayMiss: (oldest ?? last + 1) > after.id + 1 }
}
