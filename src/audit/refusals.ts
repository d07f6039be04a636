/**
 * Refused attempts in the audit trail: who was refused what, from where and why, never what was typed. The first of a kind is
 * written within a second; the same again is counted and written once a minute. A flood adds few rows, and no write of its own
 * to any request.
 */

import { OAuthError } from '../error.ts'
import { type AuditEvent, type AuditEventType, auditEvent, type Caller } from './audit.ts'
import type { AuditStorage } from './storage.ts'

export type Refusals = Readonly<{
  add: (
    type: Extract<AuditEventType, `${string}.refused`>,
    error: OAuthError,
    caller: Caller,
    about: Pick<AuditEvent, 'userId' | 'clientId' | 'sessionId'>,
  ) => void
  /** Writes what is due. @param everything also what would be counted on */
  flush: (everything?: boolean) => Promise<void>
}>

/** `count` is what is not written yet. */
type Kind = { event: AuditEvent; count: number; writtenAt: number | undefined }

/** Seconds between two rows of one kind. */
const countFor = 60
/** Kinds that are told apart in memory. Beyond that, and beyond the rows below, only the reasons are. */
const maxKinds = 10_000
/** Rows that may be written at once, and seconds until one more may: 5 million a year under attack without an end. */
const rowBurst = 1000
const rowInterval = 6

export function createRefusals(storage: Pick<AuditStorage, 'addAuditEvents'>, now: () => number): Refusals {
  const kinds = new Map<string, Kind>()
  let budget = { left: rowBurst, at: now() }

  function count(event: AuditEvent, isFolded: boolean, times = 1) {
    const { type, detail, userId, clientId, sessionId, ip } = event
    const key = isFolded ? `${type}\0${detail}` : JSON.stringify([type, detail, userId, clientId, sessionId, ip])
    const kind = kinds.get(key)
    if (kind !== undefined) {
      if (kind.count === 0) kind.event = event
      kind.count += times
    } else if (isFolded || kinds.size < maxKinds) kinds.set(key, { event, count: times, writtenAt: undefined })
    else count(withoutWho(event), true, times)
  }

  function takeRow(): boolean {
    const left = Math.min(rowBurst, budget.left + Math.max(0, now() - budget.at) / rowInterval)
    budget = { left: left >= 1 ? left - 1 : left, at: now() }
    return left >= 1
  }

  /** Takes out what is due; what the budget has no row for is counted by its reason alone. */
  function take(everything: boolean): AuditEvent[] {
    const due: AuditEvent[] = []
    // The folded ones last, so that they have what is folded now.
    const isFoldedKey = (key: string) => !key.startsWith('[')
    const order = [...kinds].sort(([a], [b]) => Number(isFoldedKey(a)) - Number(isFoldedKey(b)))
    for (const [key, kind] of order) {
      const isDue = everything || kind.writtenAt === undefined || Math.abs(now() - kind.writtenAt) >= countFor
      if (!isDue) continue
      if (kind.count === 0 || !(isFoldedKey(key) || takeRow())) {
        kinds.delete(key)
        if (kind.count > 0) count(withoutWho(kind.event), true, kind.count)
        continue
      }
      due.push({ ...kind.event, ...(kind.count > 1 && { count: kind.count }) })
      Object.assign(kind, { count: 0, writtenAt: now() })
    }
    return due
  }

  return {
    add(type, error, caller, about) {
      count(auditEvent(type, now(), caller, { ...about, detail: reasonOf(error) }), false)
    },
    async flush(everything = false) {
      if (kinds.size === 0) return
      const due = take(everything)
      // Those that were folded in this very call.
      due.push(...(everything ? take(true) : []))
      if (due.length === 0) return
      try {
        await storage.addAuditEvents(due)
      } catch (error) {
        for (const event of due) count(event, event.ip === undefined, event.count)
        throw error
      }
    },
  }
}

/** Whether an error refuses credentials, as opposed to a request that is wrong or a server that is busy. */
export function isRefusal(error: unknown): error is OAuthError {
  return error instanceof OAuthError && ['invalid_grant', 'invalid_client', 'too_many_attempts'].includes(error.code)
}

/** The cause without what follows a colon, which may come from the request. */
function reasonOf({ cause, message }: OAuthError): string {
  return (typeof cause === 'string' ? cause : message).split(':')[0]!
}

function withoutWho({ at, type, detail }: AuditEvent): AuditEvent {
  return { at, type, detail }
}
