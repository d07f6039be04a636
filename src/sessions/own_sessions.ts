/** The sessions of one user by pages, for the user. A page costs the same however many there are. */

import { isLive, type Session } from './session.ts'
import type { SessionStorage } from './storage.ts'

/** The most on a page, and how many there are on one if nothing is said. */
export const maxOwnSessions = 200
/** Sessions that one page looks at, those that ended too, and how many it reads at once. */
const maxLookedAt = 2000
const readAtOnce = 200

export type SessionsPage = Readonly<{ cursor?: string | undefined; limit?: number | undefined }>

export type OwnSessions = Readonly<{
  /** Live ones, the newest sign-in first. */
  sessions: readonly Session[]
  /** Where the next page goes on; undefined after the last one. */
  next: string | undefined
}>

/**
 * Pages go back from the newest sign-in, since nothing about a sign-in changes between two of them. A page that passed over many
 * sessions that ended may be short, or empty, before the last.
 *
 * @param cursor `next` of the page before
 * @returns undefined when the cursor is none, or its session has been forgotten
 */
export async function listOwnSessions(
  { storage, now }: Readonly<{ storage: SessionStorage; now: () => number }>,
  userId: string,
  { cursor, limit = maxOwnSessions }: SessionsPage = {},
): Promise<OwnSessions | undefined> {
  const sessions: Session[] = []
  const page = (next: string | undefined): OwnSessions => ({ sessions, next })
  let after = cursor
  for (let lookedAt = 0; lookedAt < maxLookedAt; lookedAt += readAtOnce) {
    // One more says whether there are more.
    const rows = await storage.listSessionsOf(userId, { after, limit: readAtOnce + 1 })
    if (rows === undefined) return undefined
    for (const row of rows.slice(0, readAtOnce)) {
      if (sessions.length === limit) return page(after)
      if (isLive(row, now())) sessions.push(row)
      after = row.id
    }
    if (rows.length <= readAtOnce) return page(undefined)
    if (sessions.length === limit) return page(after)
  }
  return page(after)
}
