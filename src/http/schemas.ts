/**
 * What is on the wire, for `/openapi.json` and for the tests, which hold every answer of the server to it (`test/_api.ts`).
 * Requests are read by the schemas of `request_params.ts`, here and in `oauth/`. An answer has the members that are named here and
 * no other; the document does not say so, because clients have to ignore what they do not know (RFC 6749 §5.1).
 */
import { z } from 'zod'
import type { AccessTokenClaims } from '../oauth/access_token.ts'
import {
  authorizationCodeParams,
  challengeParams,
  clientCredentialsParams,
  introspectionParams,
  passwordParams,
  refreshTokenParams,
  revocationParams,
} from '../oauth/request_params.ts'
import type { userInfoClaims } from '../oauth/user_info.ts'
import { acrValues } from '../sessions/assurance.ts'
import { clientParams } from './client_schema.ts'

export * from './admin/schemas.ts'
export * from './error_schema.ts'
export * from './factor_schemas.ts'
export * from './metadata_schema.ts'
export * from './own_account_schemas.ts'
export * from './passkey_schemas.ts'
export * from './password_reset_schemas.ts'
export * from './sign_up_schemas.ts'

const accessToken =
  'eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6IlJIVFpxQk5Mem5Fc1dqYUpyaXlPV2JiQ2poTEVEdkhaT2tmczFzVjRQVm8ifQ.eyJpc3MiOiJodHRwczovL2F1dGguZXhhbXBsZS5jb20ifQ.c2lnbmF0dXJl'
const refreshToken = 'lkr_AZAFiWpAOIQv8XIkUK8OcsIL-EuJAQAAAJ5t0078ebqCV0IaxXoDEydoFLgJSsx5UCMHxEdaZoy_'
/** RFC 7636 Appendix B. */
const codeVerifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const codeChallenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
const issuer = 'https://auth.example.com'
const userId = 'usr_517uqrZdsCJBbGU-WPpE5g'
const sessionId = 'kAWJakA4hC_xciRQrw5ywg'

const jwt = z.string().regex(/^[\w-]+\.[\w-]+\.[\w-]+$/)
const seconds = z.int().nonnegative()
const instant = seconds.meta({ description: 'Seconds since 1970.', examples: [1_795_466_796] })
const url = z.url()

// Requests

/** RFC 8707 §2. */
const resource = {
  resource: z.array(z.string()).optional().meta({
    description: 'What the access token is for: one URI or several. Everything that can be granted, if it is left out.',
  }),
}

/** One for each grant; `grant_type` tells them apart. */
export const tokenForms = [
  passwordParams.extend({ ...resource, ...clientParams }).meta({
    id: 'PasswordGrant',
    title: 'password: sign in',
    examples: [
      { grant_type: 'password', client_id: 'app', username: 'alice', password: 'correct horse battery staple' },
    ],
  }),
  authorizationCodeParams.extend({ ...resource, ...clientParams }).meta({
    id: 'AuthorizationCodeGrant',
    title: 'authorization_code: after /authorize-challenge',
    examples: [{ grant_type: 'authorization_code', client_id: 'app', code: 'lkg_…', code_verifier: codeVerifier }],
  }),
  refreshTokenParams.extend({ ...resource, ...clientParams }).meta({
    id: 'RefreshTokenGrant',
    title: 'refresh_token: stay signed in',
    examples: [{ grant_type: 'refresh_token', client_id: 'app', refresh_token: refreshToken }],
  }),
  clientCredentialsParams.extend({ ...resource, ...clientParams }).meta({
    id: 'ClientCredentialsGrant',
    title: 'client_credentials: the client itself',
    examples: [{ grant_type: 'client_credentials', client_id: 'jobs', client_secret: 'lks_…' }],
  }),
] as const

export const challengeForm = challengeParams.extend({ ...resource, ...clientParams }).meta({
  id: 'Challenge',
  examples: [
    {
      response_type: 'code',
      client_id: 'app',
      username: 'alice',
      password: 'correct horse battery staple',
      code_challenge: codeChallenge,
      code_challenge_method: 'S256',
    },
    { response_type: 'code', client_id: 'app', auth_session: 'lka_…', otp: '123456' },
  ],
})

export const revocationForm = revocationParams
  .extend(clientParams)
  .meta({ examples: [{ token: refreshToken, client_id: 'app' }] })

export const introspectionForm = introspectionParams
  .extend(clientParams)
  .meta({ examples: [{ token: accessToken, client_id: 'web', client_secret: 'lks_…' }] })

export const userInfoForm = z
  .object({
    access_token: z.string().optional().meta({ description: 'Instead of the header `Authorization` (RFC 6750 §2.2).' }),
  })
  .meta({ examples: [{}] })

