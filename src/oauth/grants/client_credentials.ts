/** The client_credentials grant: a client acts for itself. RFC 6749 §4.4. There is no session and no refresh token. */
import type { Client, TokenParams } from '../client.ts'
import type { Deps } from '../deps.ts'
import { grantAudience } from '../resource.ts'
import { grantScope } from '../scope.ts'
import type { Granted } from './index.ts'

export async function clientCredentialsGrant(deps: Deps, client: Client, request: TokenParams): Promise<Granted> {
  return {
    scope: grantScope(request.params.scope, client.scope),
    audience: grantAudience(request.resources, client.audience ?? deps.config.audience),
  }
}
