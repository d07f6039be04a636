/**
 * Requests that ask for more, or for something fresher, than has been proved: `acr_values` and `max_age` (RFC 9470 §4 and §5, OpenID
 * Connect Core §3.1.2.1). What is short is asked for by draft-ietf-oauth-first-party-apps-04 §6.2; the proof of it raises the session.
 */
import type { Caller } from '../audit/audit.ts'
import { isRefusal } from '../audit/refusals.ts'
import { type Client, isFirstParty } from '../clients/client.ts'
import { OAuthError, quoted } from '../error.ts'
import {
  type AuthenticationRequirements,
  acrValues,
  isOfClass,
  kindsReaching,
  refuseUnmet,
} from '../sessions/assurance.ts'
import { verifyCurrentPassword } from '../sessions/current_password.ts'
import { refreshPolicy } from '../sessions/lifetimes.ts'
import { raiseSession } from '../sessions/raise.ts'
import { codeLifetime, isLive, type Session } from '../sessions/session.ts'
import { type Factor, type FactorKind, wireNames } from '../users/factors/factor.ts'
import { isUsablePasskey } from '../users/factors/passkey.ts'
import { type GivenProof, proveFactor } from '../users/factors/prove.ts'
import type { Authentication } from '../users/sign_in.ts'
import type { User } from '../users/user.ts'
import {
  type AuthorizationRequest,
  type AuthSession,
  consumeAuthSession,
  createAuthSession,
  refuseAuthSession,
  takeTry,
  userOfAuthSession,
} from './auth_session.ts'
import { type AuthorizationCode, formatAuthorizationCode } from './authorization_code.ts'
import type { Deps } from './deps.ts'
import type { Granted } from './grants/grant.ts'
import { nextProofMembers, passkeyQuestion } from './next_proof.ts'
import { narrowAudience, remainingAudience } from './resource.ts'
import { narrowScope, refuseScope, remainingScope } from './scope.ts'

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

export type StepUpDeps = Pick<Deps, 'config' | 'secrets' | 'randomBytes' | 'now' | 'storage'>

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
  { acrValues }: AuthenticationRequirements,
  request: AuthorizationRequest,
): Promise<never> {
  const user = await deps.storage.findUser(session.userId)
  if (user === undefined) throw new OAuthError('invalid_grant', 'the user is not there any more')
  const authSession = createAuthSession(deps, {
    clientId: client.id,
    user: { id: user.id, credentialVersion: user.credentialVersion },
    amr: [],
    sessionId: session.id,
    request: { ...request, acrValues },
  })
  return ask(deps, client, user, await deps.storage.listFactors(user.id), authSession)
}

/** A proof within a session: `password` is for who has no second factor. */
export type StepUpProof = Readonly<{ password?: string | undefined; proof: GivenProof | undefined }>

/**
 * Raises the session of an auth session by what was proved.
 *
 * @returns the code for new tokens of that session
 * @throws OAuthError as {@link askForStepUp} where nothing has come that would do; `invalid_grant`, `too_many_attempts`, or
 *         `invalid_session`, also when the session has ended meanwhile
 */
export async function proveStepUp(
  deps: Deps,
  client: Client,
  authSession: AuthSession & { sessionId: string },
  { password, proof }: StepUpProof,
  caller: Caller,
): Promise<string> {
  if (password !== undefined && proof !== undefined)
    throw new OAuthError('invalid_request', `only one of password and ${proof.param} can be used`)
  const user = await userOfAuthSession(deps, authSession)
  if (user === undefined) refuseAuthSession('of nobody')
  const { sessionId, request = {} } = authSession
  const factors = await deps.storage.listFactors(user.id)
  const param = password !== undefined ? 'password' : proof?.param
  // What would not do is not looked at, so it costs no code and no try.
  if (param === undefined || !offers(deps, user, factors, request).some(kind => nameOf(kind) === param))
    return ask(deps, client, user, factors, authSession)
  await takeTry(deps, authSession)
  const authentication = await proveWithin(deps, client, authSession, user, factors, { password, proof }, caller)
  const where = { sessionId, client, lifetimes: refreshPolicy(deps.config, client) }
  if ((await raiseSession(deps, authentication, where, caller)) === undefined)
    refuseAuthSession('the session has ended')
  await consumeAuthSession(deps, authSession)
  const { scope, resources, codeChallenge, nonce } = request
  const raised = { id: authSession.id, scope, resources }
  const expiresAt = deps.now() + codeLifetime
  return formatAuthorizationCode({ sessionId, codeChallenge, nonce, expiresAt, raised }, deps)
}

