/**
 * Tokens that only this server can read: as `sealed_token.ts`, for what its bearer must not see (draft-ietf-oauth-first-party-apps-04
 * §5.3.1), of any length. A prefix and base64url of version (1) ‖ secret id (4) ‖ nonce (12) ‖ ciphertext ‖ tag (16): AES-256-GCM.
 */
import type { MasterSecrets } from './master_secret.ts'
import { decrypt, encrypt, type KeyOf } from './sealed_text.ts'

export type EncryptedFormat = Readonly<{
  /** Lets scanners find leaked ones. */
  prefix: string
  /** Characters of the longest token that is looked at. */
  maxLength: number
  /** Another one for each format, so that none can stand in for another. */
  key: KeyOf
}>

const version = 1
const headLength = 5

/** @returns a secret text: never stored, never logged */
export function encryptToken(
  { prefix, key }: EncryptedFormat,
  payload: string,
  [newest]: MasterSecrets,
  randomBytes: (size: number) => Buffer,
): string {
  const head = Buffer.concat([Buffer.of(version), newest.id])
  return prefix + Buffer.concat([head, encrypt(payload, head, key(newest), randomBytes)]).toString('base64url')
}

/** @returns the payload of an authentic token, or undefined for any other text */
export function decryptToken(
  { prefix, maxLength, key }: EncryptedFormat,
  text: string,
  secrets: MasterSecrets,
): string | undefined {
  if (text.length > maxLength || !text.startsWith(prefix)) return undefined
  const encoded = text.slice(prefix.length)
  const bytes = Buffer.from(encoded, 'base64url')
  // Node's decoder also takes plain base64 and skips what it does not know; one token has one text.
  if (bytes[0] !== version || bytes.toString('base64url') !== encoded) return undefined
  const head = bytes.subarray(0, headLength)
  const secret = secrets.find(({ id }) => id.equals(head.subarray(1)))
  return secret && decrypt(bytes.subarray(headLength), head, key(secret))
}
