/**
 * What no database keeps as it is, wherever a text comes in: NUL, which PostgreSQL refuses in the middle of a statement, and halves of
 * characters, all of which UTF-8 makes one and the same. It is refused before anything is looked up, alike with every database.
 */
import test from 'ava'
import { decodeJwt } from 'jose'
import type { z } from 'zod'
import { readClientSettings, readNewClient } from '../../src/admin/client_settings.ts'
import { InvalidMember } from '../../src/admin/error.ts'
import { readNewUser } from '../../src/admin/users.ts'
import { endpointsOf } from '../../src/app.ts'
import { type Described, describeEndpoints } from '../../src/http/docs/openapi.ts'
import { isStorable } from '../../src/text.ts'
import { passwordHashProblem } from '../../src/users/password_formats.ts'
import { parseUserFile } from '../../src/users/user_file.ts'
import { createClientKey, joinJws, signAssertion, withAssertion } from '../_client_keys.ts'
import { liveSessions, ofPage, signInByCookie, stateOf, withCookie } from '../_cookies.ts'
import {
  createTestRandom,
  password,
  refusal,
  refused,
  startServerWithAlice,
  startTime,
  type TestServer,
} from '../_server.ts'
import { pkce } from '../oauth/_challenge.ts'

const formType = 'application/x-www-form-urlencoded'

/** As a form has them: encoded, bare, a half of a character and other bytes that are no UTF-8. */
const inForms = ['%00', 'x%00', '\0', '%ED%A0%80', '%FF', Buffer.from([0xff]), Buffer.from([0xed, 0xa0, 0x80])]
const inJson = ['\\u0000', 'x\\u0000y', '\0', '\\ud800', '\\udc00x', Buffer.from([0xff])]
const texts = ['\0', 'x\0y', '\ud800', 'x\udc00']

/** What each endpoint that reads a body is sent where nothing is wrong with it, one of each grant. */
async function goodBodies(server: TestServer): Promise<Record<string, Record<string, string>[]>> {
  const { refresh_token } = await server.signIn()
  const web = { client_id: 'web', client_secret: 'lks_secret' }
  const change = { current_password: password, new_password: password }
  return {
    token: [
      { grant_type: 'password', client_id: 'app', username: 'alice', password },
      { grant_type: 'refresh_token', client_id: 'app', refresh_token },
      { grant_type: 'client_credentials', ...web },
    ],
    authorizeChallenge: [{ client_id: 'app', response_type: 'code', ...pkce, username: 'alice', password }],
    revoke: [{ client_id: 'app', token: 'x' }],
    introspect: [{ ...web, token: 'x' }],
    userInfoByPost: [{}],
    changePassword: [change],
    enrollFactor: [{ kind: 'totp', name: 'x' }],
    confirmFactor: [{ enrollment: 'x', otp: '123456', passkey: '{}' }],
    renameFactor: [{ name: 'x' }],
    addFactorByForm: [{ kind: 'totp', enrollment: 'x', otp: '123456', passkey: '{}' }],
    changeFactorByForm: [{ name: 'x' }],
    newRecoveryCodesByForm: [{ factor: 'none' }],
    confirm: [{ auth_session: 'x', otp: '123456' }],
    login: [{ username: 'alice', password }],
    changePasswordByForm: [{ ...change, new_password_repeat: password }],
    signOutDevices: [{ session: 'x' }],
    requestPasswordReset: [{ client_id: 'app', username: 'alice' }],
    confirmPasswordReset: [
      { client_id: 'app', auth_session: 'x', code: 'x', new_password: password },
      { client_id: 'app', auth_session: 'x', otp: '123456' },
    ],
    forgotPassword: [{ username: 'nobody' }],
    passwordResetCode: [{ code: '12345678' }],
    passwordResetByForm: [{ new_password: password, new_password_repeat: password }],
    signUp: [{ ...web, email: 'nobody@example.com' }],
    confirmSignUp: [{ ...web, auth_session: 'x', code: 'x', username: 'nobody', password }],
    signUpByForm: [{ email: 'nobody@example.com' }],
    signUpCode: [{ code: '12345678' }],
    newAccountByForm: [{ username: 'nobody', password }],
    invitationByForm: [{ username: 'nobody', password }],
    changeMe: [{ full_name: 'x' }],
    editProfile: [{ full_name: 'x', language: 'ko' }],
    changeUsername: [{ username: 'alice' }],
    deleteByForm: [{ when: 'later', sure: 'yes' }],
    keepAccountByForm: [{}],
    requestEmailChange: [{ email: 'other@example.com' }],
    confirmEmailChange: [{ auth_session: 'x', code: 'x' }],
    confirmEmailVerification: [{ auth_session: 'x', code: 'x' }],
    requestEmailChangeByForm: [{ email: 'nobody@example.com' }],
    emailVerificationCode: [{ code: '12345678' }],
    emailChangeCode: [{ code: '12345678' }],
    verifyEmailByForm: [{}],
    changeEmailByForm: [{}],
    undoEmailChangeByForm: [{}],
    // The last one: it ends the session that asks.
    logout: [{}],
  }
}

