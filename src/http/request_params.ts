/**
 * The parameters of our own endpoints, as `oauth/request_params.ts` has those of the OAuth endpoints: what reads a request is what
 * its documentation is made of. The answers are in `schemas.ts`, which is loaded only for the documentation.
 */
import { z } from 'zod'
import { maxOwnSessions } from '../sessions/own_sessions.ts'
import { maxSignInName } from '../text.ts'
import { factorKinds } from '../users/factors/factor.ts'
import { maxPassword, minPassword, minSolePassword } from '../users/password_rules.ts'

export const logoutQuery = z.object({
  scope: z.enum(['others', 'all']).optional().meta({
    description: "`others`: the user's other sessions, and not this one. `all`: every session. Else this one.",
  }),
})

/** For `GET /sessions`. */
export const sessionsQuery = z.object({
  limit: z
    .string()
    .regex(/^[1-9]\d{0,2}$/)
    .refine(text => Number(text) <= maxOwnSessions)
    .optional()
    .meta({
      description: `The most sessions on this page, 1 to ${maxOwnSessions}, which is the default.`,
      examples: ['50'],
    }),
  cursor: z.string().optional().meta({ description: 'Of the `Link` to the next page. Not for reading.' }),
})

export const sessionPath = z.object({
  id: z.string().meta({ description: 'As in the list of sessions.', examples: ['kAWJakA4hC_xciRQrw5ywg'] }),
})

/** For `POST /login`, as a form or as JSON. */
export const loginParams = z
  .object({
    username: text(maxSignInName).meta({
      description: 'Or the e-mail address, where users sign in by it. In any case; white space around it is ignored.',
      examples: ['alice'],
    }),
    password: text(maxPassword).meta({ examples: ['correct horse battery staple'] }),
    return_to: z
      .string()
      .optional()
      .meta({ description: 'For pages: where a browser goes then, a path of this site.' }),
  })
  .meta({ examples: [{ username: 'alice', password: 'correct horse battery staple' }] })

const factorParams = z.object({
  auth_session: z.string().optional().meta({ description: 'Of the 403 of the request before.' }),
  otp: z
    .string()
    .optional()
    .meta({ description: 'Six digits of an authenticator app.', examples: ['492039'] }),
  recovery_code: z
    .string()
    .optional()
    .meta({ examples: ['8kc4-q0zt-7w2m-xr5d'] }),
  passkey: z.string().optional().meta({ description: 'The JSON of `PublicKeyCredential.toJSON()`.' }),
})

/** What comes to `POST /login` in all: a password, or what is owed after it. */
export const loginForm = loginParams
  .partial()
  .extend({
    ...factorParams.shape,
    use: z.enum(['otp', 'recovery_code', 'passkey']).optional().meta({ description: 'For pages: what to ask for.' }),
    enrollment: z.string().optional().meta({ description: 'For pages: a factor that has to be set up first.' }),
  })
  .meta({
    examples: [
      { username: 'alice', password: 'correct horse battery staple' },
      { auth_session: 'lka_…', otp: '492039' },
    ],
  })

/** For the form that asks who is signed in to show it anew. */
export const confirmForm = factorParams
  .extend({ password: z.string().optional(), use: loginForm.shape.use, return_to: loginParams.shape.return_to })
  .meta({ examples: [{ auth_session: 'lka_…', otp: '492039' }] })

export const addFactorQuery = z.object({ kind: z.string().optional().meta({ description: '`totp` or `passkey`.' }) })

/** For the form that adds a factor. */
export const addFactorForm = z
  .object({
    kind: z.enum(['totp', 'passkey']),
    enrollment: z.string().meta({ description: 'Of the page.' }),
    otp: factorParams.shape.otp,
    passkey: factorParams.shape.passkey,
  })
  .meta({ examples: [{ kind: 'totp', enrollment: 'lke_…', otp: '492039' }] })

/** For the forms that name and remove a factor. */
export const factorForm = z
  .object({
    name: z.string().optional(),
    remove: z.string().optional().meta({ description: 'Anything: it is removed.' }),
  })
  .meta({ examples: [{ name: 'Work phone' }, { remove: 'yes' }] })

/** For the form that replaces recovery codes. */
export const newCodesForm = z
  .object({ factor: z.string().meta({ description: 'Of those that are replaced; `none` where there are none.' }) })
  .meta({ examples: [{ factor: 'fac_kAWJakA4hC_xciRQrw5ywg' }] })

/** For `GET /login`. */
export const loginQuery = loginParams.pick({ return_to: true })

/** For `PUT /users/me/password`, as a form or as JSON. */
export const passwordChangeParams = z
  .object({
    current_password: z
      .string()
      .min(1)
      .meta({ examples: ['correct horse battery staple'] }),
    new_password: z
      .string()
      .min(1)
      .meta({
        description: `At least ${minSolePassword} characters, or as many as the server is told, and ${minPassword} where the user has a second factor; at most ${maxPassword}; of any kind, none of the commonest passwords or of those that the server knows from data breaches, and not the name of the user or of the service.`,
        examples: ['seven lamps over the harbour'],
      }),
  })
  .meta({
    examples: [{ current_password: 'correct horse battery staple', new_password: 'seven lamps over the harbour' }],
  })

