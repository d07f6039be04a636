/**
 * The forms of stored password hashes that can be verified: what Latchkey makes itself, and what users bring along. Each is
 * kept as it came; the primitives are those of argon2, bcrypt and OpenSSL.
 */
import {
  createCipheriv,
  createHash,
  type ScryptOptions,
  pbkdf2 as startPbkdf2,
  scrypt as startScrypt,
  timingSafeEqual,
} from 'node:crypto'
import { promisify } from 'node:util'
import argon2 from 'argon2'
import bcrypt from 'bcrypt'

const pbkdf2 = promisify(startPbkdf2)
const scrypt = promisify<string, Buffer, number, ScryptOptions, Buffer>(startScrypt)

export type PasswordHash = Readonly<{
  /** The function and its costs: two hashes of one kind take the same time. */
  kind: string
  /** @param password compared as it is: no normalization */
  verify: (password: string) => Promise<boolean>
}>

const takenHashes = 'bcrypt, argon2i, argon2id, scrypt or PBKDF2'

type Groups = Readonly<Record<string, string>>

/** `open` gets the named groups of `whole`. It returns undefined where they make no sense, a text where they cost too much. */
type Format = Readonly<{
  name: string
  start: RegExp
  whole: RegExp
  open: (groups: Groups) => PasswordHash | string | undefined
}>

const formats: readonly Format[] = [
  {
    // RFC 9106; the PHC string format, also with Django's prefix.
    name: 'argon2',
    start: /^(?:argon2)?\$argon2id?\$/,
    whole:
      /^(?:argon2)?(?<phc>\$(?<type>argon2id?)\$v=19\$(?<costs>m=\d{1,8}(?:,[tp]=\d{1,3}){2})\$(?<salt>[A-Za-z0-9+/]{11,86})\$(?<digest>[A-Za-z0-9+/]{16,86}))$/,
    open: ({ phc = '', type = '', costs = '', salt = '', digest = '' }) => {
      const { m = 0, t = 0, p = 0 } = numbers(costs)
      // The lower limits of RFC 9106 §3.1.
      if (!decode(salt) || !decode(digest) || t < 1 || p < 1 || m < 8 * p) return undefined
      if (m > 1_048_576 || t > 99 || p > 99) return '1 GiB of memory, 99 passes, 99 lanes'
      return { kind: `${type} m=${m},t=${t},p=${p}`, verify: password => argon2.verify(phc, password) }
    },
  },
  {
    // crypt_blowfish's strings, also with Django's prefix.
    name: 'bcrypt',
    start: /^(?:bcrypt\$)?\$2[aby]\$/,
    whole: /^(?:bcrypt\$)?(?<crypt>\$2[aby]\$(?<cost>\d\d)\$[./A-Za-z0-9]{53})$/,
    open: ({ crypt = '', cost }) => openBcrypt('bcrypt', crypt, Number(cost), password => password),
  },
  {
    // Django's BCryptSHA256PasswordHasher: the hex digest goes in, so that no password is too long for bcrypt.
    name: 'bcrypt_sha256',
    start: /^bcrypt_sha256\$/,
    whole: /^bcrypt_sha256\$(?<crypt>\$2[aby]\$(?<cost>\d\d)\$[./A-Za-z0-9]{53})$/,
    open: ({ crypt = '', cost }) => openBcrypt('bcrypt_sha256', crypt, Number(cost), sha256Hex),
  },
  {
    // RFC 8018; Django's strings, and what passlib writes for it.
    name: 'PBKDF2',
    start: /^pbkdf2_sha(?:1|256)\$/,
    whole:
      /^pbkdf2_(?<hash>sha(?:1|256))\$(?<iterations>\d{1,9})\$(?<salt>[^$]{1,256})\$(?<digest>[A-Za-z0-9+/]{22,86}={0,2})$/,
    open: ({ hash, iterations, salt = '', digest }) => openPbkdf2(hash, iterations, Buffer.from(salt), decode(digest)),
  },
  {
    // passlib's modular crypt strings, in its base64 with dots.
    name: 'PBKDF2',
    start: /^\$pbkdf2(?:-sha(?:256|512))?\$/,
    whole:
      /^\$pbkdf2(?:-(?<hash>sha(?:256|512)))?\$(?<iterations>\d{1,9})\$(?<salt>[A-Za-z0-9./]{0,256})\$(?<digest>[A-Za-z0-9./]{22,86})$/,
    open: ({ hash, iterations, salt, digest }) => openPbkdf2(hash ?? 'sha1', iterations, decode(salt), decode(digest)),
  },
  {
    // Werkzeug's, which Flask applications have.
    name: 'PBKDF2',
    start: /^pbkdf2:/,
    whole:
      /^pbkdf2:(?<hash>sha(?:1|224|256|384|512)):(?<iterations>\d{1,9})\$(?<salt>[^$]{1,256})\$(?<digest>[0-9a-f]{32,128})$/,
    open: ({ hash, iterations, salt = '', digest = '' }) =>
      openPbkdf2(hash, iterations, Buffer.from(salt), Buffer.from(digest, 'hex')),
  },
  {
    // RFC 7914; passlib's strings, in the PHC string format.
    name: 'scrypt',
    start: /^\$scrypt\$/,
    whole:
      /^\$scrypt\$(?<costs>ln=\d{1,2},r=\d{1,4},p=\d{1,4})\$(?<salt>[A-Za-z0-9+/]{0,256})\$(?<digest>[A-Za-z0-9+/]{22,86})$/,
    open: ({ costs = '', salt, digest }) => {
      const { ln = 0, r = 0, p = 0 } = numbers(costs)
      return openScrypt({ N: 2 ** ln, r, p }, decode(salt), decode(digest))
    },
  },
  {
    // Werkzeug's, the default of Flask applications.
    name: 'scrypt',
    start: /^scrypt:/,
    whole: /^scrypt:(?<N>\d{1,9}):(?<r>\d{1,4}):(?<p>\d{1,4})\$(?<salt>[^$]{1,256})\$(?<digest>[0-9a-f]{32,128})$/,
    open: ({ N, r, p, salt = '', digest = '' }) =>
      openScrypt({ N: Number(N), r: Number(r), p: Number(p) }, Buffer.from(salt), Buffer.from(digest, 'hex')),
  },
  {
    // Django's ScryptPasswordHasher.
    name: 'scrypt',
    start: /^scrypt\$/,
    whole:
      /^scrypt\$(?<N>\d{1,9})\$(?<salt>[^$]{1,256})\$(?<r>\d{1,4})\$(?<p>\d{1,4})\$(?<digest>[A-Za-z0-9+/]{22,86}={0,2})$/,
    open: ({ N, r, p, salt = '', digest }) =>
      openScrypt({ N: Number(N), r: Number(r), p: Number(p) }, Buffer.from(salt), decode(digest)),
  },
  {
    // Firebase's variant, with the parameters of the project in each string, as Supabase Auth writes them.
    name: 'Firebase scrypt',
    start: /^\$fbscrypt\$/,
    whole:
      /^\$fbscrypt\$v=1,(?<costs>n=\d{1,2},r=\d{1,4},p=\d{1,4}),ss=(?<separator>[A-Za-z0-9+/_-]*={0,2}),sk=(?<signerKey>[A-Za-z0-9+/_-]{22,344}={0,2})\$(?<salt>[A-Za-z0-9+/_-]{0,256}={0,2})\$(?<digest>[A-Za-z0-9+/_-]{22,344}={0,2})$/,
    open: ({ costs = '', separator, signerKey, salt, digest }) => {
      const { n = 0, r = 0, p = 0 } = numbers(costs)
      const parts = [salt, separator, signerKey, digest].map(part =>
        decode(part?.replaceAll('-', '+').replaceAll('_', '/')),
      )
      if (parts.includes(undefined)) return undefined
      const [saltBytes, separatorBytes, key, expected] = parts as Buffer[]
      if (key!.length !== expected!.length) return undefined
      return openScrypt(
        { N: 2 ** n, r, p },
        Buffer.concat([saltBytes!, separatorBytes!]),
        expected,
        // What scrypt makes is a key, and the stored hash is the signer key of the project, encrypted under it.
        { length: 32, finish: derived => createCipheriv('aes-256-ctr', derived, Buffer.alloc(16)).update(key!) },
      )
    },
  },
]

