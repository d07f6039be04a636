/** What access tokens and introspection say of a user, as a client asks for it: RFC 9068 §2.2.2, §2.2.3.1; design promises 4, 10. */
import test, { type ExecutionContext } from 'ava'
import { decodeJwt } from 'jose'
import { auditEvent } from '../../src/audit/audit.ts'
import { type Client, clientUpdate, userClaimNames } from '../../src/clients/client.ts'
import type { UserUpdate } from '../../src/users/user.ts'
import { password, refusal, refused, startServer } from '../_server.ts'
import { openTestStorage } from '../_storages.ts'

const fromUser = {
  roles: ['admin', 'billing:read'],
  preferred_username: 'alice',
  email: 'alice@example.com',
  name: 'Alice',
}
const api = { client_id: 'api', client_secret: 'lks_api' }

/** With `alice`, who is an `admin`, the public `app` that asks for the claims given, and `api`, which asks about tokens. */
async function startServerWithRoles(t: ExecutionContext, accessTokenClaims: Client['accessTokenClaims']) {
  const storage = await openTestStorage(t)
  const usersRead: string[] = []
  const counting = {
    ...storage,
    findUser(id: string) {
      usersRead.push(id)
      return storage.findUser(id)
    },
  }
  const server = await startServer(t, { storage: counting })
  await server.addClient({ accessTokenClaims, scope: 'read openid profile email' })
  await server.addClient({ id: 'api', secret: 'lks_api', grantTypes: ['client_credentials'], accessTokenClaims })
  const aliceId = await server.addUser({ email: fromUser.email, fullName: fromUser.name, roles: fromUser.roles })
  const at = server.clock.now()
  return {
    ...server,
    aliceId,
    usersRead,
    introspect: async (token: string) => (await server.post('/introspect', { token, ...api })).body,
    updateUser: (update: UserUpdate) => storage.updateUser(aliceId, update, auditEvent('user.updated', at, {})),
    setClaims: (claims: Client['accessTokenClaims']) =>
      storage.changeClient(
        'app',
        clientUpdate(client => ({ ...client, accessTokenClaims: claims }), auditEvent('client.updated', at, {})),
      ),
  }
}

/** The members that are about the user. */
function aboutUser(said: Record<string, unknown>) {
  return Object.fromEntries(Object.entries(said).filter(([name]) => userClaimNames.some(one => one === name)))
}

test('an access token says nothing of its user but the id where the client asks for nothing, and a refresh reads no user then', async t => {
  const server = await startServerWithRoles(t, [])

  // An id token with the scope `email` says the address, so that reads one.
  const { access_token, refresh_token } = await server.signIn({ scope: 'openid offline_access' })
  const refreshed = (await server.refresh(refresh_token)).body.access_token

  for (const token of [access_token, refreshed]) {
    t.deepEqual(aboutUser(decodeJwt(token)), {})
    t.deepEqual(aboutUser(await server.introspect(token)), {})
    t.is(decodeJwt(token).sub, server.aliceId)
  }
  t.deepEqual(server.usersRead, [])
})

for (const claims of [...userClaimNames.map(name => [name]), userClaimNames]) {
  test(`a client that asks for ${claims.join(', ')} gets that and no more, at the sign-in, at each refresh and at introspection (RFC 9068 §2.2.2, §2.2.3.1)`, async t => {
    const server = await startServerWithRoles(t, claims)
    const asked = Object.fromEntries(claims.map(name => [name, fromUser[name]]))

    const { access_token, refresh_token } = await server.signIn()
    const refreshed = (await server.refresh(refresh_token)).body.access_token
    const retried = (await server.refresh(refresh_token)).body.access_token

    for (const token of [access_token, refreshed, retried]) {
      t.deepEqual(aboutUser(decodeJwt(token)), asked)
      t.deepEqual(aboutUser(await server.introspect(token)), asked)
    }
  })
}

