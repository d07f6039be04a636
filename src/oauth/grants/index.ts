/** The grants by their `grant_type`. A new one is one file and one line here. */
import type { Caller } from '../audit.ts'
import type { Client, Params } from '../client.ts'
import type { Deps } from '../deps.ts'
import type { Session } from '../session.ts'
import { passwordGrant } from './password.ts'
import { refreshTokenGrant } from './refresh_token.ts'

/**
 * Exchanges what a request brings for a session and the scope of the access token.
 *
 * @param client authenticated, and allowed to use this grant
 * @throws OAuthError `invalid_request`, `invalid_grant` or `invalid_scope`
 */
export type Grant = (
  deps: Deps,
  client: Client,
  params: Params,
  caller: Caller,
) => Promise<{ session: Session; scope: string }>

export const grants: Readonly<Record<string, Grant>> = {
  password: passwordGrant,
  refresh_token: refreshTokenGrant,
}
