/** A signed-in user chooses another password: it ends every other session of the user. */
import { auditEvent, type Caller } from './audit.ts'
import type { Deps } from './deps.ts'
import { type PasswordProblem, passwordProblem } from './password_rules.ts'
import { isRefusal } from './refusals.ts'
import type { Session } from './session.ts'
import { refuseSignIn, type User } from './user.ts'

export type PasswordChange = Readonly<{ currentPassword: string; newPassword: string }>

/**
 * @returns what is wrong with what was typed, or `overtaken` when the password has been changed elsewhere at this moment, which
 *          ended the session; nothing has changed then
 * @throws OAuthError `too_many_attempts`, or `temporarily_unavailable` when too many hashes wait
 */
export async function changePassword(
  deps: Deps,
  { user, session }: { user: User; session: Session },
  { currentPassword, newPassword }: PasswordChange,
  caller: Caller,
): Promise<'wrong_password' | 'overtaken' | PasswordProblem | undefined> {
  // The rules first: they cost nothing.
  const problem = await passwordProblem(newPassword)
  if (problem !== undefined) return problem
  const about = { userId: user.id, sessionId: session.id }
  try {
    await deps.throttle.currentPassword(session.id, async () => {
      if (!(await deps.passwords.verify(currentPassword, user.passwordHash))) refuseSignIn('wrong password')
    })
  } catch (error) {
    if (!isRefusal(error)) throw error
    deps.refusals.add('password_change.refused', error, caller, about)
    if (error.code === 'too_many_attempts') throw error
    return 'wrong_password'
  }
  const event = auditEvent('user.password_changed', deps.now(), caller, about)
  const changed = await deps.storage.changePassword(user.id, await deps.passwords.hash(newPassword), event, {
    version: user.credentialVersion,
    keepSessionId: session.id,
  })
  return changed ? undefined : 'overtaken'
}
