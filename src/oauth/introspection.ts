/** Token introspection: RFC 7662, and its answer as a JWT: RFC 9701. Looks at the session row, so a logout shows at once. */

import { type Client, isPublic, type Params } from '../clients/client.ts'
import type { ClientStorage } from '../clients/storage.ts'
import { OAuthError } from '../error.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { secretNameOf } from '../keys/sealed_token.ts'
import { insistThatNoOtherHas } from '../keys/secret_use.ts'
import type { KeyStorage, OnceStorage } from '../keys/storage.ts'
import { acrOf } from '../sessions/assurance.ts'
import { shownOf } from '../sessions/last_seen.ts'
import { refreshPolicy } from '../sessions/lifetimes.ts'
import { decideRefresh } from '../sessions/refresh.ts'
import { parseRefreshToken } from '../sessions/refresh_token.ts'
import type { SessionStorage } from '../sessions/storage.ts'
import { isRevoked, type TokenDeps, verifyAccessToken } from './access_token.ts'
import { introspectionParams, readParams } from './request_params.ts'
import { adminAudience, remainingAudience } from './resource.ts'
import { remainingScope } from './scope.ts'
import { userClaims } from './user_info.ts'

type IntrospectionDeps = TokenDeps &
  Readonly<{ secrets: MasterSecrets; storage: SessionStorage & ClientStorage & KeyStorage & OnceStorage }>

/** RFC 7662 §2.2. A token that is not active tells nothing else. */
export type Introspection = Readonly<{ active: false } | ({ active: true } & Record<string, unknown>)>

const inactive: Introspection = { active: false }
const bearer = { active: true, token_type: 'Bearer', token_use: 'access_token' } as const

/**
 * Says what a token is worth now. Any confidential client may ask. One that is the resource server of something learns only of
 * tokens for that (RFC 7662 §4), the others learn of the access tokens of every client. A refresh token is shown to its own client
 * only, and only if it says that it asks about one: nobody who takes access tokens must take it for one.
 *
 * @throws OAuthError `invalid_request`, or `invalid_client` for a public client: who anybody can be must not fish for tokens
 */
export async function introspectionRequest(
  deps: IntrospectionDeps,
  client: Client,
  params: Params,
): Promise<Introspection> {
  if (isPublic(client)) {
    throw new OAuthError('invalid_client', 'introspection is for clients that authenticate', {
      cause: `client ${client.id} is public`,
    })
  }
  const { token, token_type_hint: hint } = readParams(introspectionParams, params)
  if (!token.startsWith('lkr_')) return introspectAccessToken(deps, client, token)
  return hint === 'refresh_token' ? introspectRefreshToken(deps, client, token) : inactive
}

function mayKnow({ resources }: Client, audience: string | readonly string[]): boolean {
  return resources === undefined || [audience].flat().some(one => resources.includes(one))
}

/** RFC 9701 §5. @param audience the client that asked */
export function signIntrospection(deps: TokenDeps, audience: string, introspection: Introspection): string {
  const now = deps.now()
  const claims = { iss: deps.config.issuer, aud: audience, iat: now, token_introspection: introspection }
  return deps.keyRing.sign(claims, now, 'token-introspection+jwt')
}

async function introspectAccessToken(deps: IntrospectionDeps, asking: Client, token: string): Promise<Introspection> {
  const claims = verifyAccessToken(deps, token)
  if (claims === undefined || !mayKnow(asking, claims.aud)) return inactive
  // A resource server that compares no audience must not take for its own what is for the admin API.
  const isNamed = asking.id === claims.client_id || asking.resources !== undefined
  if (claims.aud === adminAudience(deps.config) && !isNamed) return inactive
  const client = await deps.storage.findClient(claims.client_id)
  if (client === undefined || client.disabledAt !== undefined) return inactive
  if (claims.sid === undefined) {
    // A client that was removed and added again under its old name is another one.
    const isAnothers = claims.iat < client.createdAt
    return isAnothers || (await isRevoked(deps, claims)) ? inactive : { ...bearer, ...claims }
  }
  const found = await deps.storage.findLiveSession(claims.sid, deps.now())
  if (found === undefined) return inactive
  // As the user is now, and not as the token has it.
  const { roles: _, preferred_username: __, email: ___, name: ____, ...fixed } = claims
  return { ...bearer, username: found.user.username, ...fixed, ...userClaims(found.user, client) }
}

/** Active is what would get tokens at the token endpoint: the live one, and its parent while a retry is believed. */
async function introspectRefreshToken(deps: IntrospectionDeps, asking: Client, token: string): Promise<Introspection> {
  const refreshToken = parseRefreshToken(token, deps.secrets)
  if (refreshToken === undefined) await insistThatNoOtherHas(deps, secretNameOf(token))
  const now = deps.now()
  const found = refreshToken && (await deps.storage.findLiveSession(refreshToken.sessionId, now))
  if (found === undefined || found.session.clientId !== asking.id) return inactive
  if (!asking.grantTypes.includes('refresh_token')) return inactive
  const { session, user } = found
  const presented = { ...refreshToken!, clientId: asking.id }
  const policy = refreshPolicy(deps.config, asking)
  const decision = decideRefresh(session, presented, now, policy)
  if (!('session' in decision) || decision.kind === 'reused') return inactive
  const scope = remainingScope(session.scope, asking)
  const audience = remainingAudience(session.audience, deps.config, asking)
  if ((scope === '' && session.scope !== '') || audience.length === 0 || !mayKnow(asking, audience)) return inactive
  const shown = shownOf(session, policy, now)
  return {
    active: true,
    token_use: 'refresh_token',
    iss: deps.config.issuer,
    sub: user.id,
    username: user.username,
    client_id: asking.id,
    ...(scope !== '' && { scope }),
    aud: audience.length === 1 ? audience[0] : audience,
    iat: shown.lastSeenAt,
    exp: shown.expiresAt,
    sid: session.id,
    auth_time: session.authTime,
    amr: session.amr,
    acr: acrOf(session.amr),
  }
}
