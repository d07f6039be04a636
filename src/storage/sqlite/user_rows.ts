/** Rows of users, for whoever reads or writes them within a transaction. */
import { emailKey, usernameFold, usernameKey } from '../../text.ts'
import { withAsciiDomain } from '../../users/email.ts'
import { reserveUsername, type WantedUsername } from '../../users/reserved_usernames.ts'
import type { TakingOptions } from '../../users/storage.ts'
import { hasOtherAddress, meantBy, type SignInBy, type TakenMember, type User, verifiedKey } from '../../users/user.ts'
import { and, asc, eq, getTableColumns, gt, lte, ne, or, type SQL, sql } from '../drizzle.ts'
import { optional, recordColumns, userFromRow, userRow } from '../rows.ts'
import type { Orm } from './connection.ts'
import { createPreparing } from './prepared.ts'
import { createReservedRows } from './reserved_usernames.ts'
import { pendingImports, relaxedRules, users } from './schema.ts'

/** Not of an import that is still pending. Looks no further for a user who came alone. */
export const isThere: SQL<boolean> = sql`(${users.importId} is null or not exists (select 1 from ${pendingImports} where ${pendingImports.id} = ${users.importId}))`

const value = sql.placeholder

const isOther = ne(users.id, value('id'))
/** Has the name in one of the forms that {@link usernameFold} compares; where addresses are unique, also as address. */
const hasName = or(
  eq(users.usernameKey, value('usernameKey')),
  eq(users.usernameKey, value('usernameFold')),
  eq(users.usernameFold, value('usernameFold')),
  eq(users.emailKey, value('usernameAsEmail')),
)
/** Has the address where addresses are unique, as address or as username; or has proved one that is proved. */
const hasEmail = or(
  eq(users.emailKey, value('emailKey')),
  eq(users.usernameKey, value('emailKey')),
  eq(users.usernameFold, value('emailKey')),
  eq(users.verifiedEmailKey, value('verifiedKey')),
)
/** Has what only one user can have. */
export const isNamesake = or(eq(users.id, value('id')), hasName, hasEmail)

/** @param isUnique whether addresses are: else nothing is compared with one */
export function namesOf(user: User, isUnique: boolean) {
  const { id, username, email } = user
  const fold = usernameFold(username)
  return {
    id,
    usernameKey: usernameKey(username),
    usernameFold: fold,
    usernameAsEmail: isUnique ? fold : null,
    emailKey: (isUnique ? optional(email, emailKey) : undefined) ?? null,
    verifiedKey: verifiedKey(user) ?? null,
  }
}

export function createUserRows(db: Orm) {
  const statements = prepareStatements(db)
  /** Whether an address is one user's. */
  const hasUniqueEmails = () => statements.findRelaxed.get({}) === undefined
  const reserved = createReservedRows(db)
  /** @returns what of a change another user has, or may have back */
  function takenByOther(user: User, before: User, { takesReserved }: TakingOptions = {}) {
    const names = namesOf(user, hasUniqueEmails())
    const { username } = before
    if (user.username !== username && statements.findOtherByName.get(names) !== undefined) return 'username'
    // Who has it now has it in every case and width.
    const isAnother = user.username !== username && usernameFold(user.username) !== usernameFold(username)
    if (isAnother && !takesReserved && reserved.isOfOther(user)) return 'reserved_username'
    return hasOtherAddress(user, before) && statements.findOtherByEmail.get(names) !== undefined ? 'email' : undefined
  }

  return {
    find: (id: string) => optional(statements.find.get({ id }), userFromRow),
    /** All look-ups in every case: their time tells nothing. */
    findToSignIn(name: string, by: SignInBy): User | undefined {
      const fold = usernameFold(name)
      const address = { emailKey: fold, asciiKey: usernameFold(withAsciiDomain(name)) }
      const addressed = by === 'username' ? [] : statements.findByEmail.all(address)
      const proved = by === 'username' ? undefined : statements.findByProvedEmail.get(address)
      if (by === 'email') return optional(meantBy(undefined, undefined, [], addressed, proved), userFromRow)
      const exact = statements.findByKey.get({ usernameKey: usernameKey(name) })
      const plain = statements.findByKey.get({ usernameKey: fold })
      const alike = statements.findByFold.all({ usernameFold: fold })
      return optional(meantBy(exact, plain, alike, addressed, proved), userFromRow)
    },
    /** Who has an address, or is called so. */
    findOfAddress: (email: string) =>
      optional(statements.findOfAddress.get({ emailKey: emailKey(email) ?? null, verifiedKey: null }), userFromRow),
    hasUniqueEmails,
    /** @returns what of a user another one has, undefined for nothing */
    takenOf(user: User, isUnique: boolean, { takesReserved }: TakingOptions = {}): TakenMember | undefined {
      const names = namesOf(user, isUnique)
      if (statements.findNamesake.get(names) === undefined)
        return !takesReserved && reserved.isOfOther(user) ? 'reserved_username' : undefined
      if (statements.findByName.get(names) !== undefined) return 'username'
      return statements.find.get(names) === undefined ? 'email' : 'id'
    },
    takenByOther,
    /** What a user who wants another username is told of it. */
    wanted: (user: User, username: string): WantedUsername => ({
      isTaken: takenByOther({ ...user, username }, user) !== undefined,
      renamedAt: reserved.lastGivenUpAt(user.id),
    }),
    isEmpty: () => db.select({ id: users.id }).from(users).where(isThere).limit(1).get() === undefined,
    /** @param importId the import that the user belongs to, if it is still pending */
    insert: (user: User, importId: number | null = null) => statements.insert.run({ ...userRow(user), importId }),
    /** All that may change but the name. */
    update: (user: User) => statements.update.run(userRow(user)),
    /** The name that it had is kept for it. @param at seconds since the epoch */
    rename(user: User, before: User, at: number) {
      statements.rename.run(userRow(user))
      reserved.put(reserveUsername(before, at))
    },
    remove: (id: string) => statements.remove.run({ id }),
    /** Nobody gets the name of a user who is removed for a time. */
    reserveNameOf: (user: User, at: number) => reserved.put(reserveUsername(user, at)),
    pruneReserved: reserved.prune,
    listToRemove: (at: number, limit: number) => statements.listToRemove.all({ at, limit }).map(({ id }) => id),
    passwordHashes: (after: string, limit: number) => statements.passwordHashes.all({ after, limit }),
  }
}