/** For `POST /users/me/factors`, as a form or as JSON. */
export const newFactorParams = z
  .object({
    kind: z.enum(factorKinds),
    name: z
      .string()
      .optional()
      .meta({ description: 'What its user calls it: one line, cut after 64 characters.', examples: ["Alice's phone"] }),
  })
  .meta({ examples: [{ kind: 'totp', name: "Alice's phone" }] })

/** For `PATCH /users/me/factors/{id}`: without a name it has none. */
export const renameFactorParams = newFactorParams.pick({ name: true }).meta({ examples: [{ name: "Alice's phone" }] })

/** For `POST /users/me/factors/confirm`: the one of both that is of the kind. */
export const confirmFactorParams = z
  .object({
    enrollment: z.string().min(1),
    otp: z
      .string()
      .optional()
      .meta({ examples: ['123456'] }),
    passkey: z
      .string()
      .optional()
      .meta({ description: 'JSON text of `PublicKeyCredential.toJSON()` (WebAuthn §5.1).' }),
  })
  .meta({ examples: [{ enrollment: 'lke_AZAFiWpAOIQv8XIkUK8O', otp: '123456' }] })

export const factorPathParams = z.object({
  id: z.string().meta({ description: 'As in the list of factors.', examples: ['fac_8mJXkfY2Qn6vB1r0aTzLhA'] }),
})

/** For the form of `/profile/password`. */
export const passwordForm = passwordChangeParams.extend({ new_password_repeat: z.string().min(1) }).meta({
  examples: [
    {
      current_password: 'correct horse battery staple',
      new_password: 'seven lamps over the harbour',
      new_password_repeat: 'seven lamps over the harbour',
    },
  ],
})

/** For the form that asks for the code of a mail. */
export const mailCodeForm = z
  .object({
    code: z
      .string()
      .optional()
      .meta({ description: 'The eight digits in the mail.', examples: ['40718263'] }),
  })
  .meta({ examples: [{ code: '40718263' }] })

/** For the form of who has forgotten the password. */
export const forgotPasswordForm = z
  .object({ username: text(maxSignInName).meta({ description: 'Or the e-mail address.', examples: ['alice'] }) })
  .meta({ examples: [{ username: 'alice' }] })

/** For the form that sets a password by a link, and the one that asks for one more proof then. */
export const newPasswordForm = passwordForm
  .pick({ new_password: true, new_password_repeat: true })
  .partial()
  .extend({ ...factorParams.shape, use: loginForm.shape.use })
  .meta({
    examples: [
      { new_password: 'seven lamps over the harbour', new_password_repeat: 'seven lamps over the harbour' },
      { auth_session: 'lka_…', otp: '492039' },
    ],
  })

/** For `POST /password-reset`. */
export const passwordResetParams = z.object({
  username: z
    .string()
    .min(1)
    .meta({
      description: 'Or the e-mail address. In any case; white space around it is ignored.',
      examples: ['alice'],
    }),
})

/** For `POST /password-reset/confirm`. */
export const passwordResetConfirmParams = z.object({
  auth_session: z.string().optional().meta({
    description: 'Of the answer before: with `code` the one of `/password-reset`, with a proof that of the 403.',
  }),
  code: mailCodeForm.shape.code,
  token: z
    .string()
    .optional()
    .meta({ description: 'In the place of both: of the link in the mail, where an app opens that.' }),
  new_password: z
    .string()
    .optional()
    .meta({ description: 'With `code` or `token`.', examples: ['seven lamps over the harbour'] }),
  otp: factorParams.shape.otp,
  recovery_code: factorParams.shape.recovery_code,
  passkey: factorParams.shape.passkey,
})

/** For the link of a mail. */
export const mailLinkQuery = z.object({
  token: z
    .string()
    .optional()
    .meta({ description: 'As it was sent.', examples: ['lkm_…'] }),
})

/** For the forms of `/profile`: one session, or several. */
export const signOutForm = z
  .object({
    session: sessionPath.shape.id.optional(),
    scope: logoutQuery.shape.scope,
  })
  .meta({ examples: [{ session: 'kAWJakA4hC_xciRQrw5ywg' }, { scope: 'others' }] })

/** For `GET /profile`, as a page: from which sign-in back, and which of these devices it begins with. */
export const profileQuery = z.object({
  cursor: z.string().optional(),
  start: z.string().optional(),
})

/** JSON Schema counts characters where JavaScript counts their halves. */
function text(longest: number) {
  return z
    .string()
    .min(1)
    .refine(value => value.length <= 2 * longest && [...value].length <= longest)
    .meta({ maxLength: longest })
}
