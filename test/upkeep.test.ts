/** The upkeep of several nodes at once on one database: what one does is done, once. */
import test from 'ava'
import pino from 'pino'
import { auditEvent } from '../src/audit/audit.ts'
import { maxAccessTokenLifetime, unhurriedLead } from '../src/keys/signing_key.ts'
import { createSession } from '../src/sessions/session.ts'
import { endCrowds, pruneAll, reloadKeys, rotateKey } from '../src/upkeep.ts'
import { databases } from './_databases.ts'
import { createClock, oauthConfig, startServer, startServerWithAlice, type TestContext } from './_server.ts'

const silent = pino({ level: 'silent' })
const rotation = { keyRotation: 90 * 86_400, signingAlg: 'ES256' } as const

async function startNodes(t: TestContext) {
  const database = await databases.postgres(t)
  const clock = createClock()
  const first = await startServerWithAlice(t, { storage: await database.open(), clock })
  const others = []
  for (let i = 0; i < 2; i++) others.push(await startServer(t, { storage: await database.open(), clock }))
  const nodes = [first, ...others].map(({ deps }) => deps)
  for (const deps of nodes) await reloadKeys(deps)
  return { first, nodes, clock, storage: first.deps.storage, database }
}

test('of three nodes one adds a key and one removes what is retired, with one event each; all sign by the same at one moment', async t => {
  const { nodes, clock, storage, first } = await startNodes(t)
  const kidsAt = () => nodes.map(({ keyRing }) => JSON.parse(keyRing.jwks(clock.now())).keys.length)
  clock.advance(rotation.keyRotation)
  await Promise.all(nodes.map(deps => rotateKey(deps, rotation, silent)))
  await Promise.all(nodes.map(deps => reloadKeys(deps)))
  t.deepEqual(kidsAt(), [2, 2, 2])
  const [old, next] = await storage.listSigningKeys()
  const signedBy = () =>
    new Set(
      nodes.map(({ keyRing }) => {
        const [head = ''] = keyRing.sign({}, clock.now()).split('.')
        return JSON.parse(Buffer.from(head, 'base64url').toString()).kid
      }),
    )
  clock.advance(unhurriedLead - 1)
  t.deepEqual(signedBy(), new Set([old!.kid]))
  clock.advance(1)
  t.deepEqual(signedBy(), new Set([next!.kid]))
  clock.advance(2 * maxAccessTokenLifetime)
  await Promise.all(nodes.map(deps => reloadKeys(deps)))
  t.deepEqual(kidsAt(), [1, 1, 1])
  const events = await first.deps.storage.listAuditEvents(10, { type: 'key' })
  t.deepEqual(
    events.map(({ type }) => type),
    ['key.removed', 'key.created', 'key.created'],
  )
})

test('crowds that three nodes end at once are ended once: a hundred stay, and the audit trail counts each of the others', async t => {
  const { nodes, clock, storage, first, database } = await startNodes(t)
  const userId = first.aliceId
  const from = { userId, clientId: 'app', scope: 'read', audience: [], amr: ['pwd'] }
  const created = Array.from({ length: 400 }, (_, i) => {
    const who = {
      ...from,
      id: `session${String(i).padStart(15, '0')}`,
      device: undefined,
      ip: undefined,
      userAgent: undefined,
    }
    const session = createSession(who, clock.now() + i, oauthConfig.refresh)
    return storage.createSession(session, { version: 1 }, auditEvent('session.created', clock.now(), {}))
  })
  t.false((await Promise.all(created)).includes(false))
  clock.advance(1000)
  for (let round = 0; round < 4; round++) await Promise.all(nodes.map(deps => endCrowds(deps, '')))
  t.is((await storage.listLiveSessions({ userId }, clock.now(), 1000)).length, 100)
  const events = await first.deps.storage.listAuditEvents(100, { type: 'session.revoked' })
  const ended = events.map(({ detail = '' }) => Number(/^session_limit: (\d+)$/.exec(detail)![1]))
  t.is(
    ended.reduce((sum, count) => sum + count, 0),
    300,
  )
  t.is((await database.query('SELECT 1 FROM sessions')).length, 100)
})

test('three nodes that prune at once wait for nobody and leave what is not over', async t => {
  const { nodes, clock, storage, database } = await startNodes(t)
  const over = clock.now() + 10
  for (let i = 0; i < 300; i++) await storage.consumeOnce(`id ${i}`, i % 3 === 0 ? over + 1000 : over)
  await storage.addAuditEvents(Array.from({ length: 700 }, () => auditEvent('key.created', clock.now(), {})))
  await storage.saveCounters(
    Array.from({ length: 900 }, (_, i) => {
      const emptyAt = i % 3 === 0 ? over + 1000 : over
      return { id: `c${i}`, emptyAt, readyAt: 0, seconds: emptyAt, max: 1e10, writtenAt: 0 }
    }),
    [],
    Array.from({ length: 90 }, (_, i) => ({ who: `w${i}`, network: 'n', expiresAt: i % 3 === 0 ? over + 1000 : over })),
  )
  clock.advance(20)
  await Promise.all(
    nodes.map(async ({ storage, now }) => {
      await storage.pruneSessions('', now())
      await pruneAll(() => storage.pruneConsumed(now()))
      await pruneAll(() => storage.pruneCounters(now()))
      await pruneAll(() => storage.pruneAuditEvents(now()))
      await storage.pruneImports(now())
    }),
  )
  const count = async (table: string) => (await database.query(`SELECT 1 FROM ${table}`)).length
  t.is(await count('remembered_ids'), 100)
  t.is(await count('attempt_counters'), 300)
  t.is(await count('known_networks'), 30)
  t.is(await count('audit_events'), 0)
})
