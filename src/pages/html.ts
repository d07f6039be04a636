/**
 * HTML from templates. Text that is interpolated is always escaped; only what {@link html} and {@link attributes} made is
 * markup. A hole that could be fooled (an attribute value without quotes, markup inside quotes) throws at its first use.
 * Not for the inside of script and style elements, whose text has other rules: the pages have none.
 */

// A symbol: nothing that came as JSON or as a form can pass for markup.
const markup = Symbol('markup')

/** Where a hole is: between tags, in a tag, or in a quoted attribute value. */
type Place = 'content' | 'tag' | 'value'

export type Html = Readonly<{ [markup]: string; place: 'content' }>
export type Attributes = Readonly<{ [markup]: string; place: 'tag' }>
/** `undefined` and `false` are nothing. */
export type Content = Html | Attributes | string | number | false | undefined | readonly Content[]

/** The template tag: `` html`<p title="${text}">${text}</p>` ``. */
export function html(literals: TemplateStringsArray, ...values: readonly Content[]): Html {
  const places = placesOf(literals)
  let text = literals[0]!
  for (let i = 0; i < values.length; i++) text += fill(values[i], places[i]!) + literals[i + 1]!
  return { [markup]: text, place: 'content' }
}

/**
 * Attributes for a hole in a tag: `` html`<input${attributes({ name, required: true })}>` ``.
 *
 * @param record the names are ours, never a person's; `undefined` and `false` leave the attribute out
 */
export function attributes(record: Readonly<Record<string, string | number | boolean | undefined>>): Attributes {
  let text = ''
  for (const [name, value] of Object.entries(record)) {
    if (value === true) text += ` ${name}`
    else if (value !== undefined && value !== false) text += ` ${name}="${escapeText(String(value))}"`
  }
  return { [markup]: text, place: 'tag' }
}

/** The text to send. */
export function formatHtml(page: Html): string {
  return page[markup]
}

function fill(value: Content, place: Place): string {
  if (value === undefined || value === false) return ''
  if (typeof value === 'string' || typeof value === 'number') {
    if (place === 'tag') throw new TypeError('text in a tag must be an attribute value in double quotes')
    return escapeText(String(value))
  }
  if (Array.isArray(value)) return value.map(one => fill(one, place)).join('')
  const made = value as Html | Attributes
  if (typeof made[markup] !== 'string' || made.place !== place)
    throw new TypeError(`no markup for a hole in a ${place}`)
  return made[markup]
}

const knownPlaces = new WeakMap<TemplateStringsArray, readonly Place[]>()

/** Read from the literals alone, once for each template. */
function placesOf(literals: TemplateStringsArray): readonly Place[] {
  let places = knownPlaces.get(literals)
  if (places === undefined) {
    places = literals.slice(0, -1).map((_, i) => placeAfter(literals.slice(0, i + 1).join('')))
    knownPlaces.set(literals, places)
  }
  return places
}

function placeAfter(text: string): Place {
  const tag = text.lastIndexOf('<')
  if (tag <= text.lastIndexOf('>')) return 'content'
  return text.slice(tag).split('"').length % 2 === 0 ? 'value' : 'tag'
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
}

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, character => escapes[character]!)
}
