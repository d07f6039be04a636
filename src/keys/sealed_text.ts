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
  const nonce = randomBytes(nonceLength)
  const encryption = createCipheriv(cipher, keyOf(newest), nonce).setAAD(Buffer.from(context))
  const bytes = [nonce, encryption.update(text, 'utf8'), encryption.final(), encryption.getAuthTag()]
  return `${newest.name}.${Buffer.concat(bytes).toString('base64url')}`
}

/** @returns undefined when the master secret is gone, or this belongs to something else */
export function openText(sealed: string, context: string, keyOf: KeyOf, secrets: MasterSecrets): string | undefined {
  const [name, text = ''] = sealed.split('.')
  const secret = secrets.find(one => one.name === name)
  const bytes = Buffer.from(text, 'base64url')
  if (secret === undefined || bytes.length < nonceLength + tagLength) return undefined
  const decryption = createDecipheriv(cipher, keyOf(secret), bytes.subarray(0, nonceLength), {
    authTagLength: tagLength,
  })
  decryption.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(-tagLength))
  try {
    const opened = decryption.update(bytes.subarray(nonceLength, -tagLength), undefined, 'utf8')
    return opened + decryption.final('utf8')
  } catch {
    return undefined
  }
}

/** The name of the master secret that a text is sealed under. */
export function sealedUnder(sealed: string): string {
  return sealed.slice(0, sealed.indexOf('.'))
}
