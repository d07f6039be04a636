/** Sessions, and what a change of a user does to them. */
import type { AuditEvent } from '../../audit/audit.ts'
import { countedEvent } from '../../sessions/end.ts'
import { isLive, mayOpenSession, pendingGeneration, type Session } from '../../sessions/session.ts'
import { makeRoomFor, sessionsToLookAt } from '../../sessions/session_limit.ts'
import type { SessionStorage } from '../../sessions/storage.ts'
import type { UserChange } from '../../sessions/user_change.ts'
import { spendAll } from '../../users/factors/factor.ts'
import { wantedByNobody } from '../../users/reserved_usernames.ts'
import { hasOtherAddress, type User } from '../../users/user.ts'
import { endedBefore, fits, isSeenBefore, liveAt } from '../conditions.ts'
import { and, asc, desc, eq, inArray, lte, sql } from '../drizzle.ts'
import { audienceFromText, sessionFromRow } from '../rows.ts'
import type { ClientRows } from './clients.ts'
import { type Connection, pruneBatch } from './connection.ts'
import type { FactorRows } from './factors.ts'
import { read } from './group_commit.ts'
import type { MailRows } from './mails.ts'
import { sessions } from './schema.ts'
import { type SessionRows, usersPerStep } from './session_rows.ts'
import type { UserRows } from './user_rows.ts'

type Rows = Readonly<{
  users: UserRows
  factors: FactorRows
  clients: ClientRows
  sessions: SessionRows
  mails: MailRows
}>

type Changes =
  | 'createSession'
  | 'changeSession'
  | 'changeUser'
  | 'changeEmail'
  | 'renameUser'
  | 'removeSessions'
  | 'revokeSessions'
  | 'pruneSessions'

/** @param claim takes the names of a user from imports that are still pending */
export function createSessionStorage(connection: Connection, rows: Rows, claim: (user: User) => void): SessionStorage {
  return { ...createChanges(connection, rows, claim), ...createQueries(connection, rows) }
}

function createChanges(
  { db, write, record }: Connection,
  rows: Rows,
  claim: (user: User) => void,
): Pick<SessionStorage, Changes> {
  function makeRoom(session: Session, limit: number, event: AuditEvent) {
    const others = rows.sessions.listOf(session.userId, sessionsToLookAt(limit)) ?? []
    const { ended, forgotten } = makeRoomFor(session, others, limit, event.at)
    for (const { id } of ended) rows.sessions.revoke({ id }, 'session_limit', event.at)
    for (const one of forgotten.slice(0, pruneBatch)) rows.sessions.remove(one)
    if (ended.length === 0) return
    const sessionId = ended.length === 1 ? ended[0]!.id : undefined
    record(countedEvent({ ...event, type: 'session.revoked', sessionId }, ended.length, 'session_limit'))
  }

  /** Within a write: all that a decision comes to but the name. */
  function apply<Outcome>(userId: string, decided: UserChange<Outcome>, before: Session | undefined): Outcome {
    const { outcome, user, factors, endSessions, session, event, mails } = decided
    if (user !== undefined) rows.users.update(user)
    for (const id of factors?.remove ?? []) rows.factors.remove(id)
    for (const factor of factors?.put ?? []) rows.factors.put(factor)
    if (endSessions !== undefined)
      rows.sessions.revoke({ userId, exceptId: endSessions.exceptId }, endSessions.reason, endSessions.at)
    if (session !== undefined) rows.sessions.update(session, before)
    if (event !== undefined) record(event)
    for (const mail of mails ?? []) rows.mails.insert(mail)
    return outcome
  }

  return {
    createSession: (session, credentials, event, limit) =>
      write(() => {
        const user = rows.users.find(session.userId)
        const client = rows.clients.find(session.clientId)
        if (!mayOpenSession(user, client, credentials.version)) return false
        const { passwordHash, uses = [] } = credentials
        const spent = uses.length === 0 ? [] : spendAll(rows.factors.listOf(session.userId), uses)
        if (spent === undefined) return false
        for (const factor of spent) rows.factors.put(factor)
        if (passwordHash !== undefined) rows.users.update({ ...user!, passwordHash })
        if (limit !== undefined) makeRoom(session, limit, event)
        rows.sessions.insert(session)
        record(event)
        return true
      }),
    changeSession: (sessionId, decide) =>
      write(() => {
        const before = rows.sessions.find(sessionId)
        const { outcome, session, events } = decide(before)
        if (session !== undefined) rows.sessions.update(session, before)
        if (events !== undefined) for (const event of events) record(event)
        return outcome
      }),
    changeUser: (userId, decide, sessionId) =>
      write(() => {
        const before = sessionId === undefined ? undefined : rows.sessions.find(sessionId)
        return apply(userId, decide(rows.users.find(userId), before, rows.factors.listOf(userId)), before)
      }),
    changeEmail: (userId, decide, taken, sessionId) =>
      write(() => {
        const before = sessionId === undefined ? undefined : rows.sessions.find(sessionId)
        const userBefore = rows.users.find(userId)
        const decided = decide(userBefore, before, rows.factors.listOf(userId))
        if (decided.user !== undefined && hasOtherAddress(decided.user, userBefore!)) {
          if (rows.users.takenByOther(decided.user, userBefore!) !== undefined) return taken
          claim(decided.user)
        }
        return apply(userId, decided, before)
      }),
    renameUser: (userId, { username, at }, decide, sessionId) =>
      write(() => {
        const before = sessionId === undefined ? undefined : rows.sessions.find(sessionId)
        const user = rows.users.find(userId)
        const wanted = user === undefined ? wantedByNobody : rows.users.wanted(user, username)
        const decided = decide(user, before, rows.factors.listOf(userId), wanted)
        if (user !== undefined && decided.user !== undefined && decided.user.username !== user.username) {
          claim(decided.user)
          rows.users.rename(decided.user, user, at)
        }
        return apply(userId, decided, before)
      }),
    removeSessions: (which, event) =>
      write(() => {
        const removed = which.filter(session => rows.sessions.remove(session) > 0).length
        if (removed > 0 && event !== undefined) record(countedEvent(event, removed))
        return removed
      }),
    revokeSessions: (which, reason, event) =>
      write(() => {
        const ended = rows.sessions.revoke(which, reason, event.at)
        const { userId = which.id && rows.sessions.find(which.id)?.userId } = event
        if (ended > 0) record(countedEvent({ ...event, userId }, ended, reason))
        return ended
      }),
    pruneSessions: (after, before) =>
      write(() => {
        const ids = rows.sessions.nextIds(after)
        db.delete(sessions)
          .where(and(inArray(sessions.id, ids), endedBefore(sessions, before)))
          .run()
        return ids.at(-1) ?? ''
      }),
  }
}

