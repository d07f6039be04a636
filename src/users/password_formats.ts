/**
 * The notations of stored password hashes that can be verified: what Latchkey makes itself, and what users bring along. Each is
 * kept as it came; the functions are in password_functions.ts.
 */
import { createCipheriv, createHash, createHmac } from 'node:crypto'
import { isStorable } from '../text.ts'
import {
  openArgon2,
  openBcrypt,
  openCryptLoop,
  openPbkdf2,
  openScrypt,
  openSha,
  type PasswordHash,
} from './password_functions.ts'

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
      return decode(salt) && decode(digest) && openArgon2(phc, type, { m, t, p })
    },
  },
  {
    // crypt_blowfish's strings, also with Django's prefix.
    name: 'bcrypt',
    start: /^(?:bcrypt\$)?\$2[aby]\$/,
    whole: /^(?:bcrypt\$)?(?<crypt>\$2[aby]\$(?<cost>\d\d)\$[./A-Za-z0-9]{53})$/,
    open: ({ crypt = '', cost }) => openBcrypt('bcrypt', crypt, Number(cost)),
  },
  {
    // Django's BCryptSHA256PasswordHasher: the hex digest goes in, so that no password is too long for bcrypt.
    name: 'bcrypt_sha256',
    start: /^bcrypt_sha256\$/,
    whole: /^bcrypt_sha256\$(?<crypt>\$2[aby]\$(?<cost>\d\d)\$[./A-Za-z0-9]{53})$/,
    open: ({ crypt = '', cost }) => openBcrypt('bcrypt_sha256', crypt, Number(cost), sha256Hex, () => true),
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
    start: /^\$pbkdf2(?:-sha(?:256|512))?\$(?!i=)/,
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
  {
    // passlib's bcrypt_sha256, in its two versions: a digest goes in, so that no password is too long for bcrypt.
    name: 'bcrypt-sha256',
    start: /^\$bcrypt-sha256\$/,
    whole:
      /^\$bcrypt-sha256\$(?:v=2,t=(?<ident>2[ab]),r=(?<cost>\d{1,2})|(?<oldIdent>2[ab]),(?<oldCost>\d{1,2}))\$(?<salt>[./A-Za-z0-9]{22})\$(?<digest>[./A-Za-z0-9]{31})$/,
    open: ({ ident, cost, oldIdent, oldCost, salt = '', digest = '' }) => {
      const crypt = `$${ident ?? oldIdent}$${(cost ?? oldCost ?? '').padStart(2, '0')}$${salt}${digest}`
      const prepare = (password: string) =>
        (ident === undefined ? createHash('sha256') : createHmac('sha256', salt)).update(password).digest('base64')
      return openBcrypt('bcrypt-sha256', crypt, Number(cost ?? oldCost), prepare, () => true)
    },
  },
  {
    // WordPress since 6.8, which cuts white space off a password before anything else.
    name: 'WordPress bcrypt',
    start: /^\$wp\$/,
    whole: /^\$wp(?<crypt>\$2y\$(?<cost>\d\d)\$[./A-Za-z0-9]{53})$/,
    open: ({ crypt = '', cost }) => {
      const prepare = (password: string) =>
        createHmac('sha384', 'wp-sha384').update(trimAsPhp(password)).digest('base64')
      return openBcrypt('wp', crypt, Number(cost), prepare, password => trimAsPhp(password) === password)
    },
  },
  {
    // phpass' portable hashes: WordPress before 6.8 and its plugins; phpBB and its like.
    name: 'phpass',
    start: /^\$[PH]\$/,
    whole: /^\$(?<program>[PH])\$(?<count>[5-9A-S])(?<salt>[./A-Za-z0-9]{8})(?<digest>[./A-Za-z0-9]{22})$/,
    open: ({ program, count = '', salt = '', digest = '' }) => {
      const rounds = 2 ** './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ'.indexOf(count)
      return openCryptLoop({ name: 'phpass', rounds, salt }, digest, program === 'P' ? trimAsPhp : undefined)
    },
  },
  {
    name: 'sha512-crypt',
    start: /^\$6\$/,
    whole: /^\$6\$(?:rounds=(?<rounds>\d{4,9})\$)?(?<salt>[./A-Za-z0-9]{0,16})\$(?<digest>[./A-Za-z0-9]{86})$/,
    open: ({ rounds = '5000', salt = '', digest = '' }) =>
      openCryptLoop({ name: 'sha512-crypt', rounds: Number(rounds), salt }, digest),
  },
  {
    name: 'sha256-crypt',
    start: /^\$5\$/,
    whole: /^\$5\$(?:rounds=(?<rounds>\d{4,9})\$)?(?<salt>[./A-Za-z0-9]{0,16})\$(?<digest>[./A-Za-z0-9]{43})$/,
    open: ({ rounds = '5000', salt = '', digest = '' }) =>
      openCryptLoop({ name: 'sha256-crypt', rounds: Number(rounds), salt }, digest),
  },
  {
    // RFC 2307 and its salted kin, of LDAP servers and Dovecot.
    name: 'SHA',
    start: /^\{S?SHA(?:256|512)?\}/,
    whole: /^\{(?<salted>S?)SHA(?<size>256|512)?\}(?<bytes>[A-Za-z0-9+/]{27,172}={0,2})$/,
    open: ({ salted, size = '1', bytes }) => openSha(`sha${size}`, decode(bytes), salted === 'S'),
  },
  {
    // The PHC string format, as Ory Kratos and Auth0 write it.
    name: 'PBKDF2',
    start: /^\$pbkdf2-sha(?:1|256|384|512)\$i=/,
    whole:
      /^\$pbkdf2-(?<hash>sha(?:1|256|384|512))\$i=(?<iterations>\d{1,9}),l=(?<length>\d{1,3})\$(?<salt>[A-Za-z0-9+/]{0,256})\$(?<digest>[A-Za-z0-9+/]{22,86})$/,
    open: ({ hash, iterations, length, salt, digest }) => {
      const expected = decode(digest)
      return expected?.length === Number(length) ? openPbkdf2(hash, iterations, decode(salt), expected) : undefined
    },
  },
  {
    // OpenLDAP's and passlib's, in passlib's base64.
    name: 'PBKDF2',
    start: /^\{PBKDF2(?:-SHA(?:1|256|512))?\}\d/,
    whole:
      /^\{PBKDF2(?:-(?<hash>SHA(?:1|256|512)))?\}(?<iterations>\d{1,9})\$(?<salt>[A-Za-z0-9./]{0,256})\$(?<digest>[A-Za-z0-9./]{22,86})$/,
    open: ({ hash = 'sha1', iterations, salt, digest }) =>
      openPbkdf2(hash.toLowerCase(), iterations, decode(salt), decode(digest)),
  },
  {
    // Dovecot's.
    name: 'PBKDF2',
    start: /^\{PBKDF2\}\$1\$/,
    whole: /^\{PBKDF2\}\$1\$(?<salt>[^$]{1,256})\$(?<iterations>\d{1,9})\$(?<digest>[0-9a-f]{40})$/,
    open: ({ salt = '', iterations, digest = '' }) =>
      openPbkdf2('sha1', iterations, Buffer.from(salt), Buffer.from(digest, 'hex')),
  },
  {
    // Spring Security's Pbkdf2PasswordEncoder in its two defaults: salt and digest in one hex text.
    name: 'PBKDF2',
    start: /^\{pbkdf2(?:@SpringSecurity_v5_[58])?\}/,
    whole: /^\{pbkdf2(?<version>@SpringSecurity_v5_[58])?\}(?<bytes>[0-9a-f]{80}|[0-9a-f]{96})$/,
    open: ({ version, bytes = '' }) => {
      const isNew = version === '@SpringSecurity_v5_8'
      const [hash, iterations, saltSize] = isNew ? (['sha256', 310_000, 16] as const) : (['sha1', 185_000, 8] as const)
      const all = Buffer.from(bytes, 'hex')
      if (all.length !== saltSize + 32) return undefined
      return openPbkdf2(hash, iterations, all.subarray(0, saltSize), all.subarray(saltSize))
    },
  },
  {
    // Spring Security's SCryptPasswordEncoder: log2 N, r and p in one hexadecimal number.
    name: 'scrypt',
    start: /^\{scrypt(?:@SpringSecurity_v[45]_[18])?\}/,
    whole:
      /^\{scrypt(?:@SpringSecurity_v[45]_[18])?\}\$(?<costs>[0-9a-f]{5,6})\$(?<salt>[A-Za-z0-9+/]{0,256}={0,2})\$(?<digest>[A-Za-z0-9+/]{22,86}={0,2})$/,
    open: ({ costs = '', salt, digest }) => {
      const number = Number.parseInt(costs, 16)
      return openScrypt(
        { N: 2 ** (number >> 16), r: (number >> 8) & 0xff, p: number & 0xff },
        decode(salt),
        decode(digest),
      )
    },
  },
  {
    // ASP.NET Core Identity's PasswordHasher, in the format of version 3: 1, function, iterations, salt length, salt, subkey.
    name: 'ASP.NET Identity',
    start: /^AQAAAA/,
    whole: /^(?<bytes>AQAAAA[A-Za-z0-9+/]{40,160}={0,2})$/,
    open: ({ bytes }) => {
      const all = decode(bytes)
      if (all === undefined || all.length < 13 + 16 + 16) return undefined
      const [hash, saltSize] = [['sha1', 'sha256', 'sha512'][all.readUInt32BE(1)], all.readUInt32BE(9)]
      if (hash === undefined || saltSize < 8 || saltSize > 64) return undefined
      return openPbkdf2(hash, all.readUInt32BE(5), all.subarray(13, 13 + saltSize), all.subarray(13 + saltSize))
    },
  },
  {
    // ASP.NET Identity version 2: 0, 16 bytes of salt, 32 of the subkey.
    name: 'ASP.NET Identity',
    start: /^A[A-P][A-Za-z0-9+/]{64}==$/,
    whole: /^(?<bytes>A.*)$/,
    open: ({ bytes }) => {
      const all = decode(bytes)
      return all && openPbkdf2('sha1', 1000, all.subarray(1, 17), all.subarray(17))
    },
  },
]

