/** Reading files that a start or a running server depends on: what is there instead of a file must not hold or fill the process. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

/** Bytes. */
const longest = 65_536

/**
 * @returns the text of a file, or undefined when there is none
 * @throws Error when it cannot be read, is longer than 64 KiB or is a folder, a pipe or a socket
 */
export function readSmallFile(path: string): string | undefined {
  return readSmallBytes(path)?.toString('utf8')
}

/** The same of a file that is no text. */
export function readSmallBytes(path: string): Buffer | undefined {
  const descriptor = openFile(path)
  if (descriptor === undefined) return undefined
  try {
    const stats = fstatSync(descriptor)
    if (stats.isDirectory()) throw new Error('it is a folder')
    // Whoever writes into a pipe may never come, and what was read from it cannot be read again.
    if (stats.isFIFO() || stats.isSocket()) throw new Error('it is a pipe, and it has to be a file')
    const bytes = Buffer.alloc(longest + 1)
    let size = 0
    for (let read = -1; read !== 0 && size < bytes.length; size += read)
      read = readSync(descriptor, bytes, size, bytes.length - size, null)
    if (size > longest) throw new Error('it is longer than 64 KiB')
    return bytes.subarray(0, size)
  } finally {
    closeSync(descriptor)
  }
}

function openFile(path: string): number | undefined {
  try {
    // Opening a pipe would wait for who writes into it.
    return openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
