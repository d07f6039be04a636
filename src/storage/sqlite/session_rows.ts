/** Rows of sessions, for whoever reads or writes them within a transaction. A refresh comes by here. */
import type { Session } from '../../sessions/session.ts'
import type { SessionFilter } from '../../sessions/storage.ts'
import { fits, openAt } from '../conditions.ts'
import { and, asc, desc, eq, gt, lt, ne, sql } from '../drizzle.ts'
import { optional, sessionFromRow, sessionRow } from '../rows.ts'
import { type Orm, pruneBatch } from './connection.ts'
import { createPreparing } from './prepared.ts'
import { sessions } from './schema.ts'

/** Users whose sessions one step counts: a millisecond or two, from the index alone. */
export const usersPerStep = 2000

export function createSessionRows(db: Orm) {
  const writes = prepareWrites(db)
  const reads = prepareReads(db)
  return {
    find: (id: string) => optional(reads.find.get({ id }), sessionFromRow),
    insert: (session: Session) => writes.insert.run(sessionRow(session)),
    /** @param before as the row is; undefined where that is not known */
    update(session: Session, before: Session | undefined) {
      if (before === undefined || !differsByRefreshOnly(before, session)) return writes.update.run(sessionRow(session))
      return writes.updateRefreshed.run({
        id: session.id,
        generation: session.generation,
        parentGeneration: session.parentGeneration,
        rotatedAt: session.rotatedAt,
        lastSeenAt: session.lastSeenAt,
        idleExpiresAt: session.idleExpiresAt,
        revokedAt: session.revokedAt ?? null,
        revokedReason: session.revokedReason ?? null,
      })
    },
    /** Unless it was seen meanwhile. @returns how many were removed */
    remove: (session: Pick<Session, 'id' | 'lastSeenAt'>) => writes.remove.run(session).changes,
    /** Of sessions that nobody has ended. @returns how many were ended */
    revoke(which: SessionFilter, reason: string, at: number): number {
      const { id, userId = null, clientId = null, exceptId = null } = which
      if (id !== undefined) return writes.revoke.run({ id, userId, clientId, exceptId, reason, at }).changes
      return db
        .update(sessions)
        .set({ revokedAt: at, revokedReason: reason })
        .where(and(openAt(sessions, at), fits(sessions, which)))
        .run().changes
    },
    /** The newest sign-in first. @param after the id of the last one of the page before. @returns undefined when that is no session of the user */
    listOf(userId: string, limit: number, after?: string): Session[] | undefined {
      const before = after === undefined ? Number.MAX_SAFE_INTEGER : reads.rowOf.get({ id: after, userId })?.row
      return before === undefined ? undefined : reads.listOf.all({ userId, before, limit }).map(sessionFromRow)
    },
    /** By user, from a user's id on. */
    countByUser: (after: string) => reads.countByUser.all({ after }),
    nextIds: (after: string) => reads.nextIds.all({ after }).map(({ id }) => id),
  }
}

export type SessionRows = ReturnType<typeof createSessionRows>

function prepareReads(db: Orm) {
  const { select } = createPreparing(db.$client)
  const value = sql.placeholder
  return {
    find: select(
      db
        .select()
        .from(sessions)
        .where(eq(sessions.id, value('id'))),
    ),
    // The index of user ids has the rows of each in the order of their sign-ins.
    listOf: select(
      db
        .select()
        .from(sessions)
        .where(and(eq(sessions.userId, value('userId')), lt(sql`rowid`, value('before'))))
        .orderBy(desc(sql`rowid`))
        .limit(value('limit')),
    ),
    rowOf: select(
      db
        .select({ row: sql<number>`rowid`.as('row') })
        .from(sessions)
        .where(and(eq(sessions.id, value('id')), eq(sessions.userId, value('userId')))),
    ),
    countByUser: select(
      db
        .select({ userId: sessions.userId, count: sql<number>`count(*)`.as('count') })
        .from(sessions)
        .where(gt(sessions.userId, value('after')))
        .groupBy(sessions.userId)
        .orderBy(asc(sessions.userId))
        .limit(usersPerStep),
    ),
    nextIds: select(
      db
        .select({ id: sessions.id })
        .from(sessions)
        .where(gt(sessions.id, value('after')))
        .orderBy(asc(sessions.id))
        .limit(pruneBatch),
    ),
  }
}

