/** Sessions, and what a change of a user does to them. */
import type { AuditEvent } from '../../audit/audit.ts'
import { countedEvent } from '../../sessions/end.ts'
import {
  isLive,
  isOpen,
  mayOpenSession,
  pendingGeneration,
  type RevokedReason,
  type Session,
  type SessionChange,
} from '../../sessions/session.ts'
import { makeRoomFor, sessionsToLookAt } from '../../sessions/session_limit.ts'
import type { SessionFilter, SessionStorage } from '../../sessions/storage.ts'
import type { UserChange } from '../../sessions/user_change.ts'
import { spendAll } from '../../users/factors/factor.ts'
import { wantedByNobody } from '../../users/reserved_usernames.ts'
import { fits, isSeenBefore, liveAt } from '../conditions.ts'
import { and, asc, desc, eq, inArray, lte, sql } from '../drizzle.ts'
import { audienceFromText, sessionFromRow } from '../rows.ts'
import { takeLock } from './advisory_lock.ts'
import { clientRows } from './clients.ts'
import { type Connection, type Db, pruneBatch } from './connection.ts'
import { factorRows } from './factors.ts'
import { mailRows } from './mails.ts'
import { builder, prepareSelect } from './prepared.ts'
import { sessions } from './schema.ts'
import { createSessionBatch } from './session_batch.ts'
import { sessionRows, usersPerStep } from './session_rows.ts'
import { userRows } from './user_rows.ts'

type Changes =
  | 'createSession'
  | 'changeSession'
  | 'changeUser'
  | 'changeEmail'
  | 'renameUser'
  | 'removeSessions'
  | 'revokeSessions'
  | 'pruneSessions'

/** Rows that one step of counting looks at. */
const countBatch = 10_000

/** Row by row in the order of ids: the planner would rather sort all. */
const countLive = `SELECT count(*) AS looked, max(id) AS last,
    count(*) FILTER (WHERE generation <> ${pendingGeneration} AND revoked_at IS NULL AND idle_expires_at > $2 AND expires_at > $2) AS live
  FROM (SELECT id, generation, revoked_at, idle_expires_at, expires_at FROM sessions WHERE id > $1 ORDER BY id LIMIT $3) AS step`

export function createSessionStorage(connection: Connection): SessionStorage {
  return { ...createChanges(connection), ...createQueries(connection) }
}

function createChanges(connection: Connection): Pick<SessionStorage, Changes> {
  const { write, record } = connection
  const changeSession = createSessionBatch(connection)

  /** The user is locked: nobody else begins a session of the user meanwhile. */
  async function makeRoom(tx: Db, session: Session, limit: number, event: AuditEvent) {
    const others = (await sessionRows.listOf(tx, session.userId, sessionsToLookAt(limit))) ?? []
    const { ended, forgotten } = makeRoomFor(session, others, limit, event.at)
    if (ended.length > 0) {
      const ids = ended.map(({ id }) => id)
      const count = await sessionRows.revoke(tx, inArray(sessions.id, ids), 'session_limit', event.at)
      const sessionId = ids.length === 1 ? ids[0] : undefined
      if (count > 0)
        await record(tx, countedEvent({ ...event, type: 'session.revoked', sessionId }, count, 'session_limit'))
    }
    if (forgotten.length > 0) await sessionRows.remove(tx, forgotten.slice(0, pruneBatch))
  }

  /** What is decided about the one may end the others, and all of them are locked in one order. */
  const lockOpen = async (tx: Db, userId: string, sessionId: string | undefined) =>
    sessionId === undefined ? undefined : sessionRows.lockOpenOf(tx, userId, sessionId)

  /** All that a decision comes to but the name. */
  async function apply<Outcome>(tx: Db, userId: string, decided: UserChange<Outcome>): Promise<Outcome> {
    const { outcome, user, factors, endSessions, session, event, mails } = decided
    if (user !== undefined) await userRows.update(tx, user)
    for (const id of factors?.remove ?? []) await factorRows.remove(tx, id)
    for (const factor of factors?.put ?? []) await factorRows.put(tx, factor)
    if (endSessions !== undefined) {
      const { exceptId, reason, at } = endSessions
      await sessionRows.revoke(tx, fits(sessions, { userId, exceptId }), reason, at)
    }
    if (session !== undefined) await sessionRows.update(tx, session)
    if (event !== undefined) await record(tx, event)
    for (const mail of mails ?? []) await mailRows.insert(tx, mail)
    return outcome
  }

  return {
    createSession: (session, { version, passwordHash, uses = [] }, event, limit) =>
      write(async tx => {
        // Sign-ins of one user take turns, so that they count one another.
        const user = await userRows.findForUpdate(tx, session.userId)
        const client = await clientRows.findForShare(tx, session.clientId)
        if (!mayOpenSession(user, client, version)) return false
        const spent = uses.length === 0 ? [] : spendAll(await factorRows.listForUpdate(tx, session.userId), uses)
        if (spent === undefined) return false
        for (const factor of spent) await factorRows.put(tx, factor)
        if (passwordHash !== undefined) await userRows.update(tx, { ...user!, passwordHash })
        if (limit !== undefined) await makeRoom(tx, session, limit, event)
        await sessionRows.insert(tx, session)
        await record(tx, event)
        return true
      }),
    changeSession,
    changeUser: (userId, decide, sessionId) =>
      write(async tx => {
        const before = await userRows.findForUpdate(tx, userId)
        const open = await lockOpen(tx, userId, sessionId)
        return apply(tx, userId, decide(before, open, await factorRows.listForUpdate(tx, userId)))
      }),
    changeEmail: (userId, decide, taken, sessionId) =>
      write(async tx => {
        // Before the row, as whoever comes newly has it.
        await takeLock(tx, 'newcomers')
        const before = await userRows.findForUpdate(tx, userId)
        const open = await lockOpen(tx, userId, sessionId)
        const decided = decide(before, open, await factorRows.listForUpdate(tx, userId))
        const isTaken = decided.user && (await userRows.takenByOther(tx, decided.user, before!)) !== undefined
        return isTaken ? taken : apply(tx, userId, decided)
      }),
    renameUser: (userId, { username, at }, decide, sessionId) =>
      write(async tx => {
        // Before the row, as whoever comes newly has it.
        await takeLock(tx, 'newcomers')
        const before = await userRows.findForRename(tx, userId)
        const open = await lockOpen(tx, userId, sessionId)
        const wanted = before === undefined ? wantedByNobody : await userRows.wanted(tx, before, username)
        const decided = decide(before, open, await factorRows.listForUpdate(tx, userId), wanted)
        const { user } = decided
        if (before !== undefined && user !== undefined && user.username !== before.username)
          await userRows.rename(tx, user, before, at)
        return apply(tx, userId, decided)
      }),
    removeSessions: (which, event) =>
      write(async tx => {
        const removed = await sessionRows.remove(tx, which)
        if (removed > 0 && event !== undefined) await record(tx, countedEvent(event, removed))
        return removed
      }),
    revokeSessions: (which, reason, event) => {
      if (which.id !== undefined) return changeSession(which.id, session => endedBy(which, session, reason, event))
      return write(async tx => {
        const ended = await sessionRows.revoke(tx, fits(sessions, which), reason, event.at)
        if (ended > 0) await record(tx, countedEvent(event, ended, reason))
        return ended
      })
    },
    pruneSessions: (after, before) => write(async tx => (await sessionRows.prune(tx, after, before)) ?? ''),
  }
}

