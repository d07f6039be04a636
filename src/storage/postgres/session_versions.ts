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
/** A session as it is to be. */
export type Replacement = Readonly<{ session: Session; before: SessionVersion }>

const columns = getTableColumns(sessions)
const named = () =>
  builder
    .select({ session: columns, version: sql<string>`xmin`.as('version') })
    .from(sessions)
    .where(sql`${sessions.id} = any(${sql.placeholder('ids')})`)
const find = prepareSelect(named())
const findForUpdate = prepareSelect(named().orderBy(asc(sessions.id)).for('update'))

type Member = keyof typeof mutableColumns

/** What a rotation changes, but for one from elsewhere or the first in an hour. */
const rotation: readonly Member[] = ['generation', 'parentGeneration', 'rotatedAt', 'lastSeenAt', 'idleExpiresAt']
const members = Object.keys(mutableColumns) as Member[]
const others = members.filter(member => !rotation.includes(member))
const updates = { rotation: prepareUpdate(rotation), any: prepareUpdate(members) }

/**
 * Locks what is named, in the order of ids and without waiting, and updates it. Versions are compared again when a lock was had, with the
 * row as it is by then. The list of ids is hidden from the planner, which would read a small table to its end for a list of 32.
 *
 * @param changed columns; a list for each of them is sent
 */
function prepareUpdate(changed: readonly Member[]): (next: readonly Replacement[]) => Query {
  const own = changed.map(member => mutableColumns[member])
  const names = own.map(({ name }) => `"${name}"`)
  // A list has the type alone, without the order in which the column puts its texts.
  const types = own.map(column => column.getSQLType().split(' ')[0])
  const text = `
with locked as (
  select named.*
  from unnest($1::text[], $2::xid[], ${types.map((type, i) => `$${i + 3}::${type}[]`)}) as named (id, version, ${names})
  join sessions on sessions.id = named.id and sessions.xmin = named.version
  where sessions.id = any((select $1::text[])::text[])
  order by sessions.id
  for update of sessions skip locked
)
update sessions set ${names.map(name => `${name} = locked.${name}`)}
from locked where sessions.id = locked.id
returning sessions.id`
  return next => {
    const rows = next.map(({ session }) => sessionRow(session))
    const lists = changed.map((member, i) => {
      const cells = rows.map(row => row[member])
      return types[i] === 'bigint' ? formatNumbers(cells) : cells
    })
    const versions = formatNumbers(next.map(({ before }) => before.version))
    return { text, values: [next.map(({ session }) => session.id), versions, ...lists] }
  }
}

/** Numbers need no quotes, which the driver would look for in each. */
function formatNumbers(cells: readonly unknown[]): string {
  return `{${cells.map(cell => cell ?? 'NULL').join()}}`
}

export const sessionVersions = {
  /** @returns by their ids */
  find: async (db: Db, ids: readonly string[]) => byId(await find.all(db, { ids })),
  /** As they stay until the end of the transaction. */
  findForUpdate: async (tx: Db, ids: readonly string[]) => byId(await findForUpdate.all(tx, { ids })),
  /**
   * Writes what of sessions may change, of those that nobody has changed or is about to.
   *
   * @param run  within a transaction, or as one of its own
   * @returns the ids of those that were written
   */
  async update(
    run: (query: Query) => Promise<unknown[][]>,
    next: readonly Replacement[],
  ): Promise<ReadonlySet<string>> {
    const prepared = next.every(isRotation) ? updates.rotation : updates.any
    const written = await run(prepared(next))
    return new Set(written.map(([id]) => id as string))
  },
}

function isRotation({ session, before }: Replacement): boolean {
  return others.every(member => session[member] === before.session[member])
}

type Row = Awaited<ReturnType<typeof find.all>>[number]

function byId(rows: readonly Row[]): Map<string, SessionVersion> {
  return new Map(rows.map(({ session, version }) => [session.id, { session: sessionFromRow(session), version }]))
}
