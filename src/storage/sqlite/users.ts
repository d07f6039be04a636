/** Users. How one changes is in `sessions.ts`, because that ends sessions. */
import { usernameKey } from '../../text.ts'
import type { TakingOptions, UserStorage } from '../../users/storage.ts'
import { hasOtherAddress, takenAmong, type User, updatedUser } from '../../users/user.ts'
import { and, asc, gt } from '../drizzle.ts'
import { userFromRow } from '../rows.ts'
import type { Connection } from './connection.ts'
import { read } from './group_commit.ts'
import type { Imports } from './import.ts'
import type { OnceRows } from './once.ts'
import { users } from './schema.ts'
import { createUniqueEmails } from './unique_emails.ts'
import { isThere, type UserRows } from './user_rows.ts'

export function createUserStorage(
  { db, write, record, change }: Connection,
  rows: UserRows,
  imports: Imports,
  once: OnceRows,
): UserStorage {
  const findTaken = (newUsers: readonly User[], isUnique: boolean, options?: TakingOptions) =>
    takenAmong(newUsers, user => rows.takenOf(user, isUnique, options), isUnique)
  // In one transaction: each look-up outside of one takes a lock and gives it back.
  const findTakenNow = (newUsers: readonly User[], options?: TakingOptions) =>
    read(() =>
      db.$client
        .transaction(() => {
          const isUnique = rows.hasUniqueEmails()
          return { isUnique, taken: findTaken(newUsers, isUnique, options) }
        })
        .deferred(),
    )

  return {
    findUser: id => read(() => rows.find(id)),
    findUserByUsername: username => read(() => rows.findToSignIn(username, 'username')),
    findUserToSignIn: (name, by) => read(() => rows.findToSignIn(name, by)),
    listUsers: page =>
      read(() => {
        const after = page?.after === undefined ? undefined : gt(users.usernameKey, usernameKey(page.after))
        const query = db.select().from(users).where(and(after, isThere)).orderBy(asc(users.usernameKey))
        // A limit of -1 is none.
        return query
          .limit(page?.limit ?? -1)
          .all()
          .map(userFromRow)
      }),
    samplePasswordHashes: (after, limit) =>
      read(() => {
        const page = rows.passwordHashes(after, limit)
        const hashes = page.filter(row => row.isThere === 1 && row.passwordHash !== '').map(row => row.passwordHash)
        return { hashes, next: page.length < limit ? '' : page.at(-1)!.id }
      }),
    findTakenUsers: async (newUsers, options) => (await findTakenNow(newUsers, options)).taken,
    createUsers: (newUsers, event, options) =>
      write(() => {
        const taken = findTaken(newUsers, rows.hasUniqueEmails(), options)
        if (taken.length > 0) return taken
        for (const user of newUsers) {
          imports.claim(user)
          rows.insert(user)
          record({ ...event, userId: user.id })
        }
        return []
      }),
    createProvenUser: (user, use, event) =>
      write(() => {
        const member = rows.takenOf(user, true)
        if (member === 'email') return 'email_taken'
        if (once.isConsumed(use.id)) return 'used'
        if (member !== undefined) return 'username_taken'
        once.consume(use.id, use.expiresAt)
        imports.claim(user)
        rows.insert(user)
        record(event)
        return 'created'
      }),
    findUserOfAddress: email => read(() => rows.findOfAddress(email)),
    importUsers: async (newUsers, event, now, options) => {
      const { taken, isUnique } = await findTakenNow(newUsers, options)
      return taken.length > 0 ? taken : imports.importUsers(newUsers, event, now, { wasUnique: isUnique, ...options })
    },
    updateUser: (userId, update, event, insist, options) =>
      write(() => {
        const before = rows.find(userId)
        if (before === undefined) return undefined
        insist?.(before)
        const user = updatedUser(before, update)
        const member = rows.takenByOther(user, before, options)
        if (member !== undefined) return `${member}_taken` as const
        if (user.username !== before.username || hasOtherAddress(user, before)) imports.claim(user)
        if (user.username !== before.username) rows.rename(user, before, event.at)
        rows.update(user)
        record(event)
        return user
      }),
    ...createUniqueEmails({ db, write }, rows, imports),
    pruneImports: imports.prune,
    removeUser: async (userId, event, insist) => {
      const removed = await change(event, () => {
        const user = rows.find(userId)
        if (user === undefined) return { changes: 0 }
        insist?.(user)
        rows.reserveNameOf(user, event.at)
        return rows.remove(userId)
      })
      return removed > 0
    },
    listUsersToRemove: (at, limit) => read(() => rows.listToRemove(at, limit)),
    pruneReservedUsernames: before => write(() => rows.pruneReserved(before)),
  }
}
