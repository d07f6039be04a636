/** The client_credentials grant: a client acts for itself. RFC 6749 §4.4. There is no session and no refresh token. */
import { askableScope, grantableScope } from '../../clients/admin_client.ts'
import { type Client, isPublic, type TokenParams } from '../../clients/client.ts'
import { OAuthError } from '../../error.ts'
import type { Deps } from '../deps.ts'
import { clientCredentialsParams, readParams } from '../request_params.ts'
import { grantAudience, ownAudienceOf } from '../resource.ts'
import { grantScope } from '../scope.ts'
import type { Granted } from './grant.ts'

export async function clientCredentialsGrant(
  { config }: Pick<Deps, 'config'>,
  client: Client,
  request: TokenParams,
): Promise<Granted> {
  // RFC 6749 §4.4: anybody could be a client that does not authenticate.
  if (isPublic(client)) throw new OAuthError('unauthorized_client', 'a public client may not use this grant type')
  const { scope } = readParams(clientCredentialsParams, request.params)
  return {
    scope: scope === undefined ? grantableScope(client) : grantScope(scope, askableScope(client)),
    audience: grantAudience(request.resources, ownAudienceOf(config, client)),
  }
}
