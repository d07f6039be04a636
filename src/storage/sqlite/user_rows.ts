/** Rows of users, for whoever reads or writes them within a transaction. */
import { usernameFold, usernameKey } from '../../text.ts'
import { meantBy, type User } from '../../users/user.ts'
import { and, asc, eq, gt, ne, or, type SQL, sql } from '../drizzle.ts'
import { optional, userFromRow, userRow } from '../rows.ts'
import type { Orm } from './connection.ts'
import { createPreparing } from './prepared.ts'
import { pendingImports, users } from './schema.ts'

/** Not of an import that is still pending. Looks no further for a user who came alone. */
export const isThere: SQL<boolean> = sql`(${users.importId} is null or not exists (select 1 from ${pendingImports} where ${pendingImports.id} = ${users.importId}))`

const value = sql.placeholder

/** Has the id, or the name in one of the forms that {@link usernameFold} compares. */
export const isNamesake = or(
  eq(users.id, value('id')),
  eq(users.usernameKey, value('usernameKey')),
  eq(users.usernameKey, value('usernameFold')),
  eq(users.usernameFold, value('usernameFold')),
)

export function namesOf({ id, username }: Pick<User, 'id' | 'username'>) {
  return { id, usernameKey: usernameKey(username), usernameFold: usernameFold(username) }
}

export function createUserRows(db: Orm) {
  const statements = prepareStatements(db)
  return {
    find: (id: string) => optional(statements.find.get({ id }), userFromRow),
    /** All look-ups in every case: their time tells nothing. */
    findByUsername(username: string): User | undefined {
      const fold = usernameFold(username)
      const exact = statements.findByKey.get({ usernameKey: usernameKey(username) })
      const plain = statements.findByKey.get({ usernameKey: fold })
      const alike = statements.findByFold.all({ usernameFold: fold })
      return optional(meantBy(exact, plain, alike), userFromRow)
    },
    isTaken: (user: User) => statements.findNamesake.get(namesOf(user)) !== undefined,
    /** By another user. */
    isNameTaken: (user: User) => statements.findOtherNamesake.get(namesOf(user)) !== undefined,
    isEmpty: () => db.select({ id: users.id }).from(users).where(isThere).limit(1).get() === undefined,
    /** @param importId the import that the user belongs to, if it is still pending */
    insert: (user: User, importId: number | null = null) => statements.insert.run({ ...userRow(user), importId }),
    /** All that may change but the name. */
    update: (user: User) => statements.update.run(userRow(user)),
    rename: (user: User) => statements.rename.run(userRow(user)),
    remove: (id: string) => statements.remove.run({ id }),
    passwordHashes: (after: string, limit: number) => statements.passwordHashes.all({ after, limit }),
  }
}

export type UserRows = ReturnType<typeof createUserRows>

function prepareStatements(db: Orm) {
  const { select, run } = createPreparing(db.$client)
  return {
    find: select(
      db
        .select()
        .from(users)
        .where(and(eq(users.id, value('id')), isThere)),
    ),
    findByKey: select(
      db
        .select()
        .from(users)
        .where(and(eq(users.usernameKey, value('usernameKey')), isThere)),
    ),
    // One is who is meant; of two neither is.
    findByFold: select(
      db
        .select()
        .from(users)
        .where(and(eq(users.usernameFold, value('usernameFold')), isThere))
        .limit(2),
    ),
    findNamesake: select(db.select({ id: users.id }).from(users).where(and(isNamesake, isThere)).limit(1)),
    findOtherNamesake: select(
      db
        .select({ id: users.id })
        .from(users)
        .where(and(isNamesake, ne(users.id, value('id')), isThere))
        .limit(1),
    ),
    // Those of a pending import are looked at too: however many it has, a page costs the same.
    passwordHashes: select(
      db
        .select({ id: users.id, passwordHash: users.passwordHash, isThere: sql<number>`${isThere}`.as('is_there') })
        .from(users)
        .where(gt(users.id, value('after')))
        .orderBy(asc(users.id))
        .limit(value('limit')),
    ),
    insert: run(
      db.insert(users).values({
        id: value('id'),
        username: value('username'),
        usernameKey: value('usernameKey'),
        usernameFold: value('usernameFold'),
        email: value('email'),
        fullName: value('fullName'),
        roles: value('roles'),
        passwordHash: value('passwordHash'),
        credentialVersion: value('credentialVersion'),
        createdAt: value('createdAt'),
        disabledAt: value('disabledAt'),
        importId: value('importId'),
      }),
    ),
    update: run(
      db
        .update(users)
        .set({
          email: sql`${value('email')}`,
          fullName: sql`${value('fullName')}`,
          roles: sql`${value('roles')}`,
          passwordHash: sql`${value('passwordHash')}`,
          credentialVersion: sql`${value('credentialVersion')}`,
          disabledAt: sql`${value('disabledAt')}`,
        })
        .where(eq(users.id, value('id'))),
    ),
    rename: run(
      db
        .update(users)
        .set({
          username: sql`${value('username')}`,
          usernameKey: sql`${value('usernameKey')}`,
          usernameFold: sql`${value('usernameFold')}`,
        })
        .where(eq(users.id, value('id'))),
    ),
    remove: run(db.delete(users).where(eq(users.id, value('id')))),
  }
}
