/** The grants by their `grant_type`. A new one is one file and one line here. */
import type { Caller } from '../../audit/audit.ts'
import type { Client, TokenParams } from '../../clients/client.ts'
import type { Session } from '../../sessions/session.ts'
import type { Deps } from '../deps.ts'
import { clientCredentialsGrant } from './client_credentials.ts'
import { passwordGrant } from './password.ts'
import { refreshTokenGrant } from './refresh_token.ts'

/** What an access token is for; `session` when a user has signed in. */
export type Granted = Readonly<{ scope: string; audience: readonly string[]; session?: Session }>

/**
 * Exchanges what a request brings for what its access token is granted.
 *
 * @param client authenticated, and allowed to use this grant
 * @throws OAuthError `invalid_request`, `invalid_grant`, `invalid_scope` or `invalid_target`
 */
export type Grant = (deps: Deps, client: Client, request: TokenParams, caller: Caller) => Promise<Granted>

export const grants: Readonly<Record<string, Grant>> = {
  password: passwordGrant,
  refresh_token: refreshTokenGrant,
  client_credentials: clientCredentialsGrant,
}
