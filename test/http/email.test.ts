/** The address of an account by API: it is proved, changed by who proves the new one, and the one before takes that back. */
import test from 'ava'
import { updateUser } from '../../src/admin/users.ts'
import { stateOf } from '../_cookies.ts'
import { createDatabase } from '../_databases.ts'
import { startWithMail } from '../_email.ts'
import { addTotp } from '../_factors.ts'
import { heading } from '../_pages.ts'
import { refusal, refused, startServer, startServerWithAlice } from '../_server.ts'

const throttleOff = { throttle: { enabled: false } }
const day = 86_400

test('without mail there is no such endpoint, and none is announced', async t => {
  const server = await startServerWithAlice(t)
  const { access_token } = await server.signIn()
  for (const path of ['', '/confirm', '/verification', '/verification/confirm'])
    t.is((await server.post(`/users/me/email${path}`, {}, server.bearer(access_token))).status, 404, path)
  t.false(JSON.stringify((await server.request('/openapi.json')).body).includes('/users/me/email'))
})

test('the code of the mail verifies the address, in the session that asked; five wrong ones end it', async t => {
  const server = await startWithMail(t)
  const asked = await server.ask('/verification')
  t.deepEqual([asked.status, asked.body.expires_in], [200, day])
  const mail = await server.newestMail()
  t.deepEqual(mail.to, ['alice@example.com'])
  const confirm = (code: string, auth_session = asked.body.auth_session) =>
    server.ask('/verification/confirm', { auth_session, code })

  t.deepEqual(refusal(await confirm('00000000')), refused(400, 'invalid_grant'))
  t.false((await server.me(server.accessToken)).body.email_verified)
  t.like(await confirm(mail.code!), { status: 200, body: { email: 'alice@example.com', email_verified: true } })
  t.like(await confirm(mail.code!), { status: 200, body: { email_verified: true } }, 'whose answer was lost')
  t.true((await server.me(server.accessToken)).body.email_verified)
  t.deepEqual(refusal(await server.ask('/verification')), refused(400, 'invalid_request'))
  t.like((await server.deps.storage.listAuditEvents(1))[0], { type: 'user.email_verified', userId: server.aliceId })

  await server.addUser({ username: 'bob', email: 'bob@example.com' })
  const { access_token: bobs } = await server.signIn({ username: 'bob' })
  const his = (await server.ask('/verification', {}, bobs)).body.auth_session
  const { code: right = '' } = await server.newestMail()
  const try_ = (code: string, by: string) =>
    server.ask('/verification/confirm', { auth_session: his, code }, by).then(({ body }) => body.error)
  for (let i = 0; i < 4; i++) t.is(await try_('00000000', bobs), 'invalid_grant')
  t.is(await try_('00000000', bobs), 'invalid_session')
  t.is(await try_(right, bobs), 'invalid_session')
  server.clock.advance(60)
  const another = (await server.ask('/verification', {}, bobs)).body.auth_session
  const { code = '' } = await server.newestMail()
  const byAlice = await server.ask('/verification/confirm', { auth_session: another, code })
  t.is(byAlice.body.error, 'invalid_session', 'of another user')
  t.is((await server.ask('/verification/confirm', { auth_session: another, code }, bobs)).status, 200)
})

test('the link verifies without a sign-in, by its button alone; a second click says that it is done, a day later nothing', async t => {
  const server = await startWithMail(t, throttleOff)
  await server.ask('/verification')
  const { link = '' } = await server.newestMail()
  const before = await stateOf(server)
  const page = await server.openLink(link)
  for (let i = 0; i < 3; i++) t.is(heading(await page.show()), 'Is this your address?')
  t.deepEqual(await stateOf(server), before)
  t.is((await page.opened).headers.get('referrer-policy'), 'no-referrer')
  t.is(heading(await page.press()), 'Your address is confirmed')
  t.true((await server.alice()).emailVerifiedAt !== undefined)
  t.regex((await page.press()).body, /It was confirmed already/)

  const bob = await server.addUser({ username: 'bob', email: 'bob@example.com' })
  const { access_token: bobs } = await server.signIn({ username: 'bob' })
  await server.ask('/verification', {}, bobs)
  const late = await server.openLink((await server.newestMail()).link!)
  server.clock.advance(day)
  t.deepEqual([(await late.press()).status, (await late.show()).status], [410, 410])
  t.is((await server.deps.storage.findUser(bob))?.emailVerifiedAt, undefined)
})

