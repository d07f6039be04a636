/** The modules of a QR code. The library is loaded with the first one: most servers draw few. */
import type { QrCode } from '../../pages/qr_code.ts'

/** Characters: beyond that a phone that is held before a screen does not tell the modules apart. */
const maxText = 500

/** @returns undefined for a text that is too long */
export async function qrCodeOf(text: string): Promise<QrCode | undefined> {
  if (text.length > maxText) return undefined
  const { encode } = await import('uqr')
  return encode(text, { ecc: 'L', border: 0 }).data
}
