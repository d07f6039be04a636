/** RFC 7662, Token Introspection. */
import { bindsClients, bindsRegistries, type Row, tlsAtProxy } from './_row.ts'

const inactive = 'oauth › introspection › * is {"active":false}, and no error (RFC 7662 §2.2)'
const authorized =
  'oauth › introspection › a question * about a * token is invalid_client (RFC 7662 §2.3, RFC 6749 §5.2)'
const revoked = 'oauth › introspection › promise 4: after * both tokens are {"active":false}'
const expired =
  'oauth › introspection › an access token is active until the second of its expiry, its refresh token longer'
const members =
  'oauth › introspection › an active access token shows its claims, its type and the username, and nothing else (RFC 7662 §2.2)'

export const rfc7662: readonly Row[] = [
  { section: '2', level: 'MUST', requirement: 'TLS', why: tlsAtProxy },
  {
    section: '2.1',
    level: 'REQUIRED',
    requirement: '`token`',
    test: 'oauth › introspection › a question without token is invalid_request; an empty one is none (RFC 7662 §2.1, RFC 6749 §3.2)',
  },
  {
    section: '2.1',
    level: 'MUST',
    requirement: 'a wrong `token_type_hint` hides no token',
    onPurpose: true,
    why: 'it hides no access token; a refresh token is active only for its own client that says it asks about one, because resource servers look at nothing but `active`',
  },
  { section: '2.1', level: 'SHOULD', requirement: 'a token whose state cannot be told is not active', test: inactive },
  { section: '2.1', level: 'MUST', requirement: 'the endpoint asks for authorization', test: authorized },
  { section: '2.2', level: 'REQUIRED', requirement: '`active`', test: members },
  {
    section: '2.2',
    level: 'MUST',
    requirement:
      'names that are meant for everybody are registered: `sid` and `amr` are our own, as the names of the JWT claims',
    test: members,
  },
  {
    section: '2.2',
    level: 'MUST',
    requirement: 'a token that is not active is answered by `active: false`',
    test: inactive,
  },
  {
    section: '2.2',
    level: 'SHOULD NOT',
    requirement: 'anything else about a token that is not active',
    test: inactive,
  },
  { section: '2.3', level: 'MUST', requirement: 'a token that is not active is no error', test: inactive },
  { section: '3.1.1', level: 'SHOULD', requirement: 'names of members', why: bindsRegistries },
  {
    section: '4',
    level: 'MUST',
    requirement: 'every check that applies to a token is made',
    test: 'oauth › introspection › promise 4: after disabling the client both tokens are {"active":false}',
  },
  { section: '4', level: 'MUST', requirement: 'expiry is checked', test: expired },
  {
    section: '4',
    level: 'MUST',
    requirement: 'whether a token is good already is checked',
    why: 'every token is good at once',
  },
  { section: '4', level: 'MUST', requirement: 'revocation is checked', test: revoked },
  {
    section: '4',
    level: 'MUST',
    requirement: 'the signature is checked',
    test: 'oauth › introspection › an access token with other claims is {"active":false}, and no error (RFC 7662 §2.2)',
  },
  {
    section: '4',
    level: 'MUST',
    requirement: 'whether the token is for the resource server that asks is checked',
    test: 'oauth › introspection › a resource server of named resources sees tokens for these and no others, of either kind of grant (RFC 7662 §4)',
  },
  { section: '4', level: 'MUST', requirement: 'resource servers authenticate', test: authorized },
  {
    section: '4',
    level: 'SHOULD',
    requirement: 'resource servers are authorized to introspect one by one',
    onPurpose: true,
    why: 'every confidential client of this one owner may; a public one may not',
  },
  { section: '4', level: 'MUST', requirement: 'TLS 1.2', why: tlsAtProxy },
  { section: '4', level: 'MUST', requirement: 'who asks checks the certificate', why: bindsClients },
  { section: '4', level: 'SHOULD NOT', requirement: 'other claims about a token that is not active', test: revoked },
  {
    section: '4',
    level: 'MUST',
    requirement: 'who keeps answers thinks of what a stale one costs',
    why: 'binds who builds on it; answers are `no-store`',
  },
  { section: '4', level: 'MUST NOT', requirement: 'an answer is kept for longer than its token lives', test: members },
  {
    section: '5',
    level: 'MUST',
    requirement: 'what is private in an answer is seen by nobody who should not',
    test: authorized,
  },
]
