/** Sign-up for apps: the address first, then the code of the mail along with a username and a password. */
import { linkOfCode, readLink } from '../accounts/mail_proof.ts'
import { accountError, requestSignUp, signUp } from '../accounts/sign_up.ts'
import type { Client, Params } from '../clients/client.ts'
import { OAuthError } from '../error.ts'
import type { MailLink } from '../mail/link.ts'
import type { Deps } from '../oauth/deps.ts'
import { readParams } from '../oauth/request_params.ts'
import { askedLanguage } from '../pages/language.ts'
import { minSolePassword } from '../users/password_rules.ts'
import type { User } from '../users/user.ts'
import { callerOf } from './caller.ts'
import type { Context } from './context.ts'
import { guessing, ok } from './description.ts'
import type { Endpoint } from './endpoint.ts'
import { sendJson } from './json.ts'
import { jsonType } from './media_types.ts'
import { authenticate, insistOnNoAccessToken } from './oauth_routes.ts'
import { bodyParams, formOrJsonBody } from './params.ts'
import { signUpConfirmParams, signUpParams } from './sign_up_schemas.ts'

const shared = { method: 'post', caller: 'client', cors: 'app', body: formOrJsonBody } as const

/** None where no mail is sent: whoever signs up proves an address by one. */
export function signUpEndpoints(deps: Deps): readonly Endpoint[] {
  if (!deps.config.hasMail) return []
  return [
    {
      ...shared,
      id: 'signUp',
      path: '/sign-up',
      async handle(ctx) {
        const { client, params } = await readRequest(deps, ctx)
        const { email, locale } = readParams(signUpParams, params)
        const asked = { email, clientId: client.id, language: languageOf(ctx, locale) }
        const { challenge, expiresIn } = await requestSignUp(deps, asked, callerOf(ctx))
        sendJson(ctx, { auth_session: challenge, expires_in: expiresIn })
      },
      describe: ({ signUpForApps, mailChallengeResponse }) => ({
        tag: 'Tokens',
        summary: 'Sign up: asks for a mail that proves an address',
        description:
          'For clients that the operator lets sign people up. The answer is the same for every address; who has an account is told so by mail. Otherwise the mail has a code of eight digits, for `/sign-up/confirm` with this `auth_session`, and a link to a page that does the same.',
        body: signUpForApps,
        answers: ok('A mail goes out.', { [jsonType]: mailChallengeResponse }),
        errors: { ...guessing, invalid_request: 'email is not one e-mail address', unauthorized_client: unauthorized },
      }),
    },
    {
      ...shared,
      id: 'confirmSignUp',
      path: '/sign-up/confirm',
      async handle(ctx) {
        const { client, params } = await readRequest(deps, ctx)
        const { full_name: fullName, locale, ...given } = readParams(signUpConfirmParams, params)
        const link = await linkOf(deps, client, given)
        const chosen = { ...given, fullName, language: languageOf(ctx, locale) }
        const outcome = await signUp(deps, link, chosen, callerOf(ctx))
        switch (outcome.kind) {
          case 'done':
            ctx.status = 201
            return sendJson(ctx, describeUser(outcome.user))
          case 'refused':
            throw accountError(outcome.problems)
          case 'have_account':
            throw new OAuthError('email_taken', haveAccount)
          case 'over':
            throw new OAuthError('invalid_grant', linkOver, { cause: 'used' })
        }
      },
      describe: ({ signUpConfirmForApps, signedUpResponse }) => ({
        tag: 'Tokens',
        summary: 'Sign up: makes the account, whose address is proved by that',
        description:
          'Then sign in at `/token`. What is refused for the username or the password may be sent again with others, and the same code; five wrong codes end it.',
        body: signUpConfirmForApps,
        answers: { 201: { description: 'The account.', content: { [jsonType]: signedUpResponse } } },
        errors: {
          ...guessing,
          invalid_request: `the password must have at least ${minSolePassword} characters`,
          invalid_grant: 'the code is wrong',
          invalid_session: 'the auth_session is expired, used or not valid; start again',
          unauthorized_client: unauthorized,
          username_taken: 'the username is taken',
          email_taken: haveAccount,
        },
      }),
    },
  ]
}

const unauthorized = 'the client may not sign people up'
const haveAccount = 'the address has an account: sign in'
const linkOver = 'what was in the mail has been used or is too old'

async function readRequest(deps: Deps, ctx: Context): Promise<Readonly<{ client: Client; params: Params }>> {
  const { params } = bodyParams(ctx)
  insistOnNoAccessToken(ctx)
  const client = await authenticate(deps, ctx, params)
  if (client.signUp !== true) throw new OAuthError('unauthorized_client', unauthorized)
  return { client, params }
}

const languageOf = (ctx: Context, locale: string | undefined) => askedLanguage(locale ?? ctx.headers['accept-language'])

type GivenMail = Readonly<Partial<Record<'auth_session' | 'code' | 'token', string | undefined>>>

/** What was in the mail. A link counts in each app in which people may sign up. */
async function linkOf(
  deps: Deps,
  client: Client,
  { auth_session: challenge, code, token }: GivenMail,
): Promise<MailLink> {
  if (token !== undefined) {
    if (challenge !== undefined || code !== undefined)
      throw new OAuthError('invalid_request', 'token is for itself, without auth_session and code')
    const invitation = await readLink(deps, 'invitation', token)
    const read = invitation.kind === 'broken' ? await readLink(deps, 'sign_up', token) : invitation
    if (read.kind !== 'good') throw new OAuthError('invalid_grant', linkOver, { cause: read.kind })
    return read.link
  }
  if (challenge === undefined || code === undefined)
    throw new OAuthError('invalid_request', `${challenge === undefined ? 'auth_session' : 'code'} is missing`)
  return linkOfCode(deps, 'sign_up', { challenge, code, clientId: client.id })
}

function describeUser({ id, username, email, fullName }: User) {
  return { id, username, email, email_verified: true, full_name: fullName ?? null }
}
