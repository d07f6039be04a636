/** The pages on which people change what they are called, and take a copy of what is stored about them. */
import { exportAccount } from '../../accounts/data_export.ts'
import { changeProfile } from '../../accounts/profile.ts'
import { OAuthError } from '../../error.ts'
import type { Deps } from '../../oauth/deps.ts'
import { type EditProfileView, editProfilePage, exportPage, usernamePage } from '../../pages/edit_profile.ts'
import { languages } from '../../pages/language.ts'
import { paths } from '../../pages/paths.ts'
import { reservationLifetime } from '../../users/reserved_usernames.ts'
import { callerOf } from '../caller.ts'
import { crossSite, goOn, guessing, ok } from '../description.ts'
import type { Endpoint } from '../endpoint.ts'
import { htmlType, jsonType } from '../media_types.ts'
import { accountError } from '../own_account.ts'
import { profileForm, usernameForm } from '../own_account_params.ts'
import { sendExport } from '../own_account_routes.ts'
import { bodyParams, formOrJsonBody } from '../params.ts'
import { askForProof, type Handled, refuseAccount, type Visit, visit } from './account_visit.ts'
import { goToAccount } from './notice.ts'
import { type Site, sendPage, wantsPage } from './pages.ts'

const byCookie = { caller: 'cookie', cors: 'none', hasPages: true } as const
const proof = { insufficient_user_authentication: 'a new sign-in is needed' } as const

export function profileEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  return [...editEndpoints(deps, site), ...usernameEndpoints(deps, site), ...exportEndpoints(deps, site)]
}

function editEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  const shared = { ...byCookie, path: paths.editProfile } as const
  return [
    {
      ...shared,
      id: 'editProfilePage',
      method: 'get',
      handle: ctx =>
        visit(deps, site, ctx, async given => {
          sendPage(ctx, editPageOf(given, {}))
        }),
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: 'The page of the name and the language',
        answers: { ...ok('The page.', { [htmlType]: htmlPage }), ...goOn },
      }),
    },
    {
      ...shared,
      id: 'editProfile',
      method: 'post',
      body: formOrJsonBody,
      handle: ctx => visit(deps, site, ctx, editProfile, 'form'),
      describe: () => ({
        tag: 'Browser',
        summary: 'The form that changes them',
        body: profileForm,
        answers: goOn,
        errors: { ...crossSite, invalid_request: 'full_name: has more than 256 characters' },
      }),
    },
  ]
}

async function editProfile(given: Visit): Promise<Handled> {
  const { deps, site, ctx, signedIn } = given
  const { full_name: fullName = null, language: tag } = bodyParams(ctx).params
  const language = languages.find(one => one === tag) ?? null
  if (tag !== undefined && language === null)
    throw new OAuthError('invalid_request', 'language: there is none of this tag')
  const outcome = await changeProfile(deps, signedIn, { fullName, language }, callerOf(ctx))
  if (outcome.kind === 'done') return goToAccount({ deps, ctx, site }, 'profile_saved')
  if (outcome.kind !== 'invalid') return refuseAccount(given, outcome, site.paths.editProfile)
  const view = { fullName: fullName ?? undefined, language: language ?? undefined, problem: 'invalid' } as const
  return { failure: accountError(outcome), page: wantsPage(ctx) ? editPageOf(given, view) : undefined }
}

function editPageOf({ site, ctx, signedIn: { user } }: Visit, view: Partial<EditProfileView>): string {
  const { username, fullName, language } = user
  return editProfilePage({ username, fullName, language, ...view }, site.frame(ctx))
}

function usernameEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  const shared = { ...byCookie, path: paths.changeUsername } as const
  return [
    {
      ...shared,
      id: 'usernamePage',
      method: 'get',
      handle: ctx =>
        visit(deps, site, ctx, async given => {
          // Asked now, and not when a name has been typed.
          if (await askForProof(given, site.paths.changeUsername)) return
          sendPage(ctx, usernamePageOf(given, {}))
        }),
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: 'The page to change the username',
        answers: { ...ok('The page.', { [htmlType]: htmlPage }), ...goOn },
        errors: proof,
      }),
    },
    {
      ...shared,
      id: 'changeUsername',
      method: 'post',
      body: formOrJsonBody,
      handle: ctx => visit(deps, site, ctx, changeUsername, 'form'),
      describe: () => ({
        tag: 'Browser',
        summary: 'The form that changes the username',
        body: usernameForm,
        answers: goOn,
        errors: {
          ...crossSite,
          ...guessing,
          ...proof,
          invalid_request: 'username: begins or ends with white space',
          username_taken: 'the username is taken',
        },
      }),
    },
  ]
}

async function changeUsername(given: Visit): Promise<Handled> {
  const { deps, site, ctx, signedIn } = given
  const { username: typed } = bodyParams(ctx).params
  const refuse = (failure: OAuthError, problem: UsernameProblem) => ({
    failure,
    page: wantsPage(ctx)
      ? usernamePageOf(given, { wanted: typed, problem, retryAfter: failure.retryAfter })
      : undefined,
  })
  // What a keyboard puts around a name.
  const username = typed?.trim()
  if (!username) return refuse(new OAuthError('invalid_request', 'username is missing'), 'missing')
  try {
    const outcome = await changeProfile(deps, signedIn, { username }, callerOf(ctx))
    switch (outcome.kind) {
      case 'done':
        return goToAccount({ deps, ctx, site }, 'username_changed')
      case 'too_soon':
        return refuse(accountError(outcome), 'tooSoon')
      case 'invalid':
      case 'taken':
        return refuse(accountError(outcome), outcome.kind)
      default:
        return refuseAccount(given, outcome, site.paths.changeUsername)
    }
  } catch (error) {
    if (!(error instanceof OAuthError) || error.code !== 'too_many_attempts') throw error
    return refuse(error, 'tooMany')
  }
}

type UsernameView = Parameters<typeof usernamePage>[0]
type UsernameProblem = NonNullable<UsernameView['problem']>

function usernamePageOf({ site, ctx, signedIn }: Visit, view: Partial<UsernameView>): string {
  const keptDays = reservationLifetime / 86_400
  return usernamePage({ username: signedIn.user.username, keptDays, ...view }, site.frame(ctx))
}

function exportEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  const shared = { ...byCookie, path: paths.exportAccount } as const
  return [
    {
      ...shared,
      id: 'exportPage',
      method: 'get',
      handle: ctx =>
        visit(deps, site, ctx, async given => {
          if (await askForProof(given, site.paths.exportAccount)) return
          sendPage(ctx, exportPage({ username: given.signedIn.user.username }, site.frame(ctx)))
        }),
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: 'The page to download all that is stored about the user',
        answers: { ...ok('The page.', { [htmlType]: htmlPage }), ...goOn },
        errors: proof,
      }),
    },
    {
      ...shared,
      id: 'exportByForm',
      method: 'post',
      handle: ctx => visit(deps, site, ctx, sendOwnExport, 'form'),
      describe: ({ accountExportResponse }) => ({
        tag: 'Browser',
        summary: 'The form that downloads it',
        answers: { ...ok('A file.', { [jsonType]: accountExportResponse }, 'Content-Disposition'), ...goOn },
        errors: { ...crossSite, ...proof, too_many_attempts: 'there was an export a moment ago' },
      }),
    },
  ]
}

async function sendOwnExport(given: Visit): Promise<Handled> {
  const { deps, site, ctx, signedIn } = given
  try {
    const outcome = await exportAccount(deps, signedIn, callerOf(ctx))
    if (outcome.kind !== 'done') return refuseAccount(given, outcome, site.paths.exportAccount)
    sendExport(ctx, outcome.document)
  } catch (failure) {
    if (!(failure instanceof OAuthError) || failure.code !== 'too_many_attempts') throw failure
    const view = { username: signedIn.user.username, retryAfter: failure.retryAfter }
    return { failure, page: wantsPage(ctx) ? exportPage(view, site.frame(ctx)) : undefined }
  }
}
