/** The pages on which a user adds, names and removes factors. What may be done is decided in `sessions/`. */
import type { Params } from '../../clients/client.ts'
import type { OAuthError } from '../../error.ts'
import type { Deps } from '../../oauth/deps.ts'
import { addPasskeyPage, addTotpPage } from '../../pages/add_factor.ts'
import { codesPage, newCodesPage } from '../../pages/codes.ts'
import { managePage } from '../../pages/factors.ts'
import { confirmPath, factorPath, paths } from '../../pages/paths.ts'
import { beginPasskeyEnrollment, type ConfirmationRefusal, confirmEnrollment } from '../../sessions/enrollment.ts'
import { missingProof } from '../../sessions/factor_change.ts'
import { factorError } from '../../sessions/factor_error.ts'
import { maxFactorName, removeFactor, renameFactor, replaceRecoveryCodes } from '../../sessions/own_factors.ts'
import { type Factor, isSecondFactor } from '../../users/factors/factor.ts'
import { countRecoveryCodes } from '../../users/factors/recovery_codes.ts'
import { callerOf } from '../caller.ts'
import type { Context } from '../context.ts'
import { crossSite, goOn, ok, readsQuery } from '../description.ts'
import type { Endpoint, RefusedByPage } from '../endpoint.ts'
import { htmlType } from '../media_types.ts'
import { bodyParams, formOrJsonBody } from '../params.ts'
import { readQuery } from '../query.ts'
import { addFactorForm, addFactorQuery, factorForm, factorPathParams, newCodesForm } from '../request_params.ts'
import { factorView } from './factor_view.ts'
import { goToAccount, leaveNotice } from './notice.ts'
import { redirect, type Site, sendPage, wantsPage } from './pages.ts'
import { insistOnSameSite } from './same_site.ts'
import { readSessionCookie, type SignedIn } from './session_cookie.ts'
import { askToSignIn } from './signed_in.ts'
import { codeProblemOf, type EnrollmentState, totpToShow, totpView } from './totp_enrollment.ts'

/** A request of who is signed in. */
type Visit = Readonly<{ deps: Deps; site: Site; ctx: Context; signedIn: SignedIn }>
type Handled = RefusedByPage | undefined

export function factorPageEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  const shared = { caller: 'cookie', cors: 'none', hasPages: true } as const
  const visited =
    (handle: (visit: Visit, id: string) => Handled | Promise<Handled>): Endpoint['handle'] =>
    async (ctx, { id = '' }) => {
      if (ctx.method === 'POST') insistOnSameSite(ctx, deps.config.issuer)
      const signedIn = await readSessionCookie(deps, ctx)
      return signedIn === undefined ? askToSignIn(ctx, site) : handle({ deps, site, ctx, signedIn }, id)
    }
  const page: Pick<Endpoint, 'method'> = { method: 'get' }
  const form: Pick<Endpoint, 'method' | 'body'> = { method: 'post', body: formOrJsonBody }
  const tag = 'Browser'
  const refusals = {
    ...crossSite,
    insufficient_user_authentication: 'a new sign-in is needed',
    invalid_request: 'there are 10 factors already: remove one first',
    not_found: 'you have no such factor',
  } as const
  return [
    {
      ...shared,
      ...page,
      id: 'addFactorPage',
      path: paths.factors,
      handle: visited(showEnrollment),
      describe: ({ htmlPage }) => ({
        tag,
        summary: 'The page to add an authenticator app or a passkey',
        query: addFactorQuery,
        answers: { ...ok('The page.', { [htmlType]: htmlPage }), ...goOn },
        errors: { ...refusals, ...readsQuery },
      }),
    },
    {
      ...shared,
      ...form,
      id: 'addFactorByForm',
      path: paths.factors,
      handle: visited(addFactor),
      describe: ({ htmlPage }) => ({
        tag,
        summary: 'The form that adds a factor',
        body: addFactorForm,
        answers: { ...ok('The recovery codes that came with the first one.', { [htmlType]: htmlPage }), ...goOn },
        errors: { ...refusals, invalid_grant: 'the code is wrong', invalid_session: 'the enrollment is over' },
      }),
    },
    {
      ...shared,
      ...page,
      id: 'factorPage',
      path: `${paths.factors}/{id}`,
      handle: visited(showFactor),
      describe: ({ htmlPage }) => ({
        tag,
        summary: 'The page of a factor',
        pathParams: factorPathParams,
        answers: { ...ok('The page.', { [htmlType]: htmlPage }), ...goOn },
        errors: refusals,
      }),
    },
    {
      ...shared,
      ...form,
      id: 'changeFactorByForm',
      path: `${paths.factors}/{id}`,
      handle: visited(changeFactor),
      describe: () => ({
        tag,
        summary: 'The forms that name and remove a factor',
        pathParams: factorPathParams,
        body: factorForm,
        answers: goOn,
        errors: refusals,
      }),
    },
    {
      ...shared,
      ...page,
      id: 'recoveryCodesPage',
      path: paths.recoveryCodes,
      handle: visited(askForNewCodes),
      describe: ({ htmlPage }) => ({
        tag,
        summary: 'The page that asks whether recovery codes are to be replaced',
        answers: { ...ok('The page.', { [htmlType]: htmlPage }), ...goOn },
        errors: refusals,
      }),
    },
    {
      ...shared,
      ...form,
      id: 'newRecoveryCodesByForm',
      path: paths.recoveryCodes,
      handle: visited(makeNewCodes),
      describe: ({ htmlPage }) => ({
        tag,
        summary: 'The form that replaces recovery codes',
        body: newCodesForm,
        answers: { ...ok('The codes.', { [htmlType]: htmlPage }), ...goOn },
        errors: refusals,
      }),
    },
  ]
}

