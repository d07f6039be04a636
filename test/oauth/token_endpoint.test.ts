/** The token endpoint over HTTP: the form, the password grant, the answers. RFC 6749 §3.2, §4.3, §5; design promises 7 and 8. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import argon2 from 'argon2'
import test, { type ExecutionContext } from 'ava'
import bcrypt from 'bcrypt'
import Database from 'better-sqlite3'
import { decodeJwt } from 'jose'
import { auditEvent } from '../../src/audit/audit.ts'
import { passwordUpdate } from '../../src/sessions/user_change.ts'
import { openSqliteStorage } from '../../src/storage/sqlite/sqlite.ts'
import { createPasswords } from '../../src/users/password.ts'
import {
  cheapHashing,
  createTestRandom,
  password,
  refusal,
  refused,
  startServer,
  startServerWithAlice,
  startTime,
  type TestServer,
} from '../_server.ts'
import { openTestStorage } from '../_storages.ts'

const formType = 'application/x-www-form-urlencoded'
const signInForm = 'grant_type=password&client_id=app&username=alice&password=correct+horse+battery+staple'

function postText(server: Pick<TestServer, 'request'>, body: string | Uint8Array<ArrayBuffer>, path = '/token') {
  return server.request(path, { method: 'POST', body, headers: { 'content-type': formType } })
}

function bytes(...parts: (string | number[])[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts.map(part => Buffer.from(part as string))))
}

test('a sign-in answers exactly the members of RFC 6749 §5.1, not to be cached', async t => {
  // Ten seconds are too few to be spread.
  const server = await startServerWithAlice(t, { oauth: { accessTokenLifetime: 10 } })

  const { status, headers, body } = await postText(server, signInForm)

  const { access_token, refresh_token, ...rest } = body
  t.deepEqual(
    {
      status,
      contentType: headers.get('content-type'),
      cacheControl: headers.get('cache-control'),
      pragma: headers.get('pragma'),
      rest,
    },
    {
      status: 200,
      contentType: 'application/json; charset=utf-8',
      cacheControl: 'no-store',
      pragma: 'no-cache',
      rest: { token_type: 'Bearer', expires_in: 10, scope: 'read write' },
    },
  )
  t.regex(access_token, /^[\w-]+\.[\w-]+\.[\w-]+$/)
  t.regex(refresh_token, /^lkr_[\w-]{76}$/)
  t.deepEqual((await server.me(access_token)).body, {
    username: 'alice',
    email: 'alice@example.com',
    email_verified: false,
    full_name: 'Alice',
    language: null,
  })
})

test('the lifetime of an access token is what was set or up to 5 % less', async t => {
  const server = await startServerWithAlice(t)

  const lifetimes = await Promise.all(Array.from({ length: 10 }, async () => (await server.signIn()).expires_in))

  t.true(lifetimes.every(seconds => seconds >= 855 && seconds <= 900))
  t.true(new Set(lifetimes).size > 1)
})

/** Each row: the rule, what is refused, with what, and the twin that differs in one value and signs in. */
const refusedForms: [
  rule: string,
  form: string | Uint8Array<ArrayBuffer>,
  error: string,
  twin: string | Uint8Array<ArrayBuffer>,
][] = [
  ['without grant_type', signInForm.replace('grant_type=password&', ''), 'invalid_request', signInForm],
  ['with an empty grant_type', signInForm.replace('=password&', '=&'), 'invalid_request', signInForm],
  ['with an unknown grant_type', signInForm.replace('=password&', '=passwords&'), 'unsupported_grant_type', signInForm],
  [
    'with __proto__ as grant_type',
    signInForm.replace('=password&', '=__proto__&'),
    'unsupported_grant_type',
    signInForm,
  ],
  [
    'with constructor as grant_type',
    signInForm.replace('=password&', '=constructor&'),
    'unsupported_grant_type',
    signInForm,
  ],
  ['without username', signInForm.replace('&username=alice', ''), 'invalid_request', signInForm],
  ['with an empty username', signInForm.replace('=alice', '='), 'invalid_request', signInForm],
  ['without password', signInForm.replace(/&password=.*/, ''), 'invalid_request', signInForm],
  ['with an empty password', signInForm.replace(/&password=.*/, '&password='), 'invalid_request', signInForm],
  ['with a parameter twice', `${signInForm}&username=alice`, 'invalid_request', `${signInForm}&user=alice`],
  ['with an unknown parameter twice', `${signInForm}&x=1&x=1`, 'invalid_request', `${signInForm}&x=1&y=1`],
  ['with an empty parameter twice', `${signInForm}&x=&x=`, 'invalid_request', `${signInForm}&x=&y=`],
  [
    'with a parameter twice, once encoded',
    `${signInForm}&%75sername=alice`,
    'invalid_request',
    `${signInForm}&%75ser=alice`,
  ],
  ['with __proto__ twice', `${signInForm}&__proto__=1&__proto__=1`, 'invalid_request', `${signInForm}&__proto__=1`],
  ['with username[] for username', signInForm.replace('username=', 'username[]='), 'invalid_request', signInForm],
  ['with username[x] for username', signInForm.replace('username=', 'username[x]='), 'invalid_request', signInForm],
  [
    'with __proto__[username] for username',
    signInForm.replace('username=', '__proto__[username]='),
    'invalid_request',
    signInForm,
  ],
  ['with broken percent-encoding in a value', `${signInForm}&x=%4`, 'invalid_request', `${signInForm}&x=%41`],
  ['with broken percent-encoding in a name', `${signInForm}&%zz=1`, 'invalid_request', `${signInForm}&%7a=1`],
  ['with percent-encoded bytes that are no UTF-8', `${signInForm}&x=%ff`, 'invalid_request', `${signInForm}&x=%c3%bf`],
  ['with a percent-encoded surrogate', `${signInForm}&x=%ed%a0%80`, 'invalid_request', `${signInForm}&x=%ed%9f%bf`],
  [
    'with bytes that are no UTF-8',
    bytes(`${signInForm}&x=`, [0xff]),
    'invalid_request',
    bytes(`${signInForm}&x=`, [0xc3, 0xbf]),
  ],
  ['with a percent-encoded NUL', `${signInForm}&x=a%00b`, 'invalid_request', `${signInForm}&x=a%01b`],
  ['with a NUL', `${signInForm}&x=a\0b`, 'invalid_request', `${signInForm}&x=a\x01b`],
  ['with a NUL in a name', `${signInForm}&a%00=1`, 'invalid_request', `${signInForm}&a%01=1`],
  ['with a scope of no scope characters', `${signInForm}&scope=re%22ad`, 'invalid_scope', `${signInForm}&scope=read`],
  [
    'with a scope that the client does not have',
    `${signInForm}&scope=read+admin`,
    'invalid_scope',
    `${signInForm}&scope=read+write`,
  ],
  ['with part of a scope token', `${signInForm}&scope=rea`, 'invalid_scope', `${signInForm}&scope=read`],
  ['with a scope in another case', `${signInForm}&scope=READ`, 'invalid_scope', `${signInForm}&scope=read`],
]

