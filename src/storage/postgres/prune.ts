/** Forgetting, in steps, what has expired. */
import { inArray, lte, sql } from '../drizzle.ts'
import { pruneBatch } from './connection.ts'
import { builder, prepareRun } from './prepared.ts'
import type { consumedIds, keptAnswers } from './schema.ts'

/** @returns what removes a limited number of rows that had expired at `before`. What another node is about to remove is left to it */
export function preparePrune(table: typeof consumedIds | typeof keptAnswers) {
  const expired = builder
    .select({ id: table.id })
    .from(table)
    .where(lte(table.expiresAt, sql.placeholder('before')))
    .limit(pruneBatch)
    .for('update', { skipLocked: true })
  return prepareRun(builder.delete(table).where(inArray(table.id, expired)))
}
