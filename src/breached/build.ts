/**
 * Builds a filter out of lists of any size and in any order, in bounded memory and linear time: the hashes go into 256 shards by their
 * first bits, eight bytes each, and each shard is sorted by itself. The shards are in one file beside the filter that has no name, so
 * that nothing is left of them however the program ends.
 */
import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs'
import {
  blockChecksum,
  blockRange,
  blocksOf,
  checksumSize,
  type FilterHeader,
  formatHeader,
  hashBits,
  headerSize,
  isFilter,
  numberOf,
  offsetSize,
} from './filter.ts'
import { encodeNumbers } from './golomb.ts'
import { filesOf, ListError, rangeFiles, readList } from './lists.ts'

const shardCount = 256
const shardRange = 2 ** hashBits / shardCount
/** Hashes of a shard that are written at once. */
const extent = 8192
/** Hashes of one shard that are sorted in memory, 512 MiB: eight times as many as a shard of two billion has. */
const maxShard = 2 ** 26
/** Hashes: the offsets of more would not fit. */
const maxHashes = 2.5e9
/** Bytes that are written at once. */
const bufferSize = 2 ** 20

export type Progress = Readonly<{
  /** Hashes taken so far. */
  hashes: number
  /** What of the lists has been read, 0 to 1; then what of the filter has been written. */
  step: 'reading' | 'writing'
  part: number
}>

export type Built = FilterHeader & Readonly<{ fileSize: number; missingRanges: number }>

/**
 * @param settings.minCount takes those hashes only that have appeared so often
 * @param out               written beside itself first, and then put in its place: whole or not at all
 * @throws ListError for the lists, Error when the disk is full
 */
export function buildFilter(
  lists: readonly string[],
  out: string,
  { minCount, now }: Readonly<{ minCount: number; now: number }>,
  onProgress: (progress: Progress) => void,
): Built {
  if (isFilter(out) === false) throw new ListError(`${out} exists and is no filter: the file to write comes last`)
  const partial = `${out}.partial`
  const files = lists.map(filesOf)
  const missingRanges = files
    .filter(([one]) => one?.prefix !== '')
    .reduce((missing, ranges) => missing + rangeFiles - ranges.length, 0)
  const shards = createShards(`${out}.shards`)
  try {
    readLists(files.flat(), shards, minCount, onProgress)
    if (shards.total() === 0) throw new ListError(`no hash in ${lists.join(', ')} has appeared ${minCount} times`)
    rmSync(partial, { force: true })
    const header = writeFilter(partial, shards, { minCount, now }, onProgress)
    renameSync(partial, out)
    return { ...header, missingRanges }
  } catch (error) {
    rmSync(partial, { force: true })
    throw error
  } finally {
    shards.close()
  }
}

function readLists(
  files: ReturnType<typeof filesOf>,
  shards: Shards,
  minCount: number,
  onProgress: (progress: Progress) => void,
): void {
  const size = files.reduce((sum, file) => sum + file.size, 0)
  let bytes = 0
  for (const [done, file] of files.entries()) {
    const onHash = (hash: number, count: number) => {
      if (count >= minCount) shards.add(hash)
    }
    readList(file, onHash, read => {
      bytes += read
      // The files of a folder are many and of one size.
      onProgress({ hashes: shards.total(), step: 'reading', part: size > 0 ? bytes / size : done / files.length })
    })
  }
  shards.flush()
}