async function showEnrollment(visit: Visit): Promise<Handled> {
  const { kind } = readQuery(visit.ctx)
  // As by Reload of the page that answered the form.
  if (kind !== 'totp' && kind !== 'passkey') {
    redirect(visit.ctx, visit.site.paths.account)
    return undefined
  }
  const path = `${visit.site.paths.factors}?kind=${kind}`
  const page = await enrollmentPage(visit, kind, {})
  if (typeof page !== 'string') return refuse(visit, page, path)
  sendPage(visit.ctx, page)
  return undefined
}

type PageState = EnrollmentState & Readonly<{ enrollment?: string; hasProblem?: boolean }>

/** @returns the page, or why there is none */
async function enrollmentPage(
  { deps, site, ctx, signedIn }: Visit,
  kind: string,
  { enrollment, hasProblem, ...state }: PageState,
): Promise<string | ConfirmationRefusal> {
  const { user } = signedIn
  if (kind === 'passkey') {
    const begun = await beginPasskeyEnrollment(deps, signedIn, undefined)
    if (begun.kind !== 'begun') return begun
    const options = JSON.stringify(begun.options)
    const view = { username: user.username, enrollment: begun.enrollment, options, hasProblem, ...state }
    return addPasskeyPage(view, site.frame(ctx))
  }
  const shown = await totpToShow(deps, signedIn, enrollment)
  return shown.kind === 'begun' ? addTotpPage({ ...(await totpView(user, shown)), ...state }, site.frame(ctx)) : shown
}

async function addFactor(visit: Visit): Promise<Handled> {
  const { deps, site, ctx, signedIn } = visit
  const { kind = '', enrollment = '', otp, passkey } = bodyParams(ctx).params
  const path = `${site.paths.factors}?kind=${kind === 'passkey' ? 'passkey' : 'totp'}`
  const confirmed = await confirmEnrollment(deps, signedIn, { enrollment, otp, passkey }, callerOf(ctx))
  if (confirmed.kind === 'done') {
    const codes = confirmed.recoveryCodes
    if (codes === undefined) goToAccount(visit, 'factor_added')
    else {
      leaveNotice(visit, 'factor_added')
      sendPage(ctx, codesPage({ username: signedIn.user.username, codes, next: site.paths.account }, site.frame(ctx)))
    }
    return undefined
  }
  const state = stateOf(confirmed, otp, enrollment)
  if (state === undefined) return refuse(visit, confirmed, path)
  return againWith(visit, factorError(confirmed), await enrollmentPage(visit, kind, state), path)
}

/** What the page says of a refusal that it goes on after; undefined where it does not. */
function stateOf(refusal: ConfirmationRefusal, otp: string | undefined, enrollment: string): PageState | undefined {
  switch (refusal.kind) {
    case 'wrong_code':
      return { enrollment, ...(otp === undefined ? { problem: 'missing' } : codeProblemOf(refusal)) }
    case 'wrong_passkey':
    case 'passkey_known':
      return { hasProblem: true }
    case 'enrollment_over':
    case 'overtaken':
      return { isAnother: true }
    default:
      return undefined
  }
}

