/** Users. How one changes is in `sessions.ts`, because that ends sessions. */
import { usernameKey } from '../../text.ts'
import type { UserStorage } from '../../users/storage.ts'
import { takenAmong, type User } from '../../users/user.ts'
import { and, asc, gt } from '../drizzle.ts'
import { userFromRow } from '../rows.ts'
import type { Connection } from './connection.ts'
import { read } from './group_commit.ts'
import type { Imports } from './import.ts'
import { users } from './schema.ts'
import { isThere, type UserRows } from './user_rows.ts'

export function createUserStorage(
  { db, write, record, change }: Connection,
  rows: UserRows,
  imports: Imports,
): UserStorage {
  // In one transaction: each look-up outside of one takes a lock and gives it back.
  const findTakenUsers = (newUsers: readonly User[]) =>
    read(() => db.$client.transaction(() => takenAmong(newUsers, rows.isTaken)).deferred())

  return {
    findUser: id => read(() => rows.find(id)),
    findUserByUsername: username => read(() => rows.findByUsername(username)),
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
    findTakenUsers,
    createUsers: (newUsers, event) =>
      write(() => {
        const taken = takenAmong(newUsers, rows.isTaken)
        if (taken.length > 0) return taken
        for (const user of newUsers) {
          imports.claim(user)
          rows.insert(user)
          record({ ...event, userId: user.id })
        }
        return []
      }),
    importUsers: async (newUsers, event, now) => {
      const taken = await findTakenUsers(newUsers)
      return taken.length > 0 ? taken : imports.importUsers(newUsers, event, now)
    },
    updateUser: (userId, update, event, insist) =>
      write(() => {
        const before = rows.find(userId)
        if (before === undefined) return undefined
        insist?.(before)
        const user = { ...before, ...update }
        if (user.username !== before.username) {
          if (rows.isNameTaken(user)) return 'taken'
          imports.claim(user)
          rows.rename(user)
        }
        rows.update(user)
        record(event)
        return user
      }),
    pruneImports: imports.prune,
    removeUser: async (userId, event) => (await change(event, () => rows.remove(userId))) > 0,
  }
}