test('of two who have an address the first who proves it has it; the other one is told so, and nobody else', async t => {
  const server = await startWithMail(t, throttleOff)
  await server.deps.storage.setUniqueEmails(false)
  const bob = await server.addUser({ username: 'bob', email: 'Alice@example.com' })
  const { access_token: bobs } = await server.signIn({ username: 'bob' })
  const [mine, his] = [await server.ask('/verification'), await server.ask('/verification', {}, bobs)]
  const mails = await server.mailsSent()
  const codeOf = (to: string) => mails.find(mail => mail.to[0] === to)!.code!
  const confirm = (code: string, auth_session: string, by: string) =>
    server.ask('/verification/confirm', { auth_session, code }, by)
  t.is((await confirm(codeOf('Alice@example.com'), his.body.auth_session, bobs)).status, 200)
  const late = await confirm(codeOf('alice@example.com'), mine.body.auth_session, server.accessToken)
  t.deepEqual(refusal(late), refused(409, 'email_taken'))
  t.deepEqual(
    [(await server.alice()).emailVerifiedAt, (await server.deps.storage.findUser(bob))?.emailVerifiedAt],
    [undefined, server.clock.now()],
  )
})

test('another address is proved by its code; then the old one is told, with a link that is good for seven days', async t => {
  const server = await startWithMail(t)
  const asked = await server.ask('', { email: 'new@example.net' })
  t.deepEqual([asked.status, Object.keys(asked.body).sort()], [200, ['auth_session', 'expires_in']])
  const mail = await server.newestMail()
  t.deepEqual(mail.to, ['new@example.net'])
  t.is((await server.alice()).email, 'alice@example.com', 'it stays until then')
  const given = { auth_session: asked.body.auth_session, code: mail.code! }
  t.like(await server.ask('/confirm', given), { status: 200, body: { email: 'new@example.net', email_verified: true } })
  t.like(await server.ask('/confirm', given), { status: 200, body: { email: 'new@example.net' } }, 'an answer was lost')
  const notice = await server.newestMail()
  t.deepEqual(notice.to, ['alice@example.com'])
  t.regex(notice.link!, /^https:\/\/auth\.example\.com\/mail\/email_change_notice\?token=lkm_/)
  t.false(notice.text.includes('new@example.net'), 'not all of it: whoever reads it may be a stranger')
  t.like((await server.deps.storage.listAuditEvents(1, { type: 'user.email_changed' }))[0], { userId: server.aliceId })
  t.is((await server.me(server.accessToken)).status, 200)

  server.clock.advance(7 * day + 1)
  t.is((await (await server.openLink(notice.link!)).press()).status, 410)
  t.is((await server.alice()).email, 'new@example.net')
})

test('what is no address, or several, or another header is 400, and no mail', async t => {
  const server = await startWithMail(t)
  const before = await stateOf(server)
  const bad = [
    '',
    'a',
    'a@b.c,evil@e.com',
    'a@b.c\r\nBcc: evil@e.com',
    'team:a@b.c;',
    '"A" <a@b.c>',
    'alice＠example.com',
  ]
  for (const email of [...bad, 'аlice@example.com', `${'a'.repeat(300)}@b.de`, 'alice@example.com'])
    t.deepEqual(refusal(await server.ask('', { email })), refused(400, 'invalid_request'), email.slice(0, 40))
  t.deepEqual(await server.mailsSent(), [])
  t.deepEqual(await stateOf(server), before)
})

