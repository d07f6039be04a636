/** The password grant: a sign-in. RFC 6749 §4.3. For first-party clients only, each given the grant by name. */
import type { Caller } from '../../audit/audit.ts'
import { grantableScope } from '../../clients/admin_client.ts'
import type { Client, TokenParams } from '../../clients/client.ts'
import { type BeginDeps, beginSession } from '../../sessions/begin.ts'
import { accessTokenLifetime, type LifetimeSettings, refreshPolicy } from '../../sessions/lifetimes.ts'
import { type SignInDeps, signInByPassword } from '../../users/sign_in.ts'
import type { Deps } from '../deps.ts'
import { passwordParams, readParams } from '../request_params.ts'
import { audienceOf, grantAudience } from '../resource.ts'
import { grantScope, scopeOfClient } from '../scope.ts'
import { readRequirements } from '../step_up.ts'
import type { Granted } from './grant.ts'

export async function passwordGrant(
  deps: SignInDeps & BeginDeps & Pick<Deps, 'config'>,
  client: Client,
  { params, resources }: TokenParams,
  caller: Caller,
): Promise<Granted> {
  const { username, password, device, scope: requestedScope, ...given } = readParams(passwordParams, params)
  // Nothing is fresher than a sign-in.
  const { acrValues } = readRequirements(given) ?? {}
  const scope =
    requestedScope === undefined ? grantableScope(client) : grantScope(requestedScope, scopeOfClient(client))
  const audience = grantAudience(resources, audienceOf(deps.config, client))
  const isServersOwn = client.audience === undefined && resources.length === 0
  const authentication = await signInByPassword(deps, { username, password, clientId: client.id }, caller)
  const wanted = {
    client,
    scope,
    audience: isServersOwn ? [] : audience,
    device,
    lifetimes: sessionLifetimes(deps.config, client),
    acrValues,
  }
  const session = await beginSession(deps, authentication, wanted, caller)
  return { session, scope, audience }
}

/** A session that nothing can refresh ends with its access token. */
function sessionLifetimes(config: LifetimeSettings, client: Client) {
  if (client.grantTypes.includes('refresh_token')) return refreshPolicy(config, client)
  const lifetime = accessTokenLifetime(config, client)
  return { idleLifetime: lifetime, absoluteLifetime: lifetime }
}
