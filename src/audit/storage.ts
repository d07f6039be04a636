/** What the audit trail asks of a database. */
import type { AuditEvent, AuditFilter } from './audit.ts'

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
  /** Removes a limited number of audit events older than an instant, from the oldest on; the trail is append-only otherwise. @returns how many */
  pruneAuditEvents(before: number): Promise<number>
}>
