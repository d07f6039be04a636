/** A second factor at the sign-in with a cookie, over HTTP: its page, and what a program sends. */
import test from 'ava'
import { maxWrongProofs } from '../../src/oauth/auth_session.ts'
import { stepAt, totpCode } from '../../src/users/factors/totp.ts'
import {
  browserAccept,
  isSignedIn,
  liveSessions,
  postFromPage,
  setCookieValue,
  signInByCookie,
  stateOf,
} from '../_cookies.ts'
import { addRecoveryCodes, addTotp } from '../_factors.ts'
import { alertOf, heading, hiddenFields, shownCodes, shownSecret } from '../_pages.ts'
import { type Answer, password, startServerWithAlice, type TestServer } from '../_server.ts'

const credentials = { username: 'alice', password }

async function startWithTotp(t: Parameters<typeof startServerWithAlice>[0]) {
  const server = await startServerWithAlice(t)
  return { server, ...(await addTotp(server, server.aliceId)) }
}

/** A browser after the right password. */
async function askedForFactor(server: TestServer, params: Record<string, string> = {}) {
  const page = await postFromPage(server, '/login', { ...credentials, ...params })
  return { page, fields: hiddenFields(page) }
}

test('POST /login of who has a factor is a page that asks for a code, without a cookie, and the code signs in (RFC 6238)', async t => {
  const { server, code } = await startWithTotp(t)
  const { page, fields } = await askedForFactor(server, { return_to: '/profile/password' })
  t.deepEqual([page.status, heading(page), page.headers.getSetCookie()], [200, 'Enter your code', []])
  t.is(page.headers.get('cache-control'), 'no-store')
  t.regex(page.body, /<input id="otp" [^>]*autocomplete="one-time-code" inputmode="numeric" required/)
  t.deepEqual(Object.keys(fields).toSorted(), ['auth_session', 'return_to'])
  t.deepEqual(await liveSessions(server), [])

  const signedIn = await postFromPage(server, '/login', { ...fields, otp: code() })
  t.deepEqual([signedIn.status, signedIn.headers.get('location')], [303, '/profile/password'])
  t.true(await isSignedIn(server, setCookieValue(signedIn)!))
  const [session] = await liveSessions(server)
  t.deepEqual(session?.amr, ['pwd', 'otp', 'mfa'])
})

test('a program gets 403 with auth_session and factors from /login, and sends the code there (draft-ietf-oauth-first-party-apps-04 §5.2.2.1)', async t => {
  const { server, code } = await startWithTotp(t)
  await addRecoveryCodes(server, server.aliceId)
  const owed = await server.post('/login', credentials)
  t.is(owed.status, 403)
  const { auth_session, error_description: _, ...members } = owed.body
  t.deepEqual(members, {
    error: 'insufficient_authorization',
    auth_session_expires_in: 300,
    factors: ['otp', 'recovery_code'],
  })
  t.deepEqual(owed.headers.getSetCookie(), [])

  const wrong = await server.post('/login', { auth_session, otp: '000000' })
  t.deepEqual([wrong.status, wrong.body.error, wrong.headers.getSetCookie()], [400, 'invalid_grant', []])
  const none = await server.post('/login', { auth_session })
  t.deepEqual([none.status, none.body.error], [400, 'invalid_request'])
  const two = await server.post('/login', { auth_session, otp: code(), recovery_code: 'x' })
  t.deepEqual([two.status, two.body.error], [400, 'invalid_request'])

  const body = JSON.stringify({ auth_session, otp: code() })
  const signedIn = await server.request('/login', {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  })
  t.deepEqual([signedIn.status, signedIn.body], [200, { message: 'Login successful' }])
  t.true(await isSignedIn(server, setCookieValue(signedIn)!))
})

test('who has no factor signs in as ever', async t => {
  const server = await startServerWithAlice(t)
  t.true(await isSignedIn(server, await signInByCookie(server)))
})

test('a wrong password of who has a factor is answered as of who has none', async t => {
  const { server } = await startWithTotp(t)
  await server.addUser({ username: 'bob' })
  const [alice, bob] = await Promise.all(
    ['alice', 'bob'].map(username => server.post('/login', { username, password: 'wrong' })),
  )
  t.deepEqual([alice!.status, alice!.body], [401, bob!.body])
})

