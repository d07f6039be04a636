/**
 * The password functions that are loops of thousands of small hashes: sha256-crypt and sha512-crypt (Ulrich Drepper's "Unix crypt
 * using SHA-256 and SHA-512") and phpass' portable hashes. Nothing native computes them outside the event loop, so this module is
 * also the thread that does: no other request waits for them.
 */
import { createHash } from 'node:crypto'
import { constants, setPriority } from 'node:os'
import { parentPort, Worker, workerData } from 'node:worker_threads'

export type CryptLoop = Readonly<{ name: 'sha256-crypt' | 'sha512-crypt' | 'phpass'; rounds: number; salt: string }>

/** Bytes. The work grows with the length; WordPress and passlib have such limits as well. */
const maxPassword = 1024

type Job = Readonly<{ id: number; loop: CryptLoop; password: string }>
type Result = Readonly<{ id: number; text: string }>

const marker = 'latchkey crypt loops'

let worker: Worker | undefined
let jobs = 0
const waiting = new Map<number, PromiseWithResolvers<string>>()

/** @returns the hash as its programs write it, without its beginning; '' for a password that is too long */
export function computeCryptLoop(loop: CryptLoop, password: string): Promise<string> {
  worker ??= startWorker()
  const result = Promise.withResolvers<string>()
  const id = jobs++
  waiting.set(id, result)
  worker.ref()
  worker.postMessage({ id, loop, password } satisfies Job)
  return result.promise
}

function startWorker(): Worker {
  const started = new Worker(new URL(import.meta.url), { workerData: marker })
  const fail = (error: Error) => {
    if (worker === started) worker = undefined
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
  }
  started.on('message', ({ id, text }: Result) => {
    waiting.get(id)?.resolve(text)
    waiting.delete(id)
    // Only a hash that somebody waits for keeps the process running.
    if (waiting.size === 0) started.unref()
  })
  started.on('error', fail)
  started.on('exit', () => fail(new Error('the thread of the password loops has ended')))
  started.unref()
  return started
}

if (workerData === marker) {
  try {
    // Of this thread alone, on Linux: like the pool of the other hashes, it takes what refreshes leave.
    if (process.platform === 'linux') setPriority(constants.priority.PRIORITY_BELOW_NORMAL)
  } catch {
    // Not allowed here: it works without.
  }
  parentPort!.on('message', ({ id, loop, password }: Job) =>
    parentPort!.postMessage({ id, text: compute(loop, password) } satisfies Result),
  )
}

function compute({ name, rounds, salt }: CryptLoop, text: string): string {
  const whole = Buffer.from(text)
  // What is too long takes as long as what is not.
  const password = whole.subarray(0, maxPassword)
  const result =
    name === 'phpass'
      ? phpass(password, salt, rounds)
      : shaCrypt(name === 'sha256-crypt' ? 'sha256' : 'sha512', password, Buffer.from(salt), rounds)
  return whole.length > maxPassword ? '' : result
}

function shaCrypt(algorithm: 'sha256' | 'sha512', password: Buffer, salt: Buffer, rounds: number): string {
  const digest = (...parts: readonly Uint8Array[]) => {
    const hash = createHash(algorithm)
    for (const part of parts) hash.update(part)
    return hash.digest()
  }
  const size = algorithm === 'sha256' ? 32 : 64
  const stretch = (block: Buffer, length: number) => Buffer.alloc(length, block.subarray(0, size))

  const b = digest(password, salt, password)
  const bits: Buffer[] = []
  for (let n = password.length; n > 0; n >>= 1) bits.push(n & 1 ? b : password)
  const a = digest(password, salt, stretch(b, password.length), ...bits)
  const p = stretch(digest(...Array<Buffer>(password.length).fill(password)), password.length)
  const s = stretch(digest(...Array<Buffer>(16 + a[0]!).fill(salt)), salt.length)

  let c = a
  for (let i = 0; i < rounds; i++) {
    const hash = createHash(algorithm).update(i & 1 ? p : c)
    if (i % 3 !== 0) hash.update(s)
    if (i % 7 !== 0) hash.update(p)
    c = hash.update(i & 1 ? c : p).digest()
  }
  return algorithm === 'sha256' ? writeSha256(c) : writeSha512(c)
}

const alphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** @param value at most 24 bits, of which the lowest six come first */
function write(value: number, length: number): string {
  let text = ''
  for (let i = 0; i < length; i++) text += alphabet[(value >> (6 * i)) & 0x3f]
  return text
}

function writeSha256(bytes: Buffer): string {
  let text = ''
  for (let i = 0; i < 10; i++) {
    const [x, y, z] = [bytes[i]!, bytes[i + 10]!, bytes[i + 20]!]
    const [high, middle, low] = i % 3 === 0 ? [x, y, z] : i % 3 === 1 ? [z, x, y] : [y, z, x]
    text += write((high << 16) | (middle << 8) | low, 4)
  }
  return text + write((bytes[31]! << 8) | bytes[30]!, 3)
}

function writeSha512(bytes: Buffer): string {
  let text = ''
  for (let i = 0; i < 21; i++) {
    const [x, y, z] = [bytes[i]!, bytes[i + 21]!, bytes[i + 42]!]
    const [high, middle, low] = i % 3 === 0 ? [x, y, z] : i % 3 === 1 ? [y, z, x] : [z, x, y]
    text += write((high << 16) | (middle << 8) | low, 4)
  }
  return text + write(bytes[63]!, 2)
}

function phpass(password: Buffer, salt: string, rounds: number): string {
  let hash = createHash('md5').update(salt).update(password).digest()
  for (let i = 0; i < rounds; i++) hash = createHash('md5').update(hash).update(password).digest()
  let text = ''
  for (let i = 0; i < 15; i += 3) text += write(hash[i]! | (hash[i + 1]! << 8) | (hash[i + 2]! << 16), 4)
  return text + write(hash[15]!, 2)
}
