/** Who may call the admin API: own tokens of clients that have its scopes, for it alone. RFC 6750 §3; RFC 8707 §2; RFC 9068 §4. */
import test from 'ava'
import { decodeJwt } from 'jose'
import { readNewClient } from '../../../src/admin/client_settings.ts'
import { addClient } from '../../../src/admin/clients.ts'
import { auditEvent } from '../../../src/audit/audit.ts'
import { type AdminScope, adminScopes } from '../../../src/clients/admin_client.ts'
import { clientUpdate } from '../../../src/clients/client.ts'
import { adminEndpointsOf } from '../../../src/http/admin/admin_endpoints.ts'
import { issuer, startServerWithAlice, startTime } from '../../_server.ts'
import { everything, startAdminServer } from './_admin.ts'

type AdminServer = Awaited<ReturnType<typeof startAdminServer>>

const audience = `${issuer}/admin`
const grant_type = 'client_credentials'

test('a token with admin scopes is for ISSUER/admin alone and lives five minutes at most, whatever the settings say', async t => {
  const server = await startAdminServer(t, { oauth: { accessTokenLifetime: 86_400 } })
  await server.addClient({
    id: 'slow',
    secret: 'lks_slow_secret',
    grantTypes: [grant_type],
    scope: 'admin:users',
    accessTokenLifetime: 86_400,
    audience: ['https://api.example.com'],
  })
  for (const [id, params] of [
    ['ops', {}],
    ['ops', { scope: 'admin:audit', resource: audience }],
    ['slow', {}],
  ] as const) {
    const { aud, exp, iat } = decodeJwt(await server.tokenOf(id, params))
    t.is(aud, audience)
    t.true(exp! - iat! <= 300 && exp! - iat! >= 280)
  }
  // The settings rule where they say less.
  const quick = await startAdminServer(t, { oauth: { accessTokenLifetime: 60 } })
  const { exp, iat } = decodeJwt(await quick.tokenOf('ops'))
  t.true(exp! - iat! <= 60)
})

test('a resource other than ISSUER/admin is invalid_target to an admin client, and that one to any other (RFC 8707 §2)', async t => {
  const server = await startAdminServer(t)
  await server.addClient({ id: 'jobs', secret: 'lks_jobs_secret', grantTypes: [grant_type], scope: 'read' })
  const ask = (client_id: string, resource: string) =>
    server.token({ grant_type, client_id, client_secret: `lks_${client_id}_secret`, resource })
  t.is((await ask('ops', issuer)).body.error, 'invalid_target')
  t.is((await ask('ops', audience)).status, 200)
  t.is((await ask('jobs', audience)).body.error, 'invalid_target')
  t.is((await ask('jobs', issuer)).status, 200)
})

test('admin scopes are for clients with client_credentials alone, and with no other scope: others are refused at registration', async t => {
  const { deps } = await startAdminServer(t)
  const add = (given: object) =>
    addClient(
      { ...deps, secrets: async () => deps.secrets },
      readNewClient({ client_id: 'x', grant_types: [grant_type], ...given }),
      { server: { audience: [issuer], privateJwksUris: false } },
      { name: 'operator test' },
    )
  for (const grants of [['password'], ['password', 'refresh_token', grant_type], ['password', 'refresh_token']])
    await t.throwsAsync(add({ grant_types: grants, scope: 'admin:users' }), {
      message: /admin:users is for the admin API/,
    })
  await t.throwsAsync(add({ scope: 'read admin:audit:read' }), { message: /no other scope/ })
  await t.throwsAsync(add({ scope: 'admin:users', public: true }), { message: /authenticate/ })
  // Names that are nearly theirs are anybody's.
  await t.notThrowsAsync(add({ client_id: 'y', grant_types: ['password'], scope: 'admin admin:things users:read' }))
  await t.notThrowsAsync(add({ scope: 'admin:users admin:audit:read' }))
})

