/**
 * What would take too long while somebody waits for `/metrics`: it is measured in the background, a bounded step at a time, and what is
 * known of it is told. A database that cannot be asked leaves what was known before.
 */
import type { DatabaseSize, Storage } from '../storage/storage.ts'

/** Steps between two walks along all sessions, and between two measures of the database. */
const restBetweenWalks = 30
const stepsBetweenSizes = 15

export type Known = Readonly<{
  /** As the last whole walk along the sessions has found them. */
  liveSessions?: number
  size?: DatabaseSize
}>

/** @param now seconds since the epoch */
export function createMeasuring(storage: Pick<Storage, 'countLiveSessions' | 'measure'>, now: () => number) {
  let known: Known = {}
  let steps = 0
  let rest = 0
  let position = ''
  let count = 0

  async function walk() {
    if (rest > 0) {
      rest--
      return
    }
    const { live, next } = await storage.countLiveSessions(position, now())
    count += live
    position = next
    if (next !== '') return
    known = { ...known, liveSessions: count }
    count = 0
    rest = restBetweenWalks
  }

  async function weigh() {
    if (steps++ % stepsBetweenSizes !== 0) return
    known = { ...known, size: await storage.measure() }
  }

  return {
    known: () => known,
    /** To be called about once a second. */
    async step(): Promise<void> {
      await walk()
      await weigh()
    },
  }
}
