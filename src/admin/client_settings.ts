/** What an operator says of a client, in the members of its JSON document (RFC 7591 §2 where it has a name), as a record's. */
import {
  type Client,
  clientAuthenticationMethods,
  createClient,
  hasSecret,
  isClientId,
  isFirstParty,
  parseClientJwks,
  type UserClaimName,
  userClaimNames,
} from '../clients/client.ts'
import { originProblem, parseOrigin } from '../clients/origin.ts'
import { maxAccessTokenLifetime } from '../keys/signing_key.ts'
import { grants } from '../oauth/grants/index.ts'
import { isAudience } from '../oauth/resource.ts'
import { parseScope } from '../oauth/scope.ts'
import { isStorable, isTypeable, readFullName } from '../text.ts'
import { InvalidMember } from './error.ts'

/** What is absent stays as it is, or as it is by default; null is what the server's settings say. Durations are seconds. */
export type ClientSettings = Readonly<{
  /** '' for none. */
  client_name?: string | undefined
  grant_types?: readonly string[] | undefined
  scope?: string | undefined
  token_endpoint_auth_methods?: readonly string[] | undefined
  jwks?: unknown
  jwks_uri?: string | undefined
  audience?: readonly string[] | null | undefined
  resources?: readonly string[] | null | undefined
  access_token_ttl?: number | null | undefined
  refresh_idle_ttl?: number | null | undefined
  refresh_absolute_ttl?: number | null | undefined
  cors_origins?: readonly string[] | undefined
  access_token_claims?: readonly string[] | undefined
  /** null: as it follows from the grants. */
  first_party?: boolean | null | undefined
  require_factor?: boolean | undefined
  sign_up?: boolean | undefined
}>

/** Of a secret that was made elsewhere: with the throttle, as much as a password needs not to be found by trying (RFC 6749 §10.10). */
const minSecretLength = 8

export const audienceProblem = 'it takes an absolute URI or a name without colons and spaces'

/** @returns the members of the record that are named, and no others @throws InvalidMember */
export function readClientSettings(given: ClientSettings): Partial<Client> {
  const { scope, jwks, jwks_uri: jwksUri } = given
  const grantTypes = given.grant_types && readGrantTypes(given.grant_types)
  const scopes = scope === undefined ? undefined : parseScope(scope)
  if (scope !== undefined && scopes === undefined)
    throw new InvalidMember('scope', 'takes scope tokens separated by spaces (RFC 6749 §3.3)')
  if (jwks !== undefined && jwksUri !== undefined)
    throw new InvalidMember(undefined, 'the keys of a client are here or at an address, not both')
  const methods = given.token_endpoint_auth_methods && readMethods(given.token_endpoint_auth_methods)
  return {
    ...(given.client_name !== undefined && { name: readName(given.client_name) }),
    ...(grantTypes && { grantTypes }),
    ...(scopes && { scope: scopes.join(' ') }),
    ...(methods && { authenticationMethods: methods }),
    ...(jwks !== undefined && { jwks: readJwks(jwks), jwksUri: undefined }),
    ...(jwksUri !== undefined && { jwksUri: readJwksUri(jwksUri), jwks: undefined }),
    ...(given.audience !== undefined && { audience: readAudiences('audience', given.audience) }),
    ...(given.resources !== undefined && { resources: readAudiences('resources', given.resources) }),
    ...readLifetime('accessTokenLifetime', 'access_token_ttl', given, maxAccessTokenLifetime),
    ...readLifetime('refreshIdleLifetime', 'refresh_idle_ttl', given),
    ...readLifetime('refreshAbsoluteLifetime', 'refresh_absolute_ttl', given),
    ...(given.cors_origins && { corsOrigins: given.cors_origins.map(readOrigin) }),
    ...(given.access_token_claims && { accessTokenClaims: readClaims(given.access_token_claims) }),
    ...(given.first_party !== undefined && { firstParty: given.first_party ?? undefined }),
    ...(given.require_factor !== undefined && { requireFactor: given.require_factor || undefined }),
    ...(given.sign_up !== undefined && { signUp: given.sign_up || undefined }),
  }
}

/**
 * A client that is not there yet, but for its secret and the time.
 *
 * @param given.public one without a way to authenticate
 * @throws InvalidMember
 */
