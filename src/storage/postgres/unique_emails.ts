/** The rule that an address is one user's: whether it holds, and what stands in its way. */
import { emailKey } from '../../text.ts'
import type { UserStorage } from '../../users/storage.ts'
import { eq } from '../drizzle.ts'
import { takeLock } from './advisory_lock.ts'
import type { Connection, Db } from './connection.ts'
import { relaxedRules } from './schema.ts'
import { userRows } from './user_rows.ts'

/** Users whose keys one step looks at. */
const step = 1000

/** Of what no program of now has written the key, nearly what it would write. */
const key = 'coalesce(email_key, lower(normalize(email, nfkc) collate "C"))'

/** What several users are called, one of them at least by address, and how many they are. */
const shared = `
  select name, count(*) as users
  from (
    select ${key} as name, 1 as is_email from users where email is not null
    union all
    select coalesce(username_fold, username_key), 0 from users
    where strpos(coalesce(username_fold, username_key), '@') > 0
      and coalesce(username_fold, username_key) is distinct from ${key}
  ) as called
  group by name
  having count(*) > 1 and max(is_email) = 1`

export function createUniqueEmails({
  read,
  write,
}: Pick<Connection, 'read' | 'write'>): Pick<UserStorage, 'hasUniqueEmails' | 'setUniqueEmails' | 'listSharedEmails'> {
  return {
    hasUniqueEmails: () => read(userRows.hasUniqueEmails),
    async setUniqueEmails(isUnique) {
      if (isUnique === (await read(userRows.hasUniqueEmails))) return 0
      if (isUnique)
        for (let after: string | undefined = ''; after !== undefined; ) after = await fillStep({ write }, after)
      return write(async tx => {
        // Whoever makes users has it.
        await takeLock(tx, 'newcomers')
        if (!isUnique) {
          await tx.insert(relaxedRules).values({ rule: 'unique_email' }).onConflictDoNothing()
          return 0
        }
        const count = await countShared(tx)
        if (count === 0) await tx.delete(relaxedRules).where(eq(relaxedRules.rule, 'unique_email'))
        return count
      })
    },
    listSharedEmails: max =>
      read(async db => {
        const { rows } = await db.$client.query<{ name: string; users: number }>(
          `${shared} order by users desc, name limit $1`,
          [max],
        )
        const examples = []
        for (const { name, users } of rows) {
          const called = await db.$client.query<{ username: string }>(
            `select username from users where ${key} = $1 or username_key = $1 or username_fold = $1 order by username_key limit $2`,
            [name, max],
          )
          examples.push({ email: name, users, usernames: called.rows.map(({ username }) => username) })
        }
        return { count: await countShared(db), examples }
      }),
  }
}

async function countShared(db: Db): Promise<number> {
  const { rows } = await db.$client.query<{ count: number }>(`select count(*) as count from (${shared}) as shared`)
  return rows[0]!.count
}

/**
 * Writes the keys of addresses that a program of before has written, who knows of none. Short transactions: others go on.
 *
 * @returns where to go on, undefined at the end
 */
function fillStep({ write }: Pick<Connection, 'write'>, after: string): Promise<string | undefined> {
  return write(async tx => {
    const { rows } = await tx.$client.query<{ id: string; email: string; email_key: string | null }>(
      'select id, email, email_key from users where id > $1 and email is not null order by id limit $2',
      [after, step],
    )
    const stale = rows.flatMap(({ id, email, email_key: before }) => {
      const key = emailKey(email) ?? null
      return key === before ? [] : [{ id, email, key }]
    })
    if (stale.length > 0) {
      await tx.$client.query(
        `update users set email_key = new.key from unnest($1::text[], $2::text[], $3::text[]) as new (id, email, key)
          where users.id = new.id and users.email = new.email`,
        [stale.map(({ id }) => id), stale.map(({ email }) => email), stale.map(({ key }) => key)],
      )
    }
    return rows.length < step ? undefined : rows.at(-1)!.id
  })
}