function againWith(visit: Visit, failure: OAuthError, page: string | ConfirmationRefusal, path: string): Handled {
  if (typeof page !== 'string') return refuse(visit, page, path)
  return { failure, page: wantsPage(visit.ctx) ? page : undefined }
}

/**
 * Leads a browser to where it can go on: to show who it is and then back, or to the account.
 *
 * @param path of what was wanted, as browsers have it
 * @throws OAuthError to a program
 */
function refuse(visit: Visit, refusal: ConfirmationRefusal, path: string): undefined {
  const { site, ctx } = visit
  if (!wantsPage(ctx)) throw factorError(refusal)
  switch (refusal.kind) {
    case 'proof_needed':
      redirect(ctx, confirmPath(site.paths, path))
      return undefined
    case 'session_over':
      return askToSignIn(ctx, site)
    case 'too_many':
      goToAccount(visit, 'too_many_factors')
      return undefined
    default:
      goToAccount(visit, 'factor_gone')
      return undefined
  }
}

async function showFactor(visit: Visit, id: string): Promise<Handled> {
  const { deps, site, ctx, signedIn } = visit
  const { user, session } = signedIn
  const now = deps.now()
  const factors = await deps.storage.listFactors(user.id)
  const factor = factors.find(one => one.id === id && isSecondFactor(one))
  // Asked now, and not when a name has been typed.
  const refusal = factor === undefined ? ({ kind: 'no_such_factor' } as const) : missingProof(session, factors, now)
  if (refusal !== undefined) return refuse(visit, refusal, factorPath(site.paths, id))
  const isLast = factors.filter(isSecondFactor).length === 1
  const view = { username: user.username, factor: factorView(factor!), isLast, now, maxName: maxFactorName }
  sendPage(ctx, managePage(view, site.frame(ctx)))
  return undefined
}

async function changeFactor(visit: Visit, id: string): Promise<Handled> {
  const { deps, site, ctx, signedIn } = visit
  const { name, remove }: Params = bodyParams(ctx).params
  const caller = callerOf(ctx)
  const outcome =
    remove === undefined
      ? await renameFactor(deps, signedIn, { id, name }, caller)
      : await removeFactor(deps, signedIn, id, caller)
  if (outcome.kind !== 'done') return refuse(visit, outcome, factorPath(site.paths, id))
  goToAccount(visit, remove === undefined ? 'factor_renamed' : 'factor_removed')
  return undefined
}

async function askForNewCodes(visit: Visit): Promise<Handled> {
  const { deps, site, ctx, signedIn } = visit
  const { user, session } = signedIn
  const factors = await deps.storage.listFactors(user.id)
  const missing = missingProof(session, factors, deps.now())
  const refusal = factors.some(isSecondFactor) ? missing : ({ kind: 'no_second_factor' } as const)
  if (refusal !== undefined) return refuse(visit, refusal, site.paths.recoveryCodes)
  const codes = codesOf(factors)
  const left = codes === undefined ? 0 : countRecoveryCodes(codes)
  sendPage(ctx, newCodesPage({ username: user.username, factorId: codes?.id ?? none, left }, site.frame(ctx)))
  return undefined
}

/** In the place of the id of recovery codes. */
const none = 'none'

async function makeNewCodes(visit: Visit): Promise<Handled> {
  const { deps, site, ctx, signedIn } = visit
  const { factor } = bodyParams(ctx).params
  const before = codesOf(await deps.storage.listFactors(signedIn.user.id))
  // The form once more, as by Reload: nobody may lose the codes that they have just written down.
  if (factor !== (before?.id ?? none)) return refuse(visit, { kind: 'no_such_factor' }, site.paths.recoveryCodes)
  const made = await replaceRecoveryCodes(deps, signedIn, callerOf(ctx))
  if (made.kind !== 'done') return refuse(visit, made, site.paths.recoveryCodes)
  const view = { username: signedIn.user.username, codes: made.recoveryCodes, next: site.paths.account }
  sendPage(ctx, codesPage(view, site.frame(ctx)))
  return undefined
}

function codesOf(factors: readonly Factor[]): Factor | undefined {
  return factors.find(one => !isSecondFactor(one))
}
