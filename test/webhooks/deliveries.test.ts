/** Events on their way to webhooks, over HTTP: each at least once and in order, whatever its receiver does, and at nobody else's cost. */
import { once } from 'node:events'
import { createServer as createTcpServer } from 'node:net'
import test from 'ava'
import { Webhook as StandardWebhook } from 'standardwebhooks'
import { resealWebhookSecrets } from '../../src/admin/webhooks.ts'
import { type AuditEventType, auditEvent } from '../../src/audit/audit.ts'
import { OAuthError } from '../../src/error.ts'
import { now as realNow } from '../../src/system.ts'
import { createDeliveries } from '../../src/webhooks/deliveries.ts'
import { createSend } from '../../src/webhooks/send.ts'
import { createDatabase, databases, dialect } from '../_databases.ts'
import {
  createClock,
  createTestSecrets,
  type ServerOptions,
  startServer,
  startTime,
  type TestContext,
} from '../_server.ts'
import { startAdminServer } from '../http/admin/_admin.ts'
import { parseMetrics } from '../metrics/_scrape.ts'
import { startReceiver } from './_receiver.ts'

const day = 86_400

/** A server whose program `ops` adds webhooks, and what happens on it. */
async function start(t: TestContext, options?: ServerOptions) {
  const server = await startAdminServer(t, options)
  return {
    ...server,
    async addWebhook(url: string, types?: string[]): Promise<{ id: string; secret: string }> {
      const { status, body } = await server.ask('POST', '/admin/webhooks', { url, ...(types && { types }) })
      if (status !== 201) throw new Error(JSON.stringify(body))
      return body
    },
    async show(id: string) {
      return (await server.ask('GET', `/admin/webhooks/${id}`)).body
    },
    happen: (...types: AuditEventType[]) =>
      server.deps.storage.addAuditEvents(
        types.map((type, i) => auditEvent(type, server.clock.now(), {}, { detail: `${i}` })),
      ),
    async metrics() {
      return parseMetrics((await server.admin.request('/metrics')).body)
    },
  }
}

test('what happens from then on is sent once, in order, and of its types alone; a library of Standard Webhooks takes it', async t => {
  const server = await start(t, { clock: createClock(realNow()) })
  const [all, users] = [await startReceiver(t), await startReceiver(t)]
  await server.happen('user.created')
  const { secret } = await server.addWebhook(all.url)
  await server.addWebhook(users.url, ['user', 'key.created'])
  await server.happen('user.updated', 'session.created', 'key.created', 'user.removed')
  await server.deliver()
  await server.deliver()

  const own: AuditEventType[] = ['webhook.created', 'webhook.created']
  t.deepEqual(all.types(), [...own, 'user.updated', 'session.created', 'key.created', 'user.removed'])
  t.deepEqual(users.types(), ['user.updated', 'key.created', 'user.removed'])
  const verifier = new StandardWebhook(secret)
  for (const { headers, body, event } of all.received) {
    t.deepEqual(verifier.verify(body, headers), event)
    t.is(headers['webhook-id'], event.data.id)
    t.is(headers['content-type'], 'application/json')
    t.throws(() => verifier.verify(body.replace('"at":1', '"at":2'), headers))
    t.throws(() => verifier.verify(body, { ...headers, 'webhook-id': 'evt_0_0' }))
  }
  t.is(new Set(all.received.map(({ headers }) => headers['webhook-id'])).size, 6)
  // The same as by the other way.
  const { events } = (await server.ask('GET', '/admin/events?type=user&limit=1000')).body
  t.deepEqual(users.received.at(-1)!.event.data, events.at(-1))
})

