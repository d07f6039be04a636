/** Access tokens of the admin API: only a client's own, for that audience alone (RFC 8707 §2, RFC 9068 §4). */
import { adminScopesOf, coversScope, isAdminClient } from '../clients/admin_client.ts'
import type { Client } from '../clients/client.ts'
import type { ClientStorage } from '../clients/storage.ts'
import { OAuthError } from '../error.ts'
import type { OnceStorage } from '../keys/storage.ts'
import { isRevoked, type TokenDeps, verifyAccessToken } from './access_token.ts'
import { adminAudience } from './resource.ts'

/**
 * Who is asking. The client's record counts as it is now: what was taken from it is gone at once.
 *
 * @returns the client, and what of its token's scope it still has
 * @throws OAuthError `invalid_token` (RFC 6750 §3.1)
 */
export async function authenticateAdminToken(
  deps: TokenDeps & Readonly<{ storage: ClientStorage & OnceStorage }>,
  accessToken: string,
): Promise<{ client: Client; scopes: readonly string[] }> {
  const claims = verifyAccessToken(deps, accessToken)
  const isForUs = claims !== undefined && claims.aud === adminAudience(deps.config) && claims.sid === undefined
  const client = isForUs ? await deps.storage.findClient(claims.client_id) : undefined
  const isGood =
    client !== undefined &&
    client.disabledAt === undefined &&
    isAdminClient(client) &&
    // A client that was removed and added again under its old name is another one.
    claims!.iat >= client.createdAt &&
    !(await isRevoked(deps, claims!))
  if (!isGood) throw new OAuthError('invalid_token', 'the access token is expired, revoked or not for the admin API')
  const has = adminScopesOf(client.scope)
  return { client, scopes: adminScopesOf(claims!.scope ?? '').filter(scope => coversScope(has, scope)) }
}
