/** How sure it is who is signed in: authentication context classes, made of what was proved (RFC 9470, OpenID Connect Core §2). */
import { OAuthError } from '../error.ts'
import { type Factor, type FactorKind, factorKinds, isSecondFactor } from '../users/factors/factor.ts'

/** From the weakest to the strongest. `phr` is phishing-resistant: OpenID Connect Extended Authentication Profile ACR Values 1.0 §4. */
export const acrValues = ['urn:latchkey:1fa', 'urn:latchkey:2fa', 'phr'] as const
export type Acr = (typeof acrValues)[number]

/**
 * Whether what was proved is of a class. Each asks for facts of its own: there is no ladder that somebody without a password could not climb.
 *
 * @param amr RFC 8176
 */
export function satisfiesAcr(amr: readonly string[], acr: string): boolean {
  switch (acr) {
    case 'urn:latchkey:1fa':
      return true
    case 'urn:latchkey:2fa':
      return amr.includes('mfa')
    case 'phr':
      return amr.includes('user') && (amr.includes('hwk') || amr.includes('swk'))
    default:
      return false
  }
}

/** The strongest class of what was proved: the `acr` of tokens. */
export function acrOf(amr: readonly string[]): Acr {
  return acrValues.findLast(acr => satisfiesAcr(amr, acr))!
}

/** What was proved at a sign-in and later on, by one or the other: each value once, in a fixed order. */
export function addAmr(before: readonly string[], now: readonly string[]): readonly string[] {
  const order = ['pwd', 'otp', 'hwk', 'swk', 'user', 'mfa']
  return order.filter(value => before.includes(value) || now.includes(value))
}

/**
 * What of a session is proved when its user has proved something anew: that, and the password if it began with one. Another factor of
 * before counts no more, for it was not proved when `auth_time` will say.
 */
export function raisedAmr(before: readonly string[], now: readonly string[]): readonly string[] {
  return addAmr(
    before.filter(value => value === 'pwd'),
    now,
  )
}

/** What is asked of how and when a user has proved who it is: `acr_values` and `max_age` of OpenID Connect Core §3.1.2.1. */
export type AuthenticationRequirements = Readonly<{
  /** Classes of which one will do; absent where each does. */
  acrValues?: readonly Acr[] | undefined
  /** Seconds since the last proof. */
  maxAge?: number | undefined
}>

/** @param proved RFC 8176, and when, in seconds since the epoch */
export function meetsRequirements(
  { acrValues, maxAge }: AuthenticationRequirements,
  { amr, authTime }: Readonly<{ amr: readonly string[]; authTime: number }>,
  now: number,
): boolean {
  if (maxAge !== undefined && now - authTime > maxAge) return false
  return acrValues === undefined || isOfClass(amr, acrValues)
}

/** Whether what was proved is of one of several classes. */
export function isOfClass(amr: readonly string[], acrValues: readonly Acr[]): boolean {
  return acrValues.some(acr => satisfiesAcr(amr, acr))
}

/** @param why for developers. @throws OAuthError `unmet_authentication_requirements` (RFC 9470 §5) */
export function refuseUnmet(why: string): never {
  throw new OAuthError('unmet_authentication_requirements', why)
}

/** What a proof of each kind says, RFC 8176; of a passkey the weaker of two. */
const provedBy: Readonly<Record<FactorKind, readonly string[]>> = {
  totp: ['otp', 'mfa'],
  recovery_codes: ['mfa'],
  passkey: ['swk', 'user', 'mfa'],
}

/** The kinds among a user's factors with which one of the classes is reached; recovery codes stand in for a factor that is there. */
export function kindsReaching(acrValues: readonly Acr[] | undefined, factors: readonly Factor[]): FactorKind[] {
  if (!factors.some(isSecondFactor)) return []
  return factorKinds.filter(
    kind =>
      factors.some(factor => factor.kind === kind) && (acrValues === undefined || isOfClass(provedBy[kind], acrValues)),
  )
}
