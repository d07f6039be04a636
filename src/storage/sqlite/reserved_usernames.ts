/** Usernames that are kept for who had them, for whoever reads or writes them within a transaction. */
import { usernameFold } from '../../text.ts'
import { type ReservedUsername, reservationLifetime } from '../../users/reserved_usernames.ts'
import type { User } from '../../users/user.ts'
import { and, eq, inArray, lte, ne, sql } from '../drizzle.ts'
import { type Orm, pruneBatch } from './connection.ts'
import { createPreparing } from './prepared.ts'
import { reservedUsernames } from './schema.ts'

export function createReservedRows(db: Orm) {
  const { select, run } = createPreparing(db.$client)
  const value = sql.placeholder
  const { fold, userId, until } = reservedUsernames
  const findOfOther = select(
    db
      .select({ userId })
      .from(reservedUsernames)
      .where(and(eq(fold, value('fold')), ne(userId, value('userId')))),
  )
  const findLast = select(
    db
      .select({ until: sql<number | null>`max(${until})`.as('until') })
      .from(reservedUsernames)
      .where(eq(userId, value('userId'))),
  )
  const put = run(
    db
      .insert(reservedUsernames)
      .values({ fold: value('fold'), userId: value('userId'), until: value('until') })
      .onConflictDoUpdate({
        target: fold,
        set: { userId: sql`${value('userId')}`, until: sql`${value('until')}` },
      }),
  )

  return {
    /** Whether the username of a user is kept for somebody else. */
    isOfOther: ({ id, username }: Pick<User, 'id' | 'username'>) =>
      findOfOther.get({ fold: usernameFold(username), userId: id }) !== undefined,
    /** When a user last gave a username up, as far as that is remembered. */
    lastGivenUpAt: (id: string): number | undefined => {
      const last = findLast.get({ userId: id })?.until ?? undefined
      return last === undefined ? undefined : last - reservationLifetime
    },
    /** In the place of one that there is of before: since then somebody else had the name. */
    put: (reserved: ReservedUsername) => put.run(reserved),
    prune: (before: number): number => {
      const over = db.select({ fold }).from(reservedUsernames).where(lte(until, before)).limit(pruneBatch)
      return db.delete(reservedUsernames).where(inArray(fold, over)).run().changes
    },
  }
}

export type ReservedRows = ReturnType<typeof createReservedRows>
