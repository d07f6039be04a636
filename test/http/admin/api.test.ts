/** What the admin API answers, and its document: the whole of it is in the records, and every answer of every test is held to them. */
import { Validator } from '@seriousme/openapi-schema-validator'
import test from 'ava'
import { issuer, password, startTime } from '../../_server.ts'
import { startAdminServer } from './_admin.ts'

test('a user is added, shown, found by name, given a password, disabled, enabled and removed', async t => {
  const server = await startAdminServer(t)
  const given = { username: 'bob', email: 'bob@example.com', full_name: 'Bob', password }
  const created = await server.ask('POST', '/admin/users', given)
  const { id } = created.body
  const bob = {
    id,
    username: 'bob',
    email: 'bob@example.com',
    email_verified: false,
    full_name: 'Bob',
    roles: [],
    has_password: true,
    created_at: startTime,
    disabled_at: null,
    delete_at: null,
  }
  t.is(created.status, 201)
  t.is(created.headers.get('location'), `/admin/users/${id}`)
  t.deepEqual(created.body, bob)
  t.deepEqual((await server.ask('GET', `/admin/users/${id}`)).body, bob)
  t.deepEqual((await server.ask('GET', '/admin/users?username=BOB')).body, { users: [bob], next: null })
  t.deepEqual((await server.ask('GET', '/admin/users?username=carol')).body, { users: [], next: null })

  const renamed = await server.ask('PATCH', `/admin/users/${id}`, {
    username: 'rob',
    full_name: null,
    roles: ['admin'],
  })
  t.deepEqual(renamed.body, { ...bob, username: 'rob', full_name: null, roles: ['admin'] })
  t.is((await server.ask('PATCH', `/admin/users/${id}`, { username: 'alice' })).body.error, 'username_taken')
  t.is((await server.ask('PATCH', `/admin/users/${id}`, {})).status, 400)
  t.is((await server.ask('PATCH', `/admin/users/${id}`, { username: 'bob' })).status, 200)

  const patch = async (change: object) => (await server.ask('PATCH', `/admin/users/${id}`, change)).body
  t.like(await patch({ email_verified: true }), { email: 'bob@example.com', email_verified: true })
  t.like(await patch({ full_name: 'Bob' }), { email_verified: true })
  t.like(await patch({ email: 'bob@example.net' }), { email: 'bob@example.net', email_verified: false })
  t.like(await patch({ email: 'b@example.net', email_verified: true }), {
    email: 'b@example.net',
    email_verified: true,
  })
  t.like(await patch({ email_verified: false }), { email: 'b@example.net', email_verified: false })
  t.like(await patch({ email: null, email_verified: true }), { error: 'invalid_request' })
  for (const email of [
    'b@example.com,evil@example.com',
    'b@example.com\r\nBcc: evil@example.com',
    'team:b@example.com;',
  ])
    t.like(await patch({ email }), { error: 'invalid_request' }, email)

  const changed = await server.ask('PUT', `/admin/users/${id}/password`, { password: 'seven lamps over the harbour' })
  t.is(changed.status, 200)
  await server.signIn({ username: 'bob', password: 'seven lamps over the harbour' })
  t.is((await server.ask('POST', `/admin/users/${id}/disable`)).body.disabled_at, startTime)
  await t.throwsAsync(server.signIn({ username: 'bob', password: 'seven lamps over the harbour' }))
  t.is((await server.ask('POST', `/admin/users/${id}/enable`)).body.disabled_at, null)
  await server.signIn({ username: 'bob', password: 'seven lamps over the harbour' })
  t.deepEqual((await server.ask('DELETE', `/admin/users/${id}`)).body, { removed: 'bob' })
  t.is((await server.ask('GET', `/admin/users/${id}`)).status, 404)
})

