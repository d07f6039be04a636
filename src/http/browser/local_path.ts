/** Where a page may lead: to a path of this site. */
import type { Params } from '../../clients/client.ts'
import type { Site } from './pages.ts'

/** @returns undefined when nothing was asked for; the home page for anything but a path of this site */
export function localPath(
  { paths: { home, signIn, signOut, confirm } }: Site,
  returnTo: Params[string] | readonly string[],
  issuer: string,
): string | undefined {
  if (returnTo === undefined || returnTo === '') return undefined
  if (typeof returnTo !== 'string' || !/^\/(?![/\\])[\x21-\x7e]{0,2000}$/.test(returnTo)) return home
  const url = URL.parse(returnTo, issuer)
  // A path back to signing in or out would go round in circles.
  const isCircle = [signIn, signOut, confirm].some(path => path === url?.pathname)
  return url?.origin === new URL(issuer).origin && !isCircle ? returnTo : home
}
