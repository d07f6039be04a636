/** The OAuth endpoints: reads the request, calls `oauth/`, writes the answer. */
import type { Context } from 'koa'
import type { Client, Params } from '../clients/client.ts'
import { authenticateClient } from '../clients/client_authentication.ts'
import { OAuthError } from '../error.ts'
import { jwksMaxAge, type SigningAlg } from '../keys/signing_key.ts'
import type { Deps } from '../oauth/deps.ts'
import { introspectionRequest, signIntrospection } from '../oauth/introspection.ts'
import { metadata } from '../oauth/metadata.ts'
import { revocationRequest } from '../oauth/revocation.ts'
import { tokenRequest } from '../oauth/token.ts'
import { answersUnmodified, contentHash } from './cache.ts'
import { callerOf } from './caller.ts'
import { sendJson } from './json.ts'
import { formParams } from './params.ts'

export function oauthRoutes(deps: Deps) {
  const documentFor = (algs: readonly SigningAlg[]) => ({ algs, text: JSON.stringify(metadata(deps.config, algs)) })
  let document = documentFor([])

  return {
    async token(ctx: Context) {
      // RFC 6749 §5.1; `Cache-Control: no-store` is on every answer anyway.
      ctx.set('Pragma', 'no-cache')
      const request = formParams(ctx)
      insistOnNoAccessToken(ctx)
      const identify = () => authenticate(deps, ctx, request.params)
      sendJson(ctx, await tokenRequest(deps, identify, request, callerOf(ctx)))
    },
    async revoke(ctx: Context) {
      const { params } = formParams(ctx)
      insistOnNoAccessToken(ctx)
      const client = await authenticate(deps, ctx, params)
      await revocationRequest(deps, client, params, callerOf(ctx))
      // RFC 7009 §2.2 leaves the body open; clients that parse every answer need one.
      sendJson(ctx, {})
    },
    async introspect(ctx: Context) {
      const { params } = formParams(ctx)
      const client = await authenticate(deps, ctx, params)
      const introspection = await introspectionRequest(deps, client, params)
      ctx.vary('Accept')
      if (wantsIntrospectionJwt(ctx)) {
        ctx.body = signIntrospection(deps, client.id, introspection)
        ctx.type = introspectionJwtType
      } else sendJson(ctx, introspection)
    },
    jwks(ctx: Context) {
      ctx.vary('Accept')
      cacheable(
        ctx,
        deps.keyRing.jwks(deps.now()),
        ctx.get('Accept').includes(jwkSetType) ? jwkSetType : 'application/json',
      )
    },
    metadata(ctx: Context) {
      const algs = deps.keyRing.algs(deps.now())
      if (String(algs) !== String(document.algs)) document = documentFor(algs)
      cacheable(ctx, document.text, 'application/json')
    },
  }
}

/** RFC 7517 §8.5. Only for who names it: many libraries take a document for JSON by its type alone. */
const jwkSetType = 'application/jwk-set+json'

/** RFC 9701 §4. */
const introspectionJwtType = 'application/token-introspection+jwt'

/** What nearly every client sends, or nothing, asks for JSON: the rest of what `Accept` can say is weighed only where it has to be. */
function wantsIntrospectionJwt(ctx: Context): boolean {
  const { accept = '*/*' } = ctx.headers
  if (accept === '*/*' || accept === 'application/json') return false
  return ctx.accepts('application/json', introspectionJwtType) === introspectionJwtType
}

/** RFC 6750 §2 is for resources: apps add the access token to every request of theirs, and are told so here. */
function insistOnNoAccessToken({ headers: { authorization } }: Context): void {
  if (authorization === undefined || !/^Bearer\b/i.test(authorization)) return
  throw new OAuthError(
    'invalid_request',
    'an access token does not authenticate a client: leave the Authorization header out, or send Basic',
  )
}

/** The client of a request, which the CORS rules want to know too. */
async function authenticate(deps: Deps, ctx: Context, params: Params): Promise<Client> {
  const credentials = { authorization: ctx.headers.authorization, params }
  const client = await authenticateClient(deps, credentials, callerOf(ctx))
  ctx.state.clientId = client.id
  return client
}

const hashes = new Map<string, string>()

/** A document of this moment, from memory. */
function cacheable(ctx: Context, text: string, type: string): void {
  let hash = hashes.get(text)
  if (hash === undefined) {
    hash = contentHash(text)
    if (hashes.size > 100) hashes.clear()
    hashes.set(text, hash)
  }
  ctx.set('Cache-Control', `public, max-age=${jwksMaxAge}`)
  ctx.type = type
  if (!answersUnmodified(ctx, `"${hash}"`)) ctx.body = text
}