export const pageFilePath = z.object({ file: z.string() })

export const assetPath = z.object({ hash: z.string(), file: z.string() })

// Answers

const grantedScope = z
  .string()
  .min(1)
  .meta({ description: 'What was granted, space-separated. Left out where that is nothing.', examples: ['read write'] })

export const tokenResponse = z
  .strictObject({
    access_token: jwt.meta({ description: 'A JWT (RFC 9068).' }),
    token_type: z.literal('Bearer'),
    expires_in: seconds.positive().meta({ description: 'Seconds that the access token lives.' }),
    scope: grantedScope.optional(),
    refresh_token: z
      .string()
      .regex(/^lkr_[\w-]+$/)
      .optional()
      .meta({
        description: 'Replaces the one before. Not for `client_credentials`, nor for a client without the grant.',
      }),
    id_token: jwt.optional().meta({ description: 'With the scope `openid` (OpenID Connect Core §2).' }),
  })
  .meta({
    id: 'Tokens',
    examples: [
      {
        access_token: accessToken,
        token_type: 'Bearer',
        expires_in: 860,
        scope: 'read write',
        refresh_token: refreshToken,
      },
    ],
  })

/** draft-ietf-oauth-first-party-apps-04 §5.2.1. */
export const challengeResponse = z
  .strictObject({
    authorization_code: z
      .string()
      .regex(/^lkg_[\w-]+$/)
      .meta({ description: 'For `/token`, once, within 60 seconds.' }),
    recovery_codes: z
      .array(z.string())
      .optional()
      .meta({ description: 'With a factor that was set up in this sign-in: ten, shown here only.' }),
  })
  .meta({ id: 'AuthorizationCode', examples: [{ authorization_code: 'lkg_AZAFiWpAOIQv8XIkUK8OcsIL' }] })

export const emptyResponse = z.strictObject({}).meta({ examples: [{}] })

const audience = z.union([z.string(), z.array(z.string()).min(2)]).meta({ examples: [issuer] })
const clientId = z.string().meta({ examples: ['app'] })
const amr = z.array(z.string()).meta({ description: 'How the user signed in (RFC 8176).', examples: [['pwd']] })
const acr = z.enum(acrValues).meta({ description: 'How sure it is who is signed in (RFC 9470).' })

/** Of an access token: RFC 9068 §2.2. Without a user where a client asked for itself. */
const accessTokenClaims = {
  iss: url,
  aud: audience,
  sub: z.string().meta({ description: "The user's id, or the client's for its own token." }),
  client_id: clientId,
  iat: instant,
  exp: instant,
  jti: z.string(),
  scope: grantedScope.optional(),
  sid: z.string().optional().meta({ description: 'The session.' }),
  auth_time: instant.optional(),
  amr: amr.optional(),
  acr: acr.optional(),
  roles: z.array(z.string()).optional().meta({ description: 'What the user may do, where the client asks for it.' }),
  preferred_username: z.string().optional(),
  email: z.string().optional(),
  name: z.string().optional(),
} satisfies Record<keyof AccessTokenClaims, z.ZodType>

/** RFC 7662 §2.2. */
export const introspectionResponse = z
  .union([
    z.strictObject({ active: z.literal(false) }).meta({ title: 'not active' }),
    z
      .strictObject({
        active: z.literal(true),
        token_type: z.literal('Bearer'),
        token_use: z.literal('access_token'),
        username: z.string().optional(),
        ...accessTokenClaims,
      })
      .meta({ title: 'an access token' }),
    z
      .strictObject({
        active: z.literal(true),
        token_use: z.literal('refresh_token'),
        iss: url,
        aud: audience,
        sub: z.string(),
        username: z.string(),
        client_id: clientId,
        iat: instant.meta({ description: 'When the session was last seen, to the hour, in seconds since 1970.' }),
        exp: instant.meta({
          description: 'When the session ends at the earliest, to the hour, in seconds since 1970.',
        }),
        scope: grantedScope.optional(),
        sid: z.string(),
        auth_time: instant,
        amr,
        acr,
      })
      .meta({ title: 'a refresh token' }),
  ])
  .meta({
    id: 'Introspection',
    examples: [
      {
        active: true,
        token_type: 'Bearer',
        token_use: 'access_token',
        username: 'alice',
        iss: issuer,
        aud: issuer,
        sub: userId,
        client_id: 'app',
        iat: 1_795_466_796,
        exp: 1_795_467_656,
        jti: 'bqNxwJ1xGk2WmNPuFq0sKQ',
        scope: 'read write',
        sid: sessionId,
        auth_time: 1_795_466_796,
        amr: ['pwd'],
        acr: 'urn:latchkey:1fa',
      },
      { active: false },
    ],
  })