test('an address that is taken gets the same answer; its owner reads of it, and who confirms it is told', async t => {
  const server = await startWithMail(t, throttleOff)
  await server.addUser({ username: 'bob', email: 'bob@example.com', emailVerifiedAt: 1 })
  const [free, taken] = [
    await server.ask('', { email: 'free@example.com' }),
    await server.ask('', { email: 'BOB@example.com' }),
  ]
  t.deepEqual([taken.status, Object.keys(taken.body)], [free.status, Object.keys(free.body)])
  t.true(Math.abs(taken.body.auth_session.length - free.body.auth_session.length) <= 2, 'as long as the address')
  const mail = (await server.mailsSent()).find(({ to }) => to[0] === 'BOB@example.com')!
  const before = await server.alice()
  const wrong = await server.ask('/confirm', { auth_session: taken.body.auth_session, code: '00000000' })
  t.deepEqual(refusal(wrong), refused(400, 'invalid_grant'))
  const right = await server.ask('/confirm', { auth_session: taken.body.auth_session, code: mail.code! })
  t.deepEqual(refusal(right), refused(409, 'email_taken'))
  t.deepEqual(await server.alice(), before)
})

test('it takes a sign-in of the last ten minutes, with the second factor where there is one (RFC 9470 §3)', async t => {
  const server = await startWithMail(t)
  await addTotp(server, server.aliceId)
  const asked = await server.ask('', { email: 'new@example.net' })
  t.deepEqual(refusal(asked), refused(401, 'insufficient_user_authentication'))
  const other = await startWithMail(t)
  other.clock.advance(601)
  t.deepEqual(
    refusal(await other.ask('', { email: 'new@example.net' })),
    refused(401, 'insufficient_user_authentication'),
  )
  t.deepEqual([await server.mailsSent(), await other.mailsSent()], [[], []])
  t.is((await other.ask('', { email: 'new@example.net' }, (await other.signIn()).access_token)).status, 200)
})

test('the undo brings the old address back, verified, signs everybody out, and says to choose a new password', async t => {
  const server = await startWithMail(t)
  const { answer, mails } = await server.changeTo('thief@example.net')
  t.is(answer.status, 200)
  const undo = await server.openLink(mails[0]!.link!)
  const before = await stateOf(server)
  t.is(heading(await undo.show()), 'Keep your old address?')
  t.deepEqual(await stateOf(server), before)
  const done = await undo.press()
  t.deepEqual([done.status, heading(done)], [200, 'Your old address is back'])
  t.regex(done.body, /href="\/login\/forgot-password"/)
  const alice = await server.alice()
  t.like(alice, { email: 'alice@example.com', emailVerifiedAt: server.clock.now(), credentialVersion: 3 })
  t.is((await server.me(server.accessToken)).status, 401)
  t.regex((await undo.press()).body, /It was back already/)
  t.deepEqual(await server.alice(), alice)
  t.like((await server.deps.storage.listAuditEvents(1))[0], {
    type: 'user.email_change_undone',
    userId: server.aliceId,
  })
})

test('after several changes the oldest undo counts, and those of the thief are dead then', async t => {
  const server = await startWithMail(t)
  const first = await server.changeTo('evil1@example.net')
  const second = await server.changeTo('evil2@example.net')
  t.deepEqual([first.mails[0]!.to, second.mails[0]!.to], [['alice@example.com'], ['evil1@example.net']])
  const [mine, theirs] = [await server.openLink(first.mails[0]!.link!), await server.openLink(second.mails[0]!.link!)]
  // The thief undoes the second one, and the first one is there still.
  t.is(heading(await theirs.press()), 'Your old address is back')
  t.is((await server.alice()).email, 'evil1@example.net')
  t.is(heading(await mine.press()), 'Your old address is back')
  t.is((await server.alice()).email, 'alice@example.com')
  t.is((await theirs.press()).status, 410)
  t.is((await server.alice()).email, 'alice@example.com')
})

test('an undo takes a deletion back that was asked for since, and does not count where another user has proved the address', async t => {
  const server = await startWithMail(t, throttleOff)
  const { mails } = await server.changeTo('thief@example.net')
  await server.request('/users/me', { method: 'DELETE', headers: server.bearer(server.accessToken) })
  t.not((await server.alice()).deleteAt, undefined)
  const undo = await server.openLink(mails[0]!.link!)
  const bob = await server.addUser({ username: 'bob', email: 'alice@example.com', emailVerifiedAt: 1 })
  const taken = await undo.press()
  t.deepEqual([taken.status, heading(taken)], [409, 'This address belongs to another account'])
  await server.deps.storage.removeUser(bob, (await server.deps.storage.listAuditEvents(1))[0]!)
  t.is((await undo.press()).status, 200)
  t.like(await server.alice(), { email: 'alice@example.com', disabledAt: undefined })
  t.is((await server.alice()).deleteAt, undefined)
})

