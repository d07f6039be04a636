/**
 * Webhooks, as `latchkey webhook` has them. They are of the audit trail: whoever sets one lets what is in it leave by itself, for good. So to
 * change them takes `admin:audit`, which its `:read` form does not imply.
 */
import {
  addWebhook,
  disableWebhook,
  dropOldWebhookSecret,
  enableWebhook,
  listWebhooks,
  readWebhookSettings,
  removeWebhook,
  rotateWebhookSecret,
  type ShownWebhookSecret,
  showWebhook,
  updateWebhook,
  versionOf,
  type WebhookDocument,
} from '../../admin/webhooks.ts'
import { ok } from '../description.ts'
import type { Endpoint } from '../endpoint.ts'
import { jsonType } from '../media_types.ts'
import type { AdminSurroundings } from './admin_endpoint.ts'
import { etagOf, type Reply } from './reply.ts'
import { newWebhook, webhookChange, webhookEnabling, webhookPath, webhookRotation } from './requests.ts'

const one = '/admin/webhooks/{id}'
const write = 'admin:audit'
const read = 'admin:audit:read'
const shared = { tag: 'Audit trail', pathParams: webhookPath } as const
const errors = { not_found: 'there is no webhook whk_517uqrZdsCJBbGU-WPpE5g' } as const
const badMember = { invalid_request: 'url: it takes an https URL' } as const

export function webhookEndpoints(surroundings: AdminSurroundings): readonly Endpoint[] {
  return [...recordEndpoints(surroundings), ...verbEndpoints(surroundings)]
}

function recordEndpoints({ deps, privateWebhooks, endpoint }: AdminSurroundings): readonly Endpoint[] {
  return [
    endpoint({
      id: 'listWebhooks',
      method: 'get',
      path: '/admin/webhooks',
      scope: read,
      // Never more than a few: there is a limit.
      handle: async () => ({ document: { webhooks: await listWebhooks(deps) } }),
      describe: ({ webhooksDocument }) => ({
        tag: 'Audit trail',
        summary: 'List webhooks, and how far each has come',
        answers: ok('Webhooks.', { [jsonType]: webhooksDocument }),
      }),
    }),
    endpoint({
      id: 'createWebhook',
      method: 'post',
      path: '/admin/webhooks',
      scope: write,
      once: true,
      body: newWebhook,
      async handle({ body: { url, types }, actor }) {
        const document = await addWebhook(deps, { url, ...readWebhookSettings({ url, types }, privateWebhooks) }, actor)
        return { ...replyOf(document), created: `/admin/webhooks/${document.id}` }
      },
      describe: ({ webhookDocument }) => ({
        tag: 'Audit trail',
        summary: 'Add a webhook, which gets what happens from now on; shows its secret, once',
        description: 'Standard Webhooks: https://www.standardwebhooks.com.',
        answers: {
          201: { description: 'Added.', content: { [jsonType]: webhookDocument }, headers: ['Location', 'ETag'] },
        },
        errors: { too_many_webhooks: 'there are 32 webhooks, which is the most', ...badMember },
      }),
    }),
    endpoint({
      id: 'showWebhook',
      method: 'get',
      path: one,
      scope: read,
      handle: async ({ id }) => replyOf(await showWebhook(deps, id)),
      describe: ({ webhookDocument }) => ({
        ...shared,
        summary: 'Show a webhook, and how far it has come',
        answers: ok('The webhook.', { [jsonType]: webhookDocument }, 'ETag'),
        errors,
      }),
    }),
    endpoint({
      id: 'updateWebhook',
      method: 'patch',
      path: one,
      scope: write,
      changes: true,
      body: webhookChange,
      handle: async ({ id, body, actor, insist }) =>
        replyOf(await updateWebhook(deps, id, readWebhookSettings(body, privateWebhooks), actor, insist)),
      describe: ({ webhookDocument }) => ({
        ...shared,
        summary: 'Change what is named, from the next event on',
        answers: ok('The webhook.', { [jsonType]: webhookDocument }, 'ETag'),
        errors: { ...errors, ...badMember },
      }),
    }),
    endpoint({
      id: 'removeWebhook',
      method: 'delete',
      path: one,
      scope: write,
      changes: true,
      handle: async ({ id, actor, insist }) => ({ document: await removeWebhook(deps, id, actor, insist) }),
      describe: ({ removedDocument }) => ({
        ...shared,
        summary: 'Remove a webhook',
        answers: ok('Its id.', { [jsonType]: removedDocument }),
        errors,
      }),
    }),
  ]
}

function verbEndpoints({ deps, endpoint }: AdminSurroundings): readonly Endpoint[] {
  return [
    endpoint({
      id: 'rotateWebhookSecret',
      method: 'post',
      path: `${one}/rotate-secret`,
      scope: write,
      changes: true,
      once: true,
      body: webhookRotation,
      handle: async ({ id, body: { now: endOld = false }, actor, insist }) =>
        replyOf(await rotateWebhookSecret(deps, id, endOld, actor, insist)),
      describe: ({ webhookDocument }) => ({
        ...shared,
        summary: 'Add a secret and show it, once; the one before signs as well until the next rotation',
        answers: ok('The webhook.', { [jsonType]: webhookDocument }, 'ETag'),
        errors,
      }),
    }),
    endpoint({
      id: 'dropOldWebhookSecret',
      method: 'post',
      path: `${one}/drop-old-secret`,
      scope: write,
      changes: true,
      handle: async ({ id, actor, insist }) => replyOf(await dropOldWebhookSecret(deps, id, actor, insist)),
      describe: ({ webhookDocument }) => ({
        ...shared,
        summary: 'End the secret before the newest, once the receiver knows that one',
        answers: ok('The webhook.', { [jsonType]: webhookDocument }, 'ETag'),
        errors,
      }),
    }),
    endpoint({
      id: 'disableWebhook',
      method: 'post',
      path: `${one}/disable`,
      scope: write,
      changes: true,
      handle: async ({ id, actor, insist }) => replyOf(await disableWebhook(deps, id, actor, insist)),
      describe: ({ webhookDocument }) => ({
        ...shared,
        summary: 'Send nothing; what happens meanwhile waits in the audit trail',
        answers: ok('The webhook.', { [jsonType]: webhookDocument }, 'ETag'),
        errors,
      }),
    }),
    endpoint({
      id: 'enableWebhook',
      method: 'post',
      path: `${one}/enable`,
      scope: write,
      changes: true,
      body: webhookEnabling,
      handle: async ({ id, body: { from_now: fromNow = false }, actor, insist }) =>
        replyOf(await enableWebhook(deps, id, fromNow, actor, insist)),
      describe: ({ webhookDocument }) => ({
        ...shared,
        summary: 'Begin again, with the first event that was not delivered or with what happens from now on',
        answers: ok('The webhook.', { [jsonType]: webhookDocument }, 'ETag'),
        errors,
      }),
    }),
  ]
}

/** The tag is of what operators set, and stays the same while events are sent. */
function replyOf(document: WebhookDocument & ShownWebhookSecret): Reply {
  return { document, etag: etagOf(versionOf(document)) }
}
