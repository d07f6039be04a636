/** Answers that caches may keep: entity tags and revalidation (RFC 9110 §8.8.3, §13.1.2). */
import { createHash } from 'node:crypto'
import { jwksMaxAge } from '../keys/signing_key.ts'
import type { Context } from './context.ts'

/** 22 base64url characters that stand for some bytes. */
export function contentHash(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64url').slice(0, 22)
}

/** Sets the entity tag. @returns true when the caller has this version already: the answer is 304 then */
export function answersUnmodified(ctx: Context, etag: string): boolean {
  ctx.set('ETag', etag)
  // Not Koa's `fresh`: it takes a request's `Cache-Control: no-cache`, which fetch() adds, for a wish to get it all again.
  const known = ctx
    .get('If-None-Match')
    .split(',')
    .map(tag => tag.trim().replace(/^W\//, ''))
  if (!known.includes(etag) && !known.includes('*')) return false
  ctx.status = 304
  return true
}

const hashes = new Map<string, string>()

/** Answers a document of this moment, from memory, which caches may keep as long as a key set. */
export function cacheable(ctx: Context, text: string, type: string): void {
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
