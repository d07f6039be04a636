/**
 * Authorization codes: `lkg_` and what has to fit when it comes back. The row of its session, which is pending until then, knows whether
 * it was used (`sessions/code_exchange.ts`): there is no table of codes. RFC 6749 §4.1.2.
 */
import { decryptToken, type EncryptedFormat, encryptToken } from '../keys/encrypted_token.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'

export type AuthorizationCode = Readonly<{
  /** 22 base64url characters. The row knows whose it is. */
  sessionId: string
  /** RFC 7636, S256: 43 base64url characters. */
  codeChallenge?: string | undefined
  nonce?: string | undefined
  /** Seconds since the epoch. */
  expiresAt: number
  /** Where the session has been there before, and a step-up has raised it: what it counts once by, and what its tokens are to be. */
  raised?: Readonly<{ id: string; scope?: string | undefined; resources?: readonly string[] | undefined }> | undefined
}>

/** Characters. */
export const maxNonce = 128

/** As long as the auth session that it comes from may have been. */
const format: EncryptedFormat = { prefix: 'lkg_', maxLength: 16 * 1024, key: secret => secret.authorizationCodeKey }

/** @returns `lkg_` and base64url characters; a secret: never stored, never logged */
export function formatAuthorizationCode(
  code: AuthorizationCode,
  { secrets, randomBytes }: Readonly<{ secrets: MasterSecrets; randomBytes: (size: number) => Buffer }>,
): string {
  return encryptToken(format, JSON.stringify(code), secrets, randomBytes)
}

/** @returns what an authentic one says, or undefined for any other text */
export function parseAuthorizationCode(text: string, secrets: MasterSecrets): AuthorizationCode | undefined {
  const payload = decryptToken(format, text, secrets)
  // Only this server makes one, so what can be read has the shape that we gave it.
  return payload === undefined ? undefined : JSON.parse(payload)
}
