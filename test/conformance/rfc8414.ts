/** RFC 8414, Authorization Server Metadata. */
import { bindsClients, type Row, tlsAtProxy } from './_row.ts'

const cleanUrls =
  'conformance › rfc8414 › *: every URL is https, below the issuer, without query and fragment (RFC 8414 §2, RFC 6749 §3.2, RFC 7009 §2)'
const answer =
  'conformance › rfc8414 › * is a 200 of application/json to GET, with what is required and no empty list (RFC 8414 §2, §3.1, §3.2)'
const algs =
  'conformance › rfc8414 › *: where private_key_jwt is announced, so are its algorithms, RS256 among them and none not (RFC 8414 §2)'
const noEndpoint =
  'conformance › rfc8414 › * announces no authorization endpoint, and there is none (RFC 8414 §2, RFC 9207 §3)'
const withPath =
  'conformance › rfc8414 › the metadata of an issuer with a path is where the well-known path comes before it (RFC 8414 §3, §3.1)'
const notSigned = 'there is no signed metadata'

export const rfc8414: readonly Row[] = [
  {
    section: '2',
    level: 'REQUIRED',
    requirement: '`issuer`, https without query and fragment',
    test: 'config › the issuer "https://auth.example.com?tenant=1" is refused',
  },
  { section: '2', level: 'REQUIRED', requirement: '`authorization_endpoint` where a grant needs it', test: noEndpoint },
  { section: '2', level: 'REQUIRED', requirement: '`token_endpoint`', test: answer },
  { section: '2', level: 'MUST', requirement: '`jwks_uri` is https', test: cleanUrls },
  {
    section: '2',
    level: 'REQUIRED',
    requirement: '`use` in every key where some are for encryption',
    why: 'no key is for encryption; `use` is there all the same',
  },
  { section: '2', level: 'RECOMMENDED', requirement: '`scopes_supported`', test: answer },
  { section: '2', level: 'REQUIRED', requirement: '`response_types_supported`', test: answer },
  {
    section: '2',
    level: 'MUST',
    requirement: 'the algorithms of signed client authentication at the token endpoint are announced',
    test: algs,
  },
  {
    section: '2',
    level: 'SHOULD',
    requirement: 'RS256 is one of them',
    test: 'clients › client_assertion › RS256 authenticates, whether or not the assertion and the key have a kid (RFC 7515 §4.1.4)',
  },
  { section: '2', level: 'MUST NOT', requirement: 'none is one of them', test: algs },
  {
    section: '2',
    level: 'SHOULD',
    requirement: 'who registers a client is shown `op_policy_uri` and `op_tos_uri`',
    why: 'neither is announced',
  },
  {
    section: '2',
    level: 'MUST',
    requirement: 'the algorithms of signed client authentication at the revocation endpoint are announced',
    test: algs,
  },
  { section: '2', level: 'MUST NOT', requirement: 'none is one of those at the revocation endpoint', test: algs },
  {
    section: '2',
    level: 'MUST',
    requirement: 'who finds no methods for the introspection endpoint learns them elsewhere',
    why: 'they are announced',
  },
  {
    section: '2',
    level: 'MUST',
    requirement: 'the algorithms of signed client authentication at the introspection endpoint are announced',
    test: algs,
  },
  { section: '2', level: 'MUST NOT', requirement: 'none is one of those at the introspection endpoint', test: algs },
  { section: '2.1', level: 'MUST', requirement: 'signed metadata is signed and names its issuer', why: notSigned },
  { section: '2.1', level: 'MUST', requirement: 'signed metadata comes before the other', why: bindsClients },
  { section: '2.1', level: 'SHOULD NOT', requirement: 'signed metadata within itself', why: notSigned },
  {
    section: '3',
    level: 'MUST',
    requirement: 'the document is where the well-known path is put between host and path of the issuer',
    test: withPath,
  },
  { section: '3', level: 'MUST', requirement: 'its URL is https', why: tlsAtProxy },
  { section: '3', level: 'MUST', requirement: 'the well-known name is registered', test: answer },
  {
    section: '3',
    level: 'MUST',
    requirement: 'an application of OAuth says which well-known name it uses',
    test: 'conformance › rfc8414 › the README names the well-known path of each document (RFC 8414 §3)',
  },
  { section: '3.1', level: 'MUST', requirement: 'the document is asked for by GET', test: answer },
  {
    section: '3.1',
    level: 'MUST',
    requirement: 'a slash at the end of the issuer is left out',
    test: 'config › the issuer https://auth.example.com:8443/tenant is taken as it is, and without the slash at its end (RFC 8414 §2)',
  },
  { section: '3.2', level: 'MUST', requirement: 'the answer is a 200 of application/json, an object', test: answer },
  {
    section: '3.2',
    level: 'MUST',
    requirement: 'lists without elements are left out',
    test: answer,
  },
  {
    section: '3.3',
    level: 'MUST',
    requirement: '`issuer` is what the URL of the document was made from',
    test: 'oauth › metadata › promise 9: every announced endpoint exists and answers, also below a path',
  },
  { section: '3.3', level: 'MUST NOT', requirement: 'a document with another issuer is used', why: bindsClients },
  {
    section: '4',
    level: 'MUST',
    requirement: 'texts are compared code point by code point',
    test: 'oauth › token_endpoint › a token request with a scope in another case is invalid_scope (RFC 6749 §3.2, §5.2)',
  },
  {
    section: '4',
    level: 'MUST NOT',
    requirement: 'Unicode normalization where protocol texts are compared',
    why: 'client ids, scopes and the texts of the protocol are ASCII',
  },
  { section: '6.1', level: 'MUST', requirement: 'TLS 1.2 that keeps confidential and whole', why: tlsAtProxy },
  { section: '6.1', level: 'MUST', requirement: 'clients check the certificate', why: bindsClients },
  {
    section: '6.2',
    level: 'MUST',
    requirement: 'clients check the certificate and the issuer of the document',
    why: bindsClients,
  },
]