test('who has no address is told nothing of the change; an operator who changes it has the last word', async t => {
  const server = await startWithMail(t)
  const bob = await server.addUser({ username: 'bob' })
  const { access_token: bobs } = await server.signIn({ username: 'bob' })
  t.deepEqual(refusal(await server.ask('/verification', {}, bobs)), refused(400, 'invalid_request'))
  const asked = await server.ask('', { email: 'bob@example.net' }, bobs)
  const { code = '' } = await server.newestMail()
  t.is((await server.ask('/confirm', { auth_session: asked.body.auth_session, code }, bobs)).status, 200)
  t.deepEqual(await server.mailsSent(), [])
  t.like(await server.deps.storage.findUser(bob), { email: 'bob@example.net', emailChanges: undefined })

  const { mails } = await server.changeTo('new@example.net')
  await updateUser(
    { storage: server.deps.storage, now: server.clock.now },
    'alice',
    { email: 'op@example.net' },
    { name: 'root' },
  )
  t.is((await (await server.openLink(mails[0]!.link!)).press()).status, 410)
  t.like(await server.alice(), { email: 'op@example.net' })
})

test('a change ends what the old address had: the link to another password, and a code for another change', async t => {
  const server = await startWithMail(t, throttleOff)
  await server.post('/password-reset', { client_id: 'app', username: 'alice' })
  const reset = await server.openLink((await server.newestMail()).link!)
  t.is((await reset.show()).status, 200)
  const other = await server.ask('', { email: 'other@example.net' })
  const { code = '' } = await server.newestMail()
  await server.changeTo('new@example.net')
  t.is((await reset.show()).status, 410)
  const late = await server.ask('/confirm', { auth_session: other.body.auth_session, code })
  t.deepEqual(refusal(late), refused(400, 'invalid_grant'))
})

test('eight changes in nine days, and no more: the first undo is never forgotten', async t => {
  const server = await startWithMail(t, throttleOff)
  const first = await server.changeTo('n0@example.net')
  for (let i = 1; i < 8; i++) t.is((await server.changeTo(`n${i}@example.net`)).answer.status, 200)
  t.deepEqual(refusal(await server.ask('', { email: 'n8@example.net' })), refused(429, 'temporarily_unavailable'))
  t.is((await (await server.openLink(first.mails[0]!.link!)).press()).status, 200)
  t.is((await server.alice()).email, 'alice@example.com')
})

test('at two nodes at once a code changes the address once, and one mail tells of it', async t => {
  const database = await createDatabase(t)
  const server = await startWithMail(t, { storage: await database.open() })
  const other = await startServer(t, {
    storage: await database.open(),
    beside: server,
    clock: server.clock,
    oauth: { hasMail: true },
  })
  const { body } = await server.ask('', { email: 'new@example.net' })
  const { code = '' } = await server.newestMail()
  const form = { auth_session: body.auth_session, code }
  const answers = await Promise.all(
    [server, other, server, other].map(node =>
      node.post('/users/me/email/confirm', form, node.bearer(server.accessToken)),
    ),
  )
  t.true(answers.some(({ status }) => status === 200))
  for (const { status, body } of answers)
    t.true(status === 200 || body.error === 'invalid_grant' || body.error === 'invalid_session', JSON.stringify(body))
  t.is((await server.deps.storage.listAuditEvents(10, { type: 'user.email_changed' })).length, 1)
  t.deepEqual(
    (await server.mailsSent()).map(({ to }) => to),
    [['alice@example.com']],
  )
  t.like(await server.alice(), { email: 'new@example.net', credentialVersion: 2 })
})

test('mails are asked for once a minute for an address', async t => {
  const server = await startWithMail(t)
  t.is((await server.ask('', { email: 'new@example.net' })).status, 200)
  const again = await server.ask('', { email: 'NEW@example.net' })
  t.deepEqual(refusal(again), refused(429, 'temporarily_unavailable'))
  t.is((await server.ask('', { email: 'other@example.net' })).status, 200)
})
