/**
 * Rows of sessions, for whoever reads or writes them within a transaction. Locks of them are taken in the order of their ids, after
 * those of users and clients.
 */
import type { RevokedReason, Session } from '../../sessions/session.ts'
import type { User } from '../../users/user.ts'
import { endedBefore, openAt } from '../conditions.ts'
import { and, asc, desc, eq, getTableColumns, gt, inArray, isNull, or, type SQL, sql } from '../drizzle.ts'
import { optional, recordColumns, sessionFromRow, sessionRow, userFromRow } from '../rows.ts'
import { type Db, pruneBatch } from './connection.ts'
import { builder, prepareRun, prepareSelect } from './prepared.ts'
import { sessions, users } from './schema.ts'

/** Users whose sessions one step counts: a millisecond or two, from the index alone. */
export const usersPerStep = 2000
/** Sessions that one statement ends: a client may have millions, and a statement has some seconds. */
const sessionsPerStatement = 5000

/** What of a session may change. */
const { id: _, userId: __, clientId: ___, createdAt: ____, ...mutable } = getTableColumns(sessions)
export const mutableColumns = mutable
const value = sql.placeholder
const isIt = eq(sessions.id, value('id'))

function valuesOf<Columns extends object>(columns: Columns) {
  const values = Object.keys(columns).map(name => [name, sql`${value(name)}`])
  return Object.fromEntries(values) as { [Name in keyof Columns]: SQL }
}

function remove() {
  const named = sql`unnest(${value('ids')}::text[], ${value('seenAt')}::bigint[]) as named (id, last_seen_at)`
  const isNamed = sql`${sessions.id} = named.id and ${sessions.lastSeenAt} = named.last_seen_at`
  const locked = builder
    .$with('locked')
    .as(
      builder
        .select({ id: sessions.id })
        .from(sessions)
        .innerJoin(named, isNamed)
        .orderBy(asc(sessions.id))
        .for('update', { of: sessions }),
    )
  return builder
    .with(locked)
    .delete(sessions)
    .where(inArray(sessions.id, builder.select({ id: locked.id }).from(locked)))
}

/** The next ones after `after` that fit a condition. */
function revoke(condition: SQL | undefined, revokedReason: RevokedReason, revokedAt: number) {
  const locked = builder.$with('locked').as(
    builder
      .select({ id: sessions.id })
      .from(sessions)
      .where(and(condition, gt(sessions.id, value('after'))))
      .orderBy(asc(sessions.id))
      .limit(sessionsPerStatement)
      .for('update'),
  )
  const ended = builder.$with('ended').as(
    builder
      .update(sessions)
      .set({ revokedAt, revokedReason })
      .where(inArray(sessions.id, builder.select({ id: locked.id }).from(locked)))
      .returning({ id: sessions.id }),
  )
  return builder
    .with(locked, ended)
    .select({ count: sql<number>`count(*)`.as('count'), last: sql<string | null>`max(${locked.id})`.as('last') })
    .from(locked)
}

function prune() {
  const page = builder.$with('page').as(
    builder
      .select({ id: sessions.id })
      .from(sessions)
      .where(gt(sessions.id, value('after')))
      .orderBy(asc(sessions.id))
      .limit(pruneBatch),
  )
  const ended = builder.$with('ended').as(
    builder
      .select({ id: sessions.id })
      .from(sessions)
      .where(
        and(inArray(sessions.id, builder.select({ id: page.id }).from(page)), endedBefore(sessions, value('before'))),
      )
      .orderBy(asc(sessions.id))
      // Somebody is about to change it: it comes with the next round.
      .for('update', { skipLocked: true }),
  )
  const removed = builder.$with('removed').as(
    builder
      .delete(sessions)
      .where(inArray(sessions.id, builder.select({ id: ended.id }).from(ended)))
      .returning({ id: sessions.id }),
  )
  return builder
    .with(page, ended, removed)
    .select({ last: sql<string | null>`max(${page.id})`.as('last') })
    .from(page)
}

