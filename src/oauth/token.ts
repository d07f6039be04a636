/** The token endpoint: the whole request as four steps. RFC 6749 §3.2, §4.3, §5, §6. */
import { issueAccessToken } from './access_token.ts'
import type { Caller } from './audit.ts'
import { authenticateClient, type Credentials } from './client_authentication.ts'
import type { Deps } from './deps.ts'
import { OAuthError } from './error.ts'
import { grants } from './grants/index.ts'
import { formatRefreshToken } from './refresh_token.ts'

/** RFC 6749 §5.1. `scope` is always there and is what was granted to this access token. */
export type TokenResponse = Readonly<{
  access_token: string
  token_type: 'Bearer'
  /** Seconds. */
  expires_in: number
  refresh_token?: string
  scope: string
}>

/**
 * Answers a token request.
 *
 * @throws OAuthError any code of RFC 6749 §5.2, or `temporarily_unavailable`
 */
export async function tokenRequest(deps: Deps, request: Credentials, caller: Caller): Promise<TokenResponse> {
  const { params } = request
  if (params.grant_type === undefined) throw new OAuthError('invalid_request', 'grant_type is missing')
  const client = await authenticateClient(deps, request)
  const grant = Object.hasOwn(grants, params.grant_type) ? grants[params.grant_type] : undefined
  if (grant === undefined) throw new OAuthError('unsupported_grant_type', 'this grant type is not supported')
  if (!client.grantTypes.includes(params.grant_type)) {
    throw new OAuthError('unauthorized_client', 'the client may not use this grant type')
  }

  const { session, scope } = await grant(deps, client, params, caller)

  const { accessToken, expiresIn } = issueAccessToken(deps, session, scope)
  const response: TokenResponse = { access_token: accessToken, token_type: 'Bearer', expires_in: expiresIn, scope }
  if (!client.grantTypes.includes('refresh_token')) return response
  return {
    ...response,
    refresh_token: formatRefreshToken({ sessionId: session.id, generation: session.generation }, deps.secrets),
  }
}
