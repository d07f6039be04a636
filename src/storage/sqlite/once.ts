/** Identifiers that count once. */
import type { OnceStorage } from '../../keys/storage.ts'
import { eq, inArray, lte, sql } from '../drizzle.ts'
import { type Connection, pruneBatch } from './connection.ts'
import { read } from './group_commit.ts'
import { createPreparing } from './prepared.ts'
import { consumedIds } from './schema.ts'

export function createOnceStorage({ db, write, record }: Connection): OnceStorage {
  const { select, run } = createPreparing(db.$client)
  const value = sql.placeholder
  const find = select(
    db
      .select({ id: consumedIds.id })
      .from(consumedIds)
      .where(eq(consumedIds.id, value('id'))),
  )
  const insert = run(
    db
      .insert(consumedIds)
      .values({ id: value('id'), expiresAt: value('expiresAt') })
      .onConflictDoNothing(),
  )

  return {
    consumeOnce: (id, expiresAt, event) =>
      write(() => {
        const { changes } = insert.run({ id, expiresAt })
        if (changes > 0 && event !== undefined) record(event)
        return changes > 0
      }),
    isConsumed: id => read(() => find.get({ id }) !== undefined),
    pruneConsumed: before =>
      write(() => {
        const expired = db
          .select({ id: consumedIds.id })
          .from(consumedIds)
          .where(lte(consumedIds.expiresAt, before))
          .limit(pruneBatch)
        return db.delete(consumedIds).where(inArray(consumedIds.id, expired)).run().changes
      }),
  }
}
