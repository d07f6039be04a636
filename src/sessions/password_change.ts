/**
 * A signed-in user chooses another password: it ends every other session of the user, and whatever was copied of this one, which goes
 * on under a new refresh token or cookie.
 */
import { auditEvent, type Caller } from '../audit/audit.ts'
import { isRefusal, type Refusals } from '../audit/refusals.ts'
import type { ClientStorage } from '../clients/storage.ts'
import type { Throttle } from '../throttle/throttle.ts'
import { type Factor, isSecondFactor } from '../users/factors/factor.ts'
import type { FactorStorage } from '../users/factors/storage.ts'
import type { Passwords } from '../users/password.ts'
import { type PasswordProblem, type PasswordSettings, passwordProblem } from '../users/password_rules.ts'
import type { User } from '../users/user.ts'
import { verifyCurrentPassword } from './current_password.ts'
import { type LifetimeSettings, refreshPolicy } from './lifetimes.ts'
import { renewSession } from './refresh.ts'
import type { Session } from './session.ts'
import type { SessionStorage } from './storage.ts'
import { ownPasswordUpdate } from './user_change.ts'

export type PasswordChangeDeps = Readonly<{
  config: LifetimeSettings & PasswordSettings
  storage: SessionStorage & ClientStorage & Pick<FactorStorage, 'listFactors'>
  passwords: Passwords
  throttle: Throttle
  refusals: Refusals
  now: () => number
}>

export type PasswordChange = Readonly<{ currentPassword: string; newPassword: string }>

/** Whether a user has a second factor that the session has not proved. */
export function lacksFactor(
  { config }: Pick<PasswordChangeDeps, 'config'>,
  { amr }: Session,
  factors: readonly Factor[],
): boolean {
  return config.requireFactor !== 'off' && factors.some(isSecondFactor) && !amr.includes('mfa')
}

/**
 * @returns the session as it is from now on; or what is wrong with what was typed, `proof_needed` when the user has a second factor and
 *          the session has not proved it, or `overtaken` when the session has ended at this moment, as by a change of the password
 *          elsewhere; nothing has changed then
 * @throws OAuthError `too_many_attempts`, or `temporarily_unavailable` when too many hashes wait
 */
export async function changePassword(
  deps: PasswordChangeDeps,
  { user, session }: { user: User; session: Session },
  { currentPassword, newPassword }: PasswordChange,
  caller: Caller,
): Promise<Session | 'wrong_password' | 'proof_needed' | 'overtaken' | PasswordProblem> {
  const factors = await deps.storage.listFactors(user.id)
  // Whoever comes with a factor later raises the credential version, and this comes too late.
  if (lacksFactor(deps, session, factors)) return 'proof_needed'
  // The rules first: they cost no hash.
  const problem = await passwordProblem(deps.config, deps.passwords, newPassword, { ...user, factors })
  if (problem !== undefined) return problem
  const about = { userId: user.id, sessionId: session.id }
  try {
    await verifyCurrentPassword(deps, user, session.id, currentPassword)
  } catch (error) {
    if (!isRefusal(error)) throw error
    deps.refusals.add('password_change.refused', error, caller, about)
    if (error.code === 'too_many_attempts') throw error
    return 'wrong_password'
  }
  const passwordHash = await deps.passwords.hash(newPassword)
  const client = await deps.storage.findClient(session.clientId)
  if (client === undefined) return 'overtaken'
  const now = deps.now()
  const decide = ownPasswordUpdate(
    { passwordHash, version: user.credentialVersion },
    row => renewSession(row, now, refreshPolicy(deps.config, client), caller),
    auditEvent('user.password_changed', now, caller, about),
  )
  const changed = await deps.storage.changeUser(user.id, decide, session.id)
  return changed ?? 'overtaken'
}
