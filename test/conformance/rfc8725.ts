/** RFC 8725, JSON Web Token Best Current Practices. */
import { bindsLibraries, type Row } from './_row.ts'

const headerChoosesNothing =
  'keys › keys › the header chooses neither algorithm nor key: alg none and HS256 are refused (RFC 8725 §3.1)'
const assertionAlgs = 'clients › client_assertion › an assertion with alg none (RFC 8725 §3.2) is invalid_client'
const kinds =
  'conformance › rfc8725 › each kind of JWT has its own type, and none is taken for another (RFC 8725 §2.8, §3.11, §3.12)'
const foreignKey =
  "conformance › rfc8725 › an assertion by a key that is not the client's is refused, whatever its header offers (RFC 8725 §3.8, §3.10)"
const notNested = 'no JWT is nested or encrypted'

export const rfc8725: readonly Row[] = [
  { section: '2.8', level: 'MUST', requirement: 'a JWT of one purpose is good for no other', test: kinds },
  { section: '3.1', level: 'MUST', requirement: 'the algorithms that are taken are a list', test: assertionAlgs },
  {
    section: '3.1',
    level: 'MUST NOT',
    requirement: 'another algorithm than one of the list',
    test: headerChoosesNothing,
  },
  { section: '3.1', level: 'MUST', requirement: '`alg` is the algorithm that is used', test: headerChoosesNothing },
  {
    section: '3.1',
    level: 'MUST',
    requirement: 'a key is used with one algorithm',
    test: 'conformance › rfc8725 › an assertion by another algorithm than that of its key is refused (RFC 8725 §3.1)',
  },
  {
    section: '3.1',
    level: 'MUST',
    requirement: 'that a key is used with its algorithm is checked',
    test: 'conformance › rfc8725 › an assertion by another algorithm than that of its key is refused (RFC 8725 §3.1)',
  },
  {
    section: '3.2',
    level: 'SHOULD',
    requirement: 'a good signature by an algorithm that is not acceptable is none',
    test: assertionAlgs,
  },
  { section: '3.2', level: 'MUST', requirement: 'current algorithms only', test: assertionAlgs },
  {
    section: '3.2',
    level: 'MUST',
    requirement: 'the algorithm can be changed',
    test: 'keys › keys › *: what is signed verifies here, and with jose from the JWK Set alone',
  },
  {
    section: '3.2',
    level: 'SHOULD NOT',
    requirement: 'libraries make or take JWTs of alg none unasked',
    why: bindsLibraries,
  },
  { section: '3.2', level: 'SHOULD', requirement: 'no RSA encryption of PKCS #1 v1.5', why: notNested },
  {
    section: '3.2',
    level: 'SHOULD',
    requirement: 'ECDSA is deterministic',
    why: 'binds authors of libraries; OpenSSL mixes the key and the message into its nonce',
  },
  {
    section: '3.3',
    level: 'MUST',
    requirement: 'every signature is verified, and a JWT with a bad one is refused',
    test: 'clients › client_assertion › any changed character of an assertion is refused',
  },
  {
    section: '3.3',
    level: 'MUST',
    requirement: 'inner and outer operations of nested JWTs are verified',
    why: notNested,
  },
  { section: '3.4', level: 'MUST', requirement: 'points of ECDH-ES are validated', why: 'there is no key agreement' },
  {
    section: '3.5',
    level: 'MUST',
    requirement: 'keys have enough entropy: the master secret has 32 bytes at least',
    test: 'keys › master_secret › at least 32 bytes are asked for',
  },
  {
    section: '3.5',
    level: 'MUST',
    requirement: 'keys have enough entropy: RSA keys of clients have 2048 bits at least',
    test: 'clients › client_assertion › an RSA key of less than 2048 bits does not authenticate (RFC 7518 §3.3), one of *',
  },
  {
    section: '3.5',
    level: 'MUST NOT',
    requirement: 'a password is the key of a MAC',
    test: 'config › LATCHKEY_SIGNING_ALG="HS256" is refused in one line that says what it got and what it takes',
  },
  { section: '3.6', level: 'SHOULD NOT', requirement: 'what is encrypted is compressed before', why: notNested },
  {
    section: '3.7',
    level: 'MUST',
    requirement: 'JSON in JWTs is UTF-8',
    test: 'conformance › rfc8725 › what is not UTF-8 in an assertion is refused, what is passes (RFC 8725 §3.7)',
  },
  { section: '3.8', level: 'MUST', requirement: 'the key belongs to the issuer', test: foreignKey },
  {
    section: '3.8',
    level: 'MUST',
    requirement: 'a JWT by a key that is not of its issuer is refused',
    test: 'http › user_endpoints › an access token by the same key id of another server is refused',
  },
  {
    section: '3.8',
    level: 'MUST',
    requirement: 'the subject is somebody',
    test: 'clients › client_assertion › an assertion whose sub is a client that is not there is invalid_client (RFC 7523 §3)',
  },
  {
    section: '3.8',
    level: 'MUST',
    requirement: 'a JWT of a subject or issuer that is not good is refused',
    test: "http › user_endpoints › a disabled user's and a removed user's access tokens are refused",
  },
  {
    section: '3.9',
    level: 'MUST',
    requirement: 'JWTs have `aud`',
    test: 'conformance › rfc9068 › without resource a token is for the default audience, and clients of different resources get different ones (RFC 9068 §3, §5)',
  },
  {
    section: '3.9',
    level: 'MUST',
    requirement: 'the audience of client assertions is validated',
    test: 'clients › client_assertion › an assertion without aud is invalid_client (RFC 7523 §3)',
  },
  {
    section: '3.9',
    level: 'MUST',
    requirement: 'a client assertion for somebody else is refused',
    test: 'clients › client_assertion › an assertion for another server is invalid_client (RFC 7523 §3)',
  },
  {
    section: '3.9',
    level: 'MUST',
    requirement: "the audience of access tokens is validated at this server's own endpoints",
    onPurpose: true,
    why: 'like a UserInfo endpoint they take every token of this issuer: an app asks who is signed in with the token it has for its API',
  },
  { section: '3.10', level: 'SHOULD', requirement: 'no address in a header is followed', test: foreignKey },
  {
    section: '3.10',
    level: 'SHOULD',
    requirement: 'the address of keys in the record of a client does not reach private networks',
    test: 'clients › remote_jwks › without LATCHKEY_PRIVATE_JWKS_URIS no address of a private network is connected to (SSRF)',
  },
  { section: '3.11', level: 'RECOMMENDED', requirement: '`typ` without `application/`', test: kinds },
  { section: '3.11', level: 'SHOULD', requirement: '`typ` as media types are named', test: kinds },
  { section: '3.11', level: 'RECOMMENDED', requirement: '`typ` that ends in `+jwt`', test: kinds },
  { section: '3.11', level: 'MUST', requirement: 'the `typ` of a nested JWT is in the inner one', why: notNested },
  { section: '3.11', level: 'RECOMMENDED', requirement: 'explicit types for new kinds of JWTs', test: kinds },
  { section: '3.12', level: 'MUST', requirement: 'the rules for kinds of JWTs exclude one another', test: kinds },
  {
    section: '3.12',
    level: 'RECOMMENDED',
    requirement: 'explicit types tell kinds of JWTs apart',
    test: 'http › user_endpoints › an access token of the type of an ID token (RFC 9068 §4) is refused',
  },
]
