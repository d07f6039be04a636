/** Answers that are kept for who repeats a request. */
import type { AnswerStorage } from '../../keys/storage.ts'
import { eq, inArray, lte } from '../drizzle.ts'
import { keptAnswer } from '../rows.ts'
import { type Connection, pruneBatch } from './connection.ts'
import { keptAnswers } from './schema.ts'

export function createAnswerStorage({ db, write }: Connection): AnswerStorage {
  return {
    beginAnswer: (id, began) =>
      write(() => {
        const { changes } = db
          .insert(keptAnswers)
          .values({ id, ...began })
          .onConflictDoUpdate({
            target: keptAnswers.id,
            set: { ...began, answer: null },
            setWhere: lte(keptAnswers.expiresAt, began.beganAt),
          })
          .run()
        if (changes > 0) return undefined
        return keptAnswer(db.select().from(keptAnswers).where(eq(keptAnswers.id, id)).get()!)
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
