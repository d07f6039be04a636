/** A request that is repeated is done once, and gets the same answer. draft-ietf-httpapi-idempotency-key-header. */
import test from 'ava'
import { maxKept } from '../../../src/http/admin/idempotency.ts'
import { openAnswer } from '../../../src/keys/kept_answer.ts'
import { createTestSecrets, password } from '../../_server.ts'
import { startAdminServer } from './_admin.ts'

const bob = { username: 'bob', password }
const withKey = (key: string) => ({ 'idempotency-key': key })
const day = 86_400

test('the same key and the same request get the same answer, made once: status, headers and secrets too', async t => {
  const server = await startAdminServer(t)
  for (const [path, body] of [
    ['/admin/users', bob],
    ['/admin/users/import', { users: [{ username: 'carol' }] }],
    ['/admin/clients', { client_id: 'jobs', grant_types: ['client_credentials'] }],
    ['/admin/clients/jobs/rotate-secret', {}],
    ['/admin/keys/rotate', undefined],
  ] as const) {
    const ask = () => server.ask('POST', path, body, withKey(`"key of ${path}"`))
    const first = await ask()
    t.true(first.status < 300, path)
    const events = await server.deps.storage.listAuditEvents(100)
    const again = await ask()
    t.deepEqual([again.status, again.body], [first.status, first.body], path)
    for (const header of ['location', 'etag']) t.is(again.headers.get(header), first.headers.get(header), path)
    t.deepEqual(await server.deps.storage.listAuditEvents(100), events)
  }
})

test('the same key with another request is 422, also with another path; another key, and another client, are others', async t => {
  const server = await startAdminServer(t)
  await server.addProgram('more', ['admin:users'])
  const ask = async (body: object, key: string, path = '/admin/users', as?: string) => {
    const answer = await server.ask('POST', path, body, withKey(key), as)
    return [answer.status, answer.body.error]
  }
  t.deepEqual(await ask(bob, 'one'), [201, undefined])
  t.deepEqual(await ask({ ...bob, full_name: 'Bob' }, 'one'), [422, 'idempotency_key_reused'])
  t.deepEqual(await ask({ users: [bob] }, 'one', '/admin/users/import'), [422, 'idempotency_key_reused'])
  t.deepEqual(await ask(bob, '"one"'), [201, undefined], 'a key is the same in both spellings')
  t.deepEqual(await ask(bob, 'two'), [409, 'username_taken'])
  t.deepEqual(await ask(bob, 'one', '/admin/users', await server.tokenOf('more')), [409, 'username_taken'])
})

test('of many at once one is done, and the others are told that it is under way, or its answer', async t => {
  const server = await startAdminServer(t)
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => server.ask('POST', '/admin/users', bob, withKey('one'))),
  )
  const created = answers.filter(({ status }) => status === 201)
  t.true(created.length >= 1)
  t.is(new Set(created.map(({ body }) => body.id)).size, 1)
  for (const { status, body } of answers)
    if (status !== 201) t.deepEqual([status, body.error], [409, 'request_in_progress'])
  t.is((await server.ask('POST', '/admin/users', bob, withKey('one'))).body.id, created[0]!.body.id)
})

test('a request that was refused leaves its key free; one whose node was lost is never done again', async t => {
  const server = await startAdminServer(t)
  const { storage } = server.deps
  const ask = (body: object, key = 'one') => server.ask('POST', '/admin/users', body, withKey(key))
  t.is((await ask({ username: 'bob', password: 'short' })).status, 400)
  t.is((await ask(bob)).status, 201)

  const begin = storage.keepAnswer
  Object.assign(storage, { keepAnswer: async () => Promise.reject(new Error('the node is lost')) })
  t.is((await ask({ username: 'carol', password }, 'two')).status, 201)
  Object.assign(storage, { keepAnswer: begin })
  t.is((await ask({ username: 'carol', password }, 'two')).headers.get('retry-after'), '1')
  server.clock.advance(61)
  const later = await ask({ username: 'carol', password }, 'two')
  t.deepEqual([later.status, later.body.error], [409, 'request_in_progress'])
  t.regex(later.body.error_description, /not known: look/)
})

