/** Usernames that are kept for who had them, for whoever reads or writes them within a transaction. */
import { usernameFold } from '../../text.ts'
import { type ReservedUsername, reservationLifetime } from '../../users/reserved_usernames.ts'
import type { User } from '../../users/user.ts'
import { and, eq, inArray, lte, ne, sql } from '../drizzle.ts'
import { type Db, pruneBatch } from './connection.ts'
import { builder, prepareRun, prepareSelect } from './prepared.ts'
import { reservedUsernames } from './schema.ts'

const value = sql.placeholder
const { fold, userId, until } = reservedUsernames

const findOfOther = prepareSelect(
  builder
    .select({ userId })
    .from(reservedUsernames)
    .where(and(eq(fold, value('fold')), ne(userId, value('userId')))),
)
const findLast = prepareSelect(
  builder
    .select({ until: sql<number | null>`max(${until})`.as('until') })
    .from(reservedUsernames)
    .where(eq(userId, value('userId'))),
)
const put = prepareRun(
  builder
    .insert(reservedUsernames)
    .values({ fold: value('fold'), userId: value('userId'), until: value('until') })
    .onConflictDoUpdate({ target: fold, set: { userId: sql`${value('userId')}`, until: sql`${value('until')}` } }),
)
const prune = prepareRun(
  builder.delete(reservedUsernames).where(
    inArray(
      fold,
      builder
        .select({ fold })
        .from(reservedUsernames)
        .where(lte(until, value('before')))
        .limit(pruneBatch)
        .for('update', { skipLocked: true }),
    ),
  ),
)

export const reservedRows = {
  /**
   * Whether the username of a user is kept for somebody else. Under the lock of newcomers, and after users were looked at: who gives a name up
   * writes both at once.
   */
  isOfOther: async (tx: Db, { id, username }: Pick<User, 'id' | 'username'>) =>
    (await findOfOther.get(tx, { fold: usernameFold(username), userId: id })) !== undefined,
  /** When a user last gave a username up, as far as that is remembered. */
  async lastGivenUpAt(tx: Db, id: string): Promise<number | undefined> {
    const last = (await findLast.get(tx, { userId: id }))?.until ?? undefined
    return last === undefined ? undefined : last - reservationLifetime
  },
  /** In the place of one that there is of before: since then somebody else had the name. */
  put: (tx: Db, reserved: ReservedUsername) => put.run(tx, reserved),
  prune: (tx: Db, before: number) => prune.run(tx, { before }),
}
