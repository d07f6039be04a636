/**
 * Webhooks: addresses that are told what happens. The audit trail itself is what waits to be sent, and a webhook has its place in it; so an
 * event is sent when it is committed, in order, and whatever stops a webhook loses nothing as long as the trail keeps it.
 */
import { type AuditEvent, type AuditEventType, type EventPlace, isOfType, type PlacedEvent } from '../audit/audit.ts'

/** Instants are seconds since the epoch. */
export type Webhook = Readonly<{
  /** `whk_` and 22 base64url characters. */
  id: string
  url: string
  /** Types of events, or what stands before the dot of several; none of them for all. */
  types: readonly string[]
  /** Sealed, see `secret.ts`; the newest first, two while one is replaced. */
  secrets: readonly string[]
  createdAt: number
  disabledAt?: number | undefined
}> &
  Progress

/** How far it has come. */
export type Progress = Readonly<{
  /** The last event that it is done with; undefined for none. */
  after?: EventPlace | undefined
  /** How often the next one was sent in vain, and since when. */
  attempts: number
  failingSince?: number | undefined
  nextAttemptAt?: number | undefined
  /** What the last attempt came to. */
  lastError?: string | undefined
  /** When it was given up. */
  failedAt?: number | undefined
}>

/** What becomes of a webhook, and what is written with that. */
export type WebhookChange<Outcome> = Readonly<{
  outcome: Outcome
  webhook?: Webhook
  remove?: true
  event?: AuditEvent | undefined
}>

/** All of a deployment: each may have one request under way. */
export const maxWebhooks = 32
export const maxWebhookTypes = 50
/** Characters. */
export const maxWebhookUrl = 2048

/** Seconds after the first attempt in vain, doubled at each further one up to the most. */
const [minPause, maxPause] = [5, 3600]
/** Seconds after which a webhook is given up that takes nothing, and the attempts that this takes at least: a server that was off has made none. */
const maxFailing = 3 * 86_400
const minAttempts = 10
/** Characters. */
const maxError = 200

export function createWebhookId(randomBytes: (size: number) => Buffer): string {
  return `whk_${randomBytes(16).toString('base64url')}`
}

/** @returns why a URL cannot be one of a webhook, undefined where it can */
export function webhookUrlProblem(text: string, allowPrivate: boolean): string | undefined {
  if (text.length > maxWebhookUrl) return `it has more than ${maxWebhookUrl} characters`
  const url = /^https?:\/\/[^\s\\]+$/.test(text) ? URL.parse(text) : null
  if (url === null) return 'it takes an https URL'
  if (url.username !== '' || url.password !== '') return 'it takes no username and password: events are signed'
  if (url.hash !== '') return 'it takes no fragment, which is never sent'
  if (url.protocol === 'https:') return undefined
  const isLoopback = /^(?:localhost|\[::1\]|127(?:\.\d+){3})$/.test(url.hostname)
  return isLoopback && allowPrivate
    ? undefined
    : 'it takes https; http to this machine if LATCHKEY_PRIVATE_WEBHOOKS is on'
}

/** Whether it is to be sent anything at all. */
export function isActive({ disabledAt, failedAt }: Webhook): boolean {
  return disabledAt === undefined && failedAt === undefined
}

export function wants({ types }: Pick<Webhook, 'types'>, type: AuditEventType): boolean {
  return types.length === 0 || types.some(wanted => isOfType(type, wanted))
}

/** After an event that was taken, or that is none of its types. */
export function passed({ id, at }: PlacedEvent): Progress {
  return { after: { id, at }, attempts: 0 }
}

/**
 * After an event that was not taken: the next attempt comes after a pause of its own length, so that many webhooks of one receiver that is
 * back do not all come at once.
 *
 * @param failure.retryAfter seconds that the receiver asks for; @param failure.isFinal whether it wants nothing any more
 * @param random from 0 to 1
 */
export function failed(
  before: Progress,
  {
    error,
    retryAfter = 0,
    isFinal = false,
  }: Readonly<{ error: string; retryAfter?: number | undefined; isFinal?: boolean }>,
  now: number,
  random: number,
): Progress {
  const attempts = before.attempts + 1
  const failingSince = before.failingSince ?? now
  const pause = Math.min(maxPause, minPause * 2 ** Math.min(before.attempts, 20)) * (0.75 + random / 2)
  const isOver = isFinal || (attempts >= minAttempts && now - failingSince >= maxFailing)
  return {
    after: before.after,
    attempts,
    failingSince,
    nextAttemptAt: now + Math.round(Math.max(pause, Math.min(retryAfter, 86_400))),
    lastError: error.slice(0, maxError),
    ...(isOver && { failedAt: now }),
  }
}

/** It begins anew with its next event, whatever became of that before. */
export function retried(webhook: Webhook, after: EventPlace | undefined): Webhook {
  const { failingSince: _, nextAttemptAt: __, lastError: ___, failedAt: ____, disabledAt: _____, ...rest } = webhook
  return { ...rest, after, attempts: 0 }
}

/** Whether nobody has touched its progress since: neither another node nor an operator who let it begin anew. */
export function isSameProgress(a: Progress, b: Progress): boolean {
  return a.after?.id === b.after?.id && a.attempts === b.attempts && a.failedAt === b.failedAt
}
