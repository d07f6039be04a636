/** Mails that wait to be sent: what each is for and whom it goes to. There is no token and no text in one: both are made when it is sent. */
import type { Language } from '../pages/language.ts'

/** What a mail is for. Those of the second group tell the owner of an account what has happened to it. */
export const mailPurposes = [
  'password_reset',
  'email_verification',
  'email_change',
  'email_change_notice',
  'sign_up',
  'sign_up_known',
  'invitation',
  'deletion_notice',

  'new_device',
  'password_changed',
  'factor_changed',
  'refresh_token_reused',
  'many_wrong_codes',
  'email_changed',
  'username_changed',
] as const
export type MailPurpose = (typeof mailPurposes)[number]

/** The purposes that operators can turn off. */
export const notices = mailPurposes.slice(mailPurposes.indexOf('new_device'))

/** Instants are seconds since the epoch. */
export type Mail = Readonly<{
  /** 22 base64url characters. */
  id: string
  purpose: MailPurpose
  /** Whom it is about; absent for somebody who is no user. A mail with neither this nor an address is for nobody, and is dropped when its turn comes. */
  userId?: string | undefined
  /** Where it goes; absent for the address that its user has when it is sent. */
  address?: string | undefined
  /** Of the page or app in which it was asked for, for who has chosen none. */
  language?: Language | undefined
  /** What else its link or its text is made of. Nothing in it is secret: the database has it as it is. */
  about?: MailAbout | undefined
  createdAt: number
  nextAttemptAt: number
  /** How often it was tried to send it. */
  attempts: number
  /** For operators: why the last one failed. */
  lastError?: string | undefined
}>

/**
 * By purpose: `challenge_id`, of who waits for the code; `client_id`, of the app that it is about; `expires_at`. Of notices: `at` (seconds),
 * `network`, `device` (a label or user agent), `email` (the new one), `former_username`, `factor` (a kind) and `change` (`added`, `removed`).
 */
export type MailAbout = Readonly<Record<string, string>>

/** Mails that wait at most: beyond it nobody who is not signed in can cause one. */
export const maxMails = 10_000
/** Of these at most before notices wait. */
export const maxMailsBesideNotices = maxMails / 2

/** Seconds that a mail is put off at most. */
export const maxMailDelay = 3600

/** A mail that is to be sent at once. */
export function createMail(
  purpose: MailPurpose,
  given: Pick<Mail, 'userId' | 'address' | 'language' | 'about'>,
  { now, randomBytes }: Readonly<{ now: () => number; randomBytes: (size: number) => Buffer }>,
): Mail {
  const at = now()
  return {
    id: randomBytes(16).toString('base64url'),
    purpose,
    ...given,
    createdAt: at,
    nextAttemptAt: at,
    attempts: 0,
  }
}