/** A request of who may send it. */
async function callers(server: TestServer) {
  const { access_token } = await server.signIn({ client_id: 'web', client_secret: 'lks_secret' })
  const bearer = server.bearer(access_token)
  const cookie = { ...withCookie(await signInByCookie(server)), ...ofPage, accept: 'application/json' }
  return { open: {}, admin: {}, client: {}, user: bearer, 'user or cookie': bearer, cookie } as const
}

async function start(t: Parameters<typeof startServerWithAlice>[0]) {
  const server = await startServerWithAlice(t, { oauth: { hasMail: true, signUp: true } })
  const grantTypes = ['password', 'refresh_token', 'client_credentials']
  await server.addClient({ id: 'web', secret: 'lks_secret', grantTypes, scope: 'openid', signUp: true })
  const endpoints = describeEndpoints(endpointsOf(server.deps, true))
  return { server, endpoints, as: await callers(server) }
}

const namesOf = (schema: z.ZodObject | readonly z.ZodObject[] | undefined) =>
  new Set([schema ?? []].flat().flatMap(({ shape }) => Object.keys(shape)))

const send = (server: TestServer, { method, path }: Described, type: string, body: Buffer, headers: object) =>
  server.request(path, {
    method: method.toUpperCase(),
    body: new Uint8Array(body),
    headers: { 'content-type': type, ...headers },
  })

test('a NUL or half a character in any parameter of any form is invalid_request, and changes nothing (RFC 6749 §3.2, Appendix B)', async t => {
  const { server, endpoints, as } = await start(t)
  const good = await goodBodies(server)
  const before = await stateOf(server)

  for (const endpoint of endpoints.filter(({ body }) => body?.types.includes(formType))) {
    const bodies = good[endpoint.id] ?? t.fail(`no good form for ${endpoint.id}`)
    for (const name of [...namesOf(endpoint.description.body), 'not_known'])
      for (const bad of inForms) {
        const { [name]: _, ...others } = bodies.find(body => name in body) ?? bodies[0]!
        const body = Buffer.concat([Buffer.from(`${new URLSearchParams(others)}&${name}=`), Buffer.from(bad as string)])
        const answer = await send(server, endpoint, formType, body, as[endpoint.caller])
        t.deepEqual(refusal(answer), refused(400, 'invalid_request'), `${endpoint.id} ${name} ${bad}`)
      }
  }

  t.deepEqual(await stateOf(server), before)
  // Those that change the password end the sessions that the others come with, there is no factor, and one takes no form.
  const isAside = (id: string) => /^(?:changeMe|changePassword|confirm|renameFactor)|ByForm$/.test(id)
  for (const id of Object.keys(good).filter(id => !isAside(id))) {
    const endpoint = endpoints.find(one => one.id === id)!
    for (const body of good[id]!) {
      const bytes = Buffer.from(String(new URLSearchParams(body)))
      const { status } = await send(server, endpoint, formType, bytes, as[endpoint.caller])
      t.true(status < 400, `${id} ${status}`)
    }
  }
})

test('a NUL or half a character in any member of any JSON is invalid_request, and changes nothing (RFC 8259 §8.2)', async t => {
  const { server, endpoints, as } = await start(t)
  const good = await goodBodies(server)
  const before = await stateOf(server)

  for (const endpoint of endpoints.filter(({ body }) => body?.types.includes('application/json'))) {
    const [first = {}] = good[endpoint.id] ?? t.fail(`no good JSON for ${endpoint.id}`)
    for (const name of [...namesOf(endpoint.description.body), 'not_known'])
      for (const bad of inJson)
        for (const member of [
          ['"', name, '":"', bad, '"'],
          ['"', bad, '":"', name, '"'],
        ]) {
          const { [name]: _, ...others } = first
          const parts = [`${JSON.stringify({ ...others, last: '' }).slice(0, -1)},`, ...member, '}']
          const body = Buffer.concat(parts.map(part => Buffer.from(part as string)))
          const answer = await send(server, endpoint, 'application/json', body, as[endpoint.caller])
          t.deepEqual(refusal(answer), refused(400, 'invalid_request'), body.toString())
        }
  }

  t.deepEqual(await stateOf(server), before)
  t.is(
    (
      await server.request('/login', {
        method: 'POST',
        body: JSON.stringify(good.login![0]),
        headers: { 'content-type': 'application/json' },
      })
    ).status,
    200,
  )
})

