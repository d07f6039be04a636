/** What a program is told of why factors stay as they are. Pages have words of their own. */
import { OAuthError } from '../error.ts'
import { maxFactors } from '../users/factors/factor.ts'
import type { ConfirmationRefusal } from './enrollment.ts'
import { maxSignInAge } from './factor_change.ts'

export function factorError(refusal: ConfirmationRefusal): OAuthError {
  switch (refusal.kind) {
    case 'proof_needed':
      return proofNeeded(refusal.hasFactor, maxSignInAge)
    case 'session_over':
      return new OAuthError('invalid_token', 'the session has ended at this moment')
    case 'enrollment_over':
      return new OAuthError('invalid_session', 'the enrollment is over, or of another sign-in: begin again')
    case 'overtaken':
      return new OAuthError('invalid_session', 'the factors or the password changed meanwhile: begin again')
    case 'too_many':
      return new OAuthError('invalid_request', `there are ${maxFactors} factors already: remove one first`)
    case 'no_such_factor':
      return new OAuthError('not_found', 'you have no such factor')
    case 'no_second_factor':
      return new OAuthError('invalid_request', 'recovery codes stand in for another factor: set one up first')
    case 'no_passkeys':
      return new OAuthError('invalid_request', 'this server has no passkeys')
    case 'passkey_known':
      return new OAuthError('invalid_grant', 'this passkey is known already')
    case 'wrong_passkey':
      return refusal.error
    case 'wrong_code':
      return new OAuthError('invalid_grant', wrongCodeText(refusal.ahead))
  }
}

/** RFC 9470 §3. @param maxAge seconds that the sign-in may be old; without it any age will do */
export function proofNeeded(hasFactor: boolean, maxAge?: number): OAuthError {
  const what = hasFactor ? 'a sign-in with the second factor is needed' : 'a new sign-in is needed'
  return new OAuthError('insufficient_user_authentication', what, {
    stepUp: { ...(hasFactor && { acrValues: ['urn:latchkey:2fa'] }), ...(maxAge !== undefined && { maxAge }) },
  })
}

function wrongCodeText(ahead: number | undefined): string {
  if (ahead === undefined) return 'the code is wrong'
  const minutes = Math.max(1, Math.round(Math.abs(ahead) / 60))
  const by = `about ${minutes} ${minutes === 1 ? 'minute' : 'minutes'} ${ahead > 0 ? 'fast' : 'slow'}`
  return `the code is of another time: the clock of the device that shows it is ${by}`
}
