/** The account pages about factors, over HTTP: adding, naming, removing, recovery codes, and showing anew who it is. */
import test from 'ava'
import { stepAt, totpCode } from '../../src/users/factors/totp.ts'
import { createAuthenticator } from '../_authenticator.ts'
import {
  browserAccept,
  getByCookie,
  leftNotice,
  liveSessions,
  ofPage,
  postFromPage,
  setCookieValue,
  signInByCookie,
  stateOf,
  withCookie,
} from '../_cookies.ts'
import { addRecoveryCodes, addTotp } from '../_factors.ts'
import { alertOf, attributeOf, heading, hiddenFields, shownCodes, shownSecret } from '../_pages.ts'
import { type Answer, issuer, password, startServerWithAlice, type TestServer } from '../_server.ts'

const open = (server: TestServer, path: string, cookie: string, headers: Record<string, string> = {}) =>
  getByCookie(server, path, cookie, { ...ofPage, ...headers })
const location = ({ headers }: Answer) => headers.get('location')

/** What the account page says of each factor. */
function listed({ body }: Answer): string[] {
  const rows = body.matchAll(/<li>\s*<p class="label" id="factor\d+-label">([\s\S]*?)<\/p>([\s\S]*?)<\/div>/g)
  const textsIn = (markup = '') => [...markup.matchAll(/<p[^>]*>([\s\S]*?)<\/p>/g)].map(([, text]) => text)
  return [...rows].map(([, label, rest]) => `${label}: ${textsIn(rest).join(' · ')}`.replace(/<[^>]*>/g, ''))
}

/** Signs in by the pages, with a code where one is asked for. */
async function signInWith(server: TestServer, code: string): Promise<string> {
  const page = await postFromPage(server, '/login', { username: 'alice', password })
  return setCookieValue(await postFromPage(server, '/login', { ...hiddenFields(page), otp: code }))!
}

/** Adds an app by the pages. */
async function enroll(server: TestServer, cookie: string) {
  const page = await open(server, '/profile/factors?kind=totp', cookie)
  const secret = shownSecret(page)
  const code = (steps = 0) => totpCode(secret, stepAt(server.clock.now()) + steps)
  const done = await postFromPage(server, '/profile/factors', { ...hiddenFields(page), otp: code() }, cookie)
  return { page, done, code }
}

test('an authenticator app is added by its first code; the first factor brings ten recovery codes, shown once', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  t.regex((await open(server, '/profile', cookie)).body, /href="\/profile\/factors\?kind=totp"/)
  const { page, done } = await enroll(server, cookie)
  t.deepEqual(
    [page.status, heading(page), page.headers.get('cache-control')],
    [200, 'Add an authenticator app', 'no-store'],
  )
  t.regex(attributeOf(page, 'href') ?? '', /^\/assets\//)
  t.regex(page.body, /<a href="otpauth:\/\/totp\/[^"]*secret=/)
  t.deepEqual([done.status, heading(done), shownCodes(done).length], [200, 'Your recovery codes', 10])
  t.is(done.headers.get('cache-control'), 'no-store')

  const [notice = ''] = done.headers.getSetCookie().map(one => one.split(';')[0])
  const account = await open(server, '/profile', cookie, { cookie: `${withCookie(cookie).cookie}; ${notice}` })
  t.regex(account.body, /Your second step has been added\./)
  t.deepEqual(listed(account), [
    'Authenticator app: Added 15 Jan 2027 · Not used yet',
    'Recovery codes: 10 left · Added 15 Jan 2027 · Not used yet',
  ])
  t.false(shownCodes(done).some(code => account.body.includes(code)))
  t.deepEqual((await liveSessions(server))[0]?.amr, ['pwd', 'otp', 'mfa'])
})

test('nothing is added by a wrong, an empty or no code, nor by the code of a clock that is off, which is told by how much', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const page = await open(server, '/profile/factors?kind=totp', cookie)
  const secret = shownSecret(page)
  const at = (steps: number) => totpCode(secret, stepAt(server.clock.now()) + steps)
  for (const [otp, alert] of [
    ['', 'Enter the six digits that your app shows.'],
    ['000000', 'This code is wrong, or it has been used. Wait for the next one and enter that.'],
    [
      at(-10),
      'This is the code of another time: the clock of your phone differs by about 5 minutes. Let your phone set its clock by itself, then enter the next code.',
    ],
  ] as const) {
    const again = await postFromPage(server, '/profile/factors', { ...hiddenFields(page), otp }, cookie)
    t.deepEqual([again.status, heading(again), alertOf(again)], [400, 'Add an authenticator app', alert])
    t.deepEqual(shownSecret(again), secret)
  }
  t.deepEqual(await server.deps.storage.listFactors(server.aliceId), [])
  t.is((await postFromPage(server, '/profile/factors', { ...hiddenFields(page), otp: at(0) }, cookie)).status, 200)
})

