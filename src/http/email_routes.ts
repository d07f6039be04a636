/** What signed-in users do with their address, by bearer token: prove it, and change it. */
import { changeEmail, hasChanged, requestEmailChange, requestVerification, verifyEmail } from '../accounts/email.ts'
import type { EmailChanged } from '../accounts/email_change.ts'
import { linkOfCode } from '../accounts/mail_proof.ts'
import { OAuthError } from '../error.ts'
import type { LinkPurpose } from '../mail/link.ts'
import type { Deps } from '../oauth/deps.ts'
import { readParams } from '../oauth/request_params.ts'
import { askedLanguage } from '../pages/language.ts'
import type { User } from '../users/user.ts'
import { authenticateUser } from './bearer.ts'
import { callerOf } from './caller.ts'
import type { Context } from './context.ts'
import { type Errors, guessing, ok } from './description.ts'
import { emailConfirmParams, emailParams } from './email_params.ts'
import type { Endpoint } from './endpoint.ts'
import { sendJson } from './json.ts'
import { jsonType } from './media_types.ts'
import { accountError, describeMe } from './own_account.ts'
import { bodyParams, formOrJsonBody } from './params.ts'

const shared = { method: 'post', caller: 'user', cors: 'app' } as const
const waits =
  'The mail has a code of eight digits, for the endpoint below with this `auth_session`, and a link to a page that does the same. Both are good for 24 hours; five wrong codes end it.'
const ofCode: Errors = {
  ...guessing,
  invalid_request: 'code is missing',
  invalid_grant: 'the code is wrong',
  invalid_session: 'the auth_session is expired, used or not valid; start again',
  email_taken: 'the address is taken',
}

/** None where no mails are sent. */
export function emailEndpoints(deps: Deps): readonly Endpoint[] {
  return deps.config.hasMail ? [...verificationEndpoints(deps), ...changeEndpoints(deps)] : []
}

function verificationEndpoints(deps: Deps): readonly Endpoint[] {
  return [
    {
      ...shared,
      id: 'requestEmailVerification',
      path: '/users/me/email/verification',
      async handle(ctx) {
        const { user, client } = await authenticateUser(deps, ctx)
        const asked = await requestVerification(deps, user, askedBy(ctx, client.id), callerOf(ctx))
        if (asked.kind !== 'waiting') throw new OAuthError('invalid_request', unverifiable[asked.kind])
        sendJson(ctx, { auth_session: asked.challenge, expires_in: asked.expiresIn })
      },
      describe: ({ mailChallengeResponse }) => ({
        tag: 'User',
        summary: 'Ask for a mail that proves the address',
        description: waits,
        answers: ok('A mail goes out.', { [jsonType]: mailChallengeResponse }),
        errors: { ...guessing, invalid_request: unverifiable.verified },
      }),
    },
    {
      ...shared,
      id: 'confirmEmailVerification',
      path: '/users/me/email/verification/confirm',
      body: formOrJsonBody,
      async handle(ctx) {
        const signedIn = await authenticateUser(deps, ctx)
        const link = await linkOf(deps, ctx, 'email_verification', signedIn)
        const outcome = await verifyEmail(deps, link, callerOf(ctx))
        if (outcome === 'over' || outcome === 'taken') throw emailError(outcome)
        sendJson(ctx, describeMe((await deps.storage.findUser(signedIn.user.id)) ?? signedIn.user))
      },
      describe: ({ userResponse }) => ({
        tag: 'User',
        summary: 'Prove the address by the code of the mail',
        body: emailConfirmParams,
        answers: ok('It is verified.', { [jsonType]: userResponse }),
        errors: ofCode,
      }),
    },
  ]
}

