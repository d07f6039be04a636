/** Invitations of operators' programs, as `latchkey user invite` makes them. */
import test from 'ava'
import { composeLetter } from '../../../src/mail/letter.ts'
import { parseLink } from '../../../src/mail/link.ts'
import { latchkey } from '../../../src/pages/brand.ts'
import { waitingMails } from '../../_mails.ts'
import { issuer } from '../../_server.ts'
import { confirmSignUp } from '../../_sign_up.ts'
import { startAdminServer } from './_admin.ts'

const email = 'frank@example.com'

test('without mail the answer has the link, and nothing is stored but an event without the address', async t => {
  const server = await startAdminServer(t)
  const given = { email, username: 'frank', full_name: 'Frank', roles: ['staff'], lifetime: 3600 }
  const { status, body } = await server.ask('POST', '/admin/invitations', given)
  const expiresAt = server.clock.now() + 3600
  t.is(status, 200)
  const { id, link, ...rest } = body
  t.deepEqual(rest, { email, expires_at: expiresAt, mailed: false })
  const [, token] = link.split('?token=')
  t.is(link, `${issuer}/mail/invitation?token=${token}`)
  t.like(parseLink(token, 'invitation', server.deps.secrets), {
    id,
    address: email,
    expiresAt,
    about: { username: 'frank', full_name: 'Frank', roles: 'staff' },
  })
  t.deepEqual(await waitingMails(server), [])
  const [event] = await server.deps.storage.listAuditEvents(1)
  t.like(event, { type: 'user.invited', detail: `client ops: invitation ${id}`, userId: undefined })
})

test('with mail it is mailed, unless the link is wanted; what was said is in the mail that waits, and no token', async t => {
  const server = await startAdminServer(t, { oauth: { hasMail: true } })
  const asked = await server.ask('POST', '/admin/invitations', { email, roles: ['staff'] })
  t.like(asked.body, { mailed: true, link: null, expires_at: server.clock.now() + 7 * 86_400 })
  const [mail] = await waitingMails(server)
  const about = { roles: 'staff', expires_at: `${asked.body.expires_at}` }
  t.like(mail, { id: asked.body.id, purpose: 'invitation', address: email, about })
  t.like((await server.ask('POST', '/admin/invitations', { email, print: true })).body, { mailed: false })
  t.is((await waitingMails(server)).length, 1)
})

test('the mail says how long the invitation is good, and its link is good for so long', async t => {
  const server = await startAdminServer(t, { oauth: { hasMail: true } })
  const given = { email, username: 'frank', roles: ['staff'], lifetime: 3 * 86_400 + 7200 }
  const { body } = await server.ask('POST', '/admin/invitations', given)
  const [mail] = await waitingMails(server)
  server.clock.advance(7200)
  const letter = await composeLetter(server.deps, { brand: latchkey, issuer }, mail!)
  t.regex(letter!.text, /The invitation is good for 3 days\./)
  const token = /\?token=(lkm_[\w-]+)$/m.exec(letter!.text)?.[1] ?? ''
  const link = { id: body.id, address: email, expiresAt: body.expires_at, about: mail!.about }
  t.like(parseLink(token, 'invitation', server.deps.secrets), link)
  t.notRegex(letter!.text, /^\d{8}$/m, 'nobody waits for a code')
  t.false(letter!.text.includes('staff'))
})

test('each invitation of an address is good until one is used; who has an account is not invited', async t => {
  const server = await startAdminServer(t, { oauth: { hasMail: true } })
  await server.addClient({ id: 'mobile', signUp: true })
  const invite = async (body: object) => server.ask('POST', '/admin/invitations', { print: true, ...body })
  const tokenIn = (answer: Awaited<ReturnType<typeof invite>>) => answer.body.link.split('?token=')[1]
  const [first, second] = [tokenIn(await invite({ email })), tokenIn(await invite({ email: 'Frank@example.com' }))]
  const confirm = (token: string) => confirmSignUp(server, { client_id: 'mobile', token, username: 'frank' })
  t.is((await confirm(first)).status, 201)
  t.is((await confirm(second)).body.error, 'email_taken')
  t.like(await invite({ email }), { status: 409, body: { error: 'email_taken' } })
  t.like(await invite({ email: 'other@example.com', username: 'ALICE' }), {
    status: 409,
    body: { error: 'username_taken' },
  })
})

test('what cannot be is 400 and says which member; to invite takes admin:users', async t => {
  const server = await startAdminServer(t)
  for (const [body, words] of [
    [{ email: 'a@b.example,c@d.example' }, /^email/],
    [{ email: ' ' }, /^email: is missing/],
    [{ email, username: 'a\u200b' }, /^username/],
    [{ email, roles: ['a b'] }, /^roles/],
    [{ email, lifetime: 3599 }, /^lifetime/],
    [{ email, lifetime: 30 * 86_400 + 1 }, /^lifetime/],
    [{ email, stray: 1 }, /stray/],
  ] as const) {
    const answer = await server.ask('POST', '/admin/invitations', body)
    t.deepEqual([answer.status, answer.body.error], [400, 'invalid_request'])
    t.regex(answer.body.error_description, words)
  }
  await server.addProgram('reader', ['admin:users:read'])
  const asReader = await server.tokenOf('reader')
  t.is((await server.ask('POST', '/admin/invitations', { email }, {}, asReader)).status, 403)
  t.is((await server.ask('POST', '/admin/invitations', { email })).status, 200)
})

test('a repeated request with its Idempotency-Key is one invitation', async t => {
  const server = await startAdminServer(t, { oauth: { hasMail: true } })
  const key = { 'idempotency-key': '"one"' }
  const one = await server.ask('POST', '/admin/invitations', { email }, key)
  t.deepEqual((await server.ask('POST', '/admin/invitations', { email }, key)).body, one.body)
  t.is((await waitingMails(server)).length, 1)
})
