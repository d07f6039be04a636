/** The rule that an address is one user's: whether it holds, and what stands in its way. */
import type { SharedEmails, UserStorage } from '../../users/storage.ts'
import { eq, sql } from '../drizzle.ts'
import type { Connection } from './connection.ts'
import { read } from './group_commit.ts'
import type { Imports } from './import.ts'
import { relaxedRules, users } from './schema.ts'
import { isThere, type UserRows } from './user_rows.ts'

/** What several users are called, one of them at least by address, and how many they are. */
const shared = sql`
  select name, count(*) as users
  from (
    select email_key as name, 1 as is_email from users where email_key is not null and ${isThere}
    union all
    select coalesce(username_fold, username_key), 0 from users
    where instr(coalesce(username_fold, username_key), '@') > 0
      and coalesce(username_fold, username_key) is not email_key and ${isThere}
  )
  group by name
  having count(*) > 1 and max(is_email) = 1`

export function createUniqueEmails(
  { db, write }: Pick<Connection, 'db' | 'write'>,
  rows: UserRows,
  imports: Imports,
): Pick<UserStorage, 'hasUniqueEmails' | 'setUniqueEmails' | 'listSharedEmails'> {
  const countShared = () => db.get<{ count: number }>(sql`select count(*) as count from (${shared})`).count

  return {
    hasUniqueEmails: () => read(rows.hasUniqueEmails),
    setUniqueEmails: isUnique =>
      write(() => {
        if (isUnique === rows.hasUniqueEmails()) return 0
        if (!isUnique) {
          db.insert(relaxedRules).values({ rule: 'unique_email' }).run()
          return 0
        }
        const count = countShared()
        if (count > 0) return count
        imports.loseAll()
        db.delete(relaxedRules).where(eq(relaxedRules.rule, 'unique_email')).run()
        return 0
      }),
    listSharedEmails: max =>
      read((): SharedEmails => {
        const most = db.all<{ name: string; users: number }>(sql`${shared} order by 2 desc, 1 limit ${max}`)
        const examples = most.map(({ name, users: count }) => {
          const called = db.all<{ username: string }>(
            sql`select username from ${users} where (email_key = ${name} or username_key = ${name} or username_fold = ${name}) and ${isThere} order by username_key limit ${max}`,
          )
          return { email: name, users: count, usernames: called.map(({ username }) => username) }
        })
        return { count: countShared(), examples }
      }),
  }
}
