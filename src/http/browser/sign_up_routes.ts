/**
 * Sign-up with pages: the address, the code of the mail or its link, and then what one signs in with. The link of an invitation leads to a
 * page like that, whether people may sign up by themselves or not.
 */
import { type AccountProblems, accountError, maySignUp, requestSignUp, signUp } from '../../accounts/sign_up.ts'
import type { Params } from '../../clients/client.ts'
import { OAuthError } from '../../error.ts'
import type { Deps } from '../../oauth/deps.ts'
import { mailPath, paths } from '../../pages/paths.ts'
import {
  haveAccountPage,
  type NewAccountView,
  newAccountPage,
  type SignUpView,
  signUpPage,
} from '../../pages/sign_up.ts'
import { texts } from '../../pages/texts.ts'
import { FactorsOwed } from '../../sessions/factors_owed.ts'
import { maxEmail, maxUsername } from '../../text.ts'
import { maxPassword, minPasswordOf } from '../../users/password_rules.ts'
import type { User } from '../../users/user.ts'
import { callerOf } from '../caller.ts'
import type { Context } from '../context.ts'
import { busy, crossSite, goOn, guessing, ok } from '../description.ts'
import type { Endpoint, RefusedByPage } from '../endpoint.ts'
import { htmlType } from '../media_types.ts'
import { bodyParams, formOrJsonBody } from '../params.ts'
import { newAccountForm, signUpForm } from '../sign_up_schemas.ts'
import { type CodeEntry, codeEntryEndpoints, waitForCode } from './code_entry.ts'
import { askForFactor } from './factor_steps.ts'
import { type MailLinkVisit, mailLinkEndpoints } from './mail_link.ts'
import { redirect, type Site, sendPage, wantsPage } from './pages.ts'
import { insistOnSameSite } from './same_site.ts'
import { beginByCookie, sendSignedIn, signInClient } from './sign_in.ts'

const codeEntry: CodeEntry = {
  purpose: 'sign_up',
  id: 'signUp',
  path: 'signUpCode',
  again: 'signUp',
  lede: ({ language }) => texts[language].signUpPage.sent,
}

export function signUpPageEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  const { signUp, hasMail } = deps.config
  return [
    ...(signUp ? requestEndpoints(deps, site) : []),
    // The link of a mail that an app has asked for leads here too.
    ...(hasMail ? newAccountEndpoints(deps, site, 'sign_up') : []),
    ...newAccountEndpoints(deps, site, 'invitation'),
  ]
}

function requestEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  const shared = { path: paths.signUp, caller: 'open', cors: 'none', hasPages: true } as const
  return [
    {
      ...shared,
      id: 'signUpPage',
      method: 'get',
      handle: ctx => sendPage(ctx, signUpPage({}, site.frame(ctx))),
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: 'The page to sign up',
        answers: ok('The page.', { [htmlType]: htmlPage }),
      }),
    },
    {
      ...shared,
      id: 'signUpByForm',
      method: 'post',
      body: formOrJsonBody,
      handle: ctx => askForMail(deps, site, ctx),
      describe: () => ({
        tag: 'Browser',
        summary: 'The form of that page: asks for a mail',
        description: 'The answer is the same for every address.',
        body: signUpForm,
        answers: goOn,
        errors: { ...crossSite, ...guessing, ...busy, invalid_request: 'email is not one e-mail address' },
      }),
    },
    {
      ...shared,
      // What people are told, and where apps ask.
      path: '/sign-up',
      cors: 'app',
      id: 'signUpPlace',
      method: 'get',
      handle: ctx => redirect(ctx, site.paths.signUp),
      describe: () => ({ tag: 'Browser', summary: 'Leads to the page to sign up', answers: goOn }),
    },
    ...codeEntryEndpoints(deps, site, codeEntry),
  ]
}

async function askForMail(deps: Deps, site: Site, ctx: Context): Promise<RefusedByPage | undefined> {
  insistOnSameSite(ctx, deps.config.issuer)
  const { email = '' } = bodyParams(ctx).params
  const frame = site.frame(ctx)
  const refuse = (failure: OAuthError, view: SignUpView): RefusedByPage => ({
    failure,
    page: wantsPage(ctx) ? signUpPage({ email: typed(email, maxEmail), ...view }, frame) : undefined,
  })
  try {
    const asked = { email, clientId: undefined, language: frame.language }
    waitForCode(deps, site, ctx, codeEntry, await requestSignUp(deps, asked, callerOf(ctx)))
    return undefined
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    if (error.code === 'invalid_request') return refuse(error, { problem: emailProblem(email) })
    if (error.code !== 'too_many_attempts') throw error
    return refuse(error, { problem: 'try_later', retryAfter: error.retryAfter })
  }
}

