/** Links to another password that operators' programs get, as `latchkey user reset-link` prints them. */
import test from 'ava'
import { parseLink } from '../../../src/mail/link.ts'
import { issuer } from '../../_server.ts'
import { startAdminServer } from './_admin.ts'

test('a program gets a link for a user, which is audited and in no log; its lifetime is bounded', async t => {
  const lines: string[] = []
  const server = await startAdminServer(t, { onLog: line => lines.push(line) })
  const path = `/admin/users/${server.aliceId}/reset-link`
  const { status, body } = await server.ask('POST', path, {})
  t.is(status, 200)
  t.deepEqual(body, { username: 'alice', link: body.link, expires_at: server.clock.now() + 1800 })
  const [, token = ''] =
    /^(?:https:\/\/auth\.example\.com\/mail\/password_reset\?token=)(lkm_[\w-]+)$/.exec(body.link) ?? []
  t.true(body.link.startsWith(issuer))
  t.like(parseLink(token, 'password_reset', server.deps.secrets), {
    userId: server.aliceId,
    address: 'alice@example.com',
    expiresAt: body.expires_at,
  })
  const hour = await server.ask('POST', path, { lifetime: 3600 })
  t.is(hour.body.expires_at, server.clock.now() + 3600)
  const [event] = await server.deps.storage.listAuditEvents(1, { type: 'user.reset_link_created' })
  t.like(event, { userId: server.aliceId, detail: 'client ops' })
  for (const lifetime of [59, 86_401, 60.5, '60']) t.is((await server.ask('POST', path, { lifetime })).status, 400)
  t.is((await server.ask('POST', '/admin/users/usr_none/reset-link', {})).status, 404)
  t.is((await server.ask('POST', `/admin/users/${server.aliceId}/disable`)).status, 200)
  const disabled = await server.ask('POST', path, {})
  t.deepEqual([disabled.status, disabled.body.error], [409, 'user_disabled'])
  t.false(lines.some(line => line.includes('lkm_')))
})

test('it needs admin:users', async t => {
  const server = await startAdminServer(t)
  await server.addProgram('reader', ['admin:users:read'])
  const path = `/admin/users/${server.aliceId}/reset-link`
  t.is((await server.ask('POST', path, {}, {}, await server.tokenOf('reader'))).status, 403)
  t.is((await server.ask('POST', path, {})).status, 200)
})
