/**
 * Authorization server metadata: RFC 8414 §2 and OpenID Connect Discovery 1.0 §3. Announces what works and nothing else.
 */
import { clientAuthenticationMethods } from './client_authentication.ts'
import type { OAuthConfig } from './deps.ts'
import { grants } from './grants/index.ts'
import type { SigningAlg } from './keys.ts'

export function metadata({ issuer }: OAuthConfig) {
  return {
    issuer,
    token_endpoint: `${issuer}/token`,
    token_endpoint_auth_methods_supported: clientAuthenticationMethods,
    revocation_endpoint: `${issuer}/revoke`,
    revocation_endpoint_auth_methods_supported: clientAuthenticationMethods,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    grant_types_supported: Object.keys(grants),
    // There is no authorization endpoint; the member is required all the same (RFC 8414 §2).
    response_types_supported: [],
  }
}

/** The members that OpenID Connect Discovery requires on top. */
export function discovery(config: OAuthConfig, signingAlg: SigningAlg) {
  return {
    ...metadata(config),
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [signingAlg],
  }
}
