/**
 * Headers that make browsers careful. Helmet's, as constants: its middleware would compute the same again for each request, on the
 * way of every refresh. A test holds them to what Helmet sets. RFC 6797; OWASP Secure Headers.
 */
import type { Context } from './context.ts'

/** Seconds: a year. */
const strictTransportAge = 31_536_000

/**
 * The headers of every answer. `Strict-Transport-Security` leaves the subdomains alone: they are not this server's to decide on.
 *
 * @param issuer browsers ignore `Strict-Transport-Security` that comes over http, so it is for https only
 */
export function commonHeaders(issuer: string): Readonly<Record<string, string>> {
  return {
    'X-Content-Type-Options': 'nosniff',
    // An answer that is no page loads nothing and stands in no frame, whatever a browser takes it for.
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    ...(issuer.startsWith('https:') && { 'Strict-Transport-Security': `max-age=${strictTransportAge}` }),
    // What is public and cacheable says so itself.
    'Cache-Control': 'no-store',
  }
}

/**
 * Adds the headers of a page.
 *
 * @param policy Content Security Policy
 */
export function setDocumentHeaders(ctx: Context, policy: string, referrerPolicy: 'same-origin' | 'no-referrer'): void {
  ctx.type = 'html'
  ctx.set({ ...documentHeaders, 'Content-Security-Policy': policy, 'Referrer-Policy': referrerPolicy })
}

const documentHeaders = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Origin-Agent-Cluster': '?1',
  'X-DNS-Prefetch-Control': 'off',
  'X-Frame-Options': 'DENY',
  'X-Permitted-Cross-Domain-Policies': 'none',
  // The filters of old browsers were holes themselves.
  'X-XSS-Protection': '0',
}