test('a record from before these names meant anything is granted the rest of its scope, to users and to itself', async t => {
  const server = await startAdminServer(t)
  await server.addClient({
    id: 'old',
    secret: 'lks_old_secret',
    scope: 'read admin:users',
    grantTypes: ['password', 'refresh_token', grant_type],
  })
  const credentials = { client_id: 'old', client_secret: 'lks_old_secret' }

  const signedIn = await server.signIn(credentials)
  t.is(signedIn.scope, 'read')
  t.is((await server.refresh(signedIn.refresh_token, credentials)).body.scope, 'read')
  t.is((await server.token({ grant_type, ...credentials })).body.scope, 'read')
  for (const grant of [
    { grant_type },
    { grant_type: 'password', username: 'alice', password: 'correct horse battery staple' },
  ])
    t.is((await server.token({ ...grant, ...credentials, scope: 'admin:users' })).body.error, 'invalid_scope')
})

test('a client that may change things can ask for a token that only looks, and not the other way round', async t => {
  const server = await startAdminServer(t)
  await server.addProgram('watch', ['admin:users:read'])
  t.is(decodeJwt(await server.tokenOf('ops', { scope: 'admin:users:read' })).scope, 'admin:users:read')
  await t.throwsAsync(server.tokenOf('watch', { scope: 'admin:users' }), { message: /invalid_scope/ })
  await t.throwsAsync(server.tokenOf('ops', { scope: 'read' }), { message: /invalid_scope/ })
  const token = await server.tokenOf('ops', { scope: 'admin:users:read' })
  t.is((await server.ask('GET', '/admin/users', undefined, {}, token)).status, 200)
  t.is((await server.ask('POST', '/admin/users', {}, {}, token)).status, 403)
})

test('neither metadata document names an admin scope', async t => {
  const server = await startServerWithAlice(t)
  for (const name of ['oauth-authorization-server', 'openid-configuration']) {
    const { body } = await server.request(`/.well-known/${name}`)
    t.false(JSON.stringify(body).includes('admin'))
    t.true(body.scopes_supported.includes('openid'))
  }
})

const endpoints = adminEndpointsOf({ config: { issuer } } as never, {
  privateJwksUris: false,
  privateWebhooks: false,
  signingAlg: 'ES256',
}).filter(({ caller }) => caller === 'admin')

test('without a token each endpoint is 401 with a bare challenge, with a bad one invalid_token (RFC 6750 §3.1)', async t => {
  const server = await startAdminServer(t)
  for (const { method, path } of endpoints) {
    const at = path.replace('{id}', 'x')
    const init = { method: method.toUpperCase() }
    const none = await server.admin.request(at, init)
    t.deepEqual([none.status, none.headers.get('www-authenticate')], [401, 'Bearer realm="latchkey"'], path)
    const bad = await server.admin.request(at, { ...init, headers: server.bearer('x.y.z') })
    t.is(bad.status, 401, path)
    t.regex(bad.headers.get('www-authenticate')!, /^Bearer realm="latchkey", error="invalid_token"/)
  }
})

test('each endpoint wants its own scope, which the challenge names; the scope to change implies the one to look (RFC 6750 §3.1)', async t => {
  const server = await startAdminServer(t)
  for (const scope of adminScopes) await server.addProgram(scope.replaceAll(':', '-'), [scope])
  const tokens = new Map<AdminScope, string>()
  for (const scope of adminScopes) tokens.set(scope, await server.tokenOf(scope.replaceAll(':', '-')))

  const used = new Set<string>()
  for (const { method, path, scope = '' } of endpoints) {
    used.add(scope)
    for (const [has, token] of tokens) {
      const { status, headers, body } = await server.ask(
        method.toUpperCase(),
        path.replace('{id}', 'x'),
        undefined,
        {},
        token,
      )
      const may = has === scope || `${has}:read` === scope
      if (may) t.not(status, 403, `${method} ${path} ${has}`)
      else {
        t.deepEqual([status, body.error], [403, 'insufficient_scope'], `${method} ${path} ${has}`)
        t.is(headers.get('www-authenticate'), `Bearer realm="latchkey", error="insufficient_scope", scope="${scope}"`)
      }
    }
  }
  t.deepEqual([...used].toSorted(), [...adminScopes].toSorted())
})

test('a token in the query string is refused, and one in a form is none (RFC 6750 §2.3)', async t => {
  const server = await startAdminServer(t)
  const token = await server.tokenOf('ops')
  t.is((await server.admin.request(`/admin/users?access_token=${token}`)).status, 400)
  t.is((await server.admin.request('/admin/users', { headers: server.bearer(token) })).status, 200)
})

