/** Rows of users, for whoever reads or writes them within a transaction: before those of clients and sessions. */
import { emailKey, usernameFold, usernameKey } from '../../text.ts'
import { withAsciiDomain } from '../../users/email.ts'
import { reserveUsername, type WantedUsername } from '../../users/reserved_usernames.ts'
import type { TakingOptions } from '../../users/storage.ts'
import {
  hasOtherAddress,
  meantBy,
  type SignInBy,
  type TakenMember,
  type TakenUser,
  takenAmong,
  type User,
  verifiedKey,
} from '../../users/user.ts'
import { and, asc, eq, getTableColumns, gt, lte, ne, or, type SQL, sql } from '../drizzle.ts'
import { optional, recordColumns, userFromRow, userRow } from '../rows.ts'
import type { Db } from './connection.ts'
import { unionAll } from './drizzle.ts'
import { builder, prepareInsertRows, prepareRun, prepareSelect } from './prepared.ts'
import { reservedRows } from './reserved_usernames.ts'
import { relaxedRules, sessions, users } from './schema.ts'

const value = sql.placeholder
const isIt = eq(users.id, value('id'))
const all = () => builder.select().from(users)

const find = prepareSelect(
  builder
    .select(recordColumns(getTableColumns(users)))
    .from(users)
    .where(isIt),
)
/** For a new name too: as strong as a removal, for the name is unique. */
const findForRename = prepareSelect(all().where(isIt).for('update'))
const findForUpdate = prepareSelect(all().where(isIt).for('no key update'))
const lockForRemoval = prepareSelect(builder.select({ id: users.id }).from(users).where(isIt).for('update'))
// All look-ups in every case, so that the time tells nothing. Of those who are called something that looks like it, one is who is
// meant; of two neither is.
const byEmail = () =>
  all()
    .where(or(eq(users.emailKey, value('fold')), eq(users.emailKey, value('ascii'))))
    .limit(2)
/** Of those who share an address the one who has proved it. */
const byProvedEmail = () =>
  all().where(and(eq(users.verifiedEmailKey, value('ascii')), eq(users.emailKey, users.verifiedEmailKey)))
const byUsername = [
  all().where(eq(users.usernameKey, value('key'))),
  all().where(eq(users.usernameKey, value('fold'))),
  all()
    .where(eq(users.usernameFold, value('fold')))
    .limit(2),
] as const
const findToSignIn = {
  username: prepareSelect(unionAll(...byUsername)),
  email: prepareSelect(unionAll(byEmail(), byProvedEmail())),
  both: prepareSelect(unionAll(...byUsername, byEmail(), byProvedEmail())),
} satisfies Record<SignInBy, unknown>
const findRelaxed = prepareSelect(builder.select().from(relaxedRules).where(eq(relaxedRules.rule, 'unique_email')))
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
      emailKey: sql`${value('emailKey')}`,
      fullName: sql`${value('fullName')}`,
      roles: sql`${value('roles')}`,
      passwordHash: sql`${value('passwordHash')}`,
      credentialVersion: sql`${value('credentialVersion')}`,
      disabledAt: sql`${value('disabledAt')}`,
      emailVerifiedAt: sql`${value('emailVerifiedAt')}`,
      verifiedEmailKey: sql`${value('verifiedEmailKey')}`,
      emailChanges: sql`${value('emailChanges')}`,
      language: sql`${value('language')}`,
      deleteAt: sql`${value('deleteAt')}`,
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
const findOther = (condition: SQL | undefined) =>
  prepareSelect(
    builder
      .select({ id: users.id })
      .from(users)
      .where(and(ne(users.id, value('id')), condition))
      .limit(1),
  )
