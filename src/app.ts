/** The application: middleware order and the whole route table on one screen. */
import type { BlockList } from 'node:net'
import Koa from 'koa'
import type { Logger } from 'pino'
import { browserRoutes, isByCookie } from './http/browser/browser_routes.ts'
import { favicon, pagesOf, styleSheet } from './http/browser/pages.ts'
import { identifyCaller } from './http/caller.ts'
import { METHODS, Router } from './http/commonjs.ts'
import { allowOrigins } from './http/cors.ts'
import { docsRoutes } from './http/docs/docs_routes.ts'
import { answerErrors } from './http/errors.ts'
import { exactRoutes } from './http/exact_routes.ts'
import { healthRoutes } from './http/health_routes.ts'
import { refuseLongUrls } from './http/limits.ts'
import { oauthRoutes } from './http/oauth_routes.ts'
import { formBody, formOrJsonBody, optionalFormBody } from './http/params.ts'
import { userRoutes } from './http/user_routes.ts'
import type { Deps } from './oauth/deps.ts'

export type HttpOptions = Readonly<{
  log: Logger
  corsOrigins: readonly string[]
  trustProxy: BlockList | undefined
  /** Whether there are /docs and /redoc. */
  docs: boolean
}>

export function createApp(deps: Deps, { log, corsOrigins, trustProxy, docs: hasDocs }: HttpOptions): Koa {
  const app = new Koa()
  app.use(answerErrors(log, deps.randomBytes(6).toString('base64url'), deps.config.issuer))
  app.use(identifyCaller(trustProxy, log))
  app.use(allowOrigins(deps, corsOrigins, log))
  const page = pagesOf(deps.config.issuer)
  app.use(refuseLongUrls(page))

  // Every method that Node knows, or the router answers the unusual ones with 501 where 404 or 405 is meant. One path has
  // one spelling, here as in the CORS rules.
  const router = new Router({ methods: METHODS, sensitive: true, strict: true })
  const oauth = oauthRoutes(deps)
  router.post('/token', formBody, oauth.token)
  router.post('/revoke', formBody, oauth.revoke)
  router.post('/introspect', formBody, oauth.introspect)
  router.get('/.well-known/jwks.json', oauth.jwks)
  router.get('/.well-known/oauth-authorization-server', oauth.metadata)
  router.get('/.well-known/openid-configuration', oauth.metadata)
  // RFC 8414 §3.1, §5: the path of an issuer that has one comes after the well-known one. OpenID Connect Discovery §4 puts it before: there
  // the proxy takes it off, as from everything else.
  const { pathname } = new URL(deps.config.issuer)
  if (pathname !== '/') {
    router.get(`/.well-known/oauth-authorization-server${pathname}`, oauth.metadata)
    router.get(`/.well-known/openid-configuration${pathname}`, oauth.metadata)
  }

  const user = userRoutes(deps)
  router.get('/users/me', user.me)
  router.put('/users/me/password', formOrJsonBody, user.changePassword)
  router.get('/userinfo', user.userInfo)
  router.post('/userinfo', optionalFormBody, user.userInfo)
  router.get('/sessions', user.listSessions)
  router.delete('/sessions/:id', user.deleteSession)

  const browser = browserRoutes(deps, { docs: hasDocs })
  router.get('/', page, browser.home)
  router.get('/login', page, browser.signInForm)
  router.post('/login', page, formOrJsonBody, browser.login)
  router.get('/profile', page, browser.profile)
  router.post('/profile/sign-out', page, formOrJsonBody, browser.signOutDevices)
  router.get('/profile/password', page, browser.passwordForm)
  router.post('/profile/password', page, formOrJsonBody, browser.changePassword)
  router.get('/logout', page, browser.logout)
  router.post('/logout', page, ctx => (isByCookie(ctx) ? browser.logout(ctx) : user.logout(ctx)))
  router.get('/.well-known/change-password', page, browser.changePasswordPlace)
  router.get('/assets/:file', styleSheet)
  router.get('/favicon.ico', favicon)

  const health = healthRoutes(deps.storage)
  router.get('/health/live', health.live)
  router.get('/health/ready', health.ready)

  const docs = docsRoutes(deps, hasDocs)
  router.get('/openapi.json', docs.openApi)
  if (hasDocs) {
    router.get('/docs', docs.swaggerUi)
    router.get('/redoc', docs.redoc)
    router.get('/docs/assets/:hash/:file', docs.asset)
  }

  app.use(exactRoutes(router))
  app.use(router.routes())
  app.use(router.allowedMethods())
  // Whoever mistyped an address gets a page too.
  app.use(page)
  // Connections that break while an answer is written; everything else is answered and logged by `answerErrors`.
  app.on('error', error => log.debug({ err: error }, 'connection lost'))
  return app
}
