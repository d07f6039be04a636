/** What an access token is for: its audience (RFC 7519 §4.1.3), and resource indicators, by which a client asks for a part of it (RFC 8707). */
import { isAdminClient } from '../clients/admin_client.ts'
import type { Client } from '../clients/client.ts'
import { OAuthError, quoted } from '../error.ts'
import type { OAuthConfig } from './deps.ts'

/** Characters. */
const maxAudience = 256

/** Whether a text can be an audience: a URI, or where it has no colon any other name (RFC 7519 §2, StringOrURI). */
export function isAudience(text: string): boolean {
  return text.length <= maxAudience && /^[\x21-\x7e]+$/.test(text) && (!text.includes(':') || URL.canParse(text))
}

/** RFC 8707 §2: an absolute URI without fragment. */
function isResource(text: string): boolean {
  return URL.canParse(text) && !text.includes('#')
}

/** The most that access tokens of a client may be for. */
export function audienceOf(config: Pick<OAuthConfig, 'audience'>, client: Client): readonly string[] {
  return client.audience ?? config.audience
}

/** What a client's own access tokens may be for: those of a client of the admin API are for that, and for nothing else. */
export function ownAudienceOf(config: Pick<OAuthConfig, 'audience' | 'issuer'>, client: Client): readonly string[] {
  return isAdminClient(client) ? [adminAudience(config)] : audienceOf(config, client)
}

export function adminAudience({ issuer }: Pick<OAuthConfig, 'issuer'>): string {
  return `${issuer}/admin`
}

/** @returns what of a session's audience its client may have still; a session of the server's own follows that when it is renamed */
export function remainingAudience(
  granted: readonly string[],
  config: Pick<OAuthConfig, 'audience'>,
  client: Client,
): readonly string[] {
  const allowed = audienceOf(config, client)
  if (granted.length > 0) return granted.filter(one => allowed.includes(one))
  return client.audience === undefined ? allowed : config.audience.filter(one => allowed.includes(one))
}

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
  const fits = requested.every(uri => allowed.includes(uri) && isResource(uri))
  return fits && new Set(requested).size === requested.length ? requested : undefined
}

/** {@link narrowAudience}. @throws OAuthError `invalid_target` */
export function grantAudience(requested: readonly string[], allowed: readonly string[]): readonly string[] {
  const granted = narrowAudience(requested, allowed)
  if (granted === undefined)
    throw new OAuthError(
      'invalid_target',
      `the resource is malformed, given twice or not one that can be granted${quoted(requested.join(' '))}`,
    )
  return granted
}
