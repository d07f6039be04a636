/** Rows of users, for whoever reads or writes them within a transaction: before those of clients and sessions. */
import { usernameFold, usernameKey } from '../../text.ts'
import { meantBy, type User } from '../../users/user.ts'
import { asc, eq, gt, sql } from '../drizzle.ts'
import { optional, userFromRow, userRow } from '../rows.ts'
import type { Db } from './connection.ts'
import { unionAll } from './drizzle.ts'
import { builder, prepareRun, prepareSelect } from './prepared.ts'
import { sessions, users } from './schema.ts'
import { prepareLockSessionsOf } from './session_locks.ts'

const value = sql.placeholder
const isIt = eq(users.id, value('id'))
const all = () => builder.select().from(users)

const find = prepareSelect(all().where(isIt))
const findForUpdate = prepareSelect(all().where(isIt).for('no key update'))
const lockForRemoval = prepareSelect(builder.select({ id: users.id }).from(users).where(isIt).for('update'))
// All look-ups in every case, so that the time tells nothing. Of those who are called something that looks like it, one is who is
// meant; of two neither is.
const findByUsername = prepareSelect(
  unionAll(
    all().where(eq(users.usernameKey, value('key'))),
    all().where(eq(users.usernameKey, value('fold'))),
    all()
      .where(eq(users.usernameFold, value('fold')))
      .limit(2),
  ),
)
const findAny = prepareSelect(builder.select({ id: users.id }).from(users).limit(1))
const passwordHashes = prepareSelect(
  builder
    .select({ id: users.id, passwordHash: users.passwordHash })
    .from(users)
    .where(gt(users.id, value('after')))
    .orderBy(asc(users.id))
    .limit(value('limit')),
)
const update = prepareRun(
  builder
    .update(users)
    .set({
      email: sql`${value('email')}`,
      fullName: sql`${value('fullName')}`,
      passwordHash: sql`${value('passwordHash')}`,
      credentialVersion: sql`${value('credentialVersion')}`,
      disabledAt: sql`${value('disabledAt')}`,
    })
    .where(isIt),
)
const remove = prepareRun(builder.delete(users).where(isIt))
const lockSessions = prepareLockSessionsOf(sessions.userId)

export const userRows = {
  find: async (db: Db, id: string) => optional(await find.get(db, { id }), userFromRow),
  /** The row, which nobody else changes, removes or begins a session for until the transaction ends. */
  findForUpdate: async (tx: Db, id: string) => optional(await findForUpdate.get(tx, { id }), userFromRow),
  async findByUsername(db: Db, username: string): Promise<User | undefined> {
    const [key, fold] = [usernameKey(username), usernameFold(username)]
    const rows = await findByUsername.all(db, { key, fold })
    const called = (name: string) => rows.find(row => row.usernameKey === name)
    const alike = rows.filter(row => row.usernameFold === fold)
    return optional(meantBy(called(key), called(fold), alike), userFromRow)
  },
  isEmpty: async (db: Db) => (await findAny.get(db, {})) === undefined,
  /** What of a user may change. */
  update: (tx: Db, user: User) => update.run(tx, userRow(user)),
  /** With all sessions. @returns how many users */
  async remove(tx: Db, id: string): Promise<number> {
    if ((await lockForRemoval.get(tx, { id })) === undefined) return 0
    await lockSessions(tx, { owner: id })
    return remove.run(tx, { id })
  },
  passwordHashes: (db: Db, after: string, limit: number) => passwordHashes.all(db, { after, limit }),
}
