/** How sure it is who is signed in: authentication context classes, made of what was proved (RFC 9470, OpenID Connect Core §2). */

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
