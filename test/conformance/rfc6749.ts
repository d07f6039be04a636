/** RFC 6749, The OAuth 2.0 Authorization Framework. */
import { bindsClients, bindsRegistries, noAuthorizationEndpoint, type Row, tlsAtProxy } from './_row.ts'

const idAlone =
  'conformance › rfc6749 › a confidential client must authenticate for *: its id alone is invalid_client (RFC 6749 §2.2, §3.2.1)'
const httpIssuer = 'config › the issuer "http://auth.example.com" is refused'
const answerMembers =
  'conformance › rfc6749 › the answer to * has the members of RFC 6749 §5.1 once each and no other, and no cache keeps it'
const badCredentials =
  'clients › client_authentication › a wrong secret, an unknown and a disabled client get the same 401 with a challenge, or 400 without one where no Authorization header came (RFC 6749 §5.2)'
const sizes = 'conformance › rfc6749 › the README says how long what is issued here is (RFC 6749 §2.2, §5.1)'
const throttle =
  'conformance › rfc6749 › the hundredth wrong password for one user is 429 with Retry-After (RFC 6749 §4.3.2, §10.10)'
const noGuess =
  'conformance › rfc6749 › what is made up here cannot be guessed: 256 bits of a secret or a MAC, 512 of a signature (RFC 6749 §10.10)'
const foreignRefreshToken =
  "oauth › refresh_token › another client's refresh token is invalid_grant, and nothing changes for its owner (RFC 6749 §6)"
const errorCharacters =
  'conformance › rfc6749 › no error and no description has a character that RFC 6749 §5.2 forbids, whatever the request says'
const notInFiles =
  'storage › sqlite › promise 6: the files hold no refresh token, client secret, password, private key or master secret'
const cleanUrls =
  'conformance › rfc8414 › *: every URL is https, below the issuer, without query and fragment (RFC 8414 §2, RFC 6749 §3.2, RFC 7009 §2)'
const ignored =
  'oauth › token_endpoint › unknown parameters are ignored, and so are those without a value (RFC 6749 §3.2)'

const foreignCode =
  'oauth › authorization_code › a first use by another client, with another verifier or with none leaves the code to its owner'
const usedCode =
  'oauth › authorization_code › a code counts once: its second use, otherwise valid, ends the session, and the trail says so'

