/** The audit trail: who did what, when, from where; append-only, aggregated under attack. ASVS 5 V16.2, V16.3. */
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import Database from 'better-sqlite3'
import { type AuditEvent, auditEvent } from '../../src/audit/audit.ts'
import { createRefusals } from '../../src/audit/refusals.ts'
import { OAuthError } from '../../src/error.ts'
import { openSqliteStorage } from '../../src/storage/sqlite/sqlite.ts'
import { createFolder, migratedDeployment, runCommand } from '../_process.ts'
import { createClock, password, startServerWithAlice, startTime, type TestServer } from '../_server.ts'
import { openTestStorage } from '../_storages.ts'

/** Oldest first, without what the set-up wrote. */
async function eventsOf(server: TestServer, types: RegExp = /refused$/) {
  await server.deps.refusals.flush()
  const events = await server.deps.storage.listAuditEvents(1000)
  return events.filter(({ type }) => types.test(type)).toReversed()
}

test('a refused sign-in says which user, client, address and request it was, and why', async t => {
  const server = await startServerWithAlice(t)
  const disabledId = await server.addUser({ username: 'bob', disabledAt: startTime })
  const signIn = { grant_type: 'password', client_id: 'app', username: 'alice', password }

  const answer = await server.token({ ...signIn, password: 'wrong' })
  await server.token({ ...signIn, username: 'bob' })
  await server.token({ ...signIn, username: 'nobody here' })
  await server.token(signIn)

  const about = { type: 'sign_in.refused', at: startTime, ip: '127.0.0.1', clientId: 'app' } as const
  const requestId = answer.headers.get('x-request-id')!
  const events = await eventsOf(server)
  t.deepEqual(events[0], { ...about, requestId, userId: server.aliceId, detail: 'wrong password' })
  t.like(events[1], { ...about, userId: disabledId, detail: 'the user is disabled' })
  t.like(events[2], { ...about, userId: undefined, detail: 'no such user' })
  t.is(events.length, 3)
})

test('what was typed as a username is nowhere: people type passwords there', async t => {
  const server = await startServerWithAlice(t)
  await server.token({ grant_type: 'password', client_id: 'app', username: 'my secret word', password: 'x' })
  await server.post('/login', { username: 'my secret word', password: 'x' })

  const events = await eventsOf(server)
  t.is(events.length, 2)
  t.notRegex(JSON.stringify(events), /my secret word/)
})

test('a throttled sign-in, client authentication and password change are refusals too, named by their throttle', async t => {
  const server = await startServerWithAlice(t, { throttle: { account: 1 } })
  const secret = await server.addClient({ id: 'web', isPublic: false })
  const session = await server.signIn()
  const tries = async (run: () => Promise<unknown>) => {
    for (let i = 0; i < 3; i++) await run()
  }
  await tries(() => server.token({ grant_type: 'password', client_id: 'app', username: 'alice', password: 'wrong' }))
  let guess = 0
  await tries(() => server.token({ grant_type: 'refresh_token', client_id: 'web', client_secret: `wrong${guess++}` }))
  await tries(() =>
    server.request('/users/me/password', {
      method: 'PUT',
      headers: server.bearer(session.access_token),
      body: new URLSearchParams({ current_password: 'wrong', new_password: 'another good password' }),
    }),
  )

  const events = (await eventsOf(server)).map(({ type, detail, userId, clientId, count }) => [
    type,
    detail,
    userId === server.aliceId,
    clientId,
    count,
  ])
  t.deepEqual(events, [
    ['sign_in.refused', 'wrong password', true, 'app', 2],
    ['sign_in.refused', 'throttled by account', true, 'app', undefined],
    ['client.refused', 'client web authenticates by client_secret_basic or client_secret_post', false, 'web', 2],
    ['client.refused', 'throttled by client', false, 'web', undefined],
    ['password_change.refused', 'wrong password', true, undefined, 2],
    ['password_change.refused', 'throttled by current', true, undefined, undefined],
  ])
  t.notRegex(JSON.stringify(events), new RegExp(`${secret}|wrong\\d`))
})

