/** `GET /admin/events`: the audit trail forward, for programs that keep up with it. */
import test from 'ava'
import { type AuditEventType, auditEvent } from '../../../src/audit/audit.ts'
import { startTime } from '../../_server.ts'
import { startAdminServer } from './_admin.ts'

type Followed = { id: string; type: string; at: number }

test('who goes on with `next` gets every event once, in order, by pages of any size, and is told when to ask on', async t => {
  const server = await startAdminServer(t)
  const { storage } = server.deps
  const types = Array.from(
    { length: 25 },
    (_, i): AuditEventType => (i % 3 === 0 ? 'session.created' : 'session.revoked'),
  )
  await storage.addAuditEvents(types.map((type, i) => auditEvent(type, startTime + i, {}, { sessionId: `s${i}` })))
  const all = (await server.ask('GET', '/admin/events?limit=1000')).body
  t.deepEqual([all.more, all.gap], [false, false])
  t.deepEqual(
    all.events.map(({ type }: Followed) => type),
    (await storage.listAuditEvents(1000)).map(({ type }) => type).toReversed(),
  )
  const seen: Followed[] = []
  let after = ''
  for (let more = true; more; ) {
    const { body } = await server.ask('GET', `/admin/events?limit=7${after}`)
    t.true(body.events.length <= 7)
    seen.push(...body.events)
    ;({ more } = body)
    after = `&after=${body.next}`
  }
  t.deepEqual(seen, all.events)
  t.is(new Set(seen.map(({ id }) => id)).size, seen.length)

  const idle = (await server.ask('GET', `/admin/events?limit=7${after}`)).body
  t.deepEqual({ ...idle, next: undefined }, { events: [], next: undefined, more: false, gap: false })
  t.is(`&after=${idle.next}`, after)
  await server.ask('POST', '/admin/users', { username: 'bob', password: 'seven lamps over the harbour' })
  const later = (await server.ask('GET', `/admin/events?limit=7${after}`)).body
  t.deepEqual(
    later.events.map(({ type }: Followed) => type),
    ['user.created'],
  )
  t.regex(later.events[0].id, /^evt_\d+_1800000000$/)
  t.regex(later.events[0].detail, /^client ops/)
})

test('events of one type, or of all that begin so, come by the same cursor, which moves past the others', async t => {
  const server = await startAdminServer(t)
  const noise = Array.from({ length: 1100 }, () => auditEvent('session.created', startTime, {}))
  await server.deps.storage.addAuditEvents([...noise, auditEvent('user.removed', startTime, {}, { userId: 'usr_x' })])
  const first = (await server.ask('GET', '/admin/events?type=user.removed')).body
  t.deepEqual([first.events, first.more], [[], true])
  const second = (await server.ask('GET', `/admin/events?type=user&after=${first.next}`)).body
  t.deepEqual([second.events.length, second.events[0].user_id, second.more], [1, 'usr_x', false])
  t.is((await server.ask('GET', '/admin/events?type=user&limit=1')).body.events.length, 1)
  for (const query of ['type=nothing', 'after=x', 'limit=0', 'limit=1001', 'cursor=x', 'since=1'])
    t.is((await server.ask('GET', `/admin/events?${query}`)).status, 400, query)
})

test('what was pruned before it was read is said, and a cursor of another database is refused', async t => {
  const server = await startAdminServer(t)
  const { storage } = server.deps
  const { next } = (await server.ask('GET', '/admin/events?limit=1')).body
  await storage.addAuditEvents([auditEvent('session.created', startTime + 100, {})])
  t.false((await server.ask('GET', `/admin/events?after=${next}`)).body.gap)
  await storage.pruneAuditEvents(startTime + 50)
  const { events, gap } = (await server.ask('GET', `/admin/events?after=${next}`)).body
  t.deepEqual([events.length, gap], [1, true])
  t.false((await server.ask('GET', '/admin/events')).body.gap)

  const other = await startAdminServer(t)
  const foreign = (await server.ask('GET', '/admin/events')).body.next
  const answer = await other.ask('GET', `/admin/events?after=${foreign}`)
  t.deepEqual([answer.status, answer.body.error], [400, 'invalid_request'])
  t.regex(answer.body.error_description, /^after: .*restored/)
})

test('it takes the scope admin:audit or its :read form', async t => {
  const server = await startAdminServer(t)
  await server.addProgram('reader', ['admin:audit:read'])
  await server.addProgram('other', ['admin:users'])
  const ask = async (id: string) =>
    (await server.ask('GET', '/admin/events', undefined, {}, await server.tokenOf(id))).status
  t.deepEqual([await ask('ops'), await ask('reader'), await ask('other')], [200, 200, 403])
})
