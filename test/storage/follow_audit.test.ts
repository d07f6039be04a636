/** The audit trail read forward: every event once and in order, on every storage, whatever commits when. */
import { setImmediate } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import type { EventPlace, PlacedEvent } from '../../src/audit/audit.ts'
import { followedFrom } from '../../src/audit/follow.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { migratedDatabase, openClient, openOn } from '../_postgres.ts'
import { startTime as start, type TestContext } from '../_server.ts'
import { storages } from '../_storages.ts'
import { event } from './_records.ts'

function contract(title: string, run: (t: ExecutionContext, storage: Storage) => Promise<void>) {
  for (const [name, open] of Object.entries(storages)) {
    test(`${name}: ${title}`, async t => run(t, await open(t)))
  }
}

const add = (storage: Storage, ...seconds: number[]) =>
  storage.addAuditEvents(seconds.map(second => event('session.created', start + second)))

/** @returns the seconds of what is there after a place, and the place after it */
async function follow(storage: Storage, after?: EventPlace, limit = 100) {
  const followed = await storage.followAuditEvents(after, limit)
  if (followed === undefined) return undefined
  const { events, mayMiss } = followed
  const { id, at } = events.at(-1) ?? after ?? { id: 0, at: 0 }
  return { seconds: events.map(one => one.at - start), place: { id, at }, mayMiss }
}

contract(
  'followAuditEvents answers the oldest first, no more than the limit, and goes on after a place',
  async (t, storage) => {
    t.deepEqual(await storage.followAuditEvents(undefined, 10), { events: [], mayMiss: false })
    t.is(await storage.findLastPlace(), undefined)
    await add(storage, 1, 2, 3)
    const first = (await follow(storage, undefined, 2))!
    t.deepEqual([first.seconds, first.mayMiss], [[1, 2], false])
    const second = (await follow(storage, first.place, 2))!
    t.deepEqual([second.seconds, second.mayMiss], [[3], false])
    t.deepEqual((await follow(storage, second.place))!.seconds, [])
    t.deepEqual(await storage.findLastPlace(), second.place)
    await add(storage, 4)
    t.deepEqual((await follow(storage, second.place))!.seconds, [4])
    t.like((await storage.followAuditEvents(undefined, 1))!.events[0], event('session.created', start + 1))
  },
)

contract(
  'a place is good as long as nothing after it was pruned; else it is said that something may be missing',
  async (t, storage) => {
    await add(storage, 1, 2, 3, 4)
    const place = (await follow(storage, undefined, 2))!.place
    await storage.pruneAuditEvents(start + 1)
    t.like(await follow(storage, place), { seconds: [3, 4], mayMiss: false })
    await storage.pruneAuditEvents(start + 2)
    t.like(await follow(storage, place), { seconds: [3, 4], mayMiss: false })
    await storage.pruneAuditEvents(start + 3)
    t.like(await follow(storage, place), { seconds: [4], mayMiss: true })
    await storage.pruneAuditEvents(start + 4)
    t.like(await follow(storage, place), { seconds: [], mayMiss: true })
    t.like(await follow(storage), { seconds: [], mayMiss: false })
  },
)

contract('a place of another trail, or of one that was restored since, is none', async (t, storage) => {
  await add(storage, 1, 2)
  const { place } = (await follow(storage))!
  t.truthy(await follow(storage, place))
  t.is(await follow(storage, { ...place, at: place.at + 1 }), undefined)
  t.is(await follow(storage, { ...place, id: place.id + 1 }), undefined)
})

test('a number that never was there is no place among others, and what was pruned is one (model)', t => {
  const events = [{ id: 5, at: start, type: 'session.created' }] as PlacedEvent[]
  const from = (id: number, oldest: number | undefined, last: number, rows = events) =>
    followedFrom({ id, at: start }, { events: rows, oldest, last })?.mayMiss
  t.is(from(4, 5, 5), false)
  t.is(from(3, 5, 5), true)
  t.is(from(4, 2, 5), undefined)
  t.is(from(5, 5, 5), false)
  t.is(from(5, undefined, 5, []), false)
  t.is(from(4, undefined, 5, []), true)
  t.is(from(6, undefined, 5, []), undefined)
})

