/** Moves of all that is in a SQLite file, and triggers that refuse writes: running servers have the file open. */
import type Database from 'better-sqlite3'
import { type Move, movedMessage } from '../moved.ts'

const writes = ['INSERT', 'UPDATE', 'DELETE'] as const

/** Of a database of any version. */
export function listMoves(database: Database.Database): Move[] {
  const hasTable = database.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'moves'").get()
  if (hasTable === undefined) return []
  return database.prepare('SELECT id, state, place, at FROM moves').all() as Move[]
}

export function refuseWrites(database: Database.Database, tables: readonly string[]): void {
  for (const [table, write] of pairs(tables)) {
    database.exec(
      `CREATE TRIGGER "${nameOf(table, write)}" BEFORE ${write} ON "${table}" BEGIN SELECT RAISE(ABORT, '${movedMessage}'); END`,
    )
  }
}

export function allowWrites(database: Database.Database, tables: readonly string[]): void {
  for (const [table, write] of pairs(tables)) database.exec(`DROP TRIGGER IF EXISTS "${nameOf(table, write)}"`)
}

function pairs(tables: readonly string[]): [string, (typeof writes)[number]][] {
  return tables.flatMap(table => writes.map(write => [table, write] as [string, (typeof writes)[number]]))
}

function nameOf(table: string, write: string): string {
  return `${table}_moved_${write.toLowerCase()}`
}