const findOtherByName = findOther(
  or(
    eq(users.usernameKey, value('key')),
    eq(users.usernameKey, value('fold')),
    eq(users.usernameFold, value('fold')),
    eq(users.emailKey, value('foldAsEmail')),
  ),
)
const findOtherByEmail = findOther(
  or(
    eq(users.emailKey, value('key')),
    eq(users.usernameKey, value('key')),
    eq(users.usernameFold, value('key')),
    eq(users.verifiedEmailKey, value('verifiedKey')),
  ),
)
const findOfAddress = prepareSelect(
  all()
    .where(
      or(eq(users.emailKey, value('key')), eq(users.usernameKey, value('key')), eq(users.usernameFold, value('key'))),
    )
    .limit(1),
)
const listToRemove = prepareSelect(
  builder
    .select({ id: users.id })
    .from(users)
    .where(lte(users.deleteAt, value('at')))
    .orderBy(asc(users.deleteAt))
    .limit(value('limit')),
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
  async findToSignIn(db: Db, name: string, by: SignInBy): Promise<User | undefined> {
    const [key, fold] = [usernameKey(name), usernameFold(name)]
    const ascii = usernameFold(withAsciiDomain(name))
    const rows = await findToSignIn[by].all(db, { key, fold, ascii })
    const called = (name: string) => (by === 'email' ? undefined : rows.find(row => row.usernameKey === name))
    const alike = by === 'email' ? [] : rows.filter(row => row.usernameFold === fold)
    // One row may come by several look-ups.
    const have = new Map(rows.filter(row => row.emailKey === fold || row.emailKey === ascii).map(row => [row.id, row]))
    const addressed = by === 'username' ? [] : [...have.values()]
    const proved = addressed.find(row => row.verifiedEmailKey === row.emailKey)
    return optional(meantBy(called(key), called(fold), alike, addressed, proved), userFromRow)
  },
  /** Who has an address, or is called so. */
  findOfAddress: async (db: Db, email: string) =>
    optional(await findOfAddress.get(db, { key: emailKey(email) ?? null }), userFromRow),
  /** Whether an address is one user's. Who decides by it has the lock of newcomers. */
  hasUniqueEmails: async (db: Db) => (await findRelaxed.get(db, {})) === undefined,
  /** Under the lock of newcomers, when no name is taken. */
  async insert(tx: Db, newUsers: readonly User[]): Promise<void> {
    for (const some of inSteps(newUsers)) await insert.run(tx, some.map(userRow))
  },
  isEmpty: async (db: Db) => (await findAny.get(db, {})) === undefined,
  /** As {@link userRows.findForUpdate}, to change the name as well. Under the lock of newcomers. */
  findForRename: async (tx: Db, id: string) => optional(await findForRename.get(tx, { id }), userFromRow),
  /** @returns what of a user another one has, or may have back. Under the lock of newcomers. */
  async takenByOther(
    tx: Db,
    user: User,
    before: User,
    { takesReserved }: TakingOptions = {},
  ): Promise<'username' | 'reserved_username' | 'email' | undefined> {
    const isUnique = await userRows.hasUniqueEmails(tx)
    const { id, username, email } = user
    if (username !== before.username) {
      const fold = usernameFold(username)
      // Nothing is compared with an address where they are not unique.
      const names = { id, key: usernameKey(username), fold, foldAsEmail: isUnique ? fold : null }
      if ((await findOtherByName.get(tx, names)) !== undefined) return 'username'
      // Who has it now has it in every case and width.
      const isAnother = fold !== usernameFold(before.username)
      if (isAnother && !takesReserved && (await reservedRows.isOfOther(tx, user))) return 'reserved_username'
    }
    if (email === undefined || !hasOtherAddress(user, before)) return undefined
    const addresses = { id, key: isUnique ? emailKey(email) : null, verifiedKey: verifiedKey(user) ?? null }
    return (await findOtherByEmail.get(tx, addresses)) === undefined ? undefined : 'email'
  },
  /** All that may change but the name. */
  update: (tx: Db, user: User) => update.run(tx, userRow(user)),
  /** What a user who wants another username is told of it. Under the lock of newcomers. */
  wanted: async (tx: Db, user: User, username: string): Promise<WantedUsername> => ({
    isTaken: (await userRows.takenByOther(tx, { ...user, username }, user)) !== undefined,
    renamedAt: await reservedRows.lastGivenUpAt(tx, user.id),
  }),
  /** The name that it had is kept for it. @param at seconds since the epoch */
  async rename(tx: Db, user: User, before: User, at: number) {
    await rename.run(tx, userRow(user))
    await reservedRows.put(tx, reserveUsername(before, at))
  },
  /** Nobody gets the name of a user who is removed for a time. */
  reserveNameOf: (tx: Db, user: User, at: number) => reservedRows.put(tx, reserveUsername(user, at)),
  listToRemove: async (db: Db, at: number, limit: number) =>
    (await listToRemove.all(db, { at, limit })).map(({ id }) => id),
  /** With all sessions. @returns how many users */
  async remove(tx: Db, id: string): Promise<number> {
    if ((await lockForRemoval.get(tx, { id })) === undefined) return 0
    await lockSessions.all(tx, { id })
    return remove.run(tx, { id })
  },
  passwordHashes: (db: Db, after: string, limit: number) => passwordHashes.all(db, { after, limit }),
}

