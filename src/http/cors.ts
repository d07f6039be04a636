/**
 * CORS, the fetch standard's protocol: named origins may use the endpoints that browser apps need; metadata and the JWK Set
 * are open to everybody. No credentials mode: these endpoints take tokens, not cookies.
 */
import type { Context, Middleware } from 'koa'

const appPaths = /^\/(?:token|revoke|users\/me|logout|sessions(?:\/[^/]+)?)$/
const publicPaths = /^\/\.well-known\//

export function allowOrigins(origins: readonly string[]): Middleware {
  const allowed = new Set(origins)
  return async (ctx, next) => {
    const { origin } = ctx.headers
    if (origin === undefined) return next()
    const open = publicPaths.test(ctx.path)
    if (!open && !appPaths.test(ctx.path)) return next()
    if (!open) ctx.vary('Origin')
    if (!open && !allowed.has(origin)) return next()

    ctx.set('Access-Control-Allow-Origin', open ? '*' : origin)
    ctx.set('Access-Control-Expose-Headers', 'WWW-Authenticate, Retry-After, X-Request-Id')
    if (ctx.method === 'OPTIONS' && ctx.headers['access-control-request-method'] !== undefined) return preflight(ctx)
    return next()
  }
}

function preflight(ctx: Context): void {
  ctx.set('Access-Control-Allow-Methods', 'GET, POST, PUT, DELETE')
  ctx.set('Access-Control-Allow-Headers', 'Authorization, Content-Type')
  // Two hours is the most that Chromium keeps.
  ctx.set('Access-Control-Max-Age', '7200')
  ctx.status = 204
}
