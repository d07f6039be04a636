/** The picture of an enrolment, read by a decoder that knows nothing of what drew it. */
import test from 'ava'
import jsQrModule from 'jsqr'
import { qrCodeOf } from '../../src/http/browser/qr.ts'
import { formatHtml } from '../../src/pages/html.ts'
import { qrCode } from '../../src/pages/qr_code.ts'
import { otpauthUri } from '../../src/users/factors/totp.ts'

// Its types are those of an ES module, and it is none.
const decode = jsQrModule as unknown as typeof jsQrModule.default

/** Draws the path as a browser does, `scale` pixels a module. */
function read(svg: string, scale = 4): string | undefined {
  const size = Number(/viewBox="0 0 (\d+) \1"/.exec(svg)?.[1])
  const [, path = ''] = /<path d="([^"]*)"\/>/.exec(svg) ?? []
  const width = size * scale
  const pixels = new Uint8ClampedArray(width * width * 4).fill(255)
  let [x, y] = [0, 0]
  for (const [, command, first, second] of path.matchAll(/([Mmh])(\d+)(?: ([\d.]+))?/g)) {
    if (command === 'M') [x, y] = [Number(first), Math.floor(Number(second))]
    if (command === 'm') x += Number(first)
    if (command !== 'h') continue
    for (let row = y * scale; row < (y + 1) * scale; row++)
      for (let column = x * scale; column < (x + Number(first)) * scale; column++)
        pixels.fill(0, (row * width + column) * 4, (row * width + column) * 4 + 3)
    x += Number(first)
  }
  return decode(pixels, width, width)?.data
}

const secret = Buffer.from('12345678901234567890')

for (const [title, username] of Object.entries({
  'a plain name': 'alice',
  'an address': 'alice+work@example.com',
  'a name in Korean': '홍길동',
  'a long name': 'x'.repeat(128),
})) {
  test(`the QR code of ${title} says what an authenticator app is to know (ISO/IEC 18004)`, async t => {
    const uri = otpauthUri(secret, 'auth.example.com', username)
    const svg = formatHtml(qrCode((await qrCodeOf(uri))!, 'x'))
    t.is(read(svg), uri)
    t.true(svg.length < 9000, `${svg.length}`)
  })
}

test('there is none of a text that would be too fine to be read', async t => {
  t.is(await qrCodeOf('x'.repeat(501)), undefined)
  t.not(await qrCodeOf('x'.repeat(500)), undefined)
})

test('a picture that is another would be found', async t => {
  const rows = (await qrCodeOf('otpauth://totp/a'))!.map(row => row.map(() => true))
  t.is(read(formatHtml(qrCode(rows, 'x'))), undefined)
})
