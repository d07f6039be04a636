/**
 * What users and clients do to themselves without end, such as signing in and out or revoking tokens of their own, in the audit trail:
 * of one type by one user, or one client for itself, sixty events are rows of their own and one more each minute. What is beyond is a flood: it is
 * counted, and written once a minute as one row that says how often. Nobody's flood hides an event of anybody else.
 */
import type { AuditEvent } from './audit.ts'

export type Floods = Readonly<{
  /** @returns whether an event is a row of its own; if not, it has been counted */
  admits: (event: AuditEvent) => boolean
  /** Takes out what is due to be written. @param everything also what would be counted on */
  take: (now: number, everything: boolean) => AuditEvent[]
  /** Counts events again that could not be written. */
  restore: (events: readonly AuditEvent[]) => void
}>

/** `left` rows of its own at `at`; `event` stands for `count` others, which are counted since `since`. */
type Kind = { left: number; at: number; event: AuditEvent; count: number; since: number }

const rowBurst = 60
/** Seconds until a kind may have another row of its own, and between two rows of what is counted. */
const rowInterval = 60
/** Kinds that are told apart. A kind that is forgotten before its time begins with a new allowance. */
const maxKinds = 50_000

export function createFloods(): Floods {
  const kinds = new Map<string, Kind>()

  function kindOf(event: AuditEvent): Kind {
    const { type, userId, clientId } = event
    const key = `${type} ${userId ?? clientId}`
    const known = kinds.get(key)
    if (known !== undefined) return known
    if (kinds.size >= maxKinds) {
      for (const [oldest, { count }] of kinds) {
        if (count > 0) continue
        kinds.delete(oldest)
        break
      }
    }
    const kind = { left: rowBurst, at: event.at, event, count: 0, since: 0 }
    kinds.set(key, kind)
    return kind
  }

  function count(kind: Kind, event: AuditEvent, times: number) {
    kind.event = kind.count === 0 ? event : common(kind.event, event)
    if (kind.count === 0) kind.since = event.at
    kind.count += times
  }

  return {
    admits(event) {
      // The operator's own commands come from nowhere, and each counts.
      if (event.ip === undefined) return true
      const kind = kindOf(event)
      kind.left = Math.min(rowBurst, kind.left + Math.max(0, event.at - kind.at) / rowInterval)
      kind.at = event.at
      if (kind.left >= 1) {
        kind.left--
        return true
      }
      count(kind, event, 1)
      return false
    },
    take(now, everything) {
      const due: AuditEvent[] = []
      for (const kind of kinds.values()) {
        if (kind.count === 0 || !(everything || Math.abs(now - kind.since) >= rowInterval)) continue
        due.push({ ...kind.event, ...(kind.count > 1 && { count: kind.count }) })
        kind.count = 0
      }
      return due
    },
    restore(events) {
      for (const event of events) count(kindOf(event), event, event.count ?? 1)
    },
  }
}

/** What two events of one kind have in common. */
function common(a: AuditEvent, b: AuditEvent): AuditEvent {
  const { at, type, userId } = a
  return {
    at,
    type,
    userId,
    clientId: a.clientId === b.clientId ? a.clientId : undefined,
    ip: a.ip === b.ip ? a.ip : undefined,
    detail: a.detail === b.detail ? a.detail : undefined,
  }
}