export const rfc6749: readonly Row[] = [
  {
    section: '2',
    level: 'SHALL',
    requirement: 'who registers a client says its type, its redirection URIs and what else is asked for',
    why: 'binds the developer of a client; here the operator registers clients, and there are no redirection URIs',
  },
  {
    section: '2.1',
    level: 'SHOULD NOT',
    requirement: 'the type of a client is not assumed from anything: its record says it',
    test: idAlone,
  },
  {
    section: '2.1',
    level: 'SHOULD',
    requirement: 'parts of one application that differ in type are clients of their own',
    why: bindsClients,
  },
  { section: '2.2', level: 'MUST NOT', requirement: 'a client id alone authenticates nobody', test: idAlone },
  { section: '2.2', level: 'SHOULD', requirement: 'the size of client ids is documented', test: sizes },
  {
    section: '2.3',
    level: 'MUST NOT',
    requirement: 'nothing relies on the authentication of a public client to know who it is',
    test: 'conformance › rfc6749 › what needs to know who asks refuses a public client (RFC 6749 §2.3, §4.4)',
  },
  {
    section: '2.3',
    level: 'MUST NOT',
    requirement: 'one request uses one method of client authentication',
    test: 'clients › client_authentication › two methods at once are invalid_request (RFC 6749 §2.3)',
  },
  {
    section: '2.3.1',
    level: 'MUST',
    requirement: 'clients with a secret can authenticate by HTTP Basic',
    test: 'clients › client_authentication › client_secret_basic: both parts are form-encoded (RFC 6749 §2.3.1, Appendix B)',
  },
  {
    section: '2.3.1',
    level: 'REQUIRED',
    requirement: '`client_id` where the secret is in the form',
    test: 'clients › client_authentication › a request without any client is invalid_client (RFC 6749 §5.2)',
  },
  {
    section: '2.3.1',
    level: 'REQUIRED',
    requirement: '`client_secret` where a confidential client authenticates by the form',
    test: idAlone,
  },
  {
    section: '2.3.1',
    level: 'NOT RECOMMENDED',
    requirement: 'the secret in the form',
    test: 'clients › client_authentication › a client registered for * authenticates by nothing else (RFC 7591 §2)',
  },
  {
    section: '2.3.1',
    level: 'SHOULD',
    requirement: 'the secret in the form only from clients that cannot send Basic',
    why: bindsClients,
  },
  {
    section: '2.3.1',
    level: 'MUST NOT',
    requirement: 'client credentials in the request URI',
    test: 'oauth › token_endpoint › credentials in the query string are invalid_request: ?client_secret=x (RFC 6749 §2.3.1)',
  },
  {
    section: '2.3.1',
    level: 'MUST',
    requirement: 'TLS for requests with a client secret: a server that would be reached without it does not start',
    test: httpIssuer,
  },
  {
    section: '2.3.1',
    level: 'MUST',
    requirement: 'client secrets are protected from being found by trying',
    test: 'conformance › rfc6749 › a client secret that is given must be long: a short one could be found by trying (RFC 6749 §2.3.1, §10.10)',
  },
  {
    section: '2.3.2',
    level: 'MUST',
    requirement: 'every other method of authentication says which client it stands for',
    test: "clients › client_assertion › one client's key does not authenticate another",
  },
  { section: '3.1', level: 'MUST', requirement: 'the authorization endpoint', why: noAuthorizationEndpoint },
  { section: '3.1.1', level: 'MUST', requirement: 'response types', why: noAuthorizationEndpoint },
  { section: '3.1.2', level: 'MUST', requirement: 'redirection endpoints', why: noAuthorizationEndpoint },
  { section: '3.1.2.1', level: 'SHOULD', requirement: 'TLS for redirection endpoints', why: noAuthorizationEndpoint },
  {
    section: '3.1.2.2',
    level: 'MUST',
    requirement: 'the registration of redirection endpoints',
    why: noAuthorizationEndpoint,
  },
  {
    section: '3.1.2.3',
    level: 'MUST',
    requirement: 'the comparison of redirection URIs',
    why: noAuthorizationEndpoint,
  },
  {
    section: '3.1.2.4',
    level: 'MUST NOT',
    requirement: 'redirects to URIs that do not match',
    why: noAuthorizationEndpoint,
  },
  {
    section: '3.1.2.5',
    level: 'SHOULD NOT',
    requirement: 'the content of redirection endpoints',
    why: noAuthorizationEndpoint,
  },
  { section: '3.2', level: 'MUST', requirement: 'a query of the token endpoint is kept: it has none', test: cleanUrls },
  { section: '3.2', level: 'MUST NOT', requirement: 'a fragment in the URI of the token endpoint', test: cleanUrls },
  {
    section: '3.2',
    level: 'MUST',
    requirement: 'TLS at the token endpoint: a server that would be reached without it does not start',
    test: httpIssuer,
  },
  {
    section: '3.2',
    level: 'MUST',
    requirement: 'token requests are POST',
    test: 'oauth › token_endpoint › GET /token is 405 and says what is allowed (RFC 9110 §15.5.6)',
  },
  { section: '3.2', level: 'MUST', requirement: 'a parameter without a value counts as not there', test: ignored },
  { section: '3.2', level: 'MUST', requirement: 'unknown parameters are ignored', test: ignored },
  {
    section: '3.2',
    level: 'MUST NOT',
    requirement: 'a parameter twice in a request',
    test: 'oauth › token_endpoint › a token request with a parameter twice is invalid_request (RFC 6749 §3.2, §5.2)',
  },
  { section: '3.2', level: 'MUST NOT', requirement: 'a parameter twice in an answer', test: answerMembers },
  { section: '3.2.1', level: 'MUST', requirement: 'confidential clients authenticate', test: idAlone },
  {
    section: '3.2.1',
    level: 'MUST',
    requirement: '`client_id` with an authorization code',
    test: foreignCode,
  },
  {
    section: '3.3',
    level: 'MUST',
    requirement: '`scope` in the answer where it is not what was asked for',
    test: 'oauth › token_endpoint › the scope granted for "write read write" is write read (RFC 6749 §3.3)',
  },
  {
    section: '3.3',
    level: 'MUST',
    requirement: 'a default where no scope is asked for, or a refusal',
    test: 'oauth › token_endpoint › the scope granted for "" is read write admin (RFC 6749 §3.3)',
  },
  {
    section: '3.3',
    level: 'SHOULD',
    requirement: 'the default scope and what scopes ask for are documented',
    test: 'conformance › rfc6749 › the README says what scope is granted to a request that names none (RFC 6749 §3.3)',
  },
  {
    section: '4.1.1',
    level: 'REQUIRED',
    requirement: 'authorization requests for a code, in the form that the challenge endpoint takes',
    test: 'oauth › challenge › the response_type is code (§5.1)',
  },
  {
    section: '4.1.2',
    level: 'REQUIRED',
    requirement: 'authorization responses with a code, in the form that the challenge endpoint has',
    test: 'oauth › challenge › the password of a user without a second factor is a code at once, which nothing may keep (§5.2.1)',
  },
  {
    section: '4.1.2',
    level: 'MUST',
    requirement: 'a code is good for a short time, ten minutes at most',
    test: 'oauth › authorization_code › a code is good for 60 seconds',
  },
  {
    section: '4.1.2',
    level: 'MUST NOT',
    requirement: 'a code is used twice; where it is, what it was exchanged for is revoked',
    test: usedCode,
  },
  {
    section: '4.1.2.1',
    level: 'MUST NOT',
    requirement: 'error responses of the authorization endpoint',
    why: noAuthorizationEndpoint,
  },
  {
    section: '4.1.3',
    level: 'REQUIRED',
    requirement: 'token requests with a code',
    test: 'oauth › authorization_code › a code is exchanged for what the password grant gives, and the session lives as long',
  },
  { section: '4.1.3', level: 'MUST', requirement: 'a code is for the client that it was issued to', test: foreignCode },
  {
    section: '4.2.1',
    level: 'REQUIRED',
    requirement: 'authorization requests of the implicit grant',
    why: noAuthorizationEndpoint,
  },
  {
    section: '4.2.2',
    level: 'REQUIRED',
    requirement: 'access tokens in authorization responses',
    why: noAuthorizationEndpoint,
  },
  {
    section: '4.2.2.1',
    level: 'REQUIRED',
    requirement: 'error responses of the implicit grant',
    why: noAuthorizationEndpoint,
  },
  {
    section: '4.3.1',
    level: 'MUST',
    requirement: 'the app forgets the password once it has a token',
    why: bindsClients,
  },
  {
    section: '4.3.2',
    level: 'REQUIRED',
    requirement: '`grant_type`, which is `password`',
    test: 'oauth › token_endpoint › a token request without grant_type is invalid_request (RFC 6749 §3.2, §5.2)',
  },
  {
    section: '4.3.2',
    level: 'REQUIRED',
    requirement: '`username`',
    test: 'oauth › token_endpoint › a token request without username is invalid_request (RFC 6749 §3.2, §5.2)',
  },
  {
    section: '4.3.2',
    level: 'REQUIRED',
    requirement: '`password`',
    test: 'oauth › token_endpoint › a token request without password is invalid_request (RFC 6749 §3.2, §5.2)',
  },
  { section: '4.3.2', level: 'MUST', requirement: 'confidential clients authenticate at a sign-in', test: idAlone },
  {
    section: '4.3.2',
    level: 'MUST',
    requirement: 'the server requires the authentication of confidential clients at a sign-in',
    test: 'conformance › rfc6749 › a confidential client must authenticate for password: its id alone is invalid_client (RFC 6749 §2.2, §3.2.1)',
  },
  { section: '4.3.2', level: 'MUST', requirement: 'authentication that is sent is checked', test: badCredentials },
  {
    section: '4.3.2',
    level: 'MUST',
    requirement: 'the password is verified',
    test: 'oauth › token_endpoint › promise 7: an unknown user, a wrong password and a disabled user get the same answer',
  },
  {
    section: '4.3.2',
    level: 'MUST',
    requirement: 'passwords are protected from being found by trying',
    test: throttle,
  },
  {
    section: '4.4',
    level: 'MUST',
    requirement: 'client_credentials is for confidential clients only',
    test: 'oauth › client_credentials › client_credentials is for confidential clients only: a public one is never registered for it (RFC 6749 §4.4)',
  },
  {
    section: '4.4.2',
    level: 'REQUIRED',
    requirement: '`grant_type`, which is `client_credentials`',
    test: 'conformance › rfc6749 › the answer to client_credentials has the members of RFC 6749 §5.1 once each and no other, and no cache keeps it',
  },
  {
    section: '4.4.2',
    level: 'MUST',
    requirement: 'the client authenticates',
    test: 'conformance › rfc6749 › a confidential client must authenticate for client_credentials: its id alone is invalid_client (RFC 6749 §2.2, §3.2.1)',
  },
  { section: '4.4.2', level: 'MUST', requirement: 'the server authenticates the client', test: badCredentials },
  {
    section: '4.4.3',
    level: 'SHOULD NOT',
    requirement: 'a refresh token for client_credentials',
    test: 'conformance › rfc6749 › the answer to client_credentials has the members of RFC 6749 §5.1 once each and no other, and no cache keeps it',
  },
  { section: '5.1', level: 'REQUIRED', requirement: '`access_token`', test: answerMembers },
  { section: '5.1', level: 'REQUIRED', requirement: '`token_type`', test: answerMembers },
  { section: '5.1', level: 'RECOMMENDED', requirement: '`expires_in`', test: answerMembers },
  {
    section: '5.1',
    level: 'SHOULD',
    requirement: 'the lifetime is told in another way where `expires_in` is left out',
    why: '`expires_in` is never left out',
  },
  {
    section: '5.1',
    level: 'REQUIRED',
    requirement: '`scope` where it is not what was asked for',
    test: 'oauth › token_endpoint › the scope granted for "read  write" is read write (RFC 6749 §3.3)',
  },
  {
    section: '5.1',
    level: 'MUST',
    requirement: '`Cache-Control: no-store` and `Pragma: no-cache` on answers with tokens',
    test: answerMembers,
  },
  { section: '5.1', level: 'MUST', requirement: 'unknown members of an answer are ignored', why: bindsClients },
  { section: '5.1', level: 'SHOULD', requirement: 'the sizes of what is issued are documented', test: sizes },
  {
    section: '5.2',
    level: 'REQUIRED',
    requirement: '`error`, one of the registered codes',
    test: 'oauth › token_endpoint › a token request with an unknown grant_type is unsupported_grant_type (RFC 6749 §3.2, §5.2)',
  },
  {
    section: '5.2',
    level: 'MUST',
    requirement: 'who failed to authenticate by a header gets 401 and `WWW-Authenticate`; any other gets 400',
    test: badCredentials,
  },
  {
    section: '5.2',
    level: 'MUST NOT',
    requirement: 'other characters in `error` than those that are allowed',
    test: errorCharacters,
  },
  {
    section: '5.2',
    level: 'MUST NOT',
    requirement: 'other characters in `error_description` than those that are allowed',
    test: 'conformance › rfc6749 › every description in the source is of the characters that RFC 6749 §5.2 allows',
  },
  { section: '5.2', level: 'MUST', requirement: '`error_uri` is a URI reference', why: 'no answer has an `error_uri`' },
  {
    section: '6',
    level: 'REQUIRED',
    requirement: '`grant_type`, which is `refresh_token`',
    test: 'oauth › refresh_token › a refresh answers a new refresh token and a fresh access token (RFC 6749 §6)',
  },
  {
    section: '6',
    level: 'REQUIRED',
    requirement: '`refresh_token`',
    test: 'oauth › refresh_token › a refresh without refresh_token is invalid_request',
  },
  {
    section: '6',
    level: 'MUST NOT',
    requirement: 'a wider scope than was granted',
    test: 'oauth › refresh_token › a wider scope than was granted at sign-in is invalid_scope and does not use the token up (RFC 6749 §6)',
  },
  { section: '6', level: 'MUST', requirement: 'confidential clients authenticate at a refresh', test: idAlone },
  {
    section: '6',
    level: 'MUST',
    requirement: 'the server requires the authentication of confidential clients at a refresh',
    test: 'conformance › rfc6749 › a confidential client must authenticate for refresh_token: its id alone is invalid_client (RFC 6749 §2.2, §3.2.1)',
  },
  {
    section: '6',
    level: 'MUST',
    requirement: 'authentication that is sent is checked, and the refresh token is of that client',
    test: foreignRefreshToken,
  },
  {
    section: '6',
    level: 'MUST',
    requirement: 'the refresh token is validated',
    test: 'oauth › refresh_token › any changed character of a refresh token is refused and changes nothing',
  },
  {
    section: '6',
    level: 'MUST',
    requirement: 'the old refresh token is thrown away for the new one',
    why: bindsClients,
  },
  {
    section: '6',
    level: 'MUST',
    requirement: 'a new refresh token has the scope of the old one',
    test: "oauth › refresh_token › a narrower scope is the access token's only, never the session's (RFC 6749 §6)",
  },
  {
    section: '7',
    level: 'MUST',
    requirement: 'where access tokens are taken, their expiry and scope are checked',
    test: 'oauth › openid › UserInfo by *: without openid it is 403 insufficient_scope with a challenge (RFC 6750 §3.1)',
  },
  {
    section: '7.1',
    level: 'MUST NOT',
    requirement: 'tokens of a type that is not understood are used',
    why: bindsClients,
  },
  {
    section: '7.2',
    level: 'SHOULD',
    requirement: 'who is refused is told why',
    test: 'http › user_endpoints › * * with a bad token is 401 with error="invalid_token" (RFC 6750 §3.1)',
  },
  {
    section: '7.2',
    level: 'SHOULD',
    requirement: 'how new authentication schemes tell errors',
    why: 'no authentication scheme is defined here',
  },
  { section: '8.1', level: 'MUST', requirement: 'new token types are registered', why: bindsRegistries },
  {
    section: '8.2',
    level: 'MUST',
    requirement: 'the names of new parameters are well-formed and their values well-defined',
    test: 'oauth › token_endpoint › device names the session for its user; what is too long is cut',
  },
  {
    section: '8.2',
    level: 'SHOULD',
    requirement: 'parameters of our own have a prefix',
    onPurpose: true,
    why: 'the one that we have, `device`, is to be easy for app developers; no registered parameter has the name',
  },
  {
    section: '8.3',
    level: 'MUST',
    requirement: 'the parameters of extension grants are registered',
    why: 'there is no extension grant',
  },
  { section: '8.4', level: 'MUST', requirement: 'the names of new response types', why: noAuthorizationEndpoint },
  {
    section: '8.5',
    level: 'MUST',
    requirement: 'the error codes of extensions are registered',
    test: 'oauth › resource › *: one that the client does not have is invalid_target, and nothing is used up (RFC 8707 §2)',
  },
  {
    section: '8.5',
    level: 'MUST',
    requirement: 'error codes are of the characters that are allowed',
    test: errorCharacters,
  },
  {
    section: '8.5',
    level: 'SHOULD',
    requirement: 'error codes of our own have a prefix',
    why: 'there are none at the token endpoint: `temporarily_unavailable` and `server_error` are those of §4.1.2.1',
  },
  {
    section: '9',
    level: 'SHOULD',
    requirement: 'native apps use the code grant without a secret',
    why: noAuthorizationEndpoint,
  },
  {
    section: '10.1',
    level: 'MUST',
    requirement: 'web applications keep their credentials to themselves',
    why: bindsClients,
  },
  {
    section: '10.1',
    level: 'MUST NOT',
    requirement: 'secrets are issued to native and browser apps',
    test: 'conformance › rfc6749 › a public client is never given a secret, a confidential one is (RFC 6749 §10.1)',
  },
  {
    section: '10.1',
    level: 'SHOULD',
    requirement: 'public clients are told apart by other means',
    onPurpose: true,
    why: 'in the password grant there is no redirection URI to compare; what a stolen client id is good for is limited by rotation, reuse detection and CORS origins',
  },
  { section: '10.2', level: 'MUST', requirement: 'clients are authenticated whenever possible', test: idAlone },
  {
    section: '10.2',
    level: 'MUST',
    requirement: 'the redirection URIs of public clients are registered',
    why: noAuthorizationEndpoint,
  },
  {
    section: '10.2',
    level: 'SHOULD',
    requirement: 'users are protected from public clients that pretend to be others',
    onPurpose: true,
    why: 'apps with the password grant are first-party; nothing here can tell a user which app asks for the password',
  },
  {
    section: '10.2',
    level: 'SHOULD',
    requirement: 'the user signs in, and is shown which client gets what',
    test: "http › user_endpoints › GET /sessions lists the user's sessions, last seen first, and says which one asks",
  },
  {
    section: '10.2',
    level: 'SHOULD NOT',
    requirement: 'repeated authorization requests are granted without the user',
    why: noAuthorizationEndpoint,
  },
  {
    section: '10.3',
    level: 'MUST',
    requirement: 'access tokens are kept confidential in storage and in logs',
    test: 'logs › no password, token, secret or Authorization value is in any log line or audit event',
  },
  {
    section: '10.3',
    level: 'MUST',
    requirement: 'access tokens are sent by TLS only: a server that would be reached without it does not start',
    test: httpIssuer,
  },
  {
    section: '10.3',
    level: 'MUST',
    requirement: 'access tokens cannot be made, changed or guessed',
    test: 'http › user_endpoints › any changed character of an access token is refused (*)',
  },
  { section: '10.3', level: 'SHOULD', requirement: 'clients ask for the least scope', why: bindsClients },
  {
    section: '10.3',
    level: 'SHOULD',
    requirement: 'what is granted depends on the client',
    test: 'oauth › token_endpoint › a token request with a scope that the client does not have is invalid_scope (RFC 6749 §3.2, §5.2)',
  },
  { section: '10.4', level: 'MUST', requirement: 'refresh tokens are kept confidential in storage', test: notInFiles },
  {
    section: '10.4',
    level: 'MUST',
    requirement: 'a refresh token stays bound to its client',
    test: foreignRefreshToken,
  },
  {
    section: '10.4',
    level: 'MUST',
    requirement: 'refresh tokens are sent by TLS only: a server that would be reached without it does not start',
    test: httpIssuer,
  },
  {
    section: '10.4',
    level: 'MUST',
    requirement: 'the binding of a refresh token to its client is verified',
    test: foreignRefreshToken,
  },
  {
    section: '10.4',
    level: 'SHOULD',
    requirement: 'the abuse of refresh tokens of public clients is noticed',
    test: 'oauth › refresh_token › reusing a superseded refresh token revokes the session, current token and access token too (RFC 9700 §4.14.2)',
  },
  {
    section: '10.4',
    level: 'MUST',
    requirement: 'refresh tokens cannot be made, changed or guessed',
    test: 'sessions › refresh_token_codec › any flipped bit of the 57 bytes is refused',
  },
  { section: '10.5', level: 'MUST', requirement: 'authorization codes are short-lived and used once', test: usedCode },
  { section: '10.6', level: 'MUST', requirement: 'changed redirection URIs', why: noAuthorizationEndpoint },
  {
    section: '10.7',
    level: 'SHOULD',
    requirement: 'the password grant is used as little as possible',
    test: 'oauth › token_endpoint › a client may use only the grants that it was given: unauthorized_client (RFC 6749 §5.2)',
  },
  {
    section: '10.8',
    level: 'MUST NOT',
    requirement:
      'tokens, passwords and secrets in the clear: a server that would be reached without TLS does not start',
    test: httpIssuer,
  },
  {
    section: '10.8',
    level: 'SHOULD NOT',
    requirement: 'authorization codes in the clear',
    test: httpIssuer,
  },
  { section: '10.8', level: 'SHOULD NOT', requirement: 'secrets in `state` and `scope`', why: bindsClients },
  {
    section: '10.9',
    level: 'MUST',
    requirement: 'TLS with a server certificate at the token endpoint',
    why: tlsAtProxy,
  },
  { section: '10.9', level: 'MUST', requirement: 'clients check the certificate', why: bindsClients },
  {
    section: '10.10',
    level: 'MUST',
    requirement: 'tokens and client secrets cannot be found by guessing',
    test: noGuess,
  },
  { section: '10.10', level: 'MUST', requirement: 'passwords cannot be found by guessing', test: throttle },
  {
    section: '10.10',
    level: 'MUST',
    requirement: 'tokens and secrets that are made up are guessed with a probability of 2^-128 at the most',
    test: noGuess,
  },
  {
    section: '10.10',
    level: 'SHOULD',
    requirement: 'tokens and secrets that are made up are guessed with a probability of 2^-160 at the most',
    test: noGuess,
  },
  {
    section: '10.10',
    level: 'MUST',
    requirement: 'what people type is protected by other means',
    test: 'users › password_rules › a password that is all that a user has is one of 15 characters at least, and what is wrong says how many (NIST SP 800-63B-4 §3.1.1.2)',
  },
  {
    section: '10.11',
    level: 'MUST',
    requirement: 'TLS wherever users are dealt with: a server that would be reached without it does not start',
    test: httpIssuer,
  },
  {
    section: '10.12',
    level: 'MUST',
    requirement: 'CSRF protection of redirection URIs and of the authorization endpoint',
    why: noAuthorizationEndpoint,
  },
  {
    section: '10.13',
    level: 'SHOULD',
    requirement: 'native apps open authorization pages in the browser',
    why: noAuthorizationEndpoint,
  },
  {
    section: '10.14',
    level: 'MUST',
    requirement: 'whatever is received is validated',
    test: 'http › bad_input › promise 8: nonsense to every endpoint gets a 4xx in JSON and changes nothing',
  },
  {
    section: '10.16',
    level: 'MUST NOT',
    requirement: 'the implicit grant is used to authenticate users',
    why: noAuthorizationEndpoint,
  },
  { section: '11', level: 'MUST', requirement: 'registrations', why: bindsRegistries },
  {
    section: 'B',
    level: 'MUST',
    requirement: 'forms are UTF-8',
    test: 'oauth › token_endpoint › a token request with bytes that are no UTF-8 is invalid_request (RFC 6749 §3.2, §5.2)',
  },
]
