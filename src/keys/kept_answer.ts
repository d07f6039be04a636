/**
 * Answers that are kept for who repeats a request. They may hold a secret that was made for it, so they are encrypted under the master
 * secret, bound to the request, and what says which request it was is keyed too: a body may hold a password, which a plain
 * digest would let anybody guess who has the database.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { MasterSecrets } from './master_secret.ts'
import { type KeyOf, openText, sealText } from './sealed_text.ts'

const keyOf: KeyOf = secret => secret.keptAnswerKey

/** @param id of the request */
export function sealAnswer(
  answer: string,
  id: string,
  secrets: MasterSecrets,
  randomBytes: (size: number) => Buffer,
): string {
  return sealText(answer, id, keyOf, secrets, randomBytes)
}

/** @returns undefined when the master secret is gone, or this is no answer to that request */
export function openAnswer(sealed: string, id: string, secrets: MasterSecrets): string | undefined {
  return openText(sealed, id, keyOf, secrets)
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
