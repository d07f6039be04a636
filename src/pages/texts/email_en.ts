/** What the pages about the address of an account say, in English. */
import { type Content, html } from '../html.ts'

export const emailEn = {
  emailPage: {
    title: 'Email address',
    none: 'Your account has no address. Without one nobody can help you when you forget your password.',
    verified: 'You have confirmed that this address is yours.',
    unverified: 'You have not confirmed this address yet.',
    verify: 'Send a mail to confirm it',
    change: 'Change the address',
    add: 'Add an address',
    isVerified: 'Confirmed',
    isUnverified: 'Not confirmed yet',
    later: (wait: string | undefined) =>
      wait === undefined
        ? 'Too many mails were asked for. Try again in a moment.'
        : `Too many mails were asked for. Try again in ${wait}.`,
  },

  changeEmailPage: {
    title: 'Change your email address',
    lede: 'We send a mail to the new address. Your account keeps the old one until you have confirmed that the new one is yours.',
    field: 'New email address',
    go: 'Send the mail',
    problem: {
      missing: 'Enter the new address.',
      invalid: 'This is not an email address that mail can go to.',
      same: 'This is the address that your account has.',
    },
    tooMany: (wait: string) => `Your address was changed often in the last days. You can change it again in ${wait}.`,
  },

  emailSent: {
    email_verification: 'A mail is on its way to your address. It works for 24 hours.',
    email_change: 'A mail is on its way to the new address. It works for 24 hours.',
  },

  emailLinkPage: {
    email_verification: {
      title: 'Is this your address?',
      lede: (address: Content) => html`Confirm that you read what is sent to ${address}.`,
      go: 'Yes, confirm it',
    },
    email_change: {
      title: 'Use this address?',
      lede: (address: Content) => html`Your account gets the address ${address} from now on.`,
      go: 'Use this address',
    },
    email_change_notice: {
      title: 'Keep your old address?',
      lede: (address: Content) =>
        html`Your account gets the address ${address} back, and every app and device is signed out. Then choose a new password.`,
      go: 'Keep my old address',
    },
  },

  emailDonePage: {
    verified: { title: 'Your address is confirmed', lede: 'Thank you. There is nothing else to do.' },
    already_verified: { title: 'Your address is confirmed', lede: 'It was confirmed already.' },
    changed: {
      title: 'Your address has been changed',
      lede: 'We have sent a mail to the old one, with a link that takes this back for seven days.',
    },
    already_changed: { title: 'Your address has been changed', lede: 'It was changed already.' },
    restored: {
      title: 'Your old address is back',
      lede: 'Everybody is signed out. Choose a new password now: whoever changed the address was signed in as you.',
    },
    already_restored: {
      title: 'Your old address is back',
      lede: 'It was back already. If you have not chosen a new password since, do so now.',
    },
    taken: {
      title: 'This address belongs to another account',
      lede: 'Nothing was changed. An address can be confirmed by one account only.',
    },
    newPassword: 'Choose a new password',
  },
}

export type EmailTexts = typeof emailEn