test('an enrolment that is over, of another session or none is answered by another one, and says so', async t => {
  const server = await startServerWithAlice(t)
  const [cookie, other] = [await signInByCookie(server), await signInByCookie(server)]
  const page = await open(server, '/profile/factors?kind=totp', other)
  const secret = shownSecret(page)
  for (const fields of [hiddenFields(page), { kind: 'totp', enrollment: 'x' }, { kind: 'totp' }]) {
    const otp = totpCode(secret, stepAt(server.clock.now()))
    const again = await postFromPage(server, '/profile/factors', { ...fields, otp }, cookie)
    t.deepEqual([again.status, heading(again)], [400, 'Add an authenticator app'])
    t.regex(again.body, /role="status">That took too long\./)
    t.notDeepEqual(shownSecret(again), secret)
  }
  t.deepEqual(await server.deps.storage.listFactors(server.aliceId), [])
})

test('the path of the form leads to the account, as by Reload of the recovery codes, which are gone then', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const { done } = await enroll(server, cookie)
  t.is(heading(done), 'Your recovery codes')
  for (const path of ['/profile/factors', '/profile/factors?kind=x', '/profile/factors?kind=totp&kind=passkey']) {
    const led = await open(server, path, cookie)
    t.deepEqual([led.status, location(led)], [303, '/profile'], path)
  }
})

test('of two tabs that add an app at once the second shows another picture, and adds it then', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const [one, two] = [
    await open(server, '/profile/factors?kind=totp', cookie),
    await open(server, '/profile/factors?kind=totp', cookie),
  ]
  const add = (page: Answer) =>
    postFromPage(
      server,
      '/profile/factors',
      { ...hiddenFields(page), otp: totpCode(shownSecret(page), stepAt(server.clock.now())) },
      cookie,
    )
  t.is(heading(await add(one)), 'Your recovery codes')
  const again = await add(two)
  t.deepEqual([again.status, heading(again)], [400, 'Add an authenticator app'])
  const added = await add(again)
  // The recovery codes that there are go on.
  t.deepEqual([added.status, leftNotice(added)], [303, 'factor_added'])
  t.is((await server.deps.storage.listFactors(server.aliceId)).length, 3)
})

test('a factor is named and removed on its page; with the last one the recovery codes go, and the page says so before', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  await enroll(server, cookie)
  const account = await open(server, '/profile', cookie)
  const [, path = ''] = /href="(\/profile\/factors\/fac_[\w-]{22})"/.exec(account.body) ?? []

  const named = await postFromPage(server, path, { name: ' Work <phone> ' }, cookie)
  t.deepEqual([named.status, leftNotice(named)], [303, 'factor_renamed'])
  const page = await open(server, path, cookie)
  t.regex(page.body, /value="Work &lt;phone&gt;"/)
  t.regex(page.body, /It is your last one: the recovery codes go too/)
  t.deepEqual(listed(await open(server, '/profile', cookie)).slice(0, 1), [
    'Authenticator app: Work &lt;phone&gt; · Added 15 Jan 2027 · Not used yet',
  ])
  await postFromPage(server, path, { name: '' }, cookie)
  t.regex(listed(await open(server, '/profile', cookie))[0] ?? '', /^Authenticator app: Added/)

  const removed = await postFromPage(server, path, { remove: 'yes' }, cookie)
  t.deepEqual([removed.status, leftNotice(removed)], [303, 'factor_removed'])
  t.deepEqual(await server.deps.storage.listFactors(server.aliceId), [])
  for (const gone of [await open(server, path, cookie), await postFromPage(server, path, { remove: 'yes' }, cookie)])
    t.deepEqual([gone.status, leftNotice(gone)], [303, 'factor_gone'])
})

