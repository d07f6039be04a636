/**
 * Answers that are kept for who repeats a request. They may hold a secret that was made for it, so they are encrypted under the master
 * secret (AES-256-GCM, bound to the request), and what says which request it was is keyed too: a body may hold a password, which a plain
 * digest would let anybody guess who has the database.
 */
import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto'
import type { MasterSecrets } from './master_secret.ts'

const cipher = 'aes-256-gcm'
const nonceLength = 12
const tagLength = 16

/** @param id of the request. @returns `name of the master secret.base64url of nonce, ciphertext and tag` */
export function sealAnswer(
  answer: string,
  id: string,
  [newest]: MasterSecrets,
  randomBytes: (size: number) => Buffer,
): string {
  const nonce = randomBytes(nonceLength)
  const encryption = createCipheriv(cipher, newest.keptAnswerKey, nonce).setAAD(Buffer.from(id))
  const bytes = [nonce, encryption.update(answer, 'utf8'), encryption.final(), encryption.getAuthTag()]
  return `${newest.name}.${Buffer.concat(bytes).toString('base64url')}`
}

/** @returns undefined when the master secret is gone, or this is no answer to that request */
export function openAnswer(sealed: string, id: string, secrets: MasterSecrets): string | undefined {
  const [name, text = ''] = sealed.split('.')
  const secret = secrets.find(one => one.name === name)
  const bytes = Buffer.from(text, 'base64url')
  if (secret === undefined || bytes.length < nonceLength + tagLength) return undefined
  const decryption = createDecipheriv(cipher, secret.keptAnswerKey, bytes.subarray(0, nonceLength), {
    authTagLength: tagLength,
  })
  decryption.setAAD(Buffer.from(id)).setAuthTag(bytes.subarray(-tagLength))
  try {
    const opened = decryption.update(bytes.subarray(nonceLength, -tagLength), undefined, 'utf8')
    return opened + decryption.final('utf8')
  } catch {
    return undefined
  }
}

/** @returns `name of the master secret.43 base64url characters` */
export function fingerprintOf(request: string, [newest]: MasterSecrets): string {
  return `${newest.name}.${createHmac('sha256', newest.fingerprintKey).update(request).digest('base64url')}`
}

/** False as well when the master secret it was made under is gone. */
export function hasFingerprint(request: string, fingerprint: string, secrets: MasterSecrets): boolean {
  const secret = secrets.find(({ name }) => fingerprint.startsWith(`${name}.`))
  if (secret === undefined) return false
  const [own, stored] = [fingerprintOf(request, [secret]), fingerprint].map(text => Buffer.from(text)) as [
    Buffer,
    Buffer,
  ]
  return own.length === stored.length && timingSafeEqual(own, stored)
}
