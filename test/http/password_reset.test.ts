/** A forgotten password in apps: a mail is asked for, its code or link sets another one. NIST SP 800-63B-4 §4.2, OWASP Forgot Password Cheat Sheet. */
import test from 'ava'
import { createAuthenticator } from '../_authenticator.ts'
import { addPasskey, addRecoveryCodes, addTotp } from '../_factors.ts'
import { newestMail, waitingMails } from '../_mails.ts'
import { type Answer, password, refusal, refused, type ServerOptions, startServerWithAlice } from '../_server.ts'
import { startSmtp } from '../_smtp.ts'
import { openTestStorage } from '../_storages.ts'

const fresh = 'seven lamps over the harbour'
const app = { client_id: 'app' }

async function start(t: Parameters<typeof startServerWithAlice>[0], options: ServerOptions = {}) {
  const server = await startServerWithAlice(t, {
    ...options,
    oauth: { hasMail: true, ...options.oauth },
    throttle: { enabled: false, ...options.throttle },
  })
  const ask = (username: string, params: Record<string, string> = {}) =>
    server.post('/password-reset', { ...app, username, ...params })
  const confirm = (params: Record<string, string>) => server.post('/password-reset/confirm', { ...app, ...params })
  /** Asks for a mail to alice. @returns what the app and the mail have */
  async function begin(username = 'alice') {
    server.clock.advance(1)
    const { body } = await ask(username)
    const mail = (await newestMail(server, 'password_reset'))!
    return { auth_session: body.auth_session as string, ...mail }
  }
  const signIn = (typed: string, params: Record<string, string> = {}) =>
    server.token({ grant_type: 'password', ...app, username: 'alice', password: typed, ...params })
  return { ...server, ask, confirm, begin, signInWith: signIn }
}

const wrongCode = (code: string) => (code === '00000000' ? '11111111' : '00000000')
const errorOf = ({ status, body }: Answer) => [status, body.error]

test('the answer is the same for a user, by name or address, for nobody, and for who has no address or is disabled', async t => {
  const server = await start(t)
  await server.addUser({ username: 'bob' })
  await server.addUser({ username: 'carol', email: 'carol@example.com', disabledAt: 1 })
  const lengths = new Set<string>()
  const known: (string | undefined)[] = []
  for (const username of ['alice', 'ALICE', ' Alice@Example.com ', 'nobody', 'nobody@example.com', 'bob', 'carol']) {
    const { status, headers, body } = await server.ask(username)
    t.deepEqual([status, Object.keys(body), body.expires_in], [200, ['auth_session', 'expires_in'], 1800], username)
    t.is(headers.get('cache-control'), 'no-store')
    known.push((await newestMail(server, 'password_reset'))?.mail.userId)
    server.clock.advance(1)
    lengths.add(`${body.auth_session.length} ${headers.get('content-length')}`)
  }
  t.is(lengths.size, 1)
  const mails = await waitingMails(server)
  t.deepEqual(known, [...Array(3).fill(server.aliceId), ...Array(4).fill(undefined)])
  // Promise 6: no token, no text and no code is in the database.
  const [id, client_id] = [/^[\w-]{22}$/, 'app']
  for (const { purpose, address, language, about } of mails) {
    t.deepEqual(
      [purpose, address, language, Object.keys(about ?? {})],
      ['password_reset', undefined, undefined, ['challenge_id', 'client_id']],
    )
    t.regex(about!.challenge_id!, id)
    t.is(about!.client_id, client_id)
  }
})

