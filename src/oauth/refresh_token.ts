/**
 * The text form of a refresh token: `lkr_` and 76 base64url characters of
 * version (1) ‖ secret id (4) ‖ session id (16) ‖ generation (4, big-endian) ‖ HMAC-SHA-256 of all before (32).
 * It is derived, so nothing of it is stored, and a forged one is refused without a look at the database.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { MasterSecret, MasterSecrets } from './master_secret.ts'

export type RefreshToken = Readonly<{
  /** 22 base64url characters. */
  sessionId: string
  /** Which rotation of the session this token is; only its session row knows what that means now. */
  generation: number
}>

const prefix = 'lkr_'
const version = 1
const signedLength = 25
const length = signedLength + 32
const textLength = prefix.length + 76

/** @returns 80 characters; a secret: never stored, never logged */
export function formatRefreshToken(token: RefreshToken, secrets: MasterSecrets): string {
  const bytes = Buffer.allocUnsafe(length)
  bytes[0] = version
  secrets[0].id.copy(bytes, 1)
  bytes.write(token.sessionId, 5, 16, 'base64url')
  bytes.writeUInt32BE(token.generation, 21)
  sign(bytes, secrets[0]).copy(bytes, signedLength)
  return prefix + bytes.toString('base64url')
}

/** @returns what an authentic token says, or undefined for any other text; compares in constant time */
export function parseRefreshToken(text: string, secrets: MasterSecrets): RefreshToken | undefined {
  if (text.length !== textLength || !text.startsWith(prefix)) return undefined
  const encoded = text.slice(prefix.length)
  const bytes = Buffer.from(encoded, 'base64url')
  // Node's decoder also takes plain base64 and skips what it does not know; one token has one text.
  if (bytes.length !== length || bytes[0] !== version || bytes.toString('base64url') !== encoded) return undefined
  const secret = secrets.find(({ id }) => bytes.compare(id, 0, 4, 1, 5) === 0)
  if (secret === undefined || !timingSafeEqual(sign(bytes, secret), bytes.subarray(signedLength))) return undefined
  return { sessionId: bytes.toString('base64url', 5, 21), generation: bytes.readUInt32BE(21) }
}

function sign(bytes: Buffer, secret: MasterSecret): Buffer {
  return createHmac('sha256', secret.refreshTokenKey).update(bytes.subarray(0, signedLength)).digest()
}