test('a wrong code is told on the page, which goes on; an empty one too; then the right one signs in', async t => {
  const { server, code } = await startWithTotp(t)
  const { fields } = await askedForFactor(server)
  for (const [otp, alert] of [
    ['', 'Enter the six digits that your app shows.'],
    ['000000', 'This code is wrong, or it has been used. Wait for the next one and enter that.'],
    ['12345678', 'This code is wrong, or it has been used. Wait for the next one and enter that.'],
  ] as const) {
    const page = await postFromPage(server, '/login', { ...fields, otp })
    t.deepEqual([page.status, heading(page), alertOf(page)], [400, 'Enter your code', alert])
    t.is(hiddenFields(page).auth_session, fields.auth_session)
    t.regex(page.body, /<title>Problem: /)
  }
  const signedIn = await postFromPage(server, '/login', { ...fields, otp: code() })
  t.deepEqual([signedIn.status, signedIn.headers.get('location')], [303, '/profile'])
})

test('a recovery code signs in once, by way of the button that asks for it', async t => {
  const { server } = await startWithTotp(t)
  const { codes } = await addRecoveryCodes(server, server.aliceId)
  const signIn = async (code: string) => {
    const { page, fields } = await askedForFactor(server, { return_to: '/profile/password' })
    t.regex(page.body, /<button class="quiet" name="use" value="recovery_code" formnovalidate>/)
    const asked = await postFromPage(server, '/login', { ...fields, use: 'recovery_code' })
    t.deepEqual([asked.status, heading(asked)], [200, 'Enter a recovery code'])
    const again = hiddenFields(asked)
    t.deepEqual(again, fields)
    return postFromPage(server, '/login', { ...again, recovery_code: code })
  }
  const signedIn = await signIn(codes[3]!.toUpperCase().replaceAll('-', ' '))
  t.deepEqual([signedIn.status, signedIn.headers.get('location')], [303, '/profile/password'])
  t.deepEqual((await liveSessions(server))[0]?.amr, ['pwd', 'mfa'])

  const again = await signIn(codes[3]!)
  t.deepEqual(
    [again.status, heading(again), alertOf(again)],
    [400, 'Enter a recovery code', 'This is none of the recovery codes that you have left.'],
  )
  t.is((await signIn(codes[4]!)).status, 303)
})

test('a code counts once: with the same page, and with another sign-in (RFC 6238 §5.2)', async t => {
  const { server, code } = await startWithTotp(t)
  const [one, two] = [await askedForFactor(server), await askedForFactor(server)]
  t.is((await postFromPage(server, '/login', { ...one.fields, otp: code() })).status, 303)

  const used = await postFromPage(server, '/login', { ...two.fields, otp: code() })
  t.deepEqual([used.status, heading(used)], [400, 'Enter your code'])
  // Back, and the form once more: the page has signed in already.
  server.clock.advance(30)
  const back = await postFromPage(server, '/login', { ...one.fields, otp: code() })
  t.deepEqual([back.status, heading(back), back.headers.getSetCookie()], [400, 'Sign in', []])
  t.is((await liveSessions(server)).length, 1)
  t.is((await postFromPage(server, '/login', { ...two.fields, otp: code() })).status, 303)
})

test('of many codes at once one signs in', async t => {
  const { server, code } = await startWithTotp(t)
  const steps = await Promise.all(Array.from({ length: 4 }, () => askedForFactor(server)))
  const answers = await Promise.all(
    steps.map(({ fields }) => postFromPage(server, '/login', { ...fields, otp: code() })),
  )
  t.deepEqual(answers.map(({ status }) => status).toSorted(), [303, 400, 400, 400])
  t.is((await liveSessions(server)).length, 1)
})

test(`after ${maxWrongProofs} wrong codes, and after five minutes, the sign-in starts over, and the page says why`, async t => {
  const { server, code } = await startWithTotp(t)
  const over = 'That sign-in took too long, or too many codes were wrong. Please start again.'
  const wrong = await askedForFactor(server, { return_to: '/profile/password' })
  for (let n = 1; n < maxWrongProofs; n++)
    t.is(heading(await postFromPage(server, '/login', { ...wrong.fields, otp: '000000' })), 'Enter your code')
  for (const otp of ['000000', code()]) {
    const page = await postFromPage(server, '/login', { ...wrong.fields, otp })
    t.deepEqual([page.status, heading(page), alertOf(page)], [400, 'Sign in', over])
    t.is(hiddenFields(page).return_to, '/profile/password')
  }

  const late = await askedForFactor(server)
  server.clock.advance(299)
  t.is((await postFromPage(server, '/login', { ...late.fields, use: 'otp' })).status, 200)
  server.clock.advance(1)
  const page = await postFromPage(server, '/login', { ...late.fields, otp: code() })
  t.deepEqual([page.status, heading(page), alertOf(page)], [400, 'Sign in', over])
  t.deepEqual(await liveSessions(server), [])
})