test('an event that is not taken is sent again with its id and a new time, after a pause; what comes after it waits, and comes in order', async t => {
  const server = await start(t)
  const receiver = await startReceiver(t)
  const { id } = await server.addWebhook(receiver.url, ['user'])
  await server.happen('user.created', 'user.removed')
  receiver.answerWith(500)
  await server.deliver()
  await server.deliver()
  t.is(receiver.received.length, 1)
  t.like(await server.show(id), {
    state: 'retrying',
    attempts: 1,
    failing_since: startTime,
    last_error: 'it answered 500',
  })
  server.clock.advance(8)
  receiver.answerWith(503, { 'retry-after': '120' })
  await server.deliver()
  t.is((await server.show(id)).next_attempt_at, startTime + 128)
  server.clock.advance(119)
  await server.deliver()
  t.is(receiver.received.length, 2)
  server.clock.advance(1)
  receiver.answerWith(204)
  await server.deliver()

  const ids = receiver.received.map(({ headers }) => headers['webhook-id'])
  t.deepEqual(ids, [ids[0], ids[0], ids[0], ids[3]])
  t.deepEqual(receiver.types(), ['user.created', 'user.created', 'user.created', 'user.removed'])
  t.is(new Set(receiver.received.map(({ headers }) => headers['webhook-signature'])).size, 4)
  t.is(receiver.received[2]!.headers['webhook-timestamp'], String(startTime + 128))
  await server.renew()
  t.like(await server.show(id), { state: 'live', attempts: 0, failing_since: null, last_error: null })
  const metrics = await server.metrics()
  t.is(metrics.get('latchkey_webhook_deliveries_total{outcome="refused"}'), 2)
  t.is(metrics.get('latchkey_webhook_deliveries_total{outcome="delivered"}'), 2)
})

test('a receiver that hangs holds up neither the others nor a refresh, and is given up after ten seconds', async t => {
  const server = await start(t)
  const [hanging, good] = [await startReceiver(t, () => {}), await startReceiver(t)]
  const { id } = await server.addWebhook(hanging.url, ['user'])
  await server.addWebhook(good.url, ['user'])
  await server.happen('user.created', 'user.removed')
  const began = performance.now()
  await server.deliveries.step()
  while (good.received.length < 2) await new Promise(resolve => setTimeout(resolve, 10))
  const { refresh_token } = await server.signIn()
  t.is((await server.refresh(refresh_token)).status, 200)
  t.true(performance.now() - began < 9000, 'it is still under way')
  t.is(hanging.received.length, 1)
  server.clock.advance(7)
  t.is((await server.metrics()).get('latchkey_webhook_lag_seconds'), 7)
  await server.deliveries.settled()
  t.true(performance.now() - began > 9000)
  t.like(await server.show(id), { attempts: 1, last_error: 'it has not answered within 10 seconds' })
  t.is((await server.metrics()).get('latchkey_webhook_deliveries_total{outcome="timed_out"}'), 1)
})

test('no redirect is followed, no answer is read to an end that it does not have, and what the receiver says is kept nowhere', async t => {
  const server = await start(t)
  const elsewhere = await startReceiver(t)
  const receiver = await startReceiver(t)
  const { id } = await server.addWebhook(receiver.url, ['user'])
  await server.happen('user.created')
  for (const status of [301, 302, 307, 308]) {
    receiver.answerWith(status, { location: elsewhere.url })
    await server.deliver()
    t.is((await server.show(id)).last_error, `it answered ${status}`)
    server.clock.advance(60)
  }
  let written = 0
  let isClosed = false
  receiver.answerBy((_request, response) => {
    response.writeHead(200)
    const more = () => {
      while (!isClosed && response.write('x'.repeat(65_536))) written += 65_536
    }
    response.on('drain', more)
    response.on('close', () => (isClosed = true))
    more()
  })
  await server.deliver()
  while (!isClosed) await new Promise(resolve => setTimeout(resolve, 10))
  t.true(written < 64 * 1024 * 1024)
  t.like(await server.show(id), { state: 'live', last_error: null })
  t.is(elsewhere.received.length, 0)
})

test('without LATCHKEY_PRIVATE_WEBHOOKS no address of a private network is connected to, also by a name or a redirect to it (SSRF, CWE-918)', async t => {
  const server = await start(t, { privateWebhooks: false })
  let connections = 0
  const peer = createTcpServer(socket => {
    connections++
    socket.destroy()
  })
  peer.listen(0, '127.0.0.1')
  await once(peer, 'listening')
  t.teardown(() => peer.close())
  const { port } = peer.address() as { port: number }
  const ids = []
  for (const host of [
    '127.0.0.1',
    'localhost',
    '10.0.0.1',
    '169.254.169.254',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '0.0.0.0',
  ])
    ids.push((await server.addWebhook(`https://${host}:${port}/`, ['user'])).id)
  t.is((await server.ask('POST', '/admin/webhooks', { url: `http://127.0.0.1:${port}/` })).status, 400)
  await server.happen('user.created')
  await server.deliver()
  for (const id of ids) t.regex((await server.show(id)).last_error, /^it cannot be reached: .*not allowed/)
  t.is(connections, 0)
  t.is((await server.metrics()).get('latchkey_webhook_deliveries_total{outcome="unreachable"}'), ids.length)

  const trusting = await start(t)
  await trusting.addWebhook(`https://127.0.0.1:${port}/`, ['user'])
  await trusting.happen('user.created')
  await trusting.deliver()
  t.is(connections, 1, 'where it is allowed, it is tried')
})

