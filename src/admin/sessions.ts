/** What operators do to sessions. */
import { endSessions } from '../sessions/end.ts'
import type { Session } from '../sessions/session.ts'
import type { SessionFilter } from '../sessions/storage.ts'
import { getClient } from './clients.ts'
import type { Actor, Needs } from './deps.ts'
import { NotFound } from './error.ts'
import { getUser, type Who } from './users.ts'

export type SessionDocument = ReturnType<typeof describeSession>

/** Whose: of a user, of the client with this id, or both. */
export type WhoseSessions = Readonly<{ user?: Who | undefined; client?: string | undefined }>

/** @throws NotFound for a user or client that is not there */
export async function readSessionFilter(
  { storage }: Needs<'storage'>,
  { user, client }: WhoseSessions,
): Promise<SessionFilter> {
  const userId = user === undefined ? undefined : (await getUser({ storage }, user)).id
  const clientId = client === undefined ? undefined : (await getClient({ storage }, client)).id
  return { userId, clientId }
}

/** Sessions that are live at an instant, last seen first. @param page.after the last one of the page before */
export async function listSessions(
  { storage }: Needs<'storage'>,
  which: SessionFilter,
  at: number,
  { after, limit }: Readonly<{ after?: Pick<SessionDocument, 'id' | 'last_seen_at'> | undefined; limit: number }>,
): Promise<SessionDocument[]> {
  const last = after && { id: after.id, lastSeenAt: after.last_seen_at }
  return (await storage.listLiveSessions(which, at, limit, last)).map(describeSession)
}

/** Ends one session, those of a user or a client, or all. @throws NotFound for a user, a client, or the one session */
export async function revokeSessions(
  { storage, now }: Needs<'storage' | 'now'>,
  { id, ...whose }: WhoseSessions & Readonly<{ id?: string | undefined }>,
  { name, ...from }: Actor,
): Promise<{ revoked: number }> {
  const which = { id, ...(await readSessionFilter({ storage }, whose)) }
  const revoked = await endSessions({ storage, now }, which, 'revoked_by_operator', { ...from, detail: name })
  if (id !== undefined && revoked === 0) throw new NotFound(`there is no live session ${id}`)
  return { revoked }
}

function describeSession(session: Session) {
  return {
    id: session.id,
    user_id: session.userId,
    client_id: session.clientId,
    scope: session.scope,
    device: session.device ?? null,
    ip: session.ip ?? null,
    user_agent: session.userAgent ?? null,
    created_at: session.createdAt,
    last_seen_at: session.lastSeenAt,
    expires_at: Math.min(session.idleExpiresAt, session.expiresAt),
  }
}
