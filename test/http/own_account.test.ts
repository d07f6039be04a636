/** A signed-in user's own account, by bearer token: PATCH and DELETE /users/me, GET /users/me/export. */
import test from 'ava'
import { decodeJwt } from 'jose'
import { removeDeletedUsers } from '../../src/accounts/deletion.ts'
import { setUserDisabled } from '../../src/admin/users.ts'
import { addRecoveryCodes, addTotp } from '../_factors.ts'
import {
  type Answer,
  password,
  refusal,
  refused,
  startServerWithAlice,
  startTime,
  type TestServer,
} from '../_server.ts'

const mergePatch = 'application/merge-patch+json'

function patch(server: TestServer, accessToken: string, change: unknown, type = mergePatch) {
  const headers = { ...server.bearer(accessToken), 'content-type': type }
  return server.request('/users/me', { method: 'PATCH', headers, body: JSON.stringify(change) })
}

const remove = (server: TestServer, accessToken: string, query = '') =>
  server.request(`/users/me${query}`, { method: 'DELETE', headers: server.bearer(accessToken) })

const exportOf = (server: TestServer, accessToken: string) =>
  server.request('/users/me/export', { headers: server.bearer(accessToken) })

const challenge = ({ headers }: Answer) => headers.get('www-authenticate') ?? ''
const typesOf = async (server: TestServer, count: number) =>
  (await server.deps.storage.listAuditEvents(count)).map(({ type }) => type)

test('a user changes name and language in any session, and removes them by null; what is absent stays (RFC 7396)', async t => {
  const server = await startServerWithAlice(t)
  const { access_token: token } = await server.signIn()
  server.clock.advance(800)
  const alice = {
    username: 'alice',
    email: 'alice@example.com',
    email_verified: false,
    full_name: 'Alice',
    language: null,
  }
  t.deepEqual((await server.me(token)).body, alice)
  const changed = await patch(server, token, { full_name: '  앨리스 ', language: 'ko' })
  t.deepEqual([changed.status, changed.body], [200, { ...alice, full_name: '앨리스', language: 'ko' }])
  t.deepEqual((await server.me(token)).body, changed.body)
  t.like((await server.deps.storage.listAuditEvents(1))[0], { type: 'user.updated', detail: 'full_name language' })
  t.deepEqual((await patch(server, token, { language: null }, 'application/json')).body, {
    ...changed.body,
    language: null,
  })
  t.deepEqual((await patch(server, token, { full_name: null })).body, { ...alice, full_name: null })
  t.deepEqual((await patch(server, token, { username: 'alice' })).body, { ...alice, full_name: null })
  t.deepEqual(await typesOf(server, 3), ['user.updated', 'user.updated', 'user.updated'])
})

test('locale is a claim of the profile, of who has chosen a language (OpenID Connect Core §5.1)', async t => {
  const server = await startServerWithAlice(t)
  await server.addClient({ id: 'openid', scope: 'openid profile' })
  const { access_token: token } = await server.signIn({ client_id: 'openid' })
  const claims = async () => (await server.request('/userinfo', { headers: server.bearer(token) })).body
  t.false('locale' in (await claims()))
  await patch(server, token, { language: 'ko' })
  t.is((await claims()).locale, 'ko')
})

test('what cannot be is said of each member, as the command line says it, and nothing changes', async t => {
  const server = await startServerWithAlice(t)
  const { access_token: token } = await server.signIn()
  const told: [unknown, string][] = [
    [{}, 'name what is to change'],
    [{ full_name: 'x'.repeat(257) }, 'full_name: has more than 256 characters'],
    [{ full_name: 'Eve', username: ' eve' }, 'username: begins or ends with white space'],
    [{ username: 'a\u200bb' }, 'username: has a character that cannot be seen: U+200B'],
    [{ username: 'bob@example.com' }, 'username: is an address other than the one that you have proved'],
    [{ username: null }, 'username: invalid input: expected string, received null'],
    [{ language: 'xx' }, 'language: invalid option: expected one of "en"|"ko"'],
    [{ email: 'eve@example.com' }, 'there is nothing of this name here: email'],
    [{ roles: ['admin'] }, 'there is nothing of this name here: roles'],
    [['full_name'], 'invalid input: expected object, received array'],
  ]
  for (const [change, description] of told) {
    const answer = await patch(server, token, change)
    t.deepEqual(refusal(answer), refused(400, 'invalid_request'), JSON.stringify(change))
    t.is(answer.body.error_description, description)
  }
  t.deepEqual(refusal(await patch(server, token, { language: 'ko' }, 'text/plain')), refused(400, 'invalid_request'))
  t.deepEqual(refusal(await patch(server, 'nonsense', { language: 'ko' })), refused(401, 'invalid_token'))
  t.like((await server.me(token)).body, { username: 'alice', full_name: 'Alice', language: null })
})

