/**
 * What a receiver knows an event by: Standard Webhooks, symmetric signatures. Its secret is `whsec_` and base64 of 32 random bytes; it is
 * kept sealed under the master secret, because an HMAC needs the secret itself and no digest of it will do.
 */
import { createHmac } from 'node:crypto'
import { eventId, type PlacedEvent } from '../audit/audit.ts'
import { describePlacedEvent } from '../audit/event_document.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { type KeyOf, openText, sealText } from '../keys/sealed_text.ts'

const prefix = 'whsec_'
const keyOf: KeyOf = secret => secret.webhookSecretKey

/** What is sent of an event: the same bytes are signed. */
export type Message = Readonly<{ headers: Readonly<Record<string, string>>; body: string }>

/** @returns a secret text: shown once, stored sealed, never logged */
export function createWebhookSecret(randomBytes: (size: number) => Buffer): string {
  return prefix + randomBytes(32).toString('base64')
}

export function sealWebhookSecret(
  secret: string,
  webhookId: string,
  secrets: MasterSecrets,
  randomBytes: (size: number) => Buffer,
): string {
  return sealText(secret, webhookId, keyOf, secrets, randomBytes)
}

/** @returns undefined when the master secret is gone */
export function openWebhookSecret(sealed: string, webhookId: string, secrets: MasterSecrets): string | undefined {
  return openText(sealed, webhookId, keyOf, secrets)
}

/** @param secrets of the webhook, opened: each of them signs @param at of this attempt, seconds since the epoch */
export function messageOf(event: PlacedEvent, secrets: readonly string[], at: number): Message {
  const id = eventId(event)
  const timestamp = new Date(event.at * 1000).toISOString()
  const body = JSON.stringify({ type: event.type, timestamp, data: describePlacedEvent(event) })
  const signatures = secrets.map(secret => sign(secret, `${id}.${at}.${body}`))
  return {
    headers: { 'webhook-id': id, 'webhook-timestamp': String(at), 'webhook-signature': signatures.join(' ') },
    body,
  }
}

function sign(secret: string, text: string): string {
  const key = Buffer.from(secret.slice(prefix.length), 'base64')
  return `v1,${createHmac('sha256', key).update(text).digest('base64')}`
}
