/**
 * Statements that drizzle writes once and any client runs, without a name: behind a pooler that hands a connection from transaction
 * to transaction, a name is another client's, or nobody's. Building a query costs the node ten times what sending it does.
 */
import { type Column, is, Param, Placeholder } from '../drizzle.ts'
import type { Db } from './connection.ts'
import { drizzle } from './drizzle.ts'

/** What drizzle's query builders have in common. Every value is a placeholder or stays as it is; columns are texts and whole numbers. */
type Query = Readonly<{ toSQL: () => { sql: string; params: unknown[] } }>
type Values = Readonly<Record<string, unknown>>
type Client = Pick<Db, '$client'>

type Select<Row> = Query & Readonly<{ _: { selectedFields: object }; execute: () => Promise<Row[]> }>

/** Builds queries, and runs none. */
export const builder = drizzle.mock()

export function prepareSelect<Row>(query: Select<Row>): {
  get: (db: Client, values: Values) => Promise<Row | undefined>
  all: (db: Client, values: Values) => Promise<Row[]>
} {
  const { text, bind } = compile(query)
  const toRow = prepareRow(query._.selectedFields)
  const all = async ({ $client }: Client, values: Values) => {
    const { rows } = await $client.query<unknown[]>({ text, values: bind(values), rowMode: 'array' })
    return rows.map(cells => toRow(cells) as Row)
  }
  return { all, get: async (db, values) => (await all(db, values))[0] }
}

/** Of an insert, update or delete: answers how many rows it changed. */
export function prepareRun(query: Query): { run: (db: Client, values: Values) => Promise<number> } {
  const { text, bind } = compile(query)
  return { run: async ({ $client }, values) => (await $client.query({ text, values: bind(values) })).rowCount ?? 0 }
}

/**
 * Inserts many rows by one statement, in their order. Its text is the same for any number of them: a list per column travels, and no
 * parameter of its own for each value.
 *
 * @param columns of the table, by the names that they have in a row; those that are missing get their default
 */
export function prepareInsertRows<Name extends string>(
  table: string,
  columns: Readonly<Record<Name, Column>>,
): { run: (db: Client, rows: readonly Readonly<Record<Name, string | number | null>>[]) => Promise<number> } {
  const names = Object.keys(columns) as Name[]
  const own = names.map(name => columns[name])
  // A list has the type alone, without the order in which the column puts its texts.
  const lists = own.map((column, i) => `$${i + 1}::${column.getSQLType().split(' ')[0]}[]`)
  const text = `insert into "${table}" (${own.map(({ name }) => `"${name}"`)}) select * from unnest(${lists})`
  return {
    async run({ $client }, rows) {
      const values = names.map(name => rows.map(row => row[name]))
      return (await $client.query({ text, values })).rowCount ?? 0
    },
  }
}

/** @param fields columns by their names, or plain records of them where several tables are joined */
function prepareRow(fields: object): (cells: readonly unknown[], first?: number) => object {
  const names = Object.keys(fields)
  const tables = Object.values(fields).map(field =>
    field.constructor === Object ? { toRow: prepareRow(field), width: Object.keys(field).length } : undefined,
  )
  return (cells, first = 0) => {
    const row: Record<string, unknown> = {}
    let at = first
    for (let i = 0; i < names.length; i++) {
      const table = tables[i]
      row[names[i]!] = table === undefined ? cells[at] : table.toRow(cells, at)
      at += table?.width ?? 1
    }
    return row
  }
}

function compile(query: Query): { text: string; bind: (values: Values) => unknown[] } {
  const { sql, params } = query.toSQL()
  const given = params.map(param => (is(param, Param) ? param.value : param))
  const names = given.map(value => (is(value, Placeholder) ? value.name : undefined))
  return {
    text: sql,
    bind: values => given.map((value, i) => (names[i] === undefined ? value : values[names[i]])),
  }
}
