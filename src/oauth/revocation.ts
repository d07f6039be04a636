/** Token revocation: RFC 7009. Either kind of token ends its session; there is one row per session and no list of tokens. */
import { verifyAccessToken } from './access_token.ts'
import { auditEvent, type Caller } from './audit.ts'
import { authenticateClient, type Credentials } from './client_authentication.ts'
import type { Deps } from './deps.ts'
import { OAuthError } from './error.ts'
import { parseRefreshToken } from './refresh_token.ts'

/**
 * Ends the session of a token. `token_type_hint` is not needed: a token shows what it is.
 * Any refresh token of the family will do, the superseded ones too: who lost the last answer signs out with what it has.
 * A token that is unknown, expired or another client's changes nothing and is no error (RFC 7009 §2.2).
 *
 * @throws OAuthError `invalid_request` or `invalid_client`
 */
export async function revocationRequest(deps: Deps, request: Credentials, caller: Caller): Promise<void> {
  const client = await authenticateClient(deps, request)
  const { token } = request.params
  if (token === undefined) throw new OAuthError('invalid_request', 'token is missing')
  const sessionId = parseRefreshToken(token, deps.secrets)?.sessionId ?? verifyAccessToken(deps, token)?.sid
  if (sessionId === undefined) return
  const event = auditEvent('session.revoked', deps.now(), caller, { clientId: client.id, sessionId })
  await deps.storage.revokeSessions({ id: sessionId, clientId: client.id }, 'revoked_by_client', event)
}