for (const [what, form, words] of [
  ['the parameter that is given twice', `${signInForm}&scope=read&scope=read`, 'a parameter is given twice: scope'],
  ['no parameter whose name is not for a description', `${signInForm}&%22=&%22=`, 'a parameter is given twice'],
  ['no long name', `${signInForm}&${'n'.repeat(81)}&${'n'.repeat(81)}`, 'a parameter is given twice'],
  [
    'the scope that is refused, and only that',
    `${signInForm}&scope=read+admin+root`,
    'the scope asks for more than can be granted: admin root',
  ],
  ['a scope that is malformed', `${signInForm}&scope=%22`, 'the scope is malformed'],
  [
    'the grants that there are',
    'grant_type=implicit&client_id=app',
    'this grant type is not supported; there are password, authorization_code, refresh_token, client_credentials',
  ],
  [
    'the resource that is refused',
    `${signInForm}&resource=https://other.example.com/x`,
    'the resource is malformed, given twice or not one that can be granted: https://other.example.com/x',
  ],
] as const) {
  test(`a refusal names ${what}, in characters of RFC 6749 §5.2: ${words}`, async t => {
    const server = await startServerWithAlice(t)
    const { status, body } = await postText(server, form)
    t.is(status, 400)
    t.is(body.error_description, words)
    t.regex(body.error_description, /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/)
  })
}

test('a refresh that asks for more names what was not granted at sign-in (RFC 6749 §6)', async t => {
  const server = await startServerWithAlice(t)
  const { refresh_token } = await server.signIn({ scope: 'read' })
  const { body } = await server.refresh(refresh_token, { scope: 'read write' })
  t.is(body.error_description, 'the scope asks for more than was granted at sign-in: write')
})