test('the code sets another password once, ends all sessions, signs nobody in, and is audited', async t => {
  const server = await start(t)
  const tokens = await server.signIn()
  const { auth_session, code, token } = await server.begin()
  server.clock.advance(1799)
  const done = await server.confirm({ auth_session, code, new_password: fresh })
  t.deepEqual([done.status, done.body, done.headers.getSetCookie()], [200, {}, []])
  t.is((await server.me(tokens.access_token)).status, 401)
  t.deepEqual(errorOf(await server.refresh(tokens.refresh_token)), [400, 'invalid_grant'])
  t.is((await server.signInWith(password)).status, 400)
  t.is((await server.signInWith(fresh)).status, 200)
  const [event, ...more] = await server.deps.storage.listAuditEvents(10, { type: 'user.password_reset' })
  t.like(event, { userId: server.aliceId, clientId: 'app', ip: '127.0.0.1', detail: undefined })
  t.is(more.length, 0)
  // Neither does any more: they died with the password before.
  const other = 'eight lamps over the harbour'
  t.deepEqual(errorOf(await server.confirm({ auth_session, code, new_password: other })), [400, 'invalid_grant'])
  t.deepEqual(errorOf(await server.confirm({ token, new_password: other })), [400, 'invalid_grant'])
  t.is((await server.signInWith(fresh)).status, 200)
})

test('the token of the link does as well, also with blanks in the code; of two mails both work until one is used', async t => {
  const server = await start(t)
  const [first, second] = [await server.begin(), await server.begin('alice@example.com')]
  t.not(first.code, second.code)
  t.is((await server.confirm({ token: first.token, new_password: fresh })).status, 200)
  t.deepEqual(errorOf(await server.confirm({ token: second.token, new_password: password })), [400, 'invalid_grant'])
  const { auth_session } = second
  t.deepEqual(errorOf(await server.confirm({ auth_session, code: second.code, new_password: password })), [
    400,
    'invalid_grant',
  ])
  const third = await server.begin()
  const code = third.code.replace(/^(....)/, ' $1 - ')
  t.is(
    (await server.confirm({ auth_session: third.auth_session, code, new_password: 'nine lamps over the harbour' }))
      .status,
    200,
  )
})

test('the mail proves the address, unless another account has proved it before; then the password is set all the same', async t => {
  const server = await start(t)
  const { storage } = server.deps
  const verifiedAt = async () => (await storage.findUser(server.aliceId))?.emailVerifiedAt
  await storage.setUniqueEmails(false)
  const bob = await server.addUser({ username: 'bob', email: 'alice@example.com', emailVerifiedAt: 1 })
  const first = await server.begin()
  t.is((await server.confirm({ token: first.token, new_password: fresh })).status, 200)
  t.is(await verifiedAt(), undefined)
  await storage.updateUser(bob, { email: undefined }, { at: 1, type: 'user.updated' })
  const second = await server.begin()
  t.is((await server.confirm({ token: second.token, new_password: 'eight lamps over the harbour' })).status, 200)
  t.is(await verifiedAt(), server.clock.now())
})

test('two who bring the same code at one moment: one sets the password', async t => {
  const server = await start(t)
  const { auth_session, code } = await server.begin()
  const answers = await Promise.all(
    ['one', 'two', 'six'].map(n => server.confirm({ auth_session, code, new_password: `${n} lamps over the harbour` })),
  )
  t.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 400, 400])
  t.is((await server.deps.storage.listAuditEvents(10, { type: 'user.password_reset' })).length, 1)
})

test('a mail is dead after 30 minutes, and after any change of the password or the address', async t => {
  const server = await start(t)
  const { storage } = server.deps
  const changes: [string, () => Promise<unknown>][] = [
    ['half an hour', async () => server.clock.advance(1800)],
    [
      'another password',
      () => storage.changeUser(server.aliceId, user => ({ outcome: 0, user: { ...user!, credentialVersion: 9 } })),
    ],
    [
      'another address',
      () => storage.updateUser(server.aliceId, { email: 'new@example.com' }, { at: 1, type: 'user.updated' }),
    ],
    ['disabled', () => storage.changeUser(server.aliceId, user => ({ outcome: 0, user: { ...user!, disabledAt: 1 } }))],
  ]
  for (const [what, change] of changes) {
    const { auth_session, code, token } = await server.begin()
    await change()
    const byCode = await server.confirm({ auth_session, code, new_password: fresh })
    t.is(byCode.status, 400, what)
    t.deepEqual(errorOf(await server.confirm({ token, new_password: fresh })), [400, 'invalid_grant'], what)
  }
  t.deepEqual(await storage.listAuditEvents(10, { type: 'user.password_reset' }), [])
})

