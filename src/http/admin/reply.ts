/** What a request of the admin API is answered with: a record, so that it can be kept and given again. */
import { contentHash } from '../cache.ts'
import type { Context } from '../context.ts'
import { sendJson } from '../json.ts'
import { readQuery } from '../query.ts'

export type Reply = Readonly<{
  document: object
  /** Where what was made is: the answer is 201 then. */
  created?: string
  /** Of the document, where it is one that can be changed. */
  etag?: string
  /** The cursor of the next page. */
  next?: string | undefined
}>

/** RFC 9110 §8.8.3: a strong tag of what a document says. */
export function etagOf(document: object): string {
  return `"${contentHash(JSON.stringify(document))}"`
}

export function send(ctx: Context, { document, created, etag, next }: Reply): void {
  if (created !== undefined) {
    ctx.status = 201
    ctx.set('Location', created)
  }
  if (etag !== undefined) ctx.set('ETag', etag)
  if (next !== undefined) {
    const given = Object.entries(readQuery(ctx)).flatMap(([name, values]) =>
      [values].flat().map(value => [name, value] as [string, string]),
    )
    const more = new URLSearchParams(given)
    more.set('cursor', next)
    ctx.set('Link', `<${ctx.path}?${more}>; rel="next"`)
  }
  sendJson(ctx, document)
}
