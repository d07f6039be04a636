/** Which master secret makes, where several nodes each read their own; and that none of them signs anybody out for want of another's. */
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { insistThatUnused, listMasterSecrets, oldSecrets, recordDropped } from '../../src/admin/master_secrets.ts'
import { digestClientSecret } from '../../src/clients/client_secret.ts'
import { inOrderOfUse, noteUse, secretLead, takeIntoUse, useNoted } from '../../src/keys/secret_use.ts'
import { databases } from '../_databases.ts'
import {
  type Clock,
  createClock,
  createTestSecrets,
  refusal,
  refused,
  startServer,
  startServerWithAlice,
  startTime,
} from '../_server.ts'

const [newer, older] = createTestSecrets('new', 'old')
const both = [newer!, older!] as const
const name = ({ name }: { name: string }) => name

test('the first of those that are in use makes, the one used before all others names; without any the first and the last', t => {
  const use = (secret: { name: string }, usedSince: number) => ({ name: secret.name, usedSince })
  const order = (uses: Parameters<typeof inOrderOfUse>[1], read: Parameters<typeof inOrderOfUse>[0] = both) => {
    const { secrets, oldest } = inOrderOfUse(read, uses, startTime)
    return [secrets.map(name), oldest.name]
  }
  t.deepEqual(order([]), [[newer!.name, older!.name], older!.name])
  t.deepEqual(order([use(older!, 1), use(newer!, startTime)]), [[newer!.name, older!.name], older!.name])
  t.deepEqual(order([use(older!, 1), use(newer!, startTime + 1)]), [[older!.name, newer!.name], older!.name])
  t.deepEqual(order([use(older!, 1)], [older!, newer!]), [[older!.name, newer!.name], older!.name])
  t.deepEqual(order([use(newer!, startTime + 1)], [newer!]), [[newer!.name], newer!.name])
})

test('property: what one node makes all others can read, whenever each learns of a new secret within the lead and whatever its clock says', t => {
  const anyNode = fc.record({
    learnsAfter: fc.integer({ min: 0, max: 100 }),
    ahead: fc.integer({ min: -90, max: 90 }),
  })
  fc.assert(
    fc.property(fc.array(anyNode, { minLength: 2, maxLength: 5 }), fc.integer({ min: 0, max: 600 }), (nodes, after) => {
      const first = nodes.toSorted((a, b) => a.learnsAfter - b.learnsAfter)[0]!
      const announced = startTime + first.learnsAfter + first.ahead + secretLead
      const uses = [
        { name: older!.name, usedSince: 1 },
        { name: newer!.name, usedSince: announced },
      ]
      const held = nodes.map(({ learnsAfter, ahead }) => {
        const knows = after >= learnsAfter
        return inOrderOfUse(knows ? both : [older!], uses, startTime + after + ahead).secrets
      })
      for (const [making] of held) for (const secrets of held) t.true(secrets.includes(making))
    }),
  )
})

/** One node, with what its operator gave it. */
async function openNode(database: Awaited<ReturnType<(typeof databases)['postgres']>>, clock: Clock) {
  const storage = await database.open()
  return { storage, now: clock.now }
}

test('of a new secret the first node says from when it is used, and all keep to that; an older database has nothing to wait for', async t => {
  const database = await databases.postgres(t)
  const clock = createClock()
  const nodes = [await openNode(database, clock), await openNode(database, clock)]
  for (const node of nodes) {
    const { secrets } = await takeIntoUse(node, [older!], secretLead)
    t.deepEqual(secrets, [older!])
  }
  clock.advance(1000)
  const [one, other] = await Promise.all(nodes.map(node => takeIntoUse(node, both, secretLead)))
  for (const { secrets } of [one!, other!]) t.deepEqual(secrets.map(name), [older!.name, newer!.name])
  clock.advance(secretLead)
  for (const node of nodes) t.is((await takeIntoUse(node, both, secretLead)).secrets[0], newer)
  const events = await nodes[0]!.storage.listAuditEvents(10, { type: 'secret.in_use' })
  t.deepEqual(
    events.map(({ detail }) => detail),
    [newer!.name, older!.name],
  )
})

test('a process with the database for itself uses a new secret at once', async t => {
  const node = await openNode(await databases.sqlite(t), createClock())
  await takeIntoUse(node, [older!], 0)
  t.is((await takeIntoUse(node, both, 0)).secrets[0], newer)
})

