/** Scopes as sets of scope tokens. RFC 6749 §3.3. */
import { grantableScope } from '../clients/admin_client.ts'
import type { Client } from '../clients/client.ts'
import { OAuthError, quoted } from '../error.ts'

/** Characters of a request. What a client may ask for as a whole is compared as it is, however long. */
const maxRequest = 4096

const scopePattern = /^[\x21\x23-\x5b\x5d-\x7e]+(?: +[\x21\x23-\x5b\x5d-\x7e]+)*$/

/** @returns the distinct scope tokens in the order given, or undefined when the text is no scope; '' is the empty scope */
export function parseScope(text: string): string[] | undefined {
  if (text === '') return []
  return scopePattern.test(text) ? [...new Set(text.split(/ +/))] : undefined
}

/** {@link parseScope}, of a request. */
function parseRequest(text: string): string[] | undefined {
  return text.length > maxRequest ? undefined : parseScope(text)
}

/** What a refresh token means (OpenID Connect Core §11): whoever gets one may ask for it, and nobody is refused for asking. */
export const offlineAccess = 'offline_access'

/**
 * Narrows what is allowed to what is requested: the whole of it when nothing was requested. A request for
 * {@link offlineAccess} where there is no such thing is ignored (OpenID Connect Core §11).
 *
 * @param requested the `scope` parameter, or undefined
 * @param allowed   space-separated scope tokens
 * @returns the granted scope, space-separated; undefined when the text is malformed or asks for more
 */
export function narrowScope(requested: string | undefined, allowed: string): string | undefined {
  if (requested === undefined || requested === allowed) return allowed
  const within = new Set(allowed.split(' '))
  const tokens = parseRequest(requested)?.filter(token => token !== offlineAccess || within.has(token))
  return tokens?.every(token => within.has(token)) ? tokens.join(' ') : undefined
}

/** @returns what of a granted scope its client may have still, in its order: all of it as long as nothing was taken from the client */
export function remainingScope(granted: string, client: Pick<Client, 'scope' | 'grantTypes'>): string {
  if (granted === grantableScope(client)) return granted
  const within = new Set(scopeOfClient(client).split(' '))
  return granted
    .split(' ')
    .filter(token => within.has(token))
    .join(' ')
}

/** The most that a client can be granted when it asks: its scope, and to stay signed in if it can refresh. */
export function scopeOfClient(client: Pick<Client, 'scope' | 'grantTypes'>): string {
  const scope = grantableScope(client)
  if (!client.grantTypes.includes('refresh_token') || hasScope(scope, offlineAccess)) return scope
  return scope === '' ? offlineAccess : `${scope} ${offlineAccess}`
}

export function hasScope(scope: string, token: string): boolean {
  return scope.includes(token) && scope.split(' ').includes(token)
}

/** {@link narrowScope}. @throws OAuthError `invalid_scope` */
export function grantScope(requested: string | undefined, allowed: string): string {
  const granted = narrowScope(requested, allowed)
  if (granted === undefined) refuseScope(requested, allowed, 'can be granted')
  return granted
}

/** @param most what is the most that could have been asked for, for the end of a sentence. @throws OAuthError `invalid_scope` */
export function refuseScope(requested: string | undefined, allowed: string, most: string): never {
  const within = new Set(allowed.split(' '))
  const tokens = parseRequest(requested ?? '')
  const beyond = tokens?.filter(token => token !== offlineAccess && !within.has(token)) ?? []
  if (tokens !== undefined && beyond.length === 0)
    throw new OAuthError('invalid_scope', 'nothing of the scope is left to the client')
  throw new OAuthError(
    'invalid_scope',
    tokens === undefined ? 'the scope is malformed' : `the scope asks for more than ${most}${quoted(beyond.join(' '))}`,
  )
}
