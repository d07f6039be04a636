/** What a signed-in user asks for, by bearer token (RFC 6750): who am I, where am I signed in, sign me out. */
import type { Context } from 'koa'
import type { Caller } from '../audit/audit.ts'
import { OAuthError } from '../error.ts'
import { authenticateAccessToken } from '../oauth/access_token.ts'
import type { Deps } from '../oauth/deps.ts'
import { readParams } from '../oauth/request_params.ts'
import { remainingAudience } from '../oauth/resource.ts'
import { hasScope, remainingScope } from '../oauth/scope.ts'
import { issueTokens } from '../oauth/token.ts'
import { userInfo } from '../oauth/user_info.ts'
import { endSessions } from '../sessions/end.ts'
import { type Shown, shownOf } from '../sessions/last_seen.ts'
import { refreshPolicy } from '../sessions/lifetimes.ts'
import { listOwnSessions, type SessionsPage } from '../sessions/own_sessions.ts'
import { changePassword } from '../sessions/password_change.ts'
import type { Session } from '../sessions/session.ts'
import type { SessionFilter } from '../sessions/storage.ts'
import { passwordProblemTexts } from '../users/password_rules.ts'
import { callerOf } from './caller.ts'
import { sendJson } from './json.ts'
import { bodyParams, formParams } from './params.ts'
import { readQuery } from './query.ts'
import { logoutQuery, passwordChangeParams, sessionsQuery } from './request_params.ts'

export function userRoutes(deps: Deps) {
  /** A page, and a link to the next one (RFC 8288), so that the body is what it always was. */
  async function pageOfSessions(ctx: Context, current: Session): Promise<readonly ShownSession[]> {
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

  return {
    async me(ctx: Context) {
      const { user } = await authenticate(deps, ctx)
      sendJson(ctx, { username: user.username, email: user.email ?? null, full_name: user.fullName ?? null })
    },
    /** OpenID Connect Core §5.3. */
    async userInfo(ctx: Context) {
      const { user, scope } = await authenticate(deps, ctx)
      if (!hasScope(scope, 'openid')) {
        throw new OAuthError('insufficient_scope', 'the access token has not the scope openid', {
          challenge: 'Bearer realm="latchkey", error="insufficient_scope", scope="openid"',
        })
      }
      sendJson(ctx, userInfo(user, scope))
    },
    async logout(ctx: Context) {
      const { session, user } = await authenticate(deps, ctx)
      const which = { userId: user.id, ...sessionsToEnd(readQuery(ctx).scope, session) }
      await endSessions(deps, which, 'logout', callerOf(ctx))
      sendJson(ctx, { message: 'Logout successful' })
    },
    async changePassword(ctx: Context) {
      const signedIn = await authenticate(deps, ctx)
      const params = readParams(passwordChangeParams, bodyParams(ctx).params)
      const change = { currentPassword: params.current_password, newPassword: params.new_password }
      const { client } = signedIn
      // As a refresh that asks for nothing in particular is granted.
      const scope = remainingScope(signedIn.session.scope, client)
      const audience = remainingAudience(signedIn.session.audience, deps.config, client)
      if (audience.length === 0) refuseToken('nothing of what was granted is left to the client')
      const changed = await changePassword(deps, signedIn, change, callerOf(ctx))
      if (changed === 'overtaken') return refuseToken('the session has ended at this moment')
      if (changed === 'wrong_password') throw new OAuthError('invalid_grant', 'the current password is wrong')
      if (typeof changed === 'string') throw new OAuthError('invalid_request', passwordProblemTexts[changed])
      sendJson(ctx, issueTokens(deps, client, { session: changed, scope, audience }))
    },
    async listSessions(ctx: Context) {
      const { session } = await authenticate(deps, ctx)
      sendJson(ctx, { sessions: (await pageOfSessions(ctx, session)).map(describeSession) })
    },
    async deleteSession(ctx: Context & { params: Record<string, string> }) {
      const { user } = await authenticate(deps, ctx)
      const which = { userId: user.id, id: ctx.params.id ?? '' }
      const ended = await endSessions(deps, which, 'revoked_by_user', callerOf(ctx))
      if (ended === 0) throw new OAuthError('not_found', 'you have no such session')
      ctx.status = 204
    },
  }
}

type ShownSession = Readonly<{ session: Session; shown: Shown; isCurrent: boolean }>

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
  const lifetimes = new Map(clients.flatMap(client => (client ? [[client.id, refreshPolicy(config, client)]] : [])))
  const shown = sessions
    .flatMap(session => {
      const isCurrent = session.id === current.id
      const policy = lifetimes.get(session.clientId)
      // Its client was removed at this moment, and it with it.
      if (policy === undefined) return []
      return { session, isCurrent, shown: shownOf(session, policy, now(), isCurrent ? caller : undefined) }
    })
    .sort(
      (a, b) =>
        b.shown.lastSeenAt - a.shown.lastSeenAt ||
        b.session.createdAt - a.session.createdAt ||
        (a.session.id < b.session.id ? -1 : 1),
    )
  return { sessions: shown, next }
}

/** Instants are seconds since the epoch. */
function describeSession({ session, shown, isCurrent }: ShownSession) {
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

function refuseToken(description: string): never {
  throw new OAuthError('invalid_token', description, { challenge: 'Bearer realm="latchkey", error="invalid_token"' })
}

/** RFC 6750 §3.1. */
const malformedChallenge = 'Bearer realm="latchkey", error="invalid_request"'

/** From the header (RFC 6750 §2.1) or, where a form was read, from the form (§2.2). */
function accessTokenOf(ctx: Context): string | undefined {
  const fromHeader = /^Bearer +([\w.~+/-]+=*) *$/i.exec(ctx.headers.authorization ?? '')?.[1]
  const fromForm =
    ctx.path === '/userinfo' && ctx.request.body !== undefined ? formParams(ctx).params.access_token : undefined
  if (fromForm !== undefined && ctx.headers.authorization !== undefined) {
    throw new OAuthError('invalid_request', 'the access token is given in two ways', { challenge: malformedChallenge })
  }
  return fromHeader ?? fromForm
}

/** @throws OAuthError `invalid_token` with the challenge of RFC 6750 §3 */
async function authenticate(deps: Deps, ctx: Context) {
  if ('access_token' in readQuery(ctx)) {
    throw new OAuthError('invalid_request', 'the access token belongs in the Authorization header', {
      challenge: malformedChallenge,
    })
  }
  const accessToken = accessTokenOf(ctx)
  if (accessToken === undefined) {
    // RFC 6750 §3.1: who sent no token at all is told how to, and no error.
    throw new OAuthError('invalid_token', 'an access token is needed', { challenge: 'Bearer realm="latchkey"' })
  }
  try {
    const authenticated = await authenticateAccessToken(deps, accessToken)
    ctx.state.clientId = authenticated.session.clientId
    return authenticated
  } catch (error) {
    if (!(error instanceof OAuthError) || error.code !== 'invalid_token') throw error
    const challenge = `Bearer realm="latchkey", error="invalid_token", error_description="${error.message}"`
    throw new OAuthError(error.code, error.message, { cause: error.cause, challenge })
  }
}
