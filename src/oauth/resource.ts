/** Resource indicators: what an access token is for. RFC 8707. */
import { OAuthError } from './error.ts'

/**
 * Narrows what is allowed to what is requested: the whole of it when nothing was requested.
 *
 * @param requested the `resource` parameters, each an absolute URI without fragment (RFC 8707 §2)
 * @returns the granted audience, or undefined when one is malformed, repeated or not allowed
 */
export function narrowAudience(
  requested: readonly string[],
  allowed: readonly string[],
): readonly string[] | undefined {
  if (requested.length === 0) return allowed
  const fits = requested.every(uri => URL.canParse(uri) && !uri.includes('#') && allowed.includes(uri))
  return fits && new Set(requested).size === requested.length ? requested : undefined
}

/** {@link narrowAudience}. @throws OAuthError `invalid_target` */
export function grantAudience(requested: readonly string[], allowed: readonly string[]): readonly string[] {
  const granted = narrowAudience(requested, allowed)
  if (granted === undefined)
    throw new OAuthError('invalid_target', 'the resource is malformed, given twice or not one that can be granted')
  return granted
}
