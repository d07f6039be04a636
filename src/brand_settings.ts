/** The settings about what pages and mails look like, for the list of `config.ts`. */
import { readFullName } from './text.ts'

export type BrandSettings = Readonly<{
  name: string | undefined
  url: string | undefined
  /** The path of a file. */
  logo: string | undefined
  /** `#rrggbb` in lower case. */
  color: string | undefined
}>

/** Characters: a name stands in one line, on a telephone too. */
const maxName = 64

export const brandSettings = {
  LATCHKEY_BRAND_NAME: {
    default: '',
    takes: `a name of at most ${maxName} characters, such as Example`,
    parse: parseName,
  },
  LATCHKEY_BRAND_URL: {
    default: '',
    takes: 'an https URL, such as https://www.example.com/ (http only for a loopback host)',
    parse: parseUrl,
  },
  LATCHKEY_BRAND_LOGO: {
    default: '',
    takes: 'the path of a PNG, an SVG or a WebP file of at most 64 KiB',
    parse: (text: string) => text,
  },
  LATCHKEY_BRAND_COLOR: {
    default: '',
    takes: 'a colour such as #0f5c63',
    parse: (text: string) => (/^#[0-9a-f]{6}$/i.test(text) ? text.toLowerCase() : undefined),
  },
}

export function readBrand(read: (name: keyof typeof brandSettings) => string | undefined): BrandSettings {
  return {
    name: read('LATCHKEY_BRAND_NAME'),
    url: read('LATCHKEY_BRAND_URL'),
    logo: read('LATCHKEY_BRAND_LOGO'),
    color: read('LATCHKEY_BRAND_COLOR'),
  }
}

function parseName(text: string): string | undefined {
  const name = readFullName(text).text
  return name !== undefined && [...name].length <= maxName ? name : undefined
}

function parseUrl(text: string): string | undefined {
  const url = /^https?:\/\/[\x21-\x7e]{1,2000}$/.test(text) ? URL.parse(text) : null
  if (url === null || url.username || url.password) return undefined
  const isLoopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  return url.protocol === 'https:' || isLoopback ? url.href : undefined
}
