/** Secrets of clients: random, stored as a digest under the master secret. RFC 6749 §2.3.1. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { MasterSecret, MasterSecrets } from '../keys/master_secret.ts'
import type { Client } from './client.ts'

const clientSecretPrefix = 'lks_'

/** @returns `lks_` and 43 base64url characters; shown once, stored as a digest */
export function createClientSecret(randomBytes: (size: number) => Buffer): string {
  return clientSecretPrefix + randomBytes(32).toString('base64url')
}

/** The new secret beside the newest of the old ones, so that replacing it interrupts nobody. */
export function addSecretDigest(client: Client, digest: string): Client {
  return { ...client, secretDigests: [digest, ...client.secretDigests.slice(0, 1)] }
}

/**
 * The stored form of a client secret: an HMAC under a key that the database does not hold, so that even a secret which a
 * person chose cannot be guessed from a stolen file.
 *
 * @returns `name of the master secret.43 base64url characters`
 */
export function digestClientSecret(clientSecret: string, masterSecret: MasterSecret): string {
  const digest = createHmac('sha256', masterSecret.clientSecretKey).update(clientSecret).digest('base64url')
  return `${masterSecret.name}.${digest}`
}

/**
 * Compares in constant time. False as well when the master secret it was made under is gone.
 *
 * @param storedDigests any of them will do; with none, as much is computed as with one
 */
export function verifyClientSecret(
  clientSecret: string,
  storedDigests: readonly string[],
  secrets: MasterSecrets,
): boolean {
  const matches = (storedDigests.length === 0 ? [''] : storedDigests).map(stored =>
    fitsDigest(clientSecret, stored, secrets),
  )
  return matches.includes(true)
}

/** @returns the name of the master secret that a digest was made under */
export function masterSecretOfDigest(digest: string): string {
  return digest.split('.')[0]!
}

/**
 * Digests under the newest master secret, so that the older ones can go one day.
 *
 * @param clientSecret one that {@link verifyClientSecret} took
 * @returns the digests with those of this secret replaced, or undefined when there is nothing to replace
 */
export function renewDigests(
  clientSecret: string,
  storedDigests: readonly string[],
  secrets: MasterSecrets,
): readonly string[] | undefined {
  const [newest] = secrets
  const isOld = (digest: string) =>
    masterSecretOfDigest(digest) !== newest.name && fitsDigest(clientSecret, digest, secrets)
  if (!storedDigests.some(isOld)) return undefined
  return storedDigests.map(digest => (isOld(digest) ? digestClientSecret(clientSecret, newest) : digest))
}

function fitsDigest(clientSecret: string, storedDigest: string, secrets: MasterSecrets): boolean {
  const masterSecret = secrets.find(({ name }) => storedDigest.startsWith(`${name}.`)) ?? secrets[0]
  const expected = Buffer.from(storedDigest)
  const presented = Buffer.from(digestClientSecret(clientSecret, masterSecret))
  return presented.length === expected.length && timingSafeEqual(presented, expected)
}
