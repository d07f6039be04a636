/**
 * The HTML of a mail: one column, styles where they are used, for mail programs take little else; in dark by rules of its own, which
 * those that know no such rules leave out. Nothing is fetched but the operator's logo, and nobody is told who has read it.
 */
import type { Brand } from '../pages/brand.ts'
import { attributes, type Content, formatHtml, type Html, html } from '../pages/html.ts'
import type { Language } from '../pages/language.ts'
import { assetPath, pathsBelow } from '../pages/paths.ts'
import type { MailText, MailTexts } from './texts_en.ts'

/** Whose mails they are. */
export type Sender = Readonly<{
  brand: Brand
  issuer: string
}>

/** What a mail consists of, whichever part of it is written. */
export type MailParts = Readonly<{
  words: MailTexts
  text: MailText
  details: readonly (readonly [label: string, value: string])[]
  link?: string | undefined
  code?: string | undefined
}>

/** The grounds and inks of style.css. */
const light = { ground: '#f5f3ee', surface: '#ffffff', ink: '#1f2628', muted: '#5a6467', line: '#dcd8ce' }
const dark = { ground: '#131819', surface: '#1b2223', ink: '#e8ecea', muted: '#a3afb0', line: '#313b3c' }

const families =
  "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif"
/** Words of Korean stay whole, and what has no place to break breaks anywhere. */
const wrap = 'word-break:keep-all;overflow-wrap:anywhere'
const styles = {
  ground: `margin:0;padding:0;background:${light.ground};-webkit-text-size-adjust:100%`,
  brand: `padding:0 8px 16px;font:600 18px/1.4 ${families};color:${light.ink};${wrap}`,
  surface: `padding:28px 24px 16px;background:${light.surface};border:1px solid ${light.line};border-radius:10px`,
  text: `margin:0 0 16px;font:16px/1.6 ${families};color:${light.ink};${wrap}`,
  small: `margin:0 0 12px;font:14px/1.6 ${families};color:${light.muted};${wrap}`,
  label: `padding:2px 16px 2px 0;font:14px/1.6 ${families};color:${light.muted};white-space:nowrap`,
  value: `padding:2px 0;font:14px/1.6 ${families};color:${light.ink};${wrap}`,
  button: `display:inline-block;padding:12px 22px;font:600 16px/1.4 ${families};text-decoration:none;border-radius:8px`,
  code: `margin:0 0 24px;padding:12px 0;font:600 26px/1.3 ui-monospace,Menlo,Consolas,monospace;letter-spacing:3px;text-align:center;color:${light.ink};border:1px solid ${light.line};border-radius:8px`,
  foot: `padding:16px 8px 0;font:13px/1.6 ${families};color:${light.muted};${wrap}`,
  link: `color:${light.muted}`,
}

export function formatMailHtml({ brand, issuer }: Sender, language: Language, parts: MailParts): string {
  const { words, text, details, link, code } = parts
  const [what, ...more] = text.lines
  const home = brand.url ?? issuer
  return formatHtml(html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>${text.subject}</title>
<style>${darkRules(brand)}</style>
</head>
<body class="ground" style="${styles.ground}">
${table(
  'width:100%',
  html`<tr><td align="center" style="padding:24px 12px 32px">
${table(
  'width:100%;max-width:520px',
  html`<tr><td class="ink" style="${styles.brand}">${logoOrName(brand, issuer)}</td></tr>
<tr><td class="surface line" style="${styles.surface}">
${paragraph(what)}${
  details.length > 0 &&
  table(
    'margin:0 0 20px',
    details.map(
      ([label, value]) => html`<tr><td class="muted" valign="top" style="${styles.label}">${label}</td>
<td class="ink" style="${styles.value}">${value}</td></tr>
`,
    ),
  )
}${more.map(paragraph)}${text.button !== undefined && button(text.button, link, brand)}${
  code !== undefined &&
  html`${paragraph(words.code)}<p class="ink line" style="${styles.code}">${code}</p>
`
}${text.after.map(
  line => html`<p class="muted" style="${styles.small}">${line}</p>
`,
)}</td></tr>
<tr><td class="muted" style="${styles.foot}">${words.automatic(brand.name)}<br>
<a class="muted" href="${home}" style="${styles.link}">${home}</a></td></tr>
`,
)}</td></tr>
`,
)}</body>
</html>
`)
}

/** Which people who hear it do not hear. */
function table(style: string, rows: Content): Html {
  return html`<table role="presentation" cellpadding="0" cellspacing="0" border="0" style="${style}">
${rows}</table>
`
}

function paragraph(text: string | undefined): Html {
  return html`<p class="ink" style="${styles.text}">${text}</p>
`
}

function button(label: string, link: string | undefined, { light: { fill, onFill } }: Brand): Html {
  const ground = { class: 'fill', bgcolor: fill, style: `background:${fill};border-radius:8px` }
  return table(
    'margin:4px 0 24px',
    html`<tr><td${attributes(ground)}><a class="fill" href="${link}" style="${`${styles.button};color:${onFill}`}">${label}</a></td></tr>
`,
  )
}

/** Pixels: as high as a line of the head, as wide as a telephone leaves room for. */
const logoBox = { width: 200, height: 40 }

/** Mail programs show PNG; few show anything newer. */
function logoOrName({ name, logo }: Brand, issuer: string): Html | string {
  if (logo?.type !== 'image/png') return name
  const scale = Math.min(logoBox.width / logo.width, logoBox.height / logo.height, 1)
  const [width, height] = [Math.max(1, Math.round(logo.width * scale)), Math.max(1, Math.round(logo.height * scale))]
  const { origin, pathname } = new URL(issuer)
  const src = origin + assetPath(pathsBelow(pathname.replace(/\/$/, '')), logo.file)
  return html`<img${attributes({ src, alt: name, width, height, style: 'display:block;border:0' })}>`
}

/** All colours are ours or were checked, so that nothing needs escaping here. */
function darkRules({ dark: { fill, onFill } }: Brand): string {
  const rules = [
    `.ground { background: ${dark.ground} !important }`,
    `.surface { background: ${dark.surface} !important }`,
    `.ink { color: ${dark.ink} !important }`,
    `.muted { color: ${dark.muted} !important }`,
    `.line { border-color: ${dark.line} !important }`,
    `.fill { background: ${fill} !important; color: ${onFill} !important }`,
  ]
  return `@media (prefers-color-scheme: dark) { ${rules.join(' ')} }`
}