/** RFC 9701 §5. */
export const introspectionJwt = jwt.meta({ description: 'The same, signed (RFC 9701).', examples: [accessToken] })

/** OpenID Connect Core §5.3.2. */
export const userInfoResponse = z
  .strictObject({
    sub: z.string().meta({ description: "The user's id. It never changes." }),
    name: z.string().optional(),
    preferred_username: z.string().optional(),
    locale: z.string().optional().meta({ description: 'The language that the user has chosen, BCP 47.' }),
    email: z.string().optional(),
    email_verified: z
      .boolean()
      .optional()
      .meta({ description: 'Whether the user has proved to read what is sent there.' }),
  } satisfies Record<'sub' | (typeof userInfoClaims)[keyof typeof userInfoClaims][number], z.ZodType>)
  .meta({
    id: 'UserInfo',
    examples: [
      { sub: userId, name: 'Alice', preferred_username: 'alice', email: 'alice@example.com', email_verified: true },
    ],
  })

export const logoutResponse = message('Logout successful')

export const loginResponse = message('Login successful')

/** For `GET /`. */
export const homeResponse = z
  .strictObject({ issuer: url, metadata: url })
  .meta({ examples: [{ issuer, metadata: `${issuer}/.well-known/oauth-authorization-server` }] })

/** For `GET /profile`. */
export const profileResponse = z.strictObject({ username: z.string() }).meta({ examples: [{ username: 'alice' }] })

const session = z
  .strictObject({
    id: z.string(),
    current: z.boolean().meta({ description: 'Whether it is the session of this request.' }),
    client_id: clientId,
    device: z.string().nullable().meta({ description: 'As the app named it at the sign-in.' }),
    ip: z.string().nullable().meta({ description: 'Where it was last used from. Changes on the hour.' }),
    user_agent: z.string().nullable().meta({ description: 'The program that last used it. Changes on the hour.' }),
    scope: z
      .string()
      .meta({ description: 'What was granted at the sign-in, space-separated.', examples: ['read write'] }),
    created_at: instant,
    last_seen_at: instant.meta({
      description:
        'The last sign-in or refresh before the present hour, rounded down to its hour; of the current session, the present hour. In seconds since 1970.',
    }),
    expires_at: instant.meta({
      description: 'When it ends at the earliest if it is not refreshed, to the hour, in seconds since 1970.',
    }),
  })
  .meta({ id: 'Session' })

export const sessionsResponse = z.strictObject({ sessions: z.array(session) }).meta({
  examples: [
    {
      sessions: [
        {
          id: sessionId,
          current: true,
          client_id: 'app',
          device: "Alice's phone",
          ip: '203.0.113.7',
          user_agent: 'ExampleApp/1.0',
          scope: 'read write',
          created_at: 1_795_466_796,
          last_seen_at: 1_795_467_600,
          expires_at: 1_798_059_600,
        },
      ],
    },
  ],
})

const key = { kid: z.string().meta({ description: 'RFC 7638 thumbprint.' }), use: z.literal('sig') }

/** RFC 7517 §5. */
export const jwksResponse = z
  .strictObject({
    keys: z.array(
      z.discriminatedUnion('alg', [
        z.strictObject({
          ...key,
          alg: z.literal('ES256'),
          kty: z.literal('EC'),
          crv: z.literal('P-256'),
          x: z.string(),
          y: z.string(),
        }),
        z.strictObject({
          ...key,
          alg: z.literal('EdDSA'),
          kty: z.literal('OKP'),
          crv: z.literal('Ed25519'),
          x: z.string(),
        }),
        z.strictObject({ ...key, alg: z.literal('RS256'), kty: z.literal('RSA'), n: z.string(), e: z.string() }),
      ]),
    ),
  })
  .meta({
    id: 'JwkSet',
    examples: [
      {
        keys: [
          {
            kid: 'RHTZqBNLznEsWjaJriyOWbbCjhLEDvHZOkfs1sV4PVo',
            use: 'sig',
            alg: 'ES256',
            kty: 'EC',
            crv: 'P-256',
            x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
            y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
          },
        ],
      },
    ],
  })

export const healthResponse = z.strictObject({ status: z.literal('ok') }).meta({ examples: [{ status: 'ok' }] })

export const openApiResponse = z
  .looseObject({ openapi: z.string().regex(/^3\.1\.\d+$/), info: z.looseObject({}), paths: z.looseObject({}) })
  .meta({ description: 'This document.' })

export const htmlPage = z.string().regex(/^<!doctype html>/i)

export const textFile = z.string()

function message<T extends string>(text: T) {
  return z.strictObject({ message: z.literal(text) }).meta({ examples: [{ message: text }] })
}
