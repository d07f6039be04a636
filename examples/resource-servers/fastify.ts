/**
 * A resource server that takes Latchkey's access tokens (RFC 9068): Fastify, @fastify/jwt and get-jwks.
 * @fastify/jwt checks signature, issuer, audience, algorithm, type and expiry; the challenges of RFC 6750 §3 are added here.
 */
import jwt, { type TokenOrHeader } from '@fastify/jwt'
import Fastify, { type FastifyRequest, type onRequestAsyncHookHandler } from 'fastify'
import buildGetJwks from 'get-jwks'

declare module '@fastify/jwt' {
  interface FastifyJWT {
    user: { sub: string; scope?: string; roles?: string[]; acr?: string; auth_time?: number }
  }
}

const issuer = process.env.ISSUER ?? 'http://localhost:3000'
const audience = process.env.AUDIENCE ?? issuer
const port = Number(process.env.PORT ?? 4000)

const jwks = buildGetJwks({ jwksPath: '/.well-known/jwks.json' })

/** The issuer is ours; the token chooses only among its keys. */
function findKey(_request: FastifyRequest, token: TokenOrHeader): Promise<string> {
  const { kid = '' } = 'header' in token ? token.header : token
  return jwks.getPublicKey({ domain: issuer, kid })
}

const app = Fastify()

await app.register(jwt, {
  decode: { complete: true },
  secret: findKey,
  verify: {
    allowedIss: issuer,
    allowedAud: audience,
    algorithms: ['ES256'],
    checkTyp: 'at+jwt',
    requiredClaims: ['iss', 'aud', 'exp', 'sub'],
  },
})

app.addHook('onRequest', async (request, reply) => {
  try {
    await request.jwtVerify()
  } catch (error) {
    // Keys that cannot be had say nothing about the token.
    if (error instanceof TypeError && error.message === 'fetch failed') return reply.code(503).send()
    const challenge = request.headers.authorization === undefined ? 'Bearer' : 'Bearer error="invalid_token"'
    return reply.code(401).header('WWW-Authenticate', challenge).send()
  }
})

const requireScope = (scope: string): onRequestAsyncHookHandler => {
  return async (request, reply) => {
    if (request.user.scope?.split(' ').includes(scope)) return
    return reply.code(403).header('WWW-Authenticate', `Bearer error="insufficient_scope", scope="${scope}"`).send()
  }
}

/** The claim is there only for clients registered with `--claim roles`; without it nobody has the role. */
const requireRole = (role: string): onRequestAsyncHookHandler => {
  return async (request, reply) => {
    if (!request.user.roles?.includes(role)) return reply.code(403).send()
  }
}

/**
 * For what can do harm: who it is has to be proved surely and lately. Its client starts a step-up with what the challenge says (RFC 9470 §3).
 *
 * @param maxAge seconds
 */
const requireProof = (acrValues: readonly string[], maxAge: number): onRequestAsyncHookHandler => {
  const challenge = `Bearer error="insufficient_user_authentication", acr_values="${acrValues.join(' ')}", max_age=${maxAge}`
  return async ({ user: { acr = '', auth_time: authTime = 0 } }, reply) => {
    if (acrValues.includes(acr) && Date.now() / 1000 - authTime <= maxAge) return
    return reply.code(401).header('WWW-Authenticate', challenge).send()
  }
}

app.get('/hello', async request => ({ sub: request.user.sub }))

app.post('/notes', { onRequest: requireScope('write') }, async (request, reply) => {
  return reply.code(201).send({ author: request.user.sub })
})

app.get('/statistics', { onRequest: requireRole('admin') }, async () => ({ notes: 0 }))

const proof = requireProof(['urn:latchkey:2fa', 'phr'], 300)
app.post('/payments', { onRequest: proof }, async (request, reply) => {
  return reply.code(201).send({ payer: request.user.sub })
})

console.log(await app.listen({ port, host: '127.0.0.1' }))
