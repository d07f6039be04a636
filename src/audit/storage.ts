/** What the audit trail asks of a database. */
import type { AuditEvent, AuditFilter, EventPlace, PlacedEvent } from './audit.ts'

export type AuditStorage = Readonly<{
  /** For events that belong to no change; all others are written with theirs. */
  addAuditEvents(events: readonly AuditEvent[]): Promise<void>
  /** Writes how often there was what is too frequent for a row each (`floods.ts`), once a minute of each kind. */
  writeFloods(now: number): Promise<void>
  /** Newest first. */
  listAuditEvents(limit: number, which?: AuditFilter): Promise<AuditEvent[]>
  /** The same by pages. @param page.after `next` of the page before */
  pageAuditEvents(
    which: AuditFilter,
    page: Readonly<{ after?: number | undefined; limit: number }>,
  ): Promise<{ events: AuditEvent[]; next: number | undefined }>
  /**
   * Oldest first, and only events before which none can come to sight any more: whoever goes on after the last one gets each event once, in
   * order. One that a transaction has written which has not ended holds back what came after it.
   *
   * @param after where to go on; undefined to begin with the oldest
   * @returns undefined where the place is not of this trail: the database is another one, or older than it was, as after a restore
   */
  followAuditEvents(after: EventPlace | undefined, limit: number): Promise<Followed | undefined>
  /** The last event that {@link followAuditEvents} would answer; undefined where there is none. */
  findLastPlace(): Promise<EventPlace | undefined>
  /** Removes a limited number of audit events older than an instant, from the oldest on; the trail is append-only otherwise. @returns how many */
  pruneAuditEvents(before: number): Promise<number>
}>

export type Followed = Readonly<{
  events: readonly PlacedEvent[]
  /** Whether events after the place may have been pruned before they were read. */
  mayMiss: boolean
}>
