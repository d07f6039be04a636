/** What several nodes on one PostgreSQL do at once: keys, clients, what counts once, the audit trail, and removals. */
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import test from 'ava'
import { clientUpdate } from '../../src/clients/client.ts'
import { OAuthError } from '../../src/error.ts'
import { firstGeneration } from '../../src/sessions/session.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { migratedDatabase, openClient, openOn } from '../_postgres.ts'
import { startTime as start, type TestContext } from '../_server.ts'
import { auditTypes, client, event, populate, refresh, session, signingKey, user } from './_records.ts'

/** Nodes on one database, and a client beside them. */
async function open(t: TestContext, nodes = 2) {
  const url = await migratedDatabase(t)
  const storages = await Promise.all(Array.from({ length: nodes }, () => openOn(t, url)))
  const beside = await openClient(t, url)
  return { storages, storage: storages[0]!, query: (text: string) => beside.query(text) }
}

const each = <T>(storages: readonly Storage[], ask: (storage: Storage, i: number) => Promise<T>) =>
  Promise.all(storages.map(ask))

test('of nodes that add a signing key at once one does, at every rotation', async t => {
  const { storages, storage } = await open(t, 4)
  let newest: string | undefined
  for (let round = 0; round < 5; round++) {
    const added = await each(storages, (node, i) =>
      node.addSigningKey(signingKey(`k${round}${i}`, start + round), newest, event('key.created')),
    )
    t.deepEqual(added.toSorted(), [false, false, false, true])
    newest = (await storage.listSigningKeys()).at(-1)!.kid
  }
  t.is((await storage.listSigningKeys()).length, 5)
  t.is((await auditTypes(storage)).length, 5)
})

test('nodes that replace, remove and add signing keys at once lose nothing and wait for one another in no circle', async t => {
  const { storages, storage } = await open(t, 3)
  const kids = Array.from({ length: 8 }, (_, i) => `k${i}`)
  for (const [i, kid] of kids.entries())
    await storage.addSigningKey(signingKey(kid, start + i), kids[i - 1], event('key.created'))
  const jwes = (text: string, some: readonly string[]) => new Map(some.map(kid => [kid, text]))
  const [forth, back, removed] = await Promise.all([
    storages[0]!.replacePrivateJwes(jwes('forth', kids), event('secret.rotated')),
    storages[1]!.replacePrivateJwes(jwes('back', kids.toReversed()), event('secret.rotated')),
    storages[2]!.removeSigningKeys(['k0'], event('key.removed')),
  ])
  t.is(removed, 1)
  t.true([7, 8].includes(forth) && [7, 8].includes(back))
  const left = await storage.listSigningKeys()
  t.is(left.length, 7)
  t.is(new Set(left.map(key => key.privateJwe)).size, 1)
})

test('nodes that note one master secret at once keep one time and write one event', async t => {
  const { storages, storage } = await open(t, 4)
  await each(storages, (node, i) =>
    node.noteMasterSecret({ name: 'a1', usedSince: start + i }, event('secret.in_use', start + i)),
  )
  const [use, ...others] = await storage.listMasterSecretUses()
  const since = use!.usedSince
  t.deepEqual(others, [])
  t.true(since >= start && since < start + 4)
  t.deepEqual(
    (await storage.listAuditEvents(10)).map(({ at }) => at),
    [since],
  )
})

test('an identifier counts once on all nodes, and a node that prunes leaves to another what that has begun', async t => {
  const { storages, storage, query } = await open(t, 4)
  for (let round = 0; round < 5; round++) {
    const consumed = await each(storages, node => node.consumeOnce(`jti${round}`, start + round))
    t.deepEqual(consumed.toSorted(), [false, false, false, true])
  }
  await query('BEGIN')
  await query("SELECT FROM remembered_ids WHERE id = 'jti1' FOR UPDATE")
  t.is(await storage.pruneConsumed(start + 3), 3)
  await query('COMMIT')
  t.is(await storage.pruneConsumed(start + 3), 1)
  t.true(await storage.isConsumed('jti4'))
})

