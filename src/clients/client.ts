/** Clients: the applications that may ask for tokens. RFC 6749 §2; member names after RFC 7591 §2. */
import { createPublicKey } from 'node:crypto'
import type { JSONWebKeySet, JWK } from 'jose'
import type { AuditEvent } from '../audit/audit.ts'
import { isStorable } from '../text.ts'
import { userIdPrefix } from '../users/user.ts'
import { adminScopeProblem } from './admin_client.ts'

/** The names of the registry of RFC 7591 §4.2. */
export const clientAuthenticationMethods = [
  'none',
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
] as const
export type ClientAuthenticationMethod = (typeof clientAuthenticationMethods)[number]

/** Claims about a user that the access tokens of a client may carry: RFC 9068 §2.2.2 and §2.2.3.1. */
export const userClaimNames = ['roles', 'preferred_username', 'email', 'name'] as const
export type UserClaimName = (typeof userClaimNames)[number]

/** Lifetimes are seconds; what is absent is as the server's settings say. */
export type Client = Readonly<{
  id: string
  /** What it may authenticate by, and nothing else; `none` alone for a public client. */
  authenticationMethods: readonly ClientAuthenticationMethod[]
  /** Made by `digestClientSecret`, newest first: two while a secret is being replaced. */
  secretDigests: readonly string[]
  /** Public keys for `private_key_jwt`: here, or where they are published. */
  jwks?: JSONWebKeySet | undefined
  jwksUri?: string | undefined
  grantTypes: readonly string[]
  /** Space-separated: the most a request of this client can be granted, and the default. */
  scope: string
  /** The resources that its access tokens may be for, all of them by default (RFC 8707). */
  audience?: readonly string[] | undefined
  /** The audiences that it is the resource server of: it learns of no other tokens (RFC 7662 §4). Absent: of all. */
  resources?: readonly string[] | undefined
  accessTokenLifetime?: number | undefined
  refreshIdleLifetime?: number | undefined
  refreshAbsoluteLifetime?: number | undefined
  /** Origins of its browser apps. */
  corsOrigins: readonly string[]
  /** What its access tokens say of their user, beside the id. */
  accessTokenClaims: readonly UserClaimName[]
  createdAt: number
  disabledAt?: number | undefined
  /** Whether each of its sign-ins needs a second factor, whatever the server's setting says. */
  requireFactor?: boolean | undefined
  /** Whether it is an app of who runs the server: see {@link isFirstParty}. */
  firstParty?: boolean | undefined
  /** Whether people may sign up in it. */
  signUp?: boolean | undefined
  /** What its users know it by, one line; absent: its id. */
  name?: string | undefined
}>

/** Parameters of a form: one non-empty string each. */
export type Params = Readonly<Partial<Record<string, string>>>

/** What of a token request says what is wanted; `resource` may be repeated (RFC 8707 §2). */
export type TokenParams = Readonly<{ params: Params; resources: readonly string[] }>

/** What a decision comes to, in one transaction: what it answers, and what is to be written. Without `client` the record stays as it is. */
export type ClientChange<Outcome> = Readonly<{ outcome: Outcome; client?: Client; event?: AuditEvent }>

/**
 * Replaces a client's record by what `update` makes of it. Decides the record as it is from now on, or undefined when nothing changes
 * or there is no such client.
 *
 * @param update pure and synchronous; undefined when there is nothing to change
 */
export function clientUpdate(update: (client: Client) => Client | undefined, event: AuditEvent) {
  return (before: Client | undefined): ClientChange<Client | undefined> => {
    const client = before && update(before)
    return client === undefined ? { outcome: undefined } : { outcome: client, client, event }
  }
}

/** A client of which nothing is said but what it must have: a public one. */
export function createClient(
  given: Pick<Client, 'id' | 'grantTypes' | 'scope' | 'createdAt'> & Partial<Client>,
): Client {
  return { authenticationMethods: ['none'], secretDigests: [], corsOrigins: [], accessTokenClaims: [], ...given }
}

