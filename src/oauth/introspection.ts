/** Token introspection: RFC 7662, and its answer as a JWT: RFC 9701. Looks at the session row, so a logout shows at once. */
import { isRevoked, verifyAccessToken } from './access_token.ts'
import { type Client, isPublic, type Params } from './client.ts'
import type { Deps } from './deps.ts'
import { OAuthError } from './error.ts'
import { refreshPolicy } from './lifetimes.ts'
import { parseRefreshToken } from './refresh_token.ts'
import { introspectionParams, readParams } from './request_params.ts'
import { remainingAudience } from './resource.ts'
import { remainingScope } from './scope.ts'
import { decideRefresh, expiryOf } from './session.ts'

/** RFC 7662 §2.2. A token that is not active tells nothing else. */
export type Introspection = Readonly<{ active: false } | ({ active: true } & Record<string, unknown>)>

const inactive: Introspection = { active: false }

/**
 * Says what a token is worth now. Any confidential client may ask, about the tokens of every client.
 *
 * @throws OAuthError `invalid_request`, or `invalid_client` for a public client: who anybody can be must not fish for tokens
 */
export async function introspectionRequest(deps: Deps, client: Client, params: Params): Promise<Introspection> {
  if (isPublic(client)) {
    throw new OAuthError('invalid_client', 'introspection is for clients that authenticate', {
      cause: `client ${client.id} is public`,
      challenge: 'Basic realm="latchkey", charset="UTF-8"',
    })
  }
  const { token } = readParams(introspectionParams, params)
  return token.startsWith('lkr_') ? introspectRefreshToken(deps, token) : introspectAccessToken(deps, token)
}

/** RFC 9701 §5. @param audience the client that asked */
export function signIntrospection(deps: Deps, audience: string, introspection: Introspection): string {
  const now = deps.now()
  const claims = { iss: deps.config.issuer, aud: audience, iat: now, token_introspection: introspection }
  return deps.keyRing.sign(claims, now, 'token-introspection+jwt')
}

async function introspectAccessToken(deps: Deps, token: string): Promise<Introspection> {
  const claims = verifyAccessToken(deps, token)
  const client = claims && (await deps.storage.findClient(claims.client_id))
  if (claims === undefined || client === undefined || client.disabledAt !== undefined) return inactive
  if (claims.sid === undefined) {
    // A client that was removed and added again under its old name is another one.
    const isAnothers = claims.iat < client.createdAt
    return isAnothers || (await isRevoked(deps, claims)) ? inactive : { active: true, token_type: 'Bearer', ...claims }
  }
  const found = await deps.storage.findLiveSession(claims.sid, deps.now())
  return found === undefined
    ? inactive
    : { active: true, token_type: 'Bearer', username: found.user.username, ...claims }
}

/** Active is what would get tokens at the token endpoint: the live one, and its parent while a retry is believed. */
async function introspectRefreshToken(deps: Deps, token: string): Promise<Introspection> {
  const refreshToken = parseRefreshToken(token, deps.secrets)
  const now = deps.now()
  const found = refreshToken && (await deps.storage.findLiveSession(refreshToken.sessionId, now))
  const client = found && (await deps.storage.findClient(found.session.clientId))
  if (found === undefined || client === undefined || client.disabledAt !== undefined) return inactive
  if (!client.grantTypes.includes('refresh_token')) return inactive
  const { session, user } = found
  const presented = { ...refreshToken!, clientId: client.id }
  const policy = refreshPolicy(deps.config, client)
  const decision = decideRefresh(session, presented, now, policy)
  if (!('session' in decision) || decision.kind === 'reused') return inactive
  const scope = remainingScope(session.scope, client.scope)
  const audience = remainingAudience(session.audience, deps.config, client)
  if ((scope === '' && session.scope !== '') || audience.length === 0) return inactive
  return {
    active: true,
    iss: deps.config.issuer,
    sub: user.id,
    username: user.username,
    client_id: client.id,
    scope,
    aud: audience.length === 1 ? audience[0] : audience,
    iat: session.rotatedAt,
    exp: expiryOf(session, policy),
    sid: session.id,
    auth_time: session.authTime,
    amr: session.amr,
  }
}
