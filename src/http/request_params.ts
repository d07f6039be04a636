/**
 * The parameters of our own endpoints, as `oauth/request_params.ts` has those of the OAuth endpoints: what reads a request is what
 * its documentation is made of. The answers are in `schemas.ts`, which is loaded only for the documentation.
 */
import { z } from 'zod'

export const logoutQuery = z.object({
  scope: z.enum(['others', 'all']).optional().meta({
    description: "`others`: the user's other sessions, and not this one. `all`: every session. Else this one.",
  }),
})

export const sessionPath = z.object({
  id: z.string().meta({ description: 'As in the list of sessions.', examples: ['kAWJakA4hC_xciRQrw5ywg'] }),
})

/** For `POST /login`, as a form or as JSON. */
export const loginParams = z.object({
  username: z
    .string()
    .min(1)
    .meta({ examples: ['alice'] }),
  password: z
    .string()
    .min(1)
    .meta({ examples: ['correct horse battery staple'] }),
})

/** For `PUT /users/me/password`, as a form or as JSON. */
export const passwordChangeParams = z.object({
  current_password: z
    .string()
    .min(1)
    .meta({ examples: ['correct horse battery staple'] }),
  new_password: z
    .string()
    .min(1)
    .meta({ description: '8 to 1,024 characters of any kind, and none of the commonest passwords.' }),
})
