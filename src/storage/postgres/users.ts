/** Users. How one changes is in `sessions.ts`, because that ends sessions. */
import { usernameKey } from '../../text.ts'
import type { UserStorage } from '../../users/storage.ts'
import { updatedUser } from '../../users/user.ts'
import { asc, gt } from '../drizzle.ts'
import { userFromRow } from '../rows.ts'
import { takeLock } from './advisory_lock.ts'
import type { Connection } from './connection.ts'
import { onceRows } from './once.ts'
import { reservedRows } from './reserved_usernames.ts'
import { users } from './schema.ts'
import { createUniqueEmails } from './unique_emails.ts'
import { findTakenUsers, userRows } from './user_rows.ts'

export function createUserStorage(
  { read, write, record, change }: Connection,
  importUsers: UserStorage['importUsers'],
): UserStorage {
  return {
    findUser: id => read(db => userRows.find(db, id)),
    findUserByUsername: username => read(db => userRows.findToSignIn(db, username, 'username')),
    findUserToSignIn: (name, by) => read(db => userRows.findToSignIn(db, name, by)),
    listUsers: page =>
      read(async db => {
        const after = page?.after === undefined ? undefined : gt(users.usernameKey, usernameKey(page.after))
        const query = db.select().from(users).where(after).orderBy(asc(users.usernameKey)).$dynamic()
        return (await (page === undefined ? query : query.limit(page.limit))).map(userFromRow)
      }),
    samplePasswordHashes: (after, limit) =>
      read(async db => {
        const page = await userRows.passwordHashes(db, after, limit)
        const hashes = page.filter(row => row.passwordHash !== '').map(row => row.passwordHash)
        return { hashes, next: page.length < limit ? '' : page.at(-1)!.id }
      }),
    findTakenUsers: (newUsers, options) => read(db => findTakenUsers(db, newUsers, options)),
    createUsers: (newUsers, event, options) =>
      write(async tx => {
        await takeLock(tx, 'newcomers')
        const taken = await findTakenUsers(tx, newUsers, options)
        if (taken.length > 0) return taken
        await userRows.insert(tx, newUsers)
        await record(tx, ...newUsers.map(({ id }) => ({ ...event, userId: id })))
        return []
      }),
    createProvenUser: (user, use, event) =>
      write(async tx => {
        await takeLock(tx, 'newcomers')
        const [taken] = await findTakenUsers(tx, [user], { hasOwnEmail: true })
        if (taken?.member === 'email') return 'email_taken'
        if (await onceRows.isConsumed(tx, use.id)) return 'used'
        if (taken !== undefined) return 'username_taken'
        // All who use one up for this have the lock of newcomers.
        await onceRows.consume(tx, use)
        await userRows.insert(tx, [user])
        await record(tx, event)
        return 'created'
      }),
    findUserOfAddress: email => read(db => userRows.findOfAddress(db, email)),
    importUsers,
    updateUser: (userId, update, event, insist, options) =>
      write(async tx => {
        const isNamed = update.username !== undefined
        // Before the row, as whoever comes newly has it.
        if (isNamed || update.email !== undefined || update.emailVerifiedAt !== undefined)
          await takeLock(tx, 'newcomers')
        const before = await (isNamed ? userRows.findForRename(tx, userId) : userRows.findForUpdate(tx, userId))
        if (before === undefined) return undefined
        insist?.(before)
        const user = updatedUser(before, update)
        const member = await userRows.takenByOther(tx, user, before, options)
        if (member !== undefined) return `${member}_taken` as const
        if (user.username !== before.username) await userRows.rename(tx, user, before, event.at)
        await userRows.update(tx, user)
        await record(tx, event)
        return user
      }),
    ...createUniqueEmails({ read, write }),
    // An import is one transaction: nothing is left of one that did not end.
    pruneImports: async () => false,
    removeUser: async (userId, event, insist) => {
      const removed = await change(event, async tx => {
        const user = await userRows.findForUpdate(tx, userId)
        if (user === undefined) return 0
        insist?.(user)
        const count = await userRows.remove(tx, userId)
        if (count > 0) await userRows.reserveNameOf(tx, user, event.at)
        return count
      })
      return removed > 0
    },
    listUsersToRemove: (at, limit) => read(db => userRows.listToRemove(db, at, limit)),
    pruneReservedUsernames: before => write(tx => reservedRows.prune(tx, before)),
  }
}
