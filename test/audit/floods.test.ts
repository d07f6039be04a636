/** What users and clients do to themselves without end adds a bounded number of rows to the audit trail, and all of it is counted (CWE-770, CWE-779). */
import test from 'ava'
import fc from 'fast-check'
import type { AuditEvent } from '../../src/audit/audit.ts'
import { createFloods } from '../../src/audit/floods.ts'
import { pruneAll } from '../../src/upkeep.ts'
import { createDatabase } from '../_databases.ts'
import { startServer, startServerWithAlice, startTime, type TestServer } from '../_server.ts'
import { openTestStorage } from '../_storages.ts'

const timesOf = (events: readonly AuditEvent[]) => events.reduce((sum, { count = 1 }) => sum + count, 0)

const eventsOf = async ({ deps: { storage } }: TestServer, type: string) =>
  (await storage.listAuditEvents(10_000, { type })).toReversed()

async function revokeOwnTokens(server: TestServer, count: number) {
  const worker = { client_id: 'worker', client_secret: 'lks_worker' }
  for (let i = 0; i < count; i++) {
    const { body } = await server.token({ grant_type: 'client_credentials', ...worker })
    await server.post('/revoke', { token: body.access_token, ...worker })
  }
}

test('a client that revokes its own tokens without end adds few rows, and all of them are counted', async t => {
  const server = await startServer(t)
  await server.addClient({ id: 'worker', secret: 'lks_worker', grantTypes: ['client_credentials'] })
  await revokeOwnTokens(server, 200)
  t.is((await eventsOf(server, 'token.revoked')).length, 60)

  server.clock.advance(60)
  await server.deps.storage.writeFloods(server.clock.now())
  const events = await eventsOf(server, 'token.revoked')
  t.is(timesOf(events), 200)
  const { at, ip, clientId, count, detail } = events.at(-1)!
  t.deepEqual([events.length, at, ip, clientId, count, detail], [61, startTime, '127.0.0.1', 'worker', 140, undefined])
})

test('up to sixty a kind are a row each, with all that is known of each', async t => {
  const server = await startServer(t)
  await server.addClient({ id: 'worker', secret: 'lks_worker', grantTypes: ['client_credentials'] })
  await revokeOwnTokens(server, 60)
  const events = await eventsOf(server, 'token.revoked')
  t.is(new Set(events.map(({ detail }) => detail)).size, 60)
  t.true(events.every(({ requestId, count }) => requestId !== undefined && count === undefined))
})

test('a user who signs in and out without end adds few rows; no event of another user is among what is counted', async t => {
  const server = await startServerWithAlice(t)
  const bobsId = await server.addUser({ username: 'bob' })
  for (let i = 0; i < 70; i++) {
    const { access_token, refresh_token } = await server.signIn()
    if (i % 2 === 0) await server.post('/logout', {}, server.bearer(access_token))
    else await server.post('/revoke', { token: refresh_token, client_id: 'app' })
  }
  const bobs = await server.signIn({ username: 'bob' })
  await server.post('/revoke', { token: bobs.refresh_token, client_id: 'app' })

  server.clock.advance(60)
  await server.deps.storage.writeFloods(server.clock.now())
  for (const type of ['session.created', 'session.revoked']) {
    const events = await eventsOf(server, type)
    const ofBob = events.filter(({ userId }) => userId === bobsId)
    t.is(timesOf(events), 71, type)
    t.true(events.length < 71, type)
    t.deepEqual([ofBob.length, ofBob[0]?.sessionId !== undefined], [1, true], type)
  }
})

test('what is counted is written when the server stops', async t => {
  const { open } = await createDatabase(t)
  const storage = await open()
  const server = await startServer(t, { storage })
  await server.addClient({ id: 'worker', secret: 'lks_worker', grantTypes: ['client_credentials'] })
  await revokeOwnTokens(server, 70)
  await storage.close()
  const reopened = await open()
  t.is(timesOf(await reopened.listAuditEvents(1000, { type: 'token.revoked' })), 70)
})

test('what expired is pruned faster than it is made', async t => {
  const storage = await openTestStorage(t)
  const ids = Array.from({ length: 3000 }, (_, i) => `${i}`)
  // No more at once than a node lets wait.
  for (let i = 0; i < ids.length; i += 500)
    await Promise.all(ids.slice(i, i + 500).map(id => storage.consumeOnce(id, id === '7' ? startTime + 1 : startTime)))
  await pruneAll(() => storage.pruneConsumed(startTime))
  t.deepEqual([await storage.isConsumed('7'), await storage.isConsumed('8')], [true, false])
  t.is(await storage.pruneConsumed(startTime), 0)
})

const event = (at: number, userId: string, ip: string | undefined): AuditEvent => {
  return { at, type: 'session.created', userId, clientId: 'app', ip, sessionId: `${at}`, detail: 'x' }
}

test('what an operator does is a row each, however much of it', t => {
  const floods = createFloods()
  for (let i = 0; i < 1000; i++) t.true(floods.admits(event(startTime, 'usr_a', undefined)))
  t.deepEqual(floods.take(startTime + 1000, true), [])
})

test('after a flood a kind has a row of its own again each minute', t => {
  const floods = createFloods()
  for (let i = 0; i < 100; i++) floods.admits(event(startTime, 'usr_a', '::1'))
  t.false(floods.admits(event(startTime + 59, 'usr_a', '::1')))
  t.true(floods.admits(event(startTime + 60, 'usr_a', '::1')))
  t.false(floods.admits(event(startTime + 60, 'usr_a', '::1')))
})

test('property: every event is a row or is counted, what could not be written too, and rows are bounded by time', t => {
  const step = fc.record({
    wait: fc.integer({ min: 0, max: 30 }),
    times: fc.integer({ min: 0, max: 50 }),
    user: fc.constantFrom('usr_a', 'usr_b'),
    ip: fc.constantFrom('192.0.2.1', '192.0.2.2'),
    fails: fc.boolean(),
  })
  const property = fc.property(fc.array(step, { maxLength: 60 }), steps => {
    const floods = createFloods()
    let [now, happened, rows, counted] = [startTime, 0, 0, 0]
    for (const { wait, times, user, ip, fails } of steps) {
      now += wait
      for (let i = 0; i < times; i++) if (floods.admits(event(now, user, ip))) rows++
      happened += times
      const due = floods.take(now, false)
      if (fails) floods.restore(due)
      else {
        counted += timesOf(due)
        rows += due.length
      }
    }
    const own = rows
    const last = floods.take(now, true)
    const minutes = (now - startTime) / 60
    const admitted = happened - counted - timesOf(last)
    return admitted >= 0 && admitted <= 2 * (60 + minutes + 1) && own <= 2 * (60 + 2 * minutes + 2)
  })
  t.notThrows(() => fc.assert(property))
})
