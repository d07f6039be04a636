/** Signing out: by cookie, and at the same path by access token. */
import { OAuthError } from '../../error.ts'
import type { Deps } from '../../oauth/deps.ts'
import { paths } from '../../pages/paths.ts'
import { signedOutPage, signOutPage } from '../../pages/sign_out.ts'
import type { Context } from '../context.ts'
import { crossSite, goOn } from '../description.ts'
import type { Endpoint } from '../endpoint.ts'
import { sendJson } from '../json.ts'
import { htmlType, jsonType } from '../media_types.ts'
import { readQuery } from '../query.ts'
import { logoutQuery } from '../request_params.ts'
import { sessionsToEnd } from '../sessions.ts'
import { logoutByToken } from '../user_routes.ts'
import { type Site, sendPage, wantsPage } from './pages.ts'
import { insistOnSameSite, isMeantToAct } from './same_site.ts'
import { clearSessionCookie, readSessionCookie } from './session_cookie.ts'
import { endTheirs, refuseStranger, sayGoodbye } from './signed_in.ts'

export function signOutEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  const shared = { path: paths.signOut, cors: 'app', hasPages: true } as const
  const summary = "End this session, the user's others, or all"
  const errors = { ...crossSite, invalid_request: 'scope must be others or all' }
  return [
    {
      ...shared,
      id: 'logoutByLink',
      method: 'get',
      caller: 'cookie',
      handle: ctx => logoutByCookie(deps, site, ctx),
      describe: ({ logoutResponse, htmlPage }) => ({
        tag: 'Browser',
        summary,
        description:
          'By cookie, for a person who leaves a page of this site for it, and for programs. Who comes from elsewhere is asked first; HEAD, what looks ahead and what a page loads or fetches end nothing.',
        query: logoutQuery,
        answers: {
          200: { description: 'Ended.', content: { [jsonType]: logoutResponse, [htmlType]: htmlPage } },
          ...goOn,
        },
        errors,
      }),
    },
    {
      ...shared,
      id: 'logout',
      method: 'post',
      caller: 'user or cookie',
      handle: ctx => (isByCookie(ctx) ? logoutByCookie(deps, site, ctx) : logoutByToken(deps, ctx)),
      describe: ({ logoutResponse }) => ({
        tag: 'Sessions',
        summary,
        description: 'By access token or by cookie.',
        query: logoutQuery,
        answers: { 200: { description: 'Ended.', content: { [jsonType]: logoutResponse } }, ...goOn },
        errors,
      }),
    },
  ]
}

/** Whether a request to sign out is a browser's, where an access token would do as well. */
function isByCookie(ctx: Context): boolean {
  return ctx.headers.authorization === undefined && (ctx.headers.cookie !== undefined || wantsPage(ctx))
}

/** GET and POST. Whoever comes to it from anywhere but a page of this site is asked first: the cookie comes along, the wish may not. */
async function logoutByCookie(deps: Deps, site: Site, ctx: Context): Promise<void> {
  const { issuer } = deps.config
  const isGet = ctx.method !== 'POST'
  const query = readQuery(ctx)
  // Before the cookie is looked at: a form of another site comes without it, and must not have it cleared.
  if (!isGet) insistOnSameSite(ctx, issuer)
  const signedIn = await readSessionCookie(deps, ctx)
  if (signedIn === undefined) {
    if (!wantsPage(ctx)) refuseStranger()
    return isGet
      ? sendPage(ctx, signedOutPage({ everywhere: 'everywhere' in query }, site.frame(ctx)))
      : sayGoodbye(deps, ctx, site, false)
  }
  if (isGet && !isMeantToAct(ctx, issuer)) {
    if (!wantsPage(ctx)) throw new OAuthError('forbidden', 'only a person who opens this signs out by GET; send POST')
    return sendPage(ctx, signOutPage({ username: signedIn.user.username }, site.frame(ctx)))
  }
  const which = sessionsToEnd(query.scope, signedIn.session)
  await endTheirs(deps, ctx, signedIn, which)
  if (which.exceptId === undefined) clearSessionCookie(deps, ctx)
  if (wantsPage(ctx)) return sayGoodbye(deps, ctx, site, query.scope === 'all')
  sendJson(ctx, { message: 'Logout successful' })
}
