/** Changing the password, by token and by the form of the account page. NIST SP 800-63B §3.1.1.2. */
import test from 'ava'
import { getByCookie, isSignedIn, ofPage, postFromPage, signInByCookie, stateOf, withCookie } from './_cookies.ts'
import { password, startServerWithAlice, type TestServer } from './_server.ts'

const newPassword = 'seven lamps over the harbour'

function change(server: TestServer, accessToken: string, params: Record<string, unknown>, type = 'form') {
  const body = type === 'json' ? JSON.stringify(params) : new URLSearchParams(params as Record<string, string>)
  const headers = { ...server.bearer(accessToken), ...(type === 'json' && { 'content-type': 'application/json' }) }
  return server.request('/users/me/password', { method: 'PUT', body, headers })
}

for (const type of ['form', 'json']) {
  test(`PUT /users/me/password (${type}) is 204, ends the other sessions and keeps this one`, async t => {
    const server = await startServerWithAlice(t)
    const here = await server.signIn()
    const there = await server.signIn()
    const { status, body } = await change(
      server,
      here.access_token,
      { current_password: password, new_password: newPassword },
      type,
    )
    t.deepEqual([status, body], [204, ''])
    t.is((await server.refresh(here.refresh_token)).status, 200)
    t.is((await server.refresh(there.refresh_token)).status, 400)
    t.is((await server.me(there.access_token)).status, 401)
    t.truthy((await server.signIn({ password: newPassword })).access_token)
    const { body: refused } = await server.token({
      grant_type: 'password',
      client_id: 'app',
      username: 'alice',
      password,
    })
    t.is(refused.error, 'invalid_grant')
  })
}

for (const [what, params, error, description] of [
  ['a wrong current password', { current_password: 'wrong', new_password: newPassword }, 'invalid_grant', /current/],
  ['no current password', { new_password: newPassword }, 'invalid_request', /current_password is missing/],
  ['no new password', { current_password: password }, 'invalid_request', /new_password is missing/],
  ['7 characters', { current_password: password, new_password: 'sevench' }, 'invalid_request', /at least 8/],
  [
    '1,025 characters',
    { current_password: password, new_password: 'é'.repeat(1025) },
    'invalid_request',
    /at most 1024/,
  ],
  ['one of the commonest', { current_password: password, new_password: 'Password1' }, 'invalid_request', /commonest/],
] as const) {
  test(`PUT /users/me/password with ${what} is 400 ${error} and changes nothing`, async t => {
    const server = await startServerWithAlice(t)
    const { access_token } = await server.signIn()
    const before = await stateOf(server)
    const { status, body } = await change(server, access_token, params)
    t.deepEqual([status, body.error], [400, error])
    t.regex(body.error_description, description)
    t.deepEqual(await stateOf(server), before)
    t.is((await change(server, access_token, { current_password: password, new_password: newPassword })).status, 204)
  })
}

test('a password of 8 letters alone, of spaces, of emoji or of 1,024 characters is as good as any', async t => {
  const server = await startServerWithAlice(t)
  const { access_token } = await server.signIn()
  let current = password
  for (const next of ['qzjxkvbw', '          ', '😀😁😂🤣😃😄😅😆', 'ß'.repeat(1024)]) {
    const params = { current_password: current, new_password: next }
    t.is((await change(server, access_token, params)).status, 204, next)
    t.truthy((await server.signIn({ password: next })).access_token)
    current = next
  }
})

test('PUT /users/me/password needs an access token: a cookie will not do', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const { status } = await server.request('/users/me/password', {
    method: 'PUT',
    body: new URLSearchParams({ current_password: password, new_password: newPassword }),
    headers: withCookie(cookie),
  })
  t.is(status, 401)
  t.true(await isSignedIn(server, cookie))
})

test('of two devices that change the password at once one wins, and the other is signed out', async t => {
  const server = await startServerWithAlice(t)
  const devices = [await server.signIn(), await server.signIn()]
  const answers = await Promise.all(
    devices.map(({ access_token }, i) =>
      change(server, access_token, { current_password: password, new_password: `${newPassword} ${i}` }),
    ),
  )
  const won = answers.findIndex(({ status }) => status === 204)
  t.true([400, 401].includes(answers[1 - won]!.status))
  t.truthy((await server.signIn({ password: `${newPassword} ${won}` })).access_token)
  t.is((await server.refresh(devices[won]!.refresh_token)).status, 200)
  t.is((await server.refresh(devices[1 - won]!.refresh_token)).status, 400)
})

test('of two browsers that change the password at once one wins, and the other is asked to sign in', async t => {
  const server = await startServerWithAlice(t)
  const cookies = [await signInByCookie(server), await signInByCookie(server)]
  const form = { current_password: password, new_password: newPassword, new_password_repeat: newPassword }
  const answers = await Promise.all(cookies.map(cookie => postFromPage(server, '/profile/password', form, cookie)))
  const locations = answers.map(({ headers }) => headers.get('location'))
  t.deepEqual(locations.toSorted(), ['/login', '/profile?notice=password_changed'])
  t.deepEqual(
    await Promise.all(cookies.map(cookie => isSignedIn(server, cookie))),
    locations.map(location => location !== '/login'),
  )
})

test('the form changes the password, says so, keeps this browser and ends the rest', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const { refresh_token } = await server.signIn()
  const form = { current_password: password, new_password: newPassword, new_password_repeat: newPassword }
  const answer = await postFromPage(server, '/profile/password', form, cookie)
  t.deepEqual([answer.status, answer.headers.get('location')], [303, '/profile?notice=password_changed'])
  const account = await getByCookie(server, '/profile?notice=password_changed', cookie, ofPage)
  t.regex(account.body, /role="status"[\s\S]*changed/)
  t.is((await server.refresh(refresh_token)).status, 400)
})

for (const [what, form, field] of [
  ['a wrong current password', { current_password: 'wrong pass' }, 'current_password'],
  ['a short new password', { new_password: 'secret1', new_password_repeat: 'secret1' }, 'new_password'],
  ['another repetition', { new_password_repeat: 'seven lamps over the harbor' }, 'new_password_repeat'],
  ['nothing', { current_password: '', new_password: '', new_password_repeat: '' }, 'current_password'],
] as const) {
  test(`the form with ${what} says so beside the field, shows no password and changes nothing`, async t => {
    const server = await startServerWithAlice(t)
    const cookie = await signInByCookie(server)
    const good = { current_password: password, new_password: newPassword, new_password_repeat: newPassword }
    const before = await stateOf(server)
    const { status, body } = await postFromPage(server, '/profile/password', { ...good, ...form }, cookie)
    t.is(status, 400)
    const input = new RegExp(`<input[^>]*name="${field}"[^>]*>`).exec(body)?.[0] ?? ''
    t.regex(input, /aria-invalid="true"/)
    t.notRegex(body, /wrong pass|secret1|seven lamps|correct horse/)
    t.deepEqual(await stateOf(server), before)
    t.is((await postFromPage(server, '/profile/password', good, cookie)).status, 303)
  })
}
