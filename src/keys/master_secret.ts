/**
 * The master secret and the keys derived from it: one for each purpose, so that none can stand in for another.
 * HKDF-SHA-256, RFC 5869. Nothing here is ever stored in the database or logged.
 */
import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto'

export type MasterSecret = Readonly<{
  /** 4 bytes that name this secret inside tokens; tells nothing about it. */
  id: Buffer
  /** {@link MasterSecret.id} as 8 hexadecimal digits. */
  name: string
  refreshTokenKey: KeyObject
  sessionCookieKey: KeyObject
  clientSecretKey: KeyObject
  /** Encrypts the private halves of the signing keys: AES-256-GCM. */
  signingKeyKey: KeyObject
  /** Names what failed attempts are counted by. */
  throttleKey: KeyObject
}>

/** The newest first: that one is used to make, all of them to verify. */
export type MasterSecrets = readonly [MasterSecret, ...MasterSecret[]]

/**
 * Reads the text form: base64url of at least 32 bytes, several separated by commas, newest first.
 *
 * @returns undefined when any part is malformed or too short
 */
export function parseMasterSecrets(text: string): MasterSecrets | undefined {
  const parts = text
    .trim()
    .split(',')
    .map(part => parseSecret(part.trim()))
  const [newest, ...older] = parts
  if (newest === undefined || older.includes(undefined)) return undefined
  return [deriveMasterSecret(newest), ...(older as Buffer[]).map(deriveMasterSecret)]
}

/** @returns the text of a new master secret: 43 base64url characters */
export function createMasterSecret(randomBytes: (size: number) => Buffer): string {
  return randomBytes(32).toString('base64url')
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

function parseSecret(text: string): Buffer | undefined {
  // Padding is tolerated: `openssl rand -base64 32` ends in `=`; its + and / are those of plain base64.
  if (!/^[\w+/-]{43,}={0,2}$/.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64url')
  return bytes.length >= 32 ? bytes : undefined
}

function deriveMasterSecret(secret: Buffer): MasterSecret {
  const derive = (purpose: string, length: number) =>
    Buffer.from(hkdfSync('sha256', secret, '', `latchkey ${purpose}`, length))
  const id = derive('secret id', 4)
  return {
    id,
    name: id.toString('hex'),
    refreshTokenKey: createSecretKey(derive('refresh token', 32)),
    sessionCookieKey: createSecretKey(derive('session cookie', 32)),
    clientSecretKey: createSecretKey(derive('client secret', 32)),
    signingKeyKey: createSecretKey(derive('signing key', 32)),
    throttleKey: createSecretKey(derive('throttle', 32)),
  }
}
