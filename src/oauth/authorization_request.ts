/** What a sign-in asks for: a scope, a resource, a device, and what is for the code alone. The same at both endpoints. */
import { grantableScope } from '../clients/admin_client.ts'
import type { Client } from '../clients/client.ts'
import type { NewSession } from '../sessions/begin.ts'
import { accessTokenLifetime, type LifetimeSettings, refreshPolicy } from '../sessions/lifetimes.ts'
import type { Lifetimes } from '../sessions/session.ts'
import type { AuthorizationRequest } from './auth_session.ts'
import type { OAuthConfig } from './deps.ts'
import { audienceOf, grantAudience } from './resource.ts'
import { grantScope, scopeOfClient } from './scope.ts'

/** What a request is granted if its user is who it says. */
export type Wanted = Omit<NewSession, 'lifetimes'> &
  Readonly<{
    /** Of the access token. That of the session is empty for the server's own. */
    tokenAudience: readonly string[]
  }>

/** @throws OAuthError `invalid_scope` or `invalid_target` */
export function grantRequest(
  config: OAuthConfig,
  client: Client,
  { scope: requested, resources = [], device, acrValues }: AuthorizationRequest,
): Wanted {
  const scope = requested === undefined ? grantableScope(client) : grantScope(requested, scopeOfClient(client))
  const tokenAudience = grantAudience(resources, audienceOf(config, client))
  const isServersOwn = client.audience === undefined && resources.length === 0
  return { client, scope, audience: isServersOwn ? [] : tokenAudience, tokenAudience, device, acrValues }
}

/** A session that nothing can refresh ends with its access token. */
export function sessionLifetimes(config: LifetimeSettings, client: Client): Lifetimes {
  if (client.grantTypes.includes('refresh_token')) return refreshPolicy(config, client)
  const lifetime = accessTokenLifetime(config, client)
  return { idleLifetime: lifetime, absoluteLifetime: lifetime }
}
