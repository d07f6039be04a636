/** Client assertions: `private_key_jwt`. RFC 7521 §4.2, RFC 7523 §2.2 and §3, OpenID Connect Core §9. */
import { createHash } from 'node:crypto'
import {
  createLocalJWKSet,
  decodeJwt,
  errors,
  type JSONWebKeySet,
  type JWK,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose'
import type { OnceStorage } from '../keys/storage.ts'
import { isStorable } from '../text.ts'
import type { Client } from './client.ts'
import type { ClientStorage } from './storage.ts'

/** Asymmetric ones only: with an HMAC, a public key would be a password (RFC 8725 §2.1). */
export const clientAssertionAlgs = ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'PS256', 'RS256']

/** Seconds. What lives longer is refused, so that what has to be remembered stays small. */
const maxLifetime = 3600
/** Seconds that a client's clock may be wrong. */
const clockTolerance = 30
const maxJti = 256

/** What is wrong with an assertion, or with the keys that it is verified by. For the log. */
export class AssertionError extends Error {
  override name = 'AssertionError'
}

/** Finds keys at a client's `jwks_uri`; `jwks` are those that it published when it was last asked. */
export type RemoteKeys = JWTVerifyGetKey & Readonly<{ jwks: () => JSONWebKeySet | undefined }>

export type AssertionDeps = Readonly<{
  config: Readonly<{ issuer: string }>
  storage: ClientStorage & OnceStorage
  /** Keys of clients that publish them at a `jwks_uri`. Rejects with an {@link AssertionError} when they cannot be had. */
  remoteJwks: (uri: string) => RemoteKeys
  now: () => number
}>

/** @returns the client that an assertion says it is of, before anything is verified */
export function claimedClientId(assertion: string): string | undefined {
  try {
    const { sub } = decodeJwt(assertion)
    return typeof sub === 'string' && isStorable(sub) ? sub : undefined
  } catch {
    return undefined
  }
}

/**
 * Verifies an assertion and consumes its `jti`, so that it works once.
 *
 * @returns the client that made it
 * @throws AssertionError when it cannot be believed
 */
export async function verifyClientAssertion(deps: AssertionDeps, assertion: string): Promise<Client> {
  const clientId = claimedClientId(assertion)
  const client = clientId === undefined ? undefined : await deps.storage.findClient(clientId)
  if (client === undefined) throw new AssertionError('no such client')
  if (client.disabledAt !== undefined) throw new AssertionError(`client ${client.id} is disabled`)
  if (!client.authenticationMethods.includes('private_key_jwt')) {
    throw new AssertionError(`client ${client.id} is not registered for private_key_jwt`)
  }
  // Whatever goes wrong in there has its reason in what the client sent or published: jose has many ways to say so.
  const { jti, exp } = await verify(deps, client, assertion).catch(error => {
    throw new AssertionError(`client ${client.id}: ${error.message}`, { cause: error })
  })
  if (!(await consumeJti(deps, client, jti, exp)))
    throw new AssertionError(`client ${client.id}: its jti was used before`)
  return client
}

async function verify(deps: AssertionDeps, client: Client, assertion: string): Promise<{ jti: string; exp: number }> {
  const { issuer } = deps.config
  const now = deps.now()
  // RFC 7523 §3: what identifies this server; libraries send the issuer or an endpoint.
  const audience = [issuer, `${issuer}/token`, `${issuer}/introspect`, `${issuer}/revoke`]
  const options = {
    algorithms: clientAssertionAlgs,
    issuer: client.id,
    subject: client.id,
    audience,
    requiredClaims: ['exp', 'jti'],
    clockTolerance,
    currentDate: new Date(now * 1000),
  }
  const getKey = clientKeys(deps, client)
  const { payload } = await jwtVerify(assertion, getKey, options).catch(async error => {
    // No `kid`, and several keys that could have signed: RFC 7517 §4.5 makes it optional.
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
    for await (const key of error) {
      const verified = await jwtVerify(assertion, key, options).catch(ignoreWrongKey)
      if (verified !== undefined) return verified
    }
    throw new errors.JWSSignatureVerificationFailed()
  })
  const { jti, exp = 0, iat = now, aud } = payload
  // One that is also for another server could be passed on by that server, or be asked for by it under our name (CVE-2025-27370).
  if (![aud].flat().every(one => audience.includes(one!))) throw new AssertionError('it is for another server as well')
  if (typeof jti !== 'string' || jti === '' || jti.length > maxJti || !isStorable(jti))
    throw new AssertionError('its jti is unusable')
  if (exp > now + maxLifetime + clockTolerance) throw new AssertionError('it lives too long')
  if (iat > now + clockTolerance) throw new AssertionError('it was issued in the future')
  return { jti, exp }
}

function clientKeys({ remoteJwks }: AssertionDeps, client: Client): JWTVerifyGetKey {
  if (client.jwks !== undefined) return withNamelessKeys(createLocalJWKSet(client.jwks), () => client.jwks!.keys)
  if (client.jwksUri === undefined) throw new AssertionError('the client has no keys')
  const getKey = remoteJwks(client.jwksUri)
  return withNamelessKeys(getKey, () => getKey.jwks()?.keys ?? [])
}

/** An assertion may name a key that the client has registered without a name: then those without one are tried (RFC 7517 §4.5). */
function withNamelessKeys(getKey: JWTVerifyGetKey, keys: () => readonly JWK[]): JWTVerifyGetKey {
  return async (header, token) => {
    try {
      return await getKey(header, token)
    } catch (error) {
      const nameless = keys().filter(({ kid }) => kid === undefined)
      if (!(error instanceof errors.JWKSNoMatchingKey) || header?.kid === undefined || nameless.length === 0)
        throw error
      const { kid: _, ...unnamed } = header
      return createLocalJWKSet({ keys: nameless })(unnamed, token)
    }
  }
}

/** @returns false when it was there already */
async function consumeJti({ storage }: AssertionDeps, client: Client, jti: string, exp: number): Promise<boolean> {
  // As a digest: of one size, whatever the client chose.
  const id = createHash('sha256').update(`assertion\0${client.id}\0${jti}`).digest('base64url')
  // Looked up first, so that a replay costs no write.
  return !(await storage.isConsumed(id)) && (await storage.consumeOnce(id, Math.ceil(exp) + clockTolerance))
}

/** Another key than the one that signed, or one that no signature can be verified by. */
function ignoreWrongKey(error: unknown): undefined {
  if (error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired) throw error
}
