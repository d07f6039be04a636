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
  username: required.meta({ description: 'In any case; white space around it is ignored.', examples: ['alice'] }),
  password: required.meta({ examples: ['correct horse battery staple'] }),
  scope,
  device: z
    .string()
    .optional()
    .meta({
      description:
        "Names the device in the user's list of sessions: one line, without what cannot be seen, cut after 64 characters.",
      examples: ["Alice's phone"],
    }),
  ...requirementParams,
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
