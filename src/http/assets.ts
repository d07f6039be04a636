/** Texts that stay the same while the server runs. Each is compressed at most once in each way, when first asked for, and kept. */
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import type { Context } from 'koa'
import { answersUnmodified, contentHash } from './cache.ts'

export type Asset = Readonly<{
  type: string
  hash: string
  /** Reads the text itself, which is not kept: nearly everybody takes it compressed. */
  read: () => Promise<Buffer>
  compressed: Partial<Record<Encoding, Promise<Buffer>>>
}>

type Encoding = keyof typeof compress

/** In the order of preference. Brotli's last steps would take seconds for a hundredth of the size. */
const compress = {
  br: (bytes: Buffer) => promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }),
  gzip: (bytes: Buffer) => promisify(gzip)(bytes, { level: 9 }),
}

export async function createAsset(type: string, read: () => Promise<Buffer>): Promise<Asset> {
  return { type, hash: contentHash(await read()), read, compressed: {} }
}

/** Answers with an asset, in the encoding that the caller takes, or 304. */
export async function sendAsset(ctx: Context, asset: Asset, cacheControl: string): Promise<void> {
  const encoding = (Object.keys(compress) as Encoding[]).find(one => ctx.acceptsEncodings(one) === one)
  ctx.vary('Accept-Encoding')
  ctx.set('Cache-Control', cacheControl)
  if (answersUnmodified(ctx, `"${asset.hash}${encoding === undefined ? '' : `-${encoding}`}"`)) return
  if (encoding !== undefined) ctx.set('Content-Encoding', encoding)
  ctx.type = asset.type
  ctx.body = encoding === undefined ? await asset.read() : await compressedOnce(asset, encoding)
}

function compressedOnce(asset: Asset, encoding: Encoding): Promise<Buffer> {
  asset.compressed[encoding] ??= asset.read().then(compress[encoding])
  return asset.compressed[encoding]
}