function emailProblem(email: string): SignUpView['problem'] {
  if (email.trim() === '') return 'missing'
  return email.length > maxEmail ? 'too_long' : 'malformed'
}

/** What comes back into a field. */
const typed = (text: string | undefined, max: number) => text?.slice(0, 2 * max).toWellFormed()

/** What a link of a mail leads to. */
function newAccountEndpoints(deps: Deps, site: Site, purpose: 'sign_up' | 'invitation'): readonly Endpoint[] {
  return mailLinkEndpoints(deps, site, {
    purpose,
    id: purpose === 'invitation' ? 'invitation' : 'newAccount',
    summary: purpose === 'invitation' ? 'the account of who is invited' : 'the account of who signs up',
    form: newAccountForm,
    errors: {
      ...guessing,
      username_taken: 'the username is taken',
      insufficient_authorization: 'one more proof of who this is is needed',
    },
    show: visit => showForm(deps, site, visit),
    act: (visit, params) => makeAccount({ deps, site, visit }, params),
    used: ctx => haveAccountPage(site.frame(ctx)),
    next: ctx => nextStep(deps, site, ctx),
  })
}

/** Another mail, where people may sign up. */
function nextStep({ config }: Deps, site: Site, ctx: Context) {
  const words = texts[site.frame(ctx).language]
  return config.signUp
    ? { path: site.paths.signUp, label: words.signUpPage.title }
    : { path: site.paths.signIn, label: words.signIn }
}

async function showForm(deps: Deps, site: Site, visit: MailLinkVisit): Promise<RefusedByPage | undefined> {
  const { ctx, link } = visit
  if (!(await maySignUp(deps, link))) return visit.over()
  const isKnown = (await deps.storage.findUserOfAddress(link.address ?? '')) !== undefined
  // What an operator offers, where it is an invitation.
  const { username, full_name: fullName } = link.about ?? {}
  sendPage(ctx, isKnown ? haveAccountPage(site.frame(ctx)) : formPage({ deps, site, visit }, { username, fullName }))
  return undefined
}

type SigningUp = Readonly<{ deps: Deps; site: Site; visit: MailLinkVisit }>

async function makeAccount(
  signingUp: SigningUp,
  { username, full_name: fullName, password }: Params,
): Promise<RefusedByPage | undefined> {
  const { deps, site, visit } = signingUp
  const { ctx, link } = visit
  if (!(await maySignUp(deps, link))) return visit.over()
  const again = { username: typed(username, maxUsername), fullName: typed(fullName, maxUsername) }
  const refuse = (failure: OAuthError, state: FormState): RefusedByPage => ({
    failure,
    page: wantsPage(ctx) ? formPage(signingUp, { ...again, ...state }) : undefined,
  })
  try {
    const { language } = site.frame(ctx)
    const outcome = await signUp(deps, link, { username, password, fullName, language }, callerOf(ctx))
    switch (outcome.kind) {
      case 'over':
        return visit.over()
      case 'refused':
        return refuse(accountError(outcome.problems), { problems: problemsOf(outcome.problems) })
      case 'have_account':
        visit.finish()
        sendPage(ctx, haveAccountPage(site.frame(ctx)))
        return undefined
      case 'done':
        visit.finish()
        return await signInAtOnce(signingUp, outcome.user)
    }
  } catch (error) {
    if (!(error instanceof OAuthError) || error.code !== 'too_many_attempts') throw error
    return refuse(error, { problems: { form: 'try_later' }, retryAfter: error.retryAfter })
  }
}

/** By the door of every sign-in: where a second factor is demanded, it is set up now. */
async function signInAtOnce({ deps, site, visit: { ctx } }: SigningUp, user: User): Promise<undefined> {
  const signIn = { deps, site, ctx, returnTo: undefined }
  try {
    await beginByCookie(signIn, await signInClient(deps), { user, amr: ['pwd'], at: deps.now() })
  } catch (error) {
    if (!(error instanceof FactorsOwed)) throw error
    return askForFactor(signIn, error)
  }
  sendSignedIn(signIn)
}

type FormState = Pick<NewAccountView, 'username' | 'fullName' | 'problems' | 'retryAfter'>

function formPage({ deps, site, visit: { ctx, link } }: SigningUp, state: FormState): string {
  const shortest = minPasswordOf(deps.config, [])
  const view = { address: link.address ?? '', shortest, longest: maxPassword, longestName: maxUsername, ...state }
  return newAccountPage({ action: mailPath(site.paths, link.purpose), ...view }, site.frame(ctx))
}

function problemsOf({ username, fullName, password }: AccountProblems): NewAccountView['problems'] {
  return { username: username?.problem, fullName: fullName !== undefined, password: password?.problem }
}
