/** The mail that takes a deletion back: its link changes nothing before its button, and enables nobody else. */
import test, { type ExecutionContext } from 'ava'
import { removeDeletedUsers } from '../../src/accounts/deletion.ts'
import { setUserDisabled } from '../../src/admin/users.ts'
import { ofPage, stateOf } from '../_cookies.ts'
import { heading } from '../_pages.ts'
import { type Answer, issuer, startServerWithAlice, startTime, type TestServer } from '../_server.ts'
import { startSmtp } from '../_smtp.ts'

const path = '/mail/deletion_notice'

/** Alice wants to be deleted. @returns what the mail says, and the answers to its link */
async function startDeletion(t: ExecutionContext) {
  const smtp = await startSmtp(t)
  const server = await startServerWithAlice(t, { smtp, oauth: { hasMail: true } })
  const { body } = await remove(server)
  await server.sendMails()
  const [mail] = smtp.received
  const link = mail!.link!.replace(issuer, '')
  return { server, smtp, mail: mail!, deletion: body, link, ...pagesOf(server, link) }
}

async function remove(server: TestServer): Promise<Answer> {
  const { access_token: token } = await server.signIn()
  return server.request('/users/me', { method: 'DELETE', headers: server.bearer(token) })
}

function pagesOf(server: TestServer, link: string) {
  async function headers() {
    const opened = await server.request(link, { headers: ofPage })
    return {
      ...ofPage,
      cookie: opened.headers
        .getSetCookie()
        .map(cookie => cookie.split(';')[0])
        .join('; '),
    }
  }
  return {
    open: async () => server.request(path, { headers: await headers() }),
    press: async () => server.post(path, {}, await headers()),
  }
}

const disable = ({ deps, clock }: TestServer, isDisabled: boolean) =>
  setUserDisabled({ storage: deps.storage, now: clock.now }, 'alice', isDisabled, { name: 'root' })

test('the mail says until when, and its link leads to a button; looking at it changes nothing, however often', async t => {
  const { server, mail, deletion, link, open, press } = await startDeletion(t)
  t.deepEqual(deletion, { delete_at: startTime + 7 * 86_400, mailed: true })
  t.deepEqual(mail.to, ['alice@example.com'])
  t.true(link.startsWith(`${path}?token=lkm_`))
  const before = await stateOf(server)
  for (const method of ['GET', 'HEAD']) await server.request(link, { method, headers: ofPage })
  for (let i = 0; i < 3; i++) t.is(heading(await open()), 'Keep your account?')
  t.deepEqual(await stateOf(server), before)

  const kept = await press()
  t.deepEqual([kept.status, heading(kept)], [200, 'Your account stays'])
  t.like(await server.deps.storage.findUser(server.aliceId), { disabledAt: undefined, deleteAt: undefined })
  t.like((await server.deps.storage.listAuditEvents(1))[0], { type: 'user.deletion_undone', userId: server.aliceId })
  server.clock.advance(1)
  const done = await stateOf(server)
  for (const page of [await press(), await open()]) t.regex(page.body, /It was kept already\./)
  t.deepEqual(await stateOf(server), done)
  await server.signIn()
})

test('the link counts for its deletion alone, and until the account is gone', async t => {
  const { server, smtp, open, press } = await startDeletion(t)
  await press()
  await remove(server)
  t.is((await press()).status, 410)
  t.is((await open()).status, 410)
  t.not((await server.deps.storage.findUser(server.aliceId))?.deleteAt, undefined)
  await server.sendMails()
  const again = pagesOf(server, smtp.received[1]!.link!.replace(issuer, ''))
  server.clock.advance(7 * 86_400)
  t.is((await again.press()).status, 410)
  await removeDeletedUsers({ ...server.deps, now: server.clock.now })
  t.is((await again.open()).status, 410)
  t.is(await server.deps.storage.findUser(server.aliceId), undefined)
})

test('whom the operator has disabled meanwhile the link keeps, and enables not', async t => {
  const { server, press } = await startDeletion(t)
  await disable(server, true)
  const kept = await press()
  t.regex(kept.body, /whoever runs this service has disabled it/)
  t.like(await server.deps.storage.findUser(server.aliceId), { disabledAt: startTime + 1, deleteAt: undefined })
  await t.throwsAsync(server.signIn(), { message: /invalid_grant/ })
  await disable(server, false)
  await server.signIn()
})

test('without mail a deletion works, mails nothing and says so', async t => {
  const server = await startServerWithAlice(t)
  t.like((await remove(server)).body, { mailed: false })
  t.deepEqual(await server.deps.storage.listDueMails(startTime, 10), [])
})
