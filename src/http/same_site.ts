/**
 * Requests that change something by cookie must come from this site's own pages: another site can make a browser send them, cookie
 * and all (CSRF). Browsers say where a request comes from in headers that no page can set: `Sec-Fetch-Site` (Fetch Metadata),
 * and where that is missing `Origin` (the fetch standard).
 */
import type { Context } from 'koa'
import { OAuthError } from '../oauth/error.ts'

/** True as well for what is no browser: it sends neither header, and no cookie but its own. */
export function isFromHere(ctx: Context, issuer: string): boolean {
  const site = ctx.get('Sec-Fetch-Site')
  if (site !== '') return site === 'same-origin' || site === 'none'
  const origin = ctx.get('Origin')
  return origin === '' || origin === new URL(issuer).origin
}

/** @throws OAuthError `access_denied`, 403 */
export function insistOnSameSite(ctx: Context, issuer: string): void {
  if (isFromHere(ctx, issuer)) return
  throw new OAuthError('forbidden', 'this request came from another site', {
    cause: `from ${ctx.get('Origin') || 'nowhere'}, ${ctx.get('Sec-Fetch-Site') || 'unsaid'}`,
  })
}
