/** Mails that wait to be sent. */
import { type Mail, maxMailDelay, maxMails, maxMailsBesideNotices } from '../../mail/mail.ts'
import type { MailStorage } from '../../mail/storage.ts'
import { asc, count, desc, eq, gt, isNotNull, lte, min, or } from '../drizzle.ts'
import { mailFromRow, mailRow } from '../rows.ts'
import type { Connection, Orm } from './connection.ts'
import { read } from './group_commit.ts'
import { mails, trailReaders } from './schema.ts'

/** For whoever writes one within a transaction, where it belongs to a change: there is always room for it. */
export function createMailRows(db: Orm) {
  return { insert: (mail: Mail) => db.insert(mails).values(mailRow(mail)).run() }
}

export type MailRows = ReturnType<typeof createMailRows>

export function createMailStorage({ db, write, record }: Connection, rows: MailRows): MailStorage {
  const findReader = (name: string) => {
    const row = db.select().from(trailReaders).where(eq(trailReaders.name, name)).get()
    return row && { id: row.afterId, at: row.afterAt }
  }
  const countAll = () => db.select({ count: count() }).from(mails).get()!.count
  return {
    addMail: (mail, event) =>
      write(() => {
        if (countAll() >= maxMails) return false
        rows.insert(mail)
        if (event !== undefined) record(event)
        return true
      }),
    listDueMails: (now, limit) =>
      read(() =>
        db
          .select()
          .from(mails)
          .where(or(lte(mails.nextAttemptAt, now), gt(mails.nextAttemptAt, now + maxMailDelay)))
          .orderBy(asc(mails.nextAttemptAt), asc(mails.id))
          .limit(limit)
          .all()
          .map(mailFromRow),
      ),
    putOffMail: ({ id, nextAttemptAt, attempts, lastError = null }) =>
      write(() => {
        db.update(mails).set({ nextAttemptAt, attempts, lastError }).where(eq(mails.id, id)).run()
      }),
    removeMail: (id, event) =>
      write(() => {
        const { changes } = db.delete(mails).where(eq(mails.id, id)).run()
        if (changes > 0 && event !== undefined) record(event)
        return changes > 0
      }),
    findTrailReader: name => read(() => findReader(name)),
    moveTrailReader: (name, from, to, added) =>
      write(() => {
        const current = findReader(name)
        if (current?.id !== from?.id || current?.at !== from?.at) return false
        if (added.length > 0 && countAll() >= maxMailsBesideNotices) return false
        const place = { afterId: to.id, afterAt: to.at }
        db.insert(trailReaders)
          .values({ name, ...place })
          .onConflictDoUpdate({ target: trailReaders.name, set: place })
          .run()
        for (const mail of added) rows.insert(mail)
        return true
      }),
    measureMails: () =>
      read(() => {
        const oldest = db
          .select({ at: min(mails.createdAt) })
          .from(mails)
          .get()!.at
        const failed = db
          .select({ error: mails.lastError })
          .from(mails)
          .where(isNotNull(mails.lastError))
          .orderBy(desc(mails.attempts))
          .limit(1)
          .get()
        return { count: countAll(), oldestAt: oldest ?? undefined, lastError: failed?.error ?? undefined }
      }),
  }
}
