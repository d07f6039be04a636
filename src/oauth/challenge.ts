/**
 * The authorization challenge endpoint: an app of who runs this server asks for proofs of who somebody is, and gets a code for them.
 * draft-ietf-oauth-first-party-apps-04 §5.
 */
import type { Caller } from '../audit/audit.ts'
import { type Client, isFirstParty, isPublic, type Params, type TokenParams } from '../clients/client.ts'
import { OAuthError } from '../error.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { addAmr, kindsReaching } from '../sessions/assurance.ts'
import { beginSession } from '../sessions/begin.ts'
import { FactorsOwed } from '../sessions/factors_owed.ts'
import { type GivenProof, givenProof, proveFactor } from '../users/factors/prove.ts'
import { type Authentication, signInByPassword } from '../users/sign_in.ts'
import { signInByPasskey } from '../users/sign_in_by_passkey.ts'
import {
  type AuthorizationRequest,
  type AuthSession,
  consumeAuthSession,
  createAuthSession,
  openAuthSession,
  parseAuthSession,
  takeTry,
  userOfAuthSession,
} from './auth_session.ts'
import { formatAuthorizationCode, maxNonce } from './authorization_code.ts'
import { grantRequest, type Wanted } from './authorization_request.ts'
import type { Deps } from './deps.ts'
import { askToEnroll, enrollAtSignIn } from './enroll_at_sign_in.ts'
import { beginWithProof, nextProofMembers, passkeyQuestion } from './next_proof.ts'
import { readCodeChallenge } from './pkce.ts'
import { challengeParams, readParams } from './request_params.ts'
import { proveStepUp, readRequirements } from './step_up.ts'

/** §5.2.1. `recovery_codes` come with a first factor that was set up meanwhile, this once. */
export type ChallengeResponse = Readonly<{ authorization_code: string; recovery_codes?: readonly string[] }>

/** What a request comes to once it is known what it asks for. */
type Step = Readonly<{
  client: Client
  request: AuthorizationRequest
  wanted: Wanted
  authSession: AuthSession | undefined
  caller: Caller
}>

/**
 * Answers a challenge request.
 *
 * @param identify authenticates the client that parameters name
 * @throws OAuthError `insufficient_authorization` where one more proof is needed, `invalid_grant` for a wrong one, `invalid_session`,
 *         `invalid_request`, `invalid_client`, `unauthorized_client`, `unsupported_response_type`, `invalid_scope`, `invalid_target`,
 *         `too_many_attempts` or `temporarily_unavailable`
 */
export async function challengeRequest(
  deps: Deps,
  identify: (params: Params) => Promise<Client>,
  { params, resources }: TokenParams,
  caller: Caller,
): Promise<ChallengeResponse> {
  const given = readParams(challengeParams, params)
  if (given.response_type !== 'code')
    throw new OAuthError('unsupported_response_type', 'the response_type is code, here and nowhere else')
  const client = await identify(withClientId(params, deps.secrets))
  if (!isFirstParty(client))
    throw new OAuthError('unauthorized_client', 'the client is not registered as an app of who runs this server')
  const text = given.auth_session
  const authSession = text === undefined ? undefined : await openAuthSession(deps, text, client.id)
  const request = readRequest(given, resources, authSession?.request)
  if (isPublic(client) && request.codeChallenge === undefined)
    throw new OAuthError('invalid_request', 'code_challenge is missing: a public client has to send one')
  const step: Step = { client, request, wanted: grantRequest(deps.config, client, request), authSession, caller }
  const proof = givenProof(given)

  const { username, password } = given
  if (authSession?.sessionId !== undefined) {
    if (username !== undefined) throw new OAuthError('invalid_request', 'the auth_session says who it is, no username')
    const ofSession = { ...authSession, sessionId: authSession.sessionId, request }
    return { authorization_code: await proveStepUp(deps, client, ofSession, { password, proof }, caller) }
  }
  if (username !== undefined || password !== undefined) {
    if (username === undefined || password === undefined)
      throw new OAuthError('invalid_request', `${username === undefined ? 'username' : 'password'} is missing`)
    if (proof?.param === 'passkey')
      throw new OAuthError('invalid_request', 'a passkey comes with the auth_session that it was asked for with')
    return byPassword(deps, step, { username, password }, proof)
  }
  if (given.enroll !== undefined) return askToEnroll(deps, authSession, given.enroll)
  if (given.enrollment !== undefined) {
    const { enrollment, otp, passkey } = given
    const { authentication, recoveryCodes } = await enrollAtSignIn(
      deps,
      authSession,
      { enrollment, otp, passkey },
      caller,
    )
    const response = await issueCode(deps, step, authentication)
    await consumeAuthSession(deps, authSession!)
    return { ...response, ...(recoveryCodes && { recovery_codes: recoveryCodes }) }
  }
  return byAuthSession(deps, step, proof)
}

