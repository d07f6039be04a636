/**
 * Tokens that this server can read and nobody else can make: a prefix and base64url of
 * version (1) ‖ secret id (4) ‖ payload ‖ HMAC-SHA-256 of all before (32).
 * They are derived, so nothing of them is stored, and a forged one is refused without a look at the database.
 */
import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { MasterSecret, MasterSecrets } from './master_secret.ts'

export type TokenFormat = Readonly<{
  /** Lets scanners find leaked ones. */
  prefix: string
  payloadLength: number
  /** Another one for each format, so that none can stand in for another. */
  key: (secret: MasterSecret) => KeyObject
}>

const version = 1
const headLength = 5
const macLength = 32

/** @returns a secret text: never stored, never logged */
export function sealToken(
  { prefix, payloadLength, key }: TokenFormat,
  payload: Buffer,
  secrets: MasterSecrets,
): string {
  const signedLength = headLength + payloadLength
  const bytes = Buffer.allocUnsafe(signedLength + macLength)
  bytes[0] = version
  secrets[0].id.copy(bytes, 1)
  payload.copy(bytes, headLength, 0, payloadLength)
  createHmac('sha256', key(secrets[0])).update(bytes.subarray(0, signedLength)).digest().copy(bytes, signedLength)
  return prefix + bytes.toString('base64url')
}

/** @returns the name of the master secret that a text says to be sealed under, whatever its prefix is; undefined for any other text */
export function secretNameOf(text: string): string | undefined {
  const head = /^lk[a-z]_([\w-]{7})/.exec(text)?.[1]
  const bytes = Buffer.from(head ?? '', 'base64url')
  return bytes[0] === version ? bytes.toString('hex', 1, headLength) : undefined
}

/** @returns the payload of an authentic token, or undefined for any other text; compares in constant time */
export function openToken(
  { prefix, payloadLength, key }: TokenFormat,
  text: string,
  secrets: MasterSecrets,
): Buffer | undefined {
  const signedLength = headLength + payloadLength
  const length = signedLength + macLength
  if (text.length !== prefix.length + Math.ceil((length * 4) / 3) || !text.startsWith(prefix)) return undefined
  const encoded = text.slice(prefix.length)
  const bytes = Buffer.from(encoded, 'base64url')
  // Node's decoder also takes plain base64 and skips what it does not know; one token has one text.
  if (bytes.length !== length || bytes[0] !== version || bytes.toString('base64url') !== encoded) return undefined
  const secret = secrets.find(({ id }) => bytes.compare(id, 0, 4, 1, headLength) === 0)
  if (secret === undefined) return undefined
  const mac = createHmac('sha256', key(secret)).update(bytes.subarray(0, signedLength)).digest()
  return timingSafeEqual(mac, bytes.subarray(signedLength)) ? bytes.subarray(headLength, signedLength) : undefined
}
