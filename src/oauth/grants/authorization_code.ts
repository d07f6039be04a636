/** The authorization_code grant: what a code of `/authorize-challenge` is exchanged for. RFC 6749 §4.1.3, RFC 7636 §4.6. */
import type { Caller } from '../../audit/audit.ts'
import type { Client, TokenParams } from '../../clients/client.ts'
import { OAuthError } from '../../error.ts'
import { secretNameOf } from '../../keys/sealed_token.ts'
import { insistThatNoOtherHas } from '../../keys/secret_use.ts'
import { decideExchange, type ExchangeDecision, endBeyondLimit, exchangeChange } from '../../sessions/code_exchange.ts'
import type { Session } from '../../sessions/session.ts'
import { parseAuthorizationCode } from '../authorization_code.ts'
import { sessionLifetimes } from '../authorization_request.ts'
import { fitsChallenge } from '../pkce.ts'
import { authorizationCodeParams, readParams } from '../request_params.ts'
import { narrowAudience, remainingAudience } from '../resource.ts'
import { refuseScope, remainingScope } from '../scope.ts'
import { exchangeRaised, type StepUpDeps } from '../step_up.ts'
import type { Granted } from './grant.ts'

/** A scope is that of the request which the code is for; a resource may be a part of what that was granted (RFC 8707 §2.2). */
export async function authorizationCodeGrant(
  deps: StepUpDeps,
  client: Client,
  { params, resources }: TokenParams,
  caller: Caller,
): Promise<Granted> {
  const { code: text, code_verifier: verifier } = readParams(authorizationCodeParams, params)
  const code = parseAuthorizationCode(text, deps.secrets)
  if (code === undefined) {
    await insistThatNoOtherHas(deps, secretNameOf(text))
    refuse('not a code of this server')
  }
  // What is not otherwise valid must not end the session of its owner (OAuth 2.1, "Reuse of Authorization Codes").
  if (deps.now() >= code.expiresAt) refuse('expired')
  if (!fitsChallenge(verifier, code.codeChallenge)) refuse('another code_verifier')
  const { raised } = code
  if (raised !== undefined) {
    const granted = await exchangeRaised(deps, client, code, raised, resources)
    return typeof granted === 'string' ? refuse(granted) : granted
  }
  const now = deps.now()
  const lifetimes = sessionLifetimes(deps.config, client)
  let granted: Pick<Granted, 'scope' | 'audience'> | undefined
  const decide = (session: Session | undefined): ExchangeDecision => {
    const decision = decideExchange(session, { clientId: client.id, caller }, now, lifetimes)
    if (decision.kind !== 'exchanged') return decision
    // Before anything is written: what is refused must not use the code up.
    const scope = remainingScope(decision.session.scope, client)
    if (scope === '' && decision.session.scope !== '') return { kind: 'scope_exceeded' }
    const audience = narrowAudience(resources, remainingAudience(decision.session.audience, deps.config, client))
    if (audience === undefined || audience.length === 0) return { kind: 'target_exceeded' }
    granted = { scope, audience }
    return decision
  }
  const decision = await deps.storage.changeSession(code.sessionId, session =>
    exchangeChange(decide(session), now, caller),
  )
  switch (decision.kind) {
    case 'exchanged':
      await endBeyondLimit(deps, decision.session, deps.config.sessionLimit, caller)
      return { ...granted!, session: decision.session, nonce: code.nonce }
    case 'scope_exceeded':
      return refuseScope(undefined, '', 'was granted')
    case 'target_exceeded':
      throw new OAuthError(
        'invalid_target',
        'the resource is malformed, given twice, not one of the sign-in or no longer one of the client',
      )
    case 'reused':
    case 'unknown':
    case 'revoked':
    case 'expired':
    case 'foreign':
      return refuse(decision.kind)
  }
}

/** In the same words whatever the reason. */
function refuse(cause: string): never {
  throw new OAuthError('invalid_grant', 'the code is expired, used, or not for this client and this code_verifier', {
    cause,
  })
}