for (const [rule, form, error, twin] of refusedForms) {
  test(`a token request ${rule} is ${error} (RFC 6749 §3.2, §5.2)`, async t => {
    const server = await startServerWithAlice(t)

    t.deepEqual(refusal(await postText(server, form)), refused(400, error))
    t.deepEqual(await server.deps.storage.listLiveSessions({}, startTime, 10), [])
    t.is((await postText(server, twin)).status, 200)
  })
}

test('unknown parameters are ignored, and so are those without a value (RFC 6749 §3.2)', async t => {
  const server = await startServerWithAlice(t)

  const answer = await postText(server, `&&${signInForm}&a[b]=1&a=2&scope=&client_secret=&device&=&toString=1&`)

  t.like(answer, { status: 200, body: { scope: 'read write' } })
})

const refusedBodies: [rule: string, init: RequestInit][] = [
  ['as JSON', { body: JSON.stringify({ grant_type: 'password' }), headers: { 'content-type': 'application/json' } }],
  ['as text', { body: signInForm, headers: { 'content-type': 'text/plain' } }],
  ['as multipart', { body: signInForm, headers: { 'content-type': 'multipart/form-data; boundary=x' } }],
  ['with a content type that cannot be read', { body: signInForm, headers: { 'content-type': '///' } }],
  ['without a content type', { body: bytes(signInForm) }],
  ['without a body', { headers: { 'content-type': formType } }],
  ['without anything', {}],
]

for (const [rule, init] of refusedBodies) {
  test(`a token request ${rule} is invalid_request: it must be a form (RFC 6749 §4.3.2)`, async t => {
    const server = await startServerWithAlice(t)

    t.deepEqual(refusal(await server.request('/token', { method: 'POST', ...init })), refused(400, 'invalid_request'))
    t.is((await postText(server, signInForm)).status, 200)
  })
}

test('the form may name its character encoding (RFC 6749 Appendix B)', async t => {
  const server = await startServerWithAlice(t)
  const headers = { 'content-type': 'Application/X-WWW-Form-Urlencoded; charset=UTF-8' }

  t.is((await server.request('/token', { method: 'POST', body: signInForm, headers })).status, 200)
})

test('a body over 16 KiB is 413 invalid_request', async t => {
  const server = await startServerWithAlice(t)
  const padded = (length: number) => `${signInForm}&x=`.padEnd(length, 'x')

  t.deepEqual(refusal(await postText(server, padded(16_385))), refused(413, 'invalid_request'))
  t.is((await postText(server, padded(16_384))).status, 200)
})

for (const query of [
  'client_secret=x',
  'client_id=app',
  'password=x',
  'username=alice',
  'refresh_token=x',
  'grant_type=password',
  'access_token=x',
  'x=1&pass%77ord=x',
  'password',
]) {
  test(`credentials in the query string are invalid_request: ?${query} (RFC 6749 §2.3.1)`, async t => {
    const server = await startServerWithAlice(t)

    const answer = await postText(server, signInForm, `/token?${query}`)

    t.deepEqual(refusal(answer), refused(400, 'invalid_request'))
    t.is((await postText(server, signInForm, '/token?trace=1')).status, 200)
  })
}

test('a parameter is taken from the body only (RFC 6749 §3.2)', async t => {
  const server = await startServerWithAlice(t)

  t.is((await postText(server, signInForm, '/token?scope=read')).body.scope, 'read write')
  t.is((await postText(server, `${signInForm}&scope=read`)).body.scope, 'read')
})

test('a client may use only the grants that it was given: unauthorized_client (RFC 6749 §5.2)', async t => {
  const server = await startServerWithAlice(t)
  await server.addClient({ id: 'reader', grantTypes: ['refresh_token'] })

  t.deepEqual(
    refusal(await postText(server, signInForm.replace('=app', '=reader'))),
    refused(400, 'unauthorized_client'),
  )
  t.is((await postText(server, signInForm)).status, 200)
})

