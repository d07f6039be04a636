/** Texts of the sign-up, in English. */
import { type Content, html } from '../html.ts'

export const signUpEn = {
  signUpPage: {
    title: 'Create an account',
    lede: 'Enter your email address. We send you a mail that shows that it is yours.',
    go: 'Send the mail',
    have: 'You have an account? Sign in',
    sent: 'We have sent a mail to the address that you gave. Enter its code here, or open its link.',
    problem: {
      missing: 'Enter your email address.',
      malformed: 'This is not one email address.',
      too_long: 'This is longer than any email address.',
    },
    try_later: (wait: string | undefined) =>
      wait === undefined
        ? 'Too many mails were asked for. Try again in a moment.'
        : `Too many mails were asked for. Try again in ${wait}.`,
  },

  newAccountPage: {
    title: 'Create your account',
    lede: (address: Content) => html`${address} is yours. Choose what you sign in with.`,
    usernameHint: 'You can sign in with it, and others may see it.',
    name: 'Name',
    nameHint: 'What we call you. You can leave it empty.',
    password: 'Password',
    go: 'Create the account',
    username: {
      missing: 'Choose a username.',
      taken: 'This username is taken. Choose another.',
      too_long: (longest: string) => `Use at most ${longest} characters.`,
      unseen: 'This has a character that cannot be seen, or only looks like another one. Type it again.',
      address: 'This is an email address, and not the one that you have shown to be yours.',
    },
    fullName: 'This has a character that cannot be in a name, or is too long.',
    try_later: (wait: string | undefined) =>
      wait === undefined
        ? 'Too many accounts were made from your network. Try again later.'
        : `Too many accounts were made from your network. Try again in ${wait}.`,
  },

  haveAccountPage: {
    title: 'You have an account',
    lede: 'Nothing more is to be done here: this email address has an account.',
  },
}

export type SignUpTexts = typeof signUpEn
