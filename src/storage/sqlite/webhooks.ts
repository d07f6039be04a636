/** Webhooks, and leases. */
import type { LeaseStorage } from '../../lease.ts'
import type { WebhookStorage } from '../../webhooks/storage.ts'
import { maxWebhooks } from '../../webhooks/webhook.ts'
import { and, asc, eq, sql } from '../drizzle.ts'
import { optional, webhookFromRow, webhookRow } from '../rows.ts'
import type { Connection } from './connection.ts'
import { read } from './group_commit.ts'
import { leases, webhooks } from './schema.ts'

export function createWebhookStorage({ db, write, record, change }: Connection): WebhookStorage & LeaseStorage {
  const list = () => db.select().from(webhooks).orderBy(asc(webhooks.createdAt), asc(webhooks.id)).all()
  const find = (id: string) => db.select().from(webhooks).where(eq(webhooks.id, id)).get()
  return {
    createWebhook: async (webhook, event) => {
      const created = await change(event, () =>
        list().length >= maxWebhooks ? { changes: 0 } : db.insert(webhooks).values(webhookRow(webhook)).run(),
      )
      return created > 0
    },
    listWebhooks: () => read(() => list().map(webhookFromRow)),
    changeWebhook: (id, decide) =>
      write(() => {
        const { outcome, webhook, remove, event } = decide(optional(find(id), webhookFromRow))
        if (remove) db.delete(webhooks).where(eq(webhooks.id, id)).run()
        else if (webhook !== undefined) db.update(webhooks).set(webhookRow(webhook)).where(eq(webhooks.id, id)).run()
        if (event !== undefined) record(event)
        return outcome
      }),
    takeLease: (name, holder, now, until) =>
      write(() => {
        const isFree = sql`${leases.holder} = ${holder} or ${leases.until} <= ${now}`
        const { changes } = db
          .insert(leases)
          .values({ name, holder, until })
          .onConflictDoUpdate({ target: leases.name, set: { holder, until }, setWhere: isFree })
          .run()
        return changes > 0
      }),
    endLease: (name, holder) =>
      write(() => {
        db.delete(leases)
          .where(and(eq(leases.name, name), eq(leases.holder, holder)))
          .run()
      }),
  }
}