test('a client is added, shown, changed, given another secret, disabled, enabled and removed', async t => {
  const server = await startAdminServer(t)
  const given = { client_id: 'jobs', grant_types: ['client_credentials'], scope: 'read' }
  const created = await server.ask('POST', '/admin/clients', given)
  const { client_secret: first, ...client } = created.body
  t.is(created.status, 201)
  t.is(created.headers.get('location'), '/admin/clients/jobs')
  t.regex(first, /^lks_/)
  t.deepEqual((await server.ask('GET', '/admin/clients/jobs')).body, client)

  const signIn = async (client_secret: string) =>
    (await server.token({ grant_type: 'client_credentials', client_id: 'jobs', client_secret })).status
  const changed = await server.ask('PATCH', '/admin/clients/jobs', { scope: 'read write', access_token_ttl: 60 })
  t.like(changed.body, { scope: 'read write', access_token_ttl: 60, sessions_touched: 0 })
  const second = (await server.ask('POST', '/admin/clients/jobs/rotate-secret', {})).body.client_secret
  t.deepEqual([await signIn(first), await signIn(second)], [200, 200])
  t.is((await server.ask('POST', '/admin/clients/jobs/drop-old-secret')).body.secrets, 1)
  t.deepEqual(
    [await signIn(first), await signIn(second)],
    [401, 200].map(status => (status === 401 ? 400 : status)),
  )
  const third = (await server.ask('POST', '/admin/clients/jobs/rotate-secret', { now: true })).body.client_secret
  t.deepEqual([await signIn(second), await signIn(third)], [400, 200])
  t.is((await server.ask('POST', '/admin/clients/jobs/disable')).body.disabled_at, startTime)
  t.is(await signIn(third), 400)
  t.is((await server.ask('POST', '/admin/clients/jobs/enable')).body.disabled_at, null)
  t.is(await signIn(third), 200)
  t.deepEqual((await server.ask('DELETE', '/admin/clients/jobs')).body, { removed: 'jobs' })
  t.is((await server.ask('GET', '/admin/clients/jobs')).status, 404)
})

test('sessions are listed by user and client, and ended one by one, by user, by client, or all', async t => {
  const server = await startAdminServer(t)
  await server.addClient({ id: 'web' })
  const ids = async (query = '') =>
    (await server.ask('GET', `/admin/sessions${query}`)).body.sessions.map(({ id }: { id: string }) => id)
  const end = async (body: object) => (await server.ask('POST', '/admin/sessions/revoke', body)).body.revoked

  for (const client_id of ['app', 'app', 'web']) await server.signIn({ client_id })
  const [first] = await ids(`?user_id=${server.aliceId}&client_id=app`)
  t.is((await ids(`?user_id=${server.aliceId}`)).length, 3)
  t.deepEqual((await server.ask('DELETE', `/admin/sessions/${first}`)).body, { revoked: 1 })
  t.is((await server.ask('DELETE', `/admin/sessions/${first}`)).status, 404)
  t.is(await end({ client_id: 'web' }), 1)
  t.is(await end({ user_id: server.aliceId, client_id: 'app' }), 1)
  for (const client_id of ['app', 'web']) await server.signIn({ client_id })
  t.is(await end({ all: true }), 2)
  t.deepEqual(await ids(), [])
  for (const wrong of [{}, { all: true, client_id: 'app' }, { all: false }, { user: 'alice' }])
    t.is((await server.ask('POST', '/admin/sessions/revoke', wrong)).status, 400, JSON.stringify(wrong))
  t.is((await server.ask('POST', '/admin/sessions/revoke', { client_id: 'none' })).status, 404)
})

test('keys are listed and rotated; the audit trail says which client did what, from where, by which request', async t => {
  const server = await startAdminServer(t)
  const added = await server.ask('POST', '/admin/keys/rotate')
  t.is(added.body.state, 'published')
  t.deepEqual(
    (await server.ask('GET', '/admin/keys')).body.keys.map(({ kid }: { kid: string }) => kid).includes(added.body.kid),
    true,
  )
  const { events } = (await server.ask('GET', '/admin/audit?type=key&limit=1')).body
  const { at, type, ip, request_id } = events[0]
  t.deepEqual(
    { at, type, ip, request_id },
    { at: startTime, type: 'key.created', ip: '127.0.0.1', request_id: added.headers.get('x-request-id') },
  )
  t.regex(events[0].detail, /^client ops: /)
})