test('a token after a change of the password says the same of its user', async t => {
  const server = await startServerWithRoles(t, ['roles'])
  const { access_token } = await server.signIn()
  const { status, body } = await server.request('/users/me/password', {
    method: 'PUT',
    headers: { ...server.bearer(access_token), 'content-type': 'application/json' },
    body: JSON.stringify({ current_password: password, new_password: 'seven lamps over the harbour' }),
  })
  t.is(status, 200)
  t.deepEqual(aboutUser(decodeJwt(body.access_token)), { roles: fromUser.roles })
})

test('what is not known is left out, and who has no roles has an empty list of them', async t => {
  const server = await startServerWithRoles(t, userClaimNames)
  await server.addUser({ username: 'bob' })
  const { access_token } = await server.signIn({ username: 'bob' })
  const expected = { roles: [], preferred_username: 'bob' }
  t.deepEqual(aboutUser(decodeJwt(access_token)), expected)
  t.deepEqual(aboutUser(await server.introspect(access_token)), expected)
})

test('promise 10: a role that was taken away is gone at the next refresh, and at introspection at once', async t => {
  const server = await startServerWithRoles(t, ['roles', 'preferred_username'])
  const { access_token, refresh_token } = await server.signIn()

  await server.updateUser({ roles: ['billing:read'], username: 'alicia' })

  const now = { roles: ['billing:read'], preferred_username: 'alicia' }
  t.like(await server.introspect(access_token), { active: true, username: 'alicia', ...now })
  t.deepEqual(aboutUser(decodeJwt((await server.refresh(refresh_token)).body.access_token)), now)
})

test('promise 10: a claim that was taken from the client is gone at the next refresh, and at introspection at once', async t => {
  const server = await startServerWithRoles(t, userClaimNames)
  const { access_token, refresh_token } = await server.signIn()

  await server.setClaims(['name'])

  t.deepEqual(aboutUser(await server.introspect(access_token)), { name: 'Alice' })
  t.deepEqual(aboutUser(decodeJwt((await server.refresh(refresh_token)).body.access_token)), { name: 'Alice' })
})

test('a token that a client got for itself says nothing of any user', async t => {
  const server = await startServerWithRoles(t, userClaimNames)
  const { body } = await server.token({ grant_type: 'client_credentials', ...api })
  t.deepEqual(aboutUser(decodeJwt(body.access_token)), {})
  t.deepEqual(aboutUser(await server.introspect(body.access_token)), {})
})

test('the ID token and UserInfo follow the scope alone, whatever access tokens carry (OIDC Core §5.4)', async t => {
  const server = await startServerWithRoles(t, ['roles'])
  const answer = (await server.signIn({ scope: 'openid profile' })) as { access_token: string; id_token?: string }
  t.deepEqual(aboutUser(decodeJwt(answer.id_token!)), {})
  const { body } = await server.request('/userinfo', { headers: server.bearer(answer.access_token) })
  t.deepEqual(aboutUser(body), { preferred_username: 'alice', name: 'Alice' })
})

test('a token with as many and as long roles as there may be is taken as a header, by this server too', async t => {
  const server = await startServerWithRoles(t, userClaimNames)
  const roles = Array.from({ length: 50 }, (_, i) => `${i}`.padStart(64, 'r'))
  await server.updateUser({ roles })
  const { access_token } = await server.signIn()
  t.deepEqual(decodeJwt(access_token).roles, roles)
  t.true(access_token.length < 8000)
  t.is((await server.me(access_token)).status, 200)
})

test('a user who was removed gets no token any more', async t => {
  const server = await startServerWithRoles(t, ['roles'])
  const { refresh_token } = await server.signIn()
  await server.deps.storage.removeUser(server.aliceId, auditEvent('user.removed', server.clock.now(), {}))
  t.deepEqual(refusal(await server.refresh(refresh_token)), refused(400, 'invalid_grant'))
})
