/**
 * The rules for a new password: 8 to 1,024 characters of any kind, none of the commonest ones, nothing about what it is made
 * of. NIST SP 800-63B §3.1.1.2.
 */
import { isFarTooLong, toNfc } from '../normal_form.ts'
import { isTypeable } from '../text.ts'

export const minPassword = 8
export const maxPassword = 1024

export type PasswordProblem = 'too_short' | 'too_long' | 'too_common' | 'not_typeable'

/** For the person who chose it. */
export const passwordProblemTexts: Readonly<Record<PasswordProblem, string>> = {
  too_short: `the password must have at least ${minPassword} characters`,
  too_long: `the password must have at most ${maxPassword} characters`,
  too_common: 'the password is one of the commonest ones, which are tried first',
  not_typeable: 'the password has a character that cannot be typed',
}

/** @returns what is wrong with a new password, or undefined */
export async function passwordProblem(password: string): Promise<PasswordProblem | undefined> {
  if (isFarTooLong(password, maxPassword)) return 'too_long'
  const length = [...toNfc(password)].length
  if (length < minPassword) return 'too_short'
  if (length > maxPassword) return 'too_long'
  // It could be set and never used.
  if (!isTypeable(password)) return 'not_typeable'
  return (await commonPasswords()).has(password.toLowerCase()) ? 'too_common' : undefined
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
