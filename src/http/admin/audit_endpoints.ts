/** The audit trail: as `latchkey audit` has it, and forward for programs that keep up with it. */
import { z } from 'zod'
import { followEvents, listEvents, readAuditFilter } from '../../admin/audit_trail.ts'
import { ok } from '../description.ts'
import type { Endpoint } from '../endpoint.ts'
import { jsonType } from '../media_types.ts'
import { type AdminSurroundings, pageOf } from './admin_endpoint.ts'
import { auditQuery, decodeCursor, encodeCursor, followQuery } from './requests.ts'

const tag = 'Audit trail'
const place = z.strictObject({ id: z.int().positive(), at: z.int() })

export function auditEndpoints({ deps, endpoint }: AdminSurroundings): readonly Endpoint[] {
  return [
    endpoint({
      id: 'listAuditEvents',
      method: 'get',
      path: '/admin/audit',
      scope: 'admin:audit:read',
      query: auditQuery,
      async handle({ query: { user_id: userId, client_id: clientId, session_id: sessionId, limit, cursor, ...rest } }) {
        const after = decodeCursor(z.int().positive(), cursor)
        const which = { ...(await readAuditFilter(deps, { ...rest, clientId, sessionId })), userId }
        const page = await listEvents(deps, which, { after, limit })
        const next = page.next === undefined ? undefined : encodeCursor(page.next)
        return { document: { events: page.events, next: next ?? null }, next }
      },
      describe: ({ eventsDocument }) => ({
        tag,
        summary: 'List what happened, newest first',
        answers: pageOf('Events.', eventsDocument),
      }),
    }),
    endpoint({
      id: 'followEvents',
      method: 'get',
      path: '/admin/events',
      scope: 'admin:audit:read',
      query: followQuery,
      async handle({ query: { type, limit, after } }) {
        const { events, next, more, mayMiss } = await followEvents(deps, type, {
          after: decodeCursor(place, after),
          limit,
        })
        const cursor = next && encodeCursor({ id: next.id, at: next.at })
        return { document: { events, next: cursor ?? null, more, gap: mayMiss } }
      },
      describe: ({ followedDocument }) => ({
        tag,
        summary: 'What happened after a place in the trail, oldest first: each event once',
        description:
          'Ask without `after` for the oldest, and from then on with the `next` of the answer before, at once as long as `more` is true.',
        answers: ok('Events.', { [jsonType]: followedDocument }),
        errors: { invalid_request: 'the cursor cannot be used' },
      }),
    }),
  ]
}
