/** The pages about the address of an account, and what the links of their mails lead to. */
import {
  changeEmail,
  requestEmailChange,
  requestVerification,
  undoEmailChange,
  verifyEmail,
} from '../../accounts/email.ts'
import { mailableAddress } from '../../accounts/email_change.ts'
import { OAuthError } from '../../error.ts'
import type { MailLink } from '../../mail/link.ts'
import type { Deps } from '../../oauth/deps.ts'
import {
  type ChangeEmailView,
  changeEmailPage,
  type EmailDoneState,
  type EmailLinkPurpose,
  emailDonePage,
  emailLinkPage,
  emailPage,
} from '../../pages/email.ts'
import { askedLanguage } from '../../pages/language.ts'
import { paths } from '../../pages/paths.ts'
import { texts } from '../../pages/texts.ts'
import { callerOf } from '../caller.ts'
import type { Context } from '../context.ts'
import { busy, crossSite, goOn, guessing, ok } from '../description.ts'
import { changeEmailForm, emailButtonForm } from '../email_params.ts'
import { changeError, emailError } from '../email_routes.ts'
import type { Endpoint, RefusedByPage } from '../endpoint.ts'
import { htmlType } from '../media_types.ts'
import { bodyParams, formOrJsonBody } from '../params.ts'
import { askForProof, type Handled, refuseAccount, type Visit, visit } from './account_visit.ts'
import { type CodeEntry, codeEntryEndpoints, waitForCode } from './code_entry.ts'
import { type MailLinkVisit, mailLinkEndpoints } from './mail_link.ts'
import { redirect, type Site, sendPage, wantsPage } from './pages.ts'
import { clearSessionCookie, readSessionCookie } from './session_cookie.ts'
import { askToSignIn } from './signed_in.ts'

const byCookie = { caller: 'cookie', cors: 'none', hasPages: true } as const
const proof = { insufficient_user_authentication: 'a new sign-in is needed' } as const

const verificationCode: CodeEntry = {
  purpose: 'email_verification',
  id: 'emailVerification',
  path: 'verifyEmailCode',
  again: 'email',
  lede: ({ language }) => texts[language].emailSent.email_verification,
}
const changeCode: CodeEntry = {
  purpose: 'email_change',
  id: 'emailChange',
  path: 'changeEmailCode',
  again: 'changeEmail',
  lede: ({ language }) => texts[language].emailSent.email_change,
}

/** None where no mails are sent. */
export function emailPageEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  if (!deps.config.hasMail) return []
  return [
    ...ownEmailEndpoints(deps, site),
    ...changeEndpoints(deps, site),
    ...codeEntryEndpoints(deps, site, verificationCode),
    ...codeEntryEndpoints(deps, site, changeCode),
    ...linkEndpoints(deps, site),
  ]
}

function ownEmailEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  return [
    {
      ...byCookie,
      id: 'emailPage',
      method: 'get',
      path: paths.email,
      handle: ctx => visit(deps, site, ctx, async given => sendPage(ctx, emailPageOf(given))),
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: 'The page of the address: whether it is verified',
        answers: { ...ok('The page.', { [htmlType]: htmlPage }), ...goOn },
      }),
    },
    {
      ...byCookie,
      id: 'requestVerificationByForm',
      method: 'post',
      path: paths.verifyEmail,
      handle: ctx => visit(deps, site, ctx, askForVerification, 'form'),
      describe: () => ({
        tag: 'Browser',
        summary: 'The form that asks for a mail to verify it',
        answers: goOn,
        errors: { ...crossSite, ...guessing, ...busy },
      }),
    },
  ]
}

async function askForVerification(given: Visit): Promise<Handled> {
  const { deps, site, ctx, signedIn } = given
  try {
    const asked = await requestVerification(deps, signedIn.user, askedBy(ctx), callerOf(ctx))
    if (asked.kind !== 'waiting') return redirect(ctx, site.paths.email)
    return waitForCode(deps, site, ctx, verificationCode, asked)
  } catch (error) {
    if (!isTooMany(error)) throw error
    return { failure: error, page: wantsPage(ctx) ? emailPageOf(given, error) : undefined }
  }
}

function emailPageOf({ site, ctx, signedIn: { user } }: Visit, refusal?: OAuthError): string {
  const { username, email, emailVerifiedAt } = user
  const isMailable = mailableAddress(user) !== undefined
  const problem = refusal && ('try_later' as const)
  const view = { username, email, isVerified: emailVerifiedAt !== undefined, isMailable, problem }
  return emailPage({ ...view, retryAfter: refusal?.retryAfter }, site.frame(ctx))
}

function changeEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  const shared = { ...byCookie, path: paths.changeEmail } as const
  return [
    {
      ...shared,
      id: 'changeEmailPage',
      method: 'get',
      handle: ctx =>
        visit(deps, site, ctx, async given => {
          // Asked now, and not when an address has been typed.
          if (await askForProof(given, site.paths.changeEmail)) return
          sendPage(ctx, changePageOf(given, {}))
        }),
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: 'The page to change the address',
        answers: { ...ok('The page.', { [htmlType]: htmlPage }), ...goOn },
        errors: proof,
      }),
    },
    {
      ...shared,
      id: 'requestEmailChangeByForm',
      method: 'post',
      body: formOrJsonBody,
      handle: ctx => visit(deps, site, ctx, askForChange, 'form'),
      describe: () => ({
        tag: 'Browser',
        summary: 'The form that asks for a mail to the new address',
        description: 'The answer is the same for an address that somebody else has.',
        body: changeEmailForm,
        answers: goOn,
        errors: { ...crossSite, ...guessing, ...busy, ...proof, invalid_request: 'email is not one e-mail address' },
      }),
    },
  ]
}

