/**
 * Imports of many users beside a running server: in batches, each a short transaction, between which other processes write. Until
 * the last one the rows belong to a pending import and no look-up sees them; ending that is one deleted row, so all of them are
 * there at once or, after a crash, none ever. What a crashed import leaves is removed in batches as well.
 */
import { setTimeout } from 'node:timers/promises'
import type Database from 'better-sqlite3'
import type { AuditEvent } from '../../audit/audit.ts'
import { usernameFold, usernameKey } from '../../text.ts'
import { importTimeout } from '../../users/storage.ts'
import type { User } from '../../users/user.ts'
import { and, asc, type drizzle, eq, gte, inArray, lt, ne, or, sql } from '../drizzle.ts'
import { userRow } from '../rows.ts'
import { pendingImports, users } from './schema.ts'
import type { prepareStatements } from './statements.ts'

/** Milliseconds of work in one transaction, twice as long as another process waits for a lock without a pause. */
const maxHeld = 10
/** Users between two looks at the clock. */
const step = 50
/** Milliseconds: others get the lock between two batches. A pause is as long as the batch held the lock, and this at least. */
const minPause = 2
/** Rows that one step of removing looks at. */
const pruneBatch = 500

type Orm = ReturnType<typeof drizzle> & { $client: Database.Database }
type Statements = ReturnType<typeof prepareStatements>

type Parts = Readonly<{
  db: Orm
  statements: Statements
  write: <T>(run: () => T) => Promise<T>
  record: (event: AuditEvent) => void
  isTaken: (user: User) => boolean
}>

/** Users whose import another process has ended, by removing what seemed to be left of it or by taking one of the names. */
class ImportLost extends Error {}

export function createImports({ db, statements, write, record, isTaken }: Parts) {
  const isPending = () => db.select({ id: pendingImports.id }).from(pendingImports).limit(1).get() !== undefined

  /**
   * Whoever is visible first has a name: takes the name of a user from every other import that is still pending, which then fails.
   *
   * @param own the import that the user belongs to
   */
  function claim({ id, username }: Pick<User, 'id' | 'username'>, own?: number) {
    const names = { id, usernameKey: usernameKey(username), usernameFold: usernameFold(username) }
    for (const namesake of statements.findPendingNamesakes.all(names)) {
      if (namesake.importId === own) continue
      statements.loseImport.run({ id: namesake.importId })
      statements.deleteUser.run({ id: namesake.id })
    }
  }

  function begin(now: number): Promise<number> {
    return write(() => {
      const last = statements.findLastUserRow.get({})?.row ?? 0
      return db
        .insert(pendingImports)
        .values({ seenAt: now, firstRow: last + 1, lost: 0 })
        .returning({ id: pendingImports.id })
        .get().id
    })
  }

  /**
   * Writes users from a place in the list on, as many as there is time for.
   *
   * @returns users whose id or name is taken, with whom the batch ends; the place of the next user, and for how long others could not write
   */
  function addBatch(importId: number, all: readonly User[], from: number, now: number) {
    return write(() => {
      const began = performance.now()
      const { changes } = db
        .update(pendingImports)
        .set({ seenAt: now })
        .where(and(eq(pendingImports.id, importId), eq(pendingImports.lost, 0)))
        .run()
      if (changes === 0) throw new ImportLost()
      const others = db.select({ id: pendingImports.id }).from(pendingImports).where(ne(pendingImports.id, importId))
      const hasOthers = others.limit(1).get() !== undefined
      let next = from
      let held = 0
      while (next < all.length && held < maxHeld) {
        const some = all.slice(next, next + step)
        const taken = some.filter(isTaken)
        if (taken.length > 0) return { taken, next, held }
        for (const user of some) {
          if (hasOthers) claim(user, importId)
          statements.insertUser.run({ ...userRow(user), importId })
        }
        next += some.length
        held = performance.now() - began
      }
      return { taken: [], next, held }
    })
  }

  /** The moment at which all are there. */
  function publish(importId: number, event: AuditEvent): Promise<void> {
    return write(() => {
      const { changes } = db
        .delete(pendingImports)
        .where(and(eq(pendingImports.id, importId), eq(pendingImports.lost, 0)))
        .run()
      if (changes === 0) throw new ImportLost()
      record(event)
    })
  }

  /** Removes a limited number of rows of imports that were not seen since an instant. @returns whether there are more */
  function prune(seenBefore: number): Promise<boolean> {
    return write(() => {
      const dead = db
        .select()
        .from(pendingImports)
        .where(or(lt(pendingImports.seenAt, seenBefore), eq(pendingImports.lost, 2)))
        .orderBy(asc(pendingImports.id))
        .limit(1)
        .get()
      if (dead === undefined) return false
      // Its process may still be there, only slow: it must not publish what is left.
      if (dead.lost !== 2) db.update(pendingImports).set({ lost: 2 }).where(eq(pendingImports.id, dead.id)).run()
      const rows = db
        .select({ row: sql<number>`rowid`.as('row'), importId: users.importId })
        .from(users)
        .where(gte(sql`rowid`, dead.firstRow))
        .orderBy(asc(sql`rowid`))
        .limit(pruneBatch)
        .all()
      const own = rows.filter(({ importId }) => importId === dead.id).map(({ row }) => row)
      if (own.length > 0) db.delete(users).where(inArray(sql`rowid`, own)).run()
      const last = rows.at(-1)
      if (rows.length < pruneBatch || last === undefined) {
        db.delete(pendingImports).where(eq(pendingImports.id, dead.id)).run()
      } else {
        db.update(pendingImports)
          .set({ firstRow: last.row + 1 })
          .where(eq(pendingImports.id, dead.id))
          .run()
      }
      return true
    })
  }

  async function abandon(importId: number): Promise<void> {
    await write(() => db.update(pendingImports).set({ lost: 2 }).where(eq(pendingImports.id, importId)).run())
    // Those that are dead before it come first; in the end it is removed as well.
    const isThere = () =>
      db.select({ id: pendingImports.id }).from(pendingImports).where(eq(pendingImports.id, importId)).get()
    while (isThere() !== undefined && (await prune(0))) await setTimeout(minPause)
  }

  return {
    /** Takes names from imports that are still pending, for a user who is there at once. */
    claim: (user: Pick<User, 'id' | 'username'>) => {
      if (isPending()) claim(user)
    },
    prune,
    async importUsers(all: readonly User[], event: AuditEvent, now: () => number): Promise<User[]> {
      while (await prune(now() - importTimeout)) await setTimeout(minPause)
      const importId = await begin(now())
      let isPublished = false
      try {
        for (let next = 0; next < all.length; ) {
          const batch = await addBatch(importId, all, next, now())
          if (batch.taken.length > 0) return batch.taken
          next = batch.next
          await setTimeout(Math.max(minPause, batch.held))
        }
        await publish(importId, { ...event, count: all.length })
        isPublished = true
        return []
      } catch (error) {
        if (!(error instanceof ImportLost)) throw error
        const taken = all.filter(isTaken)
        if (taken.length > 0) return taken
        throw new Error('another import took the place of this one; nothing was imported', { cause: error })
      } finally {
        if (!isPublished) await abandon(importId)
      }
    },
  }
}
