/** The brand of an operator as pages and mails have it: the settings, with the logo opened. What a logo is, its bytes say. */
import { createHash } from 'node:crypto'
import type { BrandSettings } from './brand_settings.ts'
import { ConfigError } from './config.ts'
import { type Brand, brandColors, type Logo, type LogoType, latchkey } from './pages/brand.ts'
import { readSmallBytes } from './small_file.ts'

/** @throws ConfigError when the logo cannot be used */
export function openBrand({ name, url, logo, color }: BrandSettings): Brand {
  return {
    ...latchkey,
    ...(name !== undefined && { name }),
    ...(color !== undefined && brandColors(color)),
    url,
    logo: logo === undefined ? undefined : openLogo(logo),
  }
}

function openLogo(path: string): Logo {
  const bytes = readLogo(path)
  const image = readPng(bytes) ?? readWebp(bytes) ?? readSvg(bytes)
  if (image === undefined) throw refusal(path, 'it is no PNG, SVG or WebP')
  if (!(image.width > 0 && image.height > 0)) throw refusal(path, 'it has no size')
  const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 16)
  const extension = { 'image/png': 'png', 'image/svg+xml': 'svg', 'image/webp': 'webp' }[image.type]
  return { ...image, bytes, file: `logo.${hash}.${extension}` }
}

function readLogo(path: string): Buffer {
  try {
    const bytes = readSmallBytes(path)
    if (bytes !== undefined) return bytes
  } catch (error) {
    throw refusal(path, (error as Error).message)
  }
  throw refusal(path, 'there is no such file')
}

function refusal(path: string, why: string): ConfigError {
  return new ConfigError(`LATCHKEY_BRAND_LOGO is ${JSON.stringify(path)}, which cannot be used: ${why}`)
}

type Image = { type: LogoType; width: number; height: number }

/** W3C PNG §11.2.2: the signature, and the header with the size. */
function readPng(bytes: Buffer): Image | undefined {
  if (bytes.length < 33 || bytes.toString('latin1', 0, 8) !== '\x89PNG\r\n\x1a\n') return undefined
  return { type: 'image/png', width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) }
}

/** RFC 9649 §2.5 to §2.7: three forms, each with the size at a place of its own. */
function readWebp(bytes: Buffer): Image | undefined {
  if (bytes.length < 30 || bytes.toString('latin1', 0, 4) !== 'RIFF' || bytes.toString('latin1', 8, 12) !== 'WEBP')
    return undefined
  const type = 'image/webp'
  switch (bytes.toString('latin1', 12, 16)) {
    case 'VP8 ':
      return { type, width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff }
    case 'VP8L': {
      const bits = bytes.readUInt32LE(21)
      return { type, width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 }
    }
    case 'VP8X':
      return { type, width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1 }
    default:
      return undefined
  }
}

/** SVG 2 §8.2, §8.6: the box that it is drawn in, or its width and height; a square where it has neither. */
function readSvg(bytes: Buffer): Image | undefined {
  const text = bytes.toString('utf8')
  const start = /^\ufeff?\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->)[\s\S])*-->\s*)*(?:<!doctype[^>[]*>\s*)?<svg(?=[\s>])/i
  const opening = start.exec(text)?.[0]
  if (opening === undefined) return undefined
  const tag = text.slice(opening.length, text.indexOf('>', opening.length))
  const attribute = (name: string) => new RegExp(`\\s${name}\\s*=\\s*["']([^"']*)["']`).exec(tag)?.[1]
  const box = attribute('viewBox')
    ?.trim()
    .split(/[\s,]+/)
    .map(Number)
  const [width, height] =
    box?.length === 4
      ? box.slice(2)
      : [attribute('width'), attribute('height')].map(one => Number.parseFloat(one ?? '1'))
  return { type: 'image/svg+xml', width: width!, height: height! }
}
