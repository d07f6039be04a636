/** The brand of an operator: what of its settings can be used, what follows from a colour, and that a logo does nothing but be seen. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { openBrand } from '../src/brand.ts'
import { ConfigError } from '../src/config.ts'
import { type Brand, brandColors, contrast, isWord, latchkey } from '../src/pages/brand.ts'
import { isTag, readHtml } from './_html.ts'
import { startServer, startServerWithAlice } from './_server.ts'

const none = { name: undefined, url: undefined, logo: undefined, color: undefined }
const folder = mkdtempSync(join(tmpdir(), 'latchkey-brand-'))

function openLogo(name: string, content: string | Buffer): Brand['logo'] {
  const logo = join(folder, name)
  writeFileSync(logo, content)
  return openBrand({ ...none, logo }).logo
}

function pngOf(width: number, height: number): Buffer {
  const bytes = Buffer.alloc(64)
  bytes.write('\x89PNG\r\n\x1a\n', 'latin1')
  bytes.writeUInt32BE(13, 8)
  bytes.write('IHDR', 12)
  bytes.writeUInt32BE(width, 16)
  bytes.writeUInt32BE(height, 20)
  return bytes
}

function webpOf(kind: string, at: number, ...bytes: number[]): Buffer {
  const file = Buffer.alloc(40)
  file.write('RIFF', 'latin1')
  file.write(`WEBP${kind}`, 8, 'latin1')
  file.set(bytes, at)
  return file
}

const svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 100"><script>alert(1)</script></svg>'

test('without settings the brand is Latchkey, and each setting counts for itself', t => {
  t.like(openBrand(none), latchkey)
  t.like(openBrand({ ...none, name: 'Example' }), { ...latchkey, name: 'Example' })
  t.like(openBrand({ ...none, color: '#ffcc00' }), { name: 'Latchkey', light: { fill: '#ffcc00', onFill: '#000000' } })
})

test('property: whatever the colour is, text has a contrast of 4.5 and a button can be told from its ground (WCAG 1.4.3, 1.4.11)', t => {
  const channel = fc.integer({ min: 0, max: 255 }).map(value => value.toString(16).padStart(2, '0'))
  const color = fc.tuple(channel, channel, channel).map(parts => `#${parts.join('')}`)
  fc.assert(
    fc.property(color, given => {
      const { light, dark } = brandColors(given)
      for (const [{ accent, accentStrong, fill, fillStrong, onFill }, ...grounds] of [
        [light, '#f5f3ee', '#ffffff'],
        [dark, '#131819', '#1b2223'],
      ] as const) {
        for (const ground of grounds)
          for (const text of [accent, accentStrong])
            t.true(contrast(text, ground) >= 4.5, `${given}: ${text} ${ground}`)
        for (const ground of [fill, fillStrong]) t.true(contrast(onFill, ground) >= 4.5, `${given}: on ${ground}`)
      }
      t.is(light.fill, given)
      t.true(contrast(dark.fill, '#1b2223') >= 3, given)
    }),
    { examples: [['#000000'], ['#ffffff'], ['#777777'], ['#ffff00'], ['#0000ff'], ['#ff0000']] },
  )
})

test('a logo is a PNG, an SVG or a WebP by its bytes, whatever its file is called, and says how wide it is', t => {
  t.like(openLogo('a.jpg', pngOf(200, 100)), { type: 'image/png', width: 200, height: 100 })
  // RFC 9649 §2.5, §2.6, §2.7.
  t.like(openLogo('b', webpOf('VP8 ', 26, 0x2c, 0x41, 0x64, 0)), { type: 'image/webp', width: 300, height: 100 })
  t.like(openLogo('c', webpOf('VP8L', 21, 0x2b, 0xc1, 0x18, 0)), { type: 'image/webp', width: 300, height: 100 })
  t.like(openLogo('d', webpOf('VP8X', 24, 0x2b, 1, 0, 99, 0, 0)), { type: 'image/webp', width: 300, height: 100 })
  const sizes: [string, number, number][] = [
    [svg, 300, 100],
    [
      '\ufeff<?xml version="1.0"?>\n<!-- a -->\n<!DOCTYPE svg>\n<svg width="40px" height="20" viewBox="0,0 , 8 4">',
      8,
      4,
    ],
    ["<svg width='40px' height='20'>", 40, 20],
    ['<svg>', 1, 1],
  ]
  for (const [text, width, height] of sizes) t.like(openLogo('e', text), { type: 'image/svg+xml', width, height }, text)
  t.true(isWord(openLogo('f', pngOf(200, 100))!))
  t.false(isWord(openLogo('g', pngOf(199, 100))!))
})

test('what is no picture, has no size, is too large or is not there ends the start in a line that says so', t => {
  const cases: [string, string | Buffer, RegExp][] = [
    ['a.png', 'GIF89a', /it is no PNG, SVG or WebP$/],
    ['b.svg', '<html><svg></svg></html>', /it is no PNG, SVG or WebP$/],
    ['c.svg', '', /it is no PNG, SVG or WebP$/],
    ['d.png', pngOf(0, 100), /it has no size$/],
    ['e.svg', '<svg viewBox="0 0 wide 1">', /it has no size$/],
    ['f.svg', `<svg>${' '.repeat(65_536)}</svg>`, /it is longer than 64 KiB$/],
  ]
  for (const [name, content, message] of cases)
    t.throws(() => openLogo(name, content), { instanceOf: ConfigError, message }, name)
  const logo = join(folder, 'nowhere.png')
  t.throws(() => openBrand({ ...none, logo }), { instanceOf: ConfigError, message: /there is no such file$/ })
  t.throws(() => openBrand({ ...none, logo: folder }), { instanceOf: ConfigError, message: /it is a folder$/ })
  t.is(openLogo('f.svg', `<svg>${' '.repeat(65_000)}</svg>`)?.type, 'image/svg+xml')
})

test('a page has the name, the logo and the colours of its brand, and its head leads to the site of the brand', async t => {
  const url = 'https://www.example.com/?a=1&b=2'
  const brand = openBrand({ ...none, name: '<Example> & Co', url, color: '#ffcc00' })
  const logo = openLogo('word.svg', svg)!
  const square = openLogo('square.png', pngOf(64, 64))!
  const accept = { accept: 'text/html' }
  const tagsOf = (page: string) => readHtml(page).filter(isTag)
  const headOf = (page: string) => page.slice(page.indexOf('<header'), page.indexOf('</header>'))

  const plain = await startServer(t, { brand })
  const { body } = await plain.request('/login', { headers: accept })
  t.true(body.includes('<title>Sign in – &lt;Example&gt; &amp; Co</title>'))
  t.deepEqual(
    tagsOf(headOf(body)).map(({ name, attributes }) => [name, attributes.get('href')]),
    [
      ['header', undefined],
      ['a', url],
      ['bdi', undefined],
      ['bdi', undefined],
      ['a', undefined],
    ],
  )
  const [, style = ''] = /href="(\/assets\/style[^"]*)"/.exec(body) ?? []
  t.true((await plain.request(style)).body.startsWith(':root { --accent: #'))
  t.true((await plain.request(style)).body.includes('--fill: #ffcc00; '))

  // A word says the name itself; a sign stands beside it, and in the tab.
  for (const [one, alt, says, icon] of [
    [logo, '<Example> & Co', false, '/favicon.ico'],
    [square, '', true, `/assets/${square.file}`],
  ] as const) {
    const server = await startServerWithAlice(t, { brand: { ...brand, logo: one } })
    const page = (await server.request('/login', { headers: accept })).body
    const [picture] = tagsOf(page).filter(({ name }) => name === 'img')
    t.is(picture?.attributes.get('src'), `/assets/${one.file}`)
    t.is(picture?.attributes.get('alt'), alt)
    t.is(
      headOf(page).includes('&lt;Example&gt;</bdi>') || headOf(page).includes('&lt;Example&gt; &amp; Co</bdi>'),
      says,
    )
    t.true(page.includes(`<link rel="icon" href="${icon}">`))
    const { status, headers } = await server.request(`/assets/${one.file}`)
    t.deepEqual(
      [
        status,
        headers.get('content-type'),
        headers.get('content-security-policy'),
        headers.get('x-content-type-options'),
      ],
      [200, one.type, "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'", 'nosniff'],
    )
    t.is(headers.get('cache-control'), 'public, max-age=31536000, immutable')
    t.is((await server.request('/assets/logo.svg')).status, 404)
  }
})