test('promise 7: an unknown user, a wrong password and a disabled user get the same answer', async t => {
  const server = await startServerWithAlice(t)
  await server.addUser({ username: 'bob' })
  await server.addUser({ username: 'carol', disabledAt: startTime })
  const signIn = (username: string, typed: string) =>
    server.token({ grant_type: 'password', client_id: 'app', username, password: typed })

  const answers = await Promise.all([
    signIn('nobody', password),
    signIn('alice', `${password}.`),
    signIn('alice', password.toUpperCase()),
    signIn('carol', password),
    signIn('carol', 'wrong password'),
    signIn('x'.repeat(5000), password),
    signIn("' OR 1=1 --", password),
  ])

  for (const { status, headers, body } of answers) {
    t.deepEqual(
      { status, names: [...headers.keys()], challenge: headers.get('www-authenticate'), body },
      {
        status: 400,
        names: [...answers[0]!.headers.keys()],
        challenge: null,
        body: { error: 'invalid_grant', error_description: 'the username or password is wrong' },
      },
    )
  }
  t.is((await signIn('bob', password)).status, 200)
})

for (const [method, path, allow] of [
  ['GET', '/token', 'POST'],
  ['HEAD', '/token', 'POST'],
  ['PUT', '/token', 'POST'],
  ['DELETE', '/token', 'POST'],
  ['PATCH', '/token', 'POST'],
  ['PROPFIND', '/token', 'POST'],
  ['GET', '/revoke', 'POST'],
  ['PUT', '/logout', 'HEAD, GET, POST'],
  ['POST', '/users/me', 'HEAD, GET, PATCH, DELETE'],
  ['POST', '/sessions', 'HEAD, GET'],
  ['GET', '/sessions/x', 'DELETE'],
  ['POST', '/.well-known/jwks.json', 'HEAD, GET'],
] as const) {
  test(`${method} ${path} is 405 and says what is allowed (RFC 9110 §15.5.6)`, async t => {
    const server = await startServerWithAlice(t)

    const { status, headers, body } = await server.request(path, { method })

    t.deepEqual(
      { status, allow: headers.get('allow'), cacheControl: headers.get('cache-control') },
      {
        status: 405,
        allow,
        cacheControl: 'no-store',
      },
    )
    if (method !== 'HEAD') {
      t.deepEqual(body, { error: 'method_not_allowed', error_description: 'this method is not allowed here' })
    }
  })
}

for (const [method, path] of [
  ['GET', '/tokens'],
  ['POST', '/token/x'],
  ['POST', '//token'],
  ['GET', '/users'],
  ['DELETE', '/sessions/a/b'],
  ['GET', '/.well-known/'],
  ['GET', '/__proto__'],
  ['OPTIONS', '/nothing'],
  ['PROPFIND', '/nothing'],
] as const) {
  test(`${method} ${path} is 404: nothing is there`, async t => {
    const server = await startServer(t)

    t.deepEqual(refusal(await server.request(path, { method })), refused(404, 'not_found'))
  })
}

for (const [requested, granted] of [
  ['', 'read write admin'],
  ['read', 'read'],
  ['write read', 'write read'],
  ['read  write', 'read write'],
  ['write read write', 'write read'],
  ['admin write read', 'admin write read'],
] as const) {
  test(`the scope granted for ${JSON.stringify(requested)} is ${granted} (RFC 6749 §3.3)`, async t => {
    const server = await startServer(t)
    await server.addClient({ scope: 'read write admin' })
    await server.addUser()

    const { scope, access_token, refresh_token } = await server.signIn({ scope: requested })

    t.is(scope, granted)
    t.is(claimsOf(access_token).scope, granted)
    t.is((await server.refresh(refresh_token)).body.scope, granted)
  })
}

test('a client without any scope is granted none, which no answer and no token shows as an empty scope (RFC 6749 §3.3)', async t => {
  const server = await startServer(t)
  await server.addClient({ scope: '' })
  await server.addUser()

  const tokens = await server.signIn()
  t.false('scope' in tokens)
  t.false('scope' in decodeJwt(tokens.access_token))
  await server.addClient({ id: 'api', secret: 'lks_api', scope: '' })
  const ask = { client_id: 'api', client_secret: 'lks_api' }
  const own = (await server.token({ grant_type: 'password', ...ask, username: 'alice', password })).body
  for (const [token, hint] of [
    [own.access_token, 'access_token'],
    [own.refresh_token, 'refresh_token'],
  ]) {
    const { body } = await server.post('/introspect', { ...ask, token, token_type_hint: hint })
    t.deepEqual([body.active, 'scope' in body], [true, false])
  }
  t.deepEqual(refusal(await postText(server, `${signInForm}&scope=read`)), refused(400, 'invalid_scope'))
})

