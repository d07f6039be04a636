/** Factors. Those of one user are written under the lock of that user; what they are verified by may be replaced beside it. */
import type { Factor } from '../../users/factors/factor.ts'
import type { FactorStorage } from '../../users/factors/storage.ts'
import { and, asc, eq, gt, sql } from '../drizzle.ts'
import { factorFromRow, factorRow, optional } from '../rows.ts'
import type { Connection, Db } from './connection.ts'
import { builder, prepareRun, prepareSelect } from './prepared.ts'
import { factors } from './schema.ts'

const value = sql.placeholder
const all = () => builder.select().from(factors)

const ofUser = () =>
  all()
    .where(eq(factors.userId, value('userId')))
    .orderBy(asc(factors.id))
const listOf = prepareSelect(ofUser())
const listForUpdate = prepareSelect(ofUser().for('update'))
const findByHandle = prepareSelect(all().where(eq(factors.handle, value('handle'))))
const listOfKind = prepareSelect(
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
const put = prepareRun(
  builder
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
const remove = prepareRun(builder.delete(factors).where(eq(factors.id, value('id'))))
const replaceData = prepareRun(
  builder
    .update(factors)
    .set({ data: sql`${value('after')}` })
    .where(and(eq(factors.id, value('id')), eq(factors.data, value('before')))),
)

export const factorRows = {
  listOf: async (db: Db, userId: string) => inOrder((await listOf.all(db, { userId })).map(factorFromRow)),
  /** As they stay until the end of a transaction that has the lock of their user. */
  listForUpdate: async (tx: Db, userId: string) =>
    inOrder((await listForUpdate.all(tx, { userId })).map(factorFromRow)),
  put: (tx: Db, factor: Factor) => put.run(tx, factorRow(factor)),
  remove: (tx: Db, id: string) => remove.run(tx, { id }),
}

/** They are locked in the order of their ids, and shown in that in which they came. */
function inOrder(found: Factor[]): Factor[] {
  return found.sort((a, b) => a.createdAt - b.createdAt)
}

export function createFactorStorage({ read, write }: Connection): FactorStorage {
  return {
    listFactors: userId => read(db => factorRows.listOf(db, userId)),
    findFactorByHandle: handle => read(async db => optional(await findByHandle.get(db, { handle }), factorFromRow)),
    listFactorsOfKind: (kind, after, limit) =>
      read(async db => (await listOfKind.all(db, { kind, after, limit })).map(factorFromRow)),
    replaceFactorData: changes =>
      write(async tx => {
        let replaced = 0
        for (const change of changes.toSorted((a, b) => (a.id < b.id ? -1 : 1)))
          replaced += await replaceData.run(tx, change)
        return replaced
      }),
  }
}
