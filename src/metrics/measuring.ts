/**
 * What would take too long while somebody waits for `/metrics`: it is measured in the background, a bounded step at a time, and what is
 * known of it is told. A database that cannot be asked leaves what was known before.
 */
import type { MailsWaiting } from '../mail/storage.ts'
import type { DatabaseSize, Storage } from '../storage/storage.ts'

/** Steps between two walks along all sessions, and between two measures of the database. */
const restBetweenWalks = 30
const stepsBetweenSizes = 15
const stepsBetweenMails = 5

export type Known = Readonly<{
  /** As the last whole walk along the sessions has found them. */
  liveSessions?: number
  size?: DatabaseSize
  /** Absent where none are sent. */
  mails?: MailsWaiting
}>

/** @param given.now seconds since the epoch */
export function createMeasuring(
  storage: Pick<Storage, 'countLiveSessions' | 'measure' | 'measureMails'>,
  { now, hasMail }: Readonly<{ now: () => number; hasMail: boolean }>,
) {
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
    const step = steps++
    if (step % stepsBetweenSizes === 0) known = { ...known, size: await storage.measure() }
    if (hasMail && step % stepsBetweenMails === 0) known = { ...known, mails: await storage.measureMails() }
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
