/** Answers that are kept for who repeats a request. */
import type { AnswerStorage } from '../../keys/storage.ts'
import { ofSameOwner } from '../conditions.ts'
import { count, eq, sql } from '../drizzle.ts'
import { keptAnswer } from '../rows.ts'
import type { Connection } from './connection.ts'
import { builder, prepareRun, prepareSelect } from './prepared.ts'
import { preparePrune } from './prune.ts'
import { keptAnswers } from './schema.ts'

const value = sql.placeholder
const isIt = eq(keptAnswers.id, value('id'))

const find = prepareSelect(builder.select().from(keptAnswers).where(isIt))
// Of two at once the later one waits for the other's commit, and then finds what that has begun.
const begin = prepareRun(
  builder
    .insert(keptAnswers)
    .values({
      id: value('id'),
      fingerprint: value('fingerprint'),
      beganAt: value('beganAt'),
      expiresAt: value('expiresAt'),
    })
    .onConflictDoUpdate({
      target: keptAnswers.id,
      set: {
        fingerprint: sql`excluded.fingerprint`,
        beganAt: sql`excluded.began_at`,
        expiresAt: sql`excluded.expires_at`,
        answer: sql`null`,
      },
      setWhere: sql`${keptAnswers.expiresAt} <= excluded.began_at`,
    }),
)
const keep = prepareRun(
  builder
    .update(keptAnswers)
    .set({ answer: sql`${value('answer')}` })
    .where(isIt),
)
const forget = prepareRun(builder.delete(keptAnswers).where(isIt))
const prune = preparePrune(keptAnswers)

export function createAnswerStorage({ write }: Connection): AnswerStorage {
  return {
    beginAnswer: (id, began, max) =>
      write(async tx => {
        const before = await find.get(tx, { id })
        if (before !== undefined && before.expiresAt > began.beganAt) return keptAnswer(before)
        // Several at once may be a few too many together.
        const [others] = await tx
          .select({ count: count() })
          .from(keptAnswers)
          .where(ofSameOwner(keptAnswers, id, began.beganAt))
        if (others!.count >= max) return 'full'
        if ((await begin.run(tx, { id, ...began })) > 0) return undefined
        return keptAnswer((await find.get(tx, { id }))!)
      }),
    keepAnswer: (id, answer) =>
      write(async tx => {
        await keep.run(tx, { id, answer })
      }),
    forgetAnswer: id =>
      write(async tx => {
        await forget.run(tx, { id })
      }),
    pruneAnswers: before => write(tx => prune.run(tx, { before })),
  }
}
