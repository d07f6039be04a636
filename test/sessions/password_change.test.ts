/** Changing the password, by token and by the form of the account page. NIST SP 800-63B-4 §3.1.1.2. */
import test from 'ava'
import { decodeJwt } from 'jose'
import type { MasterSecret } from '../../src/keys/master_secret.ts'
import { sealToken } from '../../src/keys/sealed_token.ts'
import { changePassword } from '../../src/sessions/password_change.ts'
import {
  getByCookie,
  isSignedIn,
  leftNotice,
  liveSessions,
  ofPage,
  postFromPage,
  setCookieValue,
  signInByCookie,
  stateOf,
  withCookie,
} from '../_cookies.ts'
import { addRecoveryCodes, addTotp, proveInSessions, removeFactor } from '../_factors.ts'
import { password, refusal, refused, startServerWithAlice, type TestServer } from '../_server.ts'

const newPassword = 'seven lamps over the harbour'

function change(server: TestServer, accessToken: string, params: Record<string, unknown>, type = 'form') {
  const body = type === 'json' ? JSON.stringify(params) : new URLSearchParams(params as Record<string, string>)
  const headers = { ...server.bearer(accessToken), ...(type === 'json' && { 'content-type': 'application/json' }) }
  return server.request('/users/me/password', { method: 'PUT', body, headers })
}

