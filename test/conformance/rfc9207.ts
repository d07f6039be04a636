/** RFC 9207, Authorization Server Issuer Identification. */
import { bindsClients, noAuthorizationEndpoint, type Row } from './_row.ts'

export const rfc9207: readonly Row[] = [
  { section: '2', level: 'MUST', requirement: '`iss` in authorization responses', why: noAuthorizationEndpoint },
  {
    section: '2',
    level: 'MUST',
    requirement: '`iss` is an https URL without query and fragment',
    why: noAuthorizationEndpoint,
  },
  {
    section: '2.3',
    level: 'MUST',
    requirement: 'clients can learn the issuer',
    test: 'conformance › rfc8414 › * is a 200 of application/json to GET, with what is required and no empty list (RFC 8414 §2, §3.1, §3.2)',
  },
  { section: '2.3', level: 'MUST', requirement: '`issuer` in the metadata is `iss`', why: noAuthorizationEndpoint },
  {
    section: '2.3',
    level: 'MUST',
    requirement: 'metadata announces `iss` where there is one: there is none',
    test: 'conformance › rfc8414 › * announces no authorization endpoint, and there is none (RFC 8414 §2, RFC 9207 §3)',
  },
  { section: '2.4', level: 'MUST', requirement: 'clients compare `iss`', why: bindsClients },
  { section: '2.4', level: 'SHOULD', requirement: 'clients refuse an `iss` that was not announced', why: bindsClients },
  {
    section: '2.4',
    level: 'MUST',
    requirement: '`iss` of an ID token of the authorization endpoint is the same',
    why: noAuthorizationEndpoint,
  },
  { section: '4', level: 'MUST', requirement: 'clients keep issuers apart', why: bindsClients },
]