/**
 * Verifies a proof within a session: the password, for who has no second factor, or a factor.
 *
 * @throws OAuthError `invalid_grant`, `too_many_attempts`
 */
export async function proveWithin(
  deps: Deps,
  client: Client,
  authSession: AuthSession & { sessionId: string },
  user: User,
  factors: readonly Factor[],
  { password = '', proof }: StepUpProof,
  caller: Caller,
): Promise<Authentication> {
  const { sessionId } = authSession
  if (proof === undefined) {
    await typePassword(deps, user, sessionId, client, password, caller)
    return { user, amr: ['pwd'], at: deps.now() }
  }
  const asked = passkeyQuestion(deps, authSession)
  const prover = { userId: user.id, factors, asked, clientId: client.id, sessionId }
  const { use, amr } = await proveFactor(deps, prover, proof, caller)
  return { user, amr, at: deps.now(), uses: [use] }
}

/**
 * What the code of a step-up is exchanged for: the session goes on with the live refresh token that it has. A second use is refused and
 * ends nothing, unlike that of a sign-in: the app is signed in already, and may have lost the first answer.
 *
 * @param code authentic, not expired, with the verifier that it needs
 * @returns why there are no tokens, for the log, where it is refused
 */
export async function exchangeRaised(
  deps: StepUpDeps,
  client: Client,
  { sessionId, nonce, expiresAt }: AuthorizationCode,
  raised: NonNullable<AuthorizationCode['raised']>,
  resources: readonly string[],
): Promise<Granted | string> {
  const { session } = (await deps.storage.findLiveSession(sessionId, deps.now())) ?? {}
  if (session === undefined || !isLive(session, deps.now(), refreshPolicy(deps.config, client))) return 'ended'
  if (session.clientId !== client.id) return 'foreign'
  const scope = remainingScope(narrowScope(raised.scope, session.scope) ?? '', client)
  if (scope === '' && session.scope !== '') refuseScope(undefined, '', 'was granted')
  const most = remainingAudience(session.audience, deps.config, client)
  const audience = narrowAudience(resources.length > 0 ? resources : (raised.resources ?? []), most)
  if (audience === undefined || audience.length === 0)
    throw new OAuthError('invalid_target', 'the resource is malformed, given twice or not one of the sign-in')
  if (!(await deps.storage.consumeOnce(`code ${raised.id}`, expiresAt))) return 'used'
  return { scope, audience, session, nonce }
}

/** What a user has that would do: kinds of factors, or, where there are none, the password. */
function offers(
  { config: { relyingParty } }: Pick<Deps, 'config'>,
  user: User,
  factors: readonly Factor[],
  { acrValues: wanted }: AuthorizationRequest,
): readonly (FactorKind | 'password')[] {
  const usable = factors.filter(factor => factor.kind !== 'passkey' || isUsablePasskey(relyingParty, factor))
  const kinds = kindsReaching(wanted, usable)
  if (kinds.length > 0 || kindsReaching(undefined, factors).length > 0) return kinds
  const wouldDo = wanted === undefined || isOfClass(['pwd'], wanted)
  return user.passwordHash !== undefined && wouldDo ? ['password'] : []
}

const nameOf = (kind: FactorKind | 'password') => (kind === 'password' ? kind : wireNames[kind])

function ask(
  deps: StepUpDeps,
  client: Client,
  user: User,
  factors: readonly Factor[],
  authSession: AuthSession,
): never {
  const kinds = offers(deps, user, factors, authSession.request ?? {})
  if (kinds.length === 0) refuseUnmet('the user has set up nothing that proves as much')
  const ofFactors = kinds.filter(kind => kind !== 'password')
  throw new OAuthError('insufficient_authorization', 'a newer proof of who this is, or another one, is needed', {
    members: {
      // Others have no place to bring it but a new sign-in.
      ...(isFirstParty(client) && nextProofMembers(deps, authSession, ofFactors, factors)),
      factors: kinds.map(nameOf),
    },
  })
}

async function typePassword(
  deps: Deps,
  user: User,
  sessionId: string,
  client: Client,
  password: string,
  caller: Caller,
): Promise<void> {
  try {
    await verifyCurrentPassword(deps, user, sessionId, password)
  } catch (error) {
    const about = { userId: user.id, clientId: client.id, sessionId }
    if (isRefusal(error)) deps.refusals.add('sign_in.refused', error, caller, about)
    throw error
  }
}