test('a NUL in any parameter of any query is invalid_request, and bytes that are no UTF-8 are never more than a wrong value', async t => {
  const { server, endpoints, as } = await start(t)
  const before = await stateOf(server)

  for (const { id, method, path, caller, description } of endpoints)
    for (const name of namesOf(description.query)) {
      const ask = (value: string) =>
        server.request(`${path}?${name}=${value}`, {
          method: method.toUpperCase(),
          headers: {
            ...as[caller],
            'sec-fetch-site': 'same-origin',
            ...(caller === 'cookie' && { accept: 'text/html' }),
          },
        })
      for (const bad of ['%00', 'x%00']) t.is((await ask(bad)).status, 400, `${id} ${name} ${bad}`)
      for (const bad of ['%ED%A0%80', '%FF', '%']) t.true((await ask(bad)).status < 500, `${id} ${name} ${bad}`)
    }
  for (const bad of ['%00', '%ED%A0%80', '%FF'])
    t.deepEqual(
      refusal(await server.request(`/sessions?cursor=${bad}`, { headers: as.user })),
      refused(400, 'invalid_request'),
    )

  t.deepEqual(await stateOf(server), before)
  t.is((await server.request('/sessions?limit=1', { headers: as.user })).status, 200)
})

test('a NUL or half a character in any path is invalid_request where a path has parts, and changes nothing (RFC 3986 §2.5)', async t => {
  const { server, endpoints, as } = await start(t)
  const { body } = await server.request('/sessions', { headers: as.user })
  const before = await stateOf(server)

  const withParts = endpoints.filter(({ path }) => path.includes('{'))
  t.true(withParts.length >= 2)
  for (const { method, path, caller } of withParts)
    for (const bad of ['%00', 'x%00', '%ED%A0%80', '%FF', '%', '%zz'])
      for (const headers of [as[caller], {}]) {
        const answer = await server.request(path.replace(/\{\w+\}/g, bad), { method: method.toUpperCase(), headers })
        t.deepEqual(refusal(answer), refused(400, 'invalid_request'), `${path} ${bad}`)
      }

  t.deepEqual(await stateOf(server), before)
  const { id } = body.sessions.find(({ current }: { current: boolean }) => !current)
  t.is((await server.request(`/sessions/${id}`, { method: 'DELETE', headers: as.user })).status, 204)
})

test('a NUL or half a character in what says who a client is makes it a client that is not there (RFC 6749 §5.2, RFC 7523 §3.2)', async t => {
  const { server } = await start(t)
  const key = await createClientKey()
  const jobs = { id: 'jobs', grantTypes: ['client_credentials'], scope: 'read' }
  await server.addClient({ ...jobs, authenticationMethods: ['private_key_jwt'], jwks: { keys: [key.jwk] } })
  const before = await stateOf(server)
  const basic = (pair: string | Buffer) => ({
    authorization: `Basic ${Buffer.from(pair as string).toString('base64')}`,
  })
  const form = { grant_type: 'client_credentials' }

  for (const pair of [
    ...['web\0:lks_secret', 'web:lks_secret\0', 'web%00:lks_secret', '%00:x', 'web:%00', 'web%ED%A0%80:x', 'web%FF:x'],
    Buffer.from('web\xff:lks_secret', 'latin1'),
  ])
    t.deepEqual(refusal(await server.token(form, basic(pair))), refused(401, 'invalid_client'), String(pair))
  for (const bad of texts)
    for (const assertion of [
      await signAssertion(key, `jobs${bad}`),
      await signAssertion(key, 'jobs', { jti: bad }),
      joinJws({ alg: 'none' }, { sub: bad }, () => ''),
    ]) {
      const answer = await server.token({ ...form, ...withAssertion(assertion) })
      t.deepEqual(refusal(answer), refused(400, 'invalid_client'), JSON.stringify(bad))
    }

  t.deepEqual(await stateOf(server), before)
  t.is((await server.token(form, basic('web:lks_secret'))).status, 200)
  t.is((await server.token({ ...form, ...withAssertion(await signAssertion(key, 'jobs')) })).status, 200)
})

