/**
 * What a person's browser asks for: signing in with a cookie, the account, the password, signing out. The same paths answer
 * JSON to a program and pages to a browser, by `Accept`.
 */
import type { Context } from 'koa'
import type { z } from 'zod'
import { browserClientId, ensureBrowserClient } from '../../clients/browser_client.ts'
import type { Params } from '../../clients/client.ts'
import { OAuthError } from '../../error.ts'
import type { Deps } from '../../oauth/deps.ts'
import { type AccountNotice, accountPage, parseAccountNotice } from '../../pages/account.ts'
import { type ChangePasswordView, changePasswordPage } from '../../pages/change_password.ts'
import { homePage } from '../../pages/home.ts'
import { paths, signInPath } from '../../pages/paths.ts'
import { type SignInView, signInPage } from '../../pages/sign_in.ts'
import { signedOutPage, signOutPage } from '../../pages/sign_out.ts'
import { beginSession } from '../../sessions/begin.ts'
import { endSessions } from '../../sessions/end.ts'
import { refreshPolicy } from '../../sessions/lifetimes.ts'
import { changePassword } from '../../sessions/password_change.ts'
import type { Session } from '../../sessions/session.ts'
import type { SessionFilter } from '../../sessions/storage.ts'
import { longestUsername } from '../../text.ts'
import { longestPassword, passwordProblemTexts, shortestPassword } from '../../users/password_rules.ts'
import { signInByPassword } from '../../users/sign_in.ts'
import { callerOf } from '../caller.ts'
import { sendJson } from '../json.ts'
import { bodyParams } from '../params.ts'
import { readQuery } from '../query.ts'
import { loginParams } from '../request_params.ts'
import { listShownSessions, sessionsToEnd } from '../user_routes.ts'
import { frameOf, publicPath, redirect, refuseWithPage, sendPage, wantsPage } from './pages.ts'
import { insistOnSameSite, isMeantToAct } from './same_site.ts'
import { clearSessionCookie, readSessionCookie, type SignedIn, setSessionCookie } from './session_cookie.ts'

