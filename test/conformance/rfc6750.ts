/** RFC 6750, Bearer Token Usage. */
import { bindsClients, type Row, tlsAtProxy } from './_row.ts'

const challenges =
  'conformance › rfc6750 › * *: every challenge is Bearer with parameters that are well-formed and there once (RFC 6750 §3)'
const noToken =
  'http › user_endpoints › * * without a token is 401 with a challenge that names no error (RFC 6750 §3.1)'
const badToken = 'http › user_endpoints › * * with a bad token is 401 with error="invalid_token" (RFC 6750 §3.1)'
const fromForm =
  'oauth › openid › UserInfo takes no access token twice, in the query string or in JSON (RFC 6750 §2.2, §2.3)'
const inQuery =
  'http › user_endpoints › * * with the token in the query string is invalid_request (RFC 6750 §2.3, §5.3)'
const noCookie = 'conformance › rfc6750 › * * sets no cookie (RFC 6750 §5.2, §5.3)'
const httpIssuer = 'config › the issuer "http://auth.example.com" is refused'

export const rfc6750: readonly Row[] = [
  {
    section: '2',
    level: 'MUST NOT',
    requirement: 'a token is sent in two ways at once',
    test: 'oauth › openid › UserInfo in two ways at once is invalid_request, even with the same token (RFC 6750 §2)',
  },
  { section: '2.1', level: 'SHOULD', requirement: 'clients send tokens in the header', why: bindsClients },
  {
    section: '2.1',
    level: 'MUST',
    requirement: 'tokens in the header are taken',
    test: 'http › user_endpoints › the Bearer scheme is compared without case (RFC 9110 §11.1)',
  },
  {
    section: '2.1',
    level: 'MUST',
    requirement: 'tokens in the header are taken at `POST /userinfo` too, which needs no body',
    test: 'oauth › openid › UserInfo by POST, in the header, without a body (OIDC Core §5.3.1)',
  },
  { section: '2.2', level: 'MUST NOT', requirement: 'a token in a body that is not a form', test: fromForm },
  { section: '2.2', level: 'MUST', requirement: 'a form with a token is ASCII, encoded', why: bindsClients },
  {
    section: '2.2',
    level: 'MUST NOT',
    requirement: 'a token in the body of a GET',
    test: 'oauth › openid › no other endpoint takes an access token from a form (RFC 6750 §2.2)',
  },
  {
    section: '2.2',
    level: 'MUST',
    requirement: 'a token in a form is set apart from other parameters',
    why: bindsClients,
  },
  {
    section: '2.2',
    level: 'SHOULD NOT',
    requirement: 'a token in a form where the header would do',
    why: bindsClients,
  },
  {
    section: '2.3',
    level: 'MUST',
    requirement: 'a token in a query is set apart from other parameters',
    test: inQuery,
  },
  { section: '2.3', level: 'SHOULD', requirement: 'who sends a token in a query asks for no cache', why: bindsClients },
  {
    section: '2.3',
    level: 'SHOULD',
    requirement: 'answers to a token in a query are private',
    why: 'a token in a query is refused',
  },
  { section: '2.3', level: 'SHOULD NOT', requirement: 'tokens in a query', test: inQuery },
  { section: '3', level: 'MUST', requirement: '`WWW-Authenticate` for who sent no token', test: noToken },
  {
    section: '3',
    level: 'MUST',
    requirement: '`WWW-Authenticate` for who sent a token that is not good',
    test: badToken,
  },
  {
    section: '3',
    level: 'MUST',
    requirement: '`WWW-Authenticate` for who sent a malformed request without a token that is good',
    test: 'conformance › rfc6750 › a malformed request without a token that is good is told the Bearer challenge too (RFC 6750 §3)',
  },
  { section: '3', level: 'MUST', requirement: 'the scheme of challenges is Bearer', test: challenges },
  { section: '3', level: 'MUST', requirement: 'a challenge has parameters', test: challenges },
  { section: '3', level: 'MUST NOT', requirement: '`realm` twice', test: challenges },
  {
    section: '3',
    level: 'MUST NOT',
    requirement: '`scope` twice',
    test: 'oauth › openid › UserInfo by *: without openid it is 403 insufficient_scope with a challenge (RFC 6750 §3.1)',
  },
  { section: '3', level: 'SHOULD', requirement: '`error` for who sent a token that is not good', test: badToken },
  {
    section: '3',
    level: 'MUST NOT',
    requirement: '`error`, `error_description` or `error_uri` twice',
    test: challenges,
  },
  {
    section: '3',
    level: 'MUST NOT',
    requirement: 'other characters in `scope` than those that are allowed',
    test: 'oauth › openid › UserInfo by *: without openid it is 403 insufficient_scope with a challenge (RFC 6750 §3.1)',
  },
  {
    section: '3',
    level: 'MUST NOT',
    requirement: 'other characters in `error` and `error_description` than those that are allowed',
    test: challenges,
  },
  {
    section: '3',
    level: 'MUST',
    requirement: '`error_uri` is a URI reference',
    why: 'no challenge has an `error_uri`',
  },
  { section: '3.1', level: 'SHOULD', requirement: '400 with invalid_request', test: inQuery },
  { section: '3.1', level: 'SHOULD', requirement: '401 with invalid_token', test: badToken },
  {
    section: '3.1',
    level: 'SHOULD',
    requirement: '403 with insufficient_scope',
    test: 'oauth › openid › UserInfo by *: without openid it is 403 insufficient_scope with a challenge (RFC 6750 §3.1)',
  },
  { section: '3.1', level: 'SHOULD NOT', requirement: 'an error for who did not authenticate at all', test: noToken },
  {
    section: '5.2',
    level: 'MUST',
    requirement: 'tokens that are references cannot be guessed',
    why: 'access tokens carry what they say',
  },
  {
    section: '5.2',
    level: 'MUST',
    requirement: 'tokens cannot be changed',
    test: 'http › user_endpoints › any changed character of an access token is refused (*)',
  },
  {
    section: '5.2',
    level: 'RECOMMENDED',
    requirement: 'tokens are for a scope',
    test: 'oauth › token_endpoint › the scope granted for "read" is read (RFC 6749 §3.3)',
  },
  { section: '5.2', level: 'MUST', requirement: 'the server has TLS', why: tlsAtProxy },
  {
    section: '5.2',
    level: 'MUST',
    requirement: 'tokens are sent by TLS: a server that would be reached without it does not start',
    test: httpIssuer,
  },
  {
    section: '5.2',
    level: 'MUST',
    requirement: 'tokens are encrypted where the client must not read them',
    why: 'nothing in an access token is to be hidden from its client',
  },
  { section: '5.2', level: 'MUST', requirement: 'clients check the certificate chain', why: bindsClients },
  {
    section: '5.2',
    level: 'MUST NOT',
    requirement: 'tokens in cookies that could be sent in the clear',
    test: noCookie,
  },
  {
    section: '5.2',
    level: 'MUST',
    requirement: 'tokens stay confidential between a proxy that ends TLS and the server',
    why: "the operator's network; by default the server listens on loopback only",
  },
  {
    section: '5.2',
    level: 'MUST',
    requirement: 'tokens have a limited lifetime',
    test: 'http › user_endpoints › an access token works until the second it expires',
  },
  { section: '5.2', level: 'MUST', requirement: 'exchanges with clients are confidential', why: tlsAtProxy },
  { section: '5.2', level: 'MUST', requirement: 'clients verify who the resource server is', why: bindsClients },
  {
    section: '5.3',
    level: 'MUST',
    requirement: 'clients leak no tokens, check certificates and use TLS',
    why: bindsClients,
  },
  { section: '5.3', level: 'MUST NOT', requirement: 'tokens in cookies without Secure', test: noCookie },
  {
    section: '5.3',
    level: 'MUST',
    requirement: 'CSRF protection where tokens are in cookies',
    why: 'no token is in a cookie',
  },
  {
    section: '5.3',
    level: 'SHOULD',
    requirement: 'tokens live for an hour at the most',
    test: 'config › an empty environment gives the defaults',
  },
  {
    section: '5.3',
    level: 'SHOULD',
    requirement: 'tokens are for an audience',
    test: 'oauth › access_token › the claims are those of RFC 9068 §2.2 with sid, and no other',
  },
  { section: '5.3', level: 'SHOULD NOT', requirement: 'tokens in page URLs', test: inQuery },
  { section: '5.3', level: 'SHOULD', requirement: 'tokens in headers or bodies', test: fromForm },
]
