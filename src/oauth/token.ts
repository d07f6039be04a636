/** The token endpoint: the whole request as four steps. RFC 6749 §3.2, §4.3, §4.4, §5, §6; RFC 8707. */

import type { Caller } from '../audit/audit.ts'
import { type Client, mayUseGrant, type TokenParams } from '../clients/client.ts'
import { OAuthError } from '../error.ts'
import { formatRefreshToken } from '../sessions/refresh_token.ts'
import type { Session } from '../sessions/session.ts'
import type { UserStorage } from '../users/storage.ts'
import type { User } from '../users/user.ts'
import { issueAccessToken, type TokenDeps } from './access_token.ts'
import type { Deps } from './deps.ts'
import type { Granted } from './grants/grant.ts'
import { grants } from './grants/index.ts'
import { issueIdToken } from './id_token.ts'
import { hasScope } from './scope.ts'
import { emailClaims } from './user_info.ts'

/** RFC 6749 §5.1. `scope` is what was granted to this access token, and absent only where that is nothing: a scope is never empty (§3.3). */
export type TokenResponse = Readonly<{
  access_token: string
  token_type: 'Bearer'
  /** Seconds. */
  expires_in: number
  refresh_token?: string
  scope?: string
  /** With the scope `openid`: OpenID Connect Core §3.1.3.3. */
  id_token?: string
}>

/**
 * Answers a token request.
 *
 * @param identify authenticates the client
 * @throws OAuthError any code of RFC 6749 §5.2, `invalid_target`, `insufficient_authorization` or `temporarily_unavailable`
 */
export async function tokenRequest(
  deps: Deps,
  identify: () => Promise<Client>,
  request: TokenParams,
  caller: Caller,
): Promise<TokenResponse> {
  const grantType = request.params.grant_type
  if (grantType === undefined) throw new OAuthError('invalid_request', 'grant_type is missing')
  const client = await identify()
  const grant = Object.hasOwn(grants, grantType) ? grants[grantType] : undefined
  if (grant === undefined)
    throw new OAuthError(
      'unsupported_grant_type',
      `this grant type is not supported; there are ${Object.keys(grants).join(', ')}`,
    )
  if (!mayUseGrant(client, grantType)) {
    throw new OAuthError('unauthorized_client', 'the client may not use this grant type')
  }

  return issueTokens(deps, client, await grant(deps, client, request, caller))
}

/** The answer for what a client was granted. @throws OAuthError `invalid_grant` when the user was removed at this moment */
export async function issueTokens(
  deps: TokenDeps & Pick<Deps, 'secrets' | 'randomBytes'> & Readonly<{ storage: UserStorage }>,
  client: Client,
  granted: Granted,
): Promise<TokenResponse> {
  const { scope, session, nonce } = granted
  const hasIdToken = hasScope(scope, 'openid')
  const isAboutUser = client.accessTokenClaims.length > 0 || (hasIdToken && hasScope(scope, 'email'))
  const user = session !== undefined && isAboutUser ? await getUserOf(deps, session) : undefined
  const { accessToken, expiresIn } = issueAccessToken(deps, client, granted, user)
  const response: TokenResponse = {
    access_token: accessToken,
    token_type: 'Bearer',
    expires_in: expiresIn,
    ...(scope !== '' && { scope }),
  }
  if (session === undefined) return response
  return {
    ...response,
    ...(client.grantTypes.includes('refresh_token') && {
      refresh_token: formatRefreshToken({ sessionId: session.id, generation: session.generation }, deps.secrets),
    }),
    ...(hasIdToken && {
      id_token: issueIdToken(deps, {
        session,
        nonce,
        accessToken,
        expiresIn,
        claims: user && emailClaims(user, scope),
      }),
    }),
  }
}

/** As the user is now: a role that was taken away is gone at the next refresh. */
async function getUserOf({ storage }: Readonly<{ storage: UserStorage }>, session: Session): Promise<User> {
  const user = await storage.findUser(session.userId)
  if (user === undefined) throw new OAuthError('invalid_grant', 'the user is not there any more')
  return user
}