test('after three days a webhook is given up, and an event says so; what it missed waits, and comes when it is enabled, or is left out if told', async t => {
  const server = await start(t)
  const receiver = await startReceiver(t)
  const { id } = await server.addWebhook(receiver.url, ['user'])
  const other = await startReceiver(t)
  await server.addWebhook(other.url, ['webhook'])
  receiver.answerWith(500)
  await server.happen('user.created')
  let attempts = 0
  for (let hours = 0; hours < 74; hours++) {
    await server.deliver()
    server.clock.advance(4600)
    attempts = receiver.received.length
  }
  await server.renew()
  const given = await server.show(id)
  t.like(given, { state: 'failed', attempts })
  t.true(attempts > 50 && attempts < 100, `${attempts}`)
  t.true(given.failed_at - given.failing_since >= 3 * day)
  const [event] = await server.deps.storage.listAuditEvents(1, { type: 'webhook.failed' })
  t.is(event!.detail, `${id}: it answered 500`)
  await server.deliver()
  t.is(other.types().at(-1), 'webhook.failed')
  t.is((await server.metrics()).get('latchkey_webhooks_failed'), 1)

  await server.happen('user.updated', 'user.removed')
  receiver.answerWith(200)
  await server.deliver()
  t.is(receiver.received.length, attempts)
  t.is((await server.ask('POST', `/admin/webhooks/${id}/enable`, {})).body.state, 'live')
  await server.deliver()
  t.deepEqual(receiver.types().slice(attempts), ['user.created', 'user.updated', 'user.removed'])

  await server.ask('POST', `/admin/webhooks/${id}/disable`)
  await server.happen('user.created')
  await server.deliver()
  t.is((await server.ask('POST', `/admin/webhooks/${id}/enable`, { from_now: true })).body.state, 'live')
  await server.happen('user.removed')
  await server.deliver()
  t.deepEqual(receiver.types().slice(attempts + 3), ['user.removed'])
})

test('410 gives a webhook up at once (Standard Webhooks, delivery success and failure)', async t => {
  const server = await start(t)
  const receiver = await startReceiver(t)
  const { id } = await server.addWebhook(receiver.url, ['user'])
  receiver.answerWith(410)
  await server.happen('user.created')
  await server.deliver()
  t.like(await server.show(id), { state: 'failed', last_error: 'it answered 410' })
})

test('two secrets sign while one is replaced, and one afterwards; in the database none can be read, and secret rotate keeps them', async t => {
  const database = await createDatabase(t)
  const clock = createClock(realNow())
  const secrets = createTestSecrets('old')
  const server = await start(t, { storage: await database.open(), clock, secrets })
  const receiver = await startReceiver(t)
  const { id, secret: first } = await server.addWebhook(receiver.url, ['user'])
  const takes = async (secret: string) => {
    await server.happen('user.updated')
    await server.deliver()
    const { headers, body } = receiver.received.at(-1)!
    try {
      return new StandardWebhook(secret).verify(body, headers) !== undefined
    } catch {
      return false
    }
  }
  t.true(await takes(first))
  const { secret: second } = (await server.ask('POST', `/admin/webhooks/${id}/rotate-secret`, {})).body
  t.deepEqual([await takes(first), await takes(second)], [true, true])
  t.is(receiver.received.at(-1)!.headers['webhook-signature']!.split(' ').length, 2)
  t.is((await server.ask('POST', `/admin/webhooks/${id}/drop-old-secret`)).body.secrets, 1)
  t.deepEqual([await takes(first), await takes(second)], [false, true])
  const { secret: third } = (await server.ask('POST', `/admin/webhooks/${id}/rotate-secret`, { now: true })).body
  t.deepEqual([await takes(second), await takes(third)], [false, true])

  const rows = JSON.stringify(await database.query('SELECT * FROM webhooks'))
  for (const secret of [first, second, third]) t.false(rows.includes(secret.slice('whsec_'.length, -1)))
  await server.deliveries.stop()

  const both = createTestSecrets('new', 'old')
  const { storage } = server.deps
  t.is(await resealWebhookSecrets({ storage, secrets: async () => both, randomBytes: server.deps.randomBytes }), 1)
  t.is(await resealWebhookSecrets({ storage, secrets: async () => both, randomBytes: server.deps.randomBytes }), 0)
  const deps = { ...server.deps, secrets: createTestSecrets('new') }
  const later = createDeliveries(deps, createSend(true), () => {})
  await server.happen('user.removed')
  await later.step()
  await later.settled()
  const { headers, body } = receiver.received.at(-1)!
  t.is((new StandardWebhook(third).verify(body, headers) as { type: string }).type, 'user.removed')
})

