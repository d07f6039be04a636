/** What a sign-up is asked with and answered, by apps and by pages. Requests are read by these schemas too. */
import { z } from 'zod'
import { maxUsername } from '../text.ts'
import { maxPassword, minSolePassword } from '../users/password_rules.ts'
import { clientParams } from './client_schema.ts'

const email = z
  .string()
  .min(1)
  .meta({ description: 'The address that is to be proved.', examples: ['erin@example.com'] })
const locale = z
  .string()
  .optional()
  .meta({ description: 'What the person reads, as `Accept-Language` has it, which it replaces.', examples: ['ko-KR'] })

/** For `POST /sign-up`. */
export const signUpParams = z.object({ email, locale })

/** For the form of the page. */
export const signUpForm = z.object({ email: email.optional() }).meta({ examples: [{ email: 'erin@example.com' }] })

const accountParams = {
  username: z
    .string()
    .min(1)
    .meta({
      description: `At most ${maxUsername} characters, and none that nobody sees. An address has to be the one that was proved.`,
      examples: ['erin'],
    }),
  password: z
    .string()
    .min(1)
    .meta({
      description: `At least ${minSolePassword} characters, or as many as the server is told; at most ${maxPassword}; of any kind, and none of the commonest passwords.`,
      examples: ['nine boats on a slow river'],
    }),
  full_name: z
    .string()
    .optional()
    .meta({ examples: ['Erin'] }),
}

/** For `POST /sign-up/confirm`. */
export const signUpConfirmParams = z.object({
  auth_session: z.string().optional().meta({ description: 'Of the answer of `/sign-up`.' }),
  code: z
    .string()
    .optional()
    .meta({ description: 'The eight digits in the mail.', examples: ['40718263'] }),
  token: z.string().optional().meta({
    description: 'In the place of both: of the link in the mail, or in that of an invitation, where an app opens that.',
  }),
  ...accountParams,
  locale,
})

/** For the form that makes the account. */
export const newAccountForm = z
  .object(accountParams)
  .partial()
  .meta({ examples: [{ username: 'erin', password: 'nine boats on a slow river' }] })

export const signUpForApps = signUpParams
  .extend(clientParams)
  .meta({ id: 'SignUp', examples: [{ email: 'erin@example.com', client_id: 'app' }] })

export const signUpConfirmForApps = signUpConfirmParams.extend(clientParams).meta({
  id: 'SignUpConfirmation',
  examples: [
    {
      auth_session: 'lkv_…',
      code: '40718263',
      username: 'erin',
      password: 'nine boats on a slow river',
      client_id: 'app',
    },
  ],
})

export const signedUpResponse = z
  .strictObject({
    id: z.string().meta({ description: 'The `sub` of the tokens of the user. It never changes.' }),
    username: z.string(),
    email: z.string(),
    email_verified: z.literal(true),
    full_name: z.string().nullable(),
  })
  .meta({
    id: 'SignedUpUser',
    examples: [
      {
        id: 'usr_517uqrZdsCJBbGU-WPpE5g',
        username: 'erin',
        email: 'erin@example.com',
        email_verified: true,
        full_name: 'Erin',
      },
    ],
  })
