/**
 * Token revocation: RFC 7009. Either kind of token ends its session; there is one row per session and no list of tokens.
 * A client's own access token has no session: its `jti` is kept until it expires.
 */

import { auditEvent, type Caller } from '../audit/audit.ts'
import type { Client, Params } from '../clients/client.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { secretNameOf } from '../keys/sealed_token.ts'
import { insistThatNoOtherHas } from '../keys/secret_use.ts'
import type { KeyStorage, OnceStorage } from '../keys/storage.ts'
import { endSessions } from '../sessions/end.ts'
import { parseRefreshToken } from '../sessions/refresh_token.ts'
import type { SessionStorage } from '../sessions/storage.ts'
import { revokedId, type TokenDeps, verifyAccessToken } from './access_token.ts'
import { readParams, revocationParams } from './request_params.ts'

type RevocationDeps = TokenDeps &
  Readonly<{ secrets: MasterSecrets; storage: SessionStorage & KeyStorage & OnceStorage }>

/**
 * Ends the session of a token. `token_type_hint` is not needed: a token shows what it is.
 * Any refresh token of the family will do, the superseded ones too: who lost the last answer signs out with what it has.
 * A token that is unknown, expired or another client's changes nothing and is no error (RFC 7009 §2.2).
 *
 * @throws OAuthError `invalid_request`
 */
export async function revocationRequest(
  deps: RevocationDeps,
  client: Client,
  params: Params,
  caller: Caller,
): Promise<void> {
  const { token } = readParams(revocationParams, params)
  const claims = verifyAccessToken(deps, token)
  const refreshToken = parseRefreshToken(token, deps.secrets)
  if (refreshToken === undefined) await insistThatNoOtherHas(deps, secretNameOf(token))
  const sessionId = refreshToken?.sessionId ?? claims?.sid
  const about = { clientId: client.id, sessionId }
  if (sessionId !== undefined) {
    await endSessions(deps, { id: sessionId, clientId: client.id }, 'revoked_by_client', caller)
  } else if (claims?.client_id === client.id) {
    const event = auditEvent('token.revoked', deps.now(), caller, { ...about, detail: claims.jti })
    await deps.storage.consumeOnce(revokedId(claims), claims.exp, event)
  }
}
