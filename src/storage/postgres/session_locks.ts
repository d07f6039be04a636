/** Locks of sessions, for what removes many of them. */
import { asc, type Column, eq, sql } from '../drizzle.ts'
import { builder, prepareSelect } from './prepared.ts'
import { sessions } from './schema.ts'

/**
 * @param column which says whose sessions
 * @returns what locks all sessions of one owner, who is locked already, in the order in which everybody locks sessions. A cascade
 *   would lock them in any order, and two that lock some of the same would wait for one another.
 */
export function prepareLockSessionsOf(column: Column) {
  const locked = builder
    .select({ id: sessions.id })
    .from(sessions)
    .where(eq(column, sql.placeholder('owner')))
    .orderBy(asc(sessions.id))
    .for('update')
    .as('locked')
  // Counted there: they may be a million.
  const { get } = prepareSelect(builder.select({ count: sql<number>`count(*)`.as('count') }).from(locked))
  return get
}
