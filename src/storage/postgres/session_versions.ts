/** Many rows of sessions at once, as of one version, by one statement each. Every refresh comes by here. */
import type { Session } from '../../sessions/session.ts'
import { asc, getTableColumns, sql } from '../drizzle.ts'
import { sessionFromRow, sessionRow } from '../rows.ts'
import type { Db, Query } from './connection.ts'
import { builder, prepareSelect } from './prepared.ts'
import { sessions } from './schema.ts'
import { mutableColumns } from './session_rows.ts'

/**
 * `version` is the transaction that wrote the row: whoever changes a row, or locks a changed one, finds another. `ahead` is how many seconds
 * this node's clock is before the database's.
 */
export type SessionVersion = Readonly<{ session: Session; version: string; ahead: number }>

const columns = getTableColumns(sessions)
const named = () =>
  builder
    .select({
      session: columns,
      version: sql<string>`xmin`.as('version'),
      at: sql<number>`floor(extract(epoch from clock_timestamp()))::bigint`.as('at'),
    })
    .from(sessions)
    .where(sql`${sessions.id} = any(${sql.placeholder('ids')})`)
const find = prepareSelect(named())
const findForUpdate = prepareSelect(named().orderBy(asc(sessions.id)).for('update'))

const mutable = Object.entries(mutableColumns).map(([member, column]) => ({
  member: member as keyof typeof mutableColumns,
  name: column.name,
  // Without the order in which it puts its texts.
  type: column.getSQLType().split(' ')[0]!,
}))

/**
 * Locks what is named, in the order of ids and without waiting, and updates it. Versions are compared again when a lock was had, with the
 * row as it is by then. The list of ids is hidden from the planner, which would read a small table to its end for a list of 32.
 */
const update = `
with locked as (
  select named.*
  from json_to_recordset($1) as named (id text, version xid, ${mutable.map(({ name, type }) => `"${name}" ${type}`)})
  join sessions on sessions.id = named.id and sessions.xmin = named.version
  where sessions.id = any((select $2::text[])::text[])
  order by sessions.id
  for update of sessions skip locked
)
update sessions set ${mutable.map(({ name }) => `"${name}" = locked."${name}"`)}
from locked where sessions.id = locked.id
returning sessions.id`

export const sessionVersions = {
  /**
   * In a row `rotatedAt` is the database's time, and in a session this node's: whether a refresh token is in its retry window is a matter of
   * seconds, also between nodes whose clocks are minutes apart.
   *
   * @param now the clock by which is decided
   * @returns by their ids
   */
  find: (db: Db, ids: readonly string[], now: () => number) => byId(now, () => find.all(db, { ids })),
  /** As they stay until the end of the transaction. */
  findForUpdate: (tx: Db, ids: readonly string[], now: () => number) => byId(now, () => findForUpdate.all(tx, { ids })),
  /**
   * Writes what of sessions may change, of those that nobody has changed or is about to.
   *
   * @param run  within a transaction, or as one of its own
   * @param next as they are to be, and the versions that they replace
   * @returns the ids of those that were written
   */
  async update(
    run: (query: Query) => Promise<unknown[][]>,
    next: readonly SessionVersion[],
  ): Promise<ReadonlySet<string>> {
    const rows = next.map(({ session, version, ahead }) => {
      const cells = sessionRow(ahead === 0 ? session : { ...session, rotatedAt: session.rotatedAt - ahead })
      const row: Record<string, unknown> = { id: session.id, version }
      for (const { member, name } of mutable) row[name] = cells[member]
      return row
    })
    const written = await run({ text: update, values: [JSON.stringify(rows), next.map(({ session }) => session.id)] })
    return new Set(written.map(([id]) => id as string))
  },
}

type Row = Awaited<ReturnType<typeof find.all>>[number]

async function byId(now: () => number, query: () => Promise<Row[]>): Promise<Map<string, SessionVersion>> {
  const before = now()
  const rows = await query()
  const after = now()
  const versions = rows.map(({ session: row, version, at }) => {
    // The answer may have been a while on its way: of all that may be the difference, the least.
    const ahead = Math.max(before - at, Math.min(0, after - at))
    const session = sessionFromRow(row)
    return { session: ahead === 0 ? session : { ...session, rotatedAt: session.rotatedAt + ahead }, version, ahead }
  })
  return new Map(versions.map(one => [one.session.id, one]))
}
