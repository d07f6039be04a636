/**
 * Text of others where people and terminals read it: tables, messages, JSON, log lines. Nothing in it steers a terminal, begins a line
 * of its own, changes the order of what stands around it, or stands there unseen (CWE-150, CWE-117, Unicode TR 36 §2).
 */

/** Controls, format characters, line and paragraph separators, halves of characters, private use, what takes no room. */
const acting = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Default_Ignorable_Code_Point}]/gu
const actingButLines = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Default_Ignorable_Code_Point}]/gu

const escapeOne = (character: string) => `\\u{${character.codePointAt(0)!.toString(16)}}`

/** As one line: what acts instead of being seen is written like `\u{1b}`. */
export function printable(text: string): string {
  return text.replace(acting, escapeOne)
}

/** {@link printable}, of a text whose line ends are ours. */
export function printableLines(text: string): string {
  return text.replace(actingButLines, escapeOne)
}

/** JSON text that means the same, with `\u001b` for what acts; line ends stay. */
export function printableJson(json: string): string {
  return json.replace(actingButLines, character => {
    let escaped = ''
    for (let i = 0; i < character.length; i++) escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`
    return escaped
  })
}

/** One line of JSON. */
export function formatJson(value: unknown): string {
  return printableJson(JSON.stringify(value))
}

/** A name or value of somebody else's inside a message of ours: one line, and no longer than a line. */
export function printableBrief(text: string): string {
  return printable(text.length > 100 ? `${text.slice(0, 99)}…` : text)
}
