/**
 * Requests that ask for more, or for something fresher, than has been proved: `acr_values` and `max_age`. RFC 9470 §4 and §5, OpenID
 * Connect Core §3.1.2.1; what is short is asked for by draft-ietf-oauth-first-party-apps-04 §6.2.
 */
import type { Client } from '../clients/client.ts'
import { OAuthError, quoted } from '../error.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import {
  type AuthenticationRequirements,
  acrValues,
  isOfClass,
  kindsReaching,
  refuseUnmet,
} from '../sessions/assurance.ts'
import type { Session } from '../sessions/session.ts'
import { wireNames } from '../users/factors/factor.ts'
import type { FactorStorage } from '../users/factors/storage.ts'
import type { UserStorage } from '../users/storage.ts'
import { type AuthorizationRequest, authSessionLifetime, createAuthSession, formatAuthSession } from './auth_session.ts'

/** Characters of `acr_values`: there are few classes, and their names are short. */
const maxAcrValues = 1024

/**
 * What a request asks for. Names of classes that are none of ours are left out, as long as one is.
 *
 * @returns undefined when it asks for nothing
 * @throws OAuthError `invalid_request`, or `unmet_authentication_requirements` when it knows no class that there is
 */
export function readRequirements(
  given: Readonly<{ acr_values?: string | undefined; max_age?: string | undefined }>,
): AuthenticationRequirements | undefined {
  const { acr_values: acrText, max_age: maxAge } = given
  if (acrText === undefined && maxAge === undefined) return undefined
  if (maxAge !== undefined && !/^\d{1,10}$/.test(maxAge))
    throw new OAuthError('invalid_request', 'max_age is not a number of seconds')
  if (acrText === undefined) return { maxAge: Number(maxAge) }
  if (acrText.length > maxAcrValues) throw new OAuthError('invalid_request', 'acr_values is too long')
  const named = new Set(acrText.split(' '))
  const known = acrValues.filter(acr => named.has(acr))
  if (known.length === 0) refuseUnmet(`there is none of acr_values here${quoted(acrText)}`)
  return { acrValues: known, ...(maxAge !== undefined && { maxAge: Number(maxAge) }) }
}

type StepUpDeps = Readonly<{
  secrets: MasterSecrets
  storage: UserStorage & FactorStorage
  randomBytes: (size: number) => Buffer
  now: () => number
}>

/**
 * Asks for what a session is short of. Nothing is written: the refresh token stays good, for a request that asks for less too.
 *
 * @param request what the refresh asked for, which the tokens at the end are to be
 * @throws OAuthError `insufficient_authorization` with an auth session that raises this session, `unmet_authentication_requirements` when
 *         its user has nothing that would do, `invalid_grant` when the user was removed at this moment
 */
export async function askForStepUp(
  deps: StepUpDeps,
  client: Client,
  session: Session,
  { acrValues: wanted, maxAge }: AuthenticationRequirements,
  request: AuthorizationRequest,
): Promise<never> {
  const user = await deps.storage.findUser(session.userId)
  if (user === undefined) throw new OAuthError('invalid_grant', 'the user is not there any more')
  const factors = await deps.storage.listFactors(user.id)
  const kinds = kindsReaching(wanted, factors)
  // Who has no second factor proves anew what there is.
  const isByPassword =
    user.passwordHash !== undefined &&
    kindsReaching(undefined, factors).length === 0 &&
    (wanted === undefined || isOfClass(['pwd'], wanted))
  if (kinds.length === 0 && !isByPassword) refuseUnmet('the user has set up nothing that proves as much')
  const authSession = createAuthSession(deps, {
    clientId: client.id,
    user: { id: user.id, credentialVersion: user.credentialVersion },
    amr: [],
    authTime: deps.now(),
    sessionId: session.id,
    request: { ...request, acrValues: wanted },
  })
  throw new OAuthError(
    'insufficient_authorization',
    maxAge === undefined ? 'a proof of another kind is needed' : 'the sign-in is too long ago, or of another kind',
    {
      members: {
        auth_session: formatAuthSession(authSession, deps),
        auth_session_expires_in: authSessionLifetime,
        factors: isByPassword ? ['password'] : kinds.map(kind => wireNames[kind]),
      },
    },
  )
}