test('changes of one client on several nodes lose none', async t => {
  const { storages, storage } = await open(t, 3)
  await storage.createClient(client('web'), event('client.created'))
  const digests = Array.from({ length: 12 }, (_, i) => `d${i}`)
  await Promise.all(
    digests.map((digest, i) =>
      storages[i % 3]!.changeClient(
        'web',
        clientUpdate(
          current => ({ ...current, secretDigests: [...current.secretDigests, digest] }),
          event('client.updated'),
        ),
      ),
    ),
  )
  t.deepEqual((await storage.findClient('web'))?.secretDigests.toSorted(), digests.toSorted())
})

const removals = [
  ['a user', (storage: Storage) => storage.removeUser('usr_alice', event('user.removed'))],
  ['a client', (storage: Storage) => storage.removeClient('app', event('client.removed'))],
] as const

for (const [what, remove] of removals) {
  test(`${what} is removed while sessions begin, go on and end on other nodes: none is left`, async t => {
    const { storages, storage, query } = await open(t, 3)
    const ids = Array.from({ length: 60 }, (_, i) => `s${(i * 7) % 60}`)
    await populate(storage, ...ids.map(id => session(id)))
    const works = ids.map((id, i) => async () => {
      const node = storages[i % 3]!
      await refresh(node, id, firstGeneration)
      await node.revokeSessions({ userId: 'usr_alice', exceptId: id }, 'logout', event('session.revoked'))
      await node.createSession(session(`new${id}`), { version: 1 }, event('session.created'))
    })
    const [removed] = await Promise.all([remove(storages[2]!), ...works.map(work => work())])
    t.true(removed)
    t.deepEqual((await query('SELECT FROM sessions')).rowCount, 0)
    t.false(await storage.createSession(session('late'), { version: 1 }, event('session.created')))
  })
}