test('lists come by pages that leave nothing out and say nothing twice, with a Link to the next (RFC 8288)', async t => {
  const server = await startAdminServer(t)
  for (const username of ['bob', 'carol', 'dora', 'emil']) await server.addUser({ username })
  for (const id of ['a', 'b', 'c', 'd']) await server.addClient({ id })
  for (let i = 0; i < 5; i++) await server.signIn()

  for (const [path, name] of [
    ['/admin/users', 'users'],
    ['/admin/clients', 'clients'],
    ['/admin/sessions', 'sessions'],
    ['/admin/audit?type=session', 'events'],
  ] as const) {
    const joint = path.includes('?') ? '&' : '?'
    const whole = (await server.ask('GET', `${path}${joint}limit=1000`)).body[name]
    t.true(whole.length >= 5, path)
    const seen: unknown[] = []
    let next: string | undefined = `${path}${joint}limit=2`
    while (next !== undefined) {
      const { headers, body }: Awaited<ReturnType<typeof server.ask>> = await server.ask('GET', next)
      seen.push(...body[name])
      next = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1]
      t.is(next === undefined, body.next === null)
      if (next !== undefined) t.is(new URL(next, issuer).searchParams.get('cursor'), body.next)
    }
    t.deepEqual(seen, whole, path)
  }
  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'cursor=x', 'cursor=e30', 'unknown=1', 'limit=1&limit=2'])
    for (const path of ['users', 'clients', 'sessions', 'audit'])
      t.is((await server.ask('GET', `/admin/${path}?${query}`)).status, 400, `${path} ${query}`)
})

test('what is wrong with a body is invalid_request that names the member, and changes nothing (RFC 8259)', async t => {
  const server = await startAdminServer(t)
  const good = { username: 'bob', password }
  const problem = async (body: unknown, headers = {}) => {
    const answer = await server.ask('POST', '/admin/users', body, headers)
    return [answer.status, answer.body.error, answer.body.error_description]
  }
  const refused = (words: string) => [400, 'invalid_request', words]

  t.deepEqual(await problem({ password }), refused('username is missing'))
  t.deepEqual(await problem({ ...good, nickname: 'b' }), refused('there is nothing of this name here: nickname'))
  t.deepEqual(await problem({ ...good, email: 7 }), refused('email: invalid input: expected string, received number'))
  t.deepEqual(
    await problem({ ...good, password: 'short' }),
    refused('password: the password must have at least 15 characters'),
  )
  t.deepEqual(await problem('{"username":"bob"'), refused('the body is not JSON'))
  for (const bad of ['[]', 'null', '"x"', '1']) t.is((await problem(bad))[0], 400, bad)
  t.deepEqual(
    await problem('{"username":"b\\u0000","password":"x"}'),
    refused('a member of the JSON object has a NUL or half a character'),
  )
  t.deepEqual(
    await problem('username=bob', { 'content-type': 'text/plain' }),
    refused('the body must be application/json'),
  )
  t.is((await problem(`{"a":[${'0,'.repeat(2000)}0]}`))[2], 'the JSON object has more than 1000 members')
  t.is((await problem({ ...good, full_name: 'x'.repeat(70_000) }))[0], 413)
  t.is((await server.ask('GET', '/admin/users?limit=1000')).body.users.length, 1)
  t.is((await problem(good))[0], 201)
})

test('a taken name or address, a client that is there, a client without a secret are 409, by the codes of the command line', async t => {
  const server = await startAdminServer(t)
  const code = async (path: string, body?: object) => {
    const answer = await server.ask('POST', path, body)
    return [answer.status, answer.body.error]
  }
  t.deepEqual(await code('/admin/users', { username: 'ALICE', password }), [409, 'username_taken'])
  const { id } = (await server.ask('POST', '/admin/users', { username: 'dora', email: 'dora@example.com', password }))
    .body
  t.deepEqual(await code('/admin/users', { username: 'dan', email: 'DORA@example.com', password }), [
    409,
    'email_taken',
  ])
  const dan = (await server.ask('POST', '/admin/users', { username: 'dan', email: 'dan@example.com', password })).body
    .id
  const patch = async (to: string, email: string) => (await server.ask('PATCH', `/admin/users/${to}`, { email })).status
  t.deepEqual([await patch(dan, 'dora@example.com'), await patch(id, 'Dora@Example.com')], [409, 200])
  t.deepEqual(await code('/admin/clients', { client_id: 'app', grant_types: ['password'] }), [409, 'client_exists'])
  t.deepEqual(await code('/admin/clients/app/rotate-secret', {}), [409, 'client_has_no_secret'])
})

