/** Identifiers that count once. */
import type { OnceStorage } from '../../keys/storage.ts'
import { eq, inArray, lte, sql } from '../drizzle.ts'
import { type Connection, type Orm, pruneBatch } from './connection.ts'
import { read } from './group_commit.ts'
import { createPreparing } from './prepared.ts'
import { consumedIds } from './schema.ts'

/** For whoever consumes one within a transaction that lets something in. */
export function createOnceRows(db: Orm) {
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
    /** @returns false when it was consumed already */
    consume: (id: string, expiresAt: number) => insert.run({ id, expiresAt }).changes > 0,
    isConsumed: (id: string) => find.get({ id }) !== undefined,
  }
}

export type OnceRows = ReturnType<typeof createOnceRows>

export function createOnceStorage({ db, write, record }: Connection, rows: OnceRows): OnceStorage {
  return {
    consumeOnce: (id, expiresAt, event) =>
      write(() => {
        const isFirst = rows.consume(id, expiresAt)
        if (isFirst && event !== undefined) record(event)
        return isFirst
      }),
    isConsumed: id => read(() => rows.isConsumed(id)),
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
