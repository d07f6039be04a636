/** The functions that stored password hashes are made with, each with its costs and limits; the notations are in password_formats.ts. */
import {
  createHash,
  type ScryptOptions,
  pbkdf2 as startPbkdf2,
  scrypt as startScrypt,
  timingSafeEqual,
} from 'node:crypto'
import { promisify } from 'node:util'
import argon2 from 'argon2'
import bcrypt from 'bcrypt'
import { type CryptLoop, computeCryptLoop } from './crypt_loops.ts'

const pbkdf2 = promisify(startPbkdf2)
const scrypt = promisify<string, Buffer, number, ScryptOptions, Buffer>(startScrypt)

export type PasswordHash = Readonly<{
  /** The function and its costs: two hashes of one kind take the same time. */
  kind: string
  /** @param password compared as it is: no normalization */
  verify: (password: string) => Promise<boolean>
  /** False where another password than this would verify as well, as one that begins with the same 72 bytes for bcrypt. */
  isExact: (password: string) => boolean
  /** The time that one takes grows with the `units` of its function. Memory in bytes. */
  cost: Readonly<{ of: string; units: number; memory: number }>
}>

const hasNoNul = (password: string) => !password.includes('\0')

/** @returns undefined where the numbers make no sense, a text where they cost too much: what the limit is */
export function openArgon2(phc: string, type: string, costs: Readonly<{ m: number; t: number; p: number }>) {
  const { m, t, p } = costs
  // The lower limits of RFC 9106 §3.1.
  if (t < 1 || p < 1 || m < 8 * p) return undefined
  if (m > 1_048_576 || t > 99 || p > 99) return '1 GiB of memory, 99 passes, 99 lanes'
  return {
    kind: `${type} m=${m},t=${t},p=${p}`,
    verify: (password: string) => argon2.verify(phc, password),
    isExact: () => true,
    cost: { of: 'argon2', units: m * t, memory: m * 1024 },
  }
}

/** bcrypt reads 72 bytes: of a password that has as many, nobody knows whether it was longer. After a NUL it begins anew. */
const isWholeForBcrypt = (password: string) => hasNoNul(password) && Buffer.byteLength(password) < 72

/** @param prepare makes of a password what bcrypt gets, for those who hash it first so that bcrypt reads all of it */
export function openBcrypt(
  name: string,
  crypt: string,
  cost: number,
  prepare: (password: string) => string = password => password,
  isExact: (password: string) => boolean = isWholeForBcrypt,
) {
  if (cost < 4) return undefined
  if (cost > 15) return 'cost 15'
  // crypt_blowfish's $2y$ and OpenBSD's $2b$ are the same function under two names; the library knows the second.
  const hash = crypt.replace(/^\$2y\$/, '$2b$')
  return {
    kind: `${name} ${cost}`,
    verify: (password: string) => bcrypt.compare(prepare(password), hash),
    isExact,
    cost: { of: 'bcrypt', units: 2 ** cost, memory: 0 },
  }
}

export function openPbkdf2(
  hash = '',
  count: string | number = '',
  salt: Buffer | undefined,
  digest: Buffer | undefined,
) {
  const iterations = Number(count)
  if (!salt || !digest || digest.length < 16 || iterations < 1) return undefined
  const blocks = Math.ceil(digest.length / createHash(hash).digest().length)
  if (iterations * blocks > 5_000_000) return '5,000,000 iterations'
  return {
    kind: `pbkdf2-${hash} ${iterations * blocks}`,
    verify: async (password: string) =>
      timingSafeEqual(await pbkdf2(password, salt, iterations, digest.length, hash), digest),
    // HMAC fills a key up with NULs.
    isExact: hasNoNul,
    cost: { of: `pbkdf2-${hash}`, units: iterations * blocks, memory: 0 },
  }
}

export function openScrypt(
  { N, r, p }: Readonly<{ N: number; r: number; p: number }>,
  salt: Buffer | undefined,
  digest: Buffer | undefined,
  { length, finish }: Readonly<{ length: number; finish: (derived: Buffer) => Buffer }> = {
    length: digest?.length ?? 0,
    finish: derived => derived,
  },
) {
  if (!salt || !digest || digest.length < 16 || r < 1 || p < 1 || N < 2 || !Number.isInteger(Math.log2(N)))
    return undefined
  // RFC 7914 §2.
  if (N >= 2 ** (16 * r)) return undefined
  if (N * r * p > 2 ** 23) return 'N·r·p = 2^23'
  const memory = 128 * r * (N + p + 2)
  const options = { N, r, p, maxmem: memory + 65_536 }
  return {
    kind: `scrypt ${N} ${r} ${p}`,
    verify: async (password: string) => timingSafeEqual(finish(await scrypt(password, salt, length, options)), digest),
    isExact: hasNoNul,
    cost: { of: 'scrypt', units: N * r * p, memory },
  }
}

/** @param prepare makes of a password what the function gets */
export function openCryptLoop(loop: CryptLoop, digest: string, prepare = (password: string) => password) {
  if (loop.rounds > 1_000_000) return '1,000,000 rounds'
  const expected = Buffer.from(digest)
  return {
    kind: `${loop.name} ${loop.rounds}`,
    verify: async (password: string) => {
      const found = Buffer.from(await computeCryptLoop(loop, prepare(password)))
      return found.length === expected.length && timingSafeEqual(found, expected)
    },
    // crypt(3) reads up to a NUL.
    isExact: (password: string) => hasNoNul(password) && prepare(password) === password,
    cost: { of: loop.name, units: loop.rounds, memory: 0 },
  }
}

/** One SHA of the password and a salt, as LDAP servers have it (RFC 2307, RFC 3112). */
export function openSha(hash: string, bytes: Buffer | undefined, isSalted: boolean) {
  const size = createHash(hash).digest().length
  if (!bytes || (isSalted ? bytes.length <= size || bytes.length > size + 64 : bytes.length !== size)) return undefined
  const [digest, salt] = [bytes.subarray(0, size), bytes.subarray(size)]
  return {
    kind: hash,
    verify: async (password: string) =>
      timingSafeEqual(createHash(hash).update(password).update(salt).digest(), digest),
    isExact: () => true,
    cost: { of: hash, units: 0, memory: 0 },
  }
}