test('new recovery codes replace the old ones, once for each time that the form was opened', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const before = shownCodes((await enroll(server, cookie)).done)
  const page = await open(server, '/profile/recovery-codes', cookie)
  t.deepEqual([heading(page), /You have (\d+) left/.exec(page.body)?.[1]], ['New recovery codes?', '10'])
  const made = await postFromPage(server, '/profile/recovery-codes', hiddenFields(page), cookie)
  const codes = shownCodes(made)
  t.deepEqual([made.status, heading(made), codes.length], [200, 'Your recovery codes', 10])
  // Reload sends it again.
  const again = await postFromPage(server, '/profile/recovery-codes', hiddenFields(page), cookie)
  t.deepEqual([again.status, leftNotice(again)], [303, 'factor_gone'])

  const signIn = async (code: string) => {
    const asked = await postFromPage(server, '/login', { username: 'alice', password })
    return (await postFromPage(server, '/login', { ...hiddenFields(asked), recovery_code: code })).status
  }
  t.deepEqual([await signIn(before[0]!), await signIn(codes[0]!)], [400, 303])
})

const paths = ['/profile/factors?kind=totp', '/profile/recovery-codes', '/profile/factors/ID']

test('a sign-in older than ten minutes is asked for the factor first, and leads back to where it was (RFC 9470)', async t => {
  const server = await startServerWithAlice(t)
  const { factor, code } = await addTotp(server, server.aliceId)
  await addRecoveryCodes(server, server.aliceId)
  const cookie = await signInWith(server, code())
  for (const path of paths.map(path => path.replace('ID', factor.id))) {
    t.is((await open(server, path, cookie)).status, 200, path)
    server.clock.advance(601)
    const led = await open(server, path, cookie)
    t.deepEqual([led.status, location(led)], [303, `/login/confirm?return_to=${encodeURIComponent(path)}`])
    const asked = await open(server, location(led)!, cookie)
    t.deepEqual([asked.status, heading(asked)], [200, 'Enter your code'])
    const wrong = await postFromPage(server, '/login/confirm', { ...hiddenFields(asked), otp: '000000' }, cookie)
    t.deepEqual([wrong.status, heading(wrong), hiddenFields(wrong)], [400, 'Enter your code', hiddenFields(asked)])
    const back = await postFromPage(server, '/login/confirm', { ...hiddenFields(asked), otp: code() }, cookie)
    t.deepEqual([back.status, location(back), back.headers.getSetCookie()], [303, path, []])
    t.is((await open(server, path, cookie)).status, 200, path)
  }
  // The same session: no second device.
  t.is((await liveSessions(server)).length, 1)
})

test('what is sent after ten minutes changes nothing, and leads back after the factor', async t => {
  const server = await startServerWithAlice(t)
  const { factor, code } = await addTotp(server, server.aliceId)
  const cookie = await signInWith(server, code())
  server.clock.advance(601)
  const before = await server.deps.storage.listFactors(server.aliceId)
  const path = `/profile/factors/${factor.id}`
  for (const [form, params] of [
    [path, { remove: 'yes' }],
    [path, { name: 'x' }],
    ['/profile/recovery-codes', { factor: 'none' }],
  ] as const) {
    const led = await postFromPage(server, form, params, cookie)
    t.deepEqual([led.status, location(led)], [303, `/login/confirm?return_to=${encodeURIComponent(form)}`])
    const program = await server.post(form, params, withCookie(cookie))
    t.deepEqual([program.status, program.body.error], [401, 'insufficient_user_authentication'])
    t.regex(program.headers.get('www-authenticate') ?? '', /max_age=600/)
  }
  t.deepEqual(await server.deps.storage.listFactors(server.aliceId), before)
})

test('who has no factor is asked for the password after ten minutes', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  server.clock.advance(601)
  const led = await open(server, '/profile/factors?kind=totp', cookie)
  const asked = await open(server, location(led)!, cookie)
  t.deepEqual([heading(asked), /<input id="password"/.test(asked.body)], ['Enter your password', true])
  for (const [typed, alert] of [
    ['', 'Enter the password you have now.'],
    ['wrong', 'This is not your password.'],
  ] as const) {
    const wrong = await postFromPage(server, '/login/confirm', { ...hiddenFields(asked), password: typed }, cookie)
    t.deepEqual([wrong.status, alertOf(wrong)], [400, alert])
  }
  const back = await postFromPage(server, '/login/confirm', { ...hiddenFields(asked), password }, cookie)
  t.deepEqual([back.status, location(back)], [303, '/profile/factors?kind=totp'])
  t.is(heading((await enroll(server, cookie)).done), 'Your recovery codes')
})