export function browserRoutes(deps: Deps, { docs }: { docs: boolean }) {
  const { now, config } = deps

  return {
    async home(ctx: Context) {
      if (!wantsPage(ctx)) {
        return sendJson(ctx, { issuer: config.issuer, metadata: `${config.issuer}${paths.metadata}` })
      }
      const signedIn = await readSessionCookie(deps, ctx)
      sendPage(ctx, homePage({ docs, reference: docs }, frameOf(ctx, signedIn?.user.username)))
    },

    async signInForm(ctx: Context) {
      const returnTo = localPath(ctx, readQuery(ctx).return_to, config.issuer)
      if ((await readSessionCookie(deps, ctx)) !== undefined)
        return redirect(ctx, returnTo ?? publicPath(ctx, paths.account))
      sendPage(ctx, signInPage({ returnTo, signInFirst: returnTo !== undefined }, frameOf(ctx)))
    },

    /** `{"message": "Login successful"}` and the cookie, or 401. */
    async login(ctx: Context) {
      const { params } = bodyParams(ctx)
      const { username, return_to } = params
      const returnTo = localPath(ctx, return_to, config.issuer)
      const typed = username?.slice(0, 2 * longestUsername).toWellFormed()
      const page = (view: SignInView) => signInPage({ username: typed, returnTo, ...view }, frameOf(ctx))
      refuseWithPage(ctx, failure => page(signInProblem(failure)))
      insistOnSameSite(ctx, config.issuer)

      const read = loginParams.safeParse(params)
      if (!read.success) {
        refuseWithPage(ctx, () => page({ problems: textProblems(read.error, params) }))
        throw new OAuthError('invalid_request', 'username and password are needed, of at most 128 and 1,024 characters')
      }
      const before = await readSessionCookie(deps, ctx)
      const session = await signInByCookie(deps, ctx, read.data.username, read.data.password)
      // Nothing could reach the session whose cookie is replaced.
      if (before !== undefined) await endTheirs(ctx, before, { id: before.session.id })
      setSessionCookie(deps, ctx, session)
      if (wantsPage(ctx)) return redirect(ctx, returnTo ?? publicPath(ctx, paths.account))
      sendJson(ctx, { message: 'Login successful' })
    },

    async profile(ctx: Context) {
      const signedIn = await readSessionCookie(deps, ctx)
      if (signedIn === undefined) return askToSignIn(ctx)
      const { user, session } = signedIn
      if (!wantsPage(ctx)) {
        return sendJson(ctx, { username: user.username })
      }
      const list = (cursor?: string) => listShownSessions(deps, session, callerOf(ctx), { cursor })
      const query = readQuery(ctx)
      const asked = typeof query.cursor === 'string' ? query.cursor : undefined
      const page = await list(asked)
      // Of a cursor that is none any more, the first page.
      const cursor = page === undefined ? undefined : asked
      const { sessions, next } = page ?? (await list())!
      const devices = sessions.map(({ session: { clientId, ...other }, shown, isCurrent }) => ({
        ...other,
        ...shown,
        ...(isCurrent && { lastSeenAt: now() }),
        app: clientId === browserClientId ? undefined : clientId,
      }))
      const start = Number(query.start ?? 0)
      const view = { ...user, devices, currentId: session.id, now: now(), start, cursor, next }
      sendPage(ctx, accountPage({ ...view, notice: parseAccountNotice(query.notice) }, frameOf(ctx)))
    },

    /** Ends the sessions that the account page names: `session`, or `scope` others or all. */
    async signOutDevices(ctx: Context) {
      insistOnSameSite(ctx, config.issuer)
      const signedIn = await readSessionCookie(deps, ctx)
      if (signedIn === undefined) return askToSignIn(ctx)
      const { params } = bodyParams(ctx)
      if (params.session === undefined && params.scope === undefined)
        throw new OAuthError('invalid_request', 'session or scope is missing')
      const which =
        params.session === undefined ? sessionsToEnd(params.scope, signedIn.session) : { id: params.session }
      const ended = await endTheirs(ctx, signedIn, which)
      if (which.id === signedIn.session.id || params.scope === 'all') return sayGoodbye(ctx, params.scope === 'all')
      const notice: AccountNotice =
        ended === 0 ? 'nothing_ended' : params.scope === 'others' ? 'others_ended' : 'session_ended'
      redirect(ctx, publicPath(ctx, `${paths.account}?notice=${notice}`))
    },

    /** Where password managers lead people to (W3C, A Well-Known URL for Changing Passwords). */
    changePasswordPlace(ctx: Context) {
      redirect(ctx, publicPath(ctx, paths.password))
    },

    async passwordForm(ctx: Context) {
      const signedIn = await readSessionCookie(deps, ctx)
      if (signedIn === undefined) return askToSignIn(ctx)
      sendPage(ctx, changePasswordPage(passwordView(signedIn), frameOf(ctx)))
    },

    async changePassword(ctx: Context) {
      insistOnSameSite(ctx, config.issuer)
      const signedIn = await readSessionCookie(deps, ctx)
      if (signedIn === undefined) return askToSignIn(ctx)
      const {
        current_password: currentPassword,
        new_password: newPassword,
        new_password_repeat: repeat,
      } = bodyParams(ctx).params
      const refuse = (problems: ChangePasswordView['problems'], description: string): never => {
        refuseWithPage(ctx, () => changePasswordPage({ ...passwordView(signedIn), problems }, frameOf(ctx)))
        throw new OAuthError('invalid_request', description)
      }
      if (
        currentPassword === undefined ||
        newPassword === undefined ||
        repeat === undefined ||
        repeat !== newPassword
      ) {
        return refuse(
          {
            currentPassword: currentPassword === undefined ? 'missing' : undefined,
            newPassword: newPassword === undefined ? 'missing' : undefined,
            repeat: repeat === undefined ? 'missing' : repeat === newPassword ? undefined : 'different',
          },
          'a field is missing, or the new password was not repeated',
        )
      }
      refuseWithPage(ctx, ({ retryAfter }) =>
        changePasswordPage({ ...passwordView(signedIn), problems: { form: 'try_later' }, retryAfter }, frameOf(ctx)),
      )
      const changed = await changePassword(deps, signedIn, { currentPassword, newPassword }, callerOf(ctx))
      if (changed === 'overtaken') return askToSignIn(ctx)
      if (changed === 'wrong_password') return refuse({ currentPassword: 'wrong' }, 'the current password is wrong')
      if (typeof changed === 'string') return refuse({ newPassword: changed }, passwordProblemTexts[changed])
      // A copy of the old one is dead.
      setSessionCookie(deps, ctx, changed)
      redirect(ctx, publicPath(ctx, `${paths.account}?notice=password_changed`))
    },

    /** GET and POST. Whoever comes to it from anywhere but a page of this site is asked first: the cookie comes along, the wish may not. */
    async logout(ctx: Context) {
      const isGet = ctx.method !== 'POST'
      const query = readQuery(ctx)
      // Before the cookie is looked at: a form of another site comes without it, and must not have it cleared.
      if (!isGet) insistOnSameSite(ctx, config.issuer)
      const signedIn = await readSessionCookie(deps, ctx)
      if (signedIn === undefined) {
        if (!wantsPage(ctx)) refuseStranger()
        return isGet
          ? sendPage(ctx, signedOutPage({ everywhere: 'everywhere' in query }, frameOf(ctx)))
          : sayGoodbye(ctx, false)
      }
      if (isGet && !isMeantToAct(ctx, config.issuer)) {
        if (!wantsPage(ctx))
          throw new OAuthError('forbidden', 'only a person who opens this signs out by GET; send POST')
        return sendPage(ctx, signOutPage({ username: signedIn.user.username }, frameOf(ctx)))
      }
      const which = sessionsToEnd(query.scope, signedIn.session)
      await endTheirs(ctx, signedIn, which)
      if (which.exceptId === undefined) clearSessionCookie(deps, ctx)
      if (wantsPage(ctx)) return sayGoodbye(ctx, query.scope === 'all')
      sendJson(ctx, { message: 'Logout successful' })
    },
  }

  function endTheirs(ctx: Context, { user, session }: SignedIn, which: SessionFilter): Promise<number> {
    const isOwn = which.id === session.id || which.id === undefined
    return endSessions(deps, { userId: user.id, ...which }, isOwn ? 'logout' : 'revoked_by_user', callerOf(ctx))
  }

  function sayGoodbye(ctx: Context, everywhere: boolean): void {
    clearSessionCookie(deps, ctx)
    redirect(ctx, publicPath(ctx, everywhere ? `${paths.signOut}?everywhere` : paths.signOut))
  }

  function askToSignIn(ctx: Context): void {
    if (!wantsPage(ctx)) refuseStranger()
    redirect(ctx, publicPath(ctx, signInPath(ctx.method === 'GET' ? publicPath(ctx, ctx.path) : undefined)))
  }
}

