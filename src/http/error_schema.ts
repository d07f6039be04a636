/** What a refusal looks like on the wire; `schemas.ts` has the rest. */
import { z } from 'zod'
import type { ErrorCode } from '../error.ts'
import { wireNames } from '../users/factors/factor.ts'
import { errorAnswers } from './error_answers.ts'

const detail = z.string().meta({ description: 'The same for who knows FastAPI.' })
const hasDetail = (code: ErrorCode) => errorAnswers[code].detail !== undefined

/**
 * What `insufficient_authorization` says of the proof that is owed (draft-ietf-oauth-first-party-apps-04 §5.2.2.1), and `invalid_grant` where
 * the password was right and what came along with it was not.
 */
const owedProof = {
  auth_session: z
    .string()
    .regex(/^lka_[\w-]+$/)
    .meta({ description: 'Opaque, for the next request.' }),
  auth_session_expires_in: z.int().positive().meta({ description: 'Seconds until it is too late for that.' }),
  factors: z.array(z.enum([...Object.values(wireNames), 'password'])).meta({
    description: 'The parameters of which one is to come.',
  }),
  enrollment_required: z.literal(true).meta({ description: 'There is no factor yet, and one has to be set up first.' }),
  enrollment: z
    .string()
    .regex(/^lke_[\w-]+$/)
    .meta({ description: 'Of a factor that is being set up: brought back with its first proof.' }),
  secret: z.string().meta({ description: 'Of time-based codes, for who cannot scan the next one.' }),
  otpauth_uri: z.string().meta({ description: 'For a QR code.' }),
  options: z
    .looseObject({ challenge: z.string() })
    .meta({ description: 'For `PublicKeyCredential.parseCreationOptionsFromJSON` (WebAuthn §5.1.9).' }),
  passkey_options: z
    .looseObject({ challenge: z.string(), rpId: z.string() })
    .meta({ description: 'For `PublicKeyCredential.parseRequestOptionsFromJSON` (WebAuthn §5.1.10).' }),
}

const continued: readonly ErrorCode[] = ['insufficient_authorization', 'invalid_grant']

/**
 * The answer to a request that was refused: RFC 6749 §5.2.
 *
 * @param codes those that an endpoint answers with one status
 */
export function errorResponse(codes: readonly ErrorCode[]) {
  return z.strictObject({
    error: z.enum([...new Set(codes.map(code => errorAnswers[code].error))]),
    error_description: z.string().meta({ description: 'Says to a developer what is wrong. The words may change.' }),
    ...(codes.some(hasDetail) && {
      detail: codes.every(hasDetail) ? detail : detail.optional(),
    }),
    ...(codes.some(code => continued.includes(code)) && z.object(owedProof).partial().shape),
  })
}
