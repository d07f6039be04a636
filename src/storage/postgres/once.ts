/** Identifiers that count once. */
import type { OnceStorage } from '../../keys/storage.ts'
import { eq, sql } from '../drizzle.ts'
import type { Connection } from './connection.ts'
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

export function createOnceStorage({ read, write, record }: Connection): OnceStorage {
  return {
    consumeOnce: (id, expiresAt, event) =>
      write(async tx => {
        const inserted = await insert.run(tx, { id, expiresAt })
        if (inserted > 0 && event !== undefined) await record(tx, event)
        return inserted > 0
      }),
    isConsumed: id => read(async db => (await find.get(db, { id })) !== undefined),
    pruneConsumed: before => write(tx => prune.run(tx, { before })),
  }
}
