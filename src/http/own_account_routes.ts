/** What signed-in users do with their own account, by bearer token: change it, take a copy of it, delete it. */
import { exportAccount } from '../accounts/data_export.ts'
import { deleteAccount } from '../accounts/deletion.ts'
import { changeProfile } from '../accounts/profile.ts'
import type { Deps } from '../oauth/deps.ts'
import { parseDocument, readMembers } from './admin/json_body.ts'
import { authenticateUser } from './bearer.ts'
import { callerOf } from './caller.ts'
import type { Context } from './context.ts'
import { type Errors, guessing, ok } from './description.ts'
import type { Endpoint } from './endpoint.ts'
import { sendJson } from './json.ts'
import { jsonType } from './media_types.ts'
import { mergePatchBody } from './merge_patch.ts'
import { accountError, describeMe } from './own_account.ts'
import { deletionQuery, profileChange } from './own_account_params.ts'
import { readQuery } from './query.ts'

const me = { path: '/users/me', caller: 'user', cors: 'app' } as const
/** RFC 9470 §3. */
const proof: Errors = { insufficient_user_authentication: 'a new sign-in is needed' }
const freshly = 'Needs a sign-in of the last ten minutes, with a second factor if there is one.'

export function ownAccountEndpoints(deps: Deps): readonly Endpoint[] {
  return [
    {
      ...me,
      id: 'me',
      method: 'get',
      async handle(ctx) {
        const { user } = await authenticateUser(deps, ctx)
        sendJson(ctx, describeMe(user))
      },
      describe: ({ userResponse }) => ({
        tag: 'User',
        summary: 'The user behind an access token',
        answers: ok('The user.', { [jsonType]: userResponse }),
      }),
    },
    {
      ...me,
      id: 'changeMe',
      method: 'patch',
      body: mergePatchBody,
      handle: ctx => change(deps, ctx),
      describe: ({ userResponse }) => ({
        tag: 'User',
        summary: 'Change the name, the username or the language',
        description: `All of it or nothing (RFC 7396). Sessions go on; tokens say it from their next refresh. Another username: ${freshly.toLowerCase()}`,
        body: profileChange,
        answers: ok('The user.', { [jsonType]: userResponse }),
        errors: {
          ...proof,
          ...guessing,
          invalid_request: 'username: begins or ends with white space',
          username_taken: 'the username is taken',
        },
      }),
    },
    {
      ...me,
      id: 'deleteMe',
      method: 'delete',
      handle: ctx => remove(deps, ctx),
      describe: ({ deletionResponse }) => ({
        tag: 'User',
        summary: 'Delete the account',
        description: `${freshly} All sessions end, and nobody signs in by it any more. Until \`delete_at\` the link in the mail undoes it, and so does the operator.`,
        query: deletionQuery,
        answers: {
          202: { description: 'It will be gone.', content: { [jsonType]: deletionResponse } },
          204: { description: 'It is gone.' },
        },
        errors: { ...proof, invalid_request: 'when: it is later or now' },
      }),
    },
    {
      ...me,
      path: '/users/me/export',
      id: 'exportMe',
      method: 'get',
      async handle(ctx) {
        const signedIn = await authenticateUser(deps, ctx)
        const outcome = await exportAccount(deps, signedIn, callerOf(ctx))
        if (outcome.kind !== 'done') throw accountError(outcome)
        sendExport(ctx, outcome.document)
      },
      describe: ({ accountExportResponse }) => ({
        tag: 'User',
        summary: 'All that is stored about the user',
        description: `${freshly} One a minute. Without secrets. Of very many sessions and events those are left out that are oldest, and it says so.`,
        answers: ok('A file.', { [jsonType]: accountExportResponse }, 'Content-Disposition'),
        errors: { ...proof, too_many_attempts: 'there was an export a moment ago' },
      }),
    },
  ]
}

/** As a file. */
export function sendExport(ctx: Context, document: object): void {
  ctx.set('Content-Disposition', 'attachment; filename="account.json"')
  sendJson(ctx, document)
}

async function change(deps: Deps, ctx: Context): Promise<void> {
  const signedIn = await authenticateUser(deps, ctx)
  const text = (ctx.request.body as string | undefined) ?? ''
  const { full_name: fullName, ...rest } = parseDocument(profileChange, text, 'document')
  const outcome = await changeProfile(deps, signedIn, { fullName, ...rest }, callerOf(ctx))
  if (outcome.kind !== 'done') throw accountError(outcome)
  sendJson(ctx, describeMe(outcome.user))
}

async function remove(deps: Deps, ctx: Context): Promise<void> {
  const signedIn = await authenticateUser(deps, ctx)
  const { when = 'later' } = readMembers(deletionQuery, { ...readQuery(ctx) })
  const outcome = await deleteAccount(deps, signedIn, when, callerOf(ctx))
  if (outcome.kind !== 'done') throw accountError(outcome)
  if (when === 'now') {
    ctx.status = 204
    return
  }
  ctx.status = 202
  sendJson(ctx, { delete_at: outcome.deleteAt, mailed: outcome.isMailed })
}
