/** Webhooks by the admin API: who may set one, what it shows, and what is refused. Delivery is in test/webhooks/. */
import test from 'ava'
import { maxWebhooks } from '../../../src/webhooks/webhook.ts'
import { startTime } from '../../_server.ts'
import { startReceiver } from '../../webhooks/_receiver.ts'
import { startAdminServer } from './_admin.ts'

const url = 'https://crm.example.com/hook'

test('a webhook is added, shown, changed, disabled, enabled and removed; its secret is in the answer that makes it and in no other', async t => {
  const server = await startAdminServer(t)
  const created = await server.ask('POST', '/admin/webhooks', { url, types: ['user', 'user', 'session.reused'] })
  const { secret, ...webhook } = created.body
  t.is(created.status, 201)
  t.is(created.headers.get('location'), `/admin/webhooks/${webhook.id}`)
  t.regex(secret, /^whsec_[\w+/]{43}=$/)
  t.like(webhook, {
    url,
    types: ['user', 'session.reused'],
    secrets: 1,
    state: 'live',
    created_at: startTime,
    disabled_at: null,
    delivered_to_at: startTime,
  })
  const at = `/admin/webhooks/${webhook.id}`
  t.deepEqual((await server.ask('GET', at)).body, webhook)
  t.deepEqual((await server.ask('GET', '/admin/webhooks')).body, { webhooks: [webhook] })
  t.like((await server.ask('PATCH', at, { types: [] })).body, { url, types: [] })
  t.like((await server.ask('POST', `${at}/disable`)).body, { state: 'disabled', disabled_at: startTime })
  t.like((await server.ask('POST', `${at}/enable`, {})).body, { state: 'live', disabled_at: null })
  t.like((await server.ask('POST', `${at}/rotate-secret`, {})).body, { secrets: 2 })
  t.deepEqual((await server.ask('DELETE', at)).body, { removed: webhook.id })
  t.is((await server.ask('GET', at)).status, 404)
  t.is((await server.ask('DELETE', at)).status, 404)
  const events = await server.deps.storage.listAuditEvents(100, { type: 'webhook' })
  t.deepEqual(events.map(({ type, detail }) => `${type} ${detail}`.replaceAll(webhook.id, 'it')).toReversed(), [
    'webhook.created client ops: it',
    'webhook.updated client ops: it types',
    'webhook.disabled client ops: it',
    'webhook.enabled client ops: it',
    'webhook.secret_rotated client ops: it',
    'webhook.removed client ops: it',
  ])
})

test('to change a webhook takes admin:audit, to look at one its :read form', async t => {
  const server = await startAdminServer(t)
  await server.addProgram('reader', ['admin:audit:read'])
  const as = await server.tokenOf('reader')
  t.is((await server.ask('POST', '/admin/webhooks', { url }, {}, as)).status, 403)
  const { id } = (await server.ask('POST', '/admin/webhooks', { url })).body
  t.is((await server.ask('GET', `/admin/webhooks/${id}`, undefined, {}, as)).status, 200)
  for (const [method, verb, body] of [
    ['PATCH', '', { url }],
    ['POST', '/rotate-secret', {}],
    ['POST', '/drop-old-secret', undefined],
    ['POST', '/disable', undefined],
    ['POST', '/enable', {}],
    ['DELETE', '', undefined],
  ] as const)
    t.is((await server.ask(method, `/admin/webhooks/${id}${verb}`, body, {}, as)).status, 403, verb)
})

test('what cannot be is refused by the name of its member; there are so many webhooks and no more', async t => {
  const server = await startAdminServer(t)
  const problem = async (body: object) => {
    const answer = await server.ask('POST', '/admin/webhooks', body)
    return [answer.status, answer.body.error, answer.body.error_description?.split(':')[0]]
  }
  for (const bad of [
    'http://crm.example.com/',
    'https://a:b@crm.example.com/',
    'x',
    `https://a.example/${'x'.repeat(2048)}`,
  ])
    t.deepEqual(await problem({ url: bad }), [400, 'invalid_request', 'url'], bad)
  t.deepEqual(await problem({ url, types: ['user', 'nothing'] }), [400, 'invalid_request', 'types nothing'])
  t.deepEqual(await problem({ url, types: Array.from({ length: 51 }, () => 'user') }), [
    400,
    'invalid_request',
    'types',
  ])
  t.is((await problem({ types: ['user'] }))[0], 400)
  for (let i = 0; i < maxWebhooks; i++) t.is((await server.ask('POST', '/admin/webhooks', { url })).status, 201)
  t.deepEqual((await problem({ url })).slice(0, 2), [409, 'too_many_webhooks'])
})

test('the ETag is of what operators set: events that are sent meanwhile make no If-Match stale, a change does (RFC 9110 §13.1.1)', async t => {
  const server = await startAdminServer(t)
  const receiver = await startReceiver(t)
  const { id } = (await server.ask('POST', '/admin/webhooks', { url: receiver.url })).body
  const at = `/admin/webhooks/${id}`
  const etag = (await server.ask('GET', at)).headers.get('etag')!
  server.clock.advance(1)
  await server.signIn()
  await server.deliver()
  t.true(receiver.received.length > 0)
  t.is((await server.ask('GET', at)).headers.get('etag'), etag)
  const changed = await server.ask('PATCH', at, { types: ['user'] }, { 'if-match': etag })
  t.is(changed.status, 200)
  for (const [method, verb, body] of [
    ['PATCH', '', { types: [] }],
    ['POST', '/rotate-secret', {}],
    ['POST', '/disable', undefined],
    ['DELETE', '', undefined],
  ] as const) {
    const answer = await server.ask(method, at + verb, body, { 'if-match': etag })
    t.deepEqual([answer.status, answer.body.error], [412, 'precondition_failed'], verb)
  }
  t.is((await server.ask('DELETE', at, undefined, { 'if-match': changed.headers.get('etag')! })).status, 200)
})