test('promise 7: a NUL in a username is refused alike for users and for nobody, and counts against no account', async t => {
  const { server } = await start(t)
  const signIn = (username: string) => server.token({ grant_type: 'password', client_id: 'app', username, password })
  const told = async (username: string) => {
    const { status, body } = await signIn(username)
    return { status, body }
  }

  for (let i = 0; i < 30; i++) t.deepEqual(await told('alice\0'), await told('nobody\0'))

  t.is((await signIn('alice')).status, 200)
})

test('what is only noted of a request is kept without what cannot be stored: device, user agent; an X-Request-Id of its own is not taken', async t => {
  const { server } = await start(t)
  const odd = 'a\u0080\u009b\u00ff\u00ed\u00a0\u0080b'
  const headers = { 'user-agent': odd, 'x-request-id': odd, cookie: `latchkey=${odd}` }
  const form = { grant_type: 'password', client_id: 'app', username: 'alice', password, device: '\u0001\u0085\ufeff' }

  const answer = await server.token(form, headers)
  const { sid } = decodeJwt(answer.body.access_token)
  const session = (await liveSessions(server)).find(({ id }) => id === sid)!

  t.deepEqual([session.device, session.userAgent], [undefined, 'a ÿí b'])
  t.regex(answer.headers.get('x-request-id')!, /^[\w-]+$/)
})

test('what operators and their files say is refused as well: users, clients, their keys, hashes with salts of any characters', t => {
  const key = { kty: 'OKP', crv: 'Ed25519', x: 'EddRVBxGQKKR22rHVYGvXM3_sKKZbeUWY8Q0-TTJU3M' }
  const client = { client_id: 'app', grant_types: ['password'] }
  const django = (salt: string) => `pbkdf2_sha256$1000$${salt}$${'A'.repeat(43)}=`
  const read = (entry: object) => parseUserFile(JSON.stringify([entry]), startTime, createTestRandom())
  const user = { username: 'alice', email: 'alice@example.com', full_name: 'Alice', hashed_password: django('salt') }
  const isRefused = (how: () => unknown) => t.throws(how, { instanceOf: InvalidMember })

  for (const bad of texts) {
    isRefused(() => readNewUser({ username: bad }))
    isRefused(() => readNewUser({ username: 'alice', email: `a${bad}@example.com` }))
    isRefused(() => readNewUser({ username: 'alice', full_name: bad }))
    isRefused(() => readNewClient({ ...client, client_id: bad }))
    for (const settings of [
      { grant_types: [bad] },
      { token_endpoint_auth_methods: [bad] },
      { scope: bad },
      { audience: [bad] },
      { resources: [bad] },
      { cors_origins: [`https://app.example.com${bad}`] },
      { jwks_uri: `https://app.example.com/${bad}` },
      { jwks: { keys: [{ ...key, kid: bad }] } },
      { jwks: { keys: [{ ...key, more: { [bad]: 1 } }] } },
    ])
      isRefused(() => readClientSettings(settings))
    t.regex(passwordHashProblem(django(bad)) ?? '', /NUL or half a character/)
    for (const name of Object.keys(user)) {
      const entry = { ...user, [name]: name === 'hashed_password' ? django(bad) : `a${bad}@x` }
      t.deepEqual([read(entry).users.length, read(entry).problems.length], [0, 1], name)
    }
    t.false(isStorable(bad))
  }

  t.is(readNewUser({ username: 'Zoë', full_name: '👩‍💻' }).username, 'Zoë')
  t.is(readNewClient(client).id, 'app')
  const uri = 'https://app.example.com/keys'
  t.is(readClientSettings({ jwks_uri: uri }).jwksUri, uri)
  t.deepEqual(readClientSettings({ jwks: { keys: [{ ...key, kid: 'é' }] } }).jwks, { keys: [{ ...key, kid: 'é' }] })
  t.is(passwordHashProblem(django('ß\u0001')), undefined)
  t.deepEqual([read(user).users.length, read(user).problems], [1, []])
  t.true(isStorable('👩‍💻\u0001\uffff'))
})
