/**
 * Enrolments: factors that are being set up. Nothing of one is stored before it is confirmed: all that there is to know is in a token,
 * which its user keeps meanwhile and cannot read.
 */
import { decryptToken, type EncryptedFormat, encryptToken } from '../../keys/encrypted_token.ts'
import type { MasterSecrets } from '../../keys/master_secret.ts'
import type { FactorKind } from './factor.ts'

/** Seconds to find the app, or the key, and to confirm. */
export const enrollmentLifetime = 600

/** Kinds that are proved once before they count. */
export type EnrolledKind = Exclude<FactorKind, 'recovery_codes'>

export type Enrollment = Readonly<{
  /** That the factor will have, so that who repeats a confirmation whose answer was lost gets no second one. */
  factorId: string
  kind: EnrolledKind
  userId: string
  /** Id of the session, or of the sign-in that is no session yet, in which it began: it can be confirmed in no other. */
  within: string
  /** The credential version of its user when it began: with another factor, or another password, it is over. */
  version: number
  name?: string | undefined
  /** Base64url: of time-based codes the secret, of a passkey the challenge. */
  secret: string
  /** What the first factor of a user brings along. */
  recoveryCodes?: readonly string[] | undefined
  /** Seconds since the epoch. */
  expiresAt: number
}>

/** The longest name and ten recovery codes take 1000 characters. */
const format: EncryptedFormat = { prefix: 'lke_', maxLength: 2048, key: secret => secret.enrollmentKey }

/** @returns `lke_` and base64url characters: a secret text, never stored, never logged */
export function formatEnrollment(
  enrollment: Enrollment,
  secrets: MasterSecrets,
  randomBytes: (size: number) => Buffer,
): string {
  return encryptToken(format, JSON.stringify(enrollment), secrets, randomBytes)
}

/** @returns what an authentic one says, which may be over, or another user's; undefined for any other text */
export function parseEnrollment(text: string, secrets: MasterSecrets): Enrollment | undefined {
  const payload = decryptToken(format, text, secrets)
  // Only this server makes one, so what can be read has the shape that we gave it.
  return payload === undefined ? undefined : JSON.parse(payload)
}