test('while the database takes no write an event is sent once, not again and again, and nothing after it; then all goes on', async t => {
  const server = await start(t)
  const receiver = await startReceiver(t)
  await server.addWebhook(receiver.url, ['user'])
  const { storage } = server.deps
  const { changeWebhook, takeLease } = storage
  const busy = async () => Promise.reject(new OAuthError('temporarily_unavailable', 'the disk is full'))
  for (const status of [200, 500]) {
    receiver.answerWith(status)
    const before = receiver.received.length
    await server.happen('user.created')
    Object.assign(storage, { changeWebhook: busy })
    for (let i = 0; i < 5; i++) {
      await server.deliver()
      server.clock.advance(1)
    }
    t.is(receiver.received.length, before + 1, `${status}`)
    await server.happen('user.removed')
    await server.deliver()
    t.is(receiver.received.length, before + 1)
    Object.assign(storage, { changeWebhook })
    receiver.answerWith(200)
    server.clock.advance(10)
    await server.deliver()
    t.deepEqual(
      receiver.types().slice(before + 1),
      status === 200 ? ['user.removed'] : ['user.created', 'user.removed'],
    )
  }
  Object.assign(storage, { takeLease: busy })
  server.clock.advance(60)
  await server.happen('user.created')
  const before = receiver.received.length
  await t.throwsAsync(server.deliver())
  t.is(receiver.received.length, before)
  Object.assign(storage, { takeLease })
  await server.deliver()
  t.is(receiver.received.length, before + 1)
})

for (const name of dialect === 'sqlite' ? (['sqlite', 'postgres'] as const) : []) {
  test(`${name}: of two nodes one sends, each event once; the other goes on where it was when that one stops, or is lost`, async t => {
    const database = await databases[name](t)
    const clock = createClock()
    const first = await start(t, { storage: await database.open(), clock })
    const { signingKey } = first
    const receiver = await startReceiver(t)
    await first.addWebhook(receiver.url, ['user'])
    const second = await startServer(t, { storage: await database.open(), clock, beside: { signingKey } })
    const deliver = () => Promise.all([first, second].map(node => node.deliver()))
    await first.deliver()
    for (let i = 0; i < 5; i++) {
      await first.happen('user.created')
      await deliver()
    }
    t.is(receiver.received.length, 5)
    t.is(second.deliveries.state().lag, undefined)
    t.is(first.deliveries.state().lag, 0)

    await first.deliveries.stop()
    await first.happen('user.updated')
    await second.deliver()
    t.is(receiver.received.length, 6)

    // A node that is lost keeps its lease until that has run out.
    const own = { title: 'third', teardown: (end: () => void) => t.teardown(end) }
    const third = await startServer(own, { storage: await database.open(), clock, beside: { signingKey } })
    await first.happen('user.removed')
    await third.deliver()
    t.is(receiver.received.length, 6)
    clock.advance(31)
    await third.deliver()
    t.is(receiver.received.length, 7)
    await second.deliver()
    t.is(receiver.received.length, 7)
  })
}

test('a webhook that is changed, disabled or removed while its receiver is slow gets nothing more by its old settings', async t => {
  const server = await start(t)
  const [slow, next] = [await startReceiver(t, () => {}), await startReceiver(t)]
  const { id } = await server.addWebhook(slow.url, ['user'])
  const answers: (() => void)[] = []
  slow.answerBy((_request, response) => void answers.push(() => response.end()))
  await server.happen('user.created', 'user.updated', 'user.removed')
  await server.deliveries.step()
  while (answers.length < 1) await new Promise(resolve => setTimeout(resolve, 10))
  await server.ask('PATCH', `/admin/webhooks/${id}`, { url: next.url })
  await new Promise(resolve => setTimeout(resolve, 1100))
  answers[0]!()
  await server.deliveries.settled()
  await server.deliver()
  t.deepEqual(slow.types(), ['user.created'])
  t.deepEqual(next.types(), ['user.updated', 'user.removed'])
  await server.ask('DELETE', `/admin/webhooks/${id}`)
  await server.happen('user.created')
  await server.deliver()
  t.is(next.received.length, 2)
})
