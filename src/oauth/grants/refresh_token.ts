/**
 * The refresh_token grant. RFC 6749 §6, RFC 9700 §4.14; what a token means is decided in `refresh.ts`. What is granted is what the
 * sign-in was granted, as far as the client may have it now and the request asks for it.
 */
import type { Caller } from '../../audit/audit.ts'
import type { Client, TokenParams } from '../../clients/client.ts'
import { OAuthError } from '../../error.ts'
import { secretNameOf } from '../../keys/sealed_token.ts'
import { insistThatNoOtherHas } from '../../keys/secret_use.ts'
import type { Observer } from '../../observer.ts'
import { meetsRequirements } from '../../sessions/assurance.ts'
import { refreshPolicy } from '../../sessions/lifetimes.ts'
import { decideRefresh, type RefreshDecision, refreshChange } from '../../sessions/refresh.ts'
import { parseRefreshToken } from '../../sessions/refresh_token.ts'
import type { Session } from '../../sessions/session.ts'
import type { Deps } from '../deps.ts'
import { readParams, refreshTokenParams } from '../request_params.ts'
import { narrowAudience, remainingAudience } from '../resource.ts'
import { narrowScope, refuseScope, remainingScope } from '../scope.ts'
import { askForStepUp, readRequirements, type StepUpDeps } from '../step_up.ts'
import type { Granted } from './grant.ts'

export async function refreshTokenGrant(
  deps: StepUpDeps & Pick<Deps, 'observer'>,
  client: Client,
  { params, resources }: TokenParams,
  caller: Caller,
): Promise<Granted> {
  const { refresh_token, scope, ...given } = readParams(refreshTokenParams, params)
  const requirements = readRequirements(given)
  const refreshToken = parseRefreshToken(refresh_token, deps.secrets)
  if (refreshToken === undefined) {
    await counted(deps.observer, insistThatNoOtherHas(deps, secretNameOf(refresh_token)))
    deps.observer.refreshed('unreadable')
    refuse('not a refresh token of this server')
  }

  const now = deps.now()
  const policy = refreshPolicy(deps.config, client)
  const presented = { ...refreshToken, clientId: client.id, caller }
  let granted: Pick<Granted, 'scope' | 'audience'> | undefined
  const decide = (session: Session | undefined): RefreshDecision => {
    const decided = decideRefresh(session, presented, now, policy)
    if (!('session' in decided) || decided.kind === 'reused') return decided
    // Before anything is written: what is refused must not use the token up.
    const allowed = decided.session.scope
    const narrowed = narrowScope(scope, allowed)
    const remaining = narrowed && remainingScope(narrowed, client)
    if (remaining === undefined || (remaining === '' && narrowed !== '')) return { kind: 'scope_exceeded', allowed }
    const audience = narrowAudience(resources, remainingAudience(decided.session.audience, deps.config, client))
    if (audience === undefined || audience.length === 0) return { kind: 'target_exceeded' }
    granted = { scope: remaining, audience }
    if (requirements !== undefined && !meetsRequirements(requirements, decided.session, now))
      return { kind: 'step_up_needed', of: decided.session }
    return decided
  }
  const change = deps.storage.changeSession(refreshToken.sessionId, session =>
    refreshChange(decide(session), now, caller),
  )
  const decision = await counted(deps.observer, change)
  deps.observer.refreshed(decision.kind)
  switch (decision.kind) {
    case 'rotated':
    case 'retried':
    case 'late_retried':
    case 'healed':
      return { ...granted!, session: decision.session }
    case 'scope_exceeded':
      return refuseScope(scope, decision.allowed, 'was granted at sign-in')
    case 'target_exceeded':
      throw new OAuthError(
        'invalid_target',
        'the resource is malformed, given twice, not one of the sign-in or no longer one of the client',
      )
    case 'step_up_needed':
      return askForStepUp(deps, client, decision.of, requirements!, { scope: scope && granted!.scope, resources })
    case 'reused':
    case 'unknown':
    case 'revoked':
    case 'expired':
    case 'foreign':
    case 'outdated':
      return refuse(decision.kind)
  }
}

/** Counts what the database leaves without an outcome. */
async function counted<T>(observer: Observer, asked: Promise<T>): Promise<T> {
  try {
    return await asked
  } catch (error) {
    observer.refreshed('unavailable')
    throw error
  }
}

/** In the same words whatever the reason: they would tell a thief how far the family has got. */
function refuse(cause: string): never {
  throw new OAuthError('invalid_grant', 'the refresh token is expired, revoked or not valid', { cause })
}
