/** What clients and resource servers learn of this server by themselves; `schemas.ts` has the rest. */
import { z } from 'zod'
import { clientAuthenticationMethods } from '../clients/client.ts'
import { clientAssertionAlgs } from '../clients/client_assertion.ts'
import { signingAlgs } from '../keys/signing_key.ts'
import { acrValues } from '../sessions/assurance.ts'

const url = z.url()
const methods = z.array(z.enum(clientAuthenticationMethods))
const assertionAlgs = z.array(z.enum(clientAssertionAlgs))
const tokenAlgs = z.array(z.enum(signingAlgs))

/** RFC 8414 §2 and OpenID Connect Discovery 1.0 §3. */
export const metadataResponse = z
  .strictObject({
    issuer: url,
    token_endpoint: url,
    authorization_challenge_endpoint: url,
    token_endpoint_auth_methods_supported: methods,
    token_endpoint_auth_signing_alg_values_supported: assertionAlgs,
    revocation_endpoint: url,
    revocation_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_signing_alg_values_supported: assertionAlgs,
    introspection_endpoint: url,
    introspection_endpoint_auth_methods_supported: methods,
    introspection_endpoint_auth_signing_alg_values_supported: assertionAlgs,
    introspection_signing_alg_values_supported: tokenAlgs,
    userinfo_endpoint: url,
    jwks_uri: url,
    grant_types_supported: z.array(z.string()),
    response_types_supported: z.array(z.string()).meta({ description: 'For the challenge endpoint.' }),
    code_challenge_methods_supported: z.array(z.literal('S256')),
    scopes_supported: z.array(z.string()),
    claims_supported: z.array(z.string()),
    acr_values_supported: z.array(z.enum(acrValues)),
    subject_types_supported: z.array(z.literal('public')),
    id_token_signing_alg_values_supported: tokenAlgs,
    request_uri_parameter_supported: z.boolean(),
  })
  .meta({ id: 'Metadata' })
