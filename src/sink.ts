/**
 * Lines to stdout or stderr. Whatever is behind them, a full disk, a pipe that nobody reads, a terminal that was stopped, neither
 * holds the process nor ends it: lines wait in memory up to a bound, beyond it they are counted.
 */
import { fstatSync, write, writeSync } from 'node:fs'

export type Sink = Readonly<{
  /** @param line with its line break */
  write: (line: string) => void
  /** Resolves when all is written, or after so many milliseconds. */
  flush: (milliseconds: number) => Promise<void>
}>

type Output = NodeJS.WriteStream & Readonly<{ fd: number }>

/** UTF-16 units that wait at the most. */
const waitingLimit = 1_048_576
/** UTF-16 units that are written in one go, unless one line is longer. */
const chunkSize = 65_536
/** Milliseconds until a write that failed is tried again. */
const retryInterval = 500

/** Writes bytes and says how many of them; none when that failed, for whatever reason. */
type Send = (bytes: Buffer, done: (written: number) => void) => void

/** @param onLoss told how many lines were lost, when lines can be written again */
export function createSink(stream: Output, onLoss: (lines: number) => void): Sink {
  const send = isFile(stream) ? sendToFile(stream.fd) : sendToStream(stream)
  let waiting: string[] = []
  let waitingSize = 0
  let lost = 0
  /** What has been taken from the lines that wait and is not written yet. */
  let chunk = Buffer.alloc(0)
  let isBusy = false
  /** Whether the system has the chunk now. */
  let isUnderWay = false
  let onIdle: (() => void) | undefined

  function next(): void {
    if (chunk.length === 0) {
      if (waiting.length === 0) {
        isBusy = false
        onIdle?.()
        return
      }
      chunk = Buffer.from(takeChunk())
    }
    isBusy = true
    isUnderWay = true
    send(chunk, written => {
      isUnderWay = false
      chunk = chunk.subarray(written)
      if (written === 0) return void setTimeout(next, retryInterval)
      if (lost > 0 && waitingSize <= waitingLimit / 2) tellLoss()
      next()
    })
  }

  function takeChunk(): string {
    let count = 0
    let size = 0
    while (count < waiting.length && size < chunkSize) size += waiting[count++]!.length
    const text = waiting.slice(0, count).join('')
    waiting = waiting.slice(count)
    waitingSize -= size
    return text
  }

  function tellLoss(): void {
    const lines = lost
    lost = 0
    onLoss(lines)
  }

  // A process that ends by a mistake of ours: its last lines are those that say why.
  process.once('exit', () => {
    if (!isFile(stream)) return
    try {
      const rest = Buffer.from(waiting.join(''))
      writeSync(stream.fd, isUnderWay ? rest : Buffer.concat([chunk, rest]))
    } catch {
      // Nobody is left to tell.
    }
  })

  return {
    write(line) {
      if (waitingSize + line.length > waitingLimit) {
        lost++
        return
      }
      waiting.push(line)
      waitingSize += line.length
      if (!isBusy) next()
    },
    flush: milliseconds =>
      new Promise(resolve => {
        if (!isBusy) return resolve()
        const impatience = setTimeout(resolve, milliseconds)
        onIdle = () => {
          clearTimeout(impatience)
          resolve()
        }
      }),
  }
}

/** Whether a write never waits for a reader: a file, or a device such as /dev/null. */
export function isFile(stream: Output): boolean {
  if (stream.isTTY || stream.fd === undefined) return false
  const stats = fstatSync(stream.fd)
  return !stats.isFIFO() && !stats.isSocket()
}

/** In the thread pool: a disk that is slow holds one thread of it, and nothing else. */
function sendToFile(fd: number): Send {
  return (bytes, done) => write(fd, bytes, (_error, written) => done(written ?? 0))
}

/**
 * Node has made the descriptor of a pipe or socket non-blocking; the thread pool would not do, since a write that never ends
 * holds the exit too.
 */
function sendToStream(stream: Output): Send {
  // Each write that fails says so itself.
  stream.on('error', () => {})
  // Node makes terminals blocking, and one that was stopped by Ctrl-S would stop the server.
  const handle = (stream as { _handle?: { setBlocking?: (isBlocking: boolean) => void } })._handle
  if (stream.isTTY) handle?.setBlocking?.(false)
  return (bytes, done) => void stream.write(bytes, error => done(error ? 0 : bytes.length))
}
