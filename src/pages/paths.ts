/** Every path that a page links to or posts to. */

export const paths = {
  home: '/',
  signIn: '/login',
  signOut: '/logout',
  account: '/profile',
  /** POST `session`, an id, or `scope`, which is `others` or `all`. */
  endSessions: '/profile/sign-out',
  password: '/profile/password',
  icon: '/favicon.ico',
  docs: '/docs',
  reference: '/redoc',
  openApi: '/openapi.json',
  metadata: '/.well-known/oauth-authorization-server',
} as const

/** @param hash of the content, so that a browser may keep it for ever */
export function styleSheetPath(hash: string): string {
  return `/assets/style.${hash}.css`
}

/** @param returnTo a path of this site where to go after signing in */
export function signInPath(returnTo: string | undefined): string {
  return returnTo === undefined
    ? paths.signIn
    : `${paths.signIn}?return_to=${encodeURIComponent(returnTo.toWellFormed())}`
}

/** @param start how many devices to skip. @param cursor where they begin, if not with the newest */
export function accountPath(start: number, cursor?: string): string {
  const query = new URLSearchParams({
    ...(cursor !== undefined && { cursor }),
    ...(start !== 0 && { start: `${start}` }),
  })
  return query.size === 0 ? paths.account : `${paths.account}?${query}`
}
