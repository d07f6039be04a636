/** How long things live: as the client's record says, else as the settings say. */
import { isAdminClient, maxAdminTokenLifetime } from '../clients/admin_client.ts'
import type { Client } from '../clients/client.ts'
import type { RefreshPolicy } from './refresh.ts'

/** Seconds, as the settings say. */
export type LifetimeSettings = Readonly<{
  accessTokenLifetime: number
  /** `lateRetryWindow` is the idle lifetime of the session where it is not set. */
  refresh: Omit<RefreshPolicy, 'lateRetryWindow'> & { lateRetryWindow?: number | undefined }
}>

/** Seconds. */
export function accessTokenLifetime(config: LifetimeSettings, client: Client): number {
  const lifetime = client.accessTokenLifetime ?? config.accessTokenLifetime
  return isAdminClient(client) ? Math.min(lifetime, maxAdminTokenLifetime) : lifetime
}

export function refreshPolicy({ refresh }: LifetimeSettings, client: Client): RefreshPolicy {
  const idleLifetime = client.refreshIdleLifetime ?? refresh.idleLifetime
  return {
    idleLifetime,
    absoluteLifetime: client.refreshAbsoluteLifetime ?? refresh.absoluteLifetime,
    retryWindow: refresh.retryWindow,
    lateRetryWindow: refresh.lateRetryWindow ?? idleLifetime,
  }
}
