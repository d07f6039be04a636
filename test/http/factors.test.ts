/** The factors of a signed-in user, by bearer token: /users/me/factors. */
import test from 'ava'
import { decodeJwt } from 'jose'
import { setPassword } from '../../src/admin/users.ts'
import { createAuthenticator } from '../_authenticator.ts'
import { stateOf } from '../_cookies.ts'
import { addRecoveryCodes, addTotp, codeOf } from '../_factors.ts'
import { type Answer, issuer, password, refusal, refused, startServerWithAlice, type TestServer } from '../_server.ts'

type Body = Record<string, unknown>

function ask(server: TestServer, method: string, path: string, accessToken: string, params?: Body, type = 'json') {
  const body = type === 'json' ? JSON.stringify(params) : new URLSearchParams(params as Record<string, string>)
  const headers = { ...server.bearer(accessToken), ...(type === 'json' && { 'content-type': 'application/json' }) }
  return server.request(`/users/me/factors${path}`, { method, headers, ...(params && { body }) })
}

/** Sets time-based codes up. @returns the answer to the confirmation, and the secret */
async function enroll(server: TestServer, accessToken: string, name?: string) {
  const { body } = await ask(server, 'POST', '', accessToken, { kind: 'totp', ...(name && { name }) })
  const { enrollment, secret } = body
  const otp = codeOf(secret, server.clock.now())
  const confirmed: Answer = await ask(server, 'POST', '/confirm', accessToken, { enrollment, otp })
  if (confirmed.status !== 200) throw new Error(JSON.stringify(confirmed.body))
  return { ...confirmed, secret: secret as string, enrollment: enrollment as string, otp }
}

const list = async (server: TestServer, accessToken: string) =>
  (await ask(server, 'GET', '', accessToken)).body.factors as { id: string; kind: string }[]

for (const type of ['json', 'form']) {
  test(`a user sets up time-based codes, names and removes them (${type})`, async t => {
    const server = await startServerWithAlice(t)
    const tokens = await server.signIn()
    const token = tokens.access_token
    t.deepEqual(await list(server, token), [])

    const begun = await ask(server, 'POST', '', token, { kind: 'totp', name: ' My\tphone ' }, type)
    t.deepEqual([begun.status, begun.headers.get('cache-control')], [200, 'no-store'])
    const { enrollment, secret, ...rest } = begun.body
    const uri = `otpauth://totp/auth.example.com:alice?secret=${secret}&issuer=auth.example.com&algorithm=SHA1&digits=6&period=30`
    t.deepEqual(rest, { otpauth_uri: uri, expires_in: 600 })
    t.deepEqual(await list(server, token), [])

    const otp = codeOf(secret, server.clock.now())
    const { status, headers, body } = await ask(server, 'POST', '/confirm', token, { enrollment, otp }, type)
    t.deepEqual([status, headers.get('cache-control')], [200, 'no-store'])
    const { id, recovery_codes, ...factor } = body
    t.deepEqual(factor, { kind: 'totp', name: 'My phone', created_at: server.clock.now(), used_at: null })
    t.is(new Set(recovery_codes).size, 10)
    const listed = await list(server, token)
    t.deepEqual(
      listed.find(one => one.kind === 'totp'),
      { id, ...factor },
    )
    t.like(
      listed.find(one => one.kind === 'recovery_codes'),
      { name: null, codes_left: 10 },
    )

    const named = await ask(server, 'PATCH', `/${id}`, token, { name: 'Old phone' }, type)
    t.deepEqual([named.status, named.body], [200, { id, ...factor, name: 'Old phone' }])
    t.is((await ask(server, 'PATCH', `/${id}`, token, {}, type)).body.name, null)
    t.is((await ask(server, 'DELETE', `/${id}`, token)).status, 204)
    t.deepEqual(await list(server, token), [])
    t.deepEqual(refusal(await ask(server, 'DELETE', `/${id}`, token)), refused(404, 'not_found'))
    t.deepEqual(refusal(await ask(server, 'PATCH', `/${id}`, token, { name: 'x' }, type)), refused(404, 'not_found'))
  })
}

