/**
 * Authorization server metadata: RFC 8414 §2, and what OpenID Connect Discovery 1.0 §3 adds. One document at both places, for
 * clients look at either. Announces what works and nothing else.
 */
import { clientAuthenticationMethods } from '../clients/client.ts'
import { clientAssertionAlgs } from '../clients/client_assertion.ts'
import type { SigningAlg } from '../keys/signing_key.ts'
import { acrValues } from '../sessions/assurance.ts'
import type { OAuthConfig } from './deps.ts'
import { grants } from './grants/index.ts'
import { offlineAccess } from './scope.ts'
import { userInfoClaims } from './user_info.ts'

/** @param signingAlgs of every published key: tokens of the one before are still about while the setting changes */
export function metadata({ issuer }: OAuthConfig, signingAlgs: readonly SigningAlg[]) {
  return {
    issuer,
    token_endpoint: `${issuer}/token`,
    // draft-ietf-oauth-first-party-apps-04 §8.
    authorization_challenge_endpoint: `${issuer}/authorize-challenge`,
    token_endpoint_auth_methods_supported: clientAuthenticationMethods,
    token_endpoint_auth_signing_alg_values_supported: clientAssertionAlgs,
    revocation_endpoint: `${issuer}/revoke`,
    revocation_endpoint_auth_methods_supported: clientAuthenticationMethods,
    revocation_endpoint_auth_signing_alg_values_supported: clientAssertionAlgs,
    introspection_endpoint: `${issuer}/introspect`,
    introspection_endpoint_auth_methods_supported: clientAuthenticationMethods.filter(method => method !== 'none'),
    introspection_endpoint_auth_signing_alg_values_supported: clientAssertionAlgs,
    introspection_signing_alg_values_supported: signingAlgs,
    userinfo_endpoint: `${issuer}/userinfo`,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    grant_types_supported: Object.keys(grants),
    // No grant here uses an authorization endpoint, so there is none (RFC 8414 §2): codes come from the challenge endpoint.
    response_types_supported: ['code'],
    code_challenge_methods_supported: ['S256'],
    scopes_supported: ['openid', ...Object.keys(userInfoClaims), offlineAccess],
    claims_supported: [
      ...['iss', 'sub', 'aud', 'iat', 'exp', 'auth_time', 'amr', 'acr', 'sid', 'at_hash'],
      ...Object.values(userInfoClaims).flat(),
    ],
    // RFC 9470 §7.
    acr_values_supported: acrValues,
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: signingAlgs,
    // Where this is left out, it means true (Discovery §3).
    request_uri_parameter_supported: false,
  }
}
