/**
 * What the texts that people give may be: usernames, names, what devices call themselves, passwords. Whatever reads
 * one, over HTTP, from a command line or from a file, asks here, and for an address `users/email.ts`. After RFC 8264 and RFC 8265 (PRECIS), but for new texts only: what
 * is stored already stays good.
 */
import { toNfc, toNfkc } from './normal_form.ts'

/** A text as it is to be kept, or what is wrong with it: words that go on after the name of what it is. */
export type Reading = Readonly<{ text: string; problem?: undefined } | { text?: undefined; problem: string }>

/** Characters. RFC 5321 §4.5.3.1.3 has 254 for an address, without its angle brackets. */
export const maxUsername = 128
export const maxEmail = 254
/** Of what is typed to sign in: a username or an address. */
export const maxSignInName = maxEmail
const maxFullName = 256

/** UTF-16 code units; what is longer is cut, so that a session row stays small. */
export const maxDevice = 64
export const maxUserAgent = 160

/** Takes no room, or looks like the space that it is not. The blanks are those that Unicode calls symbols. */
const unseen = /[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800\u{1d159}\ufffc]/u
/** The letters of a width that only old character sets knew. RFC 8265 §3.2. */
const otherWidth = /[\uff00-\uffef]/
/** Stands where bytes were not UTF-8: nobody types it. */
const replacement = '\ufffd'

/** What copying a name from a page leaves in it: soft hyphens, byte order marks, marks of direction that reach no further than themselves. */
const strayMarks = /[\u00ad\u061c\u200b\u200e\u200f\u2060\ufeff]/g

/** Scripts in which ZWJ and ZWNJ make another word, after RFC 5892 appendix A.1 and A.2. */
const joinedScripts =
  'Arab Syrc Mand Nkoo Mong Phag Adlm Rohg Deva Beng Guru Gujr Orya Taml Telu Knda Mlym Sinh Mymr Khmr Cakm'
const joined = `[${joinedScripts.replace(/\w+ ?/g, script => `\\p{scx=${script.trim()}}`)}]`
const neededJoiner = new RegExp(`(?<=(?=[\\p{L}\\p{M}])${joined})[\u200c\u200d](?=(?=[\\p{L}\\p{M}])${joined})`, 'gu')

/**
 * The form in which usernames are compared: NFC, without case and without the white space that a keyboard puts around them, as no
 * username has it. To lower case, to upper and back, so that letters with several forms of one case (σ and ς, ß and ẞ, but also
 * the Turkish ı and i) fall together.
 */
export function usernameKey(username: string): string {
  return toNfc(toNfc(username.trim()).toLowerCase().toUpperCase().toLowerCase())
}

/**
 * The form in which new usernames are compared: what {@link usernameKey} makes one is one here, and so are letters of every width
 * and shape, white space of every kind, and whether there is something that nobody sees. Unicode's NFKC_Casefold, composed.
 */
export function usernameFold(username: string): string {
  if (/^[\x21-\x7e]*$/.test(username)) return username.toLowerCase()
  let fold = usernameKey(username)
  // What one step lays open the next one takes: two or three are enough.
  for (let step = 0; step < 8; step++) {
    const seen = toNfkc(fold).replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    const next = toNfkc(usernameKey(seen.replace(/\s+/g, ' ')))
    if (next === fold) break
    fold = next
  }
  return fold
}

/** The form in which e-mail addresses are compared, with one another and with usernames. @returns undefined for what nobody sees */
export function emailKey(email: string): string | undefined {
  return usernameFold(email) || undefined
}

/**
 * Whether a username is an e-mail address, and not the one that its user has proved: who is called so would be found by it, and keep its
 * owner from an account.
 */
export function isOtherAddress(username: string, proved: string | undefined): boolean {
  const fold = usernameFold(username)
  return fold.includes('@') && (proved === undefined || fold !== emailKey(proved))
}

/** The same of a username. `unseen`: it has something that nobody sees, or that looks like something else. */
export type NameReading = Readonly<
  { text: string; problem?: undefined; kind?: undefined } | { text?: undefined; problem: string; kind: NameFault }
>
export type NameFault = 'missing' | 'too_long' | 'unseen'

