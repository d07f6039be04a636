/** Notices to the owners of accounts, from what happens to a mail: what is told, to whom, how often, and by one node. */
import test from 'ava'
import { createNotices } from '../../src/accounts/notices.ts'
import { auditEvent } from '../../src/audit/audit.ts'
import { readConfig } from '../../src/config.ts'
import { createMail, maxMailsBesideNotices } from '../../src/mail/mail.ts'
import { password, type ServerOptions, startServer, type TestContext } from '../_server.ts'
import { startSmtp } from '../_smtp.ts'

/** A server with alice, bob without an address and carol, who is disabled, whose notices begin now. */
async function start(t: TestContext, options: ServerOptions = {}) {
  const smtp = await startSmtp(t)
  const server = await startServer(t, { smtp, ...options })
  await server.addClient()
  const aliceId = await server.addUser({ email: 'alice@example.com' })
  const bobId = await server.addUser({ username: 'bob' })
  const carolId = await server.addUser({
    username: 'carol',
    email: 'carol@example.com',
    disabledAt: server.clock.now(),
  })
  await server.tellOwners()
  return {
    ...server,
    smtp,
    aliceId,
    bobId,
    carolId,
    /** What was mailed since, by subject. */
    async told(): Promise<string[]> {
      await server.tellOwners()
      await server.sendMails()
      return smtp.received.splice(0).map(({ subject }) => subject)
    },
    happen: (...types: Parameters<typeof auditEvent>[0][]) =>
      server.deps.storage.addAuditEvents(
        types.map(type => auditEvent(type, server.clock.now(), { ip: '192.0.2.7' }, { userId: aliceId })),
      ),
  }
}

const from = (userAgent: string) => ({ 'user-agent': userAgent })
const signIn = { grant_type: 'password', client_id: 'app', username: 'alice', password }

test('a change of the password, a reused refresh token, a first factor and the like are told once, with time and place and no token', async t => {
  const server = await start(t)
  const { access_token, refresh_token } = (await server.token(signIn, from('curl/8.0'))).body
  const changed = await server.request('/users/me/password', {
    method: 'PUT',
    headers: server.bearer(access_token),
    body: new URLSearchParams({ current_password: password, new_password: 'seven lamps over the harbour' }),
  })
  t.is(changed.status, 200)
  await server.tellOwners()
  await server.sendMails()
  const [mail, ...others] = server.smtp.received.splice(0)
  t.deepEqual(others, [])
  t.deepEqual([mail!.subject, mail!.to], ['Your auth.example.com password was changed', ['alice@example.com']])
  t.regex(mail!.text, /Time: 15 January 2027 at \d\d:\d\d UTC/)
  t.regex(mail!.text, /Network: 127\.0\.0\.1/)
  t.is(mail!.link, undefined)
  for (const secret of [access_token, refresh_token, changed.body.refresh_token]) t.false(mail!.source.includes(secret))
  t.deepEqual(await server.told(), [])

  await server.happen('user.email_changed')
  await server.tellOwners()
  await server.sendMails()
  t.regex(server.smtp.received.splice(0)[0]!.text, /is now a\*\*\*@example\.com/)
  await server.happen('session.reused', 'factor.added', 'factor.guessed', 'user.renamed')
  t.deepEqual((await server.told()).toSorted(), [
    'A device was signed out of your auth.example.com account',
    'How you sign in to auth.example.com has changed',
    'Wrong codes for your auth.example.com account',
    'Your auth.example.com username was changed',
  ])
})

test('a sign-in by a new device from a new network is told; the first one is not, nor a device or a network that is known', async t => {
  const server = await start(t, { http: { trustProxy: readConfig({ LATCHKEY_TRUST_PROXY: '127.0.0.1' }).trustProxy } })
  const come = async (ip: string, userAgent: string) => {
    const headers = { ...from(userAgent), 'x-forwarded-for': ip }
    t.is((await server.token(signIn, headers)).status, 200)
    return server.told()
  }
  t.deepEqual(await come('192.0.2.1', 'curl/8.0'), [])
  t.deepEqual(await come('192.0.2.1', 'Wget/1.2'), [])
  t.deepEqual(await come('198.51.100.1', 'curl/9.0'), [])
  t.deepEqual(await come('203.0.113.1', 'node'), ['New sign-in to your auth.example.com account'])
  t.deepEqual(await come('203.0.113.1', 'node'), [])
})

test('nobody is told who has no address or is disabled, nor what operators have turned off, nor what is two days old', async t => {
  const server = await start(t, { notices: ['password_changed'] })
  const at = server.clock.now()
  const happened = (userId: string, when = at) => auditEvent('user.password_changed', when, {}, { userId })
  const { storage } = server.deps
  await storage.addAuditEvents([happened(server.bobId), happened(server.carolId), happened('usr_gone')])
  await storage.addAuditEvents([happened(server.aliceId, at - 2 * 86_400 - 1)])
  await server.happen('session.reused', 'factor.guessed')
  t.deepEqual(await server.told(), [])
  await storage.addAuditEvents([happened(server.aliceId)])
  t.is((await server.told()).length, 1)
})

test('of one kind a user gets three notices an hour, however often it happens, and another kind is told all the same', async t => {
  const server = await start(t)
  await server.happen(...Array.from({ length: 250 }, () => 'session.reused' as const), 'factor.guessed')
  t.is((await server.told()).length, 4)
  server.clock.advance(3601)
  await server.happen('session.reused')
  t.is((await server.told()).length, 1)
})

test('what happened before notices began is not told; of two nodes one tells, and the other goes on when that has stopped', async t => {
  const smtp = await startSmtp(t)
  const server = await startServer(t, { smtp })
  const userId = await server.addUser({ email: 'alice@example.com' })
  const { storage } = server.deps
  const happen = () => storage.addAuditEvents([auditEvent('session.reused', server.clock.now(), {}, { userId })])
  const waiting = async () => (await storage.measureMails()).count
  await happen()
  const [one, other] = [0, 1].map(() => createNotices(server.deps, ['refresh_token_reused'], () => {}))
  await one!.step()
  t.is(await waiting(), 0)
  await happen()
  await Promise.all([one!.step(), other!.step(), one!.step(), other!.step()])
  t.is(await waiting(), 1)
  await one!.stop()
  await happen()
  await one!.step()
  t.is(await waiting(), 1)
  await other!.step()
  t.is(await waiting(), 2)
  await other!.stop()
})

test('notices wait while half of the outbox is full, and lose nothing of their allowance by that', async t => {
  const server = await start(t)
  const { storage } = server.deps
  const place = { id: 1, at: 1 }
  const guests = Array.from({ length: maxMailsBesideNotices }, () => createMail('invitation', {}, server.deps))
  await storage.moveTrailReader('a test', undefined, place, guests)
  await server.happen('session.reused', 'session.reused', 'session.reused')
  for (let step = 0; step < 4; step++) await server.tellOwners()
  t.is((await storage.measureMails()).count, maxMailsBesideNotices)
  await storage.removeMail(guests[0]!.id)
  await server.tellOwners()
  t.is((await storage.measureMails()).count, maxMailsBesideNotices + 2)
})
