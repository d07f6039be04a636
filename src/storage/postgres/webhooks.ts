/** Webhooks, and leases. */
import type { LeaseStorage } from '../../lease.ts'
import type { WebhookStorage } from '../../webhooks/storage.ts'
import { maxWebhooks } from '../../webhooks/webhook.ts'
import { and, asc, eq, sql } from '../drizzle.ts'
import { optional, webhookFromRow, webhookRow } from '../rows.ts'
import { takeLock } from './advisory_lock.ts'
import type { Connection, Db } from './connection.ts'
import { builder, prepareSelect } from './prepared.ts'
import { leases, webhooks } from './schema.ts'

const listAll = prepareSelect(builder.select().from(webhooks).orderBy(asc(webhooks.createdAt), asc(webhooks.id)))

export function createWebhookStorage({ read, write, record, change }: Connection): WebhookStorage & LeaseStorage {
  const findForUpdate = async (tx: Db, id: string) =>
    (await tx.select().from(webhooks).where(eq(webhooks.id, id)).for('update'))[0]
  return {
    createWebhook: async (webhook, event) => {
      const created = await change(event, async tx => {
        await takeLock(tx, 'newcomers')
        if ((await listAll.all(tx, {})).length >= maxWebhooks) return 0
        return (await tx.insert(webhooks).values(webhookRow(webhook))).rowCount ?? 0
      })
      return created > 0
    },
    listWebhooks: () => read(async db => (await listAll.all(db, {})).map(webhookFromRow)),
    changeWebhook: (id, decide) =>
      write(async tx => {
        const { outcome, webhook, remove, event } = decide(optional(await findForUpdate(tx, id), webhookFromRow))
        if (remove) await tx.delete(webhooks).where(eq(webhooks.id, id))
        else if (webhook !== undefined) await tx.update(webhooks).set(webhookRow(webhook)).where(eq(webhooks.id, id))
        if (event !== undefined) await record(tx, event)
        return outcome
      }),
    takeLease: (name, holder, now, until) =>
      write(async tx => {
        const isFree = sql`${leases.holder} = ${holder} or ${leases.until} <= ${now}`
        const { rowCount } = await tx
          .insert(leases)
          .values({ name, holder, until })
          .onConflictDoUpdate({ target: leases.name, set: { holder, until }, setWhere: isFree })
        return (rowCount ?? 0) > 0
      }),
    endLease: (name, holder) =>
      write(async tx => {
        await tx.delete(leases).where(and(eq(leases.name, name), eq(leases.holder, holder)))
      }),
  }
}
