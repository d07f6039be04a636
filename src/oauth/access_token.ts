/** Access tokens: RFC 9068 JWTs. Issues them, and verifies those that come back to this server's own endpoints. */
import type { Client } from '../clients/client.ts'
import type { ClientStorage } from '../clients/storage.ts'
import { OAuthError } from '../error.ts'
import type { OnceStorage } from '../keys/storage.ts'
import { type Acr, acrOf } from '../sessions/assurance.ts'
import { accessTokenLifetime, refreshPolicy } from '../sessions/lifetimes.ts'
import { expiryOf, type Session } from '../sessions/session.ts'
import type { SessionStorage } from '../sessions/storage.ts'
import type { User } from '../users/user.ts'
import type { Deps } from './deps.ts'
import type { Granted } from './grants/grant.ts'
import { type UserClaims, userClaims } from './user_info.ts'

/** What tokens are signed and verified with. */
export type TokenDeps = Pick<Deps, 'config' | 'keyRing' | 'now'>

/**
 * RFC 9068 §2.2; `sid` as in OpenID Connect. Times are NumericDates. A client's own token (client_credentials) has the
 * client as `sub` and none of the members that are about a sign-in.
 */
export type AccessTokenClaims = UserClaims &
  Readonly<{
    iss: string
    aud: string | readonly string[]
    sub: string
    client_id: string
    iat: number
    exp: number
    jti: string
    /** Space-separated; absent where nothing was granted, since a scope has one token at least (RFC 6749 §3.3). */
    scope?: string
    sid?: string
    auth_time?: number
    amr?: readonly string[]
    /** RFC 9470 §6.1. */
    acr?: Acr
  }>

/**
 * Signs an access token for what a client was granted.
 *
 * @param user of the session; needed only where the client asks for claims about users
 * @returns the compact JWT and the seconds it lives
 */
export function issueAccessToken(
  deps: TokenDeps & Pick<Deps, 'randomBytes'>,
  client: Client,
  { session, scope, audience }: Granted,
  user?: User,
): { accessToken: string; expiresIn: number } {
  const now = deps.now()
  // One call for both: each costs a system call.
  const random = deps.randomBytes(20)
  const lifetime = spreadLifetime(accessTokenLifetime(deps.config, client), random.readUInt32BE(16))
  const expiresIn =
    session === undefined ? lifetime : Math.min(lifetime, expiryOf(session, refreshPolicy(deps.config, client)) - now)
  const claims: AccessTokenClaims = {
    iss: deps.config.issuer,
    aud: audience.length === 1 ? audience[0]! : audience,
    sub: session === undefined ? client.id : session.userId,
    client_id: client.id,
    iat: now,
    exp: now + expiresIn,
    jti: random.toString('base64url', 0, 16),
    ...(scope !== '' && { scope }),
    ...(session !== undefined && {
      sid: session.id,
      auth_time: session.authTime,
      amr: session.amr,
      acr: acrOf(session.amr),
    }),
    ...(user !== undefined && userClaims(user, client)),
  }
  return { accessToken: deps.keyRing.sign(claims, now), expiresIn }
}

/** @returns the claims of an unexpired access token of this issuer, or undefined for anything else */
export function verifyAccessToken(deps: TokenDeps, accessToken: string): AccessTokenClaims | undefined {
  const now = deps.now()
  // The signature covers the claims and the header their type, so what verifies has the shape that we gave it.
  const claims = deps.keyRing.verify(accessToken, now) as AccessTokenClaims | undefined
  if (claims === undefined || claims.iss !== deps.config.issuer || claims.exp <= now) return undefined
  return claims
}

/**
 * Who is asking: the session and user behind a bearer token. Looks at the session row, so that a logout shows at once.
 * The audience is not compared: like an OpenID Connect UserInfo endpoint, this server takes every token that it issued.
 *
 * @throws OAuthError `invalid_token` (RFC 6750 §3.1)
 */
export async function authenticateAccessToken(
  deps: TokenDeps & Readonly<{ storage: SessionStorage & ClientStorage }>,
  accessToken: string,
): Promise<{ session: Session; user: User; client: Client; scope: string }> {
  const claims = verifyAccessToken(deps, accessToken)
  const found = claims?.sid === undefined ? undefined : await deps.storage.findLiveSession(claims.sid, deps.now())
  const client = found && (await deps.storage.findClient(found.session.clientId))
  if (found === undefined || client === undefined || client.disabledAt !== undefined)
    throw new OAuthError('invalid_token', 'the access token is expired, revoked or not valid here')
  return { ...found, client, scope: claims!.scope ?? '' }
}

/** Under which the revocation of a client's own access token is kept. */
export function revokedId({ jti }: AccessTokenClaims): string {
  return `token ${jti}`
}

export function isRevoked(
  { storage }: Readonly<{ storage: OnceStorage }>,
  claims: AccessTokenClaims,
): Promise<boolean> {
  return storage.isConsumed(revokedId(claims))
}

/** Up to 5 % shorter than configured, at random: a fleet that signed in together does not refresh together. */
function spreadLifetime(lifetime: number, random: number): number {
  return lifetime - (random % (Math.floor(lifetime * 0.05) + 1))
}
