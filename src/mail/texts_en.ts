/** Every text of the mails in English. */
import type { MailPurpose } from './mail.ts'

/** What a text may say. Names that people chose are plain here: short, without what could be taken for an address. */
export type MailFacts = Readonly<{
  /** Of the operator. */
  brand: string
  /** Of the account; absent in mails to an address that nobody has proved. */
  username?: string | undefined
  /** For how long the link works, such as “30 minutes”. */
  validFor: string
  /** When something will happen, in words. */
  at?: string | undefined
  /** Of the app that it is about. */
  app?: string | undefined
  /** The other address, most of it left out. */
  email?: string | undefined
  formerUsername?: string | undefined
  /** A kind of second factor, and what has become of it. */
  factor?: string | undefined
  change?: string | undefined
}>

export type MailText = Readonly<{
  subject: string
  /** Paragraphs before the details, the button and the code. */
  lines: readonly string[]
  /** What the link is called; a mail without one has none. */
  button?: string
  /** Paragraphs after that. */
  after: readonly string[]
}>

export type MailTexts = Readonly<{
  /** Before a code that stands beside a link. */
  code: string
  when: string
  network: string
  device: string
  browserOn: (browser: string, platform: string) => string
  app: string
  automatic: (brand: string) => string
  purposes: Readonly<Record<MailPurpose, (facts: MailFacts) => MailText>>
  test: (brand: string) => MailText
}>

const yours = (username: string | undefined) => (username === undefined ? 'your account' : `your account “${username}”`)
const never = (brand: string) => `Keep the code to yourself. Nobody from ${brand} will ever ask you for it.`
const fine = 'If that was you, there is nothing to do.'
const changePassword =
  'If it was not you, change your password at once: that signs out every device. If you cannot sign in any more, choose “Forgot your password?” on the sign-in page.'

const factors: Readonly<Record<string, string>> = {
  totp: 'an authenticator app',
  passkey: 'a passkey',
  recovery_codes: 'recovery codes',
}

