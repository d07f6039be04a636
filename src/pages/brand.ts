/**
 * Whose pages and mails these are: a name, a logo, and the colours that follow from one that an operator has chosen. Whatever that is,
 * what is written stays legible in light and in dark. WCAG 2.2 §1.4.3, §1.4.11.
 */

export type Brand = Readonly<{
  name: string
  /** Where the name at the top of pages and mails leads; undefined for the home page. */
  url?: string | undefined
  logo?: Logo | undefined
  light: BrandColors
  dark: BrandColors
}>

export type Logo = Readonly<{
  /** Below the path of assets, with a hash of its content. */
  file: string
  type: LogoType
  bytes: Uint8Array
  /** Pixels, or units of an SVG: what counts is what they are to each other. */
  width: number
  height: number
}>

export type LogoType = 'image/png' | 'image/svg+xml' | 'image/webp'

/** Each `#rrggbb`. */
export type BrandColors = Readonly<{
  /** Of links, of edges and of the focus: legible on every ground of the pages. */
  accent: string
  /** The same where the pointer is. */
  accentStrong: string
  /** Of the main button. */
  fill: string
  fillStrong: string
  /** What is written on it. */
  onFill: string
}>

/** Of those grounds that text stands on the one that is nearest to it, as in style.css. */
const lightGround = '#f5f3ee'
const darkGround = '#1b2223'

/** Without settings. */
export const latchkey: Brand = {
  name: 'Latchkey',
  light: { accent: '#0f5c63', accentStrong: '#0a464c', fill: '#0f5c63', fillStrong: '#0a464c', onFill: '#ffffff' },
  dark: { accent: '#83cdd3', accentStrong: '#a5dfe4', fill: '#83cdd3', fillStrong: '#a5dfe4', onFill: '#06282b' },
}

/** Contrast of text: what WCAG asks for, and in dark more, for thin bright letters look fainter than they count. */
const minText = { light: 4.5, dark: 7 }
/** Contrast of what is no text. */
const minShape = 3

/**
 * The colours of the pages for one of an operator's. As text it is made darker or brighter until it can be read; a button has it as it is
 * in light, with black or white on it, whichever can be read.
 *
 * @param color `#rrggbb`
 */
export function brandColors(color: string): Pick<Brand, 'light' | 'dark'> {
  const light = untilLegible(color, black, lightGround, minText.light)
  const dark = untilLegible(color, white, darkGround, minText.dark)
  return {
    light: { accent: light, accentStrong: mix(light, black, 0.25), ...button(color) },
    dark: {
      accent: dark,
      accentStrong: mix(dark, white, 0.35),
      ...button(untilLegible(color, white, darkGround, minShape)),
    },
  }
}

const black = '#000000'
const white = '#ffffff'

function button(fill: string): Pick<BrandColors, 'fill' | 'fillStrong' | 'onFill'> {
  // One of the two always has 4.58 or more.
  const onFill = contrast(fill, white) >= minText.light ? white : black
  return { fill, fillStrong: mix(fill, onFill === white ? black : white, 0.2), onFill }
}

/** The first on the way from one color to another that has the contrast to a ground. */
function untilLegible(color: string, end: string, ground: string, least: number): string {
  for (let part = 0; part < 1; part += 0.02) {
    const mixed = mix(color, end, part)
    if (contrast(mixed, ground) >= least) return mixed
  }
  return end
}

/** @param part of the second, 0 to 1 */
function mix(one: string, other: string, part: number): string {
  const channels = channelsOf(other)
  const mixed = channelsOf(one).map((value, i) => Math.round(value + part * (channels[i]! - value)))
  return `#${mixed.map(value => value.toString(16).padStart(2, '0')).join('')}`
}

/** WCAG 2.2, contrast ratio: 1 to 21. */
export function contrast(one: string, other: string): number {
  const [darker = 0, lighter = 0] = [luminance(one), luminance(other)].toSorted((a, b) => a - b)
  return (lighter + 0.05) / (darker + 0.05)
}

/** WCAG 2.2, relative luminance: 0 to 1. */
function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = channelsOf(color).map(value => {
    const part = value / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/** Red, green and blue, 0 to 255. */
function channelsOf(color: string): number[] {
  return [1, 3, 5].map(at => Number.parseInt(color.slice(at, at + 2), 16))
}

/** What style.css takes its colours of the brand from. */
export function brandStyle({ light, dark }: Brand): string {
  return `:root { ${properties(light)} }\n@media (prefers-color-scheme: dark) {\n  :root { ${properties(dark)} }\n}\n`
}

function properties({ accent, accentStrong, fill, fillStrong, onFill }: BrandColors): string {
  return `--accent: ${accent}; --accent-strong: ${accentStrong}; --fill: ${fill}; --fill-strong: ${fillStrong}; --on-fill: ${onFill};`
}

/** A logo that is this much wider than high is taken for a word: the name does not stand beside it. */
const minWord = 2

export function isWord({ width, height }: Logo): boolean {
  return width >= minWord * height
}
