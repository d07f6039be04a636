/** A forgotten password on pages: a mail is asked for, its link or code leads to the page that takes a new one. */
import { userOfLink } from '../../accounts/mail_proof.ts'
import { requestPasswordReset } from '../../accounts/password_reset.ts'
import type { Params } from '../../clients/client.ts'
import { OAuthError } from '../../error.ts'
import type { Deps } from '../../oauth/deps.ts'
import { goOnResetting, type OwedStep, proveReset, type ResetStep, resetByLink } from '../../oauth/password_reset.ts'
import { type ForgotPasswordView, forgotPasswordPage } from '../../pages/forgot_password.ts'
import { askedLanguage } from '../../pages/language.ts'
import { type NewPasswordView, newPasswordPage, passwordSetPage } from '../../pages/new_password.ts'
import { paths } from '../../pages/paths.ts'
import { texts } from '../../pages/texts.ts'
import { maxSignInName } from '../../text.ts'
import { givenProof } from '../../users/factors/prove.ts'
import { maxPassword, minPasswordOf } from '../../users/password_rules.ts'
import type { User } from '../../users/user.ts'
import { callerOf } from '../caller.ts'
import type { Context } from '../context.ts'
import { busy, crossSite, goOn, guessing, ok } from '../description.ts'
import type { Endpoint, RefusedByPage } from '../endpoint.ts'
import { htmlType } from '../media_types.ts'
import { bodyParams, formOrJsonBody } from '../params.ts'
import { resetRefusal } from '../password_reset_routes.ts'
import { forgotPasswordForm, newPasswordForm } from '../request_params.ts'
import { type AskedPage, askPage, choicesOf } from './ask_factor.ts'
import { type CodeEntry, codeEntryEndpoints, waitForCode } from './code_entry.ts'
import { askedBy } from './factor_steps.ts'
import { type MailLinkVisit, mailLinkEndpoints } from './mail_link.ts'
import { redirect, type Site, sendPage, wantsPage } from './pages.ts'
import { insistOnSameSite } from './same_site.ts'

const purpose = 'password_reset'

const codeEntry: CodeEntry = {
  purpose,
  id: 'passwordReset',
  path: 'forgotPasswordCode',
  again: 'forgotPassword',
  lede: ({ language }) => texts[language].forgotPasswordPage.sent,
}

/** Where no mails are sent nobody can ask for one; links of operators work all the same. */
export function forgotPasswordEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  return [
    ...(deps.config.hasMail ? requestEndpoints(deps, site) : []),
    ...mailLinkEndpoints(deps, site, {
      purpose,
      id: 'passwordReset',
      summary: 'another password, for who has forgotten theirs',
      form: newPasswordForm,
      errors: {
        ...guessing,
        invalid_request: 'the password must have at least 15 characters',
        insufficient_authorization: 'one more proof of who this is is needed',
        invalid_grant: 'the code or passkey is wrong, or has been used',
        invalid_session: 'the auth_session is expired, used or not valid; start again',
      },
      show: visit => showForm(deps, site, visit),
      act: (visit, params) => setNewPassword({ deps, site, visit }, params),
      next: ctx => nextStep(deps, site, ctx),
    }),
    {
      id: 'passwordSetPage',
      method: 'get',
      path: paths.passwordSet,
      caller: 'open',
      cors: 'none',
      hasPages: true,
      handle: ctx => sendPage(ctx, passwordSetPage(site.frame(ctx))),
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: 'The page after that',
        answers: ok('The page.', { [htmlType]: htmlPage }),
      }),
    },
  ]
}

function requestEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  const shared = { path: paths.forgotPassword, caller: 'open', cors: 'none', hasPages: true } as const
  return [
    {
      ...shared,
      id: 'forgotPasswordPage',
      method: 'get',
      handle: ctx => sendPage(ctx, forgotPasswordPage({}, site.frame(ctx))),
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: 'The page for who has forgotten the password',
        answers: ok('The page.', { [htmlType]: htmlPage }),
      }),
    },
    {
      ...shared,
      id: 'forgotPassword',
      method: 'post',
      body: formOrJsonBody,
      handle: ctx => askForMail(deps, site, ctx),
      describe: () => ({
        tag: 'Browser',
        summary: 'The form of that page: asks for a mail',
        description: 'The answer is the same whether there is such a user.',
        body: forgotPasswordForm,
        answers: goOn,
        errors: { ...crossSite, ...guessing, ...busy, invalid_request: nameNeeded },
      }),
    },
    ...codeEntryEndpoints(deps, site, codeEntry),
  ]
}

const nameNeeded = `username is missing, or has more than ${maxSignInName} characters`

async function askForMail(deps: Deps, site: Site, ctx: Context): Promise<RefusedByPage | undefined> {
  insistOnSameSite(ctx, deps.config.issuer)
  const { params } = bodyParams(ctx)
  const username = params.username?.slice(0, 2 * maxSignInName).toWellFormed()
  const refuse = (failure: OAuthError, view: ForgotPasswordView): RefusedByPage => ({
    failure,
    page: wantsPage(ctx) ? forgotPasswordPage({ username, ...view }, site.frame(ctx)) : undefined,
  })
  const read = forgotPasswordForm.safeParse(params)
  if (!read.success) {
    const problem = username === undefined ? 'missing' : 'too_long'
    return refuse(new OAuthError('invalid_request', nameNeeded), { problems: { username: problem } })
  }
  try {
    const language = askedLanguage(ctx.headers['accept-language'])
    const asked = { name: read.data.username, clientId: undefined, language }
    waitForCode(deps, site, ctx, codeEntry, await requestPasswordReset(deps, asked, callerOf(ctx)))
    return undefined
  } catch (error) {
    if (!(error instanceof OAuthError) || error.code !== 'too_many_attempts') throw error
    return refuse(error, { problems: { form: 'try_later' }, retryAfter: error.retryAfter })
  }
}