/** Rows that one step of counting looks at: some milliseconds. */
const countBatch = 2000

function createQueries({ db }: Connection, rows: Rows): Omit<SessionStorage, Changes> {
  // In the order in which they are in the file: what is counted is read but once, and from few pages.
  const countLive = db.$client.prepare<
    [number, number, number, number],
    { looked: number; last: number; live: number }
  >(
    `SELECT count(*) AS looked, max(rowid) AS last,
       coalesce(sum(generation <> ${pendingGeneration} AND revoked_at IS NULL AND idle_expires_at > ? AND expires_at > ?), 0) AS live
     FROM (SELECT rowid, generation, revoked_at, idle_expires_at, expires_at FROM sessions WHERE rowid > ? ORDER BY rowid LIMIT ?)`,
  )
  return {
    countLiveSessions: (after, now) =>
      read(() => {
        const { looked, last, live } = countLive.get(now, now, Number(after), countBatch)!
        return { live, next: looked < countBatch ? '' : String(last) }
      }),
    findLiveSession: (id, now) =>
      read(() => {
        // Two look-ups by primary key: as a join, with the conditions in SQL, they cost three times as much.
        const session = rows.sessions.find(id)
        if (session === undefined || !isLive(session, now)) return undefined
        const user = rows.users.find(session.userId)
        return user && { session, user }
      }),
    listLiveSessions: (which, now, limit, after) =>
      read(() =>
        db
          .select()
          .from(sessions)
          .where(and(liveAt(sessions, now), fits(sessions, which), after && isSeenBefore(sessions, after)))
          .orderBy(desc(sessions.lastSeenAt), asc(sessions.id))
          .limit(limit)
          .all()
          .map(sessionFromRow),
      ),
    listSessionsOf: (userId, { after, limit }) => read(() => rows.sessions.listOf(userId, limit, after)),
    findCrowd: (after, most) =>
      read(() => {
        const counts = rows.sessions.countByUser(after)
        const crowd = counts.find(({ count }) => count > most)
        return crowd === undefined
          ? { next: counts.length < usersPerStep ? '' : counts.at(-1)!.userId }
          : { userId: crowd.userId, next: crowd.userId }
      }),
    countLiveSessionsByGrant: (clientId, now) =>
      read(() =>
        db
          .select({ scope: sessions.scope, audience: sessions.audience, count: sql<number>`count(*)` })
          .from(sessions)
          .where(and(liveAt(sessions, now), eq(sessions.clientId, clientId)))
          .groupBy(sessions.scope, sessions.audience)
          .all()
          .map(({ audience, ...row }) => ({ ...row, audience: audienceFromText(audience) })),
      ),
    countSessionsNotSeenSince: (at, now) =>
      read(
        () =>
          db
            .select({ count: sql<number>`count(*)` })
            .from(sessions)
            .where(and(liveAt(sessions, now), lte(sessions.lastSeenAt, at)))
            .get()!.count,
      ),
  }
}
