/** Every text of the pages in English, the language the others are held to. */
import { type Content, html } from './html.ts'
import { accountEn } from './texts/account_en.ts'
import { emailEn } from './texts/email_en.ts'
import { mailTextsEn } from './texts/mail_en.ts'
import { myAccountEn } from './texts/my_account_en.ts'
import { passwordResetTextsEn } from './texts/password_reset_en.ts'
import { signUpEn } from './texts/sign_up_en.ts'

export const en = {
  language: 'English',
  skipToContent: 'Skip to content',
  signIn: 'Sign in',
  signOut: 'Sign out',
  account: 'Your account',
  changePassword: 'Change password',
  toHome: 'Go to the home page',
  toAccount: 'Back to your account',
  /** What is typed as a password, and then not any more. */
  show: 'Show',
  hide: 'Hide',

  username: 'Username',
  fullName: 'Name',
  email: 'Email',
  password: 'Password',

  /** By what people sign in, and what is wrong with it. */
  signInNames: {
    username: {
      label: 'Username',
      missing: 'Enter your username.',
      too_long: 'This is longer than any username here.',
      wrong_credentials: 'The username or password is wrong.',
    },
    email: {
      label: 'Email',
      missing: 'Enter your email address.',
      too_long: 'This is longer than any email address.',
      wrong_credentials: 'The email address or password is wrong.',
    },
    both: {
      label: 'Username or email',
      missing: 'Enter your username or your email address.',
      too_long: 'This is longer than any username or email address here.',
      wrong_credentials: 'The username, email address or password is wrong.',
    },
  },

  /** Before the title of a page that shows problems, so that it is the first thing read out. */
  titleWithProblem: (title: string) => `Problem: ${title}`,
  problems: 'Please check what you typed',
  problem: {
    password: {
      missing: 'Enter your password.',
      too_long: 'This is longer than any password here.',
    },
    currentPassword: {
      missing: 'Enter the password you have now.',
      wrong: 'This is not your password.',
      too_long: 'This is longer than any password here.',
    },
    newPassword: {
      missing: 'Enter a new password.',
      too_short: (shortest: string) => `Use at least ${shortest} characters.`,
      too_long: (longest: string) => `Use at most ${longest} characters.`,
      too_common: 'Many people use this password, so it is among the first to be guessed. Choose another.',
      breached: 'This password has appeared in data breaches, so it is among the first to be guessed. Choose another.',
      own_name: 'This is little more than your username, your address or the name of this site. Choose another.',
      not_typeable: 'This contains a character that a sign-in form cannot send, such as a line break.',
    },
    repeat: {
      missing: 'Enter the new password once more.',
      different: 'This is not the same as the new password.',
    },
    otp: {
      missing: 'Enter the six digits that your app shows.',
      wrong: 'This code is wrong, or it has been used. Wait for the next one and enter that.',
      clock: (minutes: string) =>
        `This is the code of another time: the clock of your phone differs by about ${minutes}. Let your phone set its clock by itself, then enter the next code.`,
    },
    recoveryCode: {
      missing: 'Enter one of your recovery codes.',
      wrong: 'This is none of the recovery codes that you have left.',
    },
    passkey: 'This passkey could not be checked. Try again.',
    too_many_codes: (wait: string | undefined) =>
      wait === undefined
        ? 'Too many codes were wrong. Try again in a moment.'
        : `Too many codes were wrong. Try again in ${wait}.`,
    try_later: (wait: string | undefined) =>
      wait === undefined
        ? 'We cannot check your password right now. Try again in a moment.'
        : `We cannot check your password right now. Try again in ${wait}.`,
  },

  home: {
    lede: 'One place for your sign-ins: see every app and device that is signed in as you, sign out the ones you no longer use, and change your password.',
    signedInAs: (name: Content) => html`You are signed in as ${name}.`,
    developers: 'For developers',
    developersLede:
      'An OAuth 2 authorization server: short-lived access tokens, rotating refresh tokens, and a sign-out that takes effect.',
    docs: 'API documentation',
    docsHint: 'Authorize and try every endpoint.',
    reference: 'API reference',
    referenceHint: 'The same on one page, to read.',
    openApi: 'OpenAPI document',
    openApiHint: 'For generators and tools.',
    metadata: 'Server metadata',
    metadataHint: 'For OAuth libraries: endpoints and what they support.',
  },

  signInPage: {
    signInFirst: 'Sign in to go on to that page.',
    over: 'That sign-in took too long, or too many codes were wrong. Please start again.',
    or: 'or',
    passkey: 'Sign in with a passkey',
    passkeyRefused: 'This passkey does not sign anybody in here. Use your password.',
    passkeyFailed: 'That did not work. Try again, or use your password.',
  },

  factorPage: {
    title: {
      otp: 'Enter your code',
      recovery_code: 'Enter a recovery code',
      passkey: 'Use your passkey',
      password: 'Enter your password',
    },
    asking: {
      sign_in: (name: Content) => html`You are signing in as ${name}.`,
      confirm: (name: Content) => html`You are signed in as ${name}. Before you go on, show that it is you.`,
      password_reset: (name: Content) =>
        html`You are setting a new password for ${name}. Before it counts, show that it is you.`,
    },
    lede: {
      otp: 'Open your authenticator app and enter the six digits that it shows.',
      recovery_code: 'It is one of the ten codes that you kept when you added your second step. Each works once.',
      passkey: 'Your device asks for your fingerprint, your face or your screen lock.',
      password: 'You signed in a while ago, so we ask for your password again.',
    },
    field: { otp: 'Six-digit code', recovery_code: 'Recovery code' },
    go: 'Continue',
    use: {
      otp: 'Use your authenticator app',
      recovery_code: 'Use a recovery code',
      passkey: 'Use a passkey',
      password: 'Use your password',
    },
    noPasskeys: 'This browser cannot use passkeys here.',
    over: 'That took too long, or too many codes were wrong. Please start again.',
    passkeyFailed: 'That did not work. Try again.',
    startOver: 'Sign in as somebody else',
  },

  factors: {
    title: 'Security',
    lede: 'Two steps protect your account even when somebody knows your password.',
    none: 'A password alone can be guessed or stolen. Add a second step, and it is no longer enough to sign in as you.',
    kind: { totp: 'Authenticator app', passkey: 'Passkey', recovery_codes: 'Recovery codes' },
    added: (day: Content) => html`Added ${day}`,
    used: (ago: Content) => html`Last used ${ago}`,
    never: 'Not used yet',
    left: (count: string) => `${count} left`,
    manage: 'Manage',
    addTotp: 'Add an authenticator app',
    addPasskey: 'Add a passkey',
    newCodes: 'New codes',
    passwordHint: 'When you change it, every other device is signed out.',
  },

  addTotpPage: {
    title: 'Add an authenticator app',
    demandedTitle: 'Add a second step',
    demanded: (name: Content) =>
      html`You are signing in as ${name}. This account needs a second step beside the password: an app on your phone that shows a new code every 30 seconds.`,
    scan: 'Scan this picture with an authenticator app.',
    picture: 'QR code for your authenticator app',
    here: 'Or open the app on this device',
    type: 'Or enter this key in the app:',
    copy: 'Copy the key',
    code: 'Six-digit code',
    codeHint: 'It is the one that the app shows now for this account.',
    go: 'Add it',
    goSignIn: 'Add it and sign in',
    over: 'That took too long. Here is a new picture: scan it again, the old one does not count.',
  },

  addPasskeyPage: {
    title: 'Add a passkey',
    lede: 'A passkey signs you in without a password, by your fingerprint, your face or your screen lock. No website but this one can use it.',
    go: 'Make a passkey',
    over: 'That took too long. Please try again.',
    failed: 'That did not work. Try again.',
    known: 'This device has a passkey for your account already.',
    noPasskeys: 'This browser cannot make passkeys here. It may have JavaScript switched off.',
  },

  codesPage: {
    title: 'Your recovery codes',
    lede: 'Should you lose your phone, each of these signs you in once in its place.',
    once: 'They are shown only now. Keep them where nobody else finds them, and not on the phone itself.',
    list: 'Recovery codes',
    copy: 'Copy',
    copied: 'Copied',
    print: 'Print',
    go: 'I have kept them',
  },

  newCodesPage: {
    title: 'New recovery codes?',
    lede: (left: string) => `You have ${left} left. Ten new ones take their place, and the old ones stop working.`,
    go: 'Make new codes',
  },

  managePage: {
    rename: 'Rename',
    name: 'Name',
    nameHint: 'So that you know it again, such as “Work phone”.',
    remove: 'Remove',
    removeLede: 'Once it is removed, you cannot sign in with it any more.',
    removeLast: 'It is your last one: the recovery codes go too, and only your password protects your account then.',
  },

  ...accountEn,
  ...emailEn,

  passwordPage: {
    lede: 'When your password changes, every other device is signed out. You stay signed in here.',
    old: 'Current password',
    new: 'New password',
    newHint: (shortest: string) => `At least ${shortest} characters. Several words in a row make a strong one.`,
    repeat: 'New password, once more',
  },

  ...myAccountEn,

  signOutPage: {
    title: 'Sign out?',
    lede: (name: Content) => html`You are signed in as ${name}. This signs you out on this device only.`,
    stay: 'Stay signed in',
  },

  signedOutPage: {
    title: 'You are signed out',
    here: 'You are signed out on this device.',
    everywhere: 'You are signed out on every device.',
    again: 'Sign in again',
  },

  errorPage: {
    400: {
      title: 'We could not read that request',
      lede: 'Something in it is missing or malformed. Go back and try again.',
    },
    401: { title: 'You are not signed in', lede: 'This page is only for people who are signed in.' },
    403: {
      title: 'That did not come from this site',
      lede: 'The form was sent from another site, or your browser does not say from where. Nothing was changed. Open the page here and try again.',
    },
    404: { title: 'There is no such page', lede: 'The address may be mistyped, or the page may be gone.' },
    405: { title: 'That does not work here', lede: 'This address does not take this kind of request.' },
    413: { title: 'That was too much', lede: 'More was sent than this server takes. Go back and shorten it.' },
    429: { title: 'Too many attempts', lede: 'To protect your account, we take only so many in a row.' },
    500: {
      title: 'Something went wrong here',
      lede: 'The mistake is ours, and it has been logged. Try again in a moment.',
    },
    503: { title: 'Not available right now', lede: 'The server is busy or being looked after.' },
    tryAgainIn: (wait: string) => `Try again in ${wait}.`,
    tryAgainSoon: 'Try again in a moment.',
    requestId: 'Request ID',
    requestIdHint: 'Mention it when you ask for help.',
  },

  ...mailTextsEn,
  ...passwordResetTextsEn,
  ...signUpEn,
}

export type Texts = typeof en
