/**
 * The rules for a new password: at least 15 characters where it is all that a user has, 8 where a second factor is asked for beside it,
 * at most 1,024; of any kind, none of the commonest ones, none that has appeared in data breaches where the operator has a list of
 * those, none that is a name of its user or of the service; nothing about what it is made of. NIST SP 800-63B-4 §3.1.1.2, as of July
 * 2025. What was chosen before goes on as it is.
 *
 * https://pages.nist.gov/800-63-4/sp800-63b.html
 */
import { isFarTooLong, toNfc } from '../normal_form.ts'
import { isTypeable, usernameFold } from '../text.ts'
import { type Factor, isSecondFactor } from './factors/factor.ts'
import type { FactorPolicy } from './factors/owed.ts'
import type { Passwords } from './password.ts'
import type { User } from './user.ts'

/** Characters. "SHALL require passwords that are used as a single-factor authentication mechanism to be a minimum of 15 characters". */
export const minSolePassword = 15
/** "MAY allow passwords that are only used as part of multi-factor authentication processes to be shorter but SHALL require [...] eight". */
export const minPassword = 8
export const maxPassword = 1024

export type PasswordSettings = Readonly<{
  /** Characters of a password that is all that a user has. */
  minSolePassword: number
  /** Of whom a second factor is asked. */
  requireFactor: FactorPolicy
  /** What the service is called: host names and names of a brand. */
  serviceNames: readonly string[]
}>

/** Whose password it is to be. */
export type PasswordOwner = Pick<User, 'username' | 'email'> & Readonly<{ factors: readonly Factor[] }>

/** `text` is for the person who chose it. */
export type PasswordProblem = Readonly<{
  problem: 'too_short' | 'too_long' | 'too_common' | 'breached' | 'own_name' | 'not_typeable'
  text: string
}>

/** @returns how many characters a new password of the user who has these factors must have */
export function minPasswordOf(
  settings: Pick<PasswordSettings, 'minSolePassword' | 'requireFactor'>,
  factors: readonly Factor[],
): number {
  // Where no sign-in asks for it, a factor is none.
  const isSole = settings.requireFactor === 'off' || !factors.some(isSecondFactor)
  return isSole ? settings.minSolePassword : minPassword
}

/**
 * @returns what is wrong with a new password, or undefined
 * @throws OAuthError `temporarily_unavailable` when the list of breached passwords cannot be read
 */
export async function passwordProblem(
  settings: PasswordSettings,
  { isBreached }: Pick<Passwords, 'isBreached'>,
  password: string,
  owner: PasswordOwner,
): Promise<PasswordProblem | undefined> {
  const min = minPasswordOf(settings, owner.factors)
  if (isFarTooLong(password, maxPassword)) return tooLong
  const length = [...toNfc(password)].length
  if (length < min) return { problem: 'too_short', text: `the password must have at least ${min} characters` }
  if (length > maxPassword) return tooLong
  // It could be set and never used.
  if (!isTypeable(password))
    return { problem: 'not_typeable', text: 'the password has a character that cannot be typed' }
  if ((await commonPasswords()).has(password.toLowerCase()))
    return { problem: 'too_common', text: 'the password is one of the commonest ones, which are tried first' }
  if (isOwnName(password, [owner.username, owner.email ?? '', ...settings.serviceNames]))
    return {
      problem: 'own_name',
      text: 'the password is little more than the username, the address or the name of the service',
    }
  if (await isBreached(password))
    return { problem: 'breached', text: 'the password has appeared in data breaches, and those are tried first' }
  return undefined
}

const tooLong: PasswordProblem = {
  problem: 'too_long',
  text: `the password must have at most ${maxPassword} characters`,
}

/**
 * Whether a password is nothing but names, or parts of them, and at most seven digits, signs or spaces: `alice2026`, `example.com!`. "Context-specific
 * words, such as the name of the service, the username, and derivatives thereof"; not one that only has such a word in it, for "the
 * entire password SHALL be subject to comparison".
 */
function isOwnName(password: string, names: readonly string[]): boolean {
  const folds = names.map(usernameFold)
  const parts = folds.flatMap(name => name.split(/[^\p{L}\p{M}\p{N}]+/u)).filter(part => /\p{L}/u.test(part))
  const longestFirst = [...new Set([...folds, ...parts])].toSorted((one, other) => other.length - one.length)
  const fold = usernameFold(password)
  let rest = fold
  for (const word of longestFirst) if (word !== '') rest = rest.replaceAll(word, '')
  return rest !== fold && rest.length < minPassword && !/\p{L}/u.test(rest)
}

let common: Promise<ReadonlySet<string>> | undefined

/** Read when first needed: most servers start far more often than somebody chooses a password. */
function commonPasswords(): Promise<ReadonlySet<string>> {
  common ??= import('@zxcvbn-ts/language-common').then(
    ({ dictionary }) => new Set(dictionary['passwords-common'].filter(password => password.length >= minPassword)),
    error => {
      // Not read this time; the next password tries again.
      common = undefined
      throw error
    },
  )
  return common
}