function writeFilter(
  path: string,
  shards: Shards,
  { minCount, now }: Readonly<{ minCount: number; now: number }>,
  onProgress: (progress: Progress) => void,
): FilterHeader & Readonly<{ fileSize: number }> {
  const scale = shards.total()
  const blocks = blocksOf(scale)
  const offsets = Buffer.alloc(offsetSize * (blocks + 1))
  const descriptor = openSync(path, 'wx', 0o644)
  try {
    const output = createOutput(descriptor)
    output.write(Buffer.alloc(headerSize))
    let [block, count, blocksSize] = [0, 0, 0]
    let numbers: number[] = []
    const endBlock = () => {
      const codes = encodeNumbers(numbers)
      const checksum = Buffer.alloc(checksumSize)
      checksum.writeUInt32BE(blockChecksum(codes, block))
      output.write(codes)
      output.write(checksum)
      blocksSize += codes.length + checksumSize
      block++
      offsets.writeUInt32BE(blocksSize, offsetSize * block)
      numbers = []
    }
    for (let shard = 0; shard < shardCount; shard++) {
      let last = -1
      for (const hash of shards.sorted(shard)) {
        if (hash === last) continue
        last = hash
        count++
        const number = numberOf(hash, scale)
        while (number >= (block + 1) * blockRange) endBlock()
        const inBlock = number - block * blockRange
        if (numbers.at(-1) !== inBlock) numbers.push(inBlock)
      }
      onProgress({ hashes: scale, step: 'writing', part: (shard + 1) / shardCount })
    }
    while (block < blocks) endBlock()
    output.write(offsets)
    output.flush()
    const header = { blocks, count, scale, builtAt: now, blocksSize, minCount }
    writeAll(descriptor, formatHeader(header), 0)
    fsyncSync(descriptor)
    return { ...header, fileSize: fstatSync(descriptor).size }
  } finally {
    closeSync(descriptor)
  }
}

type Shards = ReturnType<typeof createShards>

/** Hashes by their first bits, in a file that ends with the process. */
function createShards(path: string) {
  rmSync(path, { force: true })
  const descriptor = openSync(path, 'wx+', 0o600)
  rmSync(path)
  const shards = Array.from({ length: shardCount }, () => ({
    buffer: new Float64Array(extent),
    used: 0,
    /** Where what is written begins, in bytes; each piece is a whole extent, but for the last. */
    extents: [] as number[],
    size: 0,
  }))
  let [end, total] = [0, 0]
  const write = (shard: (typeof shards)[number]) => {
    const bytes = Buffer.from(shard.buffer.buffer, 0, 8 * shard.used)
    writeAll(descriptor, bytes, end)
    shard.extents.push(end)
    end += bytes.length
    shard.size += shard.used
    shard.used = 0
  }
  return {
    total: () => total,
    add(hash: number) {
      const shard = shards[Math.floor(hash / shardRange)]!
      shard.buffer[shard.used++] = hash
      total++
      if (shard.used === extent) write(shard)
    },
    /** @throws ListError when there are too many */
    flush() {
      if (total > maxHashes) throw new ListError(`these are more than ${maxHashes} hashes: take a larger --min-count`)
      for (const shard of shards) if (shard.used > 0) write(shard)
      if (shards.some(({ size }) => size > maxShard))
        throw new ListError('too many of these hashes begin alike: this is no list of SHA-1 hashes')
    },
    sorted(at: number): Float64Array {
      const { extents, size } = shards[at]!
      const hashes = new Float64Array(size)
      const bytes = Buffer.from(hashes.buffer)
      for (const [index, position] of extents.entries()) {
        const from = 8 * extent * index
        const piece = bytes.subarray(from, from + 8 * extent)
        for (let read = 0; read < piece.length; ) {
          const more = readSync(descriptor, piece, read, piece.length - read, position + read)
          if (more === 0) throw new Error('the shards of the filter are cut short')
          read += more
        }
      }
      return hashes.sort()
    },
    close: () => closeSync(descriptor),
  }
}

/** Writes to the end of a file, few times. */
function createOutput(descriptor: number) {
  const buffer = Buffer.allocUnsafe(bufferSize)
  let [used, end] = [0, 0]
  const flush = () => {
    writeAll(descriptor, buffer.subarray(0, used), end)
    end += used
    used = 0
  }
  return {
    flush,
    write(bytes: Buffer) {
      for (let from = 0; from < bytes.length; ) {
        const copied = bytes.copy(buffer, used, from)
        used += copied
        from += copied
        if (used === bufferSize) flush()
      }
    },
  }
}

/** A write that is cut short by a full disk is no success. */
function writeAll(descriptor: number, bytes: Buffer, position: number): void {
  for (let written = 0; written < bytes.length; )
    written += writeSync(descriptor, bytes, written, bytes.length - written, position + written)
}