const statements = {
  findForUpdate: prepareSelect(builder.select().from(sessions).where(isIt).for('update')),
  findWithUser: prepareSelect(
    builder
      .select({ session: getTableColumns(sessions), user: recordColumns(getTableColumns(users)) })
      .from(sessions)
      .innerJoin(users, eq(users.id, sessions.userId))
      .where(isIt),
  ),
  lockOpenOf: prepareSelect(
    builder
      .select()
      .from(sessions)
      .where(or(isIt, and(eq(sessions.userId, value('userId')), isNull(sessions.revokedAt))))
      .orderBy(asc(sessions.id))
      .for('update'),
  ),
  newestOf: prepareSelect(
    builder
      .select()
      .from(sessions)
      .where(eq(sessions.userId, value('userId')))
      .orderBy(desc(sessions.createdAt), desc(sessions.id))
      .limit(value('limit')),
  ),
  olderOf: prepareSelect(
    builder
      .select()
      .from(sessions)
      .where(
        and(
          eq(sessions.userId, value('userId')),
          sql`(${sessions.createdAt}, ${sessions.id}) < (${value('createdAt')}, ${value('id')})`,
        ),
      )
      .orderBy(desc(sessions.createdAt), desc(sessions.id))
      .limit(value('limit')),
  ),
  signInOf: prepareSelect(
    builder
      .select({ createdAt: sessions.createdAt })
      .from(sessions)
      .where(and(isIt, eq(sessions.userId, value('userId')))),
  ),
  countByUser: prepareSelect(
    builder
      .select({ userId: sessions.userId, count: sql<number>`count(*)`.as('count') })
      .from(sessions)
      .where(gt(sessions.userId, value('after')))
      .groupBy(sessions.userId)
      .orderBy(asc(sessions.userId))
      .limit(usersPerStep),
  ),
  prune: prepareSelect(prune()),
  remove: prepareRun(remove()),
  insert: prepareRun(builder.insert(sessions).values(valuesOf(getTableColumns(sessions)))),
  update: prepareRun(builder.update(sessions).set(valuesOf(mutable)).where(isIt)),
}

export const sessionRows = {
  /** The row as it stays until the end of the transaction. */
  findForUpdate: async (tx: Db, id: string) => optional(await statements.findForUpdate.get(tx, { id }), sessionFromRow),
  /** Live or ended. */
  async findWithUser(db: Db, id: string): Promise<{ session: Session; user: User } | undefined> {
    const row = await statements.findWithUser.get(db, { id })
    return row && { session: sessionFromRow(row.session), user: userFromRow(row.user) }
  },
  /**
   * Locks a session and all others of a user that nobody has ended.
   *
   * @returns the one, whosever it is
   */
  async lockOpenOf(tx: Db, userId: string, id: string): Promise<Session | undefined> {
    const rows = await statements.lockOpenOf.all(tx, { userId, id })
    return optional(
      rows.find(row => row.id === id),
      sessionFromRow,
    )
  },
  insert: (tx: Db, session: Session) => statements.insert.run(tx, sessionRow(session)),
  /** What of a session may change. */
  update: (tx: Db, session: Session) => statements.update.run(tx, sessionRow(session)),
  /** Of sessions that nobody has ended. @returns how many were ended */
  async revoke(tx: Db, which: SQL | undefined, reason: RevokedReason, at: number): Promise<number> {
    const { get } = prepareSelect(revoke(and(openAt(sessions, at), which), reason, at))
    let ended = 0
    for (let after: string | null = ''; after !== null; ) {
      const step: { count: number; last: string | null } = (await get(tx, { after }))!
      ended += step.count
      after = step.count < sessionsPerStatement ? null : step.last
    }
    return ended
  },
  /** But for those that were seen meanwhile. @returns how many */
  remove: (tx: Db, which: readonly Pick<Session, 'id' | 'lastSeenAt'>[]) =>
    statements.remove.run(tx, { ids: which.map(({ id }) => id), seenAt: which.map(({ lastSeenAt }) => lastSeenAt) }),
  /** From the newest sign-in back. @param after the id of the last one of the page before. @returns undefined when that is no session of the user */
  async listOf(db: Db, userId: string, limit: number, after?: string): Promise<Session[] | undefined> {
    if (after === undefined) return (await statements.newestOf.all(db, { userId, limit })).map(sessionFromRow)
    const last = await statements.signInOf.get(db, { id: after, userId })
    if (last === undefined) return undefined
    return (await statements.olderOf.all(db, { userId, limit, id: after, ...last })).map(sessionFromRow)
  },
  /** By user, from a user's id on. */
  countByUser: (db: Db, after: string) => statements.countByUser.all(db, { after }),
  /** Removes those that ended before, of the next few. @returns the id of the last one looked at, undefined at the end */
  prune: async (tx: Db, after: string, before: number) =>
    (await statements.prune.get(tx, { after, before }))?.last ?? undefined,
}
