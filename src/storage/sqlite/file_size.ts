/** How much space a SQLite database takes, and what is left beside it. */
import { statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type Database from 'better-sqlite3'
import type { DatabaseSize } from '../storage.ts'

export function measureFile({ memory, name }: Database.Database): DatabaseSize {
  if (memory) return {}
  const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0
  const { bavail, bsize } = statfsSync(dirname(name))
  return { database: sizeOf(name), wal: sizeOf(`${name}-wal`), free: bavail * bsize }
}
