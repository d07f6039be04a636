/** What webhooks ask of a database. */
import type { AuditEvent } from '../audit/audit.ts'
import type { Webhook, WebhookChange } from './webhook.ts'

export type WebhookStorage = Readonly<{
  /** False when there are as many as there may be. */
  createWebhook(webhook: Webhook, event: AuditEvent): Promise<boolean>
  /** By the time that they were added. */
  listWebhooks(): Promise<Webhook[]>
  /**
   * Writes what `decide` makes of a webhook, and answers its outcome.
   *
   * @param decide pure and synchronous; may be called more than once; what it throws undoes everything
   */
  changeWebhook<Outcome>(id: string, decide: (webhook: Webhook | undefined) => WebhookChange<Outcome>): Promise<Outcome>
}>
