/** What a grant is. */
import type { Caller } from '../../audit/audit.ts'
import type { Client, TokenParams } from '../../clients/client.ts'
import type { Session } from '../../sessions/session.ts'
import type { Deps } from '../deps.ts'

/** What an access token is for; `session` when a user has signed in. */
export type Granted = Readonly<{
  scope: string
  audience: readonly string[]
  session?: Session
  /** For the id token, as the client asked: OpenID Connect Core §2. */
  nonce?: string | undefined
}>

/**
 * Exchanges what a request brings for what its access token is granted.
 *
 * @param client authenticated, and allowed to use this grant
 * @throws OAuthError `invalid_request`, `invalid_grant`, `invalid_scope` or `invalid_target`
 */
export type Grant = (deps: Deps, client: Client, request: TokenParams, caller: Caller) => Promise<Granted>
