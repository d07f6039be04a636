/** What rows are asked for, for the tables of every dialect. */
import type { AuditFilter } from '../audit/audit.ts'
import { pendingGeneration, type Session } from '../sessions/session.ts'
import type { SessionFilter } from '../sessions/storage.ts'
import { and, type Column, eq, gt, gte, isNull, lt, lte, ne, or, type SQL, type sql } from './drizzle.ts'

type Columns<Name extends string> = Readonly<Record<Name, Column>>

/** Instants of a statement that is prepared are placeholders. */
type Instant = number | ReturnType<typeof sql.placeholder>

/** `isOpen` of `sessions/session.ts`, by the row alone. */
export function openAt(sessions: Columns<'revokedAt' | 'idleExpiresAt' | 'expiresAt'>, now: Instant): SQL | undefined {
  return and(isNull(sessions.revokedAt), gt(sessions.idleExpiresAt, now), gt(sessions.expiresAt, now))
}

/** `isLive`. */
export function liveAt(
  sessions: Columns<'revokedAt' | 'idleExpiresAt' | 'expiresAt' | 'generation'>,
  now: Instant,
): SQL | undefined {
  return and(ne(sessions.generation, pendingGeneration), openAt(sessions, now))
}

export function endedBefore(
  sessions: Columns<'revokedAt' | 'idleExpiresAt' | 'expiresAt'>,
  at: Instant,
): SQL | undefined {
  return or(lte(sessions.revokedAt, at), lte(sessions.idleExpiresAt, at), lte(sessions.expiresAt, at))
}

export function fits(
  sessions: Columns<'id' | 'userId' | 'clientId'>,
  { id, exceptId, userId, clientId }: SessionFilter,
): SQL | undefined {
  return and(
    isSame(sessions.id, id),
    exceptId === undefined ? undefined : ne(sessions.id, exceptId),
    isSame(sessions.userId, userId),
    isSame(sessions.clientId, clientId),
  )
}

/** In the order of last seen first. */
export function isSeenBefore(
  sessions: Columns<'id' | 'lastSeenAt'>,
  { id, lastSeenAt }: Pick<Session, 'id' | 'lastSeenAt'>,
): SQL | undefined {
  return or(lt(sessions.lastSeenAt, lastSeenAt), and(eq(sessions.lastSeenAt, lastSeenAt), gt(sessions.id, id)))
}

export function isAbout(
  auditEvents: Columns<'type' | 'userId' | 'clientId' | 'sessionId' | 'ip' | 'at'>,
  { type, userId, clientId, sessionId, ip, since, until }: AuditFilter,
): SQL | undefined {
  const isOfType =
    type === undefined
      ? undefined
      : or(eq(auditEvents.type, type), and(gte(auditEvents.type, `${type}.`), lt(auditEvents.type, `${type}/`)))
  return and(
    isOfType,
    isSame(auditEvents.userId, userId),
    isSame(auditEvents.clientId, clientId),
    isSame(auditEvents.sessionId, sessionId),
    isSame(auditEvents.ip, ip),
    since === undefined ? undefined : gte(auditEvents.at, since),
    until === undefined ? undefined : lte(auditEvents.at, until),
  )
}

/** Answers of whose the identifier is that have not expired. `/` is what comes after the dot. */
export function ofSameOwner(answers: Columns<'id' | 'expiresAt'>, id: string, now: number): SQL | undefined {
  const owner = id.slice(0, id.indexOf('.'))
  return and(gt(answers.id, `${owner}.`), lt(answers.id, `${owner}/`), gt(answers.expiresAt, now))
}

/** What is absent fits every row. */
function isSame(column: Column, value: string | undefined): SQL | undefined {
  return value === undefined ? undefined : eq(column, value)
}