test('the session that set up the first factor has proved it, and its next refresh says so (RFC 8176)', async t => {
  const server = await startServerWithAlice(t)
  const tokens = await server.signIn()
  await enroll(server, tokens.access_token)
  const { body } = await server.refresh(tokens.refresh_token)
  const [before, after] = [tokens, body].map(({ access_token }) => decodeJwt(access_token))
  t.like(before, { amr: ['pwd'], acr: 'urn:latchkey:1fa' })
  t.like(after, {
    amr: ['pwd', 'otp', 'mfa'],
    acr: 'urn:latchkey:2fa',
    sid: before!.sid!,
    auth_time: before!.auth_time,
  })
})

test('a sign-in by password alone is not enough from then on; the code that enrolled is used up (RFC 6238 §5.2)', async t => {
  const server = await startServerWithAlice(t)
  const { otp, secret } = await enroll(server, (await server.signIn()).access_token)
  const signIn = (more: Record<string, string> = {}) =>
    server.token({ grant_type: 'password', client_id: 'app', username: 'alice', password, ...more })
  t.like(await signIn(), { status: 403, body: { error: 'insufficient_authorization' } })
  t.is((await signIn({ otp })).status, 400)
  t.is((await signIn({ otp: codeOf(secret, server.clock.now() + 30) })).status, 200)
})

test('another password, chosen by the user or by an operator, is no way around a factor', async t => {
  const server = await startServerWithAlice(t)
  const { access_token: token } = await server.signIn()
  const { secret } = await enroll(server, token)
  const [own, theirs] = ['seven lamps over the harbour', 'eight lamps over the harbour']
  const changed = await server.request('/users/me/password', {
    method: 'PUT',
    body: new URLSearchParams({ current_password: password, new_password: own }),
    headers: server.bearer(token),
  })
  t.is(changed.status, 200)
  t.deepEqual(decodeJwt(changed.body.access_token).amr, ['pwd', 'otp', 'mfa'])
  const signIn = (typed: string, more: Record<string, string> = {}) =>
    server.token({ grant_type: 'password', client_id: 'app', username: 'alice', password: typed, ...more })
  t.is((await signIn(own)).status, 403)
  const admin = { ...server.deps, secrets: async () => server.deps.secrets, passwordSettings: server.deps.config }
  await setPassword(admin, 'alice', theirs, { name: 'operator' })
  t.is((await signIn(theirs)).status, 403)
  t.is((await signIn(theirs, { otp: codeOf(secret, server.clock.now() + 30) })).status, 200)
})

test('a user sets up a passkey', async t => {
  const server = await startServerWithAlice(t)
  const { access_token: token } = await server.signIn()
  const authenticator = createAuthenticator(issuer)
  const begun = await ask(server, 'POST', '', token, { kind: 'passkey', name: 'Laptop' })
  t.is(begun.status, 200)
  const { enrollment, options, ...rest } = begun.body
  t.deepEqual(rest, { expires_in: 600 })
  t.like(options, { rp: { id: 'auth.example.com' }, user: { name: 'alice' }, attestation: 'none' })
  const forged = authenticator.create(options, { userVerified: false })
  const refusedAnswer = await ask(server, 'POST', '/confirm', token, { enrollment, passkey: forged })
  t.deepEqual(refusal(refusedAnswer), refused(400, 'invalid_grant'))
  const passkey = authenticator.create(options)
  const confirmed = await ask(server, 'POST', '/confirm', token, { enrollment, passkey })
  t.like(confirmed, { status: 200, body: { kind: 'passkey', name: 'Laptop' } })
  t.is(confirmed.body.recovery_codes.length, 10)
})