test('usernames are compared in NFC and without case', async t => {
  const server = await startServer(t)
  await server.addClient()
  const userId = await server.addUser({ username: 'Zoë Straße' })
  await server.addUser({ username: 'ὀδυσσεύς' })

  for (const username of ['Zoë Straße', 'zoë straße', 'ZOË STRASSE', 'Zoe\u0308 Stra\u00dfe']) {
    t.is(claimsOf((await server.signIn({ username })).access_token).sub, userId, username)
  }
  t.truthy(await server.signIn({ username: 'ὈΔΥΣΣΕΎΣ' }))
  const other = await server.token({ grant_type: 'password', client_id: 'app', username: 'Zoe Straße', password })
  t.deepEqual(refusal(other), refused(400, 'invalid_grant'))
})

test('passwords are compared in NFC, with case and white space', async t => {
  const server = await startServer(t)
  await server.addClient()
  await server.addUser({ passwordHash: await server.deps.passwords.hash('Crème brûlée +&=% ') })
  const signIn = (typed: string) =>
    server.token({ grant_type: 'password', client_id: 'app', username: 'alice', password: typed })

  t.is((await signIn('Crème brûlée +&=% ')).status, 200)
  t.is((await signIn('Cre\u0300me bru\u0302le\u0301e +&=% ')).status, 200)
  t.is((await signIn('Crème brûlée +&=%')).status, 400)
  t.is((await signIn('crème brûlée +&=% ')).status, 400)
  t.is((await signIn('Creme brulee +&=% ')).status, 400)
})

test('a client without the refresh_token grant gets no refresh token, and its session ends with the access token', async t => {
  const server = await startServer(t, { oauth: { accessTokenLifetime: 10 } })
  await server.addClient({ grantTypes: ['password'] })
  await server.addUser()

  const { body } = await postText(server, signInForm)

  t.deepEqual(Object.keys(body).sort(), ['access_token', 'expires_in', 'scope', 'token_type'])
  server.clock.advance(9)
  t.is((await server.me(body.access_token)).status, 200)
  server.clock.advance(1)
  t.is((await server.me(body.access_token)).status, 401)
  t.deepEqual(await server.deps.storage.listLiveSessions({}, server.clock.now(), 10), [])
})

test('device names the session for its user; what is too long is cut', async t => {
  const server = await startServerWithAlice(t)
  const deviceOf = async (device: string) => {
    const { access_token } = await server.signIn({ device })
    const { body } = await server.request('/sessions', { headers: server.bearer(access_token) })
    return body.sessions.find(({ current }: { current: boolean }) => current).device
  }

  t.is(await deviceOf('Alice’s 📱'), 'Alice’s 📱')
  t.is(await deviceOf('x'.repeat(65)), 'x'.repeat(64))
  t.true((await deviceOf(`${'x'.repeat(63)}📱`)).isWellFormed())
  t.is(await deviceOf(''), null)
})

test('promise 8: a sign-in beyond the password queue is 503 with Retry-After, and a refresh goes on', async t => {
  // Slow enough that the one place is still taken when the requests arrive.
  const slowHashing = { ...cheapHashing, memory: 131_072, concurrency: 1, queue: 0 }
  const passwords = await createPasswords(slowHashing, createTestRandom())
  const server = await startServerWithAlice(t, { passwords })
  const { refresh_token } = await server.signIn()

  const occupied = passwords.hash('somebody else')
  const [known, unknown, refresh] = await Promise.all([
    postText(server, signInForm),
    postText(server, signInForm.replace('alice', 'nobody')),
    server.refresh(refresh_token),
  ])
  await occupied

  t.deepEqual(refusal(known), refused(503, 'temporarily_unavailable'))
  t.deepEqual(unknown.body, known.body)
  t.regex(known.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
  t.is(refresh.status, 200)
  t.is((await postText(server, signInForm)).status, 200)
})

test('promise 8: a closed storage is 503 with Retry-After, never a wrong password or invalid_grant', async t => {
  const storage = await openTestStorage(t)
  const server = await startServerWithAlice(t, { storage })
  const { refresh_token, access_token } = await server.signIn()

  await storage.close()

  await assertUnavailable(t, server, refresh_token, access_token)
})

test('promise 8: a broken database file is 503 with Retry-After, never a wrong password or invalid_grant', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'latchkey-'))
  const file = join(directory, 'latchkey.db')
  const { storage } = openSqliteStorage(file)
  t.teardown(async () => {
    await storage.close().catch(() => {})
    rmSync(directory, { recursive: true })
  })
  const lines: string[] = []
  const server = await startServerWithAlice(t, { storage, onLog: line => lines.push(line) })
  const { refresh_token, access_token } = await server.signIn()

  // Everything into the file itself, then garbage over all of it.
  const other = new Database(file)
  other.pragma('wal_checkpoint(TRUNCATE)')
  writeFileSync(file, Buffer.alloc(statSync(file).size, 'garbage'), { flag: 'r+' })

  await assertUnavailable(t, server, refresh_token, access_token)
  other.close()
  t.notRegex(lines.join(), /\$argon2id\$|lkr_|battery/)
})