test('the document of the admin API is OpenAPI 3.1, has every route of its listener and no other, and only what it uses', async t => {
  const server = await startAdminServer(t)
  const { body } = await server.admin.request('/openapi.json')
  const { valid, errors } = await new Validator().validate(structuredClone(body))
  t.true(valid, JSON.stringify(errors, null, 1))
  t.deepEqual(
    body.tags.map(({ name }: { name: string }) => name),
    ['Users', 'Sessions of users', 'Clients', 'Keys', 'Audit trail', 'Health', 'Documentation'],
  )
  t.deepEqual(Object.keys(body.components.securitySchemes), ['adminToken'])
  t.is(body.components.securitySchemes.adminToken.flows.clientCredentials.tokenUrl, `${issuer}/token`)
  t.deepEqual(body.paths['/admin/users'].post.security, [{ adminToken: ['admin:users'] }])
  const ids = Object.values<object>(body.paths).flatMap(methods =>
    Object.values(methods).map(({ operationId }) => operationId),
  )
  t.is(new Set(ids).size, ids.length)
  const publicPaths = Object.keys((await server.request('/openapi.json')).body.paths)
  t.false(publicPaths.some(path => path.startsWith('/admin')))
})

test('a program gets at no more of the admin API than it has: it neither makes such a client nor touches one (CWE-269)', async t => {
  const server = await startAdminServer(t)
  await server.addProgram('makers', ['admin:clients', 'admin:users:read'])
  const as = await server.tokenOf('makers')
  const program = (scope: string) => ({ client_id: 'x', grant_types: ['client_credentials'], scope })
  const refused = async (method: string, path: string, body?: unknown) => {
    const answer = await server.ask(method, path, body, {}, as)
    t.deepEqual([answer.status, answer.body.error], [403, 'insufficient_scope'], `${method} ${path}`)
    t.regex(answer.headers.get('www-authenticate')!, /scope="admin:/)
  }
  const before = (await server.ask('GET', '/admin/clients')).body

  await refused('POST', '/admin/clients', program('admin:users'))
  await refused('POST', '/admin/clients', program('admin:clients admin:keys:read'))
  await refused('PATCH', '/admin/clients/makers', { scope: 'admin:clients admin:users' })
  for (const [method, path, body] of [
    ['PATCH', '', { access_token_ttl: 60 }],
    ['PATCH', '', { scope: 'admin:clients' }],
    ['POST', '/rotate-secret', {}],
    ['POST', '/drop-old-secret', undefined],
    ['POST', '/disable', undefined],
    ['DELETE', '', undefined],
  ] as const)
    await refused(method, `/admin/clients/ops${path}`, body)
  t.deepEqual((await server.ask('GET', '/admin/clients')).body, before)

  // What it has it may give and take, and all that is not of the admin API.
  t.is((await server.ask('POST', '/admin/clients', program('admin:clients:read admin:users:read'), {}, as)).status, 201)
  t.is((await server.ask('POST', '/admin/clients/x/rotate-secret', {}, {}, as)).status, 200)
  t.is((await server.ask('PATCH', '/admin/clients/app', { scope: 'read' }, {}, as)).status, 200)
  t.is((await server.ask('DELETE', '/admin/clients/ops')).status, 200)
})

test('If-Match that names another version is 412 and changes nothing; the newest, one of several or * is taken (RFC 9110 §13.1.1)', async t => {
  const server = await startAdminServer(t)
  const user = `/admin/users/${server.aliceId}`
  await server.addClient({ id: 'jobs', secret: 'lks_jobs_secret', grantTypes: ['client_credentials'] })
  for (const [path, method, at, body] of [
    [user, 'PATCH', '', { full_name: 'Alice B.' }],
    [user, 'PUT', '/password', { password: 'seven lamps over the harbour' }],
    [user, 'POST', '/disable', undefined],
    [user, 'POST', '/enable', undefined],
    ['/admin/clients/jobs', 'PATCH', '', { scope: 'read' }],
    ['/admin/clients/jobs', 'POST', '/rotate-secret', {}],
    ['/admin/clients/jobs', 'POST', '/drop-old-secret', undefined],
    ['/admin/clients/jobs', 'POST', '/disable', undefined],
    [user, 'DELETE', '', undefined],
    ['/admin/clients/jobs', 'DELETE', '', undefined],
  ] as const) {
    const before = await server.ask('GET', path)
    const etag = before.headers.get('etag')!
    t.regex(etag, /^"[\w-]{22}"$/)
    for (const stale of ['"other"', `W/${etag}`, '"a", "b"', etag.slice(1, -1)]) {
      const answer = await server.ask(method, path + at, body, { 'if-match': stale })
      t.deepEqual([answer.status, answer.body.error], [412, 'precondition_failed'], `${method} ${path}${at} ${stale}`)
    }
    const after = await server.ask('GET', path)
    t.deepEqual([after.body, after.headers.get('etag')], [before.body, etag])
    const good = await server.ask(method, path + at, body, { 'if-match': `"other", ${etag}` })
    t.is(good.status, 200, `${method} ${path}${at}`)
    if (method !== 'DELETE') t.is(good.headers.get('etag'), (await server.ask('GET', path)).headers.get('etag'))
  }
  // The name of who was removed is kept.
  await server.addUser({ username: 'carol' })
  const { users } = (await server.ask('GET', '/admin/users?username=carol')).body
  t.is((await server.ask('DELETE', `/admin/users/${users[0].id}`, undefined, { 'if-match': '*' })).status, 200)
})

test('of two that change what both have read, one is told (lost update, CWE-362)', async t => {
  const server = await startAdminServer(t)
  const etag = (await server.ask('GET', '/admin/clients/app')).headers.get('etag')!
  const change = (scope: string) => server.ask('PATCH', '/admin/clients/app', { scope }, { 'if-match': etag })
  const answers = await Promise.all(['a', 'b', 'c', 'd'].map(change))
  t.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 412, 412, 412])
})