test('a server that is called by an address has no passkeys, and says so', async t => {
  const server = await startServerWithAlice(t, { oauth: { issuer: 'http://127.0.0.1:3000' } })
  const { access_token: token } = await server.signIn()
  const answer = await ask(server, 'POST', '', token, { kind: 'passkey' })
  t.deepEqual(refusal(answer), refused(400, 'invalid_request'))
  t.is((await ask(server, 'POST', '', token, { kind: 'totp' })).status, 200)
})

test('an enrollment that was never finished leaves nothing', async t => {
  const server = await startServerWithAlice(t)
  const tokens = await server.signIn()
  const before = await stateOf(server)
  const begun = (await ask(server, 'POST', '', tokens.access_token, { kind: 'totp' })).body
  await ask(server, 'POST', '', tokens.access_token, { kind: 'passkey' })
  t.deepEqual(await stateOf(server), before)
  server.clock.advance(600)
  const late = { enrollment: begun.enrollment, otp: codeOf(begun.secret, server.clock.now()) }
  const answer = await ask(server, 'POST', '/confirm', tokens.access_token, late)
  t.deepEqual(refusal(answer), refused(400, 'invalid_session'))
  t.deepEqual(await stateOf(server), before)
  t.is((await server.signIn()).expires_in > 0, true, 'and the password is enough as ever')
})

test('of two tabs that enroll at once one is told to begin again; nothing is half enrolled', async t => {
  const server = await startServerWithAlice(t)
  const { access_token: token } = await server.signIn()
  const tabs = [1, 2].map(async () => (await ask(server, 'POST', '', token, { kind: 'totp' })).body)
  const begun = await Promise.all(tabs)
  const answers = await Promise.all(
    begun.map(({ enrollment, secret }) =>
      ask(server, 'POST', '/confirm', token, { enrollment, otp: codeOf(secret, server.clock.now()) }),
    ),
  )
  t.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 400])
  t.deepEqual(refusal(answers.find(({ status }) => status === 400)!), refused(400, 'invalid_session'))
  t.deepEqual((await list(server, token)).map(({ kind }) => kind).toSorted(), ['recovery_codes', 'totp'])
})

test('who got no answer to a confirmation asks again, and sees the same recovery codes; a stranger does not', async t => {
  const server = await startServerWithAlice(t)
  const [{ access_token: token }, other] = [await server.signIn(), await server.signIn()]
  const { body, enrollment, otp } = await enroll(server, token)
  server.clock.advance(120)
  const again = await ask(server, 'POST', '/confirm', token, { enrollment, otp })
  t.deepEqual([again.status, again.body], [200, body])
  t.is((await list(server, token)).length, 2)
  const elsewhere = await ask(server, 'POST', '/confirm', other.access_token, { enrollment, otp })
  t.deepEqual(refusal(elsewhere), refused(400, 'invalid_session'))
  const guessed = await ask(server, 'POST', '/confirm', token, { enrollment, otp: '000000' })
  t.deepEqual(refusal(guessed), refused(400, 'invalid_grant'))
})

