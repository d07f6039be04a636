/**
 * A second factor is demanded of a user who has none: one is set up before the sign-in goes on. Who has one is asked for it, and
 * sets up others signed in.
 */
import type { Caller } from '../audit/audit.ts'
import { OAuthError } from '../error.ts'
import { addAmr } from '../sessions/assurance.ts'
import {
  beginPasskeyEnrollment,
  beginTotpEnrollment,
  type Confirmation,
  confirmEnrollment,
} from '../sessions/enrollment.ts'
import { factorError } from '../sessions/factor_error.ts'
import type { Authentication } from '../users/sign_in.ts'
import type { User } from '../users/user.ts'
import { type AuthSession, refuseAuthSession, takeTry, userOfAuthSession } from './auth_session.ts'
import type { Deps } from './deps.ts'
import { nextProofMembers } from './next_proof.ts'

/** Where a user has proved the password, and no more. */
async function enrollerOf(deps: Deps, authSession: AuthSession | undefined): Promise<{ user: User; signInId: string }> {
  const user = authSession && (await userOfAuthSession(deps, authSession))
  if (user === undefined || authSession === undefined)
    throw new OAuthError('invalid_request', 'a factor is set up after the password: username is missing')
  return { user, signInId: authSession.id }
}

/**
 * Begins to set one up. Writes nothing.
 *
 * @param enroll `otp` or `passkey`
 * @throws OAuthError `insufficient_authorization` with what is to be set up; `invalid_request`, `invalid_session`
 */
export async function askToEnroll(deps: Deps, authSession: AuthSession | undefined, enroll: string): Promise<never> {
  const enroller = await enrollerOf(deps, authSession)
  if (enroll !== 'otp' && enroll !== 'passkey')
    throw new OAuthError('invalid_request', 'what can be set up is otp or passkey')
  const begun =
    enroll === 'otp'
      ? await beginTotpEnrollment(deps, enroller, undefined)
      : await beginPasskeyEnrollment(deps, enroller, undefined)
  if (begun.kind !== 'begun') throw factorError(begun)
  const members = {
    ...nextProofMembers(deps, authSession!, [], []),
    enrollment_required: true,
    enrollment: begun.enrollment,
    ...('secret' in begun ? { secret: begun.secret, otpauth_uri: begun.otpauthUri } : { options: begun.options }),
  }
  throw new OAuthError('insufficient_authorization', 'the new factor has to be proved once', { members })
}

/**
 * Adds it, when its first proof is right.
 *
 * @returns who has been proved to be whom by then
 * @throws OAuthError `invalid_grant` for a wrong proof, `invalid_request`, `invalid_session`
 */
export async function enrollAtSignIn(
  deps: Deps,
  authSession: AuthSession | undefined,
  given: Confirmation,
  caller: Caller,
): Promise<{ authentication: Authentication; recoveryCodes: readonly string[] | undefined }> {
  const enroller = await enrollerOf(deps, authSession)
  if (given.otp === undefined && given.passkey === undefined)
    throw new OAuthError('invalid_request', 'otp or passkey is missing')
  await takeTry(deps, authSession!)
  const confirmed = await confirmEnrollment(deps, enroller, given, caller)
  if (confirmed.kind === 'session_over') refuseAuthSession('the user is disabled or gone')
  if (confirmed.kind !== 'done') throw factorError(confirmed)
  const { user, amr, recoveryCodes } = confirmed
  return { authentication: { user, amr: addAmr(authSession!.amr, amr), at: deps.now() }, recoveryCodes }
}
