/**
 * Lists of the SHA-1 hashes of breached passwords as the downloader of Pwned Passwords writes them: one file with lines `SHA1HEX:COUNT`, or a
 * folder of a file for each of the 1,048,576 first five digits, with lines of the other 35. Read a piece at a time.
 *
 * https://haveibeenpwned.com/API/v3#PwnedPasswords
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** A list that cannot be used; the message names the file and the line. */
export class ListError extends Error {
  override name = 'ListError'
}

/** @param hash its first 52 bits @param count how often the password has appeared */
export type OnHash = (hash: number, count: number) => void

const sha1Digits = 40
/** Of an MD4, which is what an NTLM hash is. */
const ntlmDigits = 32
const prefixDigits = 5
export const rangeFiles = 16 ** prefixDigits

/** Bytes that are read at once. */
const maxChunk = 2 ** 20
/** A hash, a colon, a number of fifteen digits, the end of a line. */
const maxLine = sha1Digits + 1 + 15 + 1

const newline = 0x0a
const carriageReturn = 0x0d
const colon = 0x3a

/** Of a byte its value as a hexadecimal digit; 16 for any other. */
const digitValues = Uint8Array.from({ length: 256 }, (_, byte) => {
  const value = Number.parseInt(String.fromCharCode(byte), 16)
  return Number.isNaN(value) ? 16 : value
})

/** Files of a list, and the first digits that the lines of each leave out. */
type ListFile = Readonly<{ path: string; prefix: string; size: number }>

/** @returns the files of a list, which is one itself or a folder of them @throws ListError */
export function filesOf(list: string): ListFile[] {
  const stats = statSync(list, { throwIfNoEntry: false })
  if (stats === undefined) throw new ListError(`${list} does not exist`)
  if (stats.isFile()) return [{ path: list, prefix: '', size: stats.size }]
  if (!stats.isDirectory()) throw new ListError(`${list} is neither a file nor a folder`)
  const files = readdirSync(list)
    .toSorted()
    .flatMap(name => {
      const prefix = /^([0-9a-f]{5})(?:\.txt)?$/i.exec(name)?.[1]
      return prefix === undefined ? [] : [{ path: join(list, name), prefix, size: 0 }]
    })
  if (files.length === 0) throw new ListError(`${list} has no file that is named by five hexadecimal digits`)
  return files
}

/**
 * Reads a file of a list.
 *
 * @param onProgress told how many bytes more have been read
 * @throws ListError
 */
export function readList({ path, prefix }: ListFile, onHash: OnHash, onProgress: (bytes: number) => void): void {
  const descriptor = openSync(path, 'r')
  // The ranges are many and small.
  const chunk = Buffer.allocUnsafe(Math.min(fstatSync(descriptor).size, maxChunk) + maxLine + 1)
  const digits = sha1Digits - prefix.length
  const first = Number.parseInt(prefix || '0', 16) * 2 ** 32
  let [kept, lines] = [0, 0]
  const takeLine = (from: number, to: number) => {
    lines++
    const end = to > from && chunk[to - 1] === carriageReturn ? to - 1 : to
    if (end === from) return
    const count = countOf(chunk, from, end, digits)
    if (count === undefined) throw new ListError(`${path}, line ${lines}, ${problemOf(chunk, from, end, digits)}`)
    // Padding, so that the size of an answer tells nothing.
    if (count === 0) return
    const hash =
      prefix === ''
        ? hexadecimal(chunk, from, prefixDigits) * 2 ** 32 + hexadecimal(chunk, from + prefixDigits, 8)
        : first + hexadecimal(chunk, from, 8)
    onHash(hash, count)
  }
  try {
    for (;;) {
      const read = readSync(descriptor, chunk, kept, chunk.length - kept, null)
      if (read === 0) break
      onProgress(read)
      const size = kept + read
      let from = 0
      for (let to = chunk.indexOf(newline); to !== -1 && to < size; to = chunk.indexOf(newline, from)) {
        takeLine(from, to)
        from = to + 1
      }
      kept = size - from
      if (kept > maxLine) takeLine(from, size)
      chunk.copyWithin(0, from, size)
    }
    if (kept > 0) takeLine(0, kept)
  } finally {
    closeSync(descriptor)
  }
}

/** @returns the number behind the hash of a line; undefined where the line is no such thing */
function countOf(chunk: Buffer, from: number, end: number, digits: number): number | undefined {
  if (end - from > maxLine || end < from + digits + 2 || chunk[from + digits] !== colon) return undefined
  let seen = 0
  for (let at = from; at < from + digits; at++) seen |= digitValues[chunk[at]!]!
  if (seen >= 16) return undefined
  let count = 0
  for (let at = from + digits + 1; at < end; at++) {
    const digit = chunk[at]! - 0x30
    if (digit < 0 || digit > 9) return undefined
    count = count * 10 + digit
  }
  return count
}

function hexadecimal(chunk: Buffer, from: number, digits: number): number {
  let value = 0
  for (let at = from; at < from + digits; at++) value = value * 16 + digitValues[chunk[at]!]!
  return value
}

/** What is wrong with a line, without a word of it: it may be a password. */
function problemOf(chunk: Buffer, from: number, end: number, digits: number): string {
  const isNtlm = countOf(chunk, from, end, digits - (sha1Digits - ntlmDigits)) !== undefined
  if (isNtlm) return 'has an NTLM hash: download the list of SHA-1 hashes'
  const form = digits === sha1Digits ? 'SHA1HEX:COUNT' : `${digits} hexadecimal digits, a colon and a number`
  return `is not ${form}: is the file whole and unpacked?`
}
