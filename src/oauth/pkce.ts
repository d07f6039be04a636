/** Proof Key for Code Exchange: RFC 7636, by S256 alone. */
import { createHash } from 'node:crypto'
import { OAuthError } from '../error.ts'

/**
 * @returns the `code_challenge` of a request: 43 base64url characters
 * @throws OAuthError `invalid_request` for one that is malformed, or made by `plain`, which is what no method means (§4.3)
 */
export function readCodeChallenge(challenge: string | undefined, method: string | undefined): string | undefined {
  if (challenge === undefined && method === undefined) return undefined
  if (challenge === undefined) throw new OAuthError('invalid_request', 'code_challenge is missing')
  if (method !== 'S256') throw new OAuthError('invalid_request', 'code_challenge_method must be S256')
  if (!/^[\w-]{43}$/.test(challenge))
    throw new OAuthError('invalid_request', 'code_challenge is not the base64url of a SHA-256')
  return challenge
}

/** Whether there is a verifier if and only if there was a challenge, and the one is of the other (§4.6, OAuth 2.1). */
export function fitsChallenge(verifier: string | undefined, challenge: string | undefined): boolean {
  if (verifier === undefined || challenge === undefined) return verifier === challenge
  if (!/^[\w.~-]{43,128}$/.test(verifier)) return false
  // Whoever tries here holds the code, and has one try.
  return createHash('sha256').update(verifier).digest('base64url') === challenge
}
