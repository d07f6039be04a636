/**
 * The master secret and the keys derived from it: one for each purpose, so that none can stand in for another.
 * HKDF-SHA-256, RFC 5869. Nothing here is ever stored in the database or logged.
 */
import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'

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
  /** Encrypts the secrets of time-based codes. */
  factorKey: KeyObject
  /** Digests recovery codes. */
  recoveryCodeKey: KeyObject
  enrollmentKey: KeyObject
  authSessionKey: KeyObject
  authorizationCodeKey: KeyObject
  /** Encrypts answers that are kept for who repeats a request. */
  keptAnswerKey: KeyObject
  /** Tells such requests apart. */
  fingerprintKey: KeyObject
  /** Encrypts what webhooks are signed by. */
  webhookSecretKey: KeyObject
  /** Encrypts the links in mails. */
  mailLinkKey: KeyObject
  /** Encrypts what an app or a page holds that waits for the code in a mail. */
  mailChallengeKey: KeyObject
  /** Makes those codes. */
  mailCodeKey: KeyObject
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
    factorKey: createSecretKey(derive('factor', 32)),
    recoveryCodeKey: createSecretKey(derive('recovery code', 32)),
    enrollmentKey: createSecretKey(derive('enrollment', 32)),
    authSessionKey: createSecretKey(derive('auth session', 32)),
    authorizationCodeKey: createSecretKey(derive('authorization code', 32)),
    keptAnswerKey: createSecretKey(derive('kept answer', 32)),
    fingerprintKey: createSecretKey(derive('request fingerprint', 32)),
    webhookSecretKey: createSecretKey(derive('webhook secret', 32)),
    mailLinkKey: createSecretKey(derive('mail link', 32)),
    mailChallengeKey: createSecretKey(derive('mail challenge', 32)),
    mailCodeKey: createSecretKey(derive('mail code', 32)),
  }
}
