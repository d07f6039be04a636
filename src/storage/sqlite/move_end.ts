/** A SQLite file as the one or the other end of a move. */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import type Database from 'better-sqlite3'
import { type MoveEnd, type MovingDatabase, maxRows } from '../move.ts'
import { type Cell, type TableShape, tableShapes } from '../move_tables.ts'
import { insistOnVersion, inspectSqlite } from './file.ts'
import { migrate, openDatabase } from './migrate.ts'
import { allowWrites, listMoves, refuseWrites } from './moves.ts'

/** Milliseconds that a server may take for what it is writing. */
const maxWait = 5000

const everyTable = [...tableShapes.map(({ name }) => name), 'pending_imports']

/** @throws Error in one line: there is none, or it is of another version */
export function openSqliteSource(file: string): MoveEnd {
  const path = resolve(file)
  insistOnVersion(path)
  const { damage } = inspectSqlite(path)
  if (damage.length > 0) throw new Error(`the database ${path} is damaged: ${damage[0]}; run latchkey doctor`)
  return createEnd(openDatabase(path), path)
}

/** Creates and migrates it as needed. @throws Error in one line */
export function openSqliteTarget(file: string): MoveEnd {
  const path = resolve(file)
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) throw new Error(`${path} is no file`)
  const database = openDatabase(path)
  try {
    migrate(database, path)
    return createEnd(database, path)
  } catch (error) {
    database.close()
    throw error
  }
}

function createEnd(database: Database.Database, path: string): MoveEnd {
  database.pragma(`busy_timeout = ${maxWait}`)
  const moving = createMoving(database)
  return {
    place: `file:${path}`,
    holdsNul: true,
    async alone(run) {
      begin(database, path)
      try {
        const result = await run(moving)
        database.exec('COMMIT')
        return result
      } finally {
        if (database.inTransaction) database.exec('ROLLBACK')
      }
    },
    async close() {
      database.close()
    },
  }
}

function begin(database: Database.Database, path: string): void {
  try {
    database.exec('BEGIN IMMEDIATE')
  } catch (error) {
    throw new Error(`cannot hold ${path} for a move: ${(error as Error).message}`, { cause: error })
  }
}

function createMoving(database: Database.Database): MovingDatabase {
  return {
    listMoves: async () => listMoves(database),
    putMove: async ({ id, state, place, at }) =>
      void database
        .prepare('INSERT OR REPLACE INTO moves (id, state, place, at) VALUES (?, ?, ?, ?)')
        .run(id, state, place, at),
    removeMove: async id => void database.prepare('DELETE FROM moves WHERE id = ?').run(id),
    readRows: async (table, after) => {
      const { sql, values } = selectRows(table, after)
      return database.prepare(sql).raw().all(values) as Cell[][]
    },
    countRows: async ({ name }) => database.prepare(`SELECT count(*) FROM "${name}"`).pluck().get() as number,
    insertRows: async ({ name, columns }, rows) => {
      const list = columns.map(column => `"${column}"`).join(', ')
      const insert = database.prepare(`INSERT INTO "${name}" (${list}) VALUES (${columns.map(() => '?').join(', ')})`)
      for (const row of rows) insert.run(row)
    },
    removeRows: async ({ name }) => void database.exec(`DELETE FROM "${name}"`),
    lastEventId: async () =>
      (database.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'audit_events'").pluck().get() as
        | number
        | undefined) ?? 0,
    raiseLastEventId: async id => {
      // SQLite has a row there only once there was an event.
      database
        .prepare(
          "INSERT INTO sqlite_sequence (name, seq) SELECT 'audit_events', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'audit_events')",
        )
        .run()
      database.prepare("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'audit_events'").run(id)
    },
    refuseWrites: async () => refuseWrites(database, everyTable),
    allowWrites: async () => allowWrites(database, everyTable),
  }
}

/** Nobody has seen the users of an import that is not whole: they are not moved. */
const isSeen = '(import_id IS NULL OR import_id NOT IN (SELECT id FROM pending_imports))'

function selectRows({ name, columns, key }: TableShape, after: readonly Cell[] | undefined) {
  const quote = (names: readonly string[]) => names.map(column => `"${column}"`).join(', ')
  const conditions = [
    ...(name === 'users' ? [isSeen] : []),
    ...(after === undefined ? [] : [`(${quote(key)}) > (${key.map(() => '?').join(', ')})`]),
  ]
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
  return {
    sql: `SELECT ${quote(columns)} FROM "${name}"${where} ORDER BY ${quote(key)} LIMIT ${maxRows}`,
    values: after ?? [],
  }
}