/** Two nodes, and clients beside them. */
async function openNodes(t: TestContext) {
  const url = await migratedDatabase(t)
  const nodes = [await openOn(t, url), await openOn(t, url)] as const
  const begin = async (second: number) => {
    const client = await openClient(t, url)
    await client.query('BEGIN')
    await client.query(`INSERT INTO audit_events (at, type) VALUES (${start + second}, 'session.created')`)
    return client
  }
  return { url, nodes, begin }
}

test('postgres: of two transactions that are open the one that ends last holds back what came after it, and nothing is skipped or told twice', async t => {
  const { nodes, begin } = await openNodes(t)
  const [node] = nodes
  await add(node, 1)
  const seen: number[] = []
  let place: EventPlace | undefined
  const read = async () => {
    const page = (await follow(node, place))!
    place = page.place
    seen.push(...page.seconds)
    return page.seconds
  }
  t.deepEqual(await read(), [1])
  const slow = await begin(2)
  const slower = await begin(3)
  await add(node, 4)
  t.deepEqual(await read(), [])
  // The later number is there first.
  await slower.query('COMMIT')
  t.deepEqual(await read(), [])
  await slow.query('COMMIT')
  t.deepEqual(await read(), [2, 3, 4])
  const undone = await begin(5)
  await add(node, 6)
  t.deepEqual(await read(), [])
  await undone.query('ROLLBACK')
  t.deepEqual(await read(), [6])
  t.deepEqual(seen, [1, 2, 3, 4, 6])
})

test('postgres: what came before a transaction that stays open is told, also by a node that has started since; other transactions hold nothing back', async t => {
  const { url, nodes, begin } = await openNodes(t)
  const reader = await openClient(t, url)
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
  await reader.query('SELECT pg_current_xact_id(), count(*) FROM audit_events')
  await add(nodes[0], 1)
  t.deepEqual((await follow(nodes[0]))!.seconds, [1], 'a transaction that writes no event')
  const slow = await begin(2)
  await add(nodes[0], 3)
  const page = (await follow(nodes[0]))!
  t.deepEqual(page.seconds, [1])
  // It has seen nothing yet, so it waits; and a place that it did not see itself is good all the same.
  const late = await openOn(t, url)
  t.deepEqual((await follow(late))!.seconds, [])
  t.deepEqual((await follow(late, page.place))!.seconds, [])
  await slow.query('COMMIT')
  for (const node of [...nodes, late]) t.deepEqual((await follow(node))!.seconds, [1, 2, 3])
  await reader.query('ROLLBACK')
})

test('postgres: readers beside many writers, some of which give up, see every event once and in the order of its number', async t => {
  const { url, nodes } = await openNodes(t)
  const writers = await Promise.all(Array.from({ length: 6 }, () => openClient(t, url)))
  let writing = true
  const write = writers.map(async (client, i) => {
    for (let round = 0; round < 60; round++) {
      await client.query('BEGIN')
      await client.query(`INSERT INTO audit_events (at, type) VALUES (${start + i}, 'session.created')`)
      if ((round + i) % 3 === 0) await client.query('SELECT pg_sleep(0.003)')
      await client.query((round * 7 + i) % 5 === 0 ? 'ROLLBACK' : 'COMMIT')
    }
  })
  const readAll = async (node: Storage) => {
    const ids: number[] = []
    let place: EventPlace | undefined
    for (let isLast = false; ; isLast = !writing) {
      const events: readonly PlacedEvent[] = (await node.followAuditEvents(place, 7))!.events
      ids.push(...events.map(({ id }) => id))
      place = events.at(-1) ?? place
      if (isLast && events.length === 0) return ids
      await setImmediate()
    }
  }
  const reading = Promise.all(nodes.map(readAll))
  await Promise.all(write)
  writing = false
  const { rows } = await writers[0]!.query('SELECT id FROM audit_events ORDER BY id')
  const all = rows.map(row => Number(row.id))
  t.true(all.length > 200)
  for (const ids of await reading) t.deepEqual(ids, all)
})
