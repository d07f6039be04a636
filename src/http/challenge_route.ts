/** The authorization challenge endpoint of draft-ietf-oauth-first-party-apps-04 §4.1. */
import { challengeRequest } from '../oauth/challenge.ts'
import type { Deps } from '../oauth/deps.ts'
import { callerOf } from './caller.ts'
import { guessing, ok } from './description.ts'
import type { Endpoint } from './endpoint.ts'
import { sendJson } from './json.ts'
import { jsonType } from './media_types.ts'
import { authenticate, insistOnNoAccessToken } from './oauth_routes.ts'
import { formBody, formParams } from './params.ts'

export function challengeEndpoint(deps: Deps): Endpoint {
  return {
    id: 'authorizeChallenge',
    method: 'post',
    path: '/authorize-challenge',
    caller: 'client',
    cors: 'app',
    body: formBody,
    async handle(ctx) {
      const request = formParams(ctx)
      insistOnNoAccessToken(ctx)
      const identify = (params: typeof request.params) => authenticate(deps, ctx, params)
      sendJson(ctx, await challengeRequest(deps, identify, request, callerOf(ctx)))
    },
    describe: ({ challengeForm, challengeResponse }) => ({
      tag: 'Tokens',
      summary: 'Sign in with more than a password, or with a passkey alone',
      description:
        'For your own apps. Each request brings a proof: `username` and `password`, then `otp`, `recovery_code` or `passkey` with the `auth_session` of the answer before; or nothing, to be asked for a passkey that says whose it is. `403 insufficient_authorization` says what is needed next. The code at the end is exchanged at `/token`. draft-ietf-oauth-first-party-apps-04.',
      body: challengeForm,
      answers: ok('The code.', { [jsonType]: challengeResponse }, 'Cache-Control'),
      errors: {
        ...guessing,
        invalid_request: 'code_challenge is missing: a public client has to send one',
        invalid_grant: 'the code or passkey is wrong, or has been used',
        invalid_session: 'the auth_session is expired, used or not valid; start again',
        insufficient_authorization: 'one more proof of who this is is needed',
        unauthorized_client: 'the client is not registered as an app of who runs this server',
        unsupported_response_type: 'the response_type is code, here and nowhere else',
        invalid_scope: 'the scope asks for more than can be granted: admin',
        invalid_target: 'the resource is malformed, given twice or not one that can be granted',
      },
    }),
  }
}
