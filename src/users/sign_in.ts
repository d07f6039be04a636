/** A sign-in by password: who it is, proved by what and when. It makes no session: that is `sessions/begin.ts`, for every way in. */
import type { Caller } from '../audit/audit.ts'
import { isRefusal, type Refusals } from '../audit/refusals.ts'
import { OAuthError } from '../error.ts'
import { cutFarTooLong, isFarTooLong } from '../normal_form.ts'
import type { Observer, SignInOutcome } from '../observer.ts'
import { maxUsername } from '../text.ts'
import type { Throttle } from '../throttle/throttle.ts'
import type { FactorUse } from './factors/factor.ts'
import type { Passwords } from './password.ts'
import { maxPassword } from './password_rules.ts'
import type { UserStorage } from './storage.ts'
import { refuseSignIn, type SignInBy, type User } from './user.ts'

/** Who somebody has been proved to be. */
export type Authentication = Readonly<{
  /** As the row was when it was proved: a session begins only if its credentials are still these. */
  user: User
  /** By what, RFC 8176. */
  amr: readonly string[]
  /** When, in seconds since the epoch. */
  at: number
  /** What was proved beside a password, and is used up when the session begins. */
  uses?: readonly FactorUse[] | undefined
  /** A better hash of the password that was right, to be stored when the session begins. */
  passwordHash?: string | undefined
}>

export type SignInDeps = Readonly<{
  config: Readonly<{ signInBy: SignInBy }>
  storage: UserStorage
  passwords: Passwords
  throttle: Throttle
  refusals: Refusals
  observer: Observer
  now: () => number
}>

/** What was typed, the name by which users sign in here in the place of `username`, and at which client. */
export type PasswordSignIn = Readonly<{ username: string; password: string; clientId: string }>

/** @throws OAuthError `invalid_grant`, `too_many_attempts`, or `temporarily_unavailable` when too many sign-ins wait */
export async function signInByPassword(
  deps: SignInDeps,
  typed: PasswordSignIn,
  caller: Caller,
): Promise<Authentication> {
  // Nobody has a name, an address or a password of such a length: a wrong one like any other, and no dearer.
  const username = cutFarTooLong(typed.username, maxUsername)
  const password = cutFarTooLong(typed.password, maxPassword)
  try {
    deps.passwords.insistOnRoom()
    const attempt = { username, password, patience: deps.passwords.patience() }
    const user = await deps.throttle.signIn(attempt, caller, isLate =>
      verifyCredentials(deps, username, password, isLate),
    )
    const passwordHash = await betterHash(deps, user, password)
    return { user, amr: ['pwd'], at: deps.now(), passwordHash }
  } catch (error) {
    deps.observer.signedIn(outcomeOf(error))
    if (isRefusal(error)) {
      // A user who exists, and never what was typed in the place of a name.
      const user = await deps.storage.findUserToSignIn(username, deps.config.signInBy)
      deps.refusals.add('sign_in.refused', error, caller, { userId: user?.id, clientId: typed.clientId })
    }
    if (error instanceof OAuthError) await error.heldUntil
    throw error
  }
}

function outcomeOf(error: unknown): SignInOutcome {
  if (!isRefusal(error)) return 'unavailable'
  return error.code === 'too_many_attempts' ? 'throttled' : 'refused'
}

/** Computes one hash in every case, but where the answer is held back anyway: there only for who may be let in. */
async function verifyCredentials(
  { config, storage, passwords }: SignInDeps,
  username: string,
  password: string,
  isLate: (() => boolean) | undefined,
): Promise<User> {
  const user = await storage.findUserToSignIn(username, config.signInBy)
  const isTooLong = isFarTooLong(password, maxPassword)
  const isRefused = isTooLong || user?.disabledAt !== undefined
  const matches =
    isLate === undefined
      ? await passwords.verify(password, user?.passwordHash, isRefused)
      : user?.passwordHash !== undefined && (await passwords.verifyAside(password, user.passwordHash, isLate))
  if (user === undefined) refuseSignIn('no such user')
  if (!matches || isTooLong) refuseSignIn('wrong password')
  if (user.disabledAt !== undefined) refuseSignIn('the user is disabled')
  return user
}

/** @returns a hash of the present kind and cost, when the stored one is of another and knows all of the password */
async function betterHash(
  { passwords }: SignInDeps,
  { passwordHash }: User,
  password: string,
): Promise<string | undefined> {
  if (passwordHash === undefined || !passwords.needsRehash(passwordHash)) return undefined
  if (!passwords.isExact(passwordHash, password)) return undefined
  try {
    return await passwords.hash(password)
  } catch (error) {
    // A full queue must not turn a good password away: the next sign-in upgrades.
    if (error instanceof OAuthError) return undefined
    throw error
  }
}
