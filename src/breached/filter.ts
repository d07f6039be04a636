/**
 * The file that tells whether a password is among those that have appeared in data breaches, in 1.5 bytes for each of them: a Golomb
 * coded set. Each SHA-1 becomes a number below 1,024 times as many as there are hashes; the numbers are kept sorted, as the gaps between
 * them. What is in the list is always found; of other passwords one in 1,024 is taken for one of them, and then another is asked for.
 *
 * All numbers are big-endian:
 *
 * | bytes | what |
 * |---|---|
 * | 16 | `latchkeybreached` |
 * | 4 | version, 1 |
 * | 4 | number of blocks |
 * | 6 | count: hashes, none counted twice |
 * | 6 | scale: hashes in the lists; 1,024 times as many numbers are possible |
 * | 6 | when it was built, in seconds since the epoch |
 * | 6 | size of all blocks in bytes |
 * | 4 | of the lists' hashes those were taken that had appeared so often |
 * | 8 | zeros |
 * | 4 | CRC-32 of all before |
 * | … | the blocks: each has the numbers of a range of 2^18, some 256, and a CRC-32 of its place and of these |
 * | 4 each | where a block begins, behind the header; and where the last one ends |
 *
 * Why no Bloom filter and no binary fuse filter: docs/breached-passwords.md has the numbers.
 */

import { createHash } from 'node:crypto'
import { closeSync, constants, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { hasNumber } from './golomb.ts'

const magic = Buffer.from('latchkeybreached', 'latin1')
const version = 1
export const headerSize = 64
export const checksumSize = 4
export const offsetSize = 4

/** One in so many passwords that are not in the list is taken for one that is. */
export const falsePositives = 1024
/** Numbers of which one block has those that are there. */
export const blockRange = 256 * falsePositives
/** Bytes. A block whose numbers are all there has no more. */
const maxBlock = (blockRange * 11) / 8 + checksumSize

export type FilterHeader = Readonly<{
  blocks: number
  count: number
  scale: number
  /** Seconds since the epoch. */
  builtAt: number
  /** Bytes. */
  blocksSize: number
  minCount: number
}>

/** A file that is no filter, or cannot be read; the message goes on after the name of the file. */
export class FilterError extends Error {
  override name = 'FilterError'
}

/** Hashes are told apart by their first 52 bits, which a number of JavaScript holds exactly. */
export const hashBits = 52

/** The first 52 bits of the SHA-1 of a text in UTF-8. */
export function hashOf(text: string): number {
  const digest = createHash('sha1').update(text, 'utf8').digest()
  return digest.readUInt32BE(0) * 2 ** 20 + (digest.readUInt32BE(4) >>> 12)
}

/** @returns the number that stands for a hash; it never falls where the hash rises */
export function numberOf(hash: number, scale: number): number {
  return Math.floor((hash / 2 ** hashBits) * (scale * falsePositives))
}

export const blocksOf = (scale: number) => Math.ceil((scale * falsePositives) / blockRange)

export function formatHeader(header: FilterHeader): Buffer {
  const bytes = Buffer.alloc(headerSize)
  magic.copy(bytes)
  bytes.writeUInt32BE(version, 16)
  bytes.writeUInt32BE(header.blocks, 20)
  bytes.writeUIntBE(header.count, 24, 6)
  bytes.writeUIntBE(header.scale, 30, 6)
  bytes.writeUIntBE(header.builtAt, 36, 6)
  bytes.writeUIntBE(header.blocksSize, 42, 6)
  bytes.writeUInt32BE(header.minCount, 48)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, headerSize - checksumSize)), headerSize - checksumSize)
  return bytes
}