/** What Spring Security, LDAP servers and Dovecot write before hashes that say themselves what they are. */
const wrapper =
  /^\{(?:bcrypt|crypt|argon2(?:@SpringSecurity_v5_[28])?|BLF-CRYPT|CRYPT|ARGON2|ARGON2I|ARGON2ID|SHA512-CRYPT|SHA256-CRYPT)\}(?=\$)/

/** True for hashes of which a graphics card computes a hundred million in a second. */
export const isWeakPasswordHash = (text: string) => /^\{S?SHA/.test(text.replace(wrapper, ''))

/** @returns what verifies a stored hash, or undefined for what {@link passwordHashProblem} names a reason for */
export function openPasswordHash(text: string): PasswordHash | undefined {
  const opened = read(text)
  return typeof opened === 'string' ? undefined : opened
}

/** Why text cannot be taken as a stored hash, as what comes after "hashed_password: "; undefined when it can be. */
export function passwordHashProblem(text: string): string | undefined {
  // Some programs take salts of any characters.
  if (!isStorable(text)) return 'has a NUL or half a character in it'
  const opened = read(text)
  return typeof opened === 'string' ? opened : undefined
}

function read(stored: string): PasswordHash | string {
  const text = stored.replace(wrapper, '')
  const format = formats.find(({ start }) => start.test(text))
  if (format === undefined) return 'is no password hash of a kind that can be verified here: docs/import.md lists them'
  const groups = format.whole.exec(text)?.groups
  const opened = groups && format.open(groups)
  if (opened === undefined) return `is not a whole ${format.name} hash`
  return typeof opened === 'string'
    ? `costs more than one sign-in may: the limit for ${format.name} is ${opened}`
    : opened
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

/** PHP's trim(); by hand, since a pattern for the end takes quadratic time on blanks. */
function trimAsPhp(password: string): string {
  const isBlank = (at: number) => ' \t\n\r\0\v'.includes(password[at]!)
  let [start, end] = [0, password.length]
  while (start < end && isBlank(start)) start++
  while (start < end && isBlank(end - 1)) end--
  return password.slice(start, end)
}
