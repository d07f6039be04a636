/** Users: their record, and the forms in which usernames and passwords are compared. */
import { OAuthError } from './error.ts'

export type User = Readonly<{
  /** `usr_` and 22 base64url characters: the `sub` of the user's tokens. Never changes, never reused, tells nothing. */
  id: string
  username: string
  email?: string | undefined
  fullName?: string | undefined
  /** A PHC string of argon2id, or an imported hash as it came. */
  passwordHash: string
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

/**
 * The form in which usernames are compared: NFC, without case. To lower case, to upper and back, so that letters with
 * several forms of one case (σ and ς, ß and ẞ) fall together.
 */
export function usernameKey(username: string): string {
  return username.normalize('NFC').toLowerCase().toUpperCase().toLowerCase().normalize('NFC')
}

/** Characters. */
export const longestUsername = 128

/**
 * @returns the username in NFC, or undefined when it is empty, too long, has outer white space or what cannot be seen:
 *          control and format characters, but for the joiners that some scripts need
 */
export function parseUsername(text: string): string | undefined {
  const username = text.normalize('NFC')
  if (username === '' || [...username].length > longestUsername || !username.isWellFormed()) return undefined
  return /^(?:[^\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]|[\u200c\u200d])+$/u.test(username) && username.trim() === username
    ? username
    : undefined
}

/** @throws OAuthError `invalid_grant`, in the same words for an unknown user, a wrong password and a disabled user */
export function refuseSignIn(cause: string): never {
  throw new OAuthError('invalid_grant', 'the username or password is wrong', { cause })
}