test('of a removal and a change of what both have read, one is told, whichever is first (lost update, CWE-362)', async t => {
  const server = await startAdminServer(t)
  for (let round = 0; round < 5; round++) {
    const id = round === 0 ? server.aliceId : await server.addUser({ username: `user${round}` })
    await server.addClient({ id: `web${round}` })
    for (const path of [`/admin/users/${id}`, `/admin/clients/web${round}`]) {
      const etag = (await server.ask('GET', path)).headers.get('etag')!
      const body = path.includes('users') ? { full_name: 'Changed' } : { scope: 'changed' }
      const [removed, changed] = await Promise.all([
        server.ask('DELETE', path, undefined, { 'if-match': etag }),
        server.ask('PATCH', path, body, { 'if-match': etag }),
      ])
      const statuses = [removed.status, changed.status]
      t.true(`${statuses}` === '412,200' || `${statuses}` === '200,404', `${statuses}`)
    }
  }
})

test('a page of users is imported whole, or nothing of it; a dry run says of each what is wrong', async t => {
  const server = await startAdminServer(t)
  const ask = (users: object[], more = {}) => server.ask('POST', '/admin/users/import', { users, ...more })
  const count = async () => (await server.ask('GET', '/admin/users?limit=1000')).body.users.length
  const page = Array.from({ length: 999 }, (_, i) => ({ username: `user${i}`, email: `user${i}@example.com` }))

  const half = await ask([...page, { username: 'alice' }])
  t.is(half.status, 400)
  t.is(
    half.body.error_description,
    'nothing was imported: entry 1000: username: is taken, by a user who exists or one before in the file',
  )
  t.is((await ask([...page, { username: '' }, { email: 'x' }])).status, 400)
  const tooMany = await ask([...page, { username: 'a' }, { username: 'b' }])
  t.is(tooMany.status, 400)
  t.is(await count(), 1)
  const tried = await ask([{ username: 'bob' }, { username: 'alice' }], { dry_run: true })
  t.like(tried.body, { importable: 1, without_password: 2 })
  t.is(tried.body.problems[0].place, 'entry 2')
  t.is(await count(), 1)

  const whole = await ask(page)
  t.deepEqual([whole.status, whole.body.imported], [200, 999])
  t.is(await count(), 1000)
  t.is(
    (await server.ask('POST', '/admin/users/import', `{"users":[{"username":"${'x'.repeat(2_100_000)}"}]}`)).status,
    413,
  )
})
