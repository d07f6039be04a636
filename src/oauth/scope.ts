/** Scopes as sets of scope tokens. RFC 6749 §3.3. */
import { OAuthError } from './error.ts'

const scopePattern = /^[\x21\x23-\x5b\x5d-\x7e]+(?: +[\x21\x23-\x5b\x5d-\x7e]+)*$/

/** @returns the distinct scope tokens in the order given, or undefined when the text is no scope; '' is the empty scope */
export function parseScope(text: string): string[] | undefined {
  if (text === '') return []
  return scopePattern.test(text) ? [...new Set(text.split(/ +/))] : undefined
}

/**
 * Narrows what is allowed to what is requested: the whole of it when nothing was requested.
 *
 * @param requested the `scope` parameter, or undefined
 * @param allowed   space-separated scope tokens
 * @returns the granted scope, space-separated; undefined when the text is malformed or asks for more
 */
export function narrowScope(requested: string | undefined, allowed: string): string | undefined {
  if (requested === undefined || requested === allowed) return allowed
  const within = new Set(allowed.split(' '))
  const tokens = parseScope(requested)
  return tokens?.every(token => within.has(token)) ? tokens.join(' ') : undefined
}

/** @returns what of a granted scope may be granted still, in its order: all of it as long as nothing was taken from the client */
export function remainingScope(granted: string, allowed: string): string {
  if (granted === allowed) return granted
  const within = new Set(allowed.split(' '))
  return granted
    .split(' ')
    .filter(token => within.has(token))
    .join(' ')
}

export function hasScope(scope: string, token: string): boolean {
  return scope.includes(token) && scope.split(' ').includes(token)
}

/** {@link narrowScope}. @throws OAuthError `invalid_scope` */
export function grantScope(requested: string | undefined, allowed: string): string {
  const granted = narrowScope(requested, allowed)
  if (granted === undefined)
    throw new OAuthError('invalid_scope', 'the scope is malformed or asks for more than can be granted')
  return granted
}
