/** Counters of failed attempts, and the networks that are known. */
import { addCounted, emptyCounter } from '../../throttle/counter.ts'
import { inExcess } from '../../throttle/known_networks.ts'
import type { ThrottleStorage } from '../../throttle/storage.ts'
import { and, desc, eq, gt, inArray, lte, sql } from '../drizzle.ts'
import { type Connection, type Orm, pruneBatch } from './connection.ts'
import { read } from './group_commit.ts'
import { createPreparing } from './prepared.ts'
import { attemptCounters, knownNetworks } from './schema.ts'

function prepareStatements(db: Orm) {
  const { select, run } = createPreparing(db.$client)
  const value = sql.placeholder
  const isKnown = and(eq(knownNetworks.who, value('who')), eq(knownNetworks.network, value('network')))
  return {
    upsertCounter: run(
      db
        .insert(attemptCounters)
        .values({
          id: value('id'),
          emptyAt: value('emptyAt'),
          readyAt: value('readyAt'),
          expiresAt: value('expiresAt'),
        })
        .onConflictDoUpdate({
          target: attemptCounters.id,
          set: {
            emptyAt: sql`excluded.empty_at`,
            readyAt: sql`excluded.ready_at`,
            expiresAt: sql`excluded.expires_at`,
          },
        }),
    ),
    findCounter: select(
      db
        .select({ emptyAt: attemptCounters.emptyAt, readyAt: attemptCounters.readyAt })
        .from(attemptCounters)
        .where(eq(attemptCounters.id, value('id'))),
    ),
    deleteCounter: run(
      db
        .delete(attemptCounters)
        .where(and(eq(attemptCounters.id, value('id')), lte(attemptCounters.emptyAt, value('emptyAt')))),
    ),
    upsertNetwork: run(
      db
        .insert(knownNetworks)
        .values({ who: value('who'), network: value('network'), expiresAt: value('expiresAt') })
        .onConflictDoUpdate({
          target: [knownNetworks.who, knownNetworks.network],
          set: { expiresAt: sql`excluded.expires_at` },
        }),
    ),
    findNetwork: select(db.select({ expiresAt: knownNetworks.expiresAt }).from(knownNetworks).where(isKnown)),
    networksOf: select(
      db
        .select({ network: knownNetworks.network })
        .from(knownNetworks)
        .where(eq(knownNetworks.who, value('who')))
        .orderBy(desc(knownNetworks.expiresAt)),
    ),
    deleteNetwork: run(db.delete(knownNetworks).where(isKnown)),
  }
}

export function createThrottleStorage({ db, write }: Connection): ThrottleStorage {
  const statements = prepareStatements(db)
  return {
    listCounters: (now, limit) =>
      read(() =>
        db
          .select({ id: attemptCounters.id, emptyAt: attemptCounters.emptyAt, readyAt: attemptCounters.readyAt })
          .from(attemptCounters)
          .where(gt(attemptCounters.expiresAt, now))
          .orderBy(desc(attemptCounters.expiresAt))
          .limit(limit)
          .all(),
      ),
    saveCounters: (counted, gone, known) =>
      write(() => {
        for (const counter of gone) statements.deleteCounter.run(counter)
        for (const addition of counted) {
          const { id } = addition
          const { emptyAt, readyAt } = addCounted(statements.findCounter.get({ id }) ?? emptyCounter, addition)
          statements.upsertCounter.run({ id, emptyAt, readyAt, expiresAt: Math.max(emptyAt, readyAt) })
        }
        for (const network of known) statements.upsertNetwork.run(network)
        for (const who of new Set(known.map(({ who }) => who)))
          for (const { network } of inExcess(statements.networksOf.all({ who })))
            statements.deleteNetwork.run({ who, network })
      }),
    isKnownNetwork: (who, network, now) =>
      read(() => (statements.findNetwork.get({ who, network })?.expiresAt ?? 0) > now),
    pruneCounters: before =>
      write(() => {
        const expired = db
          .select({ id: attemptCounters.id })
          .from(attemptCounters)
          .where(lte(attemptCounters.expiresAt, before))
          .limit(pruneBatch)
        const { changes } = db.delete(attemptCounters).where(inArray(attemptCounters.id, expired)).run()
        const forgotten = db
          .select()
          .from(knownNetworks)
          .where(lte(knownNetworks.expiresAt, before))
          .limit(pruneBatch)
          .all()
        for (const { who, network } of forgotten) statements.deleteNetwork.run({ who, network })
        return changes + forgotten.length
      }),
  }
}
