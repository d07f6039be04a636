/**
 * CORS, the fetch standard's protocol: named origins may use the endpoints that browser apps need, those of the settings
 * with every client and those of a client with that client; what is public and cacheable is open to everybody.
 * No credentials mode: these endpoints take tokens, not cookies.
 */
import type { Logger } from 'pino'
import type { Deps } from '../oauth/deps.ts'
import type { Context, Refusal } from './context.ts'
import type { CorsRule } from './endpoint.ts'

/** Seconds that the clients' origins are kept before they are read again. */
const originsMaxAge = 5

type Answer = () => Promise<Refusal | undefined>

/** Answers a preflight, or lets an app read what `answer` answers. @param place where the request came to, with the methods that are there */
export type AllowOrigins = (
  ctx: Context,
  place: Readonly<{ cors: CorsRule; methods: string }>,
  answer: Answer,
) => Promise<Refusal | undefined>

export function allowOrigins(deps: Deps, origins: readonly string[], log: Logger): AllowOrigins {
  const forAll = new Set(origins)
  const isOriginOfAnyClient = originsOfClients(deps)
  const tellOnce = createOriginLog(deps, log)

  /** A preflight, or a request that failed before it came to its client, is not any one client's. */
  async function isAllowed(ctx: Context, origin: string, clientId: string | undefined): Promise<boolean> {
    if (forAll.has(origin)) return true
    const client = clientId === undefined ? undefined : await deps.storage.findClient(clientId).catch(() => undefined)
    // With the storage broken, the answer that says so must still reach the app.
    const allowed = client === undefined ? await isOriginOfAnyClient(origin) : client.corsOrigins.includes(origin)
    if (!allowed) tellOnce(ctx, origin, client?.id)
    return allowed
  }

  async function allow(ctx: Context, methods: string, answer: Answer, origin: string) {
    ctx.vary('Origin')
    if (isPreflight(ctx)) {
      if (!(await isAllowed(ctx, origin, undefined))) return answer()
      expose(ctx, origin)
      return preflight(ctx, methods)
    }
    const refusal = await answer()
    if (await isAllowed(ctx, origin, ctx.state.clientId)) expose(ctx, origin)
    return refusal
  }

  return (ctx, { cors, methods }, answer) => {
    // Whether or not an origin came: a cache may give this very answer to a request with one.
    if (cors === 'public') {
      expose(ctx, '*')
      return isPreflight(ctx) ? preflight(ctx, methods) : answer()
    }
    const { origin } = ctx.headers
    return origin === undefined || cors === 'none' ? answer() : allow(ctx, methods, answer, origin)
  }
}

/** Origins that are told in the log within an hour, each once: a stranger can think of any number. */
const maxTold = 20

/** Tells of origins that are not allowed, so that whoever forgot one sees why the app does not work. */
function createOriginLog({ config, now }: Deps, log: Logger) {
  const told = new Set<string>()
  const own = new URL(config.issuer).origin
  let hour = 0
  return (ctx: Context, origin: string, client: string | undefined): void => {
    // Our own pages send forms and fetch as well, and a form or a picture of another site is no matter of CORS.
    if (
      origin === own ||
      ctx.get('Sec-Fetch-Site') === 'same-origin' ||
      !['', 'empty'].includes(ctx.get('Sec-Fetch-Dest'))
    )
      return
    const thisHour = Math.floor(now() / 3600)
    if (thisHour !== hour) told.clear()
    hour = thisHour
    const shown = origin.slice(0, 200).replace(/[^ -~]/g, '?')
    const key = `${client ?? ''} ${shown}`
    if (told.size >= maxTold || told.has(key)) return
    told.add(key)
    const about = { origin: shown, client, ...(told.size === maxTold && { more: 'is not logged within this hour' }) }
    log.warn(
      about,
      'a browser app of this origin is turned away: it is neither in LATCHKEY_CORS_ORIGINS nor a --cors-origin of the client',
    )
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

/** What of an answer an app may read besides its body. */
const exposedHeaders = 'WWW-Authenticate, Retry-After, X-Request-Id, Link'

function expose(ctx: Context, origin: string): void {
  ctx.set('Access-Control-Allow-Origin', origin)
  ctx.set('Access-Control-Expose-Headers', exposedHeaders)
}

const usualHeaders = 'Authorization, Content-Type'

/** Names of headers (RFC 9110 §5.6.2), as many as a page with several monitors adds. */
const headerNames = /^[\w!#$%&'*+.^`|~-]+(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~-]+)*$/
const maxHeaderNames = 1024

async function preflight(ctx: Context, methods: string): Promise<undefined> {
  ctx.set('Access-Control-Allow-Methods', methods)
  // Whatever the app adds for its monitoring (`traceparent`, `baggage`): no header that is not read here does anything.
  const asked = ctx.get('Access-Control-Request-Headers')
  const isReadable = asked.length <= maxHeaderNames && headerNames.test(asked)
  ctx.set('Access-Control-Allow-Headers', isReadable ? `${usualHeaders}, ${asked}` : usualHeaders)
  // Two hours is the most that Chromium keeps.
  ctx.set('Access-Control-Max-Age', '7200')
  ctx.status = 204
}
