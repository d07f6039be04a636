/**
 * CORS, the fetch standard's protocol: named origins may use the endpoints that browser apps need, those of the settings
 * with every client and those of a client with that client; metadata, the JWK Set and /openapi.json are open to
 * everybody.
 * No credentials mode: these endpoints take tokens, not cookies.
 */
import type { Context, Middleware, Next } from 'koa'
import type { Deps } from '../oauth/deps.ts'

const appPaths = /^\/(?:token|revoke|users\/me(?:\/password)?|userinfo|logout|sessions(?:\/[^/]+)?)$/
const publicPaths = /^\/(?:\.well-known\/|openapi\.json$)/

/** Seconds that the clients' origins are kept before they are read again. */
const originsMaxAge = 5

export function allowOrigins(deps: Deps, origins: readonly string[]): Middleware {
  const forAll = new Set(origins)
  const isOriginOfAnyClient = originsOfClients(deps)

  /** A preflight, or a request that failed before it came to its client, is not any one client's. */
  async function isAllowed(origin: string, clientId: string | undefined): Promise<boolean> {
    if (forAll.has(origin)) return true
    if (clientId === undefined) return isOriginOfAnyClient(origin)
    const client = await deps.storage.findClient(clientId).catch(() => undefined)
    // With the storage broken, the answer that says so must still reach the app.
    return client === undefined ? isOriginOfAnyClient(origin) : client.corsOrigins.includes(origin)
  }

  async function allow(ctx: Context, next: Next, origin: string): Promise<void> {
    if (publicPaths.test(ctx.path)) {
      expose(ctx, '*')
      return isPreflight(ctx) ? preflight(ctx) : next()
    }
    if (!appPaths.test(ctx.path)) return next()
    ctx.vary('Origin')
    if (isPreflight(ctx)) {
      if (!(await isAllowed(origin, undefined))) return next()
      expose(ctx, origin)
      return preflight(ctx)
    }
    try {
      await next()
    } finally {
      if (await isAllowed(origin, ctx.state.clientId)) expose(ctx, origin)
    }
  }

  return (ctx, next) => {
    const { origin } = ctx.headers
    return origin === undefined ? next() : allow(ctx, next, origin)
  }
}

function originsOfClients({ storage, now }: Deps): (origin: string) => Promise<boolean> {
  let known: Promise<ReadonlySet<string>> = Promise.resolve(new Set<string>())
  let readAt = Number.NEGATIVE_INFINITY
  return async origin => {
    // Also when the clock has been set back.
    if (Math.abs(now() - readAt) >= originsMaxAge) {
      readAt = now()
      const before = known
      known = storage.listClients().then(
        clients => new Set(clients.flatMap(client => client.corsOrigins)),
        () => before,
      )
    }
    return (await known).has(origin)
  }
}

function isPreflight(ctx: Context): boolean {
  return ctx.method === 'OPTIONS' && ctx.headers['access-control-request-method'] !== undefined
}

function expose(ctx: Context, origin: string): void {
  ctx.set('Access-Control-Allow-Origin', origin)
  ctx.set('Access-Control-Expose-Headers', 'WWW-Authenticate, Retry-After, X-Request-Id')
}

function preflight(ctx: Context): void {
  ctx.set('Access-Control-Allow-Methods', 'GET, POST, PUT, DELETE')
  ctx.set('Access-Control-Allow-Headers', 'Authorization, Content-Type')
  // Two hours is the most that Chromium keeps.
  ctx.set('Access-Control-Max-Age', '7200')
  ctx.status = 204
}
