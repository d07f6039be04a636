/** What is on the wire where a mail is asked for and its code is given; `schemas.ts` has the rest. */
import { z } from 'zod'
import { clientParams } from './client_schema.ts'
import { passwordResetConfirmParams, passwordResetParams } from './request_params.ts'

export const passwordResetForm = passwordResetParams
  .extend(clientParams)
  .meta({ examples: [{ username: 'alice', client_id: 'app' }] })

export const passwordResetConfirmForm = passwordResetConfirmParams.extend(clientParams).meta({
  examples: [
    {
      auth_session: 'lkv_…',
      code: '40718263',
      new_password: 'seven lamps over the harbour',
      client_id: 'app',
    },
    { auth_session: 'lka_…', otp: '492039', client_id: 'app' },
  ],
})

/** Of whoever asked for a mail with a code. */
export const mailChallengeResponse = z
  .strictObject({
    auth_session: z
      .string()
      .regex(/^lkv_[\w-]+$/)
      .meta({ description: 'Opaque, for the request with the code.' }),
    expires_in: z
      .int()
      .positive()
      .meta({ description: 'Seconds until that is too late.', examples: [1800] }),
  })
  .meta({ id: 'MailChallenge', examples: [{ auth_session: 'lkv_AZAFiWpAOIQv8XIkUK8OcsIL', expires_in: 1800 }] })
