/**
 * Cookies of this server: how they are called, read and set. RFC 6265, and the `__Host-` prefix of its successor. Cookies are kept for a
 * host whatever the port (RFC 6265 §8.5), so each name has the issuer in it: of two servers on one host neither meets the cookies of the
 * other.
 */
import { createHash } from 'node:crypto'
import type { Context } from '../context.ts'

/**
 * With `__Host-` no other host, not even one below the same domain, can set it.
 *
 * @param purpose what it is for, where it is not the session's
 */
export function cookieName(issuer: string, purpose?: string): string {
  const ofIssuer = createHash('sha256').update(issuer).digest('hex').slice(0, 8)
  return [plainCookieName(issuer), purpose, ofIssuer].filter(part => part !== undefined).join('-')
}

/** Without what tells servers of one host apart. */
export function plainCookieName(issuer: string): string {
  return isHttps(issuer) ? '__Host-latchkey' : 'latchkey'
}

/** The values of a name: no more than two, for that is one too many. */
export function cookieValues(ctx: Context, name: string): string[] {
  const header = ctx.headers.cookie ?? ''
  const values: string[] = []
  // Only where the name stands: a browser that knows many sites of this host sends their cookies too.
  for (let at = header.indexOf(`${name}=`); at >= 0 && values.length < 2; at = header.indexOf(`${name}=`, at + 1)) {
    if (!beginsPair(header, at)) continue
    const end = header.indexOf(';', at)
    values.push(header.slice(at + name.length + 1, end < 0 ? undefined : end).trim())
  }
  return values
}

/** The last word about a name counts: a request that touches its session may end it too. @param maxAge seconds; 0 clears it */
export function setCookie(ctx: Context, issuer: string, name: string, value: string, maxAge: number): void {
  const before = [ctx.res.getHeader('Set-Cookie') ?? []].flat().map(String)
  const others = before.filter(cookie => !cookie.startsWith(`${name}=`))
  const attributes = `HttpOnly; SameSite=Lax${isHttps(issuer) ? '; Secure' : ''}`
  ctx.set('Set-Cookie', [...others, `${name}=${value}; Path=/; Max-Age=${maxAge}; ${attributes}`])
}

function isHttps(issuer: string): boolean {
  return issuer.startsWith('https:')
}

function beginsPair(header: string, at: number): boolean {
  let before = at - 1
  while (header[before] === ' ' || header[before] === '\t') before--
  return before < 0 || header[before] === ';'
}
