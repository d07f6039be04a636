/**
 * Texts that people type, in one form and at a bounded cost. A normal form takes time by the square of the marks that follow one
 * letter, so such texts are told apart first: UAX #15 §13 (Stream-Safe Text Format).
 */

/** More marks in a row than any language has: UAX #15, UAX15-D3. From the first of a row, or each would be looked at thirty times. */
const endlessMarks = /(?<!\p{M})\p{M}{31}/u

/** In NFC, in time that is linear in the length. A text that no language has, with endless marks on a letter, stays as it is. */
export function toNfc(text: string): string {
  return endlessMarks.test(text) ? text : text.normalize('NFC')
}

/** {@link toNfc}, in NFKC. */
export function toNfkc(text: string): string {
  return endlessMarks.test(text) ? text : text.normalize('NFKC')
}

/** UTF-16 units of a character, however it is typed: NFC takes as many to one at most (UAX #15, Table 6). */
const maxUnits = 4

/**
 * Whether a text can be told to be too long without a look at it: no normal form of it has as few characters.
 *
 * @param longest characters in NFC
 */
export function isFarTooLong(text: string, longest: number): boolean {
  return text.length > maxUnits * longest
}

/** What is compared and counted in the place of a text that is far too long: still too long, and no longer endless. */
export function cutFarTooLong(text: string, longest: number): string {
  return isFarTooLong(text, longest) ? text.slice(0, maxUnits * longest + 1) : text
}
