/**
 * Codes of eight digits in mails, for whoever asked for the mail and waits for it: an app, or a page. What they wait with is a challenge,
 * an encrypted token that only this server reads; the code follows from it, from the user's credentials and from the address that the mail
 * went to. So nothing of either is stored, and a code is dead when one of these has changed. NIST SP 800-63B-4 §4.2.1.2.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { decryptToken, type EncryptedFormat, encryptToken } from '../keys/encrypted_token.ts'
import type { MasterSecret, MasterSecrets } from '../keys/master_secret.ts'
import { emailKey } from '../text.ts'
import { createUserId } from '../users/user.ts'
import type { LinkPurpose } from './link.ts'
import type { MailAbout } from './mail.ts'

/** Instants are seconds since the epoch. */
export type MailChallenge = Readonly<{
  /** 22 base64url characters: what the mail in the database has of it. */
  id: string
  purpose: LinkPurpose
  /** Of the app that asked; absent for a page. */
  clientId?: string | undefined
  /** The id of nobody where there is no such user, so that no length tells. */
  userId: string
  /** Where the mail goes, where that is not the address that the user has. */
  address?: string | undefined
  about?: MailAbout | undefined
  expiresAt: number
}>

/** What a code is made of beside the secret. */
export type CodeSubject = Readonly<{
  challengeId: string
  purpose: LinkPurpose
  userId?: string | undefined
  credentialVersion?: number | undefined
  address: string
}>

const format: EncryptedFormat = { prefix: 'lkv_', maxLength: 4096, key: secret => secret.mailChallengeKey }

const digits = 8

type Given = Omit<MailChallenge, 'id' | 'userId'> & Readonly<{ userId: string | undefined }>

export function createChallenge(given: Given, randomBytes: (size: number) => Buffer): MailChallenge {
  const nobody = createUserId(randomBytes)
  return { ...given, id: randomBytes(16).toString('base64url'), userId: given.userId ?? nobody }
}

/** @returns `lkv_` and base64url characters; a secret: never stored, never logged */
export function formatChallenge(
  challenge: MailChallenge,
  { secrets, randomBytes }: Readonly<{ secrets: MasterSecrets; randomBytes: (size: number) => Buffer }>,
): string {
  return encryptToken(format, JSON.stringify(challenge), secrets, randomBytes)
}

/** @returns what an authentic one of that purpose says, which may have expired or be used up; undefined for any other text */
export function parseChallenge(text: string, purpose: LinkPurpose, secrets: MasterSecrets): MailChallenge | undefined {
  const payload = decryptToken(format, text, secrets)
  const challenge: MailChallenge | undefined = payload === undefined ? undefined : JSON.parse(payload)
  return challenge?.purpose === purpose ? challenge : undefined
}

/** @returns eight digits; a secret: never stored, never logged */
export function mailCode(subject: CodeSubject, [newest]: MasterSecrets): string {
  return codeUnder(newest, subject)
}

/** Whether a text, with or without blanks and hyphens, is the code. The mail may have been sent under an older master secret. */
export function isMailCode(text: string, subject: CodeSubject, secrets: MasterSecrets): boolean {
  if (text.length > 2 * digits) return false
  const given = text.replace(/[\s-]/g, '')
  const isCode = /^\d{8}$/.test(given)
  const typed = Buffer.alloc(digits)
  typed.write(given)
  // All of them, so that the time does not tell which.
  const fits = secrets.map(secret => timingSafeEqual(typed, Buffer.from(codeUnder(secret, subject))))
  return isCode && fits.includes(true)
}

function codeUnder(secret: MasterSecret, subject: CodeSubject): string {
  const { challengeId, purpose, userId = '', credentialVersion = 0, address } = subject
  const mac = createHmac('sha256', secret.mailCodeKey)
    .update(JSON.stringify([challengeId, purpose, userId, credentialVersion, emailKey(address)]))
    .digest()
  // Of 48 bits, so that no code is likelier than another by more than one in three million.
  return String(mac.readUIntBE(0, 6) % 10 ** digits).padStart(digits, '0')
}
