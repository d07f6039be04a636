/** What a page says and sends, for tests over HTTP. */
import { base32 } from '../src/users/factors/totp.ts'
import { isTag, readHtml } from './_html.ts'
import type { Answer } from './_server.ts'

/** The hidden fields, as the forms send them; those that only the script fills in left out. */
export function hiddenFields({ body }: Answer): Record<string, string> {
  return Object.fromEntries(
    readHtml(body).flatMap(token => {
      if (!isTag(token) || token.name !== 'input' || token.attributes.get('type') !== 'hidden') return []
      const [name, value] = [token.attributes.get('name')!, token.attributes.get('value')!]
      return value === '' ? [] : [[name, value]]
    }),
  )
}

export function heading({ body }: Answer): string {
  return /<h1>([^<]*)</.exec(body)?.[1] ?? ''
}

/** What is said to be wrong, above the form. */
export function alertOf({ body }: Answer): string {
  const told = /role="alert" id="problem">\s*(?:<p>|<h2>[^<]*<\/h2>\s*<ul><li><a[^>]*>)([^<]*)</.exec(body)
  return told?.[1] ?? ''
}

export function attributeOf({ body }: Answer, name: string): string | undefined {
  return readHtml(body).flatMap(token => (isTag(token) ? (token.attributes.get(name) ?? []) : []))[0]
}

/** The key of an enrolment, as it is shown to be typed. */
export function shownSecret({ body }: Pick<Answer, 'body'>): Buffer {
  const text = (/<code id="key"[^>]*>([A-Z2-7 ]+)</.exec(body)?.[1] ?? '').replaceAll(' ', '')
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const bits = [...text].map(character => alphabet.indexOf(character).toString(2).padStart(5, '0')).join('')
  const bytes = Buffer.from((bits.match(/.{8}/g) ?? []).map(byte => Number.parseInt(byte, 2)))
  if (bytes.length === 0 || base32(bytes) !== text) throw new Error(`no key: ${text}`)
  return bytes
}

export function shownCodes({ body }: Answer): string[] {
  return [...body.matchAll(/<li><code[^>]*>([^<]*)</g)].map(([, code]) => code!)
}
