/**
 * Texts that only this server can read, for the database: AES-256-GCM under a key derived from the master secret, bound to what they
 * belong to, so that none can be put in the place of another.
 */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'
import type { MasterSecret, MasterSecrets } from './master_secret.ts'

const cipher = 'aes-256-gcm'
const nonceLength = 12
const tagLength = 16

/** Another key for each purpose. */
export type KeyOf = (secret: MasterSecret) => KeyObject

/** @param context what it belongs to. @returns `name of the master secret.base64url of nonce, ciphertext and tag` */
export function sealText(
  text: string,
  context: string,
  keyOf: KeyOf,
  [newest]: MasterSecrets,
  randomBytes: (size: number) => Buffer,
): string {
  return `${newest.name}.${encrypt(text, Buffer.from(context), keyOf(newest), randomBytes).toString('base64url')}`
}

/** @returns undefined when the master secret is gone, or this belongs to something else */
export function openText(sealed: string, context: string, keyOf: KeyOf, secrets: MasterSecrets): string | undefined {
  const [name, text = ''] = sealed.split('.')
  const secret = secrets.find(one => one.name === name)
  return secret && decrypt(Buffer.from(text, 'base64url'), Buffer.from(context), keyOf(secret))
}

/** The name of the master secret that a text is sealed under. */
export function sealedUnder(sealed: string): string {
  return sealed.slice(0, sealed.indexOf('.'))
}

/** @returns nonce (12) ‖ ciphertext ‖ tag (16) */
export function encrypt(text: string, context: Buffer, key: KeyObject, randomBytes: (size: number) => Buffer): Buffer {
  const nonce = randomBytes(nonceLength)
  const encryption = createCipheriv(cipher, key, nonce).setAAD(context)
  return Buffer.concat([nonce, encryption.update(text, 'utf8'), encryption.final(), encryption.getAuthTag()])
}

/** @returns undefined for what was not made by {@link encrypt} with this context and key */
export function decrypt(bytes: Buffer, context: Buffer, key: KeyObject): string | undefined {
  if (bytes.length < nonceLength + tagLength) return undefined
  const nonce = bytes.subarray(0, nonceLength)
  const decryption = createDecipheriv(cipher, key, nonce, { authTagLength: tagLength })
  decryption.setAAD(context).setAuthTag(bytes.subarray(-tagLength))
  try {
    const opened = decryption.update(bytes.subarray(nonceLength, -tagLength), undefined, 'utf8')
    return opened + decryption.final('utf8')
  } catch {
    return undefined
  }
}