test('five wrong codes end a challenge, for a user and for nobody alike', async t => {
  const server = await start(t)
  for (const username of ['alice', 'nobody']) {
    const { auth_session } = (await server.ask(username)).body
    const code = (await newestMail(server, 'password_reset'))?.code ?? '12345678'
    for (let i = 0; i < 4; i++) {
      const wrong = await server.confirm({ auth_session, code: wrongCode(code), new_password: fresh })
      t.deepEqual(refusal(wrong), refused(400, 'invalid_grant'), username)
    }
    for (const last of [wrongCode(code), code]) {
      const over = await server.confirm({ auth_session, code: last, new_password: fresh })
      t.deepEqual(refusal(over), refused(400, 'invalid_session'), username)
    }
  }
  t.is((await server.signInWith(password)).status, 200)
})

test('a code is for its challenge, and that for its client', async t => {
  const server = await start(t)
  await server.addClient({ id: 'other' })
  const [first, second] = [await server.begin(), await server.begin()]
  const { auth_session } = first
  t.deepEqual(errorOf(await server.confirm({ auth_session, code: second.code, new_password: fresh })), [
    400,
    'invalid_grant',
  ])
  const elsewhere = { auth_session, code: first.code, new_password: fresh, client_id: 'other' }
  t.deepEqual(errorOf(await server.confirm(elsewhere)), [400, 'invalid_session'])
  t.is((await server.confirm({ auth_session, code: first.code, new_password: fresh })).status, 200)
})

test('a password that the rules refuse takes no try and changes nothing; the next one does', async t => {
  const server = await start(t)
  const { auth_session, code } = await server.begin()
  for (let i = 0; i < 6; i++)
    t.deepEqual(errorOf(await server.confirm({ auth_session, code, new_password: 'short' })), [400, 'invalid_request'])
  const sole = await server.confirm({ auth_session, code, new_password: 'ten letter' })
  t.is(sole.body.error_description, 'the password must have at least 15 characters')
  t.deepEqual(errorOf(await server.confirm({ auth_session, code })), [400, 'invalid_request'])
  t.deepEqual(errorOf(await server.confirm({ auth_session, new_password: fresh })), [400, 'invalid_request'])
  t.deepEqual(errorOf(await server.confirm({ code, new_password: fresh })), [400, 'invalid_request'])
  t.is((await server.confirm({ auth_session, code, new_password: fresh })).status, 200)
})

test('a second factor is asked for: it comes along, or with the auth_session of the 403, which signs nobody in', async t => {
  const server = await start(t)
  const { code: otpAt } = await addTotp(server, server.aliceId)
  const [codes] = [await addRecoveryCodes(server, server.aliceId)]
  const { auth_session, code } = await server.begin()
  const owed = await server.confirm({ auth_session, code, new_password: fresh })
  t.deepEqual(errorOf(owed), [403, 'insufficient_authorization'])
  t.deepEqual(owed.body.factors.toSorted(), ['otp', 'recovery_code'])
  t.is(owed.body.auth_session_expires_in, 300)
  const going = { auth_session: owed.body.auth_session as string }
  // It is no sign-in.
  const challenge = { response_type: 'code', code_challenge: 'A'.repeat(43), code_challenge_method: 'S256', ...app }
  const asSignIn = await server.post('/authorize-challenge', { ...challenge, ...going, otp: otpAt() })
  t.deepEqual(errorOf(asSignIn), [400, 'invalid_session'])
  t.deepEqual(errorOf(await server.confirm({ ...going, otp: '000000' })), [400, 'invalid_grant'])
  t.is((await server.signInWith(fresh)).status, 400)
  t.deepEqual((await server.confirm({ ...going, otp: otpAt() })).body, {})
  t.deepEqual(errorOf(await server.confirm({ ...going, otp: otpAt() })), [400, 'invalid_session'])
  // The factors are as they were, and the code was used up.
  t.is((await server.deps.storage.listFactors(server.aliceId)).length, 2)
  t.deepEqual(errorOf(await server.signInWith(fresh)), [403, 'insufficient_authorization'])
  t.deepEqual(errorOf(await server.signInWith(fresh, { otp: otpAt() })), [400, 'invalid_grant'])
  server.clock.advance(30)
  t.is((await server.signInWith(fresh, { otp: otpAt() })).status, 200)

  const again = await server.begin()
  const along = { auth_session: again.auth_session, code: again.code, new_password: 'eight letters' }
  const wrong = await server.confirm({ ...along, recovery_code: '0000-0000-0000-0000' })
  t.deepEqual([wrong.status, wrong.body.error, typeof wrong.body.auth_session], [400, 'invalid_grant', 'string'])
  t.is((await server.confirm({ ...along, recovery_code: codes.codes[0]! })).status, 200)
})

