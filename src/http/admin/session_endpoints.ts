/** Sessions, as `latchkey session` has them. */
import { z } from 'zod'
import { listSessions, readSessionFilter, revokeSessions } from '../../admin/sessions.ts'
import { ok } from '../description.ts'
import type { Endpoint } from '../endpoint.ts'
import { jsonType } from '../media_types.ts'
import { sessionPath } from '../request_params.ts'
import { type AdminSurroundings, pageOf } from './admin_endpoint.ts'
import { decodeCursor, encodeCursor, revocation, sessionsQuery } from './requests.ts'

const tag = 'Sessions of users'
const place = z.strictObject({ at: z.int(), id: z.string(), last_seen_at: z.int() })

export function sessionEndpoints({ deps, endpoint }: AdminSurroundings): readonly Endpoint[] {
  return [
    endpoint({
      id: 'listSessions',
      method: 'get',
      path: '/admin/sessions',
      scope: 'admin:sessions:read',
      query: sessionsQuery,
      async handle({ query: { user_id, client_id, limit, cursor } }) {
        const user = user_id === undefined ? undefined : { id: user_id }
        const which = await readSessionFilter(deps, { user, client: client_id })
        const after = decodeCursor(place, cursor)
        const at = after?.at ?? deps.now()
        const sessions = await listSessions(deps, which, at, { after, limit })
        const last = sessions.length === limit ? sessions.at(-1) : undefined
        const next = last && encodeCursor({ at, id: last.id, last_seen_at: last.last_seen_at })
        return { document: { sessions, next: next ?? null }, next }
      },
      describe: ({ adminSessionsDocument }) => ({
        tag,
        summary: 'List live sessions, last seen first',
        answers: pageOf('Sessions.', adminSessionsDocument),
        errors: { not_found: 'there is no client app' },
      }),
    }),
    endpoint({
      id: 'revokeSession',
      method: 'delete',
      path: '/admin/sessions/{id}',
      scope: 'admin:sessions',
      handle: async ({ id, actor }) => ({ document: await revokeSessions(deps, { id }, actor) }),
      describe: ({ revokedDocument }) => ({
        tag,
        summary: 'End one session',
        pathParams: sessionPath,
        answers: ok('How many have ended.', { [jsonType]: revokedDocument }),
        errors: { not_found: 'there is no live session kAWJakA4hC_xciRQrw5ywg' },
      }),
    }),
    endpoint({
      id: 'revokeSessions',
      method: 'post',
      path: '/admin/sessions/revoke',
      scope: 'admin:sessions',
      body: revocation,
      async handle({ body: { user_id, client_id }, actor }) {
        const user = user_id === undefined ? undefined : { id: user_id }
        return { document: await revokeSessions(deps, { user, client: client_id }, actor) }
      },
      describe: ({ revokedDocument }) => ({
        tag,
        summary: 'End the sessions of a user or a client, or all',
        answers: ok('How many have ended.', { [jsonType]: revokedDocument }),
        errors: { not_found: 'there is no client app' },
      }),
    }),
  ]
}
