/** Resource servers as their libraries' own documentation sets them up. Each answers `GET /` with the token's subject. */
import fastifyJwt, { type Secret } from '@fastify/jwt'
import type { ExecutionContext } from 'ava'
import express, { type ErrorRequestHandler, type Express } from 'express'
import { expressjwt, type Request as JwtRequest } from 'express-jwt'
import { auth } from 'express-oauth2-jwt-bearer'
import fastify from 'fastify'
import buildGetJwks from 'get-jwks'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import jwksRsa from 'jwks-rsa'
import Koa from 'koa'
import koaJwt from 'koa-jwt'
import passport from 'passport'
import { ExtractJwt, Strategy } from 'passport-jwt'
import { serve } from './_discoverable.ts'

/** What an operator knows of the authorization server. */
export type Issuer = { issuer: string; audience: string; jwksUri: string }

/** Starts one. @returns the URL of the protected resource */
export type ResourceServer = (t: ExecutionContext, issuer: Issuer) => Promise<string>

const algorithms = ['ES256' as const]

export const resourceServers: Record<string, ResourceServer> = {
  'jose with createRemoteJWKSet': (t, { issuer, audience, jwksUri }) => {
    const jwks = createRemoteJWKSet(new URL(jwksUri), { cooldownDuration: noCooldown })
    return serve(t, async (request, response) => {
      const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
      try {
        const { payload } = await jwtVerify(token, jwks, { issuer, audience, typ: 'at+jwt', algorithms })
        response.end(payload.sub)
      } catch {
        response.writeHead(401).end()
      }
    })
  },

  'express-jwt with jwks-rsa': (t, { issuer, audience, jwksUri }) => {
    const secret = jwksRsa.expressJwtSecret({ ...jwksRsaOptions, jwksUri })
    const app = express()
    app.use(expressjwt({ secret, issuer, audience, algorithms }))
    app.get('/', (request: JwtRequest, response) => void response.send(request.auth?.sub))
    return serveExpress(t, app)
  },

  // Discovers the JWK Set from the issuer.
  'express-oauth2-jwt-bearer': (t, { issuer, audience }) => {
    const app = express()
    app.use(auth({ issuerBaseURL: issuer, audience, cooldownDuration: noCooldown }))
    app.get('/', (request, response) => void response.send(request.auth?.payload.sub))
    return serveExpress(t, app)
  },

  // RFC 9068 §4: `strict` insists on the type and on every claim that the RFC requires.
  'express-oauth2-jwt-bearer in strict mode': (t, { issuer, audience, jwksUri }) => {
    const app = express()
    app.use(auth({ issuer, audience, jwksUri, tokenSigningAlg: 'ES256', strict: true, cooldownDuration: noCooldown }))
    app.get('/', (request, response) => void response.send(request.auth?.payload.sub))
    return serveExpress(t, app)
  },

  'koa-jwt with jwks-rsa': (t, { issuer, audience, jwksUri }) => {
    const app = new Koa()
    app.use(koaJwt({ secret: jwksRsa.koaJwtSecret({ ...jwksRsaOptions, jwksUri }), issuer, audience, algorithms }))
    app.use(context => {
      context.body = context.state.user.sub
    })
    app.silent = true
    return serve(t, app.callback())
  },

  'passport-jwt with jwks-rsa': (t, { issuer, audience, jwksUri }) => {
    const authenticator = new passport.Passport()
    const secretOrKeyProvider = jwksRsa.passportJwtSecret({ ...jwksRsaOptions, jwksUri })
    const jwtFromRequest = ExtractJwt.fromAuthHeaderAsBearerToken()
    authenticator.use(
      new Strategy({ secretOrKeyProvider, jwtFromRequest, issuer, audience, algorithms }, (claims, done) =>
        done(null, claims),
      ),
    )
    const app = express()
    app.use(authenticator.authenticate('jwt', { session: false }))
    app.get('/', (request, response) => void response.send((request.user as { sub: string }).sub))
    return serveExpress(t, app)
  },

  // get-jwks takes no URL: it asks the issuer at `/.well-known/jwks.json`, which is where Latchkey has its JWK Set.
  '@fastify/jwt with get-jwks': async (t, { issuer, audience }) => {
    const getJwks = buildGetJwks({ issuersWhitelist: [issuer] })
    const secret = (_request: unknown, { header, payload }: CompleteJwt) =>
      getJwks.getPublicKey({ kid: header.kid, alg: header.alg, domain: payload.iss })
    const app = fastify()
    app.register(fastifyJwt, {
      decode: { complete: true },
      verify: { algorithms, allowedIss: issuer, allowedAud: audience },
      // Called with the request first, as its README says; its types know only the token.
      secret: secret as unknown as Secret,
    })
    app.addHook('onRequest', request => request.jwtVerify())
    app.get('/', request => (request.user as { sub: string }).sub)
    // The refusals of get-jwks come without a status, for which fastify answers 500.
    app.setErrorHandler((error: { code: string }, _request, reply) => {
      if (['DOMAIN_NOT_ALLOWED', 'JWK_NOT_FOUND'].includes(error.code)) reply.code(401)
      return reply.send(error)
    })
    t.teardown(() => app.close())
    return app.listen({ host: '127.0.0.1', port: 0 })
  },
}

type CompleteJwt = { header: { alg: string; kid: string }; payload: { iss: string } }

/**
 * Milliseconds. jose asks for the keys again after 30 s at the soonest. The rotation under test takes 330 s, but of the
 * server's clock: none pass on the wall clock, which jose reads.
 */
const noCooldown = 0

/** As in the README of jwks-rsa. */
const jwksRsaOptions = { cache: true, rateLimit: true, jwksRequestsPerMinute: 5 }

function serveExpress(t: ExecutionContext, app: Express): Promise<string> {
  // The status is the library's; Express's own handler would print the stack as well.
  const answerError: ErrorRequestHandler = (error, _request, response, _next) => {
    response.status(error.status ?? 500).end()
  }
  app.use(answerError)
  return serve(t, app)
}