test('another username keeps the sub and the sessions; tokens say it from the next refresh', async t => {
  const server = await startServerWithAlice(t)
  await server.addClient({ id: 'named', accessTokenClaims: ['preferred_username'] })
  const tokens = await server.signIn({ client_id: 'named' })
  const changed = await patch(server, tokens.access_token, { username: 'Carol' })
  t.deepEqual([changed.status, changed.body.username], [200, 'Carol'])
  t.is((await server.me(tokens.access_token)).body.username, 'Carol')
  t.deepEqual(await typesOf(server, 1), ['user.renamed'])
  const { body } = await server.refresh(tokens.refresh_token, { client_id: 'named' })
  const [before, after] = [tokens, body].map(({ access_token }) => decodeJwt(access_token))
  t.like(before, { sub: server.aliceId, preferred_username: 'alice' })
  t.like(after, { sub: server.aliceId, preferred_username: 'Carol' })
  await t.throwsAsync(server.signIn(), { message: /invalid_grant/ })
  await server.signIn({ username: 'carol' })
  const again = await patch(server, tokens.access_token, { username: 'dave' })
  t.deepEqual(refusal(again), refused(429, 'temporarily_unavailable'))
  t.is(again.headers.get('retry-after'), '86400')
})

test('another username takes a sign-in of the last ten minutes, with the factor where there is one (RFC 9470 §3)', async t => {
  const server = await startServerWithAlice(t)
  const { access_token: token } = await server.signIn()
  server.clock.advance(601)
  const tooOld = await patch(server, token, { username: 'carol', full_name: 'Carol' })
  t.deepEqual(refusal(tooOld), refused(401, 'insufficient_user_authentication'))
  t.regex(challenge(tooOld), /max_age=600$/)
  t.like((await server.me(token)).body, { username: 'alice', full_name: 'Alice' })
  const { access_token: fresh } = await server.signIn()
  const { code } = await addTotp(server, server.aliceId)
  t.regex(challenge(await patch(server, fresh, { username: 'carol' })), /acr_values="urn:latchkey:2fa", max_age=600$/)
  const { access_token: proved } = await server.signIn({ otp: code() })
  t.is((await patch(server, proved, { username: 'carol' })).status, 200)
})

test('a user who asks for taken names is heard twenty times, and then once in ten minutes; another user notices nothing', async t => {
  const server = await startServerWithAlice(t)
  await server.addUser({ username: 'bob' })
  await server.addUser({ username: 'carol' })
  const [alice, bob] = await Promise.all([server.signIn(), server.signIn({ username: 'bob' })])
  for (let i = 0; i < 20; i++)
    t.deepEqual(refusal(await patch(server, alice.access_token, { username: 'CAROL' })), refused(409, 'username_taken'))
  const throttled = await patch(server, alice.access_token, { username: 'carol' })
  t.deepEqual(refusal(throttled), refused(429, 'temporarily_unavailable'))
  t.deepEqual(
    refusal(await patch(server, alice.access_token, { username: 'free' })),
    refused(429, 'temporarily_unavailable'),
  )
  t.is((await patch(server, alice.access_token, { full_name: 'A' })).status, 200)
  t.deepEqual(refusal(await patch(server, bob.access_token, { username: 'carol' })), refused(409, 'username_taken'))
  t.is((await patch(server, bob.access_token, { username: 'free' })).status, 200)
})

