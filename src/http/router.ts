/**
 * From the records of the endpoints to what a request meets: the route, `Allow` and 405, HEAD and OPTIONS, CORS, the body reader, the
 * handler, and the refusal.
 */
import { OAuthError } from '../error.ts'
import type { ObserveRequest, Observer } from '../observer.ts'
import { isStorable } from '../text.ts'
import { Router } from './commonjs.ts'
import type { Context, Middleware, Refusal } from './context.ts'
import type { AllowOrigins } from './cors.ts'
import type { CorsRule, Endpoint, PathParams } from './endpoint.ts'
import { insistOnReadableTarget, limitUrl, maxUrl } from './limits.ts'
import { asOAuthError, refusalOf } from './refusal.ts'
import { insistOnSingleHeaders } from './single_headers.ts'

/** A path with all its endpoints. */
type Place = Readonly<{
  path: string
  /** By method. */
  endpoints: ReadonlyMap<string, Endpoint>
  /** The methods of its endpoints, and the same with HEAD: what a preflight and `Allow` say. */
  methods: string
  allow: string
  cors: CorsRule
  /** What counts requests by their method; undefined where there is no endpoint. */
  observers?: ReadonlyMap<string, ObserveRequest>
}>

/** Every method that a path does not have: there is no end of those. OpenTelemetry's word for them. */
export const otherMethod = '_OTHER'

type Found = Readonly<{ place: Place; params: PathParams }>

/**
 * @param errorPage the page that tells a browser of a refusal; undefined for what is no browser
 */
export function routeRequests(
  endpoints: readonly Endpoint[],
  allowOrigins: AllowOrigins,
  errorPage: (ctx: Context, failure: OAuthError) => string | undefined,
  observer: Observer,
): Middleware {
  const find = createFinder(placesOf(endpoints, observer))

  function refuse(ctx: Context, failure: OAuthError, endpoint?: Endpoint): Refusal {
    const hasPages = endpoint === undefined || endpoint.hasPages === true
    return refusalOf(ctx, failure, endpoint, hasPages ? errorPage(ctx, failure) : undefined)
  }

  async function answer(ctx: Context, { place, params }: Found): Promise<Refusal | undefined> {
    const endpoint = place.endpoints.get(ctx.method)
    if (endpoint === undefined) return answerOthers(ctx, place)
    if (endpoint.hasPages) ctx.vary('Accept')
    try {
      if (params !== noParams) insistOnReadablePath(ctx.path)
      if (endpoint.body !== undefined) await endpoint.body.read(ctx)
      const refused = await endpoint.handle(ctx, params)
      return refused ? refusalOf(ctx, refused.failure, endpoint, refused.page) : undefined
    } catch (error) {
      return refuse(ctx, asOAuthError(error), endpoint)
    }
  }

  /** A method that the path does not have, or a path that is none: whoever mistyped an address gets a page. */
  function answerOthers(ctx: Context, { endpoints, allow }: Place): Refusal | undefined {
    ctx.vary('Accept')
    if (endpoints.size === 0) return refuse(ctx, new OAuthError('not_found', 'there is nothing at this path'))
    ctx.set('Allow', allow)
    if (ctx.method !== 'OPTIONS') {
      return refuse(ctx, new OAuthError('method_not_allowed', 'this method is not allowed here'))
    }
    ctx.status = 200
    ctx.body = ''
    return undefined
  }

  async function refuseLongUrl(ctx: Context): Promise<Refusal> {
    ctx.vary('Accept')
    return refuse(ctx, new OAuthError('uri_too_long', `the URL has more than ${maxUrl} characters`))
  }

  return ctx => {
    const isUrlTooLong = limitUrl(ctx)
    insistOnReadableTarget(ctx)
    insistOnSingleHeaders(ctx.req.rawHeaders)
    const answerAt = (found: Found) => {
      const { observers, path } = found.place
      if (observers !== undefined) {
        ctx.state.route = path
        ctx.state.observe = observers.get(ctx.method) ?? observers.get(otherMethod)
      }
      return allowOrigins(ctx, found.place, () => (isUrlTooLong ? refuseLongUrl(ctx) : answer(ctx, found)))
    }
    const found = find(ctx)
    return found instanceof Promise ? found.then(answerAt) : answerAt(found)
  }
}

/** The router decodes a NUL, and leaves as it came what is not UTF-8. */
function insistOnReadablePath(path: string): void {
  try {
    if (isStorable(decodeURIComponent(path))) return
  } catch {}
  throw new OAuthError('invalid_request', 'the path has broken percent-encoding or a NUL character')
}

function placesOf(endpoints: readonly Endpoint[], observer: Observer): Place[] {
  return [...Map.groupBy(endpoints, ({ path }) => path)].map(([path, here]) => {
    const methods = here.map(({ method }) => method.toUpperCase())
    if (new Set(methods).size < here.length) throw new Error(`two endpoints have the same method at ${path}`)
    const [cors, ...others] = new Set(here.map(one => one.cors))
    if (cors === undefined || others.length > 0) throw new Error(`the endpoints at ${path} differ in CORS`)
    const byMethod = new Map(here.map(endpoint => [endpoint.method.toUpperCase(), endpoint]))
    const get = byMethod.get('GET')
    if (get !== undefined) byMethod.set('HEAD', get)
    const allow = get === undefined ? methods : ['HEAD', ...methods]
    const observers = new Map(
      [...byMethod.keys(), 'OPTIONS', otherMethod].map(method => [method, observer.requests(method, path)]),
    )
    return { path, endpoints: byMethod, methods: methods.join(', '), allow: allow.join(', '), cors, observers }
  })
}

const noParams: PathParams = Object.freeze({})
const nowhere = (cors: CorsRule): Found => ({
  place: { path: '', endpoints: new Map(), methods: '', allow: '', cors },
  params: noParams,
})
const nothing = nowhere('none')
/** Libraries look for metadata at several places, from browsers as well, and have to be able to read that it is not at one of them. */
const nothingWellKnown = nowhere('public')

/**
 * A path without parameters is looked up at once. The router tries the pattern of each of its routes and composes what fits anew, which
 * costs 3 us, of the 75 of a refresh: it is asked for what is left.
 */
function createFinder(places: readonly Place[]): (ctx: Context) => Found | Promise<Found> {
  const exact = new Map<string, Found>()
  // One path has one spelling.
  const router = new Router({ sensitive: true, strict: true })
  for (const place of places) {
    if (place.path.includes('{')) {
      // Whatever the method: it is the place that is asked for.
      router.all(place.path.replace(/\{(\w+)\}/g, ':$1'), async ({ params }): Promise<Found> => ({ place, params }))
    } else exact.set(place.path, { place, params: noParams })
  }
  const ask = router.routes() as unknown as (ctx: Context, next: () => Promise<Found>) => Promise<Found>
  return ctx =>
    exact.get(ctx.path) ?? ask(ctx, async () => (ctx.path.startsWith('/.well-known/') ? nothingWellKnown : nothing))
}
