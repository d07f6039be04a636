/** What is in the log: never a password, token, secret or Authorization value (design, settings). */
import test from 'ava'
import { decodeJwt } from 'jose'
import pino from 'pino'
import { createClientKey, signAssertion, withAssertion } from './_client_keys.ts'
import { getByCookie, signInByCookie, withCookie } from './_cookies.ts'
import { password, startServerWithAlice } from './_server.ts'

test('no password, token, secret or Authorization value is in any log line or audit event', async t => {
  const lines: string[] = []
  const server = await startServerWithAlice(t, { onLog: line => lines.push(line) })
  const clientSecret = 'lks_a-secret-that-a-person-chose'
  await server.addClient({ id: 'web', secret: clientSecret })
  const basic = (secret: string) => ({
    authorization: `Basic ${Buffer.from(`web:${encodeURIComponent(secret)}`).toString('base64')}`,
  })
  const wrongPassword = 'wrong horse battery staple'
  const wrongSecret = 'lks_another-secret'
  const signIn = { grant_type: 'password', username: 'alice', password }

  const first = await server.signIn()
  const second = (await server.refresh(first.refresh_token)).body
  const retried = (await server.refresh(first.refresh_token)).body
  const third = (await server.refresh(second.refresh_token)).body
  const reuse = await server.refresh(first.refresh_token)
  const confidential = (await server.token(signIn, basic(clientSecret))).body
  const { access_token } = confidential
  const key = await createClientKey()
  await server.addClient({ id: 'jobs', jwks: { keys: [key.jwk] }, authenticationMethods: ['private_key_jwt'] })
  const assertion = await signAssertion(key, 'jobs')
  const wrongAssertion = await signAssertion(await createClientKey(), 'jobs')
  const cookie = await signInByCookie(server)
  const newPassword = 'another horse and another staple'
  const change = (currentPassword: string) =>
    server.request('/users/me/password', {
      method: 'PUT',
      headers: server.bearer(access_token),
      body: new URLSearchParams({ current_password: currentPassword, new_password: newPassword }),
    })
  const statuses = [
    reuse,
    await server.token({ ...signIn, client_id: 'app', password: wrongPassword }),
    await server.token({ ...signIn, client_id: 'app', username: 'nobody', password: wrongPassword }),
    await server.token(signIn, basic(wrongSecret)),
    await server.token({ ...signIn, client_id: 'web', client_secret: wrongSecret }),
    await server.token(signIn, { authorization: `Basic ${Buffer.from(clientSecret).toString('base64')}` }),
    await server.token(signIn, { authorization: `Bearer ${access_token}` }),
    await server.post(`/token?client_secret=${clientSecret}&password=${encodeURIComponent(password)}`, signIn),
    await server.token({ ...signIn, client_id: 'app', scope: 'admin' }),
    await server.request('/token', { method: 'POST', body: JSON.stringify(signIn) }),
    await server.post('/revoke', { client_id: 'app', token: first.refresh_token }),
    await server.me(first.access_token),
    await server.me(`${access_token}x`),
    await server.request(`/users/me?access_token=${access_token}`),
    await server.request(`/nothing?access_token=${access_token}`),
    await server.request('/sessions', { headers: server.bearer(access_token) }),
    await server.request('/logout?scope=x', { method: 'POST', headers: server.bearer(access_token) }),
    await server.token({ ...signIn, ...withAssertion(assertion) }),
    await server.token({ ...signIn, ...withAssertion(assertion) }),
    await server.token({ ...signIn, ...withAssertion(wrongAssertion) }),
    await server.post('/login', { username: 'alice', password: wrongPassword }),
    await getByCookie(server, '/profile', cookie),
    await getByCookie(server, '/profile', `${cookie}x`),
    await server.post('/logout', {}, withCookie(cookie)),
    await getByCookie(server, '/profile', cookie),
    await change(wrongPassword),
    await change(password),
    await server.request('/logout', { method: 'POST', headers: server.bearer(access_token) }),
  ].map(({ status }) => status)

  t.deepEqual(
    statuses,
    [
      [400, 400, 400, 401, 400, 401, 400, 400, 400, 400, 200, 401, 401, 400, 404, 200, 400],
      [200, 400, 400, 401, 200, 401, 200, 401, 400, 200, 200],
    ].flat(),
  )
  // One for each request at least, so that it is the log and not its absence that is looked at.
  t.true(lines.length >= statuses.length + 5)
  const secrets = {
    password,
    wrongPassword,
    clientSecret,
    wrongSecret,
    newPassword,
    assertion,
    wrongAssertion,
    cookie: cookie.slice(4),
    ...Object.fromEntries(
      Object.entries({ first, second, retried, third, confidential }).flatMap(([name, tokens]) => [
        [`${name} access token`, tokens.access_token.split('.')[2]!],
        [`${name} claims`, tokens.access_token.split('.')[1]!],
        [`${name} refresh token`, tokens.refresh_token.slice(4)],
      ]),
    ),
  }
  await server.deps.refusals.flush(true)
  const events = await server.deps.storage.listAuditEvents(1000)
  t.true(events.length > 10)
  const log = lines.join('') + JSON.stringify(events)
  for (const [name, secret] of Object.entries(secrets)) {
    for (const form of [secret, encodeURIComponent(secret), secret.replaceAll(' ', '+'), JSON.stringify(secret)]) {
      t.false(log.includes(form), name)
    }
    const basicForm = Buffer.from(`web:${encodeURIComponent(secret)}`).toString('base64')
    t.false(log.includes(basicForm), `${name} in Basic`)
    t.false(log.includes(Buffer.from(secret).toString('base64')), `${name} in base64`)
  }
  t.notRegex(log, /lkr_|lks_|lkc_|Bearer |Basic [\w+/]{12}|\$argon2/)
  // What may be there: who it was about.
  t.truthy(decodeJwt(access_token).sid)
})

