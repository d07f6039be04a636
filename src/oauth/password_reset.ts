/**
 * A new password for who has had a mail: the rules for it, the second factor where there is one, and then it is set. What was proved so far
 * is in an `auth_session`, as at a sign-in (draft-ietf-oauth-first-party-apps-04 §5.2.2.1); but one of these signs nobody in.
 */
import { userOfLink } from '../accounts/mail_proof.ts'
import { type NewPassword, resetPassword } from '../accounts/password_reset.ts'
import type { Caller } from '../audit/audit.ts'
import { browserClientId } from '../clients/browser_client.ts'
import { OAuthError } from '../error.ts'
import type { MailLink } from '../mail/link.ts'
import type { Factor, FactorKind } from '../users/factors/factor.ts'
import { owedFactors } from '../users/factors/owed.ts'
import { type GivenProof, proveFactor } from '../users/factors/prove.ts'
import { refuseProof } from '../users/factors/refuse_proof.ts'
import { type PasswordProblem, passwordProblem } from '../users/password_rules.ts'
import type { User } from '../users/user.ts'
import {
  createAuthSession,
  formatAuthSession,
  openResetSession,
  type ResetSession,
  refuseAuthSession,
  takeTry,
} from './auth_session.ts'
import type { Deps } from './deps.ts'
import { passkeyQuestion } from './next_proof.ts'

/** How far it has come. */
export type ResetStep =
  | Readonly<{ kind: 'done' }>
  /** The link allows nothing any more. */
  | Readonly<{ kind: 'over' }>
  | (Readonly<{ kind: 'refused' }> & PasswordProblem)
  | OwedStep

/** One more proof is owed; `failure` is what was wrong with the one that came, if one did. */
export type OwedStep = Readonly<{
  kind: 'owed'
  authSession: ResetSession
  /** As it is sent. */
  text: string
  kinds: readonly FactorKind[]
  user: User
  factors: readonly Factor[]
  failure?: OAuthError
}>

/** @param clientId of the app; undefined for a page @param link proved, by itself or by its code */
export async function resetByLink(
  deps: Deps,
  clientId: string | undefined,
  link: MailLink,
  { newPassword, proof }: Readonly<{ newPassword: string; proof: GivenProof | undefined }>,
  caller: Caller,
): Promise<ResetStep> {
  const user = await userOfLink(deps, link)
  if (user === undefined) return { kind: 'over' }
  const factors = await deps.storage.listFactors(user.id)
  const problem = await passwordProblem(deps.config, deps.passwords, newPassword, { ...user, factors })
  if (problem !== undefined) return { kind: 'refused', ...problem }
  const passwordHash = await deps.passwords.hash(newPassword)
  const kinds = owedKinds(deps, factors)
  if (kinds.length === 0) return set(deps, clientId, { link, passwordHash, uses: [] }, caller)
  const reset = { link, passwordHash }
  const begun = createAuthSession(deps, {
    clientId: clientId ?? browserClientId,
    user: { id: user.id, credentialVersion: user.credentialVersion },
    amr: [],
    reset,
  })
  const authSession = { ...begun, reset, expiresAt: Math.min(begun.expiresAt, link.expiresAt) }
  const text = formatAuthSession(authSession, deps)
  const owed: OwedStep = { kind: 'owed', authSession, text, kinds, user, factors }
  return proof === undefined ? owed : proveReset(deps, clientId, owed, proof, caller)
}

/**
 * What {@link resetByLink} has come to.
 *
 * @param linkId of the link that it is about, where that is known
 * @throws OAuthError `invalid_session`
 */
export async function goOnResetting(
  deps: Deps,
  clientId: string | undefined,
  text: string,
  linkId?: string,
): Promise<OwedStep> {
  const authSession = await openResetSession(deps, text, clientId ?? browserClientId)
  const { link } = authSession.reset
  if (linkId !== undefined && linkId !== link.id) refuseAuthSession('of another link')
  const user = await userOfLink(deps, link)
  if (user === undefined) refuseAuthSession('the credentials have changed')
  const factors = await deps.storage.listFactors(user.id)
  const kinds = owedKinds(deps, factors)
  if (kinds.length === 0) refuseAuthSession('nobody is asked for a factor any more')
  return { kind: 'owed', authSession, text, kinds, user, factors }
}

/** Sets the password by the proof that was owed. @throws OAuthError `invalid_session`, `too_many_attempts` */
export async function proveReset(
  deps: Deps,
  clientId: string | undefined,
  owed: OwedStep,
  proof: GivenProof,
  caller: Caller,
): Promise<ResetStep> {
  const { authSession, user, factors } = owed
  const { link, passwordHash } = authSession.reset
  const left = await takeTry(deps, authSession)
  const asked = passkeyQuestion(deps, authSession)
  try {
    const { use } = await proveFactor(deps, { userId: user.id, factors, asked, clientId }, proof, caller)
    return await set(deps, clientId, { link, passwordHash, uses: [use] }, caller)
  } catch (error) {
    if (!(error instanceof OAuthError) || error.code !== 'invalid_grant') throw error
    return left === 0 ? refuseAuthSession('too many wrong proofs') : { ...owed, failure: error }
  }
}

/** As at a sign-in, but for who has none: nobody is let in here, and the next sign-in asks for one to be set up. */
function owedKinds({ config }: Deps, factors: readonly Factor[]): readonly FactorKind[] {
  return owedFactors(config.requireFactor, false, factors, [])?.kinds ?? []
}

async function set(
  deps: Deps,
  clientId: string | undefined,
  password: NewPassword,
  caller: Caller,
): Promise<Readonly<{ kind: 'done' | 'over' }>> {
  const kind = await resetPassword(deps, password, clientId, caller)
  return kind === 'used' ? refuseProof('the code was used at this moment') : { kind }
}
