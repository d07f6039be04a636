/** The OAuth endpoints: reads the request, calls `oauth/`, writes the answer. */
import { createHash } from 'node:crypto'
import type { Context } from 'koa'
import type { Deps } from '../oauth/deps.ts'
import { jwksMaxAge, type SigningAlg } from '../oauth/keys.ts'
import { discovery, metadata } from '../oauth/metadata.ts'
import { revocationRequest } from '../oauth/revocation.ts'
import { tokenRequest } from '../oauth/token.ts'
import { callerOf } from './caller.ts'
import { formParams } from './params.ts'

export function oauthRoutes(deps: Deps, signingAlg: SigningAlg) {
  const serverMetadata = JSON.stringify(metadata(deps.config))
  const discoveryDocument = JSON.stringify(discovery(deps.config, signingAlg))

  return {
    async token(ctx: Context) {
      // RFC 6749 §5.1; `Cache-Control: no-store` is on every answer anyway.
      ctx.set('Pragma', 'no-cache')
      ctx.body = await tokenRequest(deps, credentials(ctx), callerOf(ctx))
    },
    async revoke(ctx: Context) {
      await revocationRequest(deps, credentials(ctx), callerOf(ctx))
      // RFC 7009 §2.2 leaves the body open; clients that parse every answer need one.
      ctx.body = {}
    },
    jwks: (ctx: Context) => cacheable(ctx, deps.keyRing.jwks(deps.now()), 'application/jwk-set+json'),
    metadata: (ctx: Context) => cacheable(ctx, serverMetadata, 'application/json'),
    discovery: (ctx: Context) => cacheable(ctx, discoveryDocument, 'application/json'),
  }
}

function credentials(ctx: Context) {
  return { authorization: ctx.headers.authorization, params: formParams(ctx) }
}

const etags = new Map<string, string>()

/** A document of this moment, from memory; answers 304 to who has it already (RFC 9110 §13.1.2). */
function cacheable(ctx: Context, text: string, type: string): void {
  let etag = etags.get(text)
  if (etag === undefined) {
    etag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`
    if (etags.size > 100) etags.clear()
    etags.set(text, etag)
  }
  ctx.set('Cache-Control', `public, max-age=${jwksMaxAge}`)
  ctx.set('ETag', etag)
  ctx.type = type
  ctx.status = 200
  // Not Koa's `fresh`: it takes a request's `Cache-Control: no-cache`, which fetch() adds, for a wish to get it all again.
  const known = ctx
    .get('If-None-Match')
    .split(',')
    .map(tag => tag.trim().replace(/^W\//, ''))
  if (known.includes(etag) || known.includes('*')) ctx.status = 304
  else ctx.body = text
}