test('as long as a node makes tokens under the old secret, it cannot be dropped, and its sessions count', async t => {
  const database = await databases.postgres(t)
  const clock = createClock()
  const [one, late] = [await openNode(database, clock), await openNode(database, clock)]
  const server = await startServerWithAlice(t, { storage: late.storage, secrets: [older!], clock })
  await takeIntoUse(one, [older!], secretLead)
  await takeIntoUse(one, both, secretLead)
  clock.advance(secretLead)
  const admin = { ...one, secrets: async () => both }
  for (let minute = 0; minute < 10; minute++) {
    await noteUse(one, newer!)
    await noteUse(late, older!)
    clock.advance(useNoted / 2)
  }
  await noteUse(late, older!)
  await server.signIn()
  const old = oldSecrets(await listMasterSecrets(admin))
  t.like(old[0], { sessions: 1, used_until: clock.now() + useNoted })
  t.throws(() => insistThatUnused([{ ...old[0]!, sessions: 0 }], clock.now()), { message: /a node makes tokens/ })

  clock.advance(useNoted + 1)
  await noteUse(one, newer!)
  const still = oldSecrets(await listMasterSecrets(admin))
  t.like(still[0], { sessions: 1 })
  t.throws(() => insistThatUnused(still, clock.now()), { message: /1 session was last refreshed/ })
})

/** Two servers on one database: the second does not have the new secret yet. */
async function startLagging(t: ExecutionContext) {
  const database = await databases.postgres(t)
  const clock = createClock()
  const ahead = await startServerWithAlice(t, { storage: await database.open(), secrets: both, clock })
  const behind = await startServer(t, { storage: await database.open(), secrets: [older!], clock })
  await noteUse({ storage: ahead.deps.storage, now: clock.now }, newer!)
  return { ahead, behind, clock }
}

test('a node that lacks the newest master secret says 503 to refresh tokens and cookies made under it, and signs nobody out', async t => {
  const { ahead, behind } = await startLagging(t)
  const { refresh_token } = await ahead.signIn()
  const client_secret = await behind.addClient({ id: 'api', isPublic: false })
  const introspection = { token: refresh_token, client_id: 'api', client_secret, token_type_hint: 'refresh_token' }
  for (const answer of [
    await behind.refresh(refresh_token),
    await behind.post('/revoke', { token: refresh_token, client_id: 'app' }),
    await behind.post('/introspect', introspection),
  ]) {
    t.deepEqual(refusal(answer), refused(503, 'temporarily_unavailable'))
    t.is(answer.headers.get('retry-after'), '10')
  }
  t.is((await ahead.refresh(refresh_token)).status, 200)

  const signedIn = await ahead.post('/login', { username: 'alice', password: 'correct horse battery staple' })
  const cookie = signedIn.headers.getSetCookie()[0]!.split(';')[0]!
  const account = await behind.request('/profile', { headers: { cookie } })
  t.is(account.status, 503)
  t.deepEqual(account.headers.getSetCookie(), [])
  t.is((await ahead.request('/profile', { headers: { cookie } })).status, 200)
})

test('so does a client whose secret another node has renewed under the newest one; a wrong one is still wrong', async t => {
  const { ahead, behind } = await startLagging(t)
  const secret = 'the secret of a client'
  await ahead.addClient({ id: 'web', secret, isPublic: false })
  const ask = (server: typeof behind, id: string, client_secret: string) =>
    server.post('/introspect', { token: 'x', client_id: id, client_secret })
  t.true((await ahead.deps.storage.findClient('web'))!.secretDigests.includes(digestClientSecret(secret, newer!)))
  t.deepEqual(refusal(await ask(behind, 'web', secret)), refused(503, 'temporarily_unavailable'))
  t.is((await ask(ahead, 'web', secret)).status, 200)
  t.is((await ask(ahead, 'web', 'wrong')).status, 400)
  t.is((await ask(behind, 'nobody', 'wrong')).status, 400)
})

test('what was made under a secret that was dropped, or that no node ever had, is refused at once', async t => {
  const { ahead, behind, clock } = await startLagging(t)
  const { refresh_token } = await ahead.signIn()
  const forged = `${refresh_token.slice(0, 5)}AAAA${refresh_token.slice(9)}`
  t.is((await behind.refresh(forged)).body.error, 'invalid_grant')
  t.is((await behind.refresh('lkr_')).body.error, 'invalid_grant')
  const admin = { storage: ahead.deps.storage, now: clock.now }
  await recordDropped(admin, [newer!.name], { name: 'operator' })
  t.is((await behind.refresh(refresh_token)).body.error, 'invalid_grant')
  // Taken out by hand, long ago.
  await noteUse(admin, newer!)
  t.is((await behind.refresh(refresh_token)).status, 503)
  clock.advance(2 * 86_400)
  t.is((await behind.refresh(refresh_token)).body.error, 'invalid_grant')
})