export type UserRows = ReturnType<typeof createUserRows>

function prepareStatements(db: Orm) {
  const { select, run } = createPreparing(db.$client)
  const findAny = (...conditions: (SQL | undefined)[]) =>
    db
      .select({ id: users.id })
      .from(users)
      .where(and(...conditions, isThere))
      .limit(1)
  return {
    // A refresh comes by here.
    find: select(
      db
        .select(recordColumns(getTableColumns(users)))
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
    // One is who is meant; of two neither is.
    findByEmail: select(
      db
        .select()
        .from(users)
        .where(and(or(eq(users.emailKey, value('emailKey')), eq(users.emailKey, value('asciiKey'))), isThere))
        .limit(2),
    ),
    findByProvedEmail: select(
      db
        .select()
        .from(users)
        .where(and(eq(users.verifiedEmailKey, value('asciiKey')), eq(users.emailKey, users.verifiedEmailKey), isThere)),
    ),
    findOfAddress: select(db.select().from(users).where(and(hasEmail, isThere)).limit(1)),
    findNamesake: select(findAny(isNamesake)),
    findByName: select(findAny(hasName)),
    findOtherByName: select(findAny(hasName, isOther)),
    findOtherByEmail: select(findAny(hasEmail, isOther)),
    findRelaxed: select(db.select().from(relaxedRules).where(eq(relaxedRules.rule, 'unique_email'))),
    // Those of a pending import are looked at too: however many it has, a page costs the same.
    passwordHashes: select(
      db
        .select({ id: users.id, passwordHash: users.passwordHash, isThere: sql<number>`${isThere}`.as('is_there') })
        .from(users)
        .where(gt(users.id, value('after')))
        .orderBy(asc(users.id))
        .limit(value('limit')),
    ),
    listToRemove: select(
      db
        .select({ id: users.id })
        .from(users)
        .where(lte(users.deleteAt, value('at')))
        .orderBy(asc(users.deleteAt))
        .limit(value('limit')),
    ),
    insert: run(
      db.insert(users).values({
        id: value('id'),
        username: value('username'),
        usernameKey: value('usernameKey'),
        usernameFold: value('usernameFold'),
        email: value('email'),
        emailKey: value('emailKey'),
        fullName: value('fullName'),
        roles: value('roles'),
        passwordHash: value('passwordHash'),
        credentialVersion: value('credentialVersion'),
        createdAt: value('createdAt'),
        disabledAt: value('disabledAt'),
        emailVerifiedAt: value('emailVerifiedAt'),
        verifiedEmailKey: value('verifiedEmailKey'),
        emailChanges: value('emailChanges'),
        language: value('language'),
        deleteAt: value('deleteAt'),
        importId: value('importId'),
      }),
    ),
    update: run(
      db
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