function changeEndpoints(deps: Deps): readonly Endpoint[] {
  return [
    {
      ...shared,
      id: 'requestEmailChange',
      path: '/users/me/email',
      body: formOrJsonBody,
      async handle(ctx) {
        const signedIn = await authenticateUser(deps, ctx)
        const { email } = readParams(emailParams, bodyParams(ctx).params)
        const by = askedBy(ctx, signedIn.client.id)
        const asked = await requestEmailChange(deps, signedIn, email, by, callerOf(ctx))
        if (asked.kind !== 'waiting') throw changeError(asked)
        sendJson(ctx, { auth_session: asked.challenge, expires_in: asked.expiresIn })
      },
      describe: ({ mailChallengeResponse }) => ({
        tag: 'User',
        summary: 'Ask for another address: a mail to it proves it',
        description: `Needs a sign-in of the last ten minutes, with a second factor if there is one. The address stays until the new one is proved, and the answer is the same for one that somebody else has. ${waits}`,
        body: emailParams,
        answers: ok('A mail goes out.', { [jsonType]: mailChallengeResponse }),
        errors: {
          ...guessing,
          invalid_request: 'email is not one e-mail address',
          insufficient_user_authentication: 'a new sign-in is needed',
        },
      }),
    },
    {
      ...shared,
      id: 'confirmEmailChange',
      path: '/users/me/email/confirm',
      body: formOrJsonBody,
      async handle(ctx) {
        const signedIn = await authenticateUser(deps, ctx)
        const { auth_session: challenge } = readParams(emailConfirmParams, bodyParams(ctx).params)
        if (hasChanged(deps, signedIn.user, challenge)) return sendJson(ctx, describeMe(signedIn.user))
        const link = await linkOf(deps, ctx, 'email_change', signedIn)
        const outcome = await changeEmail(deps, signedIn, link, callerOf(ctx))
        if (!('user' in outcome)) throw changeError(outcome)
        sendJson(ctx, describeMe(outcome.user))
      },
      describe: ({ userResponse }) => ({
        tag: 'User',
        summary: 'Change the address by the code of the mail to it',
        description:
          'The address is verified then. A mail to the one before has a link that takes the change back, for seven days.',
        body: emailConfirmParams,
        answers: ok('It is changed.', { [jsonType]: userResponse }),
        errors: ofCode,
      }),
    },
  ]
}

const unverifiable = {
  no_address: 'there is no address that a mail could go to',
  verified: 'the address is verified already',
} as const

const askedBy = (ctx: Context, clientId: string) => ({
  clientId,
  language: askedLanguage(ctx.headers['accept-language']),
})

type SignedIn = Awaited<ReturnType<typeof authenticateUser>>

/** What was in the mail, of a challenge of the same user. */
async function linkOf(deps: Deps, ctx: Context, purpose: LinkPurpose, { user, client }: SignedIn) {
  const { auth_session: challenge, code } = readParams(emailConfirmParams, bodyParams(ctx).params)
  const link = await linkOfCode(deps, purpose, { challenge, code, clientId: client.id })
  if (link.userId !== user.id) throw emailError('over')
  return link
}

/** How the end of a change is refused to a program. */
export function emailError(kind: 'over' | 'taken'): OAuthError {
  if (kind === 'taken') return new OAuthError('email_taken', 'the address is taken')
  return new OAuthError('invalid_session', 'the auth_session is expired, used or not valid; start again', {
    cause: 'overtaken',
  })
}

type ChangeRefusal =
  | Exclude<EmailChanged, { user: User }>
  | Exclude<Awaited<ReturnType<typeof requestEmailChange>>, { kind: 'waiting' }>

export function changeError(refusal: ChangeRefusal): OAuthError {
  switch (refusal.kind) {
    case 'over':
    case 'taken':
      return emailError(refusal.kind)
    case 'invalid':
      return new OAuthError('invalid_request', `email ${refusal.problem}`)
    case 'same':
      return new OAuthError('invalid_request', 'email is the address that you have')
    case 'too_many':
      return new OAuthError('too_many_attempts', 'the address was changed too often', {
        retryAfter: refusal.retryAfter,
      })
    default:
      return accountError(refusal)
  }
}
