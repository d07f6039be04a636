/**
 * The secret in the link of a mail: what it allows, to whom, and until when. Nothing of it is stored. It dies by itself when the user's
 * credentials are others, which each change of a password or of an address makes them; that it counts once is what `consumeOnce` of its
 * id is for, in what it lets in.
 */
import { decryptToken, type EncryptedFormat, encryptToken } from '../keys/encrypted_token.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import type { MailAbout, MailPurpose } from './mail.ts'

/** Instants are seconds since the epoch. */
export type MailLink = Readonly<{
  /** 22 base64url characters. */
  id: string
  purpose: MailPurpose
  userId?: string | undefined
  /** The user's when it was made: with another one it allows nothing any more. */
  credentialVersion?: number | undefined
  /** The address that the mail went to, which whoever has the link can read. */
  address?: string | undefined
  about?: MailAbout | undefined
  expiresAt: number
}>

const format: EncryptedFormat = { prefix: 'lkm_', maxLength: 4096, key: secret => secret.mailLinkKey }

/** How long links allow something, in seconds. Those of other mails have no link that allows anything. */
export const linkLifetimes = {
  password_reset: 1800,
  email_verification: 86_400,
  email_change: 86_400,
  email_change_notice: 7 * 86_400,
  sign_up: 86_400,
  invitation: 7 * 86_400,
  deletion_notice: 7 * 86_400,
} as const satisfies Partial<Record<MailPurpose, number>>

export type LinkPurpose = keyof typeof linkLifetimes

export const hasLink = (purpose: MailPurpose): purpose is LinkPurpose => Object.hasOwn(linkLifetimes, purpose)

/** @returns `lkm_` and base64url characters; a secret: never stored, never logged */
export function formatLink(
  link: MailLink,
  { secrets, randomBytes }: Readonly<{ secrets: MasterSecrets; randomBytes: (size: number) => Buffer }>,
): string {
  return encryptToken(format, JSON.stringify(link), secrets, randomBytes)
}

/** @returns what an authentic one of that purpose says, which may have expired or be used up; undefined for any other text */
export function parseLink(text: string, purpose: LinkPurpose, secrets: MasterSecrets): MailLink | undefined {
  const payload = decryptToken(format, text, secrets)
  // Only this server makes one, so what can be read has the shape that we gave it.
  const link: MailLink | undefined = payload === undefined ? undefined : JSON.parse(payload)
  return link?.purpose === purpose ? link : undefined
}

/** What is consumed when it has let something in. */
export const linkUse = ({ id }: Pick<MailLink, 'id'>) => `mail link ${id}`