async function assertUnavailable(t: ExecutionContext, server: TestServer, refreshToken: string, accessToken: string) {
  const authorized = { headers: server.bearer(accessToken) }
  const answers = {
    signIn: await postText(server, signInForm),
    refresh: await server.refresh(refreshToken),
    revoke: await server.post('/revoke', { client_id: 'app', token: refreshToken }),
    me: await server.me(accessToken),
    sessions: await server.request('/sessions', authorized),
    logout: await server.request('/logout', { method: 'POST', ...authorized }),
  }
  for (const [name, answer] of Object.entries(answers)) {
    t.deepEqual(refusal(answer), refused(503, 'temporarily_unavailable'), name)
    t.regex(answer.headers.get('retry-after') ?? '', /^[1-9]\d*$/, name)
  }
}

for (const variant of ['$2a$', '$2b$', '$2y$']) {
  test(`an imported bcrypt hash (${variant}) signs in and becomes argon2id`, async t => {
    const server = await startServer(t)
    await server.addClient()
    const passwordHash = (await bcrypt.hash(password, 4)).replace('$2b$', variant)
    const userId = await server.addUser({ passwordHash })

    t.is((await postText(server, signInForm.replace('staple', 'staples'))).status, 400)
    t.is((await server.deps.storage.findUser(userId))?.passwordHash, passwordHash)

    t.is((await postText(server, signInForm)).status, 200)
    const user = (await server.deps.storage.findUser(userId))!
    t.regex(user.passwordHash ?? '', /^\$argon2id\$/)
    t.is(user.credentialVersion, 1)

    t.is((await postText(server, signInForm)).status, 200)
    t.is((await server.deps.storage.findUser(userId))?.passwordHash, user.passwordHash)
    t.is((await postText(server, signInForm.replace('staple', 'staples'))).status, 400)
  })
}

for (const [rule, options] of [
  ['argon2id of another cost', { type: argon2.argon2id, memoryCost: 16, timeCost: 3, parallelism: 1 }],
  ['argon2i', { type: argon2.argon2i, memoryCost: 8, timeCost: 2, parallelism: 1 }],
] as const) {
  test(`a hash of ${rule} is replaced at sign-in, and sessions made before live on`, async t => {
    const server = await startServerWithAlice(t)
    const { access_token } = await server.signIn()
    const passwordHash = await argon2.hash(password, options)
    const imported = await server.addUser({ username: 'bob', passwordHash })

    const first = await server.signIn({ username: 'bob' })

    const user = (await server.deps.storage.findUser(imported))!
    t.not(user.passwordHash, passwordHash)
    t.regex(user.passwordHash ?? '', /^\$argon2id\$/)
    t.false(server.deps.passwords.needsRehash(user.passwordHash!))
    t.is(user.credentialVersion, 1)
    t.truthy(await server.signIn({ username: 'bob' }))
    t.is((await server.me(first.access_token)).status, 200)
    t.is((await server.me(access_token)).status, 200)
  })
}

test('a password changed while it is being hashed anew is not overwritten', async t => {
  const server = await startServer(t)
  await server.addClient()
  const userId = await server.addUser({ passwordHash: await bcrypt.hash(password, 4) })
  const changed = await server.deps.passwords.hash('another password')

  const signIn = postText(server, signInForm)
  await server.deps.storage.changeUser(
    userId,
    passwordUpdate(changed, auditEvent('user.password_changed', startTime, {})),
  )
  await signIn

  t.is((await server.deps.storage.findUser(userId))?.passwordHash, changed)
})

function claimsOf(accessToken: string) {
  return JSON.parse(Buffer.from(accessToken.split('.')[1]!, 'base64url').toString())
}

test('a path has one spelling', async t => {
  const server = await startServerWithAlice(t)
  for (const path of ['/TOKEN', '/token/', '/Users/me', '/users/me/'])
    t.is((await server.request(path)).status, 404, path)
  t.is((await server.request('/token')).status, 405)
})
