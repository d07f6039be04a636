/** What a signed-in user asks for, by bearer token (RFC 6750): who am I, where am I signed in, sign me out. */
import { OAuthError } from '../error.ts'
import type { Deps } from '../oauth/deps.ts'
import { readParams } from '../oauth/request_params.ts'
import { remainingAudience } from '../oauth/resource.ts'
import { hasScope, remainingScope } from '../oauth/scope.ts'
import { issueTokens } from '../oauth/token.ts'
import { userInfo } from '../oauth/user_info.ts'
import { endSessions } from '../sessions/end.ts'
import { proofNeeded } from '../sessions/factor_error.ts'
import { changePassword } from '../sessions/password_change.ts'
import { minSolePassword } from '../users/password_rules.ts'
import { authenticateUser } from './bearer.ts'
import { callerOf } from './caller.ts'
import type { Context } from './context.ts'
import { guessing, ok } from './description.ts'
import type { Endpoint } from './endpoint.ts'
import { sendJson } from './json.ts'
import { jsonType } from './media_types.ts'
import { ownAccountEndpoints } from './own_account_routes.ts'
import { bodyParams, formOrJsonBody, formParams, optionalFormBody } from './params.ts'
import { readQuery } from './query.ts'
import { passwordChangeParams, sessionPath, sessionsQuery } from './request_params.ts'
import { describeSession, pageOfSessions, sessionsToEnd } from './sessions.ts'

export function userEndpoints(deps: Deps): readonly Endpoint[] {
  return [
    ...ownAccountEndpoints(deps),
    ...accountEndpoints(deps),
    ...userInfoEndpoints(deps),
    ...sessionEndpoints(deps),
  ]
}

function accountEndpoints(deps: Deps): readonly Endpoint[] {
  return [
    {
      id: 'changePassword',
      method: 'put',
      path: '/users/me/password',
      caller: 'user',
      cors: 'app',
      body: formOrJsonBody,
      handle: ctx => changePasswordByToken(deps, ctx),
      describe: ({ tokenResponse }) => ({
        tag: 'User',
        summary: 'Change the password',
        description:
          "Ends the user's other sessions. This one goes on with the tokens of the answer: the refresh tokens that it had before are dead, so that nobody who copied one goes on with it.",
        body: passwordChangeParams,
        answers: ok('Changed.', { [jsonType]: tokenResponse }, 'Cache-Control'),
        errors: {
          ...guessing,
          invalid_request: `the password must have at least ${minSolePassword} characters`,
          invalid_grant: 'the current password is wrong',
          insufficient_user_authentication: 'a sign-in with the second factor is needed',
        },
      }),
    },
  ]
}

/** OpenID Connect Core §5.3. */
function userInfoEndpoints(deps: Deps): readonly Endpoint[] {
  const scope = 'openid'
  async function answer(ctx: Context, tokenOfForm?: string): Promise<void> {
    const { user, scope: granted } = await authenticateUser(deps, ctx, tokenOfForm)
    if (!hasScope(granted, scope)) {
      throw new OAuthError('insufficient_scope', `the access token has not the scope ${scope}`)
    }
    sendJson(ctx, userInfo(user, granted))
  }
  const shared = { path: '/userinfo', caller: 'user', cors: 'app', scope } as const
  const describe: Endpoint['describe'] = ({ userInfoResponse }) => ({
    tag: 'User',
    summary: 'The claims of OpenID Connect about the user',
    description:
      'Needs the scope `openid`; `profile` and `email` bring their claims. A claim that is not known is left out. OpenID Connect Core §5.3.',
    answers: ok('The claims.', { [jsonType]: userInfoResponse }),
    errors: { insufficient_scope: `the access token has not the scope ${scope}` },
  })
  return [
    { ...shared, id: 'userInfo', method: 'get', handle: ctx => answer(ctx), describe },
    {
      ...shared,
      id: 'userInfoByPost',
      method: 'post',
      body: optionalFormBody,
      handle: ctx => answer(ctx, formParams(ctx).params.access_token),
      describe: schemas => ({ ...describe(schemas), body: schemas.userInfoForm }),
    },
  ]
}

function sessionEndpoints(deps: Deps): readonly Endpoint[] {
  return [
    {
      id: 'sessions',
      method: 'get',
      path: '/sessions',
      caller: 'user',
      cors: 'app',
      async handle(ctx) {
        const { session } = await authenticateUser(deps, ctx)
        sendJson(ctx, { sessions: (await pageOfSessions(deps, ctx, session)).map(describeSession) })
      },
      describe: ({ sessionsResponse }) => ({
        tag: 'Sessions',
        summary: 'Where the user is signed in',
        description:
          'By pages, from the newest sign-in back, each with the last used first. While there are more, the answer has a `Link` to the next page (`rel="next"`, RFC 8288). A page may be shorter than its limit.',
        query: sessionsQuery,
        answers: {
          200: {
            description: 'Sessions that are alive.',
            content: { [jsonType]: sessionsResponse },
            sometimes: ['Link'],
          },
        },
        errors: { invalid_request: 'limit or cursor cannot be used' },
      }),
    },
    {
      id: 'endSession',
      method: 'delete',
      path: '/sessions/{id}',
      caller: 'user',
      cors: 'app',
      async handle(ctx, { id = '' }) {
        const { user } = await authenticateUser(deps, ctx)
        const ended = await endSessions(deps, { userId: user.id, id }, 'revoked_by_user', callerOf(ctx))
        if (ended === 0) throw new OAuthError('not_found', 'you have no such session')
        ctx.status = 204
      },
      describe: () => ({
        tag: 'Sessions',
        summary: 'End one session of the user',
        pathParams: sessionPath,
        answers: { 204: { description: 'Ended.' } },
        errors: { not_found: 'you have no such session' },
      }),
    },
  ]
}

/** For `POST /logout`, which takes the cookie of a browser as well. */
export async function logoutByToken(deps: Deps, ctx: Context): Promise<void> {
  const { session, user } = await authenticateUser(deps, ctx)
  const which = { userId: user.id, ...sessionsToEnd(readQuery(ctx).scope, session) }
  await endSessions(deps, which, 'logout', callerOf(ctx))
  sendJson(ctx, { message: 'Logout successful' })
}

async function changePasswordByToken(deps: Deps, ctx: Context): Promise<void> {
  const signedIn = await authenticateUser(deps, ctx)
  const params = readParams(passwordChangeParams, bodyParams(ctx).params)
  const change = { currentPassword: params.current_password, newPassword: params.new_password }
  const { client } = signedIn
  // As a refresh that asks for nothing in particular is granted.
  const scope = remainingScope(signedIn.session.scope, client)
  const audience = remainingAudience(signedIn.session.audience, deps.config, client)
  if (audience.length === 0) throw new OAuthError('invalid_token', 'nothing of what was granted is left to the client')
  const changed = await changePassword(deps, signedIn, change, callerOf(ctx))
  if (changed === 'proof_needed') throw proofNeeded(true)
  if (changed === 'overtaken') throw new OAuthError('invalid_token', 'the session has ended at this moment')
  if (changed === 'wrong_password') throw new OAuthError('invalid_grant', 'the current password is wrong')
  if ('problem' in changed) throw new OAuthError('invalid_request', changed.text)
  sendJson(ctx, await issueTokens(deps, client, { session: changed, scope, audience }))
}
