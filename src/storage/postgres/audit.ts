/**
 * The audit trail. Ids come from a sequence: an event that a slow transaction writes can come to sight after one with a larger id, by as
 * long as that transaction takes. Whoever reads from the newest back sees each event once, and at the next look what came later; whoever
 * goes forward goes no further than `audit_settled.ts` says, or would miss it.
 */
import type { AuditEvent, AuditFilter } from '../../audit/audit.ts'
import type { Floods } from '../../audit/floods.ts'
import { followedFrom } from '../../audit/follow.ts'
import type { AuditStorage } from '../../audit/storage.ts'
import { isAbout } from '../conditions.ts'
import { and, asc, desc, getTableColumns, gte, lt, lte, sql } from '../drizzle.ts'
import { auditEventFromRow, auditRow, placedEventFromRow } from '../rows.ts'
import { tryLock } from './advisory_lock.ts'
import { createSettling } from './audit_settled.ts'
import { type Connection, type Db, pruneBatch } from './connection.ts'
import { builder, prepareInsertRows, prepareRun, prepareSelect } from './prepared.ts'
import { auditEvents } from './schema.ts'

const { id: _, ...columns } = getTableColumns(auditEvents)
const insert = prepareInsertRows('audit_events', columns)
const oldest = prepareSelect(
  builder
    .select({ id: auditEvents.id, at: auditEvents.at })
    .from(auditEvents)
    .orderBy(asc(auditEvents.id))
    .limit(pruneBatch),
)
const first = prepareSelect(
  builder.select({ id: auditEvents.id }).from(auditEvents).orderBy(asc(auditEvents.id)).limit(1),
)
const newest = prepareSelect(
  builder.select({ id: auditEvents.id, at: auditEvents.at }).from(auditEvents).orderBy(desc(auditEvents.id)).limit(1),
)
const between = prepareSelect(
  builder
    .select()
    .from(auditEvents)
    .where(and(gte(auditEvents.id, sql.placeholder('from')), lte(auditEvents.id, sql.placeholder('to'))))
    .orderBy(asc(auditEvents.id))
    .limit(sql.placeholder('limit')),
)
const removeUpTo = prepareRun(builder.delete(auditEvents).where(lte(auditEvents.id, sql.placeholder('last'))))

/** Events written by one statement. */
const step = 1000

/** Within a write: writes events, whatever else there is of their kinds. */
export async function insertEvents(tx: Db, events: readonly AuditEvent[]): Promise<void> {
  for (let at = 0; at < events.length; at += step) await insert.run(tx, events.slice(at, at + step).map(auditRow))
}

export function createAuditStorage(
  { read, write }: Pick<Connection, 'read' | 'write'>,
  floods: Floods,
): AuditStorage & { writeAllFloods: () => Promise<void> } {
  const addAuditEvents = (events: readonly AuditEvent[]) => write(tx => insertEvents(tx, events))
  const writeFloods = async (now: number, everything: boolean) => {
    const due = floods.take(now, everything)
    if (due.length === 0) return
    try {
      await addAuditEvents(due)
    } catch (error) {
      // Where nobody knows whether it was committed, these may be counted twice: too much is not lost.
      floods.restore(due)
      throw error
    }
  }
  const find = (db: Db, limit: number, which: AuditFilter, after?: number) =>
    db
      .select()
      .from(auditEvents)
      .where(and(isAbout(auditEvents, which), after === undefined ? undefined : lt(auditEvents.id, after)))
      .orderBy(desc(auditEvents.id))
      .limit(limit)

  const settle = createSettling(read)

  return {
    addAuditEvents,
    writeFloods: now => writeFloods(now, false),
    writeAllFloods: () => writeFloods(0, true),
    listAuditEvents: (limit, which = {}) => read(async db => (await find(db, limit, which)).map(auditEventFromRow)),
    pageAuditEvents: (which, { after, limit }) =>
      read(async db => {
        const rows = await find(db, limit, which, after)
        return { events: rows.map(auditEventFromRow), next: rows.at(-1)?.id }
      }),
    async followAuditEvents(after, limit) {
      const { settled, last } = await settle()
      return read(async db => {
        const from = after?.id ?? 0
        // The event of the place was settled for whoever was told of it, also where this node has seen nothing settle yet.
        const asked = { from, to: Math.max(from, settled), limit: limit + (after === undefined ? 0 : 1) }
        const events = (await between.all(db, asked)).map(placedEventFromRow)
        const isThere = after === undefined || events[0]?.id === after.id
        const found = { events, oldest: isThere ? undefined : (await first.get(db, {}))?.id, last }
        const followed = followedFrom(after, found)
        return followed && { ...followed, events: followed.events.slice(0, limit) }
      })
    },
    findLastPlace: () => read(db => newest.get(db, {})),
    pruneAuditEvents: before =>
      write(async tx => {
        // While another node removes the oldest, there is nothing to do here.
        if (!(await tryLock(tx, 'oldestEvents'))) return 0
        const events = await oldest.all(tx, {})
        const kept = events.findIndex(({ at }) => at > before)
        const last = events.at(kept === -1 ? -1 : kept - 1)
        if (last === undefined || kept === 0) return 0
        return removeUpTo.run(tx, { last: last.id })
      }),
  }
}
