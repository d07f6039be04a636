/** What the account page says, in English. */
import { type Content, html } from '../html.ts'

export const accountEn = {
  accountPage: {
    notice: {
      profile_saved: 'Your details have been saved.',
      username_changed: 'Your username has been changed. You sign in with the new one from now on.',
      password_changed: 'Your password has been changed, and every other device has been signed out.',
      session_ended: 'That device has been signed out.',
      others_ended: 'Every other device has been signed out.',
      nothing_ended: 'That device was already signed out.',
      factor_added: 'Your second step has been added.',
      factor_renamed: 'The name has been changed.',
      factor_removed: 'It has been removed.',
      factor_gone: 'Nothing was changed: that is no longer there.',
      too_many_factors: 'You have as many as you can have. Remove one first.',
    },
    deviceEnded: (device: Content) => html`${device} has been signed out.`,
    profile: 'Profile',
    devices: 'Devices',
    devicesLede: 'Don’t recognise one? Sign it out, then change your password.',
    thisDevice: 'This device',
    thisWebsite: 'This website',
    unknownDevice: 'Unknown device',
    browserOn: (browser: string, platform: string) => `${browser} on ${platform}`,
    appOn: (platform: string) => `App on ${platform}`,
    programOf: (name: string) => `Program (${name})`,
    program: 'Program',
    signedIn: 'Signed in',
    lastSeen: 'Last seen',
    pages: 'More devices',
    previous: 'Previous',
    next: 'Next',
    range: (from: string, to: string, count: string) => `${from} to ${to} of ${count}`,
    others: 'Sign out everywhere else',
    all: 'Sign out everywhere',
    data: 'Your data',
    change: 'Change',
    copy: 'A copy',
    account: 'Account',
    download: 'Download',
    delete: 'Delete',
  },

  endSessionsPage: {
    others: {
      title: 'Sign out everywhere else?',
      lede: 'Every other device and app is signed out at once. You stay signed in here.',
      go: 'Sign out everywhere else',
    },
    all: {
      title: 'Sign out everywhere?',
      lede: 'Every device and app is signed out at once, this one too. To come back you sign in again.',
      go: 'Sign out everywhere',
    },
    cancel: 'Cancel',
  },
}
