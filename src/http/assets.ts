/** Texts that stay the same while the server runs. Each is compressed at most once in each way, when first asked for, and kept. */
import { pipeline, Readable } from 'node:stream'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import { answersUnmodified, contentHash } from './cache.ts'
import type { Context } from './context.ts'

export type Asset = Readonly<{
  type: string
  hash: string
  /** Kept, so that a request costs neither a descriptor nor a copy. */
  text: Buffer
  compressed: Partial<Record<Encoding, Promise<Buffer>>>
}>

type Encoding = keyof typeof compress

/** In the order of preference. Brotli's last steps would take seconds for a hundredth of the size. */
const compress = {
  br: (bytes: Buffer) => promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }),
  gzip: (bytes: Buffer) => promisify(gzip)(bytes, { level: 9 }),
}

/** Bytes that are handed to the connection at a time: what was taken of a long answer shows in steps of this size. */
const slice = 65_536

/**
 * Milliseconds until a connection that was sent a long answer is closed when no other request comes. Whether its client reads, only
 * the system knows once it has taken all of it: it may hold megabytes for one that does not.
 */
const idleTimeout = 30_000

export function createAsset(type: string, text: Buffer): Asset {
  return { type, hash: contentHash(text), text, compressed: {} }
}

/** Answers with an asset, in the encoding that the caller takes, or 304. */
export async function sendAsset(ctx: Context, asset: Asset, cacheControl: string): Promise<void> {
  const encoding = (Object.keys(compress) as Encoding[]).find(one => ctx.acceptsEncodings(one) === one)
  ctx.vary('Accept-Encoding')
  ctx.set('Cache-Control', cacheControl)
  if (answersUnmodified(ctx, `"${asset.hash}${encoding === undefined ? '' : `-${encoding}`}"`)) return
  if (encoding !== undefined) ctx.set('Content-Encoding', encoding)
  ctx.type = asset.type
  const bytes = encoding === undefined ? asset.text : await compressedOnce(asset, encoding)
  if (bytes.length <= slice || ctx.method === 'HEAD') {
    ctx.body = bytes
    return
  }
  ctx.status = 200
  ctx.length = bytes.length
  // Koa would ask the stream whether it is a `Response`, and for that Node loads all of fetch.
  ctx.respond = false
  const { socket } = ctx.req
  ctx.set('Keep-Alive', `timeout=${idleTimeout / 1000}`)
  ctx.res.once('close', () => {
    // Unless the next request is under way.
    if ((socket.timeout ?? 0) > 0) socket.setTimeout(idleTimeout)
  })
  // A reader that goes away is nobody's mistake.
  pipeline(Readable.from(slicesOf(bytes)), ctx.res, () => {})
}

function* slicesOf(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; start += slice) yield bytes.subarray(start, start + slice)
}

function compressedOnce(asset: Asset, encoding: Encoding): Promise<Buffer> {
  asset.compressed[encoding] ??= compress[encoding](asset.text).catch(error => {
    // The next request tries again.
    delete asset.compressed[encoding]
    throw error
  })
  return asset.compressed[encoding]
}