/** Another mail, where mails are sent. */
function nextStep({ config }: Deps, site: Site, ctx: Context) {
  const words = texts[site.frame(ctx).language]
  return config.hasMail
    ? { path: site.paths.forgotPassword, label: words.forgotPasswordPage.title }
    : { path: site.paths.signIn, label: words.signIn }
}

async function showForm(deps: Deps, site: Site, visit: MailLinkVisit): Promise<RefusedByPage | undefined> {
  const user = await userOfLink(deps, visit.link)
  if (user === undefined) return visit.over()
  sendPage(visit.ctx, await formPage({ deps, site, visit }, user, {}))
  return undefined
}

type Reset = Readonly<{ deps: Deps; site: Site; visit: MailLinkVisit }>

/** Takes the new password, or the proof that is owed after that. */
async function setNewPassword(reset: Reset, params: Params): Promise<RefusedByPage | undefined> {
  const { deps, visit } = reset
  const user = await userOfLink(deps, visit.link)
  if (user === undefined) return visit.over()
  const refuse = async (failure: OAuthError, view: Pick<NewPasswordView, 'problems' | 'retryAfter'>) => ({
    failure,
    page: wantsPage(visit.ctx) ? await formPage(reset, user, view) : undefined,
  })
  if (params.auth_session !== undefined) {
    try {
      return await takeProof(reset, params.auth_session, params)
    } catch (error) {
      if (!(error instanceof OAuthError) || error.code !== 'invalid_session') throw error
      return refuse(error, { problems: { form: 'over' } })
    }
  }
  const { new_password: newPassword, new_password_repeat: repeat } = params
  if (newPassword === undefined || repeat !== newPassword)
    return refuse(new OAuthError('invalid_request', 'a field is missing, or the new password was not repeated'), {
      problems: {
        newPassword: newPassword === undefined ? 'missing' : undefined,
        repeat: repeat === undefined ? 'missing' : repeat === newPassword ? undefined : 'different',
      },
    })
  try {
    const given = { newPassword, proof: undefined }
    const step = await resetByLink(deps, undefined, visit.link, given, callerOf(visit.ctx))
    if (step.kind === 'refused')
      return refuse(new OAuthError('invalid_request', step.text), { problems: { newPassword: step.problem } })
    return answerStep(reset, step, {})
  } catch (error) {
    if (!(error instanceof OAuthError) || error.code !== 'temporarily_unavailable') throw error
    return refuse(error, { problems: { form: 'try_later' }, retryAfter: error.retryAfter })
  }
}

async function takeProof(reset: Reset, text: string, params: Params): Promise<RefusedByPage | undefined> {
  const { deps, visit } = reset
  const owed = await goOnResetting(deps, undefined, text, visit.link.id)
  const proof = givenProof(params)
  const asked = proof?.param ?? askedBy(params)
  const isPage = wantsPage(visit.ctx)
  if (proof === undefined) {
    if (asked !== undefined && isPage) return answerStep(reset, owed, { asked })
    const failure = new OAuthError('invalid_request', 'a proof is missing')
    return { failure, page: isPage ? factorPage(reset, owed, { asked, problem: 'missing' }) : undefined }
  }
  try {
    const step = await proveReset(deps, undefined, owed, proof, callerOf(visit.ctx))
    return answerStep(reset, step, { asked, problem: 'wrong' })
  } catch (error) {
    if (!(error instanceof OAuthError) || error.code !== 'too_many_attempts') throw error
    const view: AskedPage = { asked, problem: 'try_later', retryAfter: error.retryAfter }
    return { failure: error, page: isPage ? factorPage(reset, owed, view) : undefined }
  }
}

function answerStep(reset: Reset, step: ResetStep, { asked, problem }: AskedPage): RefusedByPage | undefined {
  const { deps, site, visit } = reset
  switch (step.kind) {
    case 'done':
      visit.finish()
      redirect(visit.ctx, site.paths.passwordSet)
      return undefined
    case 'owed': {
      if (!wantsPage(visit.ctx)) return { failure: resetRefusal(deps, step), page: undefined }
      const page = factorPage(reset, step, { asked, problem: step.failure && problem })
      if (step.failure !== undefined) return { failure: step.failure, page }
      sendPage(visit.ctx, page)
      return undefined
    }
    default:
      return visit.over()
  }
}

function factorPage({ deps, site, visit }: Reset, step: OwedStep, view: AskedPage): string {
  const { user, factors, authSession, text } = step
  const given = { purpose, username: user.username, authSession: text, choices: choicesOf(deps, factors) } as const
  return askPage(deps, given, authSession, factors, view, site.frame(visit.ctx))
}

async function formPage(
  { deps, site, visit }: Reset,
  { id, username }: User,
  view: Pick<NewPasswordView, 'problems' | 'retryAfter'>,
): Promise<string> {
  const shortest = minPasswordOf(deps.config, await deps.storage.listFactors(id))
  return newPasswordPage({ username, shortest, longest: maxPassword, ...view }, site.frame(visit.ctx))
}
