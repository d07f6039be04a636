/**
 * Imports of many users beside a running server: in batches, each a short transaction, between which other processes write. Until
 * the last one the rows belong to a pending import and no look-up sees them; ending that is one deleted row, so all of them are
 * there at once or, after a crash, none ever. What a crashed import leaves is removed in batches as well.
 */
import { setTimeout } from 'node:timers/promises'
import type { AuditEvent } from '../../audit/audit.ts'
import { importTimeout, type TakingOptions } from '../../users/storage.ts'
import { type TakenUser, takenAmong, type User } from '../../users/user.ts'
import { and, asc, desc, eq, gte, inArray, lt, ne, or, sql } from '../drizzle.ts'
import { type Connection, type Orm, pruneBatch } from './connection.ts'
import { createPreparing } from './prepared.ts'
import { pendingImports, users } from './schema.ts'
import { isNamesake, namesOf, type UserRows } from './user_rows.ts'

/** Milliseconds of work in one transaction, twice as long as another process waits for a lock without a pause. */
const maxHeld = 10
/** Users between two looks at the clock. */
const step = 50
/** Milliseconds: others get the lock between two batches. A pause is as long as the batch held the lock, and this at least. */
const minPause = 2
/** Somebody has ended the import, by removing what seemed to be left of it, by taking one of the names, or by making addresses unique. */
class ImportLost extends Error {}

export type Imports = ReturnType<typeof createImports>

/** @param record writes an event within a write, whatever else there is of its kind */
export function createImports(
  { db, write }: Pick<Connection, 'db' | 'write'>,
  rows: UserRows,
  record: (event: AuditEvent) => void,
) {
  const { claim, loseAll, ...steps } = createSteps({ db, write, rows, record })
  const { prune, abandon } = createRemoval({ db, write })

  return {
    /** Takes names from imports that are still pending, for a user who is there at once. */
    claim: (user: User) => {
      if (db.select({ id: pendingImports.id }).from(pendingImports).limit(1).get() !== undefined) claim(user)
    },
    /** Within a write: all that are under way fail, since what they have compared is not enough any more. */
    loseAll,
    prune,
    /** @param options.wasUnique whether addresses were when the users were compared with one another */
    async importUsers(
      all: readonly User[],
      event: AuditEvent,
      now: () => number,
      { wasUnique, ...options }: TakingOptions & Readonly<{ wasUnique: boolean }>,
    ): Promise<TakenUser[]> {
      while (await prune(now() - importTimeout)) await setTimeout(minPause)
      let importId: number | undefined
      let isPublished = false
      try {
        importId = await steps.begin(now(), wasUnique)
        for (let next = 0; next < all.length; ) {
          const batch = await steps.addBatch(importId, { all, from: next, options }, now())
          if (batch.taken.length > 0) return batch.taken
          next = batch.next
          await setTimeout(Math.max(minPause, batch.held))
        }
        await steps.publish(importId, { ...event, count: all.length })
        isPublished = true
        return []
      } catch (error) {
        if (!(error instanceof ImportLost)) throw error
        const isUnique = rows.hasUniqueEmails()
        const taken = takenAmong(all, user => rows.takenOf(user, isUnique, options), isUnique)
        if (taken.length > 0) return taken
        throw new Error(
          'another import, or a new rule of the database, took the place of this one; nothing was imported',
          {
            cause: error,
          },
        )
      } finally {
        if (!isPublished && importId !== undefined) await abandon(importId)
      }
    },
  }
}

type Parts = Pick<Connection, 'db' | 'write' | 'record'> & Readonly<{ rows: UserRows }>

function createSteps({ db, write, rows, record }: Parts) {
  const statements = prepareStatements(db)

  /**
   * Whoever is visible first has a name: takes the name of a user from every other import that is still pending, which then fails.
   *
   * @param own the import that the user belongs to
   */
  function claim(user: User, own?: number) {
    for (const namesake of statements.findPendingNamesakes.all(namesOf(user, rows.hasUniqueEmails()))) {
      if (namesake.importId === own) continue
      statements.loseImport.run({ id: namesake.importId })
      rows.remove(namesake.id)
    }
  }

  function begin(now: number, wasUnique: boolean): Promise<number> {
    return write(() => {
      if (!wasUnique && rows.hasUniqueEmails()) throw new ImportLost()
      const last = db
        .select({ row: sql<number>`rowid`.as('row') })
        .from(users)
        .orderBy(desc(sql`rowid`))
        .limit(1)
        .get()
      return db
        .insert(pendingImports)
        .values({ seenAt: now, firstRow: (last?.row ?? 0) + 1, lost: 0 })
        .returning({ id: pendingImports.id })
        .get().id
    })
  }

  /**
   * Writes users from a place in the list on, as many as there is time for.
   *
   * @returns users whose id or name is taken, with whom the batch ends; the place of the next user, and for how long others could not write
   */
  function addBatch(importId: number, { all, from, options }: Batch, now: number) {
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
        const taken = takenOf(some, rows, options)
        if (taken.length > 0) return { taken, next, held }
        for (const user of some) {
          if (hasOthers) claim(user, importId)
          rows.insert(user, importId)
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

  return { claim, loseAll: () => statements.loseAll.run({}), begin, addBatch, publish }
}

/** Users from a place in the list on. */
type Batch = Readonly<{ all: readonly User[]; from: number; options: TakingOptions }>

/** Those who cannot come in beside users who are there. */
function takenOf(users: readonly User[], rows: UserRows, options: TakingOptions): TakenUser[] {
  const isUnique = rows.hasUniqueEmails()
  return users.flatMap(user => {
    const member = rows.takenOf(user, isUnique, options)
    return member === undefined ? [] : [{ user, member }]
  })
}

function prepareStatements(db: Orm) {
  const { select, run } = createPreparing(db.$client)
  return {
    findPendingNamesakes: select(
      db
        .select({ id: users.id, importId: sql<number>`${users.importId}`.as('import_id') })
        .from(users)
        .where(
          and(isNamesake, sql`exists (select 1 from ${pendingImports} where ${pendingImports.id} = ${users.importId})`),
        ),
    ),
    loseAll: run(db.update(pendingImports).set({ lost: sql`max(${pendingImports.lost}, 1)` })),
    loseImport: run(
      db
        .update(pendingImports)
        .set({ lost: sql`max(${pendingImports.lost}, 1)` })
        .where(eq(pendingImports.id, sql.placeholder('id'))),
    ),
  }
}

/** What becomes of imports that were not ended. */
function createRemoval({ db, write }: Pick<Connection, 'db' | 'write'>) {
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

  return { prune, abandon }
}
