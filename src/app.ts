/** The application: middleware order and the whole route table on one screen. */
import { METHODS } from 'node:http'
import type { BlockList } from 'node:net'
import Router from '@koa/router'
import Koa from 'koa'
import type { Logger } from 'pino'
import { identifyCaller } from './http/caller.ts'
import { allowOrigins } from './http/cors.ts'
import { answerErrors } from './http/errors.ts'
import { healthRoutes } from './http/health_routes.ts'
import { oauthRoutes } from './http/oauth_routes.ts'
import { formBody, optionalFormBody } from './http/params.ts'
import { userRoutes } from './http/user_routes.ts'
import type { Deps } from './oauth/deps.ts'

export type HttpOptions = Readonly<{
  log: Logger
  corsOrigins: readonly string[]
  trustProxy: BlockList | undefined
}>

export function createApp(deps: Deps, { log, corsOrigins, trustProxy }: HttpOptions): Koa {
  const app = new Koa()
  app.use(answerErrors(log, deps.randomBytes(6).toString('base64url')))
  app.use(identifyCaller(trustProxy, log))
  app.use(allowOrigins(deps, corsOrigins))

  // Every method that Node knows, or the router answers the unusual ones with 501 where 404 or 405 is meant. One path has
  // one spelling, here as in the CORS rules.
  const router = new Router({ methods: METHODS, sensitive: true, strict: true })
  const oauth = oauthRoutes(deps)
  router.post('/token', formBody, oauth.token)
  router.post('/revoke', formBody, oauth.revoke)
  router.post('/introspect', formBody, oauth.introspect)
  router.get('/.well-known/jwks.json', oauth.jwks)
  router.get('/.well-known/oauth-authorization-server', oauth.metadata)
  // RFC 8414 §3.1: the path of an issuer that has one comes after the well-known one.
  const { pathname } = new URL(deps.config.issuer)
  if (pathname !== '/') router.get(`/.well-known/oauth-authorization-server${pathname}`, oauth.metadata)
  router.get('/.well-known/openid-configuration', oauth.metadata)

  const user = userRoutes(deps)
  router.get('/users/me', user.me)
  router.get('/userinfo', user.userInfo)
  router.post('/userinfo', optionalFormBody, user.userInfo)
  router.post('/logout', user.logout)
  router.get('/sessions', user.listSessions)
  router.delete('/sessions/:id', user.deleteSession)

  const health = healthRoutes(deps.storage)
  router.get('/health/live', health.live)
  router.get('/health/ready', health.ready)

  app.use(router.routes())
  app.use(router.allowedMethods())
  // Connections that break while an answer is written; everything else is answered and logged by `answerErrors`.
  app.on('error', error => log.debug({ err: error }, 'connection lost'))
  return app
}
