/** ID tokens: OpenID Connect Core §2 and, for those of a refresh, §12.2. */
import { createHash } from 'node:crypto'
import type { SigningAlg } from '../keys/signing_key.ts'
import { type Acr, acrOf } from '../sessions/assurance.ts'
import type { Session } from '../sessions/session.ts'
import type { TokenDeps } from './access_token.ts'

/** Times are NumericDates. Claims about the user are at the UserInfo endpoint (§5.4), and the address here too. */
export type IdTokenClaims = Readonly<{
  iss: string
  sub: string
  aud: string
  iat: number
  exp: number
  auth_time: number
  amr: readonly string[]
  acr: Acr
  sid: string
  at_hash: string
  nonce?: string
  email?: string
  email_verified?: boolean
}>

/** What an id token is about: `nonce` as the client gave it with its request. */
export type IdTokenOf = Readonly<{
  session: Session
  nonce: string | undefined
  accessToken: string
  expiresIn: number
  /** What it says of the user beside all that. */
  claims?: Pick<IdTokenClaims, 'email' | 'email_verified'> | undefined
}>

/** @returns a compact JWT that lives as long as the access token it comes with */
export function issueIdToken(deps: TokenDeps, idToken: IdTokenOf): string {
  const { session, nonce, accessToken, expiresIn } = idToken
  const now = deps.now()
  const claims: IdTokenClaims = {
    iss: deps.config.issuer,
    sub: session.userId,
    aud: session.clientId,
    iat: now,
    exp: now + expiresIn,
    auth_time: session.authTime,
    amr: session.amr,
    acr: acrOf(session.amr),
    sid: session.id,
    at_hash: accessTokenHash(accessToken, deps.keyRing.signingAlg(now)),
    ...(nonce !== undefined && { nonce }),
    ...idToken.claims,
  }
  return deps.keyRing.sign(claims, now, 'JWT')
}

/** §3.1.3.6: the left half of the hash that the signature uses, which for Ed25519 is SHA-512. */
function accessTokenHash(accessToken: string, alg: SigningAlg): string {
  const digest = createHash(alg === 'EdDSA' ? 'sha512' : 'sha256')
    .update(accessToken)
    .digest()
  return digest.toString('base64url', 0, digest.length / 2)
}