/** @returns what verifies a stored hash, or undefined for what {@link passwordHashProblem} names a reason for */
export function openPasswordHash(text: string): PasswordHash | undefined {
  const opened = read(text)
  return typeof opened === 'string' ? undefined : opened
}

/** Why text cannot be taken as a stored hash, as what comes after "hashed_password: "; undefined when it can be. */
export function passwordHashProblem(text: string): string | undefined {
  const opened = read(text)
  return typeof opened === 'string' ? opened : undefined
}

function read(text: string): PasswordHash | string {
  const format = formats.find(({ start }) => start.test(text))
  if (format === undefined) return `is not a hash of ${takenHashes}`
  const groups = format.whole.exec(text)?.groups
  const opened = groups && format.open(groups)
  if (opened === undefined) return `is not a whole ${format.name} hash`
  return typeof opened === 'string'
    ? `costs more than one sign-in may: the limit for ${format.name} is ${opened}`
    : opened
}

function openBcrypt(name: string, crypt: string, cost: number, prepare: (password: string) => string) {
  if (cost < 4) return undefined
  if (cost > 15) return 'cost 15'
  // crypt_blowfish's $2y$ and OpenBSD's $2b$ are the same function under two names; the library knows the second.
  const hash = crypt.replace(/^\$2y\$/, '$2b$')
  return { kind: `${name} ${cost}`, verify: (password: string) => bcrypt.compare(prepare(password), hash) }
}

function openPbkdf2(hash = '', count = '', salt: Buffer | undefined, digest: Buffer | undefined) {
  const iterations = Number(count)
  if (!salt || !digest || digest.length < 16 || iterations < 1) return undefined
  const blocks = Math.ceil(digest.length / createHash(hash).digest().length)
  if (iterations * blocks > 5_000_000) return '5,000,000 iterations'
  return {
    kind: `pbkdf2-${hash} ${iterations * blocks}`,
    verify: async (password: string) =>
      timingSafeEqual(await pbkdf2(password, salt, iterations, digest.length, hash), digest),
  }
}

function openScrypt(
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
  const options = { N, r, p, maxmem: 128 * r * (N + p + 2) + 65_536 }
  return {
    kind: `scrypt ${N} ${r} ${p}`,
    verify: async (password: string) => timingSafeEqual(finish(await scrypt(password, salt, length, options)), digest),
  }
}

/** `m=64,t=2` as numbers by name. */
function numbers(costs: string): Record<string, number> {
  return Object.fromEntries(
    costs.split(',').map(cost => {
      const [name = '', value] = cost.split('=')
      return [name, Number(value)]
    }),
  )
}

/** @returns undefined for what is not the one way to write some bytes, padded or not, with `.` for `+` or not */
function decode(base64 = ''): Buffer | undefined {
  const text = base64.replaceAll('.', '+').replace(/=+$/, '')
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64').replace(/=+$/, '') === text ? bytes : undefined
}

const sha256Hex = (password: string) => createHash('sha256').update(password).digest('hex')
