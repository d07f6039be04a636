/** RFC 7517, JSON Web Key. */
import { bindsRegistries, type Row } from './_row.ts'

const wellFormed =
  'conformance › rfc7517 › the JWK Set is an object with keys, each with kty, a kid of its own, and use without key_ops; no member is there twice (RFC 7517 §4, §5)'
const ignored =
  "conformance › rfc7517 › in a client's JWK Set, keys and members that are not understood are ignored (RFC 7517 §4, §5)"
const noKeyOps = 'no key has `key_ops`'
const noCertificates = 'no key has a certificate, and none of a client is looked at'
const noEncryptedSets = 'no JWK is exchanged encrypted'

export const rfc7517: readonly Row[] = [
  { section: '2', level: 'MUST', requirement: 'a JWK Set has `keys`', test: wellFormed },
  { section: '4', level: 'MUST', requirement: 'the members of a key are there once', test: wellFormed },
  {
    section: '4',
    level: 'MUST',
    requirement: 'of a member that is there twice in a key that is read, the last one counts',
    why: 'it is what `JSON.parse` does',
  },
  { section: '4', level: 'MUST', requirement: 'members that are not understood are ignored', test: ignored },
  { section: '4.1', level: 'MUST', requirement: '`kty`', test: wellFormed },
  { section: '4.3', level: 'MUST NOT', requirement: 'an operation twice in `key_ops`', why: noKeyOps },
  {
    section: '4.3',
    level: 'SHOULD NOT',
    requirement: 'operations in `key_ops` that do not belong together',
    why: noKeyOps,
  },
  { section: '4.3', level: 'SHOULD NOT', requirement: '`use` beside `key_ops`', test: wellFormed },
  { section: '4.3', level: 'MUST', requirement: '`use` and `key_ops` say the same', why: noKeyOps },
  { section: '4.5', level: 'SHOULD', requirement: 'every key has a `kid` of its own', test: wellFormed },
  { section: '4.6', level: 'MUST', requirement: '`x5u`', why: noCertificates },
  { section: '4.7', level: 'MUST', requirement: '`x5c`', why: noCertificates },
  { section: '4.8', level: 'MUST', requirement: '`x5t`', why: noCertificates },
  { section: '4.9', level: 'MUST', requirement: '`x5t#S256`', why: noCertificates },
  { section: '5', level: 'MUST', requirement: 'a JWK Set has `keys`, a list', test: wellFormed },
  { section: '5', level: 'MUST', requirement: 'the members of a JWK Set are there once', test: wellFormed },
  {
    section: '5',
    level: 'MUST',
    requirement: 'of a member that is there twice in a JWK Set that is read, the last one counts',
    why: 'it is what `JSON.parse` does',
  },
  {
    section: '5',
    level: 'MUST',
    requirement: 'members of a JWK Set that are not understood are ignored',
    test: ignored,
  },
  { section: '5', level: 'SHOULD', requirement: 'keys of a kind that is not understood are ignored', test: ignored },
  {
    section: '5',
    level: 'SHOULD',
    requirement: 'keys that lack members are ignored',
    test: 'clients › remote_jwks › one key that cannot be read keeps out who names it, not who names another (RFC 7517 §5)',
  },
  {
    section: '7',
    level: 'MUST',
    requirement: 'private keys are seen by nobody who should not',
    test: 'keys › keys › *: no private member is stored in the clear or served',
  },
  {
    section: '7',
    level: 'MUST',
    requirement: 'the `cty` of an encrypted JWK',
    why: 'the JWE of a stored signing key is read by its writer, who knows what is inside',
  },
  { section: '7', level: 'MUST', requirement: 'the `cty` of an encrypted JWK Set', why: noEncryptedSets },
  { section: '8.1.1', level: 'RECOMMENDED', requirement: 'short names', why: bindsRegistries },
  { section: '8.2.1', level: 'RECOMMENDED', requirement: 'short names of uses', why: bindsRegistries },
  { section: '8.3.1', level: 'RECOMMENDED', requirement: 'short names of operations', why: bindsRegistries },
  { section: '8.4.1', level: 'RECOMMENDED', requirement: 'short names of members of a set', why: bindsRegistries },
  {
    section: '9.2',
    level: 'MUST',
    requirement: 'private and symmetric keys are protected from disclosure: the published set has public members only',
    test: 'keys › jwks › the JWK Set has public members only (*, RFC 7517 §4, RFC 7518 §6)',
  },
  {
    section: '9.2',
    level: 'MUST',
    requirement:
      'private and symmetric keys are protected from disclosure: a set of a client that shows one is not taken',
    test: 'clients › client_assertion › a JWK Set that shows a private or secret key, or is none, is not taken',
  },
]
