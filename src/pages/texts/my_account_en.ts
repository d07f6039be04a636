/** The texts in English of the pages on which people change, copy and delete their account. */
import { type Content, html } from '../html.ts'

export const myAccountEn = {
  editProfilePage: {
    title: 'Your details',
    nameHint: 'As others see it in apps. You may leave it empty.',
    language: 'Language',
    languageHint: 'Of these pages, and of the mails that we send you.',
    browserLanguage: 'As your browser asks for it',
    go: 'Save',
    invalidName: 'Use at most 256 characters, all of them visible.',
    dataLede: 'A copy of all that is stored about you, as a file.',
    deleteLede: 'Your account and all that belongs to it go away.',
  },

  usernamePage: {
    title: 'Change username',
    lede: 'You stay signed in everywhere, and apps know you as the same person.',
    kept: (days: string) =>
      `You can change it once a day. For ${days} days nobody else gets the one that you have now, and you can take it back.`,
    new: 'New username',
    missing: 'Enter the username that you want.',
    invalid: 'Use at most 128 characters, all of them visible, and no space at either end.',
    taken: 'This username is taken. Choose another.',
    tooSoon: (wait: string) => `You changed your username a short while ago. You can change it again in ${wait}.`,
    tooMany: (wait: string) => `You have tried many usernames that are taken. Try again in ${wait}.`,
  },

  exportPage: {
    title: 'Download your data',
    lede: 'One file, in JSON, with all that is stored about you:',
    parts: [
      'your username, name, email address, language and roles',
      'where you are signed in, and were in the last week: apps, devices, addresses and times',
      'your second steps: what they are and what you call them, and none of their secrets',
      'what was recorded about your account, such as sign-ins and changes',
    ],
    careful: 'Keep it where nobody else finds it.',
    go: 'Download',
    tooSoon: (wait: string) => `You downloaded it a moment ago. Try again in ${wait}.`,
  },

  deletePage: {
    title: 'Delete your account?',
    lede: (name: Content) => html`You are signed in as ${name}. This is what goes away:`,
    lost: [
      'You are signed out of every app and device, and cannot sign in any more.',
      'Your name, email address, password, second steps and devices are removed.',
      'Apps that you used with this account may keep what is yours there, but you cannot reach it by this account again.',
    ],
    kept: (days: string) =>
      `For ${days} days nobody else gets your username. Your email address is free for a new account at once.`,
    laterLede: (days: string) => `You have ${days} days to change your mind: until then nothing is removed.`,
    laterMailed: 'We send you a mail with a link that brings your account back.',
    laterAsk: 'Should you want it back, ask whoever runs this service.',
    later: 'Delete my account',
    nowTitle: 'Delete it at once',
    nowLede: 'Nothing is left then that could be brought back, by you or by anybody.',
    sure: 'I know that nobody can bring my account back.',
    notSure: 'Tick this to go on.',
    now: 'Delete for good',
    stay: 'Keep my account',
  },

  deletedPage: {
    title: 'Your account is being deleted',
    later: (day: Content) => html`You are signed out everywhere. On ${day} your account is gone.`,
    mailed: 'To have it back, open the link in the mail that we have sent you, before that day.',
    ask: 'To have it back, ask whoever runs this service, before that day.',
    goneTitle: 'Your account is gone',
    gone: 'You are signed out everywhere, and nothing is left of your account.',
  },

  undoDeletionPage: {
    title: 'Keep your account?',
    lede: 'It is to be deleted. If you keep it, you can sign in again as before.',
    go: 'Keep my account',
    done: 'Your account stays',
    undone: 'It is not deleted any more. Sign in as before.',
    already_undone: 'It was kept already. Sign in as before.',
    still_disabled: 'It is not deleted any more, but whoever runs this service has disabled it. Ask them.',
  },
}

export type MyAccountTexts = typeof myAccountEn
