/** RFC 7009, Token Revocation. */
import { bindsClients, type Row, tlsAtProxy } from './_row.ts'

const cleanUrls =
  'conformance › rfc8414 › *: every URL is https, below the issuer, without query and fragment (RFC 8414 §2, RFC 6749 §3.2, RFC 7009 §2)'
const revokeRefreshToken =
  'oauth › revocation › revoking the refresh token ends its session, access tokens too, and nothing else (RFC 7009 §2.1)'
const cheap =
  'conformance › rfc7009 › a guessed token costs no write, and a forged refresh token not even a look (RFC 7009 §5)'

export const rfc7009: readonly Row[] = [
  { section: '2', level: 'MUST', requirement: 'refresh tokens can be revoked', test: revokeRefreshToken },
  {
    section: '2',
    level: 'SHOULD',
    requirement: 'access tokens can be revoked',
    test: 'oauth › revocation › revoking an access token ends its session',
  },
  {
    section: '2',
    level: 'SHOULD',
    requirement: 'access tokens without a session can be revoked too',
    test: "oauth › client_credentials › revoking a client's own access token makes it inactive, and no other one (RFC 7009 §2.1)",
  },
  { section: '2', level: 'MUST', requirement: 'the URL of the endpoint follows RFC 6749 §3.1', test: cleanUrls },
  { section: '2', level: 'MUST', requirement: 'clients check that the URL is https', why: bindsClients },
  { section: '2', level: 'MUST', requirement: 'the URL is https', test: cleanUrls },
  { section: '2', level: 'MUST', requirement: 'TLS', why: tlsAtProxy },
  {
    section: '2',
    level: 'SHOULD',
    requirement: 'a host that is reached by http too revokes there as well',
    why: "what answers at port 80 is the operator's proxy",
  },
  { section: '2', level: 'MUST NOT', requirement: 'an http URL of the endpoint is published', test: cleanUrls },
  {
    section: '2.1',
    level: 'REQUIRED',
    requirement: '`token`',
    test: 'oauth › revocation › a revocation without token is invalid_request (RFC 7009 §2.1)',
  },
  {
    section: '2.1',
    level: 'MUST',
    requirement: 'a wrong `token_type_hint` hides no token',
    test: 'oauth › revocation › token_type_hint=* changes nothing: a token shows what it is (RFC 7009 §2.1)',
  },
  {
    section: '2.1',
    level: 'SHOULD',
    requirement: 'the access tokens of a revoked refresh token end with it',
    test: revokeRefreshToken,
  },
  {
    section: '5',
    level: 'MUST',
    requirement: 'the endpoint is protected from denial of service like the token endpoint',
    test: cheap,
  },
  { section: '5', level: 'MUST', requirement: 'hints cannot be misused to make the server work', test: cheap },
  { section: '5', level: 'MUST', requirement: 'clients authenticate the endpoint', why: bindsClients },
]