/** @returns what of a client's record does not fit together, or undefined */
export function clientProblem(client: Client): string | undefined {
  const by = (method: ClientAuthenticationMethod) => client.authenticationMethods.includes(method)
  if (by('none') && client.authenticationMethods.length > 1)
    return 'a public client (none) has no other method of authentication'
  if (by('none') && client.grantTypes.includes('client_credentials'))
    return 'the client_credentials grant is for clients that authenticate (RFC 6749 §4.4)'
  const hasKeys = client.jwks !== undefined || client.jwksUri !== undefined
  if (hasKeys && !by('private_key_jwt')) return 'the keys of a client are for private_key_jwt'
  if (by('private_key_jwt') && !hasKeys) return 'private_key_jwt needs the keys of the client or their address'
  if (client.jwks !== undefined && client.jwksUri !== undefined)
    return 'the keys of a client are here or at an address, not both'
  if (by('none') && client.resources !== undefined)
    return 'a resource server authenticates to ask about tokens (RFC 7662 §2.1): a public client has no resources'
  if (client.grantTypes.includes('authorization_code') && !isFirstParty(client))
    return 'the authorization_code grant is for first-party clients: codes come from /authorize-challenge alone'
  if (hasSecret(client) && client.secretDigests.length === 0) return 'this client has no secret to authenticate by'
  return adminScopeProblem(client)
}

/** Whether it may authenticate by a secret. */
export function hasSecret(client: Pick<Client, 'authenticationMethods'>): boolean {
  return client.authenticationMethods.some(method => method.startsWith('client_secret'))
}

/** Whether it may ask for proofs of who somebody is itself; those with the password grant may, unless the operator says otherwise. */
export function isFirstParty({ firstParty, grantTypes }: Pick<Client, 'firstParty' | 'grantTypes'>): boolean {
  return firstParty ?? grantTypes.includes('password')
}

/**
 * Whether it may ask for tokens by a grant. Codes are only for who may ask for proofs of who somebody is itself, and all of those may
 * exchange them, also those that were registered before there were any.
 */
export function mayUseGrant(client: Client, grantType: string): boolean {
  return grantType === 'authorization_code' ? isFirstParty(client) : client.grantTypes.includes(grantType)
}

export function isPublic(client: Client): boolean {
  return client.authenticationMethods.includes('none')
}

/** @returns true for 1 to 64 unreserved URI characters that cannot be taken for a user's id */
export function isClientId(text: string): boolean {
  return /^[A-Za-z0-9._~-]{1,64}$/.test(text) && !text.startsWith(userIdPrefix)
}

/** RFC 7518 §3: the curves that ECDSA has names for, and RSA of 2048 bits at least. @throws for what is no key */
function isPublicSigningKey(jwk: JWK): boolean {
  if ('d' in jwk || 'k' in jwk) return false
  const { asymmetricKeyType, asymmetricKeyDetails } = createPublicKey({ key: jwk, format: 'jwk' })
  switch (asymmetricKeyType) {
    case 'ec':
      return ['prime256v1', 'secp384r1', 'secp521r1'].includes(asymmetricKeyDetails?.namedCurve ?? '')
    case 'rsa':
      return (asymmetricKeyDetails?.modulusLength ?? 0) >= 2048
    default:
      return asymmetricKeyType === 'ed25519'
  }
}

/**
 * Reads a client's JWK Set, RFC 7517 §5.
 *
 * @returns the set, or undefined when it is none, is empty, or has a key that is private, weak or cannot sign, or a
 *          text that not every database keeps
 */
export function parseClientJwks(text: string): JSONWebKeySet | undefined {
  try {
    const { keys } = JSON.parse(text, (name, value) => {
      if (!isStorable(name) || (typeof value === 'string' && !isStorable(value))) throw new Error('not storable')
      return value
    })
    return keys.length > 0 && keys.every(isPublicSigningKey) ? { keys } : undefined
  } catch {
    return undefined
  }
}
