/** Whether somebody who is signed in knows the password. Counted by session: nobody else has to wait for it. */
import { cutFarTooLong, isFarTooLong } from '../normal_form.ts'
import type { Throttle } from '../throttle/throttle.ts'
import type { Passwords } from '../users/password.ts'
import { maxPassword } from '../users/password_rules.ts'
import { refuseSignIn, type User } from '../users/user.ts'

export type CurrentPasswordDeps = Readonly<{ passwords: Passwords; throttle: Pick<Throttle, 'currentPassword'> }>

/** @param typed as it came. @throws OAuthError `invalid_grant`, `too_many_attempts`, or `temporarily_unavailable` when too many hashes wait */
export function verifyCurrentPassword(
  { passwords, throttle }: CurrentPasswordDeps,
  user: User,
  sessionId: string,
  typed: string,
): Promise<void> {
  const isTooLong = isFarTooLong(typed, maxPassword)
  return throttle.currentPassword(sessionId, async () => {
    const matches = await passwords.verify(cutFarTooLong(typed, maxPassword), user.passwordHash, isTooLong)
    if (!matches || isTooLong) refuseSignIn('wrong password')
  })
}
