/**
 * A resource server that takes Latchkey's access tokens (RFC 9068): Express and express-oauth2-jwt-bearer.
 * The library checks signature, issuer, audience, algorithm, type and expiry, and writes the challenges of RFC 6750 §3.
 */
import type { AddressInfo } from 'node:net'
import express, { type ErrorRequestHandler, type RequestHandler } from 'express'
import { auth, requiredScopes, UnauthorizedError } from 'express-oauth2-jwt-bearer'

const issuer = process.env.ISSUER ?? 'http://localhost:3000'
const audience = process.env.AUDIENCE ?? issuer
const port = Number(process.env.PORT ?? 4000)

const app = express()
app.use(
  auth({
    issuer,
    audience,
    jwksUri: `${issuer}/.well-known/jwks.json`,
    tokenSigningAlg: 'ES256',
    // Only `at+jwt`, with all the claims that RFC 9068 asks for.
    strict: true,
    dpop: { enabled: false },
  }),
)

/** The claim is there only for clients registered with `--claim roles`; without it nobody has the role. */
const requireRole = (role: string): RequestHandler => {
  return (request, response, next) => {
    const roles = request.auth?.payload.roles
    if (Array.isArray(roles) && roles.includes(role)) next()
    else response.sendStatus(403)
  }
}

/**
 * For what can do harm: who it is has to be proved surely and lately. Its client starts a step-up with what the challenge says (RFC 9470 §3).
 *
 * @param maxAge seconds
 */
const requireProof = (acrValues: readonly string[], maxAge: number): RequestHandler => {
  const challenge = `Bearer error="insufficient_user_authentication", acr_values="${acrValues.join(' ')}", max_age=${maxAge}`
  return (request, response, next) => {
    const { acr, auth_time: authTime = 0 } = (request.auth?.payload ?? {}) as { acr?: string; auth_time?: number }
    if (acrValues.includes(acr ?? '') && Date.now() / 1000 - authTime <= maxAge) next()
    else response.set('WWW-Authenticate', challenge).sendStatus(401)
  }
}

app.get('/hello', (request, response) => {
  response.json({ sub: request.auth?.payload.sub })
})

app.post('/notes', requiredScopes('write'), (request, response) => {
  response.status(201).json({ author: request.auth?.payload.sub })
})

app.get('/statistics', requireRole('admin'), (_request, response) => {
  response.json({ notes: 0 })
})

app.post('/payments', requireProof(['urn:latchkey:2fa', 'phr'], 300), (request, response) => {
  response.status(201).json({ payer: request.auth?.payload.sub })
})

const answerErrors: ErrorRequestHandler = (error, _request, response, next) => {
  if (!(error instanceof UnauthorizedError)) return next(error)
  response.status(error.status).set(error.headers).json({ error: error.message })
}
app.use(answerErrors)

const server = app.listen(port, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
