/** Factors on the wire. */
import { z } from 'zod'
import { factorKinds } from '../users/factors/factor.ts'
import type { FactorDocument } from '../users/factors/factor_document.ts'

const instant = z
  .int()
  .nonnegative()
  .meta({ description: 'Seconds since 1970.', examples: [1_795_466_796] })
const id = 'fac_8mJXkfY2Qn6vB1r0aTzLhA'
const recoveryCode = '8kc4-q0zt-7w2m-xr5d'

const members = {
  id: z.string(),
  kind: z.enum(factorKinds),
  name: z.string().nullable().meta({ description: 'What its user calls it.' }),
  created_at: instant,
  used_at: instant.nullable().meta({ description: 'When it last let somebody in, in seconds since 1970.' }),
  codes_left: z.int().nonnegative().optional().meta({ description: 'Of recovery codes.' }),
} satisfies Record<keyof FactorDocument, z.ZodType>

const example = { id, kind: 'totp', name: "Alice's phone", created_at: 1_795_466_796, used_at: null }

export const factorResponse = z.strictObject(members).meta({ id: 'Factor', examples: [example] })

export const factorsResponse = z.strictObject({ factors: z.array(factorResponse) }).meta({
  examples: [{ factors: [example, { ...example, id: 'fac_Zq3', kind: 'recovery_codes', name: null, codes_left: 10 }] }],
})

const recoveryCodes = z.array(z.string()).meta({ description: 'Each counts once. Shown here and nowhere else.' })

export const confirmedFactorResponse = z
  .strictObject({
    ...members,
    recovery_codes: recoveryCodes.optional().meta({ description: 'With the first factor: ten, shown here only.' }),
  })
  .meta({ examples: [{ ...example, recovery_codes: [recoveryCode] }] })

const begun = {
  enrollment: z.string().meta({ description: 'Brought back by the confirmation. A secret; not for reading.' }),
  expires_in: z.int().positive().meta({ description: 'Seconds.' }),
}

/** For `POST /users/me/factors`. */
export const enrollmentResponse = z
  .union([
    z.strictObject({
      ...begun,
      secret: z.string().regex(/^[A-Z2-7]+$/),
      otpauth_uri: z.string().meta({ description: 'For a QR code: the Key URI Format of authenticator apps.' }),
    }),
    z.strictObject({
      ...begun,
      options: z.looseObject({ challenge: z.string() }).meta({
        description: 'For `PublicKeyCredential.parseCreationOptionsFromJSON` (WebAuthn §5.1.9).',
      }),
    }),
    z.strictObject({ recovery_codes: recoveryCodes }),
  ])
  .meta({
    examples: [
      {
        enrollment: 'lke_AZAFiWpAOIQv8XIkUK8O',
        expires_in: 600,
        secret: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ',
        otpauth_uri: 'otpauth://totp/auth.example.com:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ',
      },
      { recovery_codes: [recoveryCode] },
    ],
  })

/** For operators. */
export const factorsResetDocument = z
  .strictObject({ removed: z.int().nonnegative() })
  .meta({ examples: [{ removed: 2 }] })

export const passkeySignInResponse = z
  .strictObject({
    auth_session: z.string().regex(/^lka_[\w-]+$/),
    auth_session_expires_in: z.int().positive(),
    passkey_options: z.looseObject({ challenge: z.string(), rpId: z.string() }),
  })
  .meta({
    examples: [
      {
        auth_session: 'lka_Aa4dXSYeqcf0DFiqVvwMDAnCv5Q5ip6t3Vum3J36Wn',
        auth_session_expires_in: 300,
        passkey_options: {
          challenge: 'gWbMWhJ3EZgNe9u0R9qMOq1hGjzw6f3d2wNCYg2IY0s',
          rpId: 'auth.example.com',
          allowCredentials: [],
          userVerification: 'required',
          timeout: 300_000,
        },
      },
    ],
  })
