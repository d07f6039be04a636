/** A forgotten password in apps: a mail is asked for, and its code, or the token of its link, sets another one. */
import { linkOfCode, readLink } from '../accounts/mail_proof.ts'
import { requestPasswordReset } from '../accounts/password_reset.ts'
import { type Client, isFirstParty, type Params } from '../clients/client.ts'
import { OAuthError } from '../error.ts'
import type { MailLink } from '../mail/link.ts'
import type { Deps } from '../oauth/deps.ts'
import { nextProofMembers } from '../oauth/next_proof.ts'
import { goOnResetting, proveReset, type ResetStep, resetByLink } from '../oauth/password_reset.ts'
import { readParams } from '../oauth/request_params.ts'
import { askedLanguage } from '../pages/language.ts'
import { givenProof } from '../users/factors/prove.ts'
import { minPassword, minSolePassword, passwordProblem } from '../users/password_rules.ts'
import { callerOf } from './caller.ts'
import type { Context } from './context.ts'
import { guessing, ok } from './description.ts'
import type { Endpoint } from './endpoint.ts'
import { sendJson } from './json.ts'
import { jsonType } from './media_types.ts'
import { authenticate, insistOnNoAccessToken } from './oauth_routes.ts'
import { formBody, formParams } from './params.ts'
import { passwordResetConfirmParams, passwordResetParams } from './request_params.ts'

const shared = { method: 'post', caller: 'client', cors: 'app', body: formBody } as const

/** None where no mails are sent. */
export function passwordResetEndpoints(deps: Deps): readonly Endpoint[] {
  if (!deps.config.hasMail) return []
  return [
    {
      ...shared,
      id: 'requestPasswordReset',
      path: '/password-reset',
      async handle(ctx) {
        const { client, params } = await readRequest(deps, ctx)
        const { username: name } = readParams(passwordResetParams, params)
        const language = askedLanguage(ctx.headers['accept-language'])
        const { challenge, expiresIn } = await requestPasswordReset(
          deps,
          { name, clientId: client.id, language },
          callerOf(ctx),
        )
        sendJson(ctx, { auth_session: challenge, expires_in: expiresIn })
      },
      describe: ({ passwordResetForm, mailChallengeResponse }) => ({
        tag: 'Tokens',
        summary: 'Ask for a mail to who has forgotten the password',
        description:
          'For your own apps. The answer is the same whether there is such a user. The mail has a code of eight digits, for `/password-reset/confirm` with this `auth_session`, and a link to a page that does the same.',
        body: passwordResetForm,
        answers: ok('A mail goes out, if there is such a user and an address.', { [jsonType]: mailChallengeResponse }),
        errors: { ...guessing, invalid_request: 'username is missing', unauthorized_client: notFirstParty },
      }),
    },
    {
      ...shared,
      id: 'confirmPasswordReset',
      path: '/password-reset/confirm',
      async handle(ctx) {
        const { client, params } = await readRequest(deps, ctx)
        const step = await confirm(deps, ctx, client, params)
        if (step.kind !== 'done') throw resetRefusal(deps, step)
        sendJson(ctx, {})
      },
      describe: ({ passwordResetConfirmForm, emptyResponse }) => ({
        tag: 'Tokens',
        summary: 'Set another password by the code of the mail, or by the token of its link',
        description:
          'Ends all sessions of the user and signs nobody in. Where the user has a second factor the answer is `403 insufficient_authorization` with an `auth_session` of five minutes: send that here with one of `factors`; the password need not be sent again. Five wrong codes end it.',
        body: passwordResetConfirmForm,
        answers: ok('The password is set.', { [jsonType]: emptyResponse }),
        errors: {
          ...guessing,
          invalid_request: `the password must have at least ${minSolePassword} characters`,
          invalid_grant: 'the code is wrong',
          invalid_session: 'the auth_session is expired, used or not valid; start again',
          insufficient_authorization: 'one more proof of who this is is needed',
          unauthorized_client: notFirstParty,
        },
      }),
    },
  ]
}

const notFirstParty = 'the client is not registered as an app of who runs this server'

async function readRequest(deps: Deps, ctx: Context): Promise<Readonly<{ client: Client; params: Params }>> {
  const { params } = formParams(ctx)
  insistOnNoAccessToken(ctx)
  const client = await authenticate(deps, ctx, params)
  // No other app should ask anybody for a password.
  if (!isFirstParty(client)) throw new OAuthError('unauthorized_client', notFirstParty)
  return { client, params }
}

async function confirm(deps: Deps, ctx: Context, client: Client, params: Params): Promise<ResetStep> {
  const given = readParams(passwordResetConfirmParams, params)
  const { auth_session: authSession, code, token, new_password: newPassword } = given
  const caller = callerOf(ctx)
  const proof = givenProof(given)
  if (authSession !== undefined && code === undefined && token === undefined && newPassword === undefined) {
    const owed = await goOnResetting(deps, client.id, authSession)
    return proof === undefined ? owed : proveReset(deps, client.id, owed, proof, caller)
  }
  if (newPassword === undefined) throw new OAuthError('invalid_request', 'new_password is missing')
  // As far as it can be told without a look at whose it is: no try is taken for that.
  const settings = { ...deps.config, minSolePassword: Math.min(minPassword, deps.config.minSolePassword) }
  const problem = await passwordProblem(settings, deps.passwords, newPassword, { username: '', factors: [] })
  if (problem !== undefined) throw new OAuthError('invalid_request', problem.text)
  const link = await linkOf(deps, client, { authSession, code, token })
  return resetByLink(deps, client.id, link, { newPassword, proof }, caller)
}

type GivenMail = Readonly<Partial<Record<'authSession' | 'code' | 'token', string | undefined>>>

/** What was in the mail. */
async function linkOf(deps: Deps, client: Client, { authSession, code, token }: GivenMail): Promise<MailLink> {
  if (token !== undefined) {
    if (authSession !== undefined || code !== undefined)
      throw new OAuthError('invalid_request', 'token is for itself, without auth_session and code')
    const read = await readLink(deps, 'password_reset', token)
    if (read.kind !== 'good') throw new OAuthError('invalid_grant', linkOver, { cause: read.kind })
    return read.link
  }
  if (authSession === undefined || code === undefined)
    throw new OAuthError('invalid_request', `${authSession === undefined ? 'auth_session' : 'code'} is missing`)
  return linkOfCode(deps, 'password_reset', { challenge: authSession, code, clientId: client.id })
}

const linkOver = 'what was in the mail has been used or is too old, or something has changed since it was sent'

/** How a reset that has not come to its end is refused. */
export function resetRefusal(deps: Deps, step: Exclude<ResetStep, Readonly<{ kind: 'done' }>>): OAuthError {
  switch (step.kind) {
    case 'over':
      return new OAuthError('invalid_grant', linkOver)
    case 'refused':
      return new OAuthError('invalid_request', step.text)
    case 'owed': {
      const { failure, authSession, kinds, factors } = step
      const members = nextProofMembers(deps, authSession, kinds, factors)
      return failure === undefined
        ? new OAuthError('insufficient_authorization', 'one more proof of who this is is needed', { members })
        : new OAuthError(failure.code, failure.message, { cause: failure.cause, members })
    }
  }
}