async function askForChange(given: Visit): Promise<Handled> {
  const { deps, site, ctx, signedIn } = given
  const { email } = bodyParams(ctx).params
  const refuse = (failure: OAuthError, problem: ChangeEmailView['problem']): RefusedByPage => ({
    failure,
    page: wantsPage(ctx)
      ? changePageOf(given, { email: email?.slice(0, 512).toWellFormed(), problem, retryAfter: failure.retryAfter })
      : undefined,
  })
  if (email === undefined) return refuse(new OAuthError('invalid_request', 'email is missing'), 'missing')
  try {
    const asked = await requestEmailChange(deps, signedIn, email, askedBy(ctx), callerOf(ctx))
    switch (asked.kind) {
      case 'waiting':
        return waitForCode(deps, site, ctx, changeCode, asked)
      case 'invalid':
      case 'same':
      case 'too_many':
        return refuse(changeError(asked), asked.kind)
      default:
        return refuseAccount(given, asked, site.paths.changeEmail)
    }
  } catch (error) {
    if (!isTooMany(error)) throw error
    return refuse(error, 'try_later')
  }
}

function changePageOf({ site, ctx, signedIn }: Visit, view: Partial<ChangeEmailView>): string {
  return changeEmailPage({ username: signedIn.user.username, ...view }, site.frame(ctx))
}

const askedBy = (ctx: Context) => ({ clientId: undefined, language: askedLanguage(ctx.headers['accept-language']) })

const isTooMany = (error: unknown): error is OAuthError =>
  error instanceof OAuthError && error.code === 'too_many_attempts'

/** What a link has come to, and the pages that say so. */
type Outcome = 'done' | 'already' | 'over' | 'taken'
const states = {
  email_verification: { done: 'verified', already: 'already_verified' },
  email_change: { done: 'changed', already: 'already_changed' },
  email_change_notice: { done: 'restored', already: 'already_restored' },
} as const satisfies Record<EmailLinkPurpose, Record<'done' | 'already', EmailDoneState>>

function linkEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  const ask = (purpose: EmailLinkPurpose, ctx: Context, { address = '' }: MailLink, username?: string) => {
    sendPage(ctx, emailLinkPage({ purpose, address, ...(username !== undefined && { username }) }, site.frame(ctx)))
    return undefined
  }
  const answer = (purpose: EmailLinkPurpose, { ctx, over }: MailLinkVisit, outcome: Outcome) => {
    if (outcome === 'over') return over()
    const page = (state: EmailDoneState) => emailDonePage(state, site.frame(ctx))
    if (outcome === 'taken') return { failure: emailError('taken'), page: wantsPage(ctx) ? page('taken') : undefined }
    sendPage(ctx, page(states[purpose][outcome]))
    return undefined
  }
  const pages = (purpose: EmailLinkPurpose, summary: string) =>
    ({ purpose, summary, form: emailButtonForm, errors: { email_taken: 'the address is taken' } }) as const
  return [
    ...mailLinkEndpoints(deps, site, {
      ...pages('email_verification', 'an address is verified'),
      id: 'verifyEmail',
      show: async ({ ctx, link }) => ask('email_verification', ctx, link),
      act: async one => answer('email_verification', one, await verifyEmail(deps, one.link, callerOf(one.ctx))),
    }),
    ...mailLinkEndpoints(deps, site, {
      ...pages('email_change', 'an account gets another address'),
      errors: { email_taken: 'the address is taken', login_required: 'sign in first' },
      id: 'changeEmail',
      async show({ ctx, link, over }) {
        // A new address that was mistyped is a stranger's.
        const signedIn = await readSessionCookie(deps, ctx)
        if (signedIn === undefined) return askToSignIn(ctx, site)
        return signedIn.user.id === link.userId ? ask('email_change', ctx, link, signedIn.user.username) : over()
      },
      async act(one) {
        const signedIn = await readSessionCookie(deps, one.ctx)
        if (signedIn === undefined) return askToSignIn(one.ctx, site)
        const outcome = await changeEmail(deps, signedIn, one.link, callerOf(one.ctx))
        if (outcome.kind === 'session_over') return askToSignIn(one.ctx, site)
        return answer('email_change', one, outcome.kind === 'proof_needed' ? 'over' : outcome.kind)
      },
    }),
    ...mailLinkEndpoints(deps, site, {
      ...pages('email_change_notice', 'a change of the address is taken back'),
      id: 'undoEmailChange',
      show: async ({ ctx, link }) => ask('email_change_notice', ctx, link),
      async act(one) {
        const outcome = await undoEmailChange(deps, one.link, callerOf(one.ctx))
        if (outcome === 'done') clearSessionCookie(deps, one.ctx)
        return answer('email_change_notice', one, outcome)
      },
    }),
  ]
}
