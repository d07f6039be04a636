/**
 * A resource server that takes Latchkey's access tokens (RFC 9068): Koa, koa-jwt and jwks-rsa.
 * koa-jwt checks signature, issuer, audience, algorithm and expiry; the type and the challenges of RFC 6750 §3 are added here.
 */
import type { AddressInfo } from 'node:net'
import Router from '@koa/router'
import { koaJwtSecret } from 'jwks-rsa'
import Koa, { type Middleware } from 'koa'
import jwt from 'koa-jwt'

const issuer = process.env.ISSUER ?? 'http://localhost:3000'
const audience = process.env.AUDIENCE ?? issuer
const port = Number(process.env.PORT ?? 4000)

const answerErrors: Middleware = async (ctx, next) => {
  try {
    await next()
  } catch (error) {
    const { status, originalError } = error as { status?: number; originalError?: { isEndpointUnavailable?: boolean } }
    if (status !== 401) throw error
    // Keys that cannot be had say nothing about the token.
    if (originalError?.isEndpointUnavailable) ctx.throw(503)
    ctx.status = 401
    ctx.set('WWW-Authenticate', ctx.get('Authorization') === '' ? 'Bearer' : 'Bearer error="invalid_token"')
  }
}

const findKey = koaJwtSecret({ jwksUri: `${issuer}/.well-known/jwks.json`, timeout: 5000 })

const authenticate = jwt({
  async secret(header) {
    if (header.typ !== 'at+jwt') throw new Error('this is not an access token')
    return findKey(header)
  },
  issuer,
  audience,
  algorithms: ['ES256'],
})

const requireScope = (scope: string): Middleware => {
  return (ctx, next) => {
    if (ctx.state.user.scope?.split(' ').includes(scope)) return next()
    ctx.status = 403
    ctx.set('WWW-Authenticate', `Bearer error="insufficient_scope", scope="${scope}"`)
  }
}

/** The claim is there only for clients registered with `--claim roles`; without it nobody has the role. */
const requireRole = (role: string): Middleware => {
  return (ctx, next) => (ctx.state.user.roles?.includes(role) ? next() : ctx.throw(403))
}

/**
 * For what can do harm: who it is has to be proved surely and lately. Its client starts a step-up with what the challenge says (RFC 9470 §3).
 *
 * @param maxAge seconds
 */
const requireProof = (acrValues: readonly string[], maxAge: number): Middleware => {
  const challenge = `Bearer error="insufficient_user_authentication", acr_values="${acrValues.join(' ')}", max_age=${maxAge}`
  return (ctx, next) => {
    const { acr, auth_time: authTime = 0 } = ctx.state.user
    if (acrValues.includes(acr) && Date.now() / 1000 - authTime <= maxAge) return next()
    ctx.status = 401
    ctx.set('WWW-Authenticate', challenge)
  }
}

const router = new Router()
router.get('/hello', ctx => {
  ctx.body = { sub: ctx.state.user.sub }
})
router.post('/notes', requireScope('write'), ctx => {
  ctx.status = 201
  ctx.body = { author: ctx.state.user.sub }
})
router.get('/statistics', requireRole('admin'), ctx => {
  ctx.body = { notes: 0 }
})
router.post('/payments', requireProof(['urn:latchkey:2fa', 'phr'], 300), ctx => {
  ctx.status = 201
  ctx.body = { payer: ctx.state.user.sub }
})

const server = new Koa()
  .use(answerErrors)
  .use(authenticate)
  .use(router.routes())
  .listen(port, '127.0.0.1', () => {
    console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  })
