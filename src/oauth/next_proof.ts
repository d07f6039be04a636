/**
 * What comes after the first proof of who somebody is: another one that came along, or the answer that says which could.
 * draft-ietf-oauth-first-party-apps-04 §5.2.2.1 and §6.2.
 */
import { createHash } from 'node:crypto'
import type { Caller } from '../audit/audit.ts'
import { type Client, isFirstParty } from '../clients/client.ts'
import { OAuthError } from '../error.ts'
import { addAmr, kindsReaching } from '../sessions/assurance.ts'
import { FactorsOwed } from '../sessions/factors_owed.ts'
import type { SessionStorage } from '../sessions/storage.ts'
import { type Factor, type FactorKind, isSecondFactor, wireNames } from '../users/factors/factor.ts'
import { isUsablePasskey, type PasskeyQuestion, requestOptions } from '../users/factors/passkey.ts'
import { type GivenProof, type ProveDeps, proveFactor } from '../users/factors/prove.ts'
import type { FactorStorage } from '../users/factors/storage.ts'
import type { Authentication } from '../users/sign_in.ts'
import {
  type AuthorizationRequest,
  type AuthSession,
  authSessionLifetime,
  createAuthSession,
  formatAuthSession,
} from './auth_session.ts'
import type { Deps } from './deps.ts'

export type NextProofDeps = ProveDeps &
  Pick<Deps, 'config' | 'randomBytes'> &
  Readonly<{ storage: SessionStorage & FactorStorage }>

/** Who has given the right password, at which client, asking for what, and which proof came along. */
export type FirstProof = Readonly<{
  client: Client
  request: AuthorizationRequest
  first: Authentication
  given: GivenProof | undefined
}>

/**
 * Begins a session for who has given the right password and, where there is one to give, the proof that came along. Who has set up
 * nothing can prove nothing more: what came along is ignored then.
 *
 * @param begin a session
 * @throws OAuthError `insufficient_authorization` where one more proof is owed; `invalid_grant` for a wrong one, which says how to go on
 *         as well: it tells no more than the other that the password was right
 */
export async function beginWithProof<T>(
  deps: NextProofDeps,
  { first, given, ...where }: FirstProof,
  caller: Caller,
  begin: (authentication: Authentication) => Promise<T>,
): Promise<T> {
  const { user } = first
  const factors = given === undefined ? [] : await deps.storage.listFactors(user.id)
  const proof = factors.some(isSecondFactor) ? given : undefined
  try {
    if (proof === undefined) return await begin(first)
    const { use, amr } = await proveFactor(deps, { userId: user.id, factors, clientId: where.client.id }, proof, caller)
    return await begin({ ...first, amr: addAmr(first.amr, amr), uses: [use] })
  } catch (error) {
    if (error instanceof FactorsOwed) throw await askForProof(deps, error, error.owed.kinds, first, where)
    if (proof !== undefined && error instanceof OAuthError && error.code === 'invalid_grant')
      throw await askForProof(deps, error, kindsReaching(where.request.acrValues, factors), first, where)
    throw error
  }
}

/** @returns the refusal, with an auth session for who can go on at `/authorize-challenge` */
async function askForProof(
  deps: NextProofDeps,
  { code, message, cause, members }: OAuthError,
  kinds: readonly FactorKind[],
  first: Authentication,
  { client, request }: Pick<FirstProof, 'client' | 'request'>,
): Promise<OAuthError> {
  const { user, amr, passwordHash } = first
  // The session that it would have been stored with may begin elsewhere, where nobody knows the password.
  if (passwordHash !== undefined) await storeBetterHash(deps, first, passwordHash)
  if (!isFirstParty(client)) {
    const typed = kinds.filter(kind => kind !== 'passkey').map(kind => wireNames[kind])
    return new OAuthError(code, message, { cause, members: { ...members, factors: typed } })
  }
  const authSession = createAuthSession(deps, {
    clientId: client.id,
    user: { id: user.id, credentialVersion: user.credentialVersion },
    amr,
    request,
  })
  const factors = kinds.includes('passkey') ? await deps.storage.listFactors(user.id) : []
  const next = nextProofMembers(deps, authSession, kinds, factors)
  const mustEnroll = members?.enrollment_required === true && { enrollment_required: true }
  return new OAuthError(code, message, { cause, members: { ...next, ...mustEnroll } })
}

/**
 * How to go on: draft-ietf-oauth-first-party-apps-04 §5.2.2.
 *
 * @param kinds   of which one is to be proved
 * @param factors of the user, where a passkey is one of them; of nobody for one that says by itself whose it is
 */
export function nextProofMembers(
  deps: Pick<Deps, 'config' | 'secrets' | 'randomBytes' | 'now'>,
  authSession: AuthSession,
  kinds: readonly FactorKind[],
  factors: readonly Factor[],
): Readonly<Record<string, unknown>> {
  const { relyingParty } = deps.config
  const asked = passkeyQuestion(deps, authSession)
  const isForAnybody = authSession.user === undefined
  const hasPasskey =
    asked !== undefined && (isForAnybody || factors.some(factor => isUsablePasskey(relyingParty, factor)))
  return {
    auth_session: formatAuthSession(authSession, deps),
    auth_session_expires_in: Math.min(authSessionLifetime, authSession.expiresAt - deps.now()),
    factors: kinds.filter(kind => kind !== 'passkey' || hasPasskey).map(kind => wireNames[kind]),
    ...(kinds.includes('passkey') && hasPasskey && { passkey_options: requestOptions(asked, factors) }),
  }
}

/** What a passkey is asked for with: a challenge of this auth session alone, which counts once with it. */
export function passkeyQuestion(
  { config: { relyingParty } }: Pick<Deps, 'config'>,
  { id }: AuthSession,
): PasskeyQuestion | undefined {
  if (relyingParty === undefined) return undefined
  return { relyingParty, challenge: createHash('sha256').update(`passkey of auth_session ${id}`).digest('base64url') }
}

/** Where the credentials are still those that were verified. */
export function storeBetterHash(
  { storage }: Readonly<{ storage: SessionStorage }>,
  { user: { id, credentialVersion } }: Authentication,
  passwordHash: string,
): Promise<void> {
  return storage.changeUser(id, user =>
    user?.credentialVersion === credentialVersion
      ? { outcome: undefined, user: { ...user, passwordHash } }
      : { outcome: undefined },
  )
}
