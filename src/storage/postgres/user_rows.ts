/** Rows of users, for whoever reads or writes them within a transaction: before those of clients and sessions. */
import { usernameFold, usernameKey } from '../../text.ts'
import { meantBy, takenAmong, type User } from '../../users/user.ts'
import { and, asc, eq, getTableColumns, gt, ne, or, sql } from '../drizzle.ts'
import { optional, userFromRow, userRow } from '../rows.ts'
import type { Db } from './connection.ts'
import { unionAll } from './drizzle.ts'
import { builder, prepareInsertRows, prepareRun, prepareSelect } from './prepared.ts'
import { sessions, users } from './schema.ts'

const value = sql.placeholder
const isIt = eq(users.id, value('id'))
const all = () => builder.select().from(users)

const find = prepareSelect(all().where(isIt))
/** For a new name too: as strong as a removal, for the name is unique. */
const findForRename = prepareSelect(all().where(isIt).for('update'))
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
      roles: sql`${value('roles')}`,
      passwordHash: sql`${value('passwordHash')}`,
      credentialVersion: sql`${value('credentialVersion')}`,
      disabledAt: sql`${value('disabledAt')}`,
    })
    .where(isIt),
)
const rename = prepareRun(
  builder
    .update(users)
    .set({
      username: sql`${value('username')}`,
      usernameKey: sql`${value('usernameKey')}`,
      usernameFold: sql`${value('usernameFold')}`,
    })
    .where(isIt),
)
const findOtherNamesake = prepareSelect(
  builder
    .select({ id: users.id })
    .from(users)
    .where(
      and(
        ne(users.id, value('id')),
        or(
          eq(users.usernameKey, value('key')),
          eq(users.usernameKey, value('fold')),
          eq(users.usernameFold, value('fold')),
        ),
      ),
    )
    .limit(1),
)
const remove = prepareRun(builder.delete(users).where(isIt))
// A cascade locks in any order.
const lockSessions = prepareSelect(
  builder
    .select({ id: sessions.id })
    .from(sessions)
    .where(eq(sessions.userId, value('id')))
    .orderBy(asc(sessions.id))
    .for('update'),
)
const insert = prepareInsertRows('users', getTableColumns(users))

/** Users that one statement looks for or sends: some 200 kB. */
const usersPerStatement = 1000

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
  /** Under the lock of newcomers, when no name is taken. */
  async insert(tx: Db, newUsers: readonly User[]): Promise<void> {
    for (const some of inSteps(newUsers)) await insert.run(tx, some.map(userRow))
  },
  isEmpty: async (db: Db) => (await findAny.get(db, {})) === undefined,
  /** As {@link userRows.findForUpdate}, to change the name as well. Under the lock of newcomers. */
  findForRename: async (tx: Db, id: string) => optional(await findForRename.get(tx, { id }), userFromRow),
  /** By another user. Under the lock of newcomers. */
  async isNameTaken(tx: Db, { id, username }: User): Promise<boolean> {
    const names = { id, key: usernameKey(username), fold: usernameFold(username) }
    return (await findOtherNamesake.get(tx, names)) !== undefined
  },
  /** All that may change but the name. */
  update: (tx: Db, user: User) => update.run(tx, userRow(user)),
  rename: (tx: Db, user: User) => rename.run(tx, userRow(user)),
  /** With all sessions. @returns how many users */
  async remove(tx: Db, id: string): Promise<number> {
    if ((await lockForRemoval.get(tx, { id })) === undefined) return 0
    await lockSessions.all(tx, { id })
    return remove.run(tx, { id })
  },
  passwordHashes: (db: Db, after: string, limit: number) => passwordHashes.all(db, { after, limit }),
}

/** Those of new users whose id or name is taken, by users who are there or by one another. */
export async function findTakenUsers(db: Db, newUsers: readonly User[]): Promise<User[]> {
  const taken = new Set<User>()
  for (const some of inSteps(newUsers)) {
    const found = await db.$client.query<[number]>({
      text: `select n from unnest($1::text[], $2::text[], $3::text[]) with ordinality as new (id, key, fold, n)
        where exists (select from users where id = new.id or username_key in (key, fold) or username_fold = fold)`,
      values: [
        some.map(({ id }) => id),
        some.map(({ username }) => usernameKey(username)),
        some.map(({ username }) => usernameFold(username)),
      ],
      rowMode: 'array',
    })
    for (const [n] of found.rows) taken.add(some[n - 1]!)
  }
  return takenAmong(newUsers, user => taken.has(user))
}

/** So many as one statement sends. */
export function* inSteps(newUsers: readonly User[]): Generator<readonly User[]> {
  for (let at = 0; at < newUsers.length; at += usersPerStatement) yield newUsers.slice(at, at + usersPerStatement)
}
