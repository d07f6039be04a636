/** The refresh_token grant. RFC 6749 §6, RFC 9700 §4.14; what a token means is decided in `session.ts`. */
import type { Caller } from '../audit.ts'
import type { Client, Params } from '../client.ts'
import type { Deps } from '../deps.ts'
import { OAuthError } from '../error.ts'
import { parseRefreshToken } from '../refresh_token.ts'
import { grantScope, narrowScope } from '../scope.ts'
import { decideRefresh, type Session } from '../session.ts'

export async function refreshTokenGrant(
  deps: Deps,
  client: Client,
  params: Params,
  caller: Caller,
): Promise<{ session: Session; scope: string }> {
  if (params.refresh_token === undefined) throw new OAuthError('invalid_request', 'refresh_token is missing')
  const refreshToken = parseRefreshToken(params.refresh_token, deps.secrets)
  if (refreshToken === undefined) refuse('not a refresh token of this server')

  const now = deps.now()
  const presented = { ...refreshToken, clientId: client.id }
  const decision = await deps.storage.refreshSession(
    refreshToken.sessionId,
    session => {
      const decided = decideRefresh(session, presented, now, deps.config.refresh)
      if (!('session' in decided) || decided.kind === 'reused') return decided
      // Before anything is written: a scope that is refused must not use the token up.
      return narrowScope(params.scope, decided.session.scope) === undefined ? { kind: 'scope_exceeded' } : decided
    },
    now,
    caller,
  )
  switch (decision.kind) {
    case 'rotated':
    case 'retried':
    case 'late_retried':
    case 'healed':
      return { session: decision.session, scope: grantScope(params.scope, decision.session.scope) }
    case 'scope_exceeded':
      throw new OAuthError('invalid_scope', 'the scope is malformed or asks for more than was granted at sign-in')
    case 'reused':
    case 'unknown':
    case 'revoked':
    case 'expired':
    case 'foreign':
      return refuse(decision.kind)
  }
}

/** In the same words whatever the reason: they would tell a thief how far the family has got. */
function refuse(cause: string): never {
  throw new OAuthError('invalid_grant', 'the refresh token is expired, revoked or not valid', { cause })
}