test('after a day a key is free again', async t => {
  const server = await startAdminServer(t)
  const ask = () => server.ask('POST', '/admin/users', bob, withKey('one'))
  t.is((await ask()).status, 201)
  server.clock.advance(day - 1)
  await server.renew()
  t.is((await ask()).status, 201)
  server.clock.advance(1)
  t.deepEqual((await ask()).body.error, 'username_taken')
})

test('a client that sends keys without end is refused new ones, and told when to try again; what it was answered before is answered still, and others go on', async t => {
  const server = await startAdminServer(t)
  await server.addProgram('more', ['admin:users'])
  t.is((await server.ask('POST', '/admin/users', bob, withKey('one'))).status, 201)
  const { storage } = server.deps
  const { beginAnswer } = storage
  // As if it had sent so many.
  Object.assign(storage, {
    beginAnswer: (...[id, began, max]: Parameters<typeof beginAnswer>) => beginAnswer(id, began, max - maxKept + 1),
  })
  const full = await server.ask('POST', '/admin/users', { username: 'carol', password }, withKey('two'))
  t.deepEqual([full.status, full.body.error, full.headers.get('retry-after')], [429, 'too_many_keys', '60'])
  t.is((await server.ask('POST', '/admin/users', bob, withKey('one'))).status, 201)
  t.is((await server.ask('POST', '/admin/users', { username: 'carol', password })).status, 201)
  const other = await server.tokenOf('more')
  t.is((await server.ask('POST', '/admin/users', { username: 'dora', password }, withKey('two'), other)).status, 201)
})

test('a key that is none is invalid_request; where nothing is made it means nothing', async t => {
  const server = await startAdminServer(t)
  for (const bad of ['', '""', '"a', 'a"b', 'a b', '"a\\b"', `"${'x'.repeat(256)}"`, 'a,b'])
    t.is((await server.ask('POST', '/admin/users', bob, withKey(bad))).status, 400, bad)
  t.is((await server.ask('GET', '/admin/users', undefined, withKey('a"b'))).status, 200)
  t.is((await server.ask('POST', '/admin/users', bob, withKey(`"${'x'.repeat(255)}"`))).status, 201)
})

test('what is kept of a request and its answer holds no secret in the clear, nor anything to guess a password by', async t => {
  const server = await startAdminServer(t)
  const { storage, secrets } = server.deps
  const kept: { id: string; fingerprint: string; answer: string }[] = []
  const { beginAnswer, keepAnswer } = storage
  Object.assign(storage, {
    beginAnswer: (...[id, began, max]: Parameters<typeof beginAnswer>) => {
      kept.push({ id, fingerprint: began.fingerprint, answer: '' })
      return beginAnswer(id, began, max)
    },
    keepAnswer: (id: string, answer: string) => {
      kept.at(-1)!.answer = answer
      return keepAnswer(id, answer)
    },
  })
  const jobs = { client_id: 'jobs', grant_types: ['client_credentials'] }
  const { client_secret } = (await server.ask('POST', '/admin/clients', jobs, withKey('one'))).body
  await server.ask('POST', '/admin/users', bob, withKey('two'))

  const [client, user] = kept
  t.is(kept.length, 2)
  t.false(JSON.stringify(kept).includes(client_secret))
  t.true(openAnswer(client!.answer, client!.id, secrets)!.includes(client_secret))
  // Bound to its request, and to the master secret; the same request is not the same under another one.
  t.is(openAnswer(client!.answer, user!.id, secrets), undefined)
  t.is(openAnswer(client!.answer, client!.id, createTestSecrets('another')), undefined)
  t.regex(user!.fingerprint, /^[0-9a-f]{8}\.[\w-]{43}$/)
  const other = await startAdminServer(t, { secrets: createTestSecrets('another') })
  const begin = other.deps.storage.beginAnswer
  let fingerprint = ''
  Object.assign(other.deps.storage, {
    beginAnswer: (...[id, began, max]: Parameters<typeof begin>) => {
      fingerprint = began.fingerprint
      return begin(id, began, max)
    },
  })
  await other.ask('POST', '/admin/users', bob, withKey('two'))
  t.not(fingerprint.split('.')[1], user!.fingerprint.split('.')[1])
})
