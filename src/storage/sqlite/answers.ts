/** Answers that are kept for who repeats a request. */
import type { AnswerStorage } from '../../keys/storage.ts'
import { ofSameOwner } from '../conditions.ts'
import { count, eq, inArray, lte } from '../drizzle.ts'
import { keptAnswer } from '../rows.ts'
import { type Connection, pruneBatch } from './connection.ts'
import { keptAnswers } from './schema.ts'

export function createAnswerStorage({ db, write }: Connection): AnswerStorage {
  return {
    beginAnswer: (id, began, max) =>
      write(() => {
        const before = db.select().from(keptAnswers).where(eq(keptAnswers.id, id)).get()
        if (before !== undefined && before.expiresAt > began.beganAt) return keptAnswer(before)
        const [others] = db
          .select({ count: count() })
          .from(keptAnswers)
          .where(ofSameOwner(keptAnswers, id, began.beganAt))
          .all()
        if (others!.count >= max) return 'full'
        db.insert(keptAnswers)
          .values({ id, ...began })
          .onConflictDoUpdate({ target: keptAnswers.id, set: { ...began, answer: null } })
          .run()
        return undefined
      }),
    keepAnswer: (id, answer) =>
      write(() => {
        db.update(keptAnswers).set({ answer }).where(eq(keptAnswers.id, id)).run()
      }),
    forgetAnswer: id =>
      write(() => {
        db.delete(keptAnswers).where(eq(keptAnswers.id, id)).run()
      }),
    pruneAnswers: before =>
      write(() => {
        const expired = db
          .select({ id: keptAnswers.id })
          .from(keptAnswers)
          .where(lte(keptAnswers.expiresAt, before))
          .limit(pruneBatch)
        return db.delete(keptAnswers).where(inArray(keptAnswers.id, expired)).run().changes
      }),
  }
}