test('a factor that was removed elsewhere makes a session without it prove nothing: a password does not stand in for a factor', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const { factor } = await addTotp(server, server.aliceId)
  const led = await open(server, `/profile/factors/${factor.id}`, cookie)
  t.is(led.status, 303)
  const asked = await open(server, location(led)!, cookie)
  t.is(heading(asked), 'Enter your code')
  const refused = await postFromPage(server, '/login/confirm', { ...hiddenFields(asked), password }, cookie)
  t.is(refused.status, 400)
  t.is((await open(server, `/profile/factors/${factor.id}`, cookie)).status, 303)
})

test('the page of the password is for a session that has proved the factor there is, and asks for it first', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const { code } = await addTotp(server, server.aliceId)
  const form = {
    current_password: password,
    new_password: 'seven lamps over it',
    new_password_repeat: 'seven lamps over it',
  }
  const path = '/login/confirm?return_to=%2Fprofile%2Fpassword'
  t.is(location(await open(server, '/profile/password', cookie)), path)
  t.is(location(await postFromPage(server, '/profile/password', form, cookie)), path)
  const program = await server.post('/profile/password', form, withCookie(cookie))
  t.deepEqual([program.status, program.body.error], [401, 'insufficient_user_authentication'])
  const asked = await open(server, path, cookie)
  const back = await postFromPage(server, '/login/confirm', { ...hiddenFields(asked), otp: code() }, cookie)
  t.is(location(back), '/profile/password')
  t.is((await open(server, '/profile/password', cookie)).status, 200)
  t.is(leftNotice(await postFromPage(server, '/profile/password', form, cookie)), 'password_changed')
})

test('the auth_session of a sign-in raises no session, and that of a session signs nobody in', async t => {
  const server = await startServerWithAlice(t)
  const { code } = await addTotp(server, server.aliceId)
  const cookie = await signInWith(server, code())
  server.clock.advance(60)
  const signIn = hiddenFields(await postFromPage(server, '/login', { username: 'alice', password }))
  const asked = hiddenFields(await open(server, '/login/confirm', cookie))
  const raised = await postFromPage(server, '/login/confirm', { ...signIn, otp: code() }, cookie)
  t.deepEqual([raised.status, heading(raised)], [400, 'Enter your code'])
  const signedIn = await postFromPage(server, '/login', { ...asked, otp: code() })
  t.deepEqual([signedIn.status, heading(signedIn), signedIn.headers.getSetCookie()], [400, 'Sign in', []])
  t.is((await postFromPage(server, '/login/confirm', { ...asked, otp: code() }, cookie)).status, 303)
})

test('the pages of factors are for who is signed in; another site changes nothing (CWE-352)', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  await enroll(server, cookie)
  const page = await open(server, '/profile/factors?kind=totp', cookie)
  const otp = totpCode(shownSecret(page), stepAt(server.clock.now()))
  const { id } = (await server.deps.storage.listFactors(server.aliceId))[0]!
  for (const path of ['/profile/factors', '/profile/recovery-codes', '/login/confirm', `/profile/factors/${id}`]) {
    const led = await server.request(path, { headers: ofPage })
    t.deepEqual([led.status, location(led)], [303, `/login?return_to=${encodeURIComponent(path)}`])
  }
  const before = await stateOf(server)
  const factors = await server.deps.storage.listFactors(server.aliceId)
  for (const [path, params] of [
    ['/profile/factors', { ...hiddenFields(page), otp }],
    [`/profile/factors/${id}`, { remove: 'yes' }],
    ['/profile/recovery-codes', hiddenFields(await open(server, '/profile/recovery-codes', cookie))],
    ['/login/confirm', { ...hiddenFields(await open(server, '/login/confirm', cookie)), otp: '000000' }],
    ['/login/passkey', {}],
  ] as const) {
    for (const accept of [browserAccept, 'application/json']) {
      const headers = { ...withCookie(cookie), 'sec-fetch-site': 'cross-site', accept }
      t.is((await server.post(path, { ...params }, headers)).status, 403, path)
    }
  }
  t.deepEqual(await stateOf(server), before)
  t.deepEqual(await server.deps.storage.listFactors(server.aliceId), factors)
})

