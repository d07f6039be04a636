/** Users: their record, their ids, and the refusal of a sign-in. */
import { OAuthError } from '../error.ts'
import { usernameFold } from '../text.ts'

export type User = Readonly<{
  /** `usr_` and 22 base64url characters: the `sub` of the user's tokens. Never changes, never reused, tells nothing. */
  id: string
  username: string
  email?: string | undefined
  fullName?: string | undefined
  /** Names as `readRoles` takes them, one at least. */
  roles?: readonly string[] | undefined
  /** A PHC string of argon2id, or an imported hash as it came; absent for a user who cannot sign in by password. */
  passwordHash?: string | undefined
  credentialVersion: number
  createdAt: number
  disabledAt?: number | undefined
}>

/** What operators change of a user. Members that are there replace the user's, undefined removes one. */
export type UserUpdate = Readonly<Partial<Pick<User, 'username' | 'email' | 'fullName' | 'roles'>>>

/** No client id may begin like this: a `sub` is always told apart (RFC 9068 §5). */
export const userIdPrefix = 'usr_'

export const isUserId = (text: string) => /^usr_[A-Za-z0-9_-]{22}$/.test(text)

export function createUserId(randomBytes: (size: number) => Buffer): string {
  return userIdPrefix + randomBytes(16).toString('base64url')
}

/**
 * Those of new users whose id, or name as `usernameFold` compares it, is taken: by users who are there or by one another.
 *
 * @param isTaken by one who is there
 */
export function takenAmong(newUsers: readonly User[], isTaken: (user: User) => boolean): User[] {
  const [names, ids] = [new Set<string>(), new Set<string>()]
  return newUsers.filter(user => {
    const name = usernameFold(user.username)
    const isOne = names.has(name) || ids.has(user.id) || isTaken(user)
    names.add(name)
    ids.add(user.id)
    return isOne
  })
}

/**
 * Who is meant by a name that was typed: who is called that, else the one who is called something that looks like it.
 *
 * @param exact called so by `usernameKey`
 * @param plain called so in the form of `usernameFold`
 * @param alike whose name has that form too: of two neither is meant
 */
export function meantBy<Row>(exact: Row | undefined, plain: Row | undefined, alike: readonly Row[]): Row | undefined {
  return exact ?? plain ?? (alike.length === 1 ? alike[0] : undefined)
}

/** @throws OAuthError `invalid_grant`, in the same words for an unknown user, a wrong password and a disabled user */
export function refuseSignIn(cause: string): never {
  throw new OAuthError('invalid_grant', 'the username or password is wrong', { cause })
}