test("a replayed, early, late, Unicode or 7-digit code, another user's enrollment and a forged one enroll nothing", async t => {
  const server = await startServerWithAlice(t)
  await server.addUser({ username: 'bob' })
  const [{ access_token: token }, bob] = [await server.signIn(), await server.signIn({ username: 'bob' })]
  const now = server.clock.now()
  const { enrollment, secret } = (await ask(server, 'POST', '', token, { kind: 'totp' })).body
  const otp = codeOf(secret, now)
  const confirm = (params: Body, accessToken = token) => ask(server, 'POST', '/confirm', accessToken, params)
  const full = [...otp].map(digit => String.fromCodePoint(0xff10 + Number(digit))).join('')
  for (const wrong of [full, `${otp}0`, otp.slice(1), codeOf(secret, now + 60), codeOf(secret, now - 60), 'x'])
    t.deepEqual(refusal(await confirm({ enrollment, otp: wrong })), refused(400, 'invalid_grant'), wrong)
  for (const other of [`${enrollment.slice(0, -1)}${enrollment.endsWith('A') ? 'B' : 'A'}`, 'lke_', 'x', token])
    t.deepEqual(refusal(await confirm({ enrollment: other, otp })), refused(400, 'invalid_session'), other)
  t.deepEqual(refusal(await confirm({ enrollment, otp }, bob.access_token)), refused(400, 'invalid_session'))
  t.deepEqual(refusal(await confirm({ enrollment })), refused(400, 'invalid_request'))
  t.deepEqual(refusal(await confirm({ otp })), refused(400, 'invalid_request'))
  for (const wrong of [{}, { kind: 'sms' }, { kind: 'otp' }, { kind: 7 }, { kind: ['totp'] }])
    t.deepEqual(refusal(await ask(server, 'POST', '', token, wrong)), refused(400, 'invalid_request'))
  t.deepEqual([await list(server, token), await list(server, bob.access_token)], [[], []])
  t.is((await confirm({ enrollment, otp })).status, 200)
})

test('a clock off by minutes is told at the enrollment, and nowhere else', async t => {
  const server = await startServerWithAlice(t)
  const { access_token: token } = await server.signIn()
  const { enrollment, secret } = (await ask(server, 'POST', '', token, { kind: 'totp' })).body
  const wrong = codeOf(secret, server.clock.now() + 300)
  const { body } = await ask(server, 'POST', '/confirm', token, { enrollment, otp: wrong })
  t.deepEqual(body, {
    error: 'invalid_grant',
    error_description: 'the code is of another time: the clock of the device that shows it is about 5 minutes fast',
  })
  const enrolled = await enroll(server, token)
  const params = { grant_type: 'password', client_id: 'app', username: 'alice', password }
  const answers = [codeOf(enrolled.secret, server.clock.now() + 300), '000000'].map(otp =>
    server.token({ ...params, otp }),
  )
  const [drifted, random] = await Promise.all(answers)
  t.deepEqual({ ...drifted!.body, auth_session: '' }, { ...random!.body, auth_session: '' })
})

const fresh = 'max_age=600'
const challenge = (words: string, ...more: string[]) =>
  ['Bearer realm="latchkey", error="insufficient_user_authentication"', `error_description="${words}"`, ...more].join(
    ', ',
  )

test('factors change in a sign-in of the last ten minutes alone: 401 with max_age (RFC 9470 §3)', async t => {
  const server = await startServerWithAlice(t)
  const tokens = await server.signIn()
  server.clock.advance(601)
  const { access_token: token } = (await server.refresh(tokens.refresh_token)).body
  const answer = await ask(server, 'POST', '', token, { kind: 'totp' })
  t.deepEqual(refusal(answer), refused(401, 'insufficient_user_authentication'))
  t.is(answer.headers.get('www-authenticate'), challenge('a new sign-in is needed', fresh))
  t.is((await ask(server, 'POST', '', (await server.signIn()).access_token, { kind: 'totp' })).status, 200)
})

