/**
 * Requests that change something by cookie must come from this site's own pages: another site can make a browser send them, cookie
 * and all (CSRF). Browsers say where a request comes from in headers that no page can set: `Sec-Fetch-Site` (Fetch Metadata),
 * and where that is missing `Origin` (the fetch standard).
 */
import { OAuthError } from '../../error.ts'
import type { Context } from '../context.ts'
import { wantsPage } from './pages.ts'

/** True as well for what is no browser: it sends neither header, and no cookie but its own. */
function isFromHere(ctx: Context, issuer: string): boolean {
  const site = ctx.get('Sec-Fetch-Site')
  if (site !== '') return site === 'same-origin' || site === 'none'
  const origin = ctx.get('Origin')
  return origin === '' || origin === new URL(issuer).origin || isThisMachine(ctx, origin, issuer)
}

/**
 * The ready line names an address and the default issuer `localhost`: a page opened at the one is of this site as well. A name of somebody
 * else's that leads to this machine is none of these (DNS rebinding), and another port of it is another origin.
 */
function isThisMachine({ headers }: Context, origin: string, issuer: string): boolean {
  const host = headers.host ?? ''
  // Behind a proxy Host may be the address that the proxy has for this server.
  return (
    issuer.startsWith('http:') &&
    origin === `http://${host}` &&
    /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/.test(host)
  )
}

/**
 * Whether a GET may end a session (RFC 9110 §9.2.1 calls it safe, so browsers send one for a picture, to look ahead or for a link in a
 * mail): a program asks for it, which is no browser and has no pictures, or a person leaves a page of this site for it.
 */
export function isMeantToAct(ctx: Context, issuer: string): boolean {
  const looksAhead = ['Sec-Purpose', 'Purpose', 'X-Purpose', 'X-Moz'].some(name => ctx.get(name) !== '')
  if (ctx.method !== 'GET' || looksAhead) return false
  const [site, destination] = [ctx.get('Sec-Fetch-Site'), ctx.get('Sec-Fetch-Dest')]
  return wantsPage(ctx)
    ? site === 'same-origin' && (destination === '' || destination === 'document')
    : site === '' && destination === '' && isFromHere(ctx, issuer)
}

/** @throws OAuthError `access_denied`, 403 */
export function insistOnSameSite(ctx: Context, issuer: string): void {
  if (isFromHere(ctx, issuer)) return
  throw new OAuthError('forbidden', 'this request came from another site', {
    cause: `from ${ctx.get('Origin') || 'nowhere'}, ${ctx.get('Sec-Fetch-Site') || 'unsaid'}`,
  })
}
