/** Every text of the pages in English, the language the others are held to. */
import { type Content, html } from './html.ts'

export const en = {
  language: 'English',
  skipToContent: 'Skip to content',
  signIn: 'Sign in',
  signOut: 'Sign out',
  account: 'Your account',
  changePassword: 'Change password',
  toHome: 'Go to the home page',
  toAccount: 'Back to your account',

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
      not_typeable: 'This contains a character that a sign-in form cannot send, such as a line break.',
    },
    repeat: {
      missing: 'Enter the new password once more.',
      different: 'This is not the same as the new password.',
    },
    proof_needed:
      'You have a second factor, and this sign-in did not use it. Sign out and in again to change your password.',
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
  },

  accountPage: {
    notice: {
      password_changed: 'Your password has been changed, and every other device has been signed out.',
      session_ended: 'That device has been signed out.',
      others_ended: 'Every other device has been signed out.',
      nothing_ended: 'That device was already signed out.',
    },
    devices: 'Signed-in devices',
    devicesLede: 'Don’t recognise one? Sign it out, then change your password.',
    thisDevice: 'This device',
    thisWebsite: 'This website',
    unknownDevice: 'Unknown device',
    browserOn: (browser: string, platform: string) => `${browser} on ${platform}`,
    app: 'App',
    ip: 'IP address',
    signedIn: 'Signed in',
    lastSeen: 'Last seen',
    justNow: 'just now',
    pages: 'More devices',
    previous: 'Previous',
    next: 'Next',
    range: (from: string, to: string, count: string) => `${from} to ${to} of ${count}`,
    others: 'Sign out the other devices',
    othersHint: 'You stay signed in here.',
    all: 'Sign out everywhere',
    allHint: 'This device too.',
    passwordLede: 'Change it if someone else may know it. Every other device will be signed out.',
  },

  passwordPage: {
    lede: 'When your password changes, every other device is signed out. You stay signed in here.',
    old: 'Current password',
    new: 'New password',
    newHint: (shortest: string) => `At least ${shortest} characters. Several words in a row make a strong one.`,
    repeat: 'New password, once more',
  },

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
}

export type Texts = typeof en
