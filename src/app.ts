/** The application: every endpoint, and what each request goes through. */
import type { BlockList } from 'node:net'
import Koa from 'koa'
import type { Logger } from 'pino'
import { browserEndpoints } from './http/browser/browser_routes.ts'
import { createSite } from './http/browser/pages.ts'
import { identifyCaller } from './http/caller.ts'
import type { RequestState } from './http/context.ts'
import { allowOrigins } from './http/cors.ts'
import { docsEndpoints } from './http/docs/docs_routes.ts'
import type { Endpoint } from './http/endpoint.ts'
import { answerErrors } from './http/errors.ts'
import { healthEndpoints } from './http/health_routes.ts'
import { oauthEndpoints } from './http/oauth_routes.ts'
import { routeRequests } from './http/router.ts'
import { userEndpoints } from './http/user_routes.ts'
import type { Deps } from './oauth/deps.ts'

export type HttpOptions = Readonly<{
  log: Logger
  corsOrigins: readonly string[]
  trustProxy: BlockList | undefined
  /** Whether there are /docs and /redoc. */
  docs: boolean
}>

/** The records of a server. @param docs whether there are /docs and /redoc */
export function endpointsOf(deps: Deps, docs: boolean): readonly Endpoint[] {
  const endpoints = [
    ...oauthEndpoints(deps),
    ...userEndpoints(deps),
    ...browserEndpoints(deps, createSite(deps.config.issuer), docs),
    ...healthEndpoints(deps.storage),
  ]
  return [...endpoints, ...docsEndpoints(deps, docs, endpoints)]
}

export function createApp(
  deps: Deps,
  { log, corsOrigins, trustProxy, docs }: HttpOptions,
  endpoints = endpointsOf(deps, docs),
): Koa<RequestState> {
  const { issuer } = deps.config
  const app = new Koa<RequestState>()
  app.use(answerErrors(log, deps.randomBytes(6).toString('base64url'), issuer))
  app.use(identifyCaller(trustProxy, log))
  app.use(routeRequests(endpoints, allowOrigins(deps, corsOrigins, log), createSite(issuer).errorPage))
  // Connections that break while an answer is written; everything else is answered and logged by `answerErrors`.
  app.on('error', error => log.debug({ err: error }, 'connection lost'))
  return app
}
