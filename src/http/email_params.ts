/** The parameters of what users do with their address, by bearer token and on pages. */
import { z } from 'zod'

/** For `POST /users/me/email`. */
export const emailParams = z
  .object({ email: z.string().min(1).meta({ description: 'The new address.' }) })
  .meta({ examples: [{ email: 'alice@example.net' }] })

/** For `POST /users/me/email/confirm` and `POST /users/me/email/verification/confirm`. */
export const emailConfirmParams = z
  .object({
    auth_session: z.string().min(1).meta({ description: 'Of the answer of the request before.' }),
    code: z.string().min(1).meta({ description: 'Eight digits, of the mail.' }),
  })
  .meta({ examples: [{ auth_session: 'lkv_…', code: '49203917' }] })

/** For the form of `/profile/email/change`. */
export const changeEmailForm = z
  .object({ email: z.string().optional() })
  .meta({ examples: [{ email: 'alice@example.net' }] })

/** For forms that are a button alone. */
export const emailButtonForm = z.object({}).meta({ examples: [{}] })
