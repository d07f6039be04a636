/** Users: their record, their ids, and the refusal of a sign-in. */
import { OAuthError } from '../error.ts'
import type { Language } from '../pages/language.ts'
import { emailKey, usernameFold } from '../text.ts'

export type User = Readonly<{
  /** `usr_` and 22 base64url characters: the `sub` of the user's tokens. Never changes, never reused, tells nothing. */
  id: string
  username: string
  email?: string | undefined
  /** When the user proved to read what is sent to that address; absent where nobody has. */
  emailVerifiedAt?: number | undefined
  fullName?: string | undefined
  /** Changes of the address by the user that whoever reads the one before can undo, the oldest first. */
  emailChanges?: readonly EmailChange[] | undefined
  /** Names as `readRoles` takes them, one at least. */
  roles?: readonly string[] | undefined
  /** A PHC string of argon2id, or an imported hash as it came; absent for a user who cannot sign in by password. */
  passwordHash?: string | undefined
  credentialVersion: number
  createdAt: number
  disabledAt?: number | undefined
  /** When the user is removed, as the user wanted it; disabled until then. */
  deleteAt?: number | undefined
  /** What the user wants to be spoken to in; absent for what the browser says. */
  language?: Language | undefined
}>

/** `id` is the credential version that the change made: no later one has it. `at` is seconds since the epoch. */
export type EmailChange = Readonly<{ id: number; at: number }>

/** What operators change of a user. Members that are there replace the user's, undefined removes one. */
export type UserUpdate = Readonly<Partial<Pick<User, 'username' | 'email' | 'emailVerifiedAt' | 'fullName' | 'roles'>>>

/** A user as an operator changes it. Nobody has proved another address yet, unless the operator says so, and nobody undoes it. */
export function updatedUser(before: User, update: UserUpdate): User {
  const { emailVerifiedAt, emailChanges, ...user } = { ...before, ...update }
  const hasOther = 'email' in update && update.email !== before.email
  const proved = hasOther ? update.emailVerifiedAt : emailVerifiedAt
  return {
    ...(hasOther ? withNewCredentials(user) : user),
    ...(proved !== undefined && { emailVerifiedAt: proved }),
    ...(!hasOther && emailChanges !== undefined && { emailChanges }),
  }
}

/** With a new credential version: what was verified before opens no session any more, and links in mails are dead. */
export function withNewCredentials(user: User): User {
  return { ...user, credentialVersion: user.credentialVersion + 1 }
}

/** No client id may begin like this: a `sub` is always told apart (RFC 9068 §5). */
export const userIdPrefix = 'usr_'

export const isUserId = (text: string) => /^usr_[A-Za-z0-9_-]{22}$/.test(text)

export function createUserId(randomBytes: (size: number) => Buffer): string {
  return userIdPrefix + randomBytes(16).toString('base64url')
}

/** By what users sign in beside their password. */
export const signInNames = ['username', 'email', 'both'] as const
export type SignInBy = (typeof signInNames)[number]

/** An address that is shared means nobody. */
export const needsUniqueEmail = (signInBy: SignInBy) => signInBy === 'email' || signInBy === 'both'

/** A new user whose id, username or address is another's, and which of them. A username may be kept for somebody who had it. */
export type TakenUser = Readonly<{ user: User; member: TakenMember }>
export type TakenMember = 'id' | 'username' | 'reserved_username' | 'email'

/**
 * Those of new users who cannot come in beside users who are there, or beside one another.
 *
 * @param takenBy  what of one is taken by a user who is there
 * @param isUnique whether an address is one user's, who alone may have it as email or as username
 */
export function takenAmong(
  newUsers: readonly User[],
  takenBy: (user: User) => TakenMember | undefined,
  isUnique: boolean,
): TakenUser[] {
  const [names, ids] = [new Set<string>(), new Set<string>()]
  // Of addresses that are not unique, those that are proved are.
  const proved = new Set<string>()
  const taken: TakenUser[] = []
  for (const user of newUsers) {
    const name = usernameFold(user.username)
    const address = user.email === undefined ? undefined : emailKey(user.email)
    const [own, provedOwn] = [isUnique ? address : undefined, verifiedKey(user)]
    const member =
      (names.has(name) && 'username') ||
      (ids.has(user.id) && 'id') ||
      (own !== undefined && names.has(own) && 'email') ||
      (provedOwn !== undefined && proved.has(provedOwn) && 'email') ||
      takenBy(user)
    if (member) taken.push({ user, member })
    names.add(name)
    ids.add(user.id)
    if (own !== undefined) names.add(own)
    if (provedOwn !== undefined) proved.add(provedOwn)
  }
  return taken
}

/** The address that a user has proved, in the form in which nobody else has it. */
export function verifiedKey({ email, emailVerifiedAt }: Pick<User, 'email' | 'emailVerifiedAt'>): string | undefined {
  return email === undefined || emailVerifiedAt === undefined ? undefined : emailKey(email)
}

/** Whether a user has an address, or a proof of one, that somebody else may have. */
export function hasOtherAddress(user: User, before: User): boolean {
  return user.email !== before.email || verifiedKey(user) !== verifiedKey(before)
}

/**
 * Who is meant by a name that was typed: who is called that, else the one who is called something that looks like it, else the one who has it
 * as address.
 *
 * @param exact     called so by `usernameKey`
 * @param plain     called so in the form of `usernameFold`
 * @param alike     whose name has that form too: of two neither is meant
 * @param addressed whose address it is, likewise, unless one has proved it
 */
export function meantBy<Row>(
  exact: Row | undefined,
  plain: Row | undefined,
  alike: readonly Row[],
  addressed: readonly Row[] = [],
  proved?: Row,
): Row | undefined {
  return exact ?? plain ?? onlyOne(alike.length > 0 ? alike : proved === undefined ? addressed : [proved])
}

function onlyOne<Row>(rows: readonly Row[]): Row | undefined {
  return rows.length === 1 ? rows[0] : undefined
}

/** @throws OAuthError `invalid_grant`, in the same words for an unknown user, a wrong password and a disabled user */
export function refuseSignIn(cause: string): never {
  throw new OAuthError('invalid_grant', 'the username or password is wrong', { cause })
}
