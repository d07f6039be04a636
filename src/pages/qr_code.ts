/** A QR code (ISO/IEC 18004) as an inline picture: black on white in both colour schemes, for cameras. */
import { type Html, html } from './html.ts'

/** Rows of modules, without a border; true is black. */
export type QrCode = readonly (readonly boolean[])[]

/** Modules of white around it that a camera needs: ISO/IEC 18004 §6.3.8. */
const border = 4

export function qrCode(rows: QrCode, label: string): Html {
  const size = rows.length + 2 * border
  return html`<svg class="qr" viewBox="0 0 ${size} ${size}" role="img" aria-label="${label}" shape-rendering="crispEdges"><path class="light" d="M0 0h${size}v${size}H0z"/><path d="${pathOf(rows)}"/></svg>`
}

/** One line for each run of black modules, from where the one before ended. */
function pathOf(rows: QrCode): string {
  let path = ''
  rows.forEach((row, y) => {
    let at = 0
    path += `M${border} ${y + border}.5`
    for (let x = 0; x < row.length; x++) {
      if (!row[x]) continue
      let end = x
      while (row[end]) end++
      path += `m${x - at} 0h${end - x}`
      at = end
      x = end
    }
  })
  return path
}
