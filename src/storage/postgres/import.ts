/**
 * Imports of many users in one transaction, beside which others write. Their rows first go to a table that only this transaction sees.
 * When all are at the server, they become users at once: only for that, seconds for hundreds of thousands, other new users and clients
 * have to wait, and never for a network or a program.
 */
import type { TakingOptions, UserStorage } from '../../users/storage.ts'
import type { User } from '../../users/user.ts'
import { getTableColumns } from '../drizzle.ts'
import { userRow } from '../rows.ts'
import { takeLock } from './advisory_lock.ts'
import { insertEvents } from './audit.ts'
import type { Connection, Db } from './connection.ts'
import { prepareInsertRows } from './prepared.ts'
import { users } from './schema.ts'
import { findTakenUsers, inSteps, userRows } from './user_rows.ts'

const columns = getTableColumns(users)
const names = Object.values(columns).map(({ name }) => name)
const insertStaged = prepareInsertRows('newcomers', columns)

/** Milliseconds that it waits for another import at its end. Nobody waits for this one yet. */
const maxWait = 8000
/** Rows of which one statement makes users: well below the time that a statement has. */
const step = 10_000

/** How often an import looks anew what is taken, when something was taken after it had looked and is free again. */
const maxTries = 3

/** A name, an id or an address was taken after it was found free, or addresses became unique meanwhile. */
class Taken extends Error {}

export function createImport({ read, write }: Pick<Connection, 'read' | 'write'>): UserStorage['importUsers'] {
  return async (newUsers, event, _, options) => {
    for (let tries = 1; ; tries++) {
      const { taken, isUnique } = await read(async db => ({
        isUnique: await userRows.hasUniqueEmails(db),
        taken: await findTakenUsers(db, newUsers, options),
      }))
      if (taken.length > 0) return taken
      try {
        await write(async tx => {
          await stage(tx, newUsers)
          await tx.$client.query(`set local lock_timeout = ${maxWait}`)
          await takeLock(tx, 'newcomers')
          // What is unique now was not compared with one another then.
          if (!isUnique && (await userRows.hasUniqueEmails(tx))) throw new Taken()
          await publish(tx, newUsers.length, isUnique, options)
          await insertEvents(tx, [{ ...event, count: newUsers.length }])
        })
        return []
      } catch (error) {
        if (!(error instanceof Taken) || tries === maxTries) throw error
      }
    }
  }
}

async function stage(tx: Db, newUsers: readonly User[]): Promise<void> {
  await tx.$client.query(
    'create temp table newcomers (like users, n bigint generated always as identity primary key) on commit drop',
  )
  for (const some of inSteps(newUsers)) await insertStaged.run(tx, some.map(userRow))
}

const hasTakenEmail = `
      or exists (select from users where users.email_key = newcomers.email_key)
      or exists (select from users where users.email_key = coalesce(newcomers.username_fold, newcomers.username_key))
      or exists (select from users where users.username_key = newcomers.email_key)
      or exists (select from users where users.username_fold = newcomers.email_key)`

const isReserved = `
      or exists (select from reserved_usernames as kept
        where kept.fold = coalesce(newcomers.username_fold, newcomers.username_key) and kept.user_id <> newcomers.id)`

/** Under the lock of newcomers. Ids and names as they are looked up are unique by their indexes; it is the other form that has to be compared. */
async function publish(tx: Db, count: number, isUnique: boolean, { takesReserved }: TakingOptions = {}): Promise<void> {
  const { rowCount } = await tx.$client.query(`select from newcomers
    where exists (select from users where users.username_fold = coalesce(newcomers.username_fold, newcomers.username_key))
      or newcomers.username_fold is not null
        and exists (select from users where users.username_key = newcomers.username_fold)
      ${isUnique ? hasTakenEmail : ''}
      ${takesReserved ? '' : isReserved}
    limit 1`)
  if (rowCount !== 0) throw new Taken()
  for (let from = 0; from < count; from += step) {
    const inserted = await tx.$client.query({
      text: `insert into users (${names}) select ${names} from newcomers where n > $1 and n <= $2 on conflict do nothing`,
      values: [from, from + step],
    })
    if (inserted.rowCount !== Math.min(step, count - from)) throw new Taken()
  }
}