/** @param fileSize bytes @throws FilterError */
function parseHeader(bytes: Buffer, fileSize: number): FilterHeader {
  if (bytes.length < 20 || !bytes.subarray(0, 16).equals(magic))
    throw new FilterError('is none that latchkey breached build has written')
  if (bytes.readUInt32BE(16) > version) throw new FilterError('is of a newer latchkey: build it again with this one')
  if (bytes.length < headerSize) throw new FilterError('is cut short')
  if (crc32(bytes.subarray(0, headerSize - checksumSize)) !== bytes.readUInt32BE(headerSize - checksumSize))
    throw new FilterError('is damaged')
  const header = {
    blocks: bytes.readUInt32BE(20),
    count: bytes.readUIntBE(24, 6),
    scale: bytes.readUIntBE(30, 6),
    builtAt: bytes.readUIntBE(36, 6),
    blocksSize: bytes.readUIntBE(42, 6),
    minCount: bytes.readUInt32BE(48),
  }
  const size = headerSize + header.blocksSize + offsetSize * (header.blocks + 1)
  if (fileSize < size) throw new FilterError(`is cut short: it has ${fileSize} of ${size} bytes`)
  if (fileSize > size) throw new FilterError(`is too long: it has ${fileSize} bytes, and ${size} belong to it`)
  return header
}

/** A filter that is open for reading. */
export type OpenFilter = FilterHeader & Readonly<{ descriptor: number }>

/** Opens a filter for as long as `run` takes, and reads its header. @throws FilterError */
export function withFilter<T>(path: string, run: (filter: OpenFilter) => T): T {
  const descriptor = openToRead(path)
  try {
    const stats = fstatSync(descriptor)
    if (!stats.isFile()) throw new FilterError('is no file')
    return run({ ...parseHeader(readAt(descriptor, 0, headerSize), stats.size), descriptor })
  } finally {
    closeSync(descriptor)
  }
}

/** @throws FilterError */
export function readHeader(path: string): FilterHeader {
  return withFilter(path, ({ descriptor: _, ...header }) => header)
}

/** Whether a file is a filter, be it whole or not; undefined where there is no file. @throws FilterError when it cannot be read */
export function isFilter(path: string): boolean | undefined {
  if (!existsSync(path)) return undefined
  const descriptor = openToRead(path)
  try {
    return fstatSync(descriptor).isFile() && readAt(descriptor, 0, magic.length).equals(magic)
  } finally {
    closeSync(descriptor)
  }
}

/** Whether a number is there. @throws FilterError */
export function filterHas(filter: OpenFilter, number: number): boolean {
  const block = Math.floor(number / blockRange)
  return hasNumber(readBlock(filter, block), number % blockRange)
}

/** The numbers of a block. @throws FilterError */
export function readBlock({ descriptor, blocks, blocksSize }: OpenFilter, block: number): Buffer {
  const place = readAt(descriptor, headerSize + blocksSize + offsetSize * block, 2 * offsetSize)
  if (block >= blocks || place.length < 2 * offsetSize) throw new FilterError('is damaged')
  const [start, end] = [place.readUInt32BE(0), place.readUInt32BE(offsetSize)]
  const size = end - start
  if (size < checksumSize || size > maxBlock || end > blocksSize) throw new FilterError('is damaged')
  const bytes = readAt(descriptor, headerSize + start, size)
  const numbers = bytes.subarray(0, size - checksumSize)
  if (bytes.length < size || blockChecksum(numbers, block) !== bytes.readUInt32BE(size - checksumSize))
    throw new FilterError('is damaged')
  return numbers
}

function openToRead(path: string): number {
  try {
    // Opening a pipe would wait for who writes into it.
    return openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new FilterError(code === 'ENOENT' ? 'does not exist' : `cannot be read: ${message}`, { cause: error })
  }
}

/** Of a block and its place, so that none can stand for another. */
export function blockChecksum(numbers: Uint8Array, block: number): number {
  return crc32(numbers, block)
}

/** @returns less at the end of the file @throws FilterError */
function readAt(descriptor: number, position: number, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  let read = 0
  try {
    for (let more = -1; more !== 0 && read < size; read += more)
      more = readSync(descriptor, bytes, read, size - read, position + read)
  } catch (error) {
    throw new FilterError(`cannot be read: ${(error as Error).message}`, { cause: error })
  }
  return bytes.subarray(0, read)
}