/** §5.1: a public client need not say again who it is. Whether it is public is asked where it is authenticated. */
function withClientId(params: Params, secrets: MasterSecrets): Params {
  if (params.client_id !== undefined || params.client_assertion !== undefined) return params
  const clientId = params.auth_session && parseAuthSession(params.auth_session, secrets)?.clientId
  return clientId === undefined ? params : { ...params, client_id: clientId }
}

type Given = ReturnType<typeof readParams<ReturnType<(typeof challengeParams)['parse']>>>

/** @param before what need not be said again; what is said again counts */
function readRequest(
  { scope, device, nonce, code_challenge: challenge, code_challenge_method: method, ...given }: Given,
  resources: readonly string[],
  before: AuthorizationRequest = {},
): AuthorizationRequest {
  if (nonce !== undefined && nonce.length > maxNonce)
    throw new OAuthError('invalid_request', `nonce has more than ${maxNonce} characters`)
  return {
    ...before,
    scope: scope ?? before.scope,
    resources: resources.length > 0 ? resources : before.resources,
    device: device ?? before.device,
    codeChallenge: readCodeChallenge(challenge, method) ?? before.codeChallenge,
    nonce: nonce ?? before.nonce,
    // Nothing is fresher than a sign-in.
    acrValues: readRequirements(given)?.acrValues ?? before.acrValues,
  }
}

async function byPassword(
  deps: Deps,
  step: Step,
  typed: Readonly<{ username: string; password: string }>,
  given: GivenProof | undefined,
): Promise<ChallengeResponse> {
  const { client, request, caller } = step
  const first = await signInByPassword(deps, { ...typed, clientId: client.id }, caller)
  return beginWithProof(deps, { client, request, first, given }, caller, authentication =>
    issueCode(deps, step, authentication),
  )
}

async function byAuthSession(deps: Deps, step: Step, proof: GivenProof | undefined): Promise<ChallengeResponse> {
  const { authSession, client, caller } = step
  if (authSession === undefined || proof === undefined) return askAnybody(deps, step, proof)
  const user = await userOfAuthSession(deps, authSession)
  if (user === undefined && proof.param !== 'passkey')
    throw new OAuthError('invalid_request', `${proof.param} is for after the password: username is missing`)
  // Nobody's passkey is nothing to guess, and a stranger must add no rows.
  if (user !== undefined) await takeTry(deps, authSession)
  const asked = passkeyQuestion(deps, authSession)
  const clientId = client.id
  let authentication: Authentication
  if (user === undefined) {
    if (asked === undefined) throw new OAuthError('invalid_request', 'there are no passkeys here')
    authentication = await signInByPasskey(deps, { answer: proof.value, asked, clientId }, caller)
  } else {
    const factors = await deps.storage.listFactors(user.id)
    const { use, amr } = await proveFactor(deps, { userId: user.id, factors, asked, clientId }, proof, caller)
    authentication = { user, amr: addAmr(authSession.amr, amr), at: deps.now(), uses: [use] }
  }
  const response = await issueCode(deps, step, authentication).catch(async error => {
    if (!(error instanceof FactorsOwed)) throw error
    // The request asks for another class: what was proved for nothing is not used up.
    const { kinds } = error.owed
    const factors = await deps.storage.listFactors(authentication.user.id)
    const members = { ...error.members, ...nextProofMembers(deps, authSession, kinds, factors) }
    throw new OAuthError(error.code, error.message, { members })
  })
  // Of two proofs at the same moment one gets its code; what the other one began never goes on.
  await consumeAuthSession(deps, authSession)
  return response
}

/** Nothing is proved by the request: it is told what would be. */
async function askAnybody(
  deps: Deps,
  { authSession: before, client, request }: Step,
  proof: GivenProof | undefined,
): Promise<never> {
  if (proof !== undefined) throw new OAuthError('invalid_request', 'auth_session is missing')
  const user = before && (await userOfAuthSession(deps, before))
  if (user === undefined && deps.config.relyingParty === undefined)
    throw new OAuthError('invalid_request', 'username is missing')
  const authSession: AuthSession =
    before === undefined ? createAuthSession(deps, { clientId: client.id, amr: [], request }) : { ...before, request }
  const factors = user === undefined ? [] : await deps.storage.listFactors(user.id)
  const kinds = user === undefined ? (['passkey'] as const) : kindsReaching(request.acrValues, factors)
  const mustEnroll = user !== undefined && kinds.length === 0 && { enrollment_required: true }
  throw new OAuthError('insufficient_authorization', 'a proof of who this is is needed', {
    members: { ...nextProofMembers(deps, authSession, kinds, factors), ...mustEnroll },
  })
}

async function issueCode(
  deps: Deps,
  { wanted, request, caller }: Step,
  authentication: Authentication,
): Promise<ChallengeResponse> {
  const session = await beginSession(deps, authentication, { ...wanted, lifetimes: 'pending' }, caller)
  const { codeChallenge, nonce } = request
  const code = { sessionId: session.id, codeChallenge, nonce, expiresAt: session.expiresAt }
  return { authorization_code: formatAuthorizationCode(code, deps) }
}
