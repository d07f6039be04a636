/** Mails that wait to be sent. */
import { type Mail, maxMailDelay, maxMails, maxMailsBesideNotices } from '../../mail/mail.ts'
import type { MailStorage } from '../../mail/storage.ts'
import { and, asc, count, desc, eq, gt, isNotNull, lte, min, or } from '../drizzle.ts'
import { mailFromRow, mailRow } from '../rows.ts'
import type { Connection, Db } from './connection.ts'
import { mails, trailReaders } from './schema.ts'

/** For whoever writes one within a transaction, where it belongs to a change: there is always room for it. */
export const mailRows = {
  insert: (tx: Db, mail: Mail) => tx.insert(mails).values(mailRow(mail)),
}

export function createMailStorage({ read, write, record }: Connection): MailStorage {
  const countAll = async (db: Db) => (await db.select({ count: count() }).from(mails))[0]!.count
  return {
    addMail: (mail, event) =>
      write(async tx => {
        // Two at once may be one too many: the bound is there for the disk.
        if ((await countAll(tx)) >= maxMails) return false
        await mailRows.insert(tx, mail)
        if (event !== undefined) await record(tx, event)
        return true
      }),
    listDueMails: (now, limit) =>
      read(async db => {
        const due = or(lte(mails.nextAttemptAt, now), gt(mails.nextAttemptAt, now + maxMailDelay))
        const inOrder = db.select().from(mails).where(due).orderBy(asc(mails.nextAttemptAt), asc(mails.id))
        return (await inOrder.limit(limit)).map(mailFromRow)
      }),
    putOffMail: ({ id, nextAttemptAt, attempts, lastError = null }) =>
      write(async tx => {
        await tx.update(mails).set({ nextAttemptAt, attempts, lastError }).where(eq(mails.id, id))
      }),
    removeMail: (id, event) =>
      write(async tx => {
        const { rowCount } = await tx.delete(mails).where(eq(mails.id, id))
        const isRemoved = (rowCount ?? 0) > 0
        if (isRemoved && event !== undefined) await record(tx, event)
        return isRemoved
      }),
    findTrailReader: name =>
      read(async db => {
        const [row] = await db.select().from(trailReaders).where(eq(trailReaders.name, name))
        return row && { id: row.afterId, at: row.afterAt }
      }),
    moveTrailReader: (name, from, to, added) =>
      write(async tx => {
        if (added.length > 0 && (await countAll(tx)) >= maxMailsBesideNotices) return false
        const place = { afterId: to.id, afterAt: to.at }
        const { rowCount } =
          from === undefined
            ? await tx
                .insert(trailReaders)
                .values({ name, ...place })
                .onConflictDoNothing()
            : await tx
                .update(trailReaders)
                .set(place)
                .where(
                  and(
                    eq(trailReaders.name, name),
                    eq(trailReaders.afterId, from.id),
                    eq(trailReaders.afterAt, from.at),
                  ),
                )
        if (rowCount !== 1) return false
        for (const mail of added) await mailRows.insert(tx, mail)
        return true
      }),
    measureMails: () =>
      read(async db => {
        const [all] = await db.select({ count: count(), oldestAt: min(mails.createdAt) }).from(mails)
        const [failed] = await db
          .select({ error: mails.lastError })
          .from(mails)
          .where(isNotNull(mails.lastError))
          .orderBy(desc(mails.attempts))
          .limit(1)
        return { count: all!.count, oldestAt: all!.oldestAt ?? undefined, lastError: failed?.error ?? undefined }
      }),
  }
}
