/** Counters of failed attempts, which all nodes share, and the networks that are known. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { addCounted, type Counter, emptyCounter, forgottenAt } from '../../throttle/counter.ts'
import { maxKnownNetworks } from '../../throttle/known_networks.ts'
import { maxSharedCounters } from '../../throttle/settings.ts'
import type {
  CountedCounter,
  Decide,
  FindCounter,
  ForgottenCounter,
  KnownNetwork,
  StoredCounter,
  ThrottleStorage,
} from '../../throttle/storage.ts'
import { and, desc, eq, gt, sql } from '../drizzle.ts'
import { takeLock } from './advisory_lock.ts'
import { type Connection, type Db, pruneBatch } from './connection.ts'
import { unavailable } from './failure.ts'
import { createPermits } from './pool.ts'
import { builder, prepareSelect } from './prepared.ts'
import { attemptCounters, knownNetworks } from './schema.ts'

const value = sql.placeholder

const listed = prepareSelect(
  builder
    .select({ id: attemptCounters.id, emptyAt: attemptCounters.emptyAt, readyAt: attemptCounters.readyAt })
    .from(attemptCounters)
    .where(gt(attemptCounters.expiresAt, value('now')))
    .orderBy(desc(attemptCounters.expiresAt))
    .limit(value('limit')),
)
const network = prepareSelect(
  builder
    .select({ expiresAt: knownNetworks.expiresAt })
    .from(knownNetworks)
    .where(and(eq(knownNetworks.who, value('who')), eq(knownNetworks.network, value('network')))),
)

const found = 'SELECT id, empty_at, ready_at FROM attempt_counters WHERE id = ANY($1::text[])'

/**
 * Locks counters, those that are not there yet too, until the end of the transaction. All take them in the order of ids. What is counted
 * waits for no disk: a crash of the database forgets less than a second, as one of a process with a database of its own.
 */
const lock = (how: 'lock' | 'lock_shared') => `
  SELECT set_config('synchronous_commit', 'off', true), pg_advisory_xact_${how}(hashtextextended(id, 0))
  FROM unnest($1::text[]) AS id`

const lockRows = `
  INSERT INTO attempt_counters (id, empty_at, ready_at, expires_at)
  SELECT id, 0, 0, 0 FROM unnest($1::text[]) AS id
  ON CONFLICT (id) DO UPDATE SET id = excluded.id
  RETURNING id, empty_at, ready_at`

const write = `
  INSERT INTO attempt_counters (id, empty_at, ready_at, expires_at)
  SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
  ON CONFLICT (id) DO UPDATE
  SET empty_at = excluded.empty_at, ready_at = excluded.ready_at, expires_at = excluded.expires_at`

const forget = `
  DELETE FROM attempt_counters
  WHERE id IN (SELECT id FROM attempt_counters WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE)`

/** `$2` rows at most, of those that nobody is counting on. */
const prune = `
  DELETE FROM attempt_counters
  WHERE id IN (SELECT id FROM attempt_counters WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`

const pruneNetworks = `
  DELETE FROM known_networks
  WHERE (who, network) IN (
    SELECT who, network FROM known_networks WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED
  )`

/** When the first of the counters beyond the bound will be forgotten: they are those forgotten soonest. */
const beyond = 'SELECT expires_at FROM attempt_counters ORDER BY expires_at DESC OFFSET $1 LIMIT 1'
/** Of counters beyond the bound, at once: some tenths of a second, for which no request waits. */
const beyondBatch = 20_000

/** Attempts of one node that wait for one another at once, each on a connection: a flood of guesses leaves the others to refreshes. */
const maxDeciding = 4

/** @param max counters that are kept */
export function createThrottleStorage(
  { read, write: transaction }: Pick<Connection, 'read' | 'write'>,
  max = maxSharedCounters,
): ThrottleStorage {
  const permits = createPermits(maxDeciding)

  async function decided<Outcome>(
    how: 'lock' | 'lock_shared',
    ids: readonly string[],
    decide: Decide<Outcome, FindCounter>,
  ): Promise<Outcome> {
    await permits.take().catch(error => {
      throw unavailable(error)
    })
    try {
      return await transaction(async tx => {
        await tx.$client.query(lock(how), [ids.toSorted()])
        const { outcome, counters = [], forgotten = [] } = decide(await find(tx, ids))
        if (forgotten.length > 0) await tx.$client.query(forget, [forgotten])
        if (counters.length > 0) await save(tx, counters)
        return outcome
      })
    } finally {
      permits.give()
    }
  }

  return {
    listCounters: (now, limit) => read(db => listed.all(db, { now, limit })),
    saveCounters: (counted, gone, known) =>
      transaction(async tx => {
        if (counted.length > 0 || gone.length > 0) await add(tx, counted, gone)
        if (known.length > 0) await remember(tx, known)
      }),
    isKnownNetwork: (who, name, now) =>
      read(async db => ((await network.get(db, { who, network: name }))?.expiresAt ?? 0) > now),
    pruneCounters: before =>
      transaction(async tx => {
        const run = async (text: string, values: readonly unknown[]) =>
          (await tx.$client.query(text, [...values])).rowCount ?? 0
        const expired = (await run(prune, [before, pruneBatch])) + (await run(pruneNetworks, [before, pruneBatch]))
        if (expired > 0) return expired
        const { rows } = await tx.$client.query<[number]>({
          text: beyond,
          values: [max],
          rowMode: 'array',
        })
        return rows[0] === undefined ? 0 : run(prune, [rows[0][0], beyondBatch])
      }),
    shared: {
      findCounters: gathered(ids => read(db => find(db, ids))),
      changeCounters: (ids, decide) => decided('lock', ids, decide),
      judgeCounters: (ids, decide) => decided('lock_shared', ids, decide),
    },
  }
}

