/** The pages about the address of an account, over HTTP. */
import test from 'ava'
import { cookieName } from '../../src/http/browser/cookies.ts'
import { getByCookie, ofPage, postFromPage, signInByCookie } from '../_cookies.ts'
import { startWithMail } from '../_email.ts'
import { heading } from '../_pages.ts'
import { type Answer, issuer, startServerWithAlice } from '../_server.ts'

const location = ({ headers }: Answer) => headers.get('location')
const problem = ({ body }: Answer) => /<p class="problem"[^>]*>([^<]*)</.exec(body)?.[1]
const cookieOf = (answer: Answer) =>
  answer.headers
    .getSetCookie()
    .map(one => one.split(';')[0])
    .join('; ')

test('without mail the account page leads to no page of the address', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  t.false((await getByCookie(server, '/profile', cookie, ofPage)).body.includes('/profile/email'))
  t.is((await getByCookie(server, '/profile/email', cookie, ofPage)).status, 404)
})

test('from the account to a verified address: the page, the mail, its code, the button', async t => {
  const server = await startWithMail(t)
  const cookie = await signInByCookie(server)
  const account = await getByCookie(server, '/profile', cookie, ofPage)
  t.regex(account.body, /Not confirmed yet/)
  t.regex(account.body, /href="\/profile\/email"/)
  const page = await getByCookie(server, '/profile/email', cookie, ofPage)
  t.regex(page.body, /You have not confirmed this address yet/)
  const asked = await postFromPage(server, '/profile/email/verification', {}, cookie)
  t.deepEqual([asked.status, location(asked)], [303, '/profile/email/verification/code'])
  t.is((await postFromPage(server, '/profile/email/verification', {}, cookie)).status, 429)
  const waiting = { ...ofPage, cookie: cookieOf(asked) }
  t.is(heading(await server.request(location(asked)!, { headers: waiting })), 'Check your mail')
  const { code = '' } = await server.newestMail()
  const wrong = await server.post(location(asked)!, { code: '00000000' }, waiting)
  t.deepEqual([wrong.status, problem(wrong)], [400, 'This is not the code of the newest mail that we have sent you.'])
  const right = await server.post(location(asked)!, { code }, waiting)
  t.deepEqual([right.status, location(right)], [303, '/mail/email_verification'])
  const done = await server.post('/mail/email_verification', {}, { ...ofPage, cookie: cookieOf(right) })
  t.is(heading(done), 'Your address is confirmed')
  t.regex(
    (await getByCookie(server, '/profile/email', cookie, ofPage)).body,
    /You have confirmed that this address is yours/,
  )
})

test('a new address is proved by its link, and that signed in as who wants it: a mistyped one is a stranger’s', async t => {
  const server = await startWithMail(t, { throttle: { enabled: false } })
  const cookie = await signInByCookie(server)
  t.is(heading(await getByCookie(server, '/profile/email/change', cookie, ofPage)), 'Change your email address')
  const change = (email: string) => postFromPage(server, '/profile/email/change', { email }, cookie)
  t.is(problem(await change('a@b.c,evil@e.com')), 'This is not an email address that mail can go to.')
  t.is(problem(await change('alice@example.com')), 'This is the address that your account has.')
  t.is((await postFromPage(server, '/profile/email/change', {}, cookie)).status, 400)
  t.deepEqual(await server.mailsSent(), [])
  t.is(location(await change('new@example.net')), '/profile/email/change/code')
  const { link = '' } = await server.newestMail()

  const stranger = await server.openLink(link)
  t.is(location(await stranger.show()), `/login?return_to=${encodeURIComponent('/mail/email_change')}`)
  t.is((await stranger.press()).status, 303)
  await server.addUser({ username: 'bob' })
  const bobs = `${cookieName(issuer)}=${await signInByCookie(server, { username: 'bob' })}`
  t.is((await (await server.openLink(link, bobs)).press()).status, 410)
  t.is((await server.alice()).email, 'alice@example.com')

  const own = await server.openLink(link, `${cookieName(issuer)}=${cookie}`)
  t.is(heading(await own.show()), 'Use this address?')
  t.is((await server.alice()).email, 'alice@example.com')
  t.is(heading(await own.press()), 'Your address has been changed')
  t.like(await server.alice(), { email: 'new@example.net', emailVerifiedAt: server.clock.now() })
  t.regex((await own.press()).body, /It was changed already/)
  t.is((await server.newestMail()).to[0], 'alice@example.com')
})

test('the page asks to show anew who it is when the sign-in is older than ten minutes', async t => {
  const server = await startWithMail(t)
  const cookie = await signInByCookie(server)
  server.clock.advance(601)
  const confirm = `/login/confirm?return_to=${encodeURIComponent('/profile/email/change')}`
  t.is(location(await getByCookie(server, '/profile/email/change', cookie, ofPage)), confirm)
  t.is(location(await postFromPage(server, '/profile/email/change', { email: 'new@example.net' }, cookie)), confirm)
  t.is((await getByCookie(server, '/profile/email', cookie, ofPage)).status, 200)
  t.deepEqual(await server.mailsSent(), [])
})