async function isTaken(
  { admin, bearer }: Awaited<ReturnType<typeof startAdminServer>>,
  token: string,
): Promise<boolean> {
  return (await admin.request('/admin/users', { headers: bearer(token) })).status === 200
}

test('tokens of other kinds are refused: those of users, id tokens, refresh tokens, those for other audiences', async t => {
  const server = await startAdminServer(t)
  await server.addClient({ id: 'web', scope: 'openid read', grantTypes: ['password', 'refresh_token'] })
  await server.addClient({ id: 'jobs', secret: 'lks_jobs_secret', grantTypes: [grant_type], scope: 'read' })
  const user = await server.token({
    grant_type: 'password',
    client_id: 'web',
    username: 'alice',
    password: 'correct horse battery staple',
  })
  const { access_token, refresh_token, id_token } = user.body
  for (const token of [access_token, refresh_token, id_token, await server.tokenOf('jobs')]) {
    t.truthy(token)
    t.false(await isTaken(server, token))
  }
  t.true(await isTaken(server, await server.tokenOf('ops')))
})

test('a token of a user at a client whose audience is ISSUER/admin is refused: it has a session', async t => {
  const server = await startAdminServer(t)
  await server.addClient({ id: 'web', scope: 'read', audience: [audience] })
  const { access_token } = await server.signIn({ client_id: 'web' })
  t.is(decodeJwt(access_token).aud, audience)
  t.false(await isTaken(server, access_token))
  t.true(await isTaken(server, await server.tokenOf('ops')))
})

test('a token that is for the admin API opens nothing else: not the endpoints of users, nor other resource servers by introspection', async t => {
  const server = await startAdminServer(t)
  const grantTypes: string[] = []
  await server.addClient({ id: 'any', secret: 'lks_any_secret', grantTypes, scope: '' })
  await server.addClient({
    id: 'api',
    secret: 'lks_api_secret',
    grantTypes,
    scope: '',
    resources: ['https://api.example.com'],
  })
  await server.addClient({ id: 'own', secret: 'lks_own_secret', grantTypes, scope: '', resources: [audience] })
  const token = await server.tokenOf('ops')
  const active = async (id: string) =>
    (await server.post('/introspect', { token, client_id: id, client_secret: `lks_${id}_secret` })).body.active

  for (const path of ['/users/me', '/userinfo', '/sessions'])
    t.is((await server.request(path, { headers: server.bearer(token) })).status, 401, path)
  t.deepEqual([await active('any'), await active('api')], [false, false])
  t.deepEqual([await active('own'), await active('ops')], [true, true])
})

const gone: Readonly<Record<string, (server: AdminServer, token: string) => unknown>> = {
  expired: server => server.clock.advance(301),
  revoked: (server, token) => server.post('/revoke', { token, client_id: 'ops', client_secret: 'lks_ops_secret' }),
  'of a disabled client': server => change(server, client => ({ ...client, disabledAt: startTime })),
  'of a removed client': async server => {
    await server.deps.storage.removeClient('ops', auditEvent('client.removed', startTime, {}))
  },
  'of another client under the name of one that was removed': async server => {
    await server.deps.storage.removeClient('ops', auditEvent('client.removed', startTime, {}))
    server.clock.advance(1)
    await server.addProgram('ops', everything)
  },
  'of a client that lost the scope': server => change(server, client => ({ ...client, scope: 'admin:keys' })),
  'of a client that got a grant for users': server =>
    change(server, client => ({ ...client, grantTypes: ['password', 'client_credentials'] })),
}

async function change({ deps: { storage } }: AdminServer, update: Parameters<typeof clientUpdate>[0]): Promise<void> {
  await storage.changeClient('ops', clientUpdate(update, auditEvent('client.updated', startTime, {})))
}

for (const [what, end] of Object.entries(gone)) {
  test(`a token ${what} is refused at once`, async t => {
    const server = await startAdminServer(t)
    const token = await server.tokenOf('ops')
    t.true(await isTaken(server, token))
    await end(server, token)
    t.false(await isTaken(server, token))
  })
}
