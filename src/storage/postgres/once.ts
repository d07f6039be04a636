/** Identifiers that count once. */
import type { OnceStorage } from '../../keys/storage.ts'
import { eq, sql } from '../drizzle.ts'
import type { Connection, Db } from './connection.ts'
import { builder, prepareRun, prepareSelect } from './prepared.ts'
import { preparePrune } from './prune.ts'
import { consumedIds } from './schema.ts'

const value = sql.placeholder

const find = prepareSelect(
  builder
    .select({ id: consumedIds.id })
    .from(consumedIds)
    .where(eq(consumedIds.id, value('id'))),
)
// Of two at once the later one waits for the other's commit, and then has inserted nothing.
const insert = prepareRun(
  builder
    .insert(consumedIds)
    .values({ id: value('id'), expiresAt: value('expiresAt') })
    .onConflictDoNothing(),
)
const prune = preparePrune(consumedIds)

/** For whoever consumes one within a transaction that lets something in. */
export const onceRows = {
  /** @returns false when it was consumed already */
  consume: async (tx: Db, { id, expiresAt }: Readonly<{ id: string; expiresAt: number }>) =>
    (await insert.run(tx, { id, expiresAt })) > 0,
  isConsumed: async (tx: Db, id: string) => (await find.get(tx, { id })) !== undefined,
}

export function createOnceStorage({ read, write, record }: Connection): OnceStorage {
  return {
    consumeOnce: (id, expiresAt, event) =>
      write(async tx => {
        const isFirst = await onceRows.consume(tx, { id, expiresAt })
        if (isFirst && event !== undefined) await record(tx, event)
        return isFirst
      }),
    isConsumed: id => read(db => onceRows.isConsumed(db, id)),
    pruneConsumed: before => write(tx => prune.run(tx, { before })),
  }
}