test('a token or secret that a client puts where a name belongs is neither logged nor audited', async t => {
  const lines: string[] = []
  const server = await startServerWithAlice(t, { onLog: line => lines.push(line) })
  const secret = await server.addClient({ id: 'web', isPublic: false })
  const { access_token, refresh_token } = await server.signIn()

  const answers = [
    await server.token({ grant_type: 'password', client_id: secret, username: 'alice', password }),
    await server.token({ grant_type: refresh_token, client_id: 'app' }),
    await server.token({ grant_type: 'refresh_token', client_id: refresh_token, refresh_token: 'app' }),
    await server.token(
      { grant_type: 'password', username: 'alice', password },
      { authorization: `Basic ${Buffer.from(`${secret}:web`).toString('base64')}` },
    ),
    await server.request(`/sessions/${refresh_token}`, { method: 'DELETE', headers: server.bearer(access_token) }),
    await server.request(`/users/me/${access_token}`),
  ]

  t.deepEqual(
    answers.map(({ status }) => status),
    [400, 400, 400, 401, 404, 404],
  )
  await server.deps.refusals.flush(true)
  const log = lines.join('') + JSON.stringify(await server.deps.storage.listAuditEvents(1000))
  const leaked = Object.entries({ secret, access_token, refresh_token }).filter(([, text]) => log.includes(text))
  t.deepEqual(
    leaked.map(([name]) => name),
    [],
  )
})

test('every refusal is one line with the request id of its answer, the code and no query string', async t => {
  const lines: string[] = []
  const server = await startServerWithAlice(t, { onLog: line => lines.push(line) })

  const { headers } = await server.request('/users/me?next=/secret-place', { headers: { 'user-agent': 'x\u00e9y' } })

  const logged = lines.map(line => JSON.parse(line)).filter(({ msg }) => msg === 'request refused')
  t.is(logged.length, 1)
  t.like(logged[0], {
    requestId: headers.get('x-request-id'),
    method: 'GET',
    path: '/users/me',
    status: 401,
    error: 'invalid_token',
    reason: 'an access token is needed',
    ip: '127.0.0.1',
  })
  t.notRegex(lines.join(''), /secret-place/)
})

test('what a client sends cannot begin a log line of its own', async t => {
  const lines: string[] = []
  const server = await startServerWithAlice(t, { onLog: line => lines.push(line) })

  await server.token({ grant_type: 'password', client_id: 'x"}\n{"level":60,"msg":"forged"}', username: 'a', password })
  await server.request('/%0A%7B%22msg%22:%22forged%22%7D')

  for (const line of lines) {
    t.is(line.trimEnd().split('\n').length, 1)
    t.not(JSON.parse(line).msg, 'forged')
  }
})

test('a flood of refusals cannot fill the disk: the rest are counted in the next line; other codes have their own', async t => {
  const lines: { error?: string; unlogged?: number }[] = []
  const log = pino({ level: 'info' }, { write: line => lines.push(JSON.parse(line)) })
  const server = await startServerWithAlice(t, { http: { log } })
  const started = performance.now()
  const flood = 400
  for (let i = 0; i < flood; i++) await server.refresh('lkr_x')
  await server.me('x')
  const refusals = lines.filter(({ error }) => error === 'invalid_grant')
  const counted = refusals.reduce((sum, { unlogged = 0 }) => sum + unlogged, refusals.length)

  t.true(refusals.length >= 200 && refusals.length <= 201 + ((performance.now() - started) / 1000) * 5)
  t.true(counted <= flood)
  t.is(lines.filter(({ error }) => error === 'invalid_token').length, 1)
})