/** What {@link SessionStorage.revokeSessions} comes to for one session: a logout shares its statement with refreshes. */
function endedBy(
  { exceptId, userId, clientId }: SessionFilter,
  session: Session | undefined,
  reason: RevokedReason,
  event: AuditEvent,
): SessionChange<number> {
  if (session === undefined || !isOpen(session, event.at) || session.id === exceptId) return { outcome: 0 }
  if ((userId ?? session.userId) !== session.userId || (clientId ?? session.clientId) !== session.clientId)
    return { outcome: 0 }
  const ofUser = { ...event, userId: event.userId ?? session.userId }
  return {
    outcome: 1,
    session: { ...session, revokedAt: event.at, revokedReason: reason },
    events: [countedEvent(ofUser, 1, reason)],
  }
}

function createQueries({ read }: Connection): Omit<SessionStorage, Changes> {
  return {
    countLiveSessions: (after, now) =>
      read(async ({ $client }) => {
        type Step = { looked: number; last: string | null; live: number }
        const { looked, last, live } = (await $client.query<Step>(countLive, [after, now, countBatch])).rows[0]!
        return { live, next: looked < countBatch ? '' : last! }
      }),
    findLiveSession: (id, now) =>
      read(async db => {
        const found = await sessionRows.findWithUser(db, id)
        return found !== undefined && isLive(found.session, now) ? found : undefined
      }),
    listLiveSessions: (which, now, limit, after) => {
      const query = builder
        .select()
        .from(sessions)
        .where(and(liveAt(sessions, now), fits(sessions, which), after && isSeenBefore(sessions, after)))
        .orderBy(desc(sessions.lastSeenAt), asc(sessions.id))
        .limit(limit)
      return read(async db => (await prepareSelect(query).all(db, {})).map(sessionFromRow))
    },
    listSessionsOf: (userId, { after, limit }) => read(db => sessionRows.listOf(db, userId, limit, after)),
    findCrowd: (after, most) =>
      read(async db => {
        const counts = await sessionRows.countByUser(db, after)
        const crowd = counts.find(({ count }) => count > most)
        return crowd === undefined
          ? { next: counts.length < usersPerStep ? '' : counts.at(-1)!.userId }
          : { userId: crowd.userId, next: crowd.userId }
      }),
    countLiveSessionsByGrant: (clientId, now) => {
      const query = builder
        .select({
          scope: sessions.scope,
          audience: sessions.audience,
          count: sql<number>`count(*)`.as('count'),
        })
        .from(sessions)
        .where(and(liveAt(sessions, now), eq(sessions.clientId, clientId)))
        .groupBy(sessions.scope, sessions.audience)
      return read(async db =>
        (await prepareSelect(query).all(db, {})).map(({ audience, ...row }) => ({
          ...row,
          audience: audienceFromText(audience),
        })),
      )
    },
    countSessionsNotSeenSince: (at, now) => {
      const query = builder
        .select({ count: sql<number>`count(*)`.as('count') })
        .from(sessions)
        .where(and(liveAt(sessions, now), lte(sessions.lastSeenAt, at)))
      return read(async db => (await prepareSelect(query).get(db, {}))!.count)
    },
  }
}
