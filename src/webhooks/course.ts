/**
 * The course of one webhook through the audit trail: what is sent, what is written of it, and when it ends. Nothing of it waits for another
 * webhook.
 */
import { auditEvent, type PlacedEvent } from '../audit/audit.ts'
import type { AuditStorage } from '../audit/storage.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import type { LeaseStorage } from '../lease.ts'
import type { Observer } from '../observer.ts'
import type { Send } from './send.ts'
import { messageOf, openWebhookSecret } from './signature.ts'
import type { WebhookStorage } from './storage.ts'
import { failed, isActive, isSameProgress, type Progress, passed, type Webhook, wants } from './webhook.ts'

export type DeliveryDeps = Readonly<{
  storage: WebhookStorage & LeaseStorage & Pick<AuditStorage, 'followAuditEvents' | 'findLastPlace'>
  /** Asked each time: they may be replaced. */
  secrets: MasterSecrets
  observer: Pick<Observer, 'delivered'>
  /** Seconds since the epoch, an integer. */
  now: () => number
  randomBytes: (size: number) => Buffer
}>

/** What the course of a webhook goes by. */
export type Surroundings = Readonly<{
  send: Send
  /** Breaks off what is under way. */
  stop: AbortSignal
  /** Whether it is this node that sends. */
  isOurs: () => boolean
  warn: (about: object, message: string) => void
  /** The same, but for a trouble that was told already and is not over. */
  warnOnce: (trouble: string, about: object, message: string) => void
}>

/** What is known here of a webhook that events are sent to. */
export type Course = {
  progress: Progress
  /** As its row had it when this node has read or written that last. */
  stored: Progress
  /** Whether the row has to know of what was done since; events of other types that were passed over need not be in it at once. */
  isUnsaved: boolean
  savedAt: number
  /** When the event happened that waits. */
  waitingSince?: number | undefined
  running?: Promise<void> | undefined
}

/** Events that are read at once. */
const pageSize = 100
/** Milliseconds between two rows that say how far a webhook has come, while all goes well. */
const saveInterval = 1000
/** Events of other types after which that is noted: what need not be read again. */
const maxSkipped = 1000

export function beginCourse(webhook: Webhook): Course {
  const { after, attempts, failingSince, nextAttemptAt, lastError, failedAt } = webhook
  return {
    progress: { after, attempts, failingSince, nextAttemptAt, lastError, failedAt },
    stored: webhook,
    isUnsaved: false,
    savedAt: performance.now(),
    waitingSince: failingSince,
  }
}

/** @returns what follows the course of a webhook until nothing waits, an event was not taken, or the webhook is another one than it was */
export function createFollowing(deps: DeliveryDeps, { send, stop, isOurs, warn, warnOnce }: Surroundings) {
  const { storage, observer, now, randomBytes } = deps

  async function follow(webhook: Webhook, course: Course): Promise<void> {
    // What a database in trouble did not take has to be written before anything else is sent.
    if (course.isUnsaved && !(await save(webhook, course))) return
    if ((course.progress.nextAttemptAt ?? 0) > now()) return
    const secrets = webhook.secrets.flatMap(sealed => openWebhookSecret(sealed, webhook.id, deps.secrets) ?? [])
    if (secrets.length === 0) throw new Error('its secret is under a master secret that is not known here')
    let events: readonly PlacedEvent[]
    do {
      events = await nextEvents(webhook, course)
      if (!(await deliverEach(events, webhook, secrets, course))) return
    } while (events.length === pageSize)
    course.waitingSince = undefined
    const skipped = (course.progress.after?.id ?? 0) - (course.stored.after?.id ?? 0)
    if (course.isUnsaved || skipped >= maxSkipped) await save(webhook, course)
  }

  async function nextEvents({ id }: Webhook, course: Course): Promise<readonly PlacedEvent[]> {
    const followed = await storage.followAuditEvents(course.progress.after, pageSize)
    if (followed === undefined) {
      warn({ webhook: id }, 'the place of a webhook is not in the audit trail: it gets all events from the oldest on')
      course.progress = { attempts: 0 }
      return (await storage.followAuditEvents(undefined, pageSize))?.events ?? []
    }
    if (followed.mayMiss)
      warnOnce(`${id} gap`, { webhook: id }, 'events were pruned that a webhook may not have got (LATCHKEY_AUDIT_TTL)')
    return followed.events
  }

  /** @returns whether to go on */
  async function deliverEach(
    events: readonly PlacedEvent[],
    webhook: Webhook,
    secrets: readonly string[],
    course: Course,
  ): Promise<boolean> {
    for (const event of events) {
      if (!wants(webhook, event.type)) {
        course.isUnsaved ||= course.progress.attempts > 0
        course.progress = passed(event)
        continue
      }
      // Another node may be at it since.
      if (stop.aborted || !isOurs()) return saveAndEnd(webhook, course)
      course.waitingSince = event.at
      const delivery = await send(webhook.url, messageOf(event, secrets, now()), stop)
      if (delivery === undefined) return saveAndEnd(webhook, course)
      observer.delivered(delivery.outcome)
      course.isUnsaved = true
      if (delivery.outcome !== 'delivered') {
        const random = randomBytes(2).readUInt16BE() / 0xffff
        course.progress = failed(course.progress, { ...delivery, isFinal: delivery.outcome === 'gone' }, now(), random)
        tell(webhook, course.progress)
        return saveAndEnd(webhook, course)
      }
      course.progress = passed(event)
      if (performance.now() - course.savedAt > saveInterval && !(await save(webhook, course))) return false
    }
    return true
  }

  async function saveAndEnd(webhook: Webhook, course: Course): Promise<false> {
    if (course.isUnsaved) await save(webhook, course)
    return false
  }

  /** @returns whether it is the webhook that it was, and may go on */
  async function save(webhook: Webhook, course: Course): Promise<boolean> {
    const { progress, stored } = course
    const event =
      progress.failedAt === undefined
        ? undefined
        : auditEvent('webhook.failed', progress.failedAt, {}, { detail: `${webhook.id}: ${progress.lastError}` })
    const written = await storage.changeWebhook<Webhook | undefined>(webhook.id, current => {
      // An operator has let it begin anew, or another node has sent meanwhile.
      if (current === undefined || !isSameProgress(current, stored)) return { outcome: undefined }
      return { outcome: current, webhook: { ...settingsOf(current), ...progress }, event }
    })
    course.isUnsaved = false
    course.savedAt = performance.now()
    if (written === undefined) return false
    course.stored = progress
    return isActive(written) && JSON.stringify(settingsOf(written)) === JSON.stringify(settingsOf(webhook))
  }

  function tell({ id }: Webhook, { attempts, failedAt, lastError }: Progress): void {
    if (failedAt !== undefined)
      warn({ webhook: id, why: lastError }, 'a webhook was given up: see latchkey webhook show')
    else if (attempts === 1)
      warn({ webhook: id, why: lastError }, 'an event was not taken by a webhook; it will be sent again')
  }

  return follow
}

/** What operators have set. */
function settingsOf({ id, url, types, secrets, createdAt, disabledAt }: Webhook) {
  return { id, url, types, secrets, createdAt, disabledAt }
}
