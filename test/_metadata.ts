/** Where the metadata and the keys are, and what a resource server does with them. */
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { openSigningKey } from '../src/keys/jws.ts'
import { createSigningKey, publicationLead } from '../src/keys/signing_key.ts'
import { issuer, type TestServer } from './_server.ts'

export const jwksPath = '/.well-known/jwks.json'
export const metadataPath = '/.well-known/oauth-authorization-server'
export const discoveryPath = '/.well-known/openid-configuration'
export const documents = [jwksPath, metadataPath, discoveryPath]

export async function jwksOf(server: TestServer): Promise<JSONWebKeySet> {
  return (await server.request(jwksPath)).body
}

/** fetch adds `Cache-Control: no-cache` to this: who asks us is already past every cache. */
export function revalidating(etag: string) {
  return { 'if-none-match': etag }
}

/** Verifies as a resource server does that has nothing but the served JWK Set. */
export async function verified(server: TestServer, accessToken: string, jwks?: JSONWebKeySet) {
  return jwtVerify(accessToken, createLocalJWKSet(jwks ?? (await jwksOf(server))), {
    issuer,
    audience: issuer,
    typ: 'at+jwt',
    currentDate: new Date(server.clock.now() * 1000),
    requiredClaims: ['sub', 'client_id', 'iat', 'jti', 'scope', 'sid', 'auth_time', 'amr', 'acr'],
  })
}

/** Adds a signing key as a rotation does: it is published now and signs later. */
export async function rotateKey(server: TestServer) {
  const { keyRing, secrets } = server.deps
  const key = await createSigningKey('ES256', secrets, server.clock.now(), server.clock.now() + publicationLead)
  keyRing.replace([...keyRing.keys(), (await openSigningKey(key, secrets))!])
  return key.kid
}