/** Ids that one statement looks for. */
const maxGathered = 500

/** Asks once for all who ask in one turn of the event loop: each request of a client with a secret does. */
function gathered(
  run: (ids: readonly string[]) => Promise<FindCounter>,
): (ids: readonly string[]) => Promise<FindCounter> {
  let all: string[] = []
  let answer: Promise<FindCounter> | undefined
  return ids => {
    if (answer === undefined || all.length + ids.length > maxGathered) {
      const asked: string[] = []
      all = asked
      answer = nextTurn().then(() => {
        if (all === asked) answer = undefined
        return run(asked)
      })
    }
    all.push(...ids)
    return answer
  }
}

async function find({ $client }: Db, ids: readonly string[]): Promise<FindCounter> {
  const { rows } = await $client.query<[id: string, emptyAt: number, readyAt: number]>({
    text: found,
    values: [ids],
    rowMode: 'array',
  })
  const counters = new Map<string, Counter>()
  for (const [id, emptyAt, readyAt] of rows) counters.set(id, { emptyAt, readyAt })
  return id => counters.get(id) ?? emptyCounter
}

async function save({ $client }: Db, counters: readonly StoredCounter[]): Promise<void> {
  const ordered = counters.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const column = (of: (counter: StoredCounter) => unknown) => ordered.map(of)
  await $client.query(write, [
    column(({ id }) => id),
    column(({ emptyAt }) => emptyAt),
    column(({ readyAt }) => readyAt),
    column(forgottenAt),
  ])
}

/** Rows for all of them first, in the order of ids: nobody adds to what another one is adding to. */
async function add(tx: Db, counted: readonly CountedCounter[], gone: readonly ForgottenCounter[]): Promise<void> {
  const ids = [...new Set([...gone, ...counted].map(({ id }) => id))].toSorted()
  const { rows } = await tx.$client.query<[id: string, emptyAt: number, readyAt: number]>({
    text: lockRows,
    values: [ids],
    rowMode: 'array',
  })
  const counters = new Map<string, Counter>(rows.map(([id, emptyAt, readyAt]) => [id, { emptyAt, readyAt }]))
  for (const { id, emptyAt } of gone) if (counters.get(id)!.emptyAt <= emptyAt) counters.delete(id)
  for (const addition of counted) {
    const { id } = addition
    counters.set(id, addCounted(counters.get(id) ?? emptyCounter, addition))
  }
  await tx.$client.query(forget, [ids.filter(id => !counters.has(id))])
  await save(
    tx,
    [...counters].map(([id, counter]) => ({ id, ...counter })),
  )
}

/** One node after the other, so that none counts the networks of somebody while another one adds to them. */
async function remember(tx: Db, known: readonly KnownNetwork[]): Promise<void> {
  await takeLock(tx, 'knownNetworks')
  const { $client } = tx
  const byName = new Map(known.map(one => [`${one.who}\0${one.network}`, one]))
  const latest = [...byName.values()]
  await $client.query(
    `INSERT INTO known_networks (who, network, expires_at)
     SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
     ON CONFLICT (who, network) DO UPDATE SET expires_at = excluded.expires_at`,
    [latest.map(({ who }) => who), latest.map(one => one.network), latest.map(({ expiresAt }) => expiresAt)],
  )
  await $client.query(
    `DELETE FROM known_networks WHERE (who, network) IN (
       SELECT who, network FROM (
         SELECT who, network, row_number() OVER (PARTITION BY who ORDER BY expires_at DESC) AS place
         FROM known_networks WHERE who = ANY($1::text[])
       ) AS placed WHERE place > $2
     )`,
    [[...new Set(known.map(({ who }) => who))], maxKnownNetworks],
  )
}