/**
 * Those of new users who cannot come in beside users who are there, or beside one another.
 *
 * @param options.hasOwnEmail that their addresses are theirs alone, whatever the rule is
 */
export async function findTakenUsers(
  db: Db,
  newUsers: readonly User[],
  options: TakingOptions & Readonly<{ hasOwnEmail?: boolean }> = {},
): Promise<TakenUser[]> {
  const isUnique = options.hasOwnEmail === true || (await userRows.hasUniqueEmails(db))
  const taken = new Map<User, TakenMember>()
  for (const some of inSteps(newUsers))
    for (const { user, member } of await findTaken(db, some, isUnique, options)) taken.set(user, member)
  return takenAmong(newUsers, user => taken.get(user), isUnique)
}

// A look-up for each form, from what weighs most: whatever the planner knows of the table, each goes by its index.
const takenOfNew = `
  select n, member from (
    select n, coalesce(
      (select 'username' from users where username_key = key limit 1),
      (select 'username' from users where username_key = fold limit 1),
      (select 'username' from users where username_fold = fold limit 1),
      (select 'username' from users where email_key = fold_as_address limit 1),
      (select 'id' from users where users.id = new.id limit 1),
      (select 'email' from users where email_key = address limit 1),
      (select 'email' from users where username_key = address limit 1),
      (select 'email' from users where username_fold = address limit 1),
      (select 'email' from users where verified_email_key = proved limit 1),
      (select 'reserved_username' from reserved_usernames as kept where kept.fold = fold_to_keep and kept.user_id <> new.id limit 1)
    ) as member
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
      with ordinality as new (id, key, fold, fold_as_address, address, proved, fold_to_keep, n)
  ) as found
  where member is not null`

async function findTaken(
  db: Db,
  some: readonly User[],
  isUnique: boolean,
  { takesReserved }: TakingOptions,
): Promise<TakenUser[]> {
  const folds = some.map(({ username }) => usernameFold(username))
  const values = [
    some.map(({ id }) => id),
    some.map(({ username }) => usernameKey(username)),
    folds,
    // Nothing is compared with an address where they are not unique.
    folds.map(fold => (isUnique ? fold : null)),
    some.map(({ email }) => (isUnique ? optional(email, emailKey) : undefined) ?? null),
    some.map(user => verifiedKey(user) ?? null),
    folds.map(fold => (takesReserved ? null : fold)),
  ]
  const found = await db.$client.query<[number, TakenMember]>({ text: takenOfNew, values, rowMode: 'array' })
  return found.rows.map(([n, member]) => ({ user: some[n - 1]!, member }))
}

/** So many as one statement sends. */
export function* inSteps(newUsers: readonly User[]): Generator<readonly User[]> {
  for (let at = 0; at < newUsers.length; at += usersPerStatement) yield newUsers.slice(at, at + usersPerStatement)
}
