/** Every path that a page links to or posts to. */

/** As endpoints have them. */
export const paths = {
  home: '/',
  signIn: '/login',
  /** POST begins a sign-in by passkey, for the script. */
  passkeySignIn: '/login/passkey',
  /** Where who is signed in proves it anew. */
  confirm: '/login/confirm',
  /** Where who has forgotten the password asks for a mail, gives its code, and is in the end. */
  forgotPassword: '/login/forgot-password',
  forgotPasswordCode: '/login/forgot-password/code',
  passwordSet: '/login/forgot-password/done',
  signOut: '/logout',
  account: '/profile',
  /** GET asks before `scope`, which is `others` or `all`; POST `session`, an id, or `scope`. */
  endSessions: '/profile/sign-out',
  password: '/profile/password',
  /** GET `kind`, `totp` or `passkey`, to add one; POST what proves it. Below it, each factor by its id. */
  factors: '/profile/factors',
  recoveryCodes: '/profile/recovery-codes',
  /** Where who has no account asks for a mail, and gives its code. */
  signUp: '/login/sign-up',
  signUpCode: '/login/sign-up/code',
  /** Where links of mails lead to: below it, a path for each purpose. */
  mail: '/mail',
  /** Name and language, and the ways to the three below. */
  editProfile: '/profile/edit',
  changeUsername: '/profile/username',
  /** Of the address: whether it is verified. POST below it asks for a mail that does so, or for another address. */
  email: '/profile/email',
  verifyEmail: '/profile/email/verification',
  verifyEmailCode: '/profile/email/verification/code',
  changeEmail: '/profile/email/change',
  changeEmailCode: '/profile/email/change/code',
  exportAccount: '/profile/export',
  deleteAccount: '/profile/delete',
  icon: '/favicon.ico',
  docs: '/docs',
  reference: '/redoc',
  openApi: '/openapi.json',
  metadata: '/.well-known/oauth-authorization-server',
  assets: '/assets',
} as const

/** As browsers have them. */
export type Paths = Readonly<Record<keyof typeof paths, string>>

/** @param basePath what a proxy takes off because it has put this server below a path of its issuer; empty otherwise */
export function pathsBelow(basePath: string): Paths {
  return Object.fromEntries(Object.entries(paths).map(([name, path]) => [name, basePath + path])) as Paths
}

/** @param file its name, which changes with its content */
export function assetPath({ assets }: Paths, file: string): string {
  return `${assets}/${file}`
}

/** @param purpose of the mail */
export function mailPath({ mail }: Pick<Paths, 'mail'>, purpose: string): string {
  return `${mail}/${purpose}`
}

/** @param hash of the content, so that a browser may keep it for ever */
export function styleSheetPath({ assets }: Paths, hash: string): string {
  return `${assets}/style.${hash}.css`
}

/** The same of the script. */
export function scriptPath({ assets }: Paths, hash: string): string {
  return `${assets}/pages.${hash}.js`
}

/** @param returnTo a path of this site where to go after that */
export function confirmPath({ confirm }: Paths, returnTo: string): string {
  return `${confirm}?return_to=${encodeURIComponent(returnTo.toWellFormed())}`
}

/** Where somebody is asked first. */
export function endSessionsPath({ endSessions }: Paths, scope: 'others' | 'all'): string {
  return `${endSessions}?scope=${scope}`
}

/** @param id of a factor */
export function factorPath({ factors }: Paths, id: string): string {
  return `${factors}/${encodeURIComponent(id.toWellFormed())}`
}

/** @param returnTo a path of this site where to go after signing in */
export function signInPath({ signIn }: Paths, returnTo: string | undefined): string {
  return returnTo === undefined ? signIn : `${signIn}?return_to=${encodeURIComponent(returnTo.toWellFormed())}`
}

/** @param start how many devices to skip. @param cursor where they begin, if not with the newest */
export function accountPath({ account }: Paths, start: number, cursor?: string): string {
  const query = new URLSearchParams({
    ...(cursor !== undefined && { cursor }),
    ...(start !== 0 && { start: `${start}` }),
  })
  return query.size === 0 ? account : `${account}?${query}`
}
