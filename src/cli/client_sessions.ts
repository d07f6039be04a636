/** What a change of a client's record means for the sessions that it has. */

import type { Client } from '../clients/client.ts'
import type { Config } from '../config.ts'
import { remainingAudience } from '../oauth/resource.ts'
import { remainingScope } from '../oauth/scope.ts'
import type { Storage } from '../storage/storage.ts'
import { now } from '../system.ts'

/** What a session lives by, whatever it was granted. */
const members = [
  'grantTypes',
  'authenticationMethods',
  'accessTokenLifetime',
  'refreshIdleLifetime',
  'refreshAbsoluteLifetime',
] as const

/** @returns how many live sessions get something else from their next refresh on, or nothing */
export async function countTouchedSessions(
  storage: Storage,
  config: Config,
  before: Client,
  after: Client,
): Promise<number> {
  const isForAll = members.some(member => String(before[member]) !== String(after[member]))
  const audience = [config.audience ?? config.issuer ?? `http://localhost:${config.port}`]
  const grantedTo = (client: Client, { scope, audience: granted }: { scope: string; audience: readonly string[] }) =>
    JSON.stringify([remainingScope(scope, client), remainingAudience(granted, { audience }, client)])
  const grants = await storage.countLiveSessionsByGrant(after.id, now())
  return grants
    .filter(grant => isForAll || grantedTo(before, grant) !== grantedTo(after, grant))
    .reduce((sum, { count }) => sum + count, 0)
}

export function describeTouched(count: number): string {
  if (count === 0) return 'no live session is touched'
  return count === 1
    ? '1 live session is touched at its next refresh'
    : `${count} live sessions are touched at their next refresh`
}