test('an export has all that is stored about its user, and no secret', async t => {
  const server = await startServerWithAlice(t)
  const { storage } = server.deps
  const bobs = await server.addUser({ username: 'bob', email: 'bob@example.com' })
  await server.signIn({ username: 'bob' })
  const { code } = await addTotp(server, server.aliceId)
  const { codes } = await addRecoveryCodes(server, server.aliceId)
  const gone = await server.signIn({ device: 'Old phone', recovery_code: codes[0]! })
  await server.request('/logout', { method: 'POST', headers: server.bearer(gone.access_token) })
  const tokens = await server.signIn({ device: 'Phone', otp: code() })
  // Of an operator, who is named in it.
  await setUserDisabled({ storage, now: server.clock.now }, { id: bobs }, true, { name: 'root' })
  const answer = await exportOf(server, tokens.access_token)
  t.is(answer.status, 200)
  t.is(answer.headers.get('content-disposition'), 'attachment; filename="account.json"')
  t.is(answer.headers.get('cache-control'), 'no-store')
  const { account, factors, clients, sessions, events, ...rest } = answer.body
  t.deepEqual(rest, { exported_at: startTime, sessions_truncated: false, events_truncated: false })
  t.deepEqual(account, {
    sub: server.aliceId,
    username: 'alice',
    email: 'alice@example.com',
    email_verified: false,
    full_name: 'Alice',
    language: null,
    roles: [],
    has_password: true,
    created_at: startTime,
  })
  t.deepEqual(factors.map(({ kind }: { kind: string }) => kind).toSorted(), ['recovery_codes', 'totp'])
  t.deepEqual(clients, [{ client_id: 'app', client_name: 'app' }])
  t.like(sessions, [
    { device: 'Phone', current: true, amr: ['pwd', 'otp', 'mfa'], ended_at: null },
    { device: 'Old phone', current: false, ended_at: startTime },
  ])
  t.true(events.some(({ type }: { type: string }) => type === 'session.created'))
  t.true(events.some(({ type }: { type: string }) => type === 'user.data_exported'))
  const text = JSON.stringify(answer.body)
  const { passwordHash } = (await storage.findUser(server.aliceId))!
  for (const secret of [password, passwordHash!, codes[1]!, tokens.refresh_token, 'root', 'bob'])
    t.false(text.includes(secret), secret)
  for (const { data } of await storage.listFactors(server.aliceId)) t.false(text.includes(data.slice(0, 40)))
})

test('an export takes a sign-in of the last ten minutes, and there is one a minute', async t => {
  const server = await startServerWithAlice(t)
  const { access_token: token } = await server.signIn()
  t.is((await exportOf(server, token)).status, 200)
  const again = await exportOf(server, token)
  t.deepEqual(refusal(again), refused(429, 'temporarily_unavailable'))
  server.clock.advance(Number(again.headers.get('retry-after')))
  t.is((await exportOf(server, token)).status, 200)
  server.clock.advance(600)
  t.deepEqual(refusal(await exportOf(server, token)), refused(401, 'insufficient_user_authentication'))
})

test('an export of very much is cut, and says so: the oldest are left out', async t => {
  const server = await startServerWithAlice(t)
  const { storage } = server.deps
  const about = { userId: server.aliceId, ip: '192.0.2.1' }
  const events = Array.from({ length: 5500 }, (_, i) => ({
    at: startTime - 9000 + i,
    type: 'session.raised' as const,
    ...about,
  }))
  await storage.addAuditEvents(events)
  const { access_token: token } = await server.signIn()
  const { body } = await exportOf(server, token)
  t.true(body.events_truncated)
  t.is(body.events.length, 5000)
  t.is(body.events[0].type, 'user.data_exported')
})

test('what tells when somebody has refreshed is in an export from the next full hour on (RFC 9700 §4.14)', async t => {
  const server = await startServerWithAlice(t)
  const { access_token: token, refresh_token: refreshToken } = await server.signIn()
  await server.refresh(refreshToken)
  server.clock.advance(120)
  await server.refresh(refreshToken)
  const types = async (accessToken: string) =>
    (await exportOf(server, accessToken)).body.events.map(({ type }: { type: string }) => type)
  t.true((await typesOf(server, 10)).includes('session.late_retried'))
  t.false((await types(token)).includes('session.late_retried'))
  server.clock.advance(3600)
  t.true((await types((await server.signIn()).access_token)).includes('session.late_retried'))
})