/** Whether a request to sign out is a browser's, where an access token would do as well. */
export function isByCookie(ctx: Context): boolean {
  return ctx.headers.authorization === undefined && (ctx.headers.cookie !== undefined || wantsPage(ctx))
}

async function signInByCookie(deps: Deps, ctx: Context, username: string, password: string): Promise<Session> {
  const client = await ensureBrowserClient(deps)
  if (client.disabledAt !== undefined) throw new OAuthError('forbidden', 'signing in here is switched off')
  try {
    const authentication = await signInByPassword(deps, { username, password, clientId: client.id }, callerOf(ctx))
    const wanted = { clientId: client.id, scope: '', audience: [], lifetimes: refreshPolicy(deps.config, client) }
    return await beginSession(deps, authentication, wanted, callerOf(ctx))
  } catch (error) {
    if (!(error instanceof OAuthError) || error.code !== 'invalid_grant') throw error
    const options = {
      cause: error.cause,
      challenge: 'Bearer realm="latchkey"',
      detail: 'Incorrect username or password',
    }
    throw new OAuthError('sign_in_refused', error.message, options)
  }
}

function refuseStranger(): never {
  const options = { challenge: 'Bearer realm="latchkey"', detail: 'Not authenticated' }
  throw new OAuthError('login_required', 'sign in first', options)
}

function signInProblem({ code, retryAfter }: OAuthError): SignInView {
  return code === 'sign_in_refused'
    ? { problems: { form: 'wrong_credentials' } }
    : { problems: { form: 'try_later' }, retryAfter }
}

function passwordView({ user }: SignedIn): ChangePasswordView {
  return { username: user.username, shortest: shortestPassword, longest: longestPassword }
}

/** What is wrong with each field that something is wrong with. */
function textProblems({ issues }: z.ZodError, params: Params): Record<string, 'missing' | 'too_long'> {
  const names = issues.map(({ path }) => String(path[0]))
  return Object.fromEntries(names.map(name => [name, params[name] === undefined ? 'missing' : 'too_long']))
}

/** @returns undefined when nothing was asked for; the home page for anything but a path of this site */
function localPath(ctx: Context, returnTo: Params[string] | readonly string[], issuer: string): string | undefined {
  if (returnTo === undefined || returnTo === '') return undefined
  const home = publicPath(ctx, paths.home)
  if (typeof returnTo !== 'string' || !/^\/(?![/\\])[\x21-\x7e]{0,2000}$/.test(returnTo)) return home
  const url = URL.parse(returnTo, issuer)
  // A path back to signing in or out would go round in circles.
  const isCircle = [paths.signIn, paths.signOut].some(path => url?.pathname === publicPath(ctx, path))
  return url?.origin === new URL(issuer).origin && !isCircle ? returnTo : home
}
