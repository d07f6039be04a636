/** Factors. Those of one user are read and written under the turn of that user. */
import type { Factor } from '../../users/factors/factor.ts'
import type { FactorStorage } from '../../users/factors/storage.ts'
import { and, asc, eq, gt, sql } from '../drizzle.ts'
import { factorFromRow, factorRow, optional } from '../rows.ts'
import type { Connection, Orm } from './connection.ts'
import { read } from './group_commit.ts'
import { createPreparing } from './prepared.ts'
import { factors } from './schema.ts'

export function createFactorRows(db: Orm) {
  const { select, run } = createPreparing(db.$client)
  const value = sql.placeholder
  const all = () => db.select().from(factors)
  const listOf = select(
    all()
      .where(eq(factors.userId, value('userId')))
      .orderBy(asc(factors.createdAt), asc(factors.id)),
  )
  const findByHandle = select(all().where(eq(factors.handle, value('handle'))))
  const listOfKind = select(
    all()
      .where(and(eq(factors.kind, value('kind')), gt(factors.id, value('after'))))
      .orderBy(asc(factors.id))
      .limit(value('limit')),
  )
  const changing = {
    name: sql`${value('name')}`,
    usedAt: sql`${value('usedAt')}`,
    data: sql`${value('data')}`,
    counter: sql`${value('counter')}`,
  }
  const put = run(
    db
      .insert(factors)
      .values({
        id: value('id'),
        userId: value('userId'),
        kind: value('kind'),
        createdAt: value('createdAt'),
        handle: value('handle'),
        ...changing,
      })
      .onConflictDoUpdate({ target: factors.id, set: changing }),
  )
  const remove = run(db.delete(factors).where(eq(factors.id, value('id'))))
  const replaceData = run(
    db
      .update(factors)
      .set({ data: sql`${value('after')}` })
      .where(and(eq(factors.id, value('id')), eq(factors.data, value('before')))),
  )
  return {
    listOf: (userId: string) => listOf.all({ userId }).map(factorFromRow),
    findByHandle: (handle: string) => optional(findByHandle.get({ handle }), factorFromRow),
    listOfKind: (kind: string, after: string, limit: number) =>
      listOfKind.all({ kind, after, limit }).map(factorFromRow),
    put: (factor: Factor) => put.run(factorRow(factor)),
    remove: (id: string) => remove.run({ id }),
    replaceData: (change: Readonly<{ id: string; before: string; after: string }>) => replaceData.run(change).changes,
  }
}

export type FactorRows = ReturnType<typeof createFactorRows>

export function createFactorStorage({ write }: Connection, rows: FactorRows): FactorStorage {
  return {
    listFactors: userId => read(() => rows.listOf(userId)),
    findFactorByHandle: handle => read(() => rows.findByHandle(handle)),
    listFactorsOfKind: (kind, after, limit) => read(() => rows.listOfKind(kind, after, limit)),
    replaceFactorData: changes => write(() => changes.reduce((sum, change) => sum + rows.replaceData(change), 0)),
  }
}
