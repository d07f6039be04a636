/**
 * The parameters of the OAuth endpoints: what reads a request here is what its documentation is made of (`http/docs/openapi.ts`).
 * What is not named is ignored (RFC 6749 §3.2). RFC 6749 §4.3.2, §4.4.2, §6; RFC 7009 §2.1; RFC 7662 §2.1.
 */
import { z } from 'zod'
import type { Params } from '../clients/client.ts'
import { OAuthError } from '../error.ts'

const required = z.string().min(1)

const scope = z
  .string()
  .optional()
  .meta({
    description:
      'Space-separated. Everything that can be granted, if it is left out. At a refresh it narrows this access token, not the session.',
    examples: ['read'],
  })

const username = required.meta({ description: 'In any case; white space around it is ignored.', examples: ['alice'] })
const password = required.meta({ examples: ['correct horse battery staple'] })
const device = z
  .string()
  .optional()
  .meta({
    description:
      "Names the device in the user's list of sessions: one line, without what cannot be seen, cut after 64 characters.",
    examples: ["Alice's phone"],
  })

/** Proofs that can be typed: one of them at most. */
const codeParams = {
  otp: z
    .string()
    .optional()
    .meta({
      description: 'The code that an authenticator app shows, for a user who has set up one.',
      examples: ['123456'],
    }),
  recovery_code: z
    .string()
    .optional()
    .meta({
      description: 'In the place of `otp`: one of those for who has lost the app.',
      examples: ['8kc4-q0zt-7w2m-xr5d'],
    }),
}

/** RFC 9470 §4, OpenID Connect Core §3.1.2.1. */
export const requirementParams = {
  acr_values: z
    .string()
    .optional()
    .meta({
      description:
        'Classes of `acr` of which one will do, space-separated. A sign-in of none of them is `insufficient_authorization`.',
      examples: ['urn:latchkey:2fa'],
    }),
  max_age: z
    .string()
    .optional()
    .meta({
      description: 'Seconds that the last proof of who the user is may be old. Older is `insufficient_authorization`.',
      examples: ['300'],
    }),
}

export const passwordParams = z.object({
  grant_type: z.literal('password'),
  username,
  password,
  ...codeParams,
  scope,
  device,
  ...requirementParams,
})

/** draft-ietf-oauth-first-party-apps-04 §5.1, RFC 7636 §4.3, OpenID Connect Core §3.1.2.1. */
export const challengeParams = z.object({
  response_type: required.meta({ description: 'Always `code`.', examples: ['code'] }),
  username: username.optional(),
  password: password.optional(),
  auth_session: z
    .string()
    .optional()
    .meta({ description: 'Of the last answer: what it says is not to be sent again. With one proof more.' }),
  ...codeParams,
  passkey: z.string().optional().meta({
    description:
      'What `PublicKeyCredential.toJSON()` gives, as JSON text, for the `passkey_options` of the answer before.',
  }),
  enroll: z
    .string()
    .optional()
    .meta({
      description: 'What is to be set up, where the answer before has `enrollment_required`: `otp` or `passkey`.',
      examples: ['otp'],
    }),
  enrollment: z.string().optional().meta({
    description:
      'Of the answer to `enroll`, with the first code as `otp`, or what the authenticator answered as `passkey`.',
  }),
  code_challenge: z
    .string()
    .optional()
    .meta({
      description: 'Base64url of the SHA-256 of a `code_verifier` (RFC 7636 §4.2). A public client has to send one.',
      examples: ['E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'],
    }),
  code_challenge_method: z
    .string()
    .optional()
    .meta({ description: 'With `code_challenge`: `S256`.', examples: ['S256'] }),
  nonce: z.string().optional().meta({ description: 'Copied into the id token: 1 to 128 characters.' }),
  scope,
  device,
  ...requirementParams,
})

/** RFC 6749 §4.1.3, RFC 7636 §4.5; without `redirect_uri` (draft-ietf-oauth-first-party-apps-04 §6). */
export const authorizationCodeParams = z.object({
  grant_type: z.literal('authorization_code'),
  code: required.meta({
    description: 'The `authorization_code` of `/authorize-challenge`. It counts once, for 60 seconds.',
  }),
  code_verifier: z
    .string()
    .optional()
    .meta({ description: 'Of the `code_challenge`, if there was one, and only then (RFC 7636 §4.1).' }),
})

export const refreshTokenParams = z.object({
  grant_type: z.literal('refresh_token'),
  refresh_token: required.meta({
    description: 'The newest one that has been stored. If no answer came, the same one again.',
  }),
  scope,
  ...requirementParams,
})

export const clientCredentialsParams = z.object({
  grant_type: z.literal('client_credentials'),
  scope,
})

export const revocationParams = z.object({
  token: required.meta({ description: 'A refresh token, also one that has been replaced, or an access token.' }),
  token_type_hint: z.string().optional().meta({ description: 'Not needed: a token shows what it is.' }),
})

export const introspectionParams = z.object({
  token: required.meta({ description: 'An access token, or a refresh token of the client that asks.' }),
  token_type_hint: z
    .string()
    .optional()
    .meta({
      description:
        '`refresh_token` to ask about one; without it no refresh token is active. Not needed for access tokens.',
      examples: ['access_token'],
    }),
})

/**
 * Reads parameters.
 *
 * @returns those that the schema names
 * @throws OAuthError `invalid_request` that names the first one that is missing, or is none of those that there are
 */
export function readParams<T>(schema: z.ZodType<T>, params: Params): T {
  const parsed = schema.safeParse(params)
  if (parsed.success) return parsed.data
  const name = String(parsed.error.issues[0]?.path[0])
  throw new OAuthError('invalid_request', `${name} is ${name in params ? 'not one that there is' : 'missing'}`)
}
