/** What a change of a client's record means for the sessions that it has. */
import type { Client } from '../clients/client.ts'
import type { OAuthConfig } from '../oauth/deps.ts'
import { remainingAudience } from '../oauth/resource.ts'
import { remainingScope } from '../oauth/scope.ts'
import type { Needs } from './deps.ts'

/** What a session lives by, whatever it was granted. */
const members = [
  'grantTypes',
  'authenticationMethods',
  'accessTokenLifetime',
  'refreshIdleLifetime',
  'refreshAbsoluteLifetime',
  'accessTokenClaims',
] as const

/** @returns how many live sessions get something else from their next refresh on, or nothing */
export async function countTouchedSessions(
  { storage, now }: Needs<'storage' | 'now'>,
  server: Pick<OAuthConfig, 'audience'>,
  before: Client,
  after: Client,
): Promise<number> {
  const isForAll = members.some(member => String(before[member]) !== String(after[member]))
  const grantedTo = (client: Client, { scope, audience }: { scope: string; audience: readonly string[] }) =>
    JSON.stringify([remainingScope(scope, client), remainingAudience(audience, server, client)])
  const grants = await storage.countLiveSessionsByGrant(after.id, now())
  return grants
    .filter(grant => isForAll || grantedTo(before, grant) !== grantedTo(after, grant))
    .reduce((sum, { count }) => sum + count, 0)
}