/** Reads a new username. Kept in NFC. */
export function readUsername(given: string): NameReading {
  if (given === '') return { problem: 'is empty', kind: 'missing' }
  const tooLong = { problem: `has more than ${maxUsername} characters`, kind: 'too_long' } as const
  // Before it is looked at any closer. Letters with four marks each become one.
  if (given.length > 8 * maxUsername) return tooLong
  const text = toNfc(given)
  if (lengthOf(text) > maxUsername) return tooLong
  const unseen = (problem: string) => ({ problem, kind: 'unseen' }) as const
  if (text.trim() !== text) return unseen('begins or ends with white space')
  if (/^\p{M}/u.test(text)) return unseen('begins with a mark that belongs to the letter before it')
  const hidden = hiddenIn(text.replace(neededJoiner, '').replaceAll(' ', ''))
  if (hidden !== undefined) return unseen(`has a character that cannot be seen: ${hidden}`)
  if (otherWidth.test(text)) return unseen('has letters of full or half width, which look like the usual ones')
  return { text }
}

/** Reads a new full name: one line in NFC, white space of every kind as one space. */
export function readFullName(given: string): Reading {
  if (given.length > 8 * maxFullName) return { problem: `has more than ${maxFullName} characters` }
  const text = toNfc(given.replace(strayMarks, '').replace(/\s+/g, ' ').trim())
  if (lengthOf(text) > maxFullName) return { problem: `has more than ${maxFullName} characters` }
  // Joiners are all over names, in letters as in emoji.
  const hidden = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\ufffd]/u.exec(text.replace(/[\u200c\u200d]/g, ''))?.[0]
  if (hidden !== undefined) return { problem: `has a character that cannot be in a name: ${formatCodePoint(hidden)}` }
  return usernameFold(text) === '' ? { problem: 'has nothing that can be seen' } : { text }
}

/**
 * What a program calls itself, as a label: one line without what could reorder it, cut between two characters as people count them.
 *
 * @param longest UTF-16 code units
 * @returns undefined when nothing is left
 */
export function readLabel(given: string | undefined, longest: number): string | undefined {
  if (given === undefined) return undefined
  // Nearly all there are; one unit more, as what comes after the cut could belong to the character before it.
  const head = given.slice(0, longest + 1)
  if (/^[ -~]*$/.test(head)) return head.slice(0, longest).trim() || undefined
  // A bound before the work. A character of several code points is rarely longer than eleven units.
  const whole = given.slice(0, 2 * longest).toWellFormed()
  const line = whole.replace(/[\p{Cc}\p{Z}\ufeff]+/gu, ' ').replace(/(?![\u200c\u200d])\p{Cf}/gu, '')
  const label = cutText(line.trim(), longest).trim()
  return usernameFold(label) === '' ? undefined : label
}

/**
 * Whether every database keeps a text as it is: without NUL, which no text of PostgreSQL has, and without halves of characters, all of
 * which UTF-8 makes one and the same (RFC 3629 §3, RFC 8259 §8.2). Whatever comes in and is stored or looked up is asked this first.
 */
export function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}

/** A secret that somebody may choose: a form or a terminal can send it, and it did not come in mutilated. */
export function isTypeable(secret: string): boolean {
  return isStorable(secret) && !/[\r\n\ufffd]/.test(secret)
}

/** Costs memory and more than a cut: made when something is too long for the first time. */
let segmenter: Intl.Segmenter | undefined

/** @param longest UTF-16 code units */
function cutText(text: string, longest: number): string {
  if (text.length <= longest) return text
  let cut = ''
  segmenter ??= new Intl.Segmenter('en', { granularity: 'grapheme' })
  for (const { segment } of segmenter.segment(text)) {
    if (cut.length + segment.length > longest) break
    cut += segment
  }
  // A single character with ever more marks on it.
  return cut === '' ? text.slice(0, longest).replace(/[\ud800-\udbff]$/, '') : cut
}

/** As people count them, more or less: code points. */
function lengthOf(text: string): number {
  let length = 0
  for (const _ of text) length++
  return length
}

/** @returns the first character that nobody sees or types, as `U+200B` */
export function hiddenIn(text: string): string | undefined {
  const hidden = unseen.exec(text)?.[0] ?? (text.includes(replacement) ? replacement : undefined)
  return hidden && formatCodePoint(hidden)
}

function formatCodePoint(character: string): string {
  return `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`
}
