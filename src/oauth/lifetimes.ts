/** How long things live: as the client's record says, else as the settings say. */
import type { Client } from './client.ts'
import type { OAuthConfig } from './deps.ts'
import type { RefreshPolicy } from './session.ts'

/** Seconds. */
export function accessTokenLifetime(config: OAuthConfig, client: Client): number {
  return client.accessTokenLifetime ?? config.accessTokenLifetime
}

export function refreshPolicy({ refresh }: OAuthConfig, client: Client): RefreshPolicy {
  const idleLifetime = client.refreshIdleLifetime ?? refresh.idleLifetime
  return {
    idleLifetime,
    absoluteLifetime: client.refreshAbsoluteLifetime ?? refresh.absoluteLifetime,
    retryWindow: refresh.retryWindow,
    lateRetryWindow: refresh.lateRetryWindow ?? idleLifetime,
  }
}
