/** Users: their record, their ids, and the refusal of a sign-in. */
import { OAuthError } from '../error.ts'

export type User = Readonly<{
  /** `usr_` and 22 base64url characters: the `sub` of the user's tokens. Never changes, never reused, tells nothing. */
  id: string
  username: string
  email?: string | undefined
  fullName?: string | undefined
  /** A PHC string of argon2id, or an imported hash as it came; absent for a user who cannot sign in by password. */
  passwordHash?: string | undefined
  credentialVersion: number
  createdAt: number
  disabledAt?: number | undefined
}>

/** No client id may begin like this: a `sub` is always told apart (RFC 9068 §5). */
export const userIdPrefix = 'usr_'

export const isUserId = (text: string) => /^usr_[A-Za-z0-9_-]{22}$/.test(text)

export function createUserId(randomBytes: (size: number) => Buffer): string {
  return userIdPrefix + randomBytes(16).toString('base64url')
}

/** @throws OAuthError `invalid_grant`, in the same words for an unknown user, a wrong password and a disabled user */
export function refuseSignIn(cause: string): never {
  throw new OAuthError('invalid_grant', 'the username or password is wrong', { cause })
}
