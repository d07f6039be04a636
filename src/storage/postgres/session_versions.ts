/** Many rows of sessions at once, as of one version, by one statement each. Every refresh comes by here. */
import type { Session } from '../../sessions/session.ts'
import { asc, getTableColumns, sql } from '../drizzle.ts'
import { sessionFromRow, sessionRow } from '../rows.ts'
import type { Db, Query } from './connection.ts'
import { builder, prepareSelect } from './prepared.ts'
import { sessions } from './schema.ts'
import { mutableColumns } from './session_rows.ts'

/** `version` is the transaction that wrote the row: whoever changes a row, or locks a changed one, finds another. */
export type SessionVersion = Readonly<{ session: Session; version: string }>

const columns = getTableColumns(sessions)
const named = () =>
  builder
    .select({ session: columns, version: sql<string>`xmin`.as('version') })
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
  /** @returns by their ids */
  find: async (db: Db, ids: readonly string[]) => byId(await find.all(db, { ids })),
  /** As they stay until the end of the transaction. */
  findForUpdate: async (tx: Db, ids: readonly string[]) => byId(await findForUpdate.all(tx, { ids })),
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
    const rows = next.map(({ session, version }) => {
      const cells = sessionRow(session)
      const row: Record<string, unknown> = { id: session.id, version }
      for (const { member, name } of mutable) row[name] = cells[member]
      return row
    })
    const written = await run({ text: update, values: [JSON.stringify(rows), next.map(({ session }) => session.id)] })
    return new Set(written.map(([id]) => id as string))
  },
}

type Row = Awaited<ReturnType<typeof find.all>>[number]

function byId(rows: readonly Row[]): Map<string, SessionVersion> {
  return new Map(rows.map(({ session, version }) => [session.id, { session: sessionFromRow(session), version }]))
}
