/**
 * Authorization server metadata: RFC 8414 §2 and OpenID Connect Discovery 1.0 §3. Announces what works and nothing else.
 */
import { clientAuthenticationMethods } from './client.ts'
import { clientAssertionAlgs } from './client_assertion.ts'
import type { OAuthConfig } from './deps.ts'
import { grants } from './grants/index.ts'
import type { SigningAlg } from './keys.ts'
import { userInfoClaims } from './user_info.ts'

export function metadata({ issuer }: OAuthConfig, signingAlg: SigningAlg) {
  return {
    issuer,
    token_endpoint: `${issuer}/token`,
    token_endpoint_auth_methods_supported: clientAuthenticationMethods,
    token_endpoint_auth_signing_alg_values_supported: clientAssertionAlgs,
    revocation_endpoint: `${issuer}/revoke`,
    revocation_endpoint_auth_methods_supported: clientAuthenticationMethods,
    revocation_endpoint_auth_signing_alg_values_supported: clientAssertionAlgs,
    introspection_endpoint: `${issuer}/introspect`,
    introspection_endpoint_auth_methods_supported: clientAuthenticationMethods.filter(method => method !== 'none'),
    introspection_endpoint_auth_signing_alg_values_supported: clientAssertionAlgs,
    introspection_signing_alg_values_supported: [signingAlg],
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    grant_types_supported: Object.keys(grants),
    scopes_supported: ['openid', ...Object.keys(userInfoClaims)],
    // There is no authorization endpoint; the member is required all the same (RFC 8414 §2).
    response_types_supported: [],
  }
}

/** The members that OpenID Connect Discovery requires on top. */
export function discovery(config: OAuthConfig, signingAlg: SigningAlg) {
  return {
    ...metadata(config, signingAlg),
    userinfo_endpoint: `${config.issuer}/userinfo`,
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [signingAlg],
    claims_supported: [
      ...['iss', 'sub', 'aud', 'iat', 'exp', 'auth_time', 'amr', 'sid', 'at_hash'],
      ...Object.values(userInfoClaims).flat(),
    ],
    // Where this is left out, it means true (§3).
    request_uri_parameter_supported: false,
  }
}