test('a passkey is added on its page, signs in alone and beside a password, and says what it is (WebAuthn §7)', async t => {
  const server = await startServerWithAlice(t)
  const authenticator = createAuthenticator(issuer)
  const cookie = await signInByCookie(server)
  const page = await open(server, '/profile/factors?kind=passkey', cookie)
  const options = JSON.parse(attributeOf(page, 'data-options')!)
  const passkey = authenticator.create(options)
  const again = await postFromPage(server, '/profile/factors', { ...hiddenFields(page), passkey: '{}' }, cookie)
  t.deepEqual([again.status, heading(again)], [400, 'Add a passkey'])
  t.is(alertOf(again), 'This passkey could not be checked. Try again.')
  const done = await postFromPage(server, '/profile/factors', { ...hiddenFields(page), passkey }, cookie)
  t.deepEqual([done.status, heading(done), shownCodes(done).length], [200, 'Your recovery codes', 10])
  t.regex(listed(await open(server, '/profile', cookie))[0] ?? '', /^Passkey: Added/)

  // Alone.
  const begun = await server.post('/login/passkey', {}, { 'sec-fetch-site': 'same-origin' })
  t.is(begun.status, 200)
  const { auth_session, passkey_options } = begun.body
  const alone = { auth_session, passkey: authenticator.get(passkey_options), return_to: '/profile/password' }
  const signedIn = await postFromPage(server, '/login', alone)
  t.deepEqual([signedIn.status, location(signedIn)], [303, '/profile/password'])
  t.deepEqual(
    (await liveSessions(server))
      .map(({ amr }) => amr)
      .toSorted()
      .at(-1)
      ?.includes('user'),
    true,
  )
  const replayed = await postFromPage(server, '/login', alone)
  t.deepEqual([replayed.status, heading(replayed), replayed.headers.getSetCookie()], [400, 'Sign in', []])

  // Beside a password.
  const asked = await postFromPage(server, '/login', { username: 'alice', password })
  t.is(heading(asked), 'Use your passkey')
  const question = JSON.parse(attributeOf(asked, 'data-options')!)
  const by = { ...hiddenFields(asked), passkey: authenticator.get(question) }
  t.is((await postFromPage(server, '/login', by)).status, 303)
  const program = await server.post('/login', { username: 'alice', password })
  t.deepEqual(
    [program.body.factors, program.body.passkey_options.rpId],
    [['recovery_code', 'passkey'], 'auth.example.com'],
  )
})

for (const [title, forged] of Object.entries({
  'of another origin': { origin: 'https://evil.example' },
  'without its user verified': { userVerified: false },
  'to another challenge': { challenge: Buffer.alloc(32).toString('base64url') },
})) {
  test(`a passkey ${title} signs nobody in, and the page says so (WebAuthn §7.2)`, async t => {
    const server = await startServerWithAlice(t)
    const authenticator = createAuthenticator(issuer)
    const cookie = await signInByCookie(server)
    const page = await open(server, '/profile/factors?kind=passkey', cookie)
    const passkey = authenticator.create(JSON.parse(attributeOf(page, 'data-options')!))
    await postFromPage(server, '/profile/factors', { ...hiddenFields(page), passkey }, cookie)
    const signIn = async (forged: object) => {
      const { auth_session, passkey_options } = (await server.post('/login/passkey', {})).body
      return postFromPage(server, '/login', { auth_session, passkey: authenticator.get(passkey_options, forged) })
    }
    const refused = await signIn(forged)
    t.deepEqual([refused.status, heading(refused), refused.headers.getSetCookie()], [400, 'Sign in', []])
    t.is(alertOf(refused), 'This passkey does not sign anybody in here. Use your password.')
    t.is((await signIn({})).status, 303)
  })
}

test('where the issuer is an address there are no passkeys, and the pages offer none', async t => {
  const server = await startServerWithAlice(t, { oauth: { issuer: 'http://127.0.0.1:3000', relyingParty: undefined } })
  const cookie = await signInByCookie(server)
  t.notRegex((await server.request('/login', { headers: ofPage })).body, /passkey/)
  t.notRegex((await open(server, '/profile', cookie)).body, /passkey/i)
  t.is((await server.post('/login/passkey', {})).status, 400)
  t.is((await open(server, '/profile/factors?kind=passkey', cookie)).status, 303)
})
