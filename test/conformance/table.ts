/** Every RFC of the conformance table, in the order of their numbers. */
import type { Row } from './_row.ts'
import { rfc6749 } from './rfc6749.ts'
import { rfc6750 } from './rfc6750.ts'
import { rfc7009 } from './rfc7009.ts'
import { rfc7517 } from './rfc7517.ts'
import { rfc7662 } from './rfc7662.ts'
import { rfc8414 } from './rfc8414.ts'
import { rfc8707 } from './rfc8707.ts'
import { rfc8725 } from './rfc8725.ts'
import { rfc9068 } from './rfc9068.ts'
import { rfc9207 } from './rfc9207.ts'
import { rfc9700 } from './rfc9700.ts'

export type Rfc = Readonly<{ number: number; title: string; scope: string; rows: readonly Row[] }>

export const table: readonly Rfc[] = [
  {
    number: 6749,
    title: 'The OAuth 2.0 Authorization Framework',
    scope: 'The sections about the authorization endpoint and its grants are one row each.',
    rows: rfc6749,
  },
  {
    number: 6750,
    title: 'Bearer Token Usage',
    scope: 'As the server of `/users/me`, `/userinfo`, `/sessions` and `/logout`.',
    rows: rfc6750,
  },
  { number: 7009, title: 'Token Revocation', scope: '`POST /revoke`.', rows: rfc7009 },
  {
    number: 7517,
    title: 'JSON Web Key (JWK)',
    scope: 'As the publisher of a JWK Set, and where the JWK Sets of clients are read.',
    rows: rfc7517,
  },
  { number: 7662, title: 'Token Introspection', scope: '`POST /introspect`.', rows: rfc7662 },
  { number: 8414, title: 'Authorization Server Metadata', scope: 'As the publisher.', rows: rfc8414 },
  { number: 8707, title: 'Resource Indicators', scope: 'At the token endpoint.', rows: rfc8707 },
  {
    number: 8725,
    title: 'JSON Web Token Best Current Practices',
    scope:
      'As the issuer of access tokens, ID tokens and introspection JWTs, and as the verifier of access tokens and client assertions.',
    rows: rfc8725,
  },
  {
    number: 9068,
    title: 'JWT Profile for Access Tokens',
    scope: 'As the issuer, and as a resource server for its own endpoints.',
    rows: rfc9068,
  },
  {
    number: 9207,
    title: 'Authorization Server Issuer Identification',
    scope: 'About authorization responses only.',
    rows: rfc9207,
  },
  {
    number: 9700,
    title: 'Best Current Practice for OAuth 2.0 Security',
    scope: 'The sections about the authorization endpoint and its grants are one row each.',
    rows: rfc9700,
  },
]