test('a deletion ends every session at once, and nobody signs in any more, in the same words as ever; a week later the account is gone', async t => {
  const server = await startServerWithAlice(t)
  const [here, there] = [await server.signIn(), await server.signIn()]
  const answer = await remove(server, here.access_token)
  t.deepEqual([answer.status, answer.body], [202, { delete_at: startTime + 7 * 86_400, mailed: false }])
  t.is(answer.headers.get('cache-control'), 'no-store')
  for (const { access_token: token, refresh_token: refreshToken } of [here, there]) {
    t.deepEqual(refusal(await server.me(token)), refused(401, 'invalid_token'))
    t.deepEqual(refusal(await server.refresh(refreshToken)), refused(400, 'invalid_grant'))
  }
  const grant = { grant_type: 'password', client_id: 'app', password }
  const [disabled, unknown] = [
    await server.token({ ...grant, username: 'alice' }),
    await server.token({ ...grant, username: 'nobody' }),
  ]
  t.deepEqual([disabled.status, disabled.body], [unknown.status, unknown.body])
  t.like(
    (await server.deps.storage.listAuditEvents(100)).find(({ type }) => type === 'user.deletion_requested'),
    {
      userId: server.aliceId,
      detail: 'later',
    },
  )
  server.clock.advance(7 * 86_400 - 1)
  t.is(await removeDeletedUsers({ ...server.deps, now: server.clock.now }), 0)
  server.clock.advance(1)
  t.is(await removeDeletedUsers({ ...server.deps, now: server.clock.now }), 1)
  t.is(await server.deps.storage.findUser(server.aliceId), undefined)
  t.is((await server.deps.storage.listUsers()).length, 0)
})

test('a deletion at once leaves nothing but the opaque id in the audit trail; the address is free, the username is kept', async t => {
  const server = await startServerWithAlice(t)
  const { access_token: token } = await server.signIn()
  const answer = await remove(server, token, '?when=now')
  t.deepEqual([answer.status, answer.body], [204, ''])
  t.is(await server.deps.storage.findUser(server.aliceId), undefined)
  t.deepEqual(await server.deps.storage.listFactors(server.aliceId), [])
  const events = await server.deps.storage.listAuditEvents(100)
  t.deepEqual(
    events.slice(0, 2).map(({ type, userId }) => [type, userId]),
    [
      ['user.removed', server.aliceId],
      ['user.deletion_requested', server.aliceId],
    ],
  )
  t.notRegex(JSON.stringify(events), /alice/i)
  await t.throwsAsync(server.signIn(), { message: /invalid_grant/ })
  await server.addUser({ username: 'carol', email: 'alice@example.com' })
  await server.signIn({ username: 'carol' })
  await server.addUser({ username: 'alice' })
  await t.throwsAsync(server.signIn(), { message: /invalid_grant/ })
})

test('a deletion takes a sign-in of the last ten minutes, with the factor where there is one (RFC 9470 §3); when is later or now', async t => {
  const server = await startServerWithAlice(t)
  const { access_token: token } = await server.signIn()
  t.deepEqual(refusal(await remove(server, token, '?when=tomorrow')), refused(400, 'invalid_request'))
  const { code } = await addTotp(server, server.aliceId)
  t.regex(challenge(await remove(server, token)), /acr_values="urn:latchkey:2fa", max_age=600$/)
  const { access_token: proved } = await server.signIn({ otp: code() })
  server.clock.advance(601)
  for (const when of ['later', 'now'])
    t.deepEqual(
      refusal(await remove(server, proved, `?when=${when}`)),
      refused(401, 'insufficient_user_authentication'),
    )
  t.is((await server.me(proved)).status, 200)
  const { access_token: fresh } = await server.signIn({ otp: code() })
  t.is((await remove(server, fresh, '?when=later')).status, 202)
})

test('who is to be deleted is enabled by the operator, and signs in as before', async t => {
  const server = await startServerWithAlice(t)
  const { access_token: token } = await server.signIn()
  await remove(server, token)
  const deps = { storage: server.deps.storage, now: server.clock.now }
  const shown = await setUserDisabled(deps, 'alice', false, { name: 'root' })
  t.like(shown, { disabled_at: null, delete_at: null })
  server.clock.advance(8 * 86_400)
  t.is(await removeDeletedUsers({ ...server.deps, now: server.clock.now }), 0)
  await server.signIn()
})
