/** What the pages say of a forgotten password, in English. */
import { type Content, html } from '../html.ts'

export const passwordResetTextsEn = {
  forgotPassword: 'Forgot your password?',

  forgotPasswordPage: {
    title: 'Reset your password',
    lede: 'Tell us who you are, and we send a mail to the address of your account. With it you can choose a new password.',
    go: 'Send the mail',
    toSignIn: 'Back to signing in',
    tooMany: (wait: string | undefined) =>
      wait === undefined
        ? 'Too many mails were asked for. Try again in a moment.'
        : `Too many mails were asked for. Try again in ${wait}.`,
    sent: 'If there is an account of that name, with an address, a mail is on its way to it. It works for 30 minutes.',
  },

  newPasswordPage: {
    title: 'Choose a new password',
    lede: (name: Content) =>
      html`It is for the account ${name}. All apps and devices are signed out then, and you sign in with the new one.`,
    go: 'Set the new password',
    over: 'That took too long, or too many codes were wrong. Choose a password once more.',
    done: 'Your password has been changed',
    doneLede: 'All apps and devices have been signed out. Sign in with your new password now.',
  },
}