test('who has given too many wrong codes is told how long to wait, by a page and by Retry-After', async t => {
  const { server, code } = await startWithTotp(t)
  let page: Answer | undefined
  for (let n = 0; n < 20 && page?.status !== 429; n++) {
    const { fields } = await askedForFactor(server)
    page = await postFromPage(server, '/login', { ...fields, otp: '000000' })
  }
  t.is(page?.status, 429)
  const wait = Number(page!.headers.get('retry-after'))
  t.true(wait > 0)
  t.regex(alertOf(page!), /^Too many codes were wrong\. Try again in \d+ (?:seconds|minutes)\.$/)
  server.clock.advance(wait)
  const { fields } = await askedForFactor(server)
  t.is((await postFromPage(server, '/login', { ...fields, otp: code() })).status, 303)
})

test('an auth_session is of no use where its text was changed, to another server, or after the password has changed', async t => {
  const { server, code } = await startWithTotp(t)
  const { fields } = await askedForFactor(server)
  const text = fields.auth_session!
  for (const other of [text.slice(0, -1), `${text}A`, text.replace('lka_', 'lkc_'), 'x', 'lka_']) {
    const page = await postFromPage(server, '/login', { auth_session: other, otp: code() })
    t.deepEqual([page.status, heading(page), page.headers.getSetCookie()], [400, 'Sign in', []], other)
  }
  await addRecoveryCodes(server, server.aliceId)
  const page = await postFromPage(server, '/login', { ...fields, otp: code() })
  t.deepEqual([page.status, heading(page)], [400, 'Sign in'])
})

test('a code from another site is 403 and changes nothing (CWE-352)', async t => {
  const { server, code } = await startWithTotp(t)
  const { fields } = await askedForFactor(server)
  const before = await stateOf(server)
  for (const accept of [browserAccept, 'application/json']) {
    const params = { ...fields, otp: code() }
    const answer = await server.post('/login', params, { accept, 'sec-fetch-site': 'cross-site' })
    t.deepEqual([answer.status, answer.headers.getSetCookie()], [403, []])
  }
  t.deepEqual(await stateOf(server), before)
  t.is((await postFromPage(server, '/login', { ...fields, otp: code() })).status, 303)
})

test('where a factor is demanded of everybody, who has none sets one up on the way in, and gets recovery codes', async t => {
  const server = await startServerWithAlice(t, { oauth: { requireFactor: 'all' } })
  const program = await server.post('/login', credentials)
  t.deepEqual([program.status, program.body.factors, program.body.enrollment_required], [403, [], true])

  const { page, fields } = await askedForFactor(server, { return_to: '/profile/password' })
  t.deepEqual([page.status, heading(page), page.headers.getSetCookie()], [200, 'Add a second step', []])
  t.true(page.body.includes('<svg class="qr"'))
  const secret = shownSecret(page)
  const code = (steps = 0) => totpCode(secret, stepAt(server.clock.now()) + steps)

  for (const [otp, alert] of [
    ['', /^Enter the six digits/],
    ['000000', /^This code is wrong/],
    [code(-14), /the clock of your phone differs by about 7 minutes/],
  ] as const) {
    const again = await postFromPage(server, '/login', { ...fields, otp })
    t.deepEqual([again.status, heading(again)], [400, 'Add a second step'])
    t.regex(alertOf(again), alert)
    t.deepEqual(shownSecret(again), secret)
  }
  t.deepEqual(await server.deps.storage.listFactors(server.aliceId), [])

  const done = await postFromPage(server, '/login', { ...fields, otp: code() })
  t.deepEqual([done.status, heading(done)], [200, 'Your recovery codes'])
  t.regex(done.body, /<a class="button main" href="\/profile\/password">/)
  const codes = shownCodes(done)
  t.is(codes.length, 10)
  t.true(await isSignedIn(server, setCookieValue(done)!))
  t.deepEqual((await liveSessions(server))[0]?.amr, ['pwd', 'otp', 'mfa'])
  // The code that set it up has been used.
  const { fields: next } = await askedForFactor(server)
  t.is((await postFromPage(server, '/login', { ...next, otp: code() })).status, 400)
  t.is((await postFromPage(server, '/login', { ...next, recovery_code: codes[0]! })).status, 303)
})
