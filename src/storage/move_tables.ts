/** What a move takes from one database to the other. */
import type { AuditEvent } from '../audit/audit.ts'
import { getTableColumns, getTableName } from './drizzle.ts'
import { auditRow } from './rows.ts'
import {
  attemptCounters,
  auditEvents,
  clients,
  consumedIds,
  factors,
  keptAnswers,
  knownNetworks,
  lastStart,
  mails,
  masterSecrets,
  relaxedRules,
  reservedUsernames,
  sessions,
  signingKeys,
  trailReaders,
  users,
  webhooks,
} from './sqlite/schema.ts'

type Table = Parameters<typeof getTableName>[0]

export type Cell = string | number | null

/** What of a table is moved; columns that one dialect alone has are not among them. */
export type TableShape = Readonly<{
  name: string
  columns: readonly string[]
  /** Columns of numbers; all others are texts. */
  numbers: ReadonlySet<string>
  /** The columns of the primary key, by which its rows are put in order: as bytes. */
  key: readonly string[]
  /** Columns for people, in which a character that the target cannot hold is replaced. */
  labels: ReadonlySet<string>
}>

export const auditShape = shape(auditEvents, ['id'], ['detail'])

/** In an order in which every row finds those that it refers to. Each table of the program but `moves` and `leases`, which are of one database, and `pending_imports`, which is SQLite's way to write many users. */
export const tableShapes: readonly TableShape[] = [
  shape(users, ['id'], ['full_name']),
  shape(clients, ['id'], ['name']),
  shape(sessions, ['id'], ['device', 'user_agent', 'user_agent_before']),
  shape(factors, ['id'], ['name']),
  shape(signingKeys, ['kid']),
  shape(masterSecrets, ['name']),
  shape(lastStart, ['id']),
  shape(relaxedRules, ['rule']),
  shape(consumedIds, ['id']),
  shape(keptAnswers, ['id']),
  shape(webhooks, ['id'], ['last_error']),
  shape(reservedUsernames, ['fold']),
  shape(mails, ['id'], ['about', 'last_error']),
  shape(trailReaders, ['name']),
  shape(attemptCounters, ['id']),
  shape(knownNetworks, ['who', 'network']),
  auditShape,
]

function shape(table: Table, key: readonly string[], labels: readonly string[] = []): TableShape {
  const columns = Object.values(getTableColumns(table)).filter(({ name }) => name !== 'import_id')
  return {
    name: getTableName(table),
    columns: columns.map(({ name }) => name),
    numbers: new Set(columns.filter(({ dataType }) => dataType === 'number').map(({ name }) => name)),
    key,
    labels: new Set(labels),
  }
}

/** The row of an event, in the order of {@link auditShape}. */
export function eventCells(id: number, event: AuditEvent): Cell[] {
  const row: Record<string, Cell> = { id, ...auditRow(event) }
  return Object.keys(getTableColumns(auditEvents)).map(property => row[property]!)
}
