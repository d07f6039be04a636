/** Who asks by an access token: RFC 6750. */
import { OAuthError } from '../error.ts'
import { authenticateAccessToken } from '../oauth/access_token.ts'
import type { Deps } from '../oauth/deps.ts'
import type { Context } from './context.ts'
import { readQuery } from './query.ts'

/**
 * From the header (RFC 6750 §2.1) or, where a form was read, from the form (§2.2).
 *
 * @throws OAuthError `token_missing`, `invalid_token` or `invalid_request`
 */
export async function authenticateUser(deps: Deps, ctx: Context, tokenOfForm?: string) {
  if ('access_token' in readQuery(ctx)) {
    throw new OAuthError('invalid_request', 'the access token belongs in the Authorization header')
  }
  const { authorization } = ctx.headers
  if (tokenOfForm !== undefined && authorization !== undefined) {
    throw new OAuthError('invalid_request', 'the access token is given in two ways')
  }
  const accessToken = /^Bearer +([\w.~+/-]+=*) *$/i.exec(authorization ?? '')?.[1] ?? tokenOfForm
  if (accessToken === undefined) throw new OAuthError('token_missing', 'an access token is needed')
  const authenticated = await authenticateAccessToken(deps, accessToken)
  ctx.state.clientId = authenticated.session.clientId
  return authenticated
}
