/** The account: who is signed in, where else, and signing out there. */
import { browserClientId } from '../../clients/browser_client.ts'
import { OAuthError } from '../../error.ts'
import type { Deps } from '../../oauth/deps.ts'
import { accountPage } from '../../pages/account.ts'
import { deviceName, endSessionsPage } from '../../pages/devices.ts'
import { paths } from '../../pages/paths.ts'
import { callerOf } from '../caller.ts'
import type { Context } from '../context.ts'
import { crossSite, goOn, ok, readsQuery } from '../description.ts'
import type { Endpoint } from '../endpoint.ts'
import { sendJson } from '../json.ts'
import { htmlType, jsonType } from '../media_types.ts'
import { bodyParams, formOrJsonBody } from '../params.ts'
import { readQuery } from '../query.ts'
import { logoutQuery, profileQuery, signOutForm } from '../request_params.ts'
import { listShownSessions, sessionsToEnd } from '../sessions.ts'
import { factorView } from './factor_view.ts'
import { goToAccount, takeNotice } from './notice.ts'
import { redirect, type Site, sendPage, wantsPage } from './pages.ts'
import { insistOnSameSite } from './same_site.ts'
import { readSessionCookie, type SignedIn } from './session_cookie.ts'
import { askToSignIn, endTheirs, sayGoodbye } from './signed_in.ts'

export function accountEndpoints(deps: Deps, site: Site): readonly Endpoint[] {
  return [
    {
      id: 'profile',
      method: 'get',
      path: paths.account,
      caller: 'cookie',
      cors: 'none',
      hasPages: true,
      async handle(ctx) {
        const signedIn = await readSessionCookie(deps, ctx)
        if (signedIn === undefined) return askToSignIn(ctx, site)
        if (!wantsPage(ctx)) return sendJson(ctx, { username: signedIn.user.username })
        await sendAccount(deps, site, ctx, signedIn)
      },
      describe: ({ profileResponse, htmlPage }) => ({
        tag: 'Browser',
        summary: 'Who is signed in; for a person, the account with its devices',
        query: profileQuery,
        answers: { ...ok('Somebody is.', { [jsonType]: profileResponse, [htmlType]: htmlPage }), ...goOn },
        errors: readsQuery,
      }),
    },
    {
      id: 'signOutDevicesPage',
      method: 'get',
      path: paths.endSessions,
      caller: 'cookie',
      cors: 'none',
      hasPages: true,
      async handle(ctx) {
        const signedIn = await readSessionCookie(deps, ctx)
        if (signedIn === undefined) return askToSignIn(ctx, site)
        const { scope } = readQuery(ctx)
        if (scope !== 'others' && scope !== 'all') return redirect(ctx, site.paths.account)
        sendPage(ctx, endSessionsPage({ username: signedIn.user.username, scope }, site.frame(ctx)))
      },
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: 'The page that asks before the other sessions or all end',
        query: logoutQuery,
        answers: { ...ok('The page.', { [htmlType]: htmlPage }), ...goOn },
        errors: readsQuery,
      }),
    },
    {
      id: 'signOutDevices',
      method: 'post',
      path: paths.endSessions,
      caller: 'cookie',
      cors: 'none',
      hasPages: true,
      body: formOrJsonBody,
      handle: ctx => signOutDevices(deps, site, ctx),
      describe: () => ({
        tag: 'Browser',
        summary: 'The form that ends one session, the others or all',
        body: signOutForm,
        answers: goOn,
        errors: { ...crossSite, invalid_request: 'session or scope is missing' },
      }),
    },
  ]
}

async function sendAccount(deps: Deps, site: Site, ctx: Context, { user, session }: SignedIn): Promise<void> {
  const list = (cursor?: string) => listShownSessions(deps, session, callerOf(ctx), { cursor })
  const query = readQuery(ctx)
  const asked = typeof query.cursor === 'string' ? query.cursor : undefined
  const page = await list(asked)
  // Of a cursor that is none any more, the first page.
  const cursor = page === undefined ? undefined : asked
  const { sessions, next } = page ?? (await list())!
  const now = deps.now()
  const devices = sessions.map(({ session: { clientId, ...other }, shown, isCurrent, clientName }) => ({
    ...other,
    ...shown,
    ...(isCurrent && { lastSeenAt: now }),
    app: clientId === browserClientId ? undefined : clientName,
  }))
  const start = Number(query.start ?? 0)
  const factors = (await deps.storage.listFactors(user.id)).map(factorView)
  const hasPasskeys = deps.config.relyingParty !== undefined
  const isEmailVerified = deps.config.hasMail ? user.emailVerifiedAt !== undefined : undefined
  const view = {
    ...user,
    isEmailVerified,
    factors,
    hasPasskeys,
    devices,
    currentId: session.id,
    now,
    start,
    cursor,
    next,
  }
  sendPage(ctx, accountPage({ ...view, notice: takeNotice(deps, ctx) }, site.frame(ctx)))
}

/** Ends the sessions that the account page names: `session`, or `scope` others or all. */
async function signOutDevices(deps: Deps, site: Site, ctx: Context): Promise<void> {
  insistOnSameSite(ctx, deps.config.issuer)
  const signedIn = await readSessionCookie(deps, ctx)
  if (signedIn === undefined) return askToSignIn(ctx, site)
  const { params } = bodyParams(ctx)
  if (params.session === undefined && params.scope === undefined)
    throw new OAuthError('invalid_request', 'session or scope is missing')
  const which = params.session === undefined ? sessionsToEnd(params.scope, signedIn.session) : { id: params.session }
  const frame = site.frame(ctx)
  const theirs = which.id === undefined ? undefined : await deps.storage.findLiveSession(which.id, deps.now())
  const ended = await endTheirs(deps, ctx, signedIn, which)
  const isOver = which.id === signedIn.session.id || params.scope === 'all'
  if (isOver) return sayGoodbye(deps, ctx, site, params.scope === 'all')
  const told = { deps, ctx, site }
  if (ended === 0) return goToAccount(told, 'nothing_ended')
  if (theirs === undefined) return goToAccount(told, 'others_ended')
  goToAccount(told, 'session_ended', deviceName(theirs.session, frame.language))
}