test('a passkey is a second factor there too', async t => {
  const server = await start(t)
  const { authenticator } = await addPasskey(server, server.aliceId)
  const { auth_session, code } = await server.begin()
  const { body } = await server.confirm({ auth_session, code, new_password: fresh })
  t.deepEqual(body.factors, ['passkey'])
  const passkey = authenticator.get(body.passkey_options)
  const other = createAuthenticator('https://auth.example.com')
  t.throws(() => other.get(body.passkey_options))
  t.is((await server.confirm({ auth_session: body.auth_session, passkey })).status, 200)
})

test('five wrong factors end the step, and the mail is good for another', async t => {
  const server = await start(t)
  const { code: otp } = await addTotp(server, server.aliceId)
  const { token } = await server.begin()
  const step = async () => (await server.confirm({ token, new_password: fresh })).body.auth_session as string
  const auth_session = await step()
  for (const error of [...Array(4).fill('invalid_grant'), 'invalid_session', 'invalid_session'])
    t.is((await server.confirm({ auth_session, otp: '000000' })).body.error, error)
  t.is((await server.confirm({ auth_session: await step(), otp: otp() })).status, 200)
})

test('a factor that is set up, or a password that is changed, at that moment ends the step', async t => {
  const server = await start(t)
  const { code: otp } = await addTotp(server, server.aliceId)
  const { token } = await server.begin()
  const { auth_session } = (await server.confirm({ token, new_password: fresh })).body
  await addPasskey(server, server.aliceId)
  t.deepEqual(errorOf(await server.confirm({ auth_session, otp: otp() })), [400, 'invalid_session'])
})

test('where everybody needs a factor, who has none sets one up at the next sign-in: a reset goes round nothing', async t => {
  const server = await start(t, { oauth: { requireFactor: 'all' } })
  const { auth_session, code } = await server.begin()
  t.is((await server.confirm({ auth_session, code, new_password: fresh })).status, 200)
  const { status, body } = await server.signInWith(fresh)
  t.deepEqual([status, body.error, body.enrollment_required], [403, 'insufficient_authorization', true])
})

test('where no sign-in asks for a factor, this does not either', async t => {
  const server = await start(t, { oauth: { requireFactor: 'off' } })
  await addTotp(server, server.aliceId)
  const { auth_session, code } = await server.begin()
  t.is((await server.confirm({ auth_session, code, new_password: fresh })).status, 200)
})

test('who signs in without a password gets one by the mail', async t => {
  const server = await start(t)
  await server.deps.storage.changeUser(server.aliceId, user => ({
    outcome: 0,
    user: { ...user!, passwordHash: undefined },
  }))
  const { auth_session, code } = await server.begin()
  t.is((await server.confirm({ auth_session, code, new_password: fresh })).status, 200)
  t.is((await server.signInWith(fresh)).status, 200)
})

test('only apps of who runs the server may ask, each as itself', async t => {
  const server = await start(t)
  await server.addClient({ id: 'other', grantTypes: ['refresh_token'] })
  const secret = await server.addClient({ id: 'web', isPublic: false })
  for (const path of ['', '/confirm']) {
    const post = (params: Record<string, string>) => server.post(`/password-reset${path}`, params)
    const params = { username: 'alice', token: 'x', new_password: fresh }
    t.deepEqual(errorOf(await post({ ...params, client_id: 'other' })), [400, 'unauthorized_client'])
    t.deepEqual(errorOf(await post({ ...params, client_id: 'web' })), [400, 'invalid_client'])
    t.deepEqual(errorOf(await post({ ...params, client_id: 'none' })), [400, 'invalid_client'])
    t.deepEqual(errorOf(await post(params)), [400, 'invalid_client'])
    const own = await post({ ...params, client_id: 'web', client_secret: secret })
    t.deepEqual(errorOf(own), path === '' ? [200, undefined] : [400, 'invalid_grant'])
  }
  t.deepEqual(errorOf(await server.post('/password-reset', app)), [400, 'invalid_request'])
})

