/** What operators do to webhooks. */
import type { EventPlace } from '../audit/audit.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { sealedUnder } from '../keys/sealed_text.ts'
import { printableBrief } from '../printable.ts'
import { createWebhookSecret, openWebhookSecret, sealWebhookSecret } from '../webhooks/signature.ts'
import {
  createWebhookId,
  maxWebhooks,
  maxWebhookTypes,
  retried,
  type Webhook,
  webhookUrlProblem,
} from '../webhooks/webhook.ts'
import { insistOnType } from './audit_trail.ts'
import { type Actor, actorEvent, type Insist, type Needs } from './deps.ts'
import { Conflict, InvalidMember, NotFound } from './error.ts'

export type WebhookDocument = ReturnType<typeof describeWebhook>

/** A secret that was made here, in the one answer that shows it. */
export type ShownWebhookSecret = Readonly<{ secret?: string }>

/** What an operator says of a webhook. What is absent stays as it is. */
export type WebhookSettings = Readonly<{ url?: string | undefined; types?: readonly string[] | undefined }>

/** What of a document changes by what operators do alone: not with each event that is sent. */
type Version = Pick<WebhookDocument, 'id' | 'url' | 'types' | 'secrets' | 'created_at' | 'disabled_at'>

/** @throws InvalidMember */
export function readWebhookSettings({ url, types }: WebhookSettings, allowPrivate: boolean): Partial<Webhook> {
  const problem = url === undefined ? undefined : webhookUrlProblem(url, allowPrivate)
  if (problem !== undefined) throw new InvalidMember('url', problem)
  if (types !== undefined && types.length > maxWebhookTypes)
    throw new InvalidMember('types', `there are at most ${maxWebhookTypes}`)
  for (const type of types ?? []) insistOnType('types', type)
  return { ...(url !== undefined && { url }), ...(types !== undefined && { types: [...new Set(types)] }) }
}

/** Adds a webhook, which gets what happens from now on. @throws Conflict when there are too many */
export async function addWebhook(
  deps: Needs<'storage' | 'secrets' | 'now' | 'randomBytes'>,
  given: Partial<Webhook> & Pick<Webhook, 'url'>,
  actor: Actor,
): Promise<WebhookDocument & ShownWebhookSecret> {
  const { storage, now, randomBytes } = deps
  const id = createWebhookId(randomBytes)
  const { shown, sealed } = await newSecret(deps, id)
  const after = await storage.findLastPlace()
  const webhook = { id, types: [], ...given, secrets: [sealed], createdAt: now(), after, attempts: 0 }
  if (!(await storage.createWebhook(webhook, actorEvent(actor, 'webhook.created', now(), { detail: id }))))
    throw new Conflict('too_many_webhooks', `there are ${maxWebhooks} webhooks, which is the most`)
  return { ...describeWebhook(webhook), ...shown }
}

export async function listWebhooks({ storage }: Needs<'storage'>): Promise<WebhookDocument[]> {
  return (await storage.listWebhooks()).map(describeWebhook)
}

/** @throws NotFound */
export async function showWebhook({ storage }: Needs<'storage'>, id: string): Promise<WebhookDocument> {
  return storage.changeWebhook(id, webhook => ({ outcome: describeWebhook(webhook ?? gone(id)) }))
}

/** @throws NotFound, Stale */
export async function updateWebhook(
  deps: Needs<'storage' | 'now'>,
  id: string,
  settings: Partial<Webhook>,
  actor: Actor,
  insist?: Insist<Version>,
): Promise<WebhookDocument> {
  const event = actorEvent(actor, 'webhook.updated', deps.now(), { detail: `${id} ${Object.keys(settings).join(' ')}` })
  return change(deps, id, webhook => ({ ...webhook, ...settings }), event, insist)
}

/** Sends nothing to a webhook; what happens meanwhile waits in the trail. @throws NotFound, Stale */
export async function disableWebhook(
  deps: Needs<'storage' | 'now'>,
  id: string,
  actor: Actor,
  insist?: Insist<Version>,
): Promise<WebhookDocument> {
  const event = actorEvent(actor, 'webhook.disabled', deps.now(), { detail: id })
  const disable = (webhook: Webhook) =>
    webhook.disabledAt === undefined ? { ...webhook, disabledAt: event.at } : undefined
  return change(deps, id, disable, event, insist)
}

/**
 * Lets a webhook begin again that was disabled or given up: with the first event that it has not got, or with what happens from now on.
 *
 * @throws NotFound, Stale
 */
export async function enableWebhook(
  deps: Needs<'storage' | 'now'>,
  id: string,
  fromNow: boolean,
  actor: Actor,
  insist?: Insist<Version>,
): Promise<WebhookDocument> {
  const last: EventPlace | undefined = fromNow ? await deps.storage.findLastPlace() : undefined
  const event = actorEvent(actor, 'webhook.enabled', deps.now(), { detail: fromNow ? `${id} from now on` : id })
  const enable = (webhook: Webhook) => {
    const isIdle = webhook.disabledAt === undefined && webhook.attempts === 0
    return isIdle && !fromNow ? undefined : retried(webhook, fromNow ? last : webhook.after)
  }
  return change(deps, id, enable, event, insist)
}