for (const [what, remove] of removals) {
  test(`who removes ${what} locks the sessions in the order of their ids, as everybody does: no deadlock`, async t => {
    const { storage, query } = await open(t, 1)
    // In the table and by sign-in the other one comes first.
    await populate(storage, session('b'), session('a', { createdAt: start + 1 }))
    await query('BEGIN')
    await query("SELECT FROM sessions WHERE id = 'a' FOR UPDATE")
    const removed = remove(storage)
    const isWaiting = async () =>
      (await query(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`))
        .rowCount! > 0
    for (let tries = 0; tries < 1000 && !(await isWaiting()); tries++) await delay(10)
    // It waits for the first one, and has not taken the other yet.
    await t.notThrowsAsync(query("SELECT FROM sessions WHERE id = 'b' FOR UPDATE NOWAIT"))
    await query('COMMIT')
    t.true(await removed)
    t.is((await query('SELECT FROM sessions')).rowCount, 0)
  })
}

test('a client with more sessions than one statement removes goes with all of them, and with no other', async t => {
  const { storage, query } = await open(t, 1)
  await populate(storage, session('a'), session('other', { clientId: 'web' }))
  await query(`INSERT INTO sessions SELECT 's' || n, user_id, client_id, scope, audience, generation, parent_generation,
      rotated_at, created_at, auth_time, amr, last_seen_at, idle_expires_at, expires_at
    FROM sessions, generate_series(1, 10010) AS n WHERE id = 'a'`)
  t.true(await storage.removeClient('app', event('client.removed')))
  t.deepEqual((await query('SELECT id FROM sessions')).rows, [{ id: 'other' }])
})

test('the audit trail is append-only for its own role: nothing changes, and nothing but the oldest goes', async t => {
  const { storage, query } = await open(t, 1)
  await storage.addAuditEvents(Array.from({ length: 4 }, (_, i) => event('session.created', start + i)))
  for (const text of [
    "UPDATE audit_events SET detail = 'x'",
    'TRUNCATE audit_events',
    'DELETE FROM audit_events WHERE at > (SELECT min(at) FROM audit_events)',
    `DELETE FROM audit_events WHERE at = ${start + 1}`,
  ])
    await t.throwsAsync(query(text), { message: /append-only/ }, text)
  t.is((await storage.listAuditEvents(10)).length, 4)
  t.is(await storage.pruneAuditEvents(start + 1), 2)
  t.deepEqual(
    (await storage.listAuditEvents(10)).map(({ at }) => at),
    [start + 3, start + 2],
  )
})

test('a node that prunes the audit trail leaves it to another that is at it, and together they remove the old ones once', async t => {
  const { storages, storage, query } = await open(t, 3)
  await storage.addAuditEvents(Array.from({ length: 3000 }, (_, i) => event('session.created', start + i)))
  await query('BEGIN')
  await query('SELECT pg_advisory_xact_lock(27755, 3)')
  t.is(await storage.pruneAuditEvents(start + 2000), 0)
  await query('COMMIT')
  let removed = 0
  for (let round = 0; round < 20 && removed < 2001; round++)
    for (const count of await each(storages, node => node.pruneAuditEvents(start + 2000))) removed += count
  t.is(removed, 2001)
  t.is((await storage.listAuditEvents(3000)).length, 999)
})

test('an event that comes to sight late is on the pages of the next look, and pages go back without a gap', async t => {
  const { storage, query } = await open(t, 1)
  await query('BEGIN')
  await query(`INSERT INTO audit_events (at, type) VALUES (${start}, 'session.created')`)
  await storage.addAuditEvents(Array.from({ length: 6 }, (_, i) => event('session.created', start + 1 + i)))
  const first = await storage.pageAuditEvents({}, { limit: 4 })
  await query('COMMIT')
  const second = await storage.pageAuditEvents({}, { limit: 4, after: first.next })
  t.deepEqual(
    [...first.events, ...second.events].map(({ at }) => at - start),
    [6, 5, 4, 3, 2, 1, 0],
  )
})

test('a check passes while the database takes writes, fails when it does not, and passes again', async t => {
  const { storage, query } = await open(t, 1)
  await t.notThrowsAsync(storage.check())
  const { rows } = await query('SELECT current_database() AS name')
  await query(`ALTER DATABASE ${rows[0].name} SET default_transaction_read_only = on`)
  await query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  )
  await t.throwsAsync(storage.check())
  await query(`SET default_transaction_read_only = off`)
  await query(`ALTER DATABASE ${rows[0].name} RESET default_transaction_read_only`)
  let passed = false
  for (let tries = 0; tries < 100 && !passed; tries++) {
    passed = await storage.check().then(
      () => true,
      () => delay(100, false),
    )
  }
  t.true(passed)
})

test('a text that PostgreSQL cannot keep is a mistake of the program that let it in, not a database that is away', async t => {
  const { storage } = await open(t, 1)
  const error = await t.throwsAsync(storage.consumeOnce('a\0b', start))
  t.false(error instanceof OAuthError)
  t.true(await storage.consumeOnce('a\ufffdb', start))
})

test('what goes wrong with a row is told without its values: no hash of a secret gets into a log', async t => {
  const { storage } = await open(t, 1)
  const broken = client('web', { secretDigests: ['very-secret-digest'], scope: 'a\0b' })
  const errors = [
    await t.throwsAsync(storage.createClient(broken, event('client.created'))),
    await t.throwsAsync(
      storage.createUsers([user('alice', { passwordHash: 'very-secret\0digest' })], event('user.created')),
    ),
  ]
  for (const error of errors) {
    const told = inspect(error, { depth: 9, showHidden: true })
    t.regex(told, /22021/)
    t.notRegex(told, /very-secret/)
  }
})