test('and with the factor where there is one: 401 with acr_values (RFC 9470 §3); another user notices nothing', async t => {
  const server = await startServerWithAlice(t)
  await server.addUser({ username: 'bob' })
  // Two that began before there was a factor.
  const [here, there] = [await server.signIn(), await server.signIn()]
  const { body: factor } = await enroll(server, here.access_token)
  const change = (accessToken: string) => [
    () => ask(server, 'POST', '', accessToken, { kind: 'totp' }),
    () => ask(server, 'POST', '', accessToken, { kind: 'passkey' }),
    () => ask(server, 'PATCH', `/${factor.id}`, accessToken, { name: 'x' }),
    () => ask(server, 'POST', '', accessToken, { kind: 'recovery_codes' }),
    () => ask(server, 'DELETE', `/${factor.id}`, accessToken),
  ]
  const before = await stateOf(server)
  for (const attempt of change(there.access_token)) {
    const answer = await attempt()
    t.deepEqual(refusal(answer), refused(401, 'insufficient_user_authentication'))
    const words = 'a sign-in with the second factor is needed'
    t.is(answer.headers.get('www-authenticate'), challenge(words, 'acr_values="urn:latchkey:2fa"', fresh))
  }
  const { access_token: bobs } = await server.signIn({ username: 'bob' })
  for (const method of ['PATCH', 'DELETE'])
    t.is((await ask(server, method, `/${factor.id}`, bobs, method === 'PATCH' ? { name: 'x' } : undefined)).status, 404)
  t.deepEqual((await stateOf(server)).slice(1, 3), before.slice(1, 3))
  t.is((await list(server, there.access_token)).length, 2, 'to look is allowed')
  for (const attempt of change(here.access_token)) t.true((await attempt()).status < 300)
})

test('recovery codes are replaced as a whole, and need a factor that they stand in for', async t => {
  const server = await startServerWithAlice(t)
  const { access_token: token } = await server.signIn()
  t.deepEqual(
    refusal(await ask(server, 'POST', '', token, { kind: 'recovery_codes' })),
    refused(400, 'invalid_request'),
  )
  const { body } = await enroll(server, token)
  const replaced = await ask(server, 'POST', '', token, { kind: 'recovery_codes' })
  t.deepEqual([replaced.status, Object.keys(replaced.body)], [200, ['recovery_codes']])
  t.is(new Set([...replaced.body.recovery_codes, ...body.recovery_codes]).size, 20)
  const signIn = (code: string) =>
    server.token({ grant_type: 'password', client_id: 'app', username: 'alice', password, recovery_code: code })
  t.is((await signIn(body.recovery_codes[0])).status, 400)
  t.is((await signIn(replaced.body.recovery_codes[0])).status, 200)
  t.like(
    (await list(server, token)).find(one => one.kind === 'recovery_codes'),
    { codes_left: 9, used_at: server.clock.now() },
  )
})

test('no answer, event or list has a secret of a factor', async t => {
  const server = await startServerWithAlice(t)
  const { access_token: token } = await server.signIn()
  const { secret, body } = await enroll(server, token)
  await addTotp(server, server.aliceId)
  await addRecoveryCodes(server, server.aliceId)
  const texts = JSON.stringify([await list(server, token), await server.deps.storage.listAuditEvents(100)])
  for (const part of [
    secret,
    body.recovery_codes[0],
    ...(await server.deps.storage.listFactors(server.aliceId)).map(({ data }) => data),
  ])
    t.false(texts.includes(part))
})

for (const [method, path] of [
  ['GET', ''],
  ['POST', ''],
  ['POST', '/confirm'],
  ['PATCH', '/fac_AAAAAAAAAAAAAAAAAAAAAA'],
  ['DELETE', '/fac_AAAAAAAAAAAAAAAAAAAAAA'],
] as const)
  test(`${method} /users/me/factors${path} is for who has a live session alone (RFC 6750 §3.1)`, async t => {
    const server = await startServerWithAlice(t)
    const tokens = await server.signIn()
    const params = method === 'GET' || method === 'DELETE' ? undefined : { kind: 'totp', enrollment: 'x', otp: '1' }
    for (const token of ['x', tokens.refresh_token])
      t.deepEqual(refusal(await ask(server, method, path, token, params)), refused(401, 'invalid_token'))
    t.not((await ask(server, method, path, tokens.access_token, params)).status, 401)
    await server.request('/logout', { method: 'POST', headers: server.bearer(tokens.access_token) })
    t.deepEqual(refusal(await ask(server, method, path, tokens.access_token, params)), refused(401, 'invalid_token'))
  })