/**
 * Adds a secret; the one before signs as well until the next time.
 *
 * @param endOld ends the old ones at once @throws NotFound, Stale
 */
export async function rotateWebhookSecret(
  deps: Needs<'storage' | 'secrets' | 'now' | 'randomBytes'>,
  id: string,
  endOld: boolean,
  actor: Actor,
  insist?: Insist<Version>,
): Promise<WebhookDocument & ShownWebhookSecret> {
  const { shown, sealed } = await newSecret(deps, id)
  const event = actorEvent(actor, 'webhook.secret_rotated', deps.now(), { detail: id })
  const rotate = (webhook: Webhook) => ({
    ...webhook,
    secrets: [sealed, ...(endOld ? [] : webhook.secrets.slice(0, 1))],
  })
  return { ...(await change(deps, id, rotate, event, insist)), ...shown }
}

/** Ends the secret before the newest. @throws NotFound, Stale */
export async function dropOldWebhookSecret(
  deps: Needs<'storage' | 'now'>,
  id: string,
  actor: Actor,
  insist?: Insist<Version>,
): Promise<WebhookDocument> {
  const event = actorEvent(actor, 'webhook.old_secret_dropped', deps.now(), { detail: id })
  const drop = (webhook: Webhook) =>
    webhook.secrets.length > 1 ? { ...webhook, secrets: webhook.secrets.slice(0, 1) } : undefined
  return change(deps, id, drop, event, insist)
}

/** @throws NotFound, Stale */
export async function removeWebhook(
  { storage, now }: Needs<'storage' | 'now'>,
  id: string,
  actor: Actor,
  insist: Insist<Version> = () => {},
): Promise<{ removed: string }> {
  const event = actorEvent(actor, 'webhook.removed', now(), { detail: id })
  return storage.changeWebhook(id, webhook => {
    insist(versionOf(describeWebhook(webhook ?? gone(id))))
    return { outcome: { removed: id }, remove: true, event }
  })
}

/** Seals the secrets of webhooks under the newest master secret. @returns how many were under another */
export async function resealWebhookSecrets({
  storage,
  secrets,
  randomBytes,
}: Needs<'storage' | 'secrets' | 'randomBytes'>): Promise<number> {
  const all = await secrets()
  let count = 0
  for (const { id, secrets: stored } of await storage.listWebhooks()) {
    const resealed = new Map(
      stored
        .filter(sealed => sealedUnder(sealed) !== all[0].name)
        .map(sealed => [sealed, reseal(sealed, id, all, randomBytes)]),
    )
    if (resealed.size === 0) continue
    count += resealed.size
    await storage.changeWebhook(id, webhook => ({
      outcome: undefined,
      ...(webhook && { webhook: { ...webhook, secrets: webhook.secrets.map(one => resealed.get(one) ?? one) } }),
    }))
  }
  return count
}

function reseal(sealed: string, id: string, secrets: MasterSecrets, randomBytes: (size: number) => Buffer): string {
  const secret = openWebhookSecret(sealed, id, secrets)
  return secret === undefined ? sealed : sealWebhookSecret(secret, id, secrets, randomBytes)
}

/** What an `If-Match` compares. */
export function versionOf({ id, url, types, secrets, created_at, disabled_at }: WebhookDocument): Version {
  return { id, url, types, secrets, created_at, disabled_at }
}

async function change(
  { storage }: Needs<'storage'>,
  id: string,
  update: (webhook: Webhook) => Webhook | undefined,
  event: ReturnType<typeof actorEvent>,
  insist: Insist<Version> = () => {},
): Promise<WebhookDocument> {
  return storage.changeWebhook(id, before => {
    const webhook = before ?? gone(id)
    insist(versionOf(describeWebhook(webhook)))
    const after = update(webhook)
    return { outcome: describeWebhook(after ?? webhook), ...(after && { webhook: after, event }) }
  })
}

async function newSecret({ secrets, randomBytes }: Needs<'secrets' | 'randomBytes'>, id: string) {
  const secret = createWebhookSecret(randomBytes)
  return { shown: { secret }, sealed: sealWebhookSecret(secret, id, await secrets(), randomBytes) }
}

function gone(id: string): never {
  throw new NotFound(`there is no webhook ${printableBrief(id)}`)
}

function describeWebhook(webhook: Webhook) {
  return {
    id: webhook.id,
    url: webhook.url,
    types: webhook.types,
    secrets: webhook.secrets.length,
    state: stateOf(webhook),
    created_at: webhook.createdAt,
    disabled_at: webhook.disabledAt ?? null,
    delivered_to_at: webhook.after?.at ?? null,
    attempts: webhook.attempts,
    failing_since: webhook.failingSince ?? null,
    next_attempt_at: webhook.nextAttemptAt ?? null,
    failed_at: webhook.failedAt ?? null,
    last_error: webhook.lastError ?? null,
  }
}

function stateOf({ disabledAt, failedAt, attempts }: Webhook): 'disabled' | 'failed' | 'retrying' | 'live' {
  if (disabledAt !== undefined) return 'disabled'
  if (failedAt !== undefined) return 'failed'
  return attempts > 0 ? 'retrying' : 'live'
}
