/** The factors of a signed-in user, by bearer token. */
import { OAuthError } from '../error.ts'
import type { Deps } from '../oauth/deps.ts'
import { readParams } from '../oauth/request_params.ts'
import { beginPasskeyEnrollment, beginTotpEnrollment, confirmEnrollment } from '../sessions/enrollment.ts'
import { factorError } from '../sessions/factor_error.ts'
import { removeFactor, renameFactor, replaceRecoveryCodes } from '../sessions/own_factors.ts'
import { describeFactor } from '../users/factors/factor_document.ts'
import { authenticateUser } from './bearer.ts'
import { callerOf } from './caller.ts'
import type { Context } from './context.ts'
import { type Errors, ok } from './description.ts'
import type { Endpoint, PathParams } from './endpoint.ts'
import { sendJson } from './json.ts'
import { jsonType } from './media_types.ts'
import { bodyParams, formOrJsonBody } from './params.ts'
import { confirmFactorParams, factorPathParams, newFactorParams, renameFactorParams } from './request_params.ts'

const all = { path: '/users/me/factors', caller: 'user', cors: 'app' } as const
const one = { ...all, path: '/users/me/factors/{id}' } as const
/** RFC 9470 §3. */
const proof: Errors = { insufficient_user_authentication: 'a sign-in with the second factor is needed' }
const freshly = 'Needs a sign-in of the last ten minutes, with a second factor if there is one.'

export function factorEndpoints(deps: Deps): readonly Endpoint[] {
  return [...enrollmentEndpoints(deps), ...ownFactorEndpoints(deps)]
}

function enrollmentEndpoints(deps: Deps): readonly Endpoint[] {
  return [
    {
      ...all,
      id: 'enrollFactor',
      method: 'post',
      body: formOrJsonBody,
      handle: ctx => enroll(deps, ctx),
      describe: ({ enrollmentResponse }) => ({
        tag: 'Factors',
        summary: 'Set up a factor, or get other recovery codes',
        description: `${freshly} Of \`totp\` and \`passkey\` nothing counts before it is confirmed. \`recovery_codes\` replaces those that there are.`,
        body: newFactorParams,
        answers: ok('What to confirm, or the codes.', { [jsonType]: enrollmentResponse }),
        errors: { ...proof, invalid_request: 'there are 10 factors already: remove one first' },
      }),
    },
    {
      ...all,
      path: '/users/me/factors/confirm',
      id: 'confirmFactor',
      method: 'post',
      body: formOrJsonBody,
      handle: ctx => confirm(deps, ctx),
      describe: ({ confirmedFactorResponse }) => ({
        tag: 'Factors',
        summary: 'Confirm a factor by its first proof',
        description:
          'The code is used up. The first factor comes with recovery codes, and the session has proved it: its next refresh says so. Who got no answer asks again.',
        body: confirmFactorParams,
        answers: ok('The factor is there.', { [jsonType]: confirmedFactorResponse }),
        errors: {
          invalid_request: 'otp or passkey is missing',
          invalid_grant: 'the code is wrong',
          invalid_session: 'the enrollment is over, or of another sign-in: begin again',
        },
      }),
    },
  ]
}

function ownFactorEndpoints(deps: Deps): readonly Endpoint[] {
  const notFound: Errors = { not_found: 'you have no such factor' }
  return [
    {
      ...all,
      id: 'factors',
      method: 'get',
      async handle(ctx) {
        const { user } = await authenticateUser(deps, ctx)
        sendJson(ctx, { factors: (await deps.storage.listFactors(user.id)).map(describeFactor) })
      },
      describe: ({ factorsResponse }) => ({
        tag: 'Factors',
        summary: 'What the user proves to have beside the password',
        answers: ok('The factors.', { [jsonType]: factorsResponse }),
      }),
    },
    {
      ...one,
      id: 'renameFactor',
      method: 'patch',
      body: formOrJsonBody,
      handle: (ctx, params) => rename(deps, ctx, params),
      describe: ({ factorResponse }) => ({
        tag: 'Factors',
        summary: 'Name a factor',
        description: freshly,
        pathParams: factorPathParams,
        body: renameFactorParams,
        answers: ok('Named.', { [jsonType]: factorResponse }),
        errors: { ...proof, ...notFound },
      }),
    },
    {
      ...one,
      id: 'removeFactor',
      method: 'delete',
      handle: (ctx, params) => remove(deps, ctx, params),
      describe: () => ({
        tag: 'Factors',
        summary: 'Remove a factor',
        description: `${freshly} The last one takes the recovery codes along.`,
        pathParams: factorPathParams,
        answers: { 204: { description: 'Removed.' } },
        errors: { ...proof, ...notFound },
      }),
    },
  ]
}

async function enroll(deps: Deps, ctx: Context): Promise<void> {
  const signedIn = await authenticateUser(deps, ctx)
  const { kind, name } = readParams(newFactorParams, bodyParams(ctx).params)
  switch (kind) {
    case 'totp': {
      const begun = await beginTotpEnrollment(deps, signedIn, name)
      if (begun.kind !== 'begun') throw factorError(begun)
      const { enrollment, expiresIn, secret, otpauthUri } = begun
      return sendJson(ctx, { enrollment, expires_in: expiresIn, secret, otpauth_uri: otpauthUri })
    }
    case 'passkey': {
      const begun = await beginPasskeyEnrollment(deps, signedIn, name)
      if (begun.kind !== 'begun') throw factorError(begun)
      const { enrollment, expiresIn, options } = begun
      return sendJson(ctx, { enrollment, expires_in: expiresIn, options })
    }
    case 'recovery_codes': {
      const replaced = await replaceRecoveryCodes(deps, signedIn, callerOf(ctx))
      if (replaced.kind !== 'done') throw factorError(replaced)
      return sendJson(ctx, { recovery_codes: replaced.recoveryCodes })
    }
  }
}

async function confirm(deps: Deps, ctx: Context): Promise<void> {
  const signedIn = await authenticateUser(deps, ctx)
  const given = readParams(confirmFactorParams, bodyParams(ctx).params)
  if (given.otp === undefined && given.passkey === undefined)
    throw new OAuthError('invalid_request', 'otp or passkey is missing')
  const confirmed = await confirmEnrollment(deps, signedIn, given, callerOf(ctx))
  if (confirmed.kind !== 'done') throw factorError(confirmed)
  const { factor, recoveryCodes } = confirmed
  sendJson(ctx, { ...describeFactor(factor), ...(recoveryCodes && { recovery_codes: recoveryCodes }) })
}

async function rename(deps: Deps, ctx: Context, { id = '' }: PathParams): Promise<void> {
  const signedIn = await authenticateUser(deps, ctx)
  const { name } = readParams(renameFactorParams, bodyParams(ctx).params)
  const renamed = await renameFactor(deps, signedIn, { id, name }, callerOf(ctx))
  if (renamed.kind !== 'done') throw factorError(renamed)
  sendJson(ctx, describeFactor(renamed.factor))
}

async function remove(deps: Deps, ctx: Context, { id = '' }: PathParams): Promise<void> {
  const signedIn = await authenticateUser(deps, ctx)
  const removed = await removeFactor(deps, signedIn, id, callerOf(ctx))
  if (removed.kind !== 'done') throw factorError(removed)
  ctx.status = 204
}