export const en: MailTexts = {
  code: 'Or type this code where you were asked for it:',
  when: 'Time',
  network: 'Network',
  device: 'Device',
  browserOn: (browser, platform) => `${browser} on ${platform}`,
  app: 'App',
  automatic: brand => `This mail was written by a program of ${brand}. Nobody reads what is answered to it.`,

  purposes: {
    password_reset: ({ brand, username, validFor }) => ({
      subject: `Reset your ${brand} password`,
      lines: [`Somebody asked for a new password for ${yours(username)} at ${brand}. If that was you, choose one now.`],
      button: 'Choose a new password',
      after: [
        `This works once, within ${validFor}. Your devices are signed out when the password changes.`,
        'If it was not you, you need not do anything: without this mail nobody can change your password.',
        never(brand),
      ],
    }),
    email_verification: ({ brand, validFor }) => ({
      subject: `Confirm your e-mail address for ${brand}`,
      lines: [`Please confirm that this address is yours, so that ${brand} can rely on it.`],
      button: 'Confirm this address',
      after: [`This works within ${validFor}.`, `If you have no account at ${brand}, ignore this mail.`, never(brand)],
    }),
    email_change: ({ brand, validFor }) => ({
      subject: `Confirm your new e-mail address for ${brand}`,
      lines: [`Somebody wants to use this address for an account at ${brand}. If that was you, confirm it.`],
      button: 'Confirm the new address',
      after: [
        `This works once, within ${validFor}. Until then your account keeps its old address.`,
        'If it was not you, ignore this mail: nothing changes without it.',
        never(brand),
      ],
    }),
    email_change_notice: ({ brand, username, email, validFor }) => ({
      subject: `Your ${brand} account gets another e-mail address`,
      lines: [
        `The e-mail address of ${yours(username)} at ${brand} is changed from this one to ${email ?? 'another one'}.`,
        `${fine} If it was not you, keep this address:`,
      ],
      button: 'Keep this address',
      after: [
        `This works for ${validFor}. Then choose a new password: whoever asked for the change was signed in as you.`,
      ],
    }),
    sign_up: ({ brand, validFor }) => ({
      subject: `Finish signing up at ${brand}`,
      lines: [`Confirm that this address is yours, then choose a username and a password for ${brand}.`],
      button: 'Go on',
      after: [
        `This works once, within ${validFor}.`,
        'If you do not want to sign up, ignore this mail: there is no account without it.',
        never(brand),
      ],
    }),
    sign_up_known: ({ brand, username }) => ({
      subject: `You have an account at ${brand} already`,
      lines: [
        `Somebody wanted to sign up at ${brand} with this address, perhaps you. It already belongs to ${yours(username)}.`,
        'Sign in with that one. If you do not know its password any more, choose “Forgot your password?” there.',
      ],
      button: 'Sign in',
      after: ['If it was not you, there is nothing to do: whoever it was has not learnt that you have an account.'],
    }),
    invitation: ({ brand, validFor }) => ({
      subject: `You are invited to ${brand}`,
      lines: [`You are invited to make an account at ${brand}, with a username and a password of your own.`],
      button: 'Accept the invitation',
      after: [`The invitation is good for ${validFor}.`, 'If you expected none, ignore this mail.'],
    }),
    deletion_notice: ({ brand, username, at, validFor }) => ({
      subject: `Your ${brand} account will be deleted`,
      lines: [
        `As you asked, ${yours(username)} at ${brand} is closed. ${at === undefined ? `It will be deleted for good in ${validFor}.` : `It will be deleted for good on ${at}.`}`,
        'If you have changed your mind, or it was not you who asked, keep the account:',
      ],
      button: 'Keep the account',
      after: ['If it was not you who asked, choose a new password after that.'],
    }),

    new_device: ({ brand, username }) => ({
      subject: `New sign-in to your ${brand} account`,
      lines: [`Somebody signed in to ${yours(username)} at ${brand} from a place and a device that are new to us.`],
      button: 'See my devices',
      after: [fine, changePassword],
    }),
    password_changed: ({ brand, username }) => ({
      subject: `Your ${brand} password was changed`,
      lines: [`The password of ${yours(username)} at ${brand} was changed.`],
      button: 'Go to my account',
      after: [fine, changePassword],
    }),
    factor_changed: ({ brand, username, factor, change }) => ({
      subject: `How you sign in to ${brand} has changed`,
      lines: [
        change === 'removed'
          ? `${capital(factors[factor ?? ''] ?? 'a second step')} can no longer be used to sign in to ${yours(username)} at ${brand}.`
          : `${capital(factors[factor ?? ''] ?? 'a second step')} can now be used to sign in to ${yours(username)} at ${brand}.`,
      ],
      button: 'See how I sign in',
      after: [fine, changePassword],
    }),
    refresh_token_reused: ({ brand, username, app }) => ({
      subject: `A device was signed out of your ${brand} account`,
      lines: [
        `What kept a device signed in to ${yours(username)} at ${brand}${app === undefined ? '' : ` in ${app}`} was used a second time. That happens when somebody has copied it, so we signed that device out.`,
      ],
      button: 'See my devices',
      after: [
        'It also happens when a device was restored from a backup. Then just sign in again.',
        'If you know of no such reason, change your password and look through your devices.',
      ],
    }),
    many_wrong_codes: ({ brand, username }) => ({
      subject: `Wrong codes for your ${brand} account`,
      lines: [
        `Somebody typed many wrong codes in the second step of signing in to ${yours(username)} at ${brand}. We have stopped that for now.`,
      ],
      button: 'Go to my account',
      after: [
        'If that was you, wait a little and try again.',
        'If it was not you, change your password: whoever it was knows it.',
      ],
    }),
    email_changed: ({ brand, username, email }) => ({
      subject: `The e-mail address of your ${brand} account was changed`,
      lines: [`The e-mail address of ${yours(username)} at ${brand} is now ${email ?? 'another one'}.`],
      button: 'Go to my account',
      after: [fine, changePassword],
    }),
    username_changed: ({ brand, username, formerUsername }) => ({
      subject: `Your ${brand} username was changed`,
      lines: [
        `The username of your account at ${brand} was changed${formerUsername === undefined ? '' : ` from “${formerUsername}”`}${username === undefined ? '' : ` to “${username}”`}. Sign in with the new one from now on.`,
      ],
      button: 'Go to my account',
      after: [fine, changePassword],
    }),
  },

  test: brand => ({
    subject: `A test mail of ${brand}`,
    lines: [`${brand} can send mails: you are reading one.`, 'An operator has sent it with “latchkey mail test”.'],
    after: [],
  }),
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
