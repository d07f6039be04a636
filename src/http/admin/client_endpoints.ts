/** Clients, as `latchkey client` has them. */
import { z } from 'zod'
import { readClientSettings, readNewClient } from '../../admin/client_settings.ts'
import {
  addClient,
  type ClientDocument,
  dropOldClientSecret,
  listClients,
  removeClient,
  rotateClientSecret,
  type ShownSecret,
  setClientDisabled,
  showClient,
  updateClient,
} from '../../admin/clients.ts'
import { ok } from '../description.ts'
import type { Endpoint } from '../endpoint.ts'
import { jsonType } from '../media_types.ts'
import { type AdminSurroundings, pageOf } from './admin_endpoint.ts'
import { etagOf, type Reply } from './reply.ts'
import {
  clientChange,
  clientsQuery,
  decodeCursor,
  encodeCursor,
  newClient,
  secretRotation,
  thingPath,
} from './requests.ts'

const one = '/admin/clients/{id}'
const write = 'admin:clients'
const read = 'admin:clients:read'
const shared = { tag: 'Clients', pathParams: thingPath } as const
const errors = { not_found: 'there is no client app' } as const
const badMember = { invalid_request: 'grant_types: there are password, refresh_token, client_credentials' } as const

export function clientEndpoints(surroundings: AdminSurroundings): readonly Endpoint[] {
  return [...recordEndpoints(surroundings), ...verbEndpoints(surroundings)]
}

function recordEndpoints({ deps, server, endpoint }: AdminSurroundings): readonly Endpoint[] {
  return [
    endpoint({
      id: 'listClients',
      method: 'get',
      path: '/admin/clients',
      scope: read,
      query: clientsQuery,
      async handle({ query: { limit, cursor } }) {
        const after = decodeCursor(z.string(), cursor) ?? ''
        const left = (await listClients(deps)).filter(({ client_id }) => client_id > after)
        const clients = left.slice(0, limit)
        const next = left.length > limit ? encodeCursor(clients.at(-1)!.client_id) : undefined
        return { document: { clients, next: next ?? null }, next }
      },
      describe: ({ clientsDocument }) => ({
        tag: 'Clients',
        summary: 'List clients, by id',
        answers: pageOf('Clients.', clientsDocument),
      }),
    }),
    endpoint({
      id: 'createClient',
      method: 'post',
      path: '/admin/clients',
      scope: write,
      once: true,
      body: newClient,
      async handle({ body: { client_secret: secret, ...given }, actor }) {
        const document = await addClient(deps, readNewClient(given), { secret, server }, actor)
        return { ...replyOf(document), created: `/admin/clients/${document.client_id}` }
      },
      describe: ({ adminClient }) => ({
        tag: 'Clients',
        summary: 'Add a client; shows the secret of one that has a secret, once',
        description: 'Nobody gives a client a scope of the admin API that the own token has not.',
        answers: {
          201: { description: 'Added.', content: { [jsonType]: adminClient }, headers: ['Location', 'ETag'] },
        },
        errors: { client_exists: 'there is a client app already', ...badMember },
      }),
    }),
    endpoint({
      id: 'showClient',
      method: 'get',
      path: one,
      scope: read,
      handle: async ({ id }) => replyOf(await showClient(deps, id)),
      describe: ({ adminClient }) => ({
        ...shared,
        summary: 'Show a client',
        answers: ok('The client.', { [jsonType]: adminClient }, 'ETag'),
        errors: { not_found: errors.not_found },
      }),
    }),
    endpoint({
      id: 'updateClient',
      method: 'patch',
      path: one,
      scope: write,
      changes: true,
      body: clientChange,
      handle: async ({ id, body, actor, insist }) =>
        replyOf(await updateClient(deps, id, readClientSettings(body), server, actor, insist)),
      describe: ({ adminClient }) => ({
        ...shared,
        summary: 'Change what is named; sessions live on, from their next refresh with what is left',
        answers: ok('The client.', { [jsonType]: adminClient }, 'ETag'),
        errors: { ...errors, ...badMember },
      }),
    }),
    endpoint({
      id: 'removeClient',
      method: 'delete',
      path: one,
      scope: write,
      changes: true,
      handle: async ({ id, actor, insist }) => ({ document: await removeClient(deps, id, actor, insist) }),
      describe: ({ removedDocument }) => ({
        ...shared,
        summary: 'Remove a client with all its sessions',
        answers: ok('Its id.', { [jsonType]: removedDocument }),
        errors,
      }),
    }),
  ]
}

function verbEndpoints({ deps, endpoint }: AdminSurroundings): readonly Endpoint[] {
  return [
    endpoint({
      id: 'rotateClientSecret',
      method: 'post',
      path: `${one}/rotate-secret`,
      scope: write,
      changes: true,
      once: true,
      body: secretRotation,
      handle: async ({ id, body: { client_secret: secret, now: endOld = false }, actor, insist }) =>
        replyOf(await rotateClientSecret(deps, id, { secret, endOld }, actor, insist)),
      describe: ({ adminClient }) => ({
        ...shared,
        summary: 'Add a secret and show it, once; the one before stays good until the next rotation',
        answers: ok('The client.', { [jsonType]: adminClient }, 'ETag'),
        errors: { ...errors, client_has_no_secret: 'app is a public client: it has no secret' },
      }),
    }),
    endpoint({
      id: 'dropOldClientSecret',
      method: 'post',
      path: `${one}/drop-old-secret`,
      scope: write,
      changes: true,
      handle: async ({ id, actor, insist }) => replyOf((await dropOldClientSecret(deps, id, actor, insist)).document),
      describe: ({ adminClient }) => ({
        ...shared,
        summary: 'End the secret before the newest, once nothing uses it any more',
        answers: ok('The client.', { [jsonType]: adminClient }, 'ETag'),
        errors,
      }),
    }),
    ...(['disable', 'enable'] as const).map(verb =>
      endpoint({
        id: `${verb}Client`,
        method: 'post',
        path: `${one}/${verb}`,
        scope: write,
        changes: true,
        handle: async ({ id, actor, insist }) =>
          replyOf(await setClientDisabled(deps, id, verb === 'disable', actor, insist)),
        describe: ({ adminClient }) => ({
          ...shared,
          summary: verb === 'disable' ? 'Refuse every request of a client' : 'Take requests of a disabled client again',
          answers: ok('The client.', { [jsonType]: adminClient }, 'ETag'),
          errors,
        }),
      }),
    ),
  ]
}

/** The tag is of what `showClient` answers. */
function replyOf(document: ClientDocument & ShownSecret & { sessions_touched?: number }): Reply {
  const { client_secret: _, sessions_touched: __, ...client } = document
  return { document, etag: etagOf(client) }
}