function prepareWrites(db: Orm) {
  const { run } = createPreparing(db.$client)
  const value = sql.placeholder
  // What changes at every refresh, and nothing that could change the size of a row.
  const refreshed = {
    generation: sql`${value('generation')}`,
    parentGeneration: sql`${value('parentGeneration')}`,
    rotatedAt: sql`${value('rotatedAt')}`,
    lastSeenAt: sql`${value('lastSeenAt')}`,
    idleExpiresAt: sql`${value('idleExpiresAt')}`,
    revokedAt: sql`${value('revokedAt')}`,
    revokedReason: sql`${value('revokedReason')}`,
  }
  // The rest of what may change: a row changes its size only when the network, the program or the password does.
  const others = {
    scope: sql`${value('scope')}`,
    audience: sql`${value('audience')}`,
    authTime: sql`${value('authTime')}`,
    amr: sql`${value('amr')}`,
    expiresAt: sql`${value('expiresAt')}`,
    device: sql`${value('device')}`,
    ip: sql`${value('ip')}`,
    userAgent: sql`${value('userAgent')}`,
    seenBeforeAt: sql`${value('seenBeforeAt')}`,
    ipBefore: sql`${value('ipBefore')}`,
    userAgentBefore: sql`${value('userAgentBefore')}`,
    retriedElsewhereAt: sql`${value('retriedElsewhereAt')}`,
    oldestGeneration: sql`${value('oldestGeneration')}`,
  }
  const fixed = {
    id: value('id'),
    userId: value('userId'),
    clientId: value('clientId'),
    createdAt: value('createdAt'),
  }
  const isIt = eq(sessions.id, value('id'))
  return {
    insert: run(db.insert(sessions).values({ ...fixed, ...refreshed, ...others })),
    updateRefreshed: run(db.update(sessions).set(refreshed).where(isIt)),
    update: run(
      db
        .update(sessions)
        .set({ ...refreshed, ...others })
        .where(isIt),
    ),
    remove: run(db.delete(sessions).where(and(isIt, eq(sessions.lastSeenAt, value('lastSeenAt'))))),
    // Of a filter's absent parts, null, each fits.
    revoke: run(
      db
        .update(sessions)
        .set({ revokedAt: sql`${value('at')}`, revokedReason: sql`${value('reason')}` })
        .where(
          and(
            isIt,
            openAt(sessions, value('at')),
            eq(sessions.userId, sql`coalesce(${value('userId')}, ${sessions.userId})`),
            eq(sessions.clientId, sql`coalesce(${value('clientId')}, ${sessions.clientId})`),
            ne(sessions.id, sql`coalesce(${value('exceptId')}, '')`),
          ),
        ),
    ),
  }
}

/** Whether all that {@link prepareWrites}'s `updateRefreshed` leaves alone is the same. */
function differsByRefreshOnly(a: Session, b: Session): boolean {
  return (
    a.ip === b.ip &&
    a.userAgent === b.userAgent &&
    a.seenBeforeAt === b.seenBeforeAt &&
    a.ipBefore === b.ipBefore &&
    a.userAgentBefore === b.userAgentBefore &&
    a.retriedElsewhereAt === b.retriedElsewhereAt &&
    a.oldestGeneration === b.oldestGeneration &&
    a.expiresAt === b.expiresAt &&
    a.authTime === b.authTime &&
    a.amr === b.amr &&
    a.scope === b.scope &&
    a.audience === b.audience &&
    a.device === b.device
  )
}
