/** RFC 9068, JWT Profile for OAuth 2.0 Access Tokens. */
import { bindsClients, type Row } from './_row.ts'

const claims = 'oauth › access_token › the claims are those of RFC 9068 §2.2 with sid, and no other'
const ownClaims =
  'oauth › client_credentials › its access token has the client as sub, and no sid, auth_time or amr (RFC 9068 §2.2)'
const header = 'oauth › access_token › the header is at+jwt with the algorithm and the kid (RFC 9068 §2.1)'
const ofClients =
  'conformance › rfc9068 › without resource a token is for the default audience, and clients of different resources get different ones (RFC 9068 §3, §5)'
const noneAndHmac = 'http › user_endpoints › a token of alg none is refused (RFC 8725 §3.1)'
const claimsOfUsers =
  'oauth › user_claims › a client that asks for * gets that and no more, at the sign-in, at each refresh and at introspection (RFC 9068 §2.2.2, §2.2.3.1)'
const badToken = 'http › user_endpoints › * * with a bad token is 401 with error="invalid_token" (RFC 6750 §3.1)'
const anyAudience =
  'like a UserInfo endpoint, those of this server take every token of this issuer: an app asks who is signed in with the token it has for its API'

export const rfc9068: readonly Row[] = [
  { section: '2.1', level: 'MUST', requirement: 'access tokens are signed', test: header },
  {
    section: '2.1',
    level: 'RECOMMENDED',
    requirement: 'asymmetric signatures',
    test: 'keys › jwks › an access token is one that jose verifies with nothing but the JWK Set (*, RFC 9068 §4)',
  },
  { section: '2.1', level: 'MUST NOT', requirement: 'alg none', test: noneAndHmac },
  {
    section: '2.1',
    level: 'MUST',
    requirement: 'RS256 is supported',
    test: 'keys › keys › *: what is signed verifies here, and with jose from the JWK Set alone',
  },
  { section: '2.1', level: 'MUST', requirement: '`typ` says that it is an access token', test: header },
  { section: '2.1', level: 'RECOMMENDED', requirement: '`typ` without `application/`', test: header },
  { section: '2.1', level: 'SHOULD', requirement: '`typ` is `at+jwt`', test: header },
  { section: '2.2', level: 'REQUIRED', requirement: '`iss`', test: claims },
  { section: '2.2', level: 'REQUIRED', requirement: '`exp`', test: claims },
  { section: '2.2', level: 'REQUIRED', requirement: '`aud`', test: claims },
  { section: '2.2', level: 'REQUIRED', requirement: '`sub`', test: claims },
  {
    section: '2.2',
    level: 'SHOULD',
    requirement: '`sub` is the user where one has signed in',
    test: 'conformance › rfc9068 › no client id can be taken for the sub of a user (RFC 9068 §5, RFC 9700 §4.15.1)',
  },
  { section: '2.2', level: 'SHOULD', requirement: '`sub` is the client where no user is involved', test: ownClaims },
  { section: '2.2', level: 'REQUIRED', requirement: '`client_id`', test: claims },
  { section: '2.2', level: 'REQUIRED', requirement: '`iat`', test: claims },
  {
    section: '2.2',
    level: 'REQUIRED',
    requirement: '`jti`',
    test: 'oauth › access_token › every token has a jti of its own',
  },
  {
    section: '2.2.2',
    level: 'SHOULD',
    requirement: 'claims about the user have their registered names',
    test: claimsOfUsers,
  },
  {
    section: '2.2.3',
    level: 'SHOULD',
    requirement: '`scope` where one was asked for',
    test: 'oauth › token_endpoint › the scope granted for "read" is read (RFC 6749 §3.3)',
  },
  {
    section: '2.2.3',
    level: 'MUST',
    requirement: 'every scope in a token means something to its audience',
    onPurpose: true,
    why: 'scopes are not registered by resource: the operator gives each client its scope and its audience, and `resource` and `scope` narrow them',
  },
  {
    section: '2.2.3.1',
    level: 'SHOULD',
    requirement: 'groups, roles and entitlements have the names and forms of SCIM',
    test: claimsOfUsers,
  },
  {
    section: '3',
    level: 'SHOULD',
    requirement: '`aud` is what `resource` asked for',
    test: 'oauth › resource › *: one is a string (RFC 8707 §2)',
  },
  {
    section: '3',
    level: 'MUST NOT',
    requirement: 'tokens that could be read in two ways',
    test: 'oauth › resource › *: one that the client does not have is invalid_target, and nothing is used up (RFC 8707 §2)',
  },
  { section: '3', level: 'MUST', requirement: 'a default audience where there is no `resource`', test: ofClients },
  {
    section: '3',
    level: 'SHOULD',
    requirement: 'the default audience follows from the scope',
    onPurpose: true,
    why: 'it follows from the client: scopes are not registered by resource',
  },
  {
    section: '3',
    level: 'SHOULD',
    requirement: 'scopes of different resources are refused together',
    onPurpose: true,
    why: 'scopes are not registered by resource',
  },
  {
    section: '4',
    level: 'RECOMMENDED',
    requirement: 'access tokens can be verified without a shared secret',
    test: 'keys › jwks › an access token is one that jose verifies with nothing but the JWK Set (*, RFC 9068 §4)',
  },
  {
    section: '4',
    level: 'SHOULD',
    requirement: 'metadata says where the keys are and what `iss` is',
    test: 'conformance › rfc8414 › both metadata documents say the same of what both say (RFC 9068 §4)',
  },
  {
    section: '4',
    level: 'MUST',
    requirement: 'both metadata documents say the same',
    test: 'conformance › rfc8414 › both metadata documents say the same of what both say (RFC 9068 §4)',
  },
  {
    section: '4',
    level: 'MUST',
    requirement: 'another `typ` is refused',
    test: 'http › user_endpoints › an access token of the type of an ID token (RFC 9068 §4) is refused',
  },
  {
    section: '4',
    level: 'SHOULD',
    requirement: 'tokens that should be encrypted and are not are refused',
    why: 'no token is encrypted',
  },
  {
    section: '4',
    level: 'MUST',
    requirement: '`iss` is compared letter by letter',
    test: 'http › user_endpoints › an access token of the issuer with a slash is refused',
  },
  { section: '4', level: 'MUST', requirement: 'the audience is validated', onPurpose: true, why: anyAudience },
  {
    section: '4',
    level: 'MUST',
    requirement: 'the signature is verified',
    test: 'http › user_endpoints › any changed character of an access token is refused (*)',
  },
  { section: '4', level: 'MUST', requirement: 'alg none is refused', test: noneAndHmac },
  {
    section: '4',
    level: 'MUST',
    requirement: 'the keys are those of the authorization server',
    test: 'http › user_endpoints › an access token by the same key id of another server is refused',
  },
  {
    section: '4',
    level: 'MUST',
    requirement: 'an expired token is refused',
    test: 'http › user_endpoints › an access token works until the second it expires',
  },
  { section: '4', level: 'MUST', requirement: 'errors are those of RFC 6750', test: badToken },
  { section: '4', level: 'MUST', requirement: 'a token that is not good is invalid_token', test: badToken },
  {
    section: '4',
    level: 'SHOULD',
    requirement: 'claims about authorization are used',
    test: 'oauth › openid › UserInfo by *: without openid it is 403 insufficient_scope with a challenge (RFC 6750 §3.1)',
  },
  { section: '5', level: 'MUST', requirement: 'different resources are different audiences', test: ofClients },
  { section: '6', level: 'MUST NOT', requirement: 'clients look into access tokens', why: bindsClients },
]
