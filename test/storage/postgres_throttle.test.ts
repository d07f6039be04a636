/** What only several nodes can break of counters and known networks in PostgreSQL. */
import test, { type ExecutionContext } from 'ava'
import { openDatabase } from '../../src/storage/postgres/database.ts'
import { createThrottleStorage } from '../../src/storage/postgres/throttle.ts'
import { type DatabaseUrl, parseDatabaseUrl } from '../../src/storage/postgres/url.ts'
import { maxKnownNetworks } from '../../src/throttle/known_networks.ts'
import { emptyDatabase } from '../_postgres.ts'
import { createTestRandom, startTime as start } from '../_server.ts'

async function openNodes(t: ExecutionContext, count: number, maxCounters?: number) {
  const url = parseDatabaseUrl(await emptyDatabase(t), {}) as DatabaseUrl
  const nodes = []
  for (let i = 0; i < count; i++) {
    const { read, write, close } = await openDatabase(url, { migrates: true })
    t.teardown(close)
    nodes.push({ ...createThrottleStorage({ read, write }, maxCounters), write })
  }
  return nodes
}

const counted = (id: string, seconds: number) => ({
  id,
  emptyAt: start + seconds,
  readyAt: 0,
  seconds,
  max: 1_000_000,
  writtenAt: start,
})

test('of the networks of one user only so many are kept where three nodes add some at once', async t => {
  const nodes = await openNodes(t, 3)
  const known = (node: number) =>
    Array.from({ length: 40 }, (_, i) => ({ who: 'alice', network: `${node} ${i}`, expiresAt: start + i }))
  await Promise.all(nodes.map((node, i) => node.saveCounters([], [], known(i))))
  const names = nodes.flatMap((_, i) => known(i).map(({ network }) => network))
  const are = await Promise.all(names.map(name => nodes[0]!.isKnownNetwork('alice', name, 0)))
  t.is(are.filter(Boolean).length, maxKnownNetworks)
  // Those that expire last: of each node some.
  for (let i = 0; i < 3; i++) t.true(await nodes[0]!.isKnownNetwork('alice', `${i} 39`, start))
})

test('what several nodes add to the same counters at once, in whatever order, is added up', async t => {
  const nodes = await openNodes(t, 3)
  const random = createTestRandom(t.title)
  const ids = Array.from({ length: 30 }, (_, i) => `c${i}`)
  const shuffled = () => {
    const keys = new Map(ids.map(id => [id, random(4).readUInt32BE()]))
    return ids.toSorted((a, b) => keys.get(a)! - keys.get(b)!)
  }
  const writes = Array.from({ length: 30 }, (_, i) => {
    const some = shuffled().map(id => counted(id, 10))
    return nodes[i % 3]!.saveCounters(some, [{ id: ids[i]!, emptyAt: 0 }], [])
  })
  await Promise.all(writes)
  const stored = await nodes[0]!.listCounters(0, 100)
  t.deepEqual(new Set(stored.map(({ emptyAt }) => emptyAt)), new Set([start + 300]))
  t.is(stored.length, 30)
})

test('beyond a bound those counters go that would be forgotten first', async t => {
  const [node] = await openNodes(t, 1, 100)
  await node!.saveCounters(
    Array.from({ length: 250 }, (_, i) => counted(`c${i}`, 1000 + i)),
    [],
    [],
  )
  t.is(await node!.pruneCounters(start), 150)
  t.is(await node!.pruneCounters(start), 0)
  const left = await node!.listCounters(0, 1000)
  t.is(left.length, 100)
  t.true(left.every(({ emptyAt }) => emptyAt >= start + 1150))
})

test('nodes that prune at once remove each counter once, and wait for none that is being counted', async t => {
  const nodes = await openNodes(t, 3)
  await nodes[0]!.saveCounters(
    Array.from({ length: 1200 }, (_, i) => counted(`c${i}`, 10)),
    [],
    [],
  )
  const { promise: pruned, resolve: release } = Promise.withResolvers<void>()
  const { promise: locked, resolve: onLocked } = Promise.withResolvers<void>()
  const counting = nodes[0]!.write(async ({ $client }) => {
    await $client.query(`SELECT FROM attempt_counters WHERE id = 'c5' FOR UPDATE`)
    onLocked()
    await pruned
  })
  await locked
  const removed = await Promise.all(nodes.flatMap(node => [1, 2, 3].map(() => node.pruneCounters(start + 100))))
  release()
  await counting
  t.is(
    removed.reduce((sum, count) => sum + count, 0),
    1199,
  )
  t.deepEqual(
    (await nodes[0]!.listCounters(0, 10)).map(({ id }) => id),
    ['c5'],
  )
})
