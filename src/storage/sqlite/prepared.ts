/**
 * Statements that drizzle writes and better-sqlite3 runs. drizzle's own prepared statements look at the class of each parameter and
 * column again at every run, which doubles what a look-up by primary key costs.
 */
import type Database from 'better-sqlite3'
import { is, Param, Placeholder } from '../drizzle.ts'

/** What drizzle's query builders have in common. Every value is a placeholder or stays as it is; columns are texts and integers. */
type Query = Readonly<{ toSQL: () => { sql: string; params: unknown[] } }>
type Values = Readonly<Record<string, unknown>>

type Select<Row> = Query & Readonly<{ _: { selectedFields: object }; all: () => Row[] }>

/** @returns what prepares the queries of one connection; building one costs twenty times what running it does */
export function createPreparing(database: Database.Database) {
  return {
    select: <Row>(query: Select<Row>) => prepareSelect(database, query),
    run: (query: Query) => prepareRun(database, query),
  }
}

function prepareSelect<Row>(
  database: Database.Database,
  query: Select<Row>,
): { get: (values: Values) => Row | undefined; all: (values: Values) => Row[] } {
  const { sql, bind } = compile(query)
  const statement = database.prepare<unknown[], unknown[]>(sql).raw()
  const names = Object.keys(query._.selectedFields)
  const toRow = (cells: readonly unknown[]) => {
    const row: Record<string, unknown> = {}
    for (let i = 0; i < names.length; i++) row[names[i]!] = cells[i]
    return row as Row
  }
  return {
    get(values) {
      const cells = statement.get(...bind(values))
      return cells && toRow(cells)
    },
    all: values => statement.all(...bind(values)).map(toRow),
  }
}

function prepareRun(database: Database.Database, query: Query): { run: (values: Values) => { changes: number } } {
  const { sql, bind } = compile(query)
  const statement = database.prepare<unknown[]>(sql)
  return { run: values => statement.run(...bind(values)) }
}

function compile(query: Query): { sql: string; bind: (values: Values) => unknown[] } {
  const { sql, params } = query.toSQL()
  const given = params.map(param => (is(param, Param) ? param.value : param))
  const bound = given.filter(value => typeof value !== 'number')
  const names = bound.map(value => (is(value, Placeholder) ? value.name : undefined))
  let at = 0
  return {
    // Numbers that stay as they are become part of the text: SQLite plans a statement with `limit ?` anew for every value it binds.
    sql: sql.replaceAll('?', () => {
      const value = given[at++]
      return typeof value === 'number' ? String(value) : '?'
    }),
    bind(values) {
      const cells = new Array(bound.length)
      for (let i = 0; i < bound.length; i++) {
        const name = names[i]
        cells[i] = name === undefined ? bound[i] : values[name]
      }
      return cells
    },
  }
}