test('a request that is wrong, or meets a server that is busy, is no refusal', async t => {
  const server = await startServerWithAlice(t)
  const signIn = { grant_type: 'password', client_id: 'app', username: 'alice', password }
  await server.token({ ...signIn, scope: 'admin' })
  await server.token({ ...signIn, username: '' })
  await server.token({ grant_type: 'password', username: 'alice', password })
  await server.refresh('lkr_x')
  t.deepEqual(await eventsOf(server), [])
})

const refused = (cause: string) => new OAuthError('invalid_grant', 'no', { cause })

async function createTrail(t: ExecutionContext) {
  const clock = createClock()
  const storage = await openTestStorage(t)
  const refusals = createRefusals(storage, clock.now)
  const add = (userId: string | undefined, ip: string, cause = 'wrong password') =>
    refusals.add('sign_in.refused', refused(cause), { ip, requestId: `r ${ip}` }, { userId })
  return { clock, storage, refusals, add, events: async () => (await storage.listAuditEvents(100_000)).toReversed() }
}

const timesOf = (events: readonly AuditEvent[]) => events.reduce((sum, { count = 1 }) => sum + count, 0)

test('the first refusal of a kind is written at once, the same again once a minute with its number', async t => {
  const { clock, refusals, add, events } = await createTrail(t)
  add('usr_a', '192.0.2.1')
  await refusals.flush()
  t.deepEqual(
    (await events()).map(({ count, at }) => [at, count]),
    [[startTime, undefined]],
  )

  for (let second = 1; second <= 120; second++) {
    clock.advance(1)
    for (let i = 0; i < 50; i++) add('usr_a', '192.0.2.1')
    await refusals.flush()
  }
  t.deepEqual(
    (await events()).map(({ count, at }) => [at - startTime, count]),
    [
      [0, undefined],
      [1, 3000],
      [61, 3000],
    ],
  )
})

test('what is counted is written when the server stops', async t => {
  const { refusals, add, events } = await createTrail(t)
  add('usr_a', '192.0.2.1')
  await refusals.flush()
  add('usr_a', '192.0.2.1')
  add('usr_a', '192.0.2.1')
  await refusals.flush()
  t.is(timesOf(await events()), 1)
  await refusals.flush(true)
  t.is(timesOf(await events()), 3)
})

test('a flood from ever new addresses adds a bounded number of rows, and all of it is counted', async t => {
  const { clock, refusals, add, events } = await createTrail(t)
  let sent = 0
  for (let second = 0; second < 60; second++) {
    for (let i = 0; i < 2000; i++) add(`usr_${i % 7}`, `10.${second}.${i >> 8}.${i & 255}`, `reason ${sent++ % 3}`)
    await refusals.flush()
    clock.advance(1)
  }
  await refusals.flush(true)

  const rows = await events()
  t.is(timesOf(rows), sent)
  // A thousand at once, ten a minute, and one for each reason and minute.
  t.true(rows.length <= 1000 + 10 + 3 * 3, `${rows.length}`)
  t.true(rows.some(({ userId, ip, count = 1 }) => userId === undefined && ip === undefined && count > 10_000))
})

test('refusals that could not be written are written later', async t => {
  const { storage, clock } = await createTrail(t)
  let isBroken = true
  const refusals = createRefusals(
    {
      addAuditEvents: events =>
        isBroken ? Promise.reject(new OAuthError('temporarily_unavailable', 'no')) : storage.addAuditEvents(events),
    },
    clock.now,
  )
  for (let i = 0; i < 3; i++) refusals.add('sign_in.refused', refused('wrong password'), { ip: '192.0.2.1' }, {})
  await t.throwsAsync(refusals.flush())
  isBroken = false
  clock.advance(60)
  await refusals.flush()
  t.is(timesOf(await storage.listAuditEvents(10)), 3)
})

