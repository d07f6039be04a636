/**
 * Recovery codes: for who has lost the other factor. Each counts once. They have 80 random bits, so a keyed digest keeps them from a thief
 * of the database (NIST SP 800-63B-4 §3.1.2.2 and §4.2.1.1).
 */
import { createHmac } from 'node:crypto'
import type { MasterSecret, MasterSecrets } from '../../keys/master_secret.ts'
import type { Factor, FactorUse } from './factor.ts'

export const recoveryCodeCount = 10
/** Characters without those that are taken for others: Crockford's alphabet. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const codeLength = 16

/** @returns ten codes as people see them, such as `8kc4-q0zt-7w2m-xr5d`: shown once, stored as {@link digestRecoveryCodes} */
export function createRecoveryCodes(randomBytes: (size: number) => Buffer): string[] {
  return Array.from({ length: recoveryCodeCount }, () => {
    // 32 characters: the low five bits of a byte are one of them, each as likely.
    const characters = [...randomBytes(codeLength)].map(byte => alphabet[byte & 31]).join('')
    return characters.match(/.{4}/g)!.join('-')
  })
}

/** The form in which the database keeps them. */
export function digestRecoveryCodes(codes: readonly string[], [newest]: MasterSecrets): string {
  return codes.map(code => digest(readRecoveryCode(code)!, newest)).join(' ')
}

/** How many are left. */
export function countRecoveryCodes({ data }: Pick<Factor, 'data'>): number {
  return data === '' ? 0 : data.split(' ').length
}

/** The names of the master secrets that those left were made under. */
export function masterSecretsOfCodes({ data }: Pick<Factor, 'data'>): ReadonlySet<string> {
  return new Set(data === '' ? [] : data.split(' ').map(one => one.split('.')[0]!))
}

/** @param code as it was typed. @returns the code without what is only for the eye; undefined when it cannot be one */
export function readRecoveryCode(code: string): string | undefined {
  if (code.length > 64) return undefined
  const typed = code.toLowerCase().replace(/[\s-]/g, '').replaceAll('o', '0').replace(/[il]/g, '1')
  return typed.length === codeLength && [...typed].every(character => alphabet.includes(character)) ? typed : undefined
}

/** @returns undefined for a code that is none of those left */
export function verifyRecoveryCode(
  factor: Factor,
  code: string,
  secrets: MasterSecrets,
  now: number,
): FactorUse | undefined {
  const typed = readRecoveryCode(code)
  if (typed === undefined) return undefined
  const left = new Set(factor.data.split(' '))
  // Which digest it is tells nothing of the code, so nothing here needs constant time.
  const found = secrets.map(secret => digest(typed, secret)).find(one => left.has(one))
  return found === undefined ? undefined : { factorId: factor.id, kind: 'recovery_codes', at: now, digest: found }
}

/** @returns `name of the master secret.43 base64url characters` */
function digest(code: string, secret: MasterSecret): string {
  return `${secret.name}.${createHmac('sha256', secret.recoveryCodeKey).update(code).digest('base64url')}`
}
