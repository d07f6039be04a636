/** What users are told of their own account, and why it stays as it is. Pages have words of their own. */
import type { ProfileOutcome } from '../accounts/profile.ts'
import type { AccountRefusal } from '../accounts/signed_in.ts'
import { OAuthError } from '../error.ts'
import { maxSignInAge } from '../sessions/factor_change.ts'
import { proofNeeded } from '../sessions/factor_error.ts'
import type { User } from '../users/user.ts'

/** What users see of themselves. */
export function describeMe({ username, email, emailVerifiedAt, fullName, language }: User) {
  const isVerified = email !== undefined && emailVerifiedAt !== undefined
  return {
    username,
    email: email ?? null,
    email_verified: isVerified,
    full_name: fullName ?? null,
    language: language ?? null,
  }
}

export function accountError(refusal: Exclude<ProfileOutcome, { kind: 'done' }> | AccountRefusal): OAuthError {
  switch (refusal.kind) {
    case 'proof_needed':
      return proofNeeded(refusal.hasFactor, maxSignInAge)
    case 'session_over':
      return new OAuthError('invalid_token', 'the session has ended at this moment')
    case 'invalid':
      return new OAuthError('invalid_request', `${refusal.member}: ${refusal.problem}`)
    case 'taken':
      return new OAuthError('username_taken', 'the username is taken')
    case 'too_soon':
      return new OAuthError('too_many_attempts', 'a username changes once a day', { retryAfter: refusal.retryAfter })
  }
}
