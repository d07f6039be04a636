/** The applications, the public one and that of operators: every endpoint, and what each request goes through. */
import type { BlockList } from 'node:net'
import Koa from 'koa'
import type { Logger } from 'pino'
import { browserEndpoints } from './http/browser/browser_routes.ts'
import { createSite } from './http/browser/pages.ts'
import { identifyCaller } from './http/caller.ts'
import { challengeEndpoint } from './http/challenge_route.ts'
import type { Middleware, RequestState } from './http/context.ts'
import { allowOrigins } from './http/cors.ts'
import { docsEndpoints } from './http/docs/docs_routes.ts'
import { emailEndpoints } from './http/email_routes.ts'
import type { Endpoint } from './http/endpoint.ts'
import { answerErrors } from './http/errors.ts'
import { factorEndpoints } from './http/factor_routes.ts'
import { healthEndpoints } from './http/health_routes.ts'
import { oauthEndpoints } from './http/oauth_routes.ts'
import { passkeyEndpoints } from './http/passkey_routes.ts'
import { passwordResetEndpoints } from './http/password_reset_routes.ts'
import { routeRequests } from './http/router.ts'
import { signUpEndpoints } from './http/sign_up_routes.ts'
import { userEndpoints } from './http/user_routes.ts'
import type { Deps } from './oauth/deps.ts'

export type HttpOptions = Readonly<{
  /** Makes the span of a request. */
  trace?: Middleware | undefined
  log: Logger
  corsOrigins: readonly string[]
  trustProxy: BlockList | undefined
  /** Whether there are /docs and /redoc. */
  docs: boolean
  /** Whether the server is about to end. */
  isStopping?: () => boolean
}>

/** The records of a server. @param docs whether there are /docs and /redoc */
export function endpointsOf(deps: Deps, docs: boolean, isStopping?: () => boolean): readonly Endpoint[] {
  const endpoints = [
    challengeEndpoint(deps),
    ...oauthEndpoints(deps),
    ...passwordResetEndpoints(deps),
    ...signUpEndpoints(deps),
    ...userEndpoints(deps),
    ...factorEndpoints(deps),
    ...emailEndpoints(deps),
    ...browserEndpoints(deps, createSite(deps.config.issuer, deps.brand), docs),
    ...passkeyEndpoints(deps.config.relyingParty),
    ...healthEndpoints(deps.storage, isStopping),
  ]
  return [...endpoints, ...docsEndpoints(deps, docs, endpoints)]
}

export function createApp(
  deps: Deps,
  options: HttpOptions,
  endpoints = endpointsOf(deps, options.docs, options.isStopping),
): Koa<RequestState> {
  return createAppOf(deps, options, endpoints, createSite(deps.config.issuer, deps.brand).errorPage)
}

/** What operators' programs reach on a listener of their own: no pages, and no browser apps. */
export function createAdminApp(
  deps: Deps,
  options: Pick<HttpOptions, 'trace' | 'log' | 'trustProxy'>,
  endpoints: readonly Endpoint[],
): Koa<RequestState> {
  return createAppOf(deps, { ...options, corsOrigins: [] }, endpoints, () => undefined)
}

function createAppOf(
  deps: Deps,
  { trace, log, corsOrigins, trustProxy }: Omit<HttpOptions, 'docs'>,
  endpoints: readonly Endpoint[],
  errorPage: Parameters<typeof routeRequests>[2],
): Koa<RequestState> {
  const app = new Koa<RequestState>()
  if (trace !== undefined) app.use(trace)
  app.use(answerErrors(log, deps.randomBytes(6).toString('base64url'), deps.config.issuer, deps.observer))
  app.use(identifyCaller(trustProxy, log))
  app.use(routeRequests(endpoints, allowOrigins(deps, corsOrigins, log), errorPage, deps.observer))
  // Connections that break while an answer is written; everything else is answered and logged by `answerErrors`.
  app.on('error', error => log.debug({ err: error }, 'connection lost'))
  return app
}