export function readNewClient({
  client_id: id,
  public: isPublic = false,
  ...given
}: ClientSettings & Readonly<{ client_id: string; public?: boolean | undefined }>): Omit<Client, 'createdAt'> {
  if (!isClientId(id))
    throw new InvalidMember(
      'client_id',
      'a client id has 1 to 64 letters, digits or . _ ~ - and does not begin with usr_',
    )
  const settings = readClientSettings(given)
  if (settings.grantTypes === undefined && settings.resources === undefined)
    throw new InvalidMember('grant_types', 'or resources must say what the client is for')
  const { createdAt: _, ...draft } = createClient({
    id,
    createdAt: 0,
    scope: '',
    grantTypes: [],
    authenticationMethods: defaultMethods(isPublic, settings),
    ...settings,
  })
  const canSignIn = draft.grantTypes.includes('password') || isFirstParty(draft)
  if (draft.grantTypes.includes('refresh_token') && !canSignIn)
    throw new InvalidMember(
      'grant_types',
      'needs password as well, unless the client is a first-party one: nothing else gives a first refresh token',
    )
  if (isPublic && !draft.authenticationMethods.includes('none'))
    throw new InvalidMember('public', 'contradicts token_endpoint_auth_methods')
  return draft
}

function defaultMethods(isPublic: boolean, { jwks, jwksUri }: Partial<Client>): Client['authenticationMethods'] {
  if (isPublic) return ['none']
  if (jwks !== undefined || jwksUri !== undefined) return ['private_key_jwt']
  // Both ways of sending one secret are as good; which one a library takes is its own choice.
  return ['client_secret_basic', 'client_secret_post']
}

/** Reads a secret that was made elsewhere, for a client that has one. @throws InvalidMember */
export function readClientSecret(text: string, client: Pick<Client, 'authenticationMethods'>): string {
  if (!hasSecret(client))
    throw new InvalidMember('client_secret', 'a client that authenticates in this way has no secret')
  if (text.length < minSecretLength)
    throw new InvalidMember('client_secret', `a client secret has at least ${minSecretLength} characters`)
  if (!isTypeable(text)) throw new InvalidMember('client_secret', 'a client secret is one line of text')
  return text
}

function readName(given: string): string | undefined {
  if (given === '') return undefined
  const { text, problem } = readFullName(given)
  if (problem !== undefined) throw new InvalidMember('client_name', problem)
  return text
}

function readGrantTypes(texts: readonly string[]): string[] {
  const unknown = texts.find(text => !Object.hasOwn(grants, text))
  if (unknown !== undefined)
    throw new InvalidMember('grant_types', `there are ${Object.keys(grants).join(', ')}`, unknown)
  return [...new Set(texts)]
}

function readMethods(texts: readonly string[]): Client['authenticationMethods'] {
  const methods = texts.map(text => {
    const method = clientAuthenticationMethods.find(one => one === text)
    if (method !== undefined) return method
    const problem = `there are ${clientAuthenticationMethods.join(', ')}`
    throw new InvalidMember('token_endpoint_auth_methods', problem, text)
  })
  return [...new Set(methods)]
}

function readClaims(texts: readonly string[]): UserClaimName[] {
  const names = texts.map(text => {
    const name = userClaimNames.find(one => one === text)
    if (name !== undefined) return name
    throw new InvalidMember('access_token_claims', `there are ${userClaimNames.join(', ')}`, text)
  })
  return [...new Set(names)]
}

function readJwks(document: unknown): NonNullable<Client['jwks']> {
  const jwks = parseClientJwks(JSON.stringify(document))
  if (jwks !== undefined) return jwks
  throw new InvalidMember('jwks', 'it takes a JWK Set of public signing keys (EC, Ed25519, RSA of 2048 bits at least)')
}

function readJwksUri(text: string): string {
  const url = URL.parse(text)
  const fits = url !== null && /^https?:$/.test(url.protocol) && url.hash === '' && !url.username && !url.password
  // The address is kept as it was given, and reading it forgives a NUL.
  if (!fits || !isStorable(text)) throw new InvalidMember('jwks_uri', 'it takes an https URL', text)
  return text
}

function readAudiences(member: 'audience' | 'resources', texts: readonly string[] | null): string[] | undefined {
  const bad = texts?.find(text => !isAudience(text))
  if (bad !== undefined) throw new InvalidMember(member, audienceProblem, bad)
  return texts === null ? undefined : [...new Set(texts)]
}

/** @param max seconds */
function readLifetime(
  name: 'accessTokenLifetime' | 'refreshIdleLifetime' | 'refreshAbsoluteLifetime',
  member: 'access_token_ttl' | 'refresh_idle_ttl' | 'refresh_absolute_ttl',
  given: ClientSettings,
  max = Number.MAX_SAFE_INTEGER,
): Partial<Client> {
  const seconds = given[member]
  if (seconds === undefined) return {}
  if (seconds === null) return { [name]: undefined }
  if (!Number.isSafeInteger(seconds) || seconds < 1 || seconds > max)
    throw new InvalidMember(member, `it takes seconds, from 1 to ${max}`, String(seconds))
  return { [name]: seconds }
}

function readOrigin(text: string): string {
  const origin = parseOrigin(text)
  if (origin !== undefined) return origin
  const parts = ['it takes an origin, such as https://app.example.com', originProblem(text)]
  throw new InvalidMember('cors_origins', parts.filter(part => part !== undefined).join('; '), text)
}
