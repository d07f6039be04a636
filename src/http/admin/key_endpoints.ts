/** Signing keys and the audit trail, as `latchkey key` and `latchkey audit` have them. */
import { z } from 'zod'
import { listEvents, readAuditFilter } from '../../admin/audit_trail.ts'
import { listKeys, rotateKey } from '../../admin/keys.ts'
import { ok } from '../description.ts'
import type { Endpoint } from '../endpoint.ts'
import { jsonType } from '../media_types.ts'
import { type AdminSurroundings, pageOf } from './admin_endpoint.ts'
import { auditQuery, decodeCursor, encodeCursor } from './requests.ts'

export function keyEndpoints({ deps, signingAlg, endpoint }: AdminSurroundings): readonly Endpoint[] {
  return [
    endpoint({
      id: 'listKeys',
      method: 'get',
      path: '/admin/keys',
      scope: 'admin:keys:read',
      // Never more than a few: retired ones are removed.
      handle: async () => ({ document: { keys: await listKeys(deps) } }),
      describe: ({ keysDocument }) => ({
        tag: 'Keys',
        summary: 'List the signing keys and what each is at the moment',
        answers: ok('The keys.', { [jsonType]: keysDocument }),
      }),
    }),
    endpoint({
      id: 'rotateKey',
      method: 'post',
      path: '/admin/keys/rotate',
      scope: 'admin:keys',
      once: true,
      handle: async ({ actor }) => ({ document: await rotateKey(deps, signingAlg, actor) }),
      describe: ({ keyDocument }) => ({
        tag: 'Keys',
        summary: 'Add a signing key: published at once, signing when every cache has seen it',
        answers: ok('The key.', { [jsonType]: keyDocument }),
        errors: { key_just_added: 'another process has just added a key' },
      }),
    }),
  ]
}

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
        tag: 'Audit trail',
        summary: 'List what happened, newest first',
        answers: pageOf('Events.', eventsDocument),
      }),
    }),
  ]
}