test('browser apps of allowed origins may ask, and no others', async t => {
  const server = await start(t, { http: { corsOrigins: ['https://app.example.com'] } })
  for (const [origin, allowed] of [
    ['https://app.example.com', 'https://app.example.com'],
    ['https://evil.example', null],
  ] as const) {
    const { headers } = await server.post('/password-reset', { ...app, username: 'alice' }, { origin })
    t.is(headers.get('access-control-allow-origin'), allowed)
  }
})

test('mails are asked for once a minute by name, known or not, and a mail that does not come in time is no mail', async t => {
  const server = await start(t, { throttle: { enabled: true } })
  for (const username of ['alice', 'nobody']) {
    t.is((await server.ask(username)).status, 200)
    const again = await server.ask(username.toUpperCase())
    t.deepEqual(
      [again.status, again.body.error, again.headers.get('retry-after')],
      [429, 'temporarily_unavailable', '60'],
      username,
    )
  }
  t.is((await waitingMails(server)).length, 2)
  server.clock.advance(60)
  t.is((await server.ask('alice')).status, 200)
})

test('while too many mails wait nobody can cause another one', async t => {
  const storage = await openTestStorage(t)
  const server = await start(t, { storage: { ...storage, addMail: async () => false } })
  t.deepEqual(errorOf(await server.ask('alice')), [503, 'temporarily_unavailable'])
})

test('where no mails are sent there is nothing of it, and the API document does not promise it', async t => {
  const server = await startServerWithAlice(t)
  for (const path of ['/password-reset', '/password-reset/confirm'])
    t.is((await server.post(path, { ...app, username: 'alice' })).status, 404)
  for (const path of ['/login/forgot-password', '/login/forgot-password/code'])
    t.is((await server.request(path)).status, 404)
  const { paths } = (await server.request('/openapi.json')).body
  t.deepEqual(
    Object.keys(paths).filter(path => /forgot-password(?!\/done)|password-reset/.test(path)),
    [],
  )
  t.false((await server.request('/login', { headers: { accept: 'text/html' } })).body.includes('forgot-password'))
})

test('what is mailed works: its code in the app that asked, and its link, which is of the issuer whatever Host said', async t => {
  const smtp = await startSmtp(t)
  const server = await start(t, { smtp })
  const askAs = (language: string) =>
    server.post('/password-reset', { ...app, username: 'alice' }, { host: 'evil.example', 'accept-language': language })
  const { auth_session } = (await askAs('ko')).body
  await server.ask('nobody')
  await server.sendMails()
  t.is(smtp.received.length, 1)
  const [{ to, text, code, link }] = smtp.received as [(typeof smtp.received)[number]]
  t.deepEqual(to, ['alice@example.com'])
  t.regex(text, /[가-힣]/)
  t.true(link!.startsWith('https://auth.example.com/mail/password_reset?token=lkm_'), link)
  t.false(text.includes('evil'))
  t.is((await server.confirm({ auth_session, code: code!, new_password: fresh })).status, 200)
  // The same mail is used up in both ways.
  const token = new URL(link!).searchParams.get('token')!
  t.deepEqual(errorOf(await server.confirm({ token, new_password: password })), [400, 'invalid_grant'])

  await askAs('en')
  await server.sendMails()
  const second = smtp.received.findLast(one => one.text.includes('/mail/password_reset'))!
  t.notRegex(second.text, /[가-힣]/)
  const other = new URL(second.link!).searchParams.get('token')!
  t.is((await server.confirm({ token: other, new_password: 'eight lamps over the harbour' })).status, 200)
})
