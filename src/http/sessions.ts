/** The sessions of a user as they are shown, and which of them a sign-out ends. */
import type { Caller } from '../audit/audit.ts'
import { OAuthError } from '../error.ts'
import type { Deps } from '../oauth/deps.ts'
import { type Shown, shownOf } from '../sessions/last_seen.ts'
import { refreshPolicy } from '../sessions/lifetimes.ts'
import { listOwnSessions, type SessionsPage } from '../sessions/own_sessions.ts'
import type { Session } from '../sessions/session.ts'
import type { SessionFilter } from '../sessions/storage.ts'
import { callerOf } from './caller.ts'
import type { Context } from './context.ts'
import { readQuery } from './query.ts'
import { logoutQuery, sessionsQuery } from './request_params.ts'

export type ShownSession = Readonly<{
  session: Session
  shown: Shown
  isCurrent: boolean
  /** What its users know the client by. */
  clientName: string
}>

/** A page of the sessions of a user as they are shown, also their order: the last seen first. Undefined when there is no such page. */
export async function listShownSessions(
  deps: Deps,
  current: Session,
  caller: Caller,
  wanted: SessionsPage,
): Promise<{ sessions: readonly ShownSession[]; next: string | undefined } | undefined> {
  const { storage, config, now } = deps
  const page = await listOwnSessions(deps, current.userId, wanted)
  if (page === undefined) return undefined
  const { sessions, next } = page
  const ids = new Set(sessions.map(({ clientId }) => clientId))
  const clients = await Promise.all([...ids].map(id => storage.findClient(id)))
  const known = new Map(clients.flatMap(client => (client ? [[client.id, client]] : [])))
  const shown = sessions
    .flatMap(session => {
      const isCurrent = session.id === current.id
      const client = known.get(session.clientId)
      // Its client was removed at this moment, and it with it.
      if (client === undefined) return []
      const policy = refreshPolicy(config, client)
      const shown = shownOf(session, policy, now(), isCurrent ? caller : undefined)
      return { session, isCurrent, shown, clientName: client.name ?? client.id }
    })
    .sort(
      (a, b) =>
        b.shown.lastSeenAt - a.shown.lastSeenAt ||
        b.session.createdAt - a.session.createdAt ||
        (a.session.id < b.session.id ? -1 : 1),
    )
  return { sessions: shown, next }
}

/** A page, and a link to the next one (RFC 8288), so that the body is what it always was. */
export async function pageOfSessions(deps: Deps, ctx: Context, current: Session): Promise<readonly ShownSession[]> {
  const query = sessionsQuery.safeParse(readQuery(ctx))
  const { limit, cursor } = query.data ?? {}
  const wanted = { cursor, limit: limit === undefined ? undefined : Number(limit) }
  const page = query.success ? await listShownSessions(deps, current, callerOf(ctx), wanted) : undefined
  if (page === undefined) throw new OAuthError('invalid_request', 'limit or cursor cannot be used')
  if (page.next !== undefined) {
    const more = new URLSearchParams({ ...(limit !== undefined && { limit }), cursor: page.next })
    ctx.set('Link', `<${deps.config.issuer}/sessions?${more}>; rel="next"`)
  }
  return page.sessions
}

/** Instants are seconds since the epoch. */
export function describeSession({ session, shown, isCurrent }: ShownSession) {
  return {
    id: session.id,
    current: isCurrent,
    client_id: session.clientId,
    device: session.device ?? null,
    ip: shown.ip ?? null,
    user_agent: shown.userAgent ?? null,
    scope: session.scope,
    created_at: session.createdAt,
    last_seen_at: shown.lastSeenAt,
    expires_at: shown.expiresAt,
  }
}

export function sessionsToEnd(scope: unknown, current: Session): Pick<SessionFilter, 'id' | 'exceptId'> {
  const query = logoutQuery.safeParse({ scope })
  if (!query.success) throw new OAuthError('invalid_request', 'scope must be others or all')
  switch (query.data.scope) {
    case undefined:
      return { id: current.id }
    case 'others':
      return { exceptId: current.id }
    case 'all':
      return {}
  }
}