test('the trail is append-only: no event can be changed, none can go but the oldest', async t => {
  const folder = createFolder(t)
  const file = join(folder, 'latchkey.db')
  const { storage } = openSqliteStorage(file)
  for (const at of [1, 2, 3]) await storage.addAuditEvents([auditEvent('key.created', at, {})])
  const database = new Database(file)
  t.teardown(() => database.close())

  t.throws(() => database.exec("UPDATE audit_events SET ip = '192.0.2.9'"), { message: /append-only/ })
  t.throws(() => database.exec('DELETE FROM audit_events WHERE at = 2'), { message: /append-only/ })
  t.throws(() => database.exec('DELETE FROM audit_events WHERE at = 3'), { message: /append-only/ })
  t.is(await storage.pruneAuditEvents(1), 1)
  t.deepEqual(
    (await storage.listAuditEvents(9)).map(({ at }) => at),
    [3, 2],
  )
  await storage.close()
})

test('a clock that was set back for a while makes no younger event go', async t => {
  const { storage } = await createTrail(t)
  for (const at of [10, 500, 20, 600]) await storage.addAuditEvents([auditEvent('key.created', at, {})])
  await storage.pruneAuditEvents(100)
  t.deepEqual(
    (await storage.listAuditEvents(9)).map(({ at }) => at),
    [600, 20, 500],
  )
})

test('latchkey audit filters by user, client, session, type, address and time, and --json has everything', async t => {
  const folder = createFolder(t)
  const environment = migratedDeployment(folder)
  const cli = (args: string[], stdin = '') => runCommand(args, environment, stdin)
  const json = async (...args: string[]) => JSON.parse((await cli(['audit', '--json', ...args])).stdout)
  await cli(['user', 'add', 'alice', '--password-stdin'], password)
  await cli(['user', 'add', 'bob', '--password-stdin'], password)
  await cli(['client', 'add', 'web', '--grant', 'password'])
  await cli(['user', 'disable', 'alice'])
  const { storage } = openSqliteStorage(join(folder, 'data/latchkey.db'))
  const alice = (await storage.findUserByUsername('alice'))!
  const at = Math.floor(Date.now() / 1000) - 7 * 86_400
  await storage.addAuditEvents([
    auditEvent('session.revoked', at, { ip: '192.0.2.1', requestId: 'r1' }, { sessionId: 's1', userId: 'usr_gone' }),
    {
      ...auditEvent('sign_in.refused', at, { ip: '192.0.2.2' }, { userId: alice.id, detail: 'wrong password' }),
      count: 7,
    },
  ])
  await storage.close()
  const types = (events: { type: string }[]) => events.map(({ type }) => type)

  t.deepEqual(types(await json('--user', 'Alice')), ['sign_in.refused', 'user.disabled', 'user.created'])
  t.deepEqual(types(await json('--user', 'usr_gone')), ['session.revoked'])
  t.deepEqual(types(await json('--client', 'web')), ['client.created'])
  t.deepEqual(types(await json('--session', 's1')), ['session.revoked'])
  t.deepEqual(types(await json('--type', 'user')), ['user.disabled', 'user.created', 'user.created'])
  t.deepEqual(types(await json('--type', 'user.disabled')), ['user.disabled'])
  t.deepEqual(types(await json('--ip', '192.0.2.1')), ['session.revoked'])
  t.deepEqual(types(await json('--until', '6d')), ['sign_in.refused', 'session.revoked'])
  t.deepEqual(types(await json('--since', '1h', '--limit', '1')), ['user.disabled'])
  t.deepEqual(types(await json('--type', 'key')), [])
  t.deepEqual(await json('--ip', '192.0.2.2'), [
    {
      at,
      type: 'sign_in.refused',
      user_id: alice.id,
      username: 'alice',
      client_id: null,
      session_id: null,
      ip: '192.0.2.2',
      request_id: null,
      detail: 'wrong password',
      count: 7,
    },
  ])
  const { stdout } = await cli(['audit', '--user', 'alice'])
  t.regex(stdout, /^TIME +EVENT +USER +CLIENT\n/)
  t.regex(stdout, /\n\S+Z +user\.disabled +alice +-\n {4}operator \S+\n/)
  t.regex(stdout, /\n\S+Z +sign_in\.refused +alice +-\n {4}7 times, from 192\.0\.2\.2, wrong password\n/)
  t.regex(
    (await cli(['audit', '--session', 's1'])).stdout,
    /\n\S+Z +session\.revoked +usr_gone +-\n {4}from 192\.0\.2\.1, session s1, request r1\n/,
  )
})
