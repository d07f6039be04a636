/** The audit trail. */
import type { AuditEvent, AuditFilter } from '../../audit/audit.ts'
import type { Floods } from '../../audit/floods.ts'
import { followedFrom } from '../../audit/follow.ts'
import type { AuditStorage } from '../../audit/storage.ts'
import { isAbout } from '../conditions.ts'
import { and, asc, desc, gte, lt, lte, sql } from '../drizzle.ts'
import { auditEventFromRow, auditRow, placedEventFromRow } from '../rows.ts'
import { type Connection, type Orm, pruneBatch } from './connection.ts'
import { read } from './group_commit.ts'
import { createPreparing } from './prepared.ts'
import { auditEvents } from './schema.ts'

/** @returns what writes an event within a write */
export function prepareInsertEvent(db: Orm): (event: AuditEvent) => void {
  const value = sql.placeholder
  const insert = createPreparing(db.$client).run(
    db.insert(auditEvents).values({
      at: value('at'),
      type: value('type'),
      userId: value('userId'),
      clientId: value('clientId'),
      sessionId: value('sessionId'),
      ip: value('ip'),
      requestId: value('requestId'),
      detail: value('detail'),
      count: value('count'),
    }),
  )
  return event => void insert.run(auditRow(event))
}

export function createAuditStorage(
  { db, write }: Pick<Connection, 'db' | 'write'>,
  insertEvent: (event: AuditEvent) => void,
  floods: Floods,
): AuditStorage & { writeAllFloods: () => Promise<void> } {
  const addAuditEvents = (events: readonly AuditEvent[]) =>
    write(() => {
      for (const event of events) insertEvent(event)
    })
  const writeFloods = async (now: number, everything: boolean) => {
    const due = floods.take(now, everything)
    if (due.length === 0) return
    try {
      await addAuditEvents(due)
    } catch (error) {
      floods.restore(due)
      throw error
    }
  }
  const find = (limit: number, which: AuditFilter, after?: number) =>
    db
      .select()
      .from(auditEvents)
      .where(and(isAbout(auditEvents, which), after === undefined ? undefined : lt(auditEvents.id, after)))
      .orderBy(desc(auditEvents.id))
      .limit(limit)
      .all()

  return {
    addAuditEvents,
    writeFloods: now => writeFloods(now, false),
    writeAllFloods: () => writeFloods(0, true),
    listAuditEvents: (limit, which = {}) => read(() => find(limit, which).map(auditEventFromRow)),
    pageAuditEvents: (which, { after, limit }) =>
      read(() => {
        const rows = find(limit, which, after)
        return { events: rows.map(auditEventFromRow), next: rows.at(-1)?.id }
      }),
    // One process writes at a time, so numbers come to sight in their order.
    followAuditEvents: (after, limit) =>
      read(() => {
        const from = after === undefined ? undefined : gte(auditEvents.id, after.id)
        const rows = db
          .select()
          .from(auditEvents)
          .where(from)
          .orderBy(asc(auditEvents.id))
          .limit(limit + (after === undefined ? 0 : 1))
          .all()
        const { oldest, last } = db.get<{ oldest: number | null; last: number | null }>(sql`
          SELECT (SELECT min(id) FROM audit_events) AS oldest,
            (SELECT seq FROM sqlite_sequence WHERE name = 'audit_events') AS last`)
        const found = { events: rows.map(placedEventFromRow), oldest: oldest ?? undefined, last: last ?? 0 }
        const followed = followedFrom(after, found)
        return followed && { ...followed, events: followed.events.slice(0, limit) }
      }),
    findLastPlace: () =>
      read(() =>
        db
          .select({ id: auditEvents.id, at: auditEvents.at })
          .from(auditEvents)
          .orderBy(desc(auditEvents.id))
          .limit(1)
          .get(),
      ),
    pruneAuditEvents: before =>
      write(() => {
        const oldest = db
          .select({ id: auditEvents.id, at: auditEvents.at })
          .from(auditEvents)
          .orderBy(asc(auditEvents.id))
          .limit(pruneBatch)
          .all()
        const kept = oldest.findIndex(({ at }) => at > before)
        const last = oldest.at(kept === -1 ? -1 : kept - 1)
        if (last === undefined || kept === 0) return 0
        return db.delete(auditEvents).where(lte(auditEvents.id, last.id)).run().changes
      }),
  }
}
