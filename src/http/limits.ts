/**
 * Limits that come before everything: how long a URL and each header may be before anything looks into them. Node limits the head
 * of a request to 16 KiB; what parses a header in more than one pass, or into lists, gets far less. docs/threat-model.md has the whole table.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { OAuthError } from '../error.ts'
import type { Context } from './context.ts'

/** Octets; as many as everybody should take, and no more: RFC 9110 §4.1. */
export const maxUrl = 8000

/**
 * The longest that each header is looked at, in characters, and what a longer one is taken for: the header left out, or what is
 * safe. Browsers send a tenth of it.
 */
const headerLimits: readonly (readonly [name: keyof IncomingHttpHeaders, max: number, instead?: string])[] = [
  ['accept', 1000],
  ['accept-language', 1000],
  ['accept-encoding', 500],
  ['if-none-match', 1000],
  // RFC 6454 §7: an origin that is not told. It is allowed nothing, and no form of ours comes from it.
  ['origin', 500, 'null'],
  ['sec-fetch-site', 100, 'cross-site'],
]

/** Puts headers that are too long out of sight, of this server and of its libraries. */
export function limitHeaders(headers: IncomingHttpHeaders): void {
  for (const [name, max, instead] of headerLimits) {
    const value = headers[name]
    if (value !== undefined && value.length > max) headers[name] = instead
  }
}

/** Shortens a URL that is too long to the beginning of its path, for the log. @returns whether it was too long */
export function limitUrl(ctx: Context): boolean {
  if (ctx.url.length <= maxUrl) return false
  ctx.url = /^\/[^?#]{0,99}/.exec(ctx.url)?.[0] ?? '/'
  return true
}

/** A target in absolute form that is no URL (RFC 9112 §3.2.2) would make Koa throw at each look at the path. */
export function insistOnReadableTarget(ctx: Context): void {
  if (/^[/*]/.test(ctx.url) || URL.canParse(ctx.url)) return
  ctx.url = '/'
  throw new OAuthError('invalid_request', 'the request target cannot be read')
}
