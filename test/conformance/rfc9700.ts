/** RFC 9700, Best Current Practice for OAuth 2.0 Security. */
import { bindsClients, bindsResourceServers, noAuthorizationEndpoint, type Row, tlsAtProxy } from './_row.ts'

const noRedirect =
  'conformance › rfc9700 › no answer is a redirect, whatever address a request names (RFC 9700 §2.1, §4.11.2, §4.12)'
const reuse =
  'oauth › refresh_token › reusing a superseded refresh token revokes the session, current token and access token too (RFC 9700 §4.14.2)'
const ofResource = 'oauth › resource › *: one is a string (RFC 8707 §2)'
const noSender =
  'access tokens are bearer tokens: they live for minutes and are for one audience, and their session can be ended at once'
const clientNames =
  'conformance › rfc9068 › no client id can be taken for the sub of a user (RFC 9068 §5, RFC 9700 §4.15.1)'
const noFraming = 'http › headers › a page has every header that Helmet sets, and each is Helmet’s or stricter'
const noMessages = 'nothing is sent by postMessage'

export const rfc9700: readonly Row[] = [
  {
    section: '1',
    level: 'RECOMMENDED',
    requirement: 'implementations and ecosystems follow soon',
    why: 'it is what this table is about',
  },
  {
    section: '2.1',
    level: 'MUST',
    requirement: 'redirection URIs are compared letter by letter',
    why: noAuthorizationEndpoint,
  },
  { section: '2.1', level: 'MUST NOT', requirement: 'open redirectors', test: noRedirect },
  { section: '2.1', level: 'MUST', requirement: 'clients prevent CSRF', why: bindsClients },
  {
    section: '2.1',
    level: 'REQUIRED',
    requirement: 'clients of several servers defend themselves against mix-up',
    why: bindsClients,
  },
  { section: '2.1', level: 'MUST', requirement: 'credentials are not forwarded by a redirect', test: noRedirect },
  {
    section: '2.1.1',
    level: 'MUST',
    requirement: 'PKCE for public clients',
    test: 'oauth › challenge › no code_challenge from a public client is invalid_request, and the password is not looked at',
  },
  {
    section: '2.1.1',
    level: 'MUST',
    requirement: 'a code that came with a `code_challenge` needs its `code_verifier`',
    test: 'oauth › authorization_code › a first use by another client, with another verifier or with none leaves the code to its owner',
  },
  {
    section: '2.1.2',
    level: 'SHOULD NOT',
    requirement: 'the implicit grant',
    test: 'conformance › rfc8414 › * announces no authorization endpoint, and there is none (RFC 8414 §2, RFC 9207 §3)',
  },
  {
    section: '2.2.1',
    level: 'SHOULD',
    requirement: 'access tokens are bound to who sends them',
    onPurpose: true,
    why: noSender,
  },
  {
    section: '2.2.2',
    level: 'MUST',
    requirement: 'refresh tokens of public clients rotate or are bound to who sends them',
    test: reuse,
  },
  {
    section: '2.3',
    level: 'SHOULD',
    requirement: 'a token can do no more than it has to',
    test: 'oauth › token_endpoint › the scope granted for "read" is read (RFC 6749 §3.3)',
  },
  {
    section: '2.3',
    level: 'SHOULD',
    requirement: 'access tokens are for one resource server or a few',
    test: ofResource,
  },
  {
    section: '2.3',
    level: 'MUST',
    requirement: 'resource servers refuse tokens that are not for them',
    why: bindsResourceServers,
  },
  {
    section: '2.3',
    level: 'SHOULD',
    requirement: 'access tokens are for certain resources and actions',
    test: 'oauth › refresh_token › a wider scope than was granted at sign-in is invalid_scope and does not use the token up (RFC 6749 §6)',
  },
  {
    section: '2.4',
    level: 'MUST NOT',
    requirement: 'the password grant',
    onPurpose: true,
    why: 'it is what Latchkey is for: first-party apps of who owns the users too, each given the grant by name (docs/decisions.md, Where the password grant stands today)',
  },
  {
    section: '2.5',
    level: 'SHOULD',
    requirement: 'clients authenticate where they can',
    test: 'conformance › rfc6749 › a confidential client must authenticate for *: its id alone is invalid_client (RFC 6749 §2.2, §3.2.1)',
  },
  {
    section: '2.5',
    level: 'RECOMMENDED',
    requirement: 'clients authenticate by keys',
    test: 'clients › client_assertion › * authenticates, whether or not the assertion and the key have a kid (RFC 7515 §4.1.4)',
  },
  {
    section: '2.6',
    level: 'RECOMMENDED',
    requirement: 'metadata is published',
    test: 'conformance › rfc8414 › * is a 200 of application/json to GET, with what is required and no empty list (RFC 8414 §2, §3.1, §3.2)',
  },
  { section: '2.6', level: 'SHOULD NOT', requirement: 'clients choose an id that could be a user', test: clientNames },
  { section: '2.6', level: 'RECOMMENDED', requirement: 'TLS from end to end', why: tlsAtProxy },
  {
    section: '2.6',
    level: 'MUST NOT',
    requirement: 'authorization responses in the clear, and http redirection URIs',
    why: noAuthorizationEndpoint,
  },
  {
    section: '2.6',
    level: 'MUST',
    requirement: 'who sends and takes messages in the browser is verified',
    why: noMessages,
  },
  {
    section: '2.6',
    level: 'MUST NOT',
    requirement: 'CORS at the authorization endpoint',
    why: noAuthorizationEndpoint,
  },
  {
    section: '3',
    level: 'MUST',
    requirement: 'implementers think of every attacker in their environment',
    why: 'binds those who build on it; what the server assumes is in docs/operating.md',
  },
  { section: '4.1.3', level: 'MUST', requirement: 'the comparison of redirection URIs', why: noAuthorizationEndpoint },
  {
    section: '4.2.4',
    level: 'SHOULD NOT',
    requirement: 'third-party content on pages of an authorization',
    why: noAuthorizationEndpoint,
  },
  {
    section: '4.3.2',
    level: 'MUST NOT',
    requirement: 'access tokens in a query',
    test: 'http › user_endpoints › * * with the token in the query string is invalid_request (RFC 6750 §2.3, §5.3)',
  },
  { section: '4.4.2', level: 'MUST', requirement: 'clients prevent mix-up', why: bindsClients },
  { section: '4.4.2.1', level: 'MUST', requirement: 'clients compare the issuer', why: bindsClients },
  {
    section: '4.4.2.2',
    level: 'MUST',
    requirement: 'clients use a redirection URI for each issuer',
    why: bindsClients,
  },
  { section: '4.5.3.2', level: 'MUST', requirement: 'clients check `nonce`', why: bindsClients },
  {
    section: '4.7.1',
    level: 'MUST',
    requirement: 'support for PKCE can be told',
    test: 'oauth › metadata › promise 9: the metadata say exactly what works, in the same words at both places (RFC 8414 §2, OIDC Discovery §3)',
  },
  {
    section: '4.8.2',
    level: 'MUST',
    requirement: 'PKCE cannot be left out by an attacker',
    test: 'oauth › authorization_code › a client with a secret may do without PKCE: then a verifier is refused (RFC 9700 §2.1.1)',
  },
  {
    section: '4.9.3',
    level: 'SHOULD',
    requirement: 'tokens that leak at a resource server are bound to who sends them',
    onPurpose: true,
    why: noSender,
  },
  {
    section: '4.9.3',
    level: 'SHOULD',
    requirement: 'tokens that leak at a resource server are good for no other',
    test: ofResource,
  },
  {
    section: '4.9.3',
    level: 'MUST',
    requirement: 'access tokens are treated as secrets where they are taken',
    test: 'logs › no password, token, secret or Authorization value is in any log line or audit event',
  },
  {
    section: '4.10',
    level: 'SHOULD',
    requirement: 'access tokens are bound to who sends them and to an audience',
    onPurpose: true,
    why: `${noSender}; the audience they have`,
  },
  { section: '4.11.1', level: 'MUST NOT', requirement: 'clients are open redirectors', why: bindsClients },
  {
    section: '4.11.2',
    level: 'MUST',
    requirement: 'the server sends nobody to an address that it does not trust',
    test: noRedirect,
  },
  {
    section: '4.12',
    level: 'MUST NOT',
    requirement: 'redirects with 307 of requests with credentials',
    test: noRedirect,
  },
  {
    section: '4.12',
    level: 'SHOULD',
    requirement: 'redirects with 303 of requests with credentials',
    test: noRedirect,
  },
  {
    section: '4.13',
    level: 'MUST',
    requirement: 'headers that a proxy sets cannot come from elsewhere',
    test: 'http › caller › X-Forwarded-For of a peer that is not among the proxies is ignored and logged',
  },
  {
    section: '4.13',
    level: 'MUST',
    requirement: 'the way between proxy and server is protected',
    why: "the operator's network; by default the server listens on loopback only",
  },
  {
    section: '4.14.2',
    level: 'MUST',
    requirement: 'who gets refresh tokens is decided for each client',
    test: 'oauth › token_endpoint › a client without the refresh_token grant gets no refresh token, and its session ends with the access token',
  },
  {
    section: '4.14.2',
    level: 'MUST',
    requirement: 'refresh tokens are bound to scope and resources',
    test: 'oauth › resource › a sign-in narrows the session: no refresh goes beyond it (RFC 8707 §2.2)',
  },
  {
    section: '4.14.2',
    level: 'MUST',
    requirement: 'a stolen refresh token of a public client is noticed',
    test: reuse,
  },
  {
    section: '4.14.2',
    level: 'MUST',
    requirement: 'a refresh token that says what it belongs to cannot be changed',
    test: 'sessions › refresh_token_codec › property: any changed, added or removed character is refused',
  },
  {
    section: '4.14.2',
    level: 'SHOULD',
    requirement: 'refresh tokens expire that are not used',
    test: 'oauth › refresh_token › a session that is not refreshed for the idle lifetime ends; each refresh begins it anew',
  },
  {
    section: '4.15.1',
    level: 'SHOULD NOT',
    requirement: 'a client has an id or a claim that could be a user',
    test: clientNames,
  },
  {
    section: '4.15.1',
    level: 'MUST',
    requirement: 'tokens of clients and of users are told apart',
    test: 'oauth › client_credentials › its access token has the client as sub, and no sid, auth_time or amr (RFC 9068 §2.2)',
  },
  { section: '4.16', level: 'MUST', requirement: 'clickjacking is prevented', test: noFraming },
  { section: '4.16', level: 'SHOULD', requirement: 'Content Security Policy', test: noFraming },
  { section: '4.17.2', level: 'MUST', requirement: 'messages in the browser', why: noMessages },
]