for (const type of ['form', 'json']) {
  test(`PUT /users/me/password (${type}) answers new tokens for this session and ends the others`, async t => {
    const server = await startServerWithAlice(t)
    const here = await server.signIn({ scope: 'read' })
    const there = await server.signIn()
    server.clock.advance(10)
    const params = { current_password: password, new_password: newPassword }
    const { status, headers, body } = await change(server, here.access_token, params, type)
    t.deepEqual([status, headers.get('cache-control')], [200, 'no-store'])
    t.deepEqual(Object.keys(body), ['access_token', 'token_type', 'expires_in', 'scope', 'refresh_token'])
    t.deepEqual([body.token_type, body.scope], ['Bearer', 'read'])
    const [old, claims] = [here.access_token, body.access_token].map(token => decodeJwt(token))
    t.like(claims, { sid: old!.sid!, sub: old!.sub!, client_id: 'app', scope: 'read', auth_time: old!.auth_time })
    t.is(claims!.exp! - claims!.iat!, body.expires_in)
    t.is((await server.me(body.access_token)).status, 200)
    const next = await server.refresh(body.refresh_token)
    t.is(next.status, 200)
    t.is((await server.refresh(next.body.refresh_token)).status, 200)
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

for (const hours of [0, 1]) {
  test(`after a password change every refresh token that was copied before is dead, ${hours} h later too, and ends nothing (RFC 9700 §4.14)`, async t => {
    const server = await startServerWithAlice(t)
    const first = await server.signIn()
    const second = (await server.refresh(first.refresh_token)).body
    const third = (await server.refresh(second.refresh_token)).body
    server.clock.advance(60)
    const params = { current_password: password, new_password: newPassword }
    const own = (await change(server, third.access_token, params)).body
    const copies = [first, second, third].map(({ refresh_token }) => refresh_token)
    const before = await stateOf(server)
    server.clock.advance(hours * 3600)

    for (const copy of copies) t.deepEqual(refusal(await server.refresh(copy)), refused(400, 'invalid_grant'))
    t.deepEqual(await stateOf(server), before)
    // The owner goes on, and then a copy is as dead as before.
    const next = await server.refresh(own.refresh_token)
    t.is(next.status, 200)
    for (const copy of copies) t.deepEqual(refusal(await server.refresh(copy)), refused(400, 'invalid_grant'))
    t.is((await server.refresh(next.body.refresh_token)).status, 200)
    // The twin: what is superseded since the change is reuse as ever.
    t.is((await server.refresh(own.refresh_token)).status, 400)
    t.is((await server.refresh(next.body.refresh_token)).status, 400)
    t.is((await server.deps.storage.listAuditEvents(1))[0]!.type, 'session.reused')
  })
}

test('an app that lost the answer to its password change can change it again, or sign in; its old token is no theft', async t => {
  const server = await startServerWithAlice(t)
  const tokens = await server.signIn()
  await change(server, tokens.access_token, { current_password: password, new_password: newPassword })
  t.is((await server.refresh(tokens.refresh_token)).body.error, 'invalid_grant')
  t.false((await server.deps.storage.listAuditEvents(10)).some(({ type }) => type === 'session.reused'))

  const again = { current_password: newPassword, new_password: 'eight lamps over the harbour' }
  const { status, body } = await change(server, tokens.access_token, again)
  t.is(status, 200)
  t.is((await server.refresh(body.refresh_token)).status, 200)
  t.truthy((await server.signIn({ password: again.new_password })).access_token)
})

test('introspection shows a refresh token from before the password change as dead, and the new one as alive', async t => {
  const server = await startServerWithAlice(t)
  const web = { client_id: 'web', client_secret: 'lks_web' }
  await server.addClient({ id: 'web', secret: web.client_secret, isPublic: false })
  const tokens = await server.signIn(web)
  const params = { current_password: password, new_password: newPassword }
  const { body } = await change(server, tokens.access_token, params)
  const isActive = async (token: string) =>
    (await server.post('/introspect', { ...web, token, token_type_hint: 'refresh_token' })).body.active
  t.deepEqual([await isActive(tokens.refresh_token), await isActive(body.refresh_token)], [false, true])
})

test('a session without refresh tokens goes on with its new access token as long as it would have', async t => {
  const server = await startServerWithAlice(t)
  await server.addClient({ id: 'kiosk', grantTypes: ['password'] })
  const tokens = await server.signIn({ client_id: 'kiosk' })
  server.clock.advance(300)
  const params = { current_password: password, new_password: newPassword }
  const { status, body } = await change(server, tokens.access_token, params)
  t.is(status, 200)
  t.false('refresh_token' in body)
  t.true(body.expires_in <= 600)
})

test('a logout that is answered before a password change has been computed leaves the password as it was (promise 4)', async t => {
  const server = await startServerWithAlice(t)
  const { access_token } = await server.signIn()
  const { passwords, storage } = server.deps
  const hash = passwords.hash.bind(passwords)
  const changing = changePassword(
    {
      ...server.deps,
      passwords: {
        ...passwords,
        async hash(text) {
          await server.request('/logout', { method: 'POST', headers: server.bearer(access_token) })
          return hash(text)
        },
      },
    },
    (await storage.findLiveSession(String(decodeJwt(access_token).sid), server.clock.now()))!,
    { currentPassword: password, newPassword },
    {},
  )
  t.is(await changing, 'overtaken')
  t.truthy((await server.signIn()).access_token)
})

for (const [what, params, error, description] of [
  ['a wrong current password', { current_password: 'wrong', new_password: newPassword }, 'invalid_grant', /current/],
  ['no current password', { new_password: newPassword }, 'invalid_request', /current_password is missing/],
  ['no new password', { current_password: password }, 'invalid_request', /new_password is missing/],
  ['14 characters', { current_password: password, new_password: 'fourteen chars' }, 'invalid_request', /at least 15 /],
  [
    '1,025 characters',
    { current_password: password, new_password: 'é'.repeat(1025) },
    'invalid_request',
    /at most 1024/,
  ],
  [
    'one of the commonest',
    { current_password: password, new_password: 'PasswordPassword' },
    'invalid_request',
    /commonest/,
  ],
] as const) {
  test(`PUT /users/me/password with ${what} is 400 ${error} and changes nothing`, async t => {
    const server = await startServerWithAlice(t)
    const { access_token } = await server.signIn()
    const before = await stateOf(server)
    const { status, body } = await change(server, access_token, params)
    t.deepEqual([status, body.error], [400, error])
    t.regex(body.error_description, description)
    t.deepEqual(await stateOf(server), before)
    t.is((await change(server, access_token, { current_password: password, new_password: newPassword })).status, 200)
  })
}

test('a password of 15 letters alone, of spaces, of emoji or of 1,024 characters is as good as any', async t => {
  const server = await startServerWithAlice(t)
  const { access_token } = await server.signIn()
  let current = password
  for (const next of ['qzjxkvbwqzjxkvb', ' '.repeat(15), '😀😁😂🤣😃'.repeat(3), 'ß'.repeat(1024)]) {
    const params = { current_password: current, new_password: next }
    t.is((await change(server, access_token, params)).status, 200, next)
    t.truthy((await server.signIn({ password: next })).access_token)
    current = next
  }
})

test('with a second factor 8 characters are enough; without one again the password goes on, and the next needs 15 (NIST SP 800-63B-4 §3.1.1.2)', async t => {
  const server = await startServerWithAlice(t)
  let { access_token } = await server.signIn()
  const choose = async (current_password: string, new_password: string) => {
    const { status, body } = await change(server, access_token, { current_password, new_password })
    access_token = body.access_token ?? access_token
    return body.error_description ?? status
  }
  await addRecoveryCodes(server, server.aliceId)
  t.is(await choose(password, 'qzjxkvbw'), 'the password must have at least 15 characters')
  const { factor } = await addTotp(server, server.aliceId)
  await proveInSessions(server)
  t.is(await choose(password, 'qzjxkvb'), 'the password must have at least 8 characters')
  t.is(await choose(password, 'qzjxkvbw'), 200)

  await removeFactor(server, factor)
  t.truthy((await server.signIn({ password: 'qzjxkvbw' })).access_token)
  t.is(await choose('qzjxkvbw', 'wbvkxjzq'), 'the password must have at least 15 characters')
  t.is(await choose('qzjxkvbw', newPassword), 200)
})

test('where no factor is asked for, a user who has one needs 15 characters; LATCHKEY_PASSWORD_MIN chooses another number', async t => {
  for (const [oauth, least] of [
    [{ requireFactor: 'off' }, 15],
    [{ minSolePassword: 20, requireFactor: 'off' }, 20],
    [{ minSolePassword: 20 }, 8],
  ] as const) {
    const server = await startServerWithAlice({ ...t, title: `${t.title} ${JSON.stringify(oauth)}` }, { oauth })
    const { access_token } = await server.signIn()
    await addTotp(server, server.aliceId)
    if (least === 8) await proveInSessions(server)
    const choose = (length: number) => {
      const params = { current_password: password, new_password: 'qzjxkvbw'.repeat(3).slice(0, length) }
      return change(server, access_token, params)
    }
    t.is((await choose(least - 1)).body.error_description, `the password must have at least ${least} characters`)
    t.is((await choose(least)).status, 200)
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
  const won = answers.findIndex(({ status }) => status === 200)
  t.true([400, 401].includes(answers[1 - won]!.status))
  t.truthy((await server.signIn({ password: `${newPassword} ${won}` })).access_token)
  t.is((await server.refresh(answers[won]!.body.refresh_token)).status, 200)
  t.is((await server.refresh(devices[1 - won]!.refresh_token)).status, 400)
})

test('of two browsers that change the password at once one wins, and the other is asked to sign in', async t => {
  const server = await startServerWithAlice(t)
  const cookies = [await signInByCookie(server), await signInByCookie(server)]
  const form = { current_password: password, new_password: newPassword, new_password_repeat: newPassword }
  const answers = await Promise.all(cookies.map(cookie => postFromPage(server, '/profile/password', form, cookie)))
  const locations = answers.map(({ headers }) => headers.get('location'))
  t.deepEqual(locations.toSorted(), ['/login', '/profile'])
  t.deepEqual(
    await Promise.all(cookies.map((cookie, i) => isSignedIn(server, setCookieValue(answers[i]!) || cookie))),
    locations.map(location => location !== '/login'),
  )
})

test('the form changes the password, says so, keeps this browser and ends the rest', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const { refresh_token } = await server.signIn()
  const form = { current_password: password, new_password: newPassword, new_password_repeat: newPassword }
  const answer = await postFromPage(server, '/profile/password', form, cookie)
  t.is(leftNotice(answer), 'password_changed')
  const cookies = answer.headers.getSetCookie().map(one => one.split(';')[0])
  const account = await server.request('/profile', { headers: { ...ofPage, cookie: cookies.join('; ') } })
  t.regex(account.body, /role="status"[\s\S]*changed/)
  t.is((await server.refresh(refresh_token)).status, 400)
})

/** A cookie as versions before generations made it. */
function formerCookie(server: TestServer, sessionId: string): string {
  const format = { prefix: 'lkc_', payloadLength: 16, key: (secret: MasterSecret) => secret.sessionCookieKey }
  return sealToken(format, Buffer.from(sessionId, 'base64url'), server.deps.secrets)
}

for (const kind of ['of today', 'of an older version']) {
  test(`after the form a copied cookie ${kind} is dead, until the next change and after it; nobody's cookie is cleared`, async t => {
    const server = await startServerWithAlice(t)
    const signedIn = await signInByCookie(server)
    const [session] = await liveSessions(server)
    let cookie = kind === 'of today' ? signedIn : formerCookie(server, session!.id)
    t.true(await isSignedIn(server, cookie))
    const copies = []
    let current = password
    for (const next of [newPassword, 'eight lamps over the harbour']) {
      copies.push(cookie)
      const form = { current_password: current, new_password: next, new_password_repeat: next }
      cookie = setCookieValue(await postFromPage(server, '/profile/password', form, cookie))!
      current = next
      for (const wait of [0, 61]) {
        server.clock.advance(wait)
        for (const copy of copies) {
          const answer = await getByCookie(server, '/profile', copy)
          t.deepEqual([answer.status, answer.headers.getSetCookie()], [401, []])
        }
      }
      const before = await stateOf(server)
      await postFromPage(server, '/profile/sign-out', { scope: 'all' }, copies[0])
      t.deepEqual(await stateOf(server), before)
      t.true(await isSignedIn(server, cookie))
    }
  })
}

test('the form says how many characters the password of this user must have, in the hint, to the browser and when it is refused', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const form = { current_password: password, new_password: 'qzjxkvb', new_password_repeat: 'qzjxkvb' }
  const read = (page: string) => [/minlength="\d+"/.exec(page)?.[0], /At least \d+ char/.exec(page)?.[0]]
  for (const least of [15, 8]) {
    if (least === 8) await addTotp(server, server.aliceId)
    if (least === 8) await proveInSessions(server)
    const { body } = await getByCookie(server, '/profile/password', cookie, ofPage)
    t.deepEqual(read(body), [`minlength="${least}"`, `At least ${least} char`])
    const refused = await postFromPage(server, '/profile/password', form, cookie)
    t.is(refused.status, 400)
    t.regex(refused.body, new RegExp(`Use at least ${least} characters`))
  }
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

test('who has a second factor changes the password in a session that has proved it: else 401 (RFC 9470 §3)', async t => {
  const server = await startServerWithAlice(t)
  const [here, there] = [await server.signIn(), await server.signIn()]
  const cookie = await signInByCookie(server)
  await addTotp(server, server.aliceId)
  const params = { current_password: password, new_password: newPassword }
  const before = await stateOf(server)
  const refusedChange = await change(server, here.access_token, params)
  t.deepEqual(refusal(refusedChange), refused(401, 'insufficient_user_authentication'))
  t.regex(refusedChange.headers.get('www-authenticate')!, /, acr_values="urn:latchkey:2fa"$/)
  // Nor is there anything to be learnt of the password.
  const wrong = await change(server, here.access_token, { ...params, current_password: 'wrong' })
  t.deepEqual(refusal(wrong), refusal(refusedChange))
  const form = { ...params, new_password_repeat: newPassword }
  const page = await postFromPage(server, '/profile/password', form, cookie)
  // A person is led to where it is proved, and back.
  t.deepEqual([page.status, page.headers.get('location')], [303, '/login/confirm?return_to=%2Fprofile%2Fpassword'])
  t.deepEqual(await stateOf(server), before)

  await proveInSessions(server)
  t.is((await change(server, there.access_token, params)).status, 200)
})

test('a factor that comes while a password is being changed stops the change', async t => {
  const server = await startServerWithAlice(t)
  const { access_token } = await server.signIn()
  const { storage, passwords } = server.deps
  const { sid } = decodeJwt(access_token)
  const signedIn = (await storage.findLiveSession(sid as string, server.clock.now()))!
  const hash = async (text: string) => {
    await addTotp(server, server.aliceId)
    return passwords.hash(text)
  }
  const deps = { ...server.deps, passwords: { ...passwords, hash } }
  const outcome = await changePassword(deps, signedIn, { currentPassword: password, newPassword }, {})
  t.is(outcome, 'overtaken')
  t.true(await passwords.verify(password, (await storage.findUser(server.aliceId))!.passwordHash))
})
