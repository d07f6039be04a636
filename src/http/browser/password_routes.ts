/** Changing the password on a page. */
import { OAuthError } from '../../error.ts'
import type { Deps } from '../../oauth/deps.ts'
import { type ChangePasswordView, changePasswordPage } from '../../pages/change_password.ts'
import { confirmPath, paths } from '../../pages/paths.ts'
import { proofNeeded } from '../../sessions/factor_error.ts'
import { changePassword, lacksFactor } from '../../sessions/password_change.ts'
import type { Factor } from '../../users/factors/factor.ts'
import { maxPassword, minPasswordOf } from '../../users/password_rules.ts'
import { callerOf } from '../caller.ts'
import type { Context } from '../context.ts'
import { crossSite, goOn, guessing, ok } from '../description.ts'
import type { Endpoint, RefusedByPage } from '../endpoint.ts'
import { htmlType } from '../media_types.ts'
import { bodyParams, formOrJsonBody } from '../params.ts'
import { asOAuthError } from '../refusal.ts'
import { passwordForm } from '../request_params.ts'
import { goToAccount } from './notice.ts'
import { redirect, type Site, sendPage, wantsPage } from './pages.ts'
import { insistOnSameSite } from './same_site.ts'
import { readSessionCookie, type SignedIn, setSessionCookie } from './session_cookie.ts'
import { askToSignIn } from './signed_in.ts'

export function passwordEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  return [
    {
      id: 'passwordPage',
      method: 'get',
      path: paths.password,
      caller: 'cookie',
      cors: 'none',
      hasPages: true,
      async handle(ctx) {
        const signedIn = await readSessionCookie(deps, ctx)
        if (signedIn === undefined) return askToSignIn(ctx, site)
        const factors = await deps.storage.listFactors(signedIn.user.id)
        // Asked now, and not when passwords have been typed.
        if (lacksFactor(deps, signedIn.session, factors)) return askToConfirm(ctx, site)
        sendPage(ctx, changePasswordPage(passwordView(deps, signedIn, factors), site.frame(ctx)))
      },
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: 'The page to change the password',
        answers: { ...ok('The page.', { [htmlType]: htmlPage }), ...goOn },
      }),
    },
    {
      id: 'changePasswordByForm',
      method: 'post',
      path: paths.password,
      caller: 'cookie',
      cors: 'none',
      hasPages: true,
      body: formOrJsonBody,
      handle: ctx => changePasswordByForm(deps, site, ctx),
      describe: () => ({
        tag: 'Browser',
        summary: 'The form that changes the password',
        body: passwordForm,
        answers: goOn,
        errors: {
          ...crossSite,
          ...guessing,
          invalid_request: 'the current password is wrong',
          insufficient_user_authentication: 'a sign-in with the second factor is needed',
        },
      }),
    },
    {
      id: 'changePasswordPlace',
      method: 'get',
      path: '/.well-known/change-password',
      caller: 'open',
      cors: 'public',
      hasPages: true,
      /** Where password managers lead people to (W3C, A Well-Known URL for Changing Passwords). */
      handle: ctx => redirect(ctx, site.paths.password),
      describe: () => ({
        tag: 'Browser',
        summary: 'Leads to the page to change the password',
        description: 'For password managers. W3C, A Well-Known URL for Changing Passwords.',
        answers: goOn,
      }),
    },
  ]
}

/** A browser is led on, or sees the form again with what is wrong. */
async function changePasswordByForm(deps: Deps, site: Site, ctx: Context): Promise<RefusedByPage | undefined> {
  insistOnSameSite(ctx, deps.config.issuer)
  const signedIn = await readSessionCookie(deps, ctx)
  if (signedIn === undefined) return askToSignIn(ctx, site)
  const factors = await deps.storage.listFactors(signedIn.user.id)
  const refuse = (failure: OAuthError, view: Pick<ChangePasswordView, 'problems' | 'retryAfter'>): RefusedByPage => ({
    failure,
    page: wantsPage(ctx)
      ? changePasswordPage({ ...passwordView(deps, signedIn, factors), ...view }, site.frame(ctx))
      : undefined,
  })
  const invalid = (problems: ChangePasswordView['problems'], description: string) =>
    refuse(new OAuthError('invalid_request', description), { problems })
  const {
    current_password: currentPassword,
    new_password: newPassword,
    new_password_repeat: repeat,
  } = bodyParams(ctx).params
  if (currentPassword === undefined || newPassword === undefined || repeat === undefined || repeat !== newPassword) {
    return invalid(
      {
        currentPassword: currentPassword === undefined ? 'missing' : undefined,
        newPassword: newPassword === undefined ? 'missing' : undefined,
        repeat: repeat === undefined ? 'missing' : repeat === newPassword ? undefined : 'different',
      },
      'a field is missing, or the new password was not repeated',
    )
  }
  try {
    const changed = await changePassword(deps, signedIn, { currentPassword, newPassword }, callerOf(ctx))
    if (changed === 'proof_needed') {
      if (!wantsPage(ctx)) throw proofNeeded(true)
      return askToConfirm(ctx, site)
    }
    if (changed === 'overtaken') return askToSignIn(ctx, site)
    if (changed === 'wrong_password') return invalid({ currentPassword: 'wrong' }, 'the current password is wrong')
    if ('problem' in changed) return invalid({ newPassword: changed.problem }, changed.text)
    // A copy of the old one is dead.
    setSessionCookie(deps, ctx, changed)
  } catch (error) {
    const failure = asOAuthError(error)
    return refuse(failure, { problems: { form: 'try_later' }, retryAfter: failure.retryAfter })
  }
  goToAccount({ deps, ctx, site }, 'password_changed')
  return undefined
}

/** Back to the page after that. */
function askToConfirm(ctx: Context, { paths }: Site): undefined {
  redirect(ctx, confirmPath(paths, paths.password))
}

function passwordView({ config }: Deps, { user }: SignedIn, factors: readonly Factor[]): ChangePasswordView {
  return { username: user.username, shortest: minPasswordOf(config, factors), longest: maxPassword }
}
