/**
 * Reads and transactions. A transaction that others stood in the way of is run anew; one of which nobody knows whether it was
 * committed is `temporarily_unavailable`, never a refusal.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { QueryArrayResult } from 'pg'
import { noObserver } from '../../observer.ts'
import { randomBytes } from '../../system.ts'
import type { Connection, Db, Query } from './connection.ts'
import { asUnknown, ConnectionError, isCollision, meansLostServer, translate } from './failure.ts'
import { type Lease, type Pool, within } from './pool.ts'

/** How often a transaction is run that others stand in the way of, and the milliseconds between. */
const maxTries = 5
const [minPause, maxPause] = [5, 50]
/** Milliseconds. It gives way to others five times within the patience of a client. */
const maxLockWait = 2000
/** Milliseconds that a transaction may wait for this program: a node that is gone must not keep its locks. */
const maxIdleInTransaction = 10_000
/** Milliseconds that undoing a transaction may take before its connection is closed, which does the same. */
const maxRollback = 1000
/** Milliseconds that whoever asked waits to hear that a transaction was committed. */
const maxConfirm = 10_000
/** Milliseconds that a connection is kept of which nobody knows whether its transaction was committed. */
const maxCommit = 60_000

/**
 * In words, whatever the database's default is: at a higher level PostgreSQL refuses half of what may happen at once. The settings end with the
 * transaction, so a pooler hands none of them on. A statement ends at the server shortly before this side gives it up.
 */
function beginWithin(maxStatement: number): string {
  return [
    'BEGIN ISOLATION LEVEL READ COMMITTED',
    `SET LOCAL lock_timeout = ${maxLockWait}`,
    `SET LOCAL statement_timeout = ${maxStatement - 1000}`,
    `SET LOCAL idle_in_transaction_session_timeout = ${maxIdleInTransaction}`,
  ].join('; ')
}

/** @param onCommit told how long each took from the moment that it had a connection, and of how many writes */
export function createTransactions(
  pool: Pool,
  onCommit = noObserver.committed,
): Pick<Connection, 'read' | 'write' | 'autocommit'> {
  const begin = beginWithin(pool.maxStatement)

  async function readOnce<T>(run: (db: Db) => Promise<T>): Promise<T> {
    const lease = await pool.lease()
    try {
      const result = await run(lease.db)
      lease.release()
      return result
    } catch (error) {
      // Whatever went wrong, a new connection is known to be in order.
      lease.release(error)
      throw error
    }
  }

  async function writeOnce<T>(run: (tx: Db) => Promise<T>, writes: number): Promise<T> {
    const lease = await pool.lease()
    const began = performance.now()
    let result: T
    try {
      await lease.client.query(begin)
      result = await run(lease.db)
    } catch (error) {
      await rollBack(lease, error)
      throw error
    }
    await commit(lease)
    onCommit((performance.now() - began) / 1000, writes)
    return result
  }

  async function autocommitOnce(query: Query, writes: number): Promise<unknown[][]> {
    const lease = await pool.lease()
    const began = performance.now()
    const { rows } = await confirm(lease, query)
    onCommit((performance.now() - began) / 1000, writes)
    return rows
  }

  return {
    read: run => untilItRuns(() => readOnce(run)),
    write: (run, writes = 1) => untilItRuns(() => writeOnce(run, writes)),
    autocommit: (query, writes = 1) => untilItRuns(() => autocommitOnce(query, writes)),
  }
}

async function untilItRuns<T>(run: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await run()
    } catch (error) {
      if (!isCollision(error) || tries === maxTries) throw translate(error)
      await delay(minPause + ((maxPause - minPause) * randomBytes(1)[0]!) / 255)
    }
  }
}

async function rollBack({ client, release }: Lease, error: unknown): Promise<void> {
  if (meansLostServer(error)) return release(error)
  try {
    const query = { text: 'ROLLBACK', query_timeout: maxRollback }
    await client.query(query)
    release()
  } catch {
    release(error)
  }
}

/**
 * Gives the connection back too.
 *
 * @param maxWait milliseconds to hear of it
 * @throws what leaves nobody knowing whether it was committed, among the rest
 */
export async function commit(lease: Lease, maxWait = maxConfirm): Promise<void> {
  const { command } = await confirm(lease, { text: 'COMMIT' }, maxWait)
  if (command !== 'COMMIT') throw new Error('a statement of the transaction had failed, and its error was caught')
}

/**
 * Runs what commits, and gives the connection back.
 *
 * @throws what leaves nobody knowing whether it was committed, among the rest
 */
async function confirm(
  { client, suspect, release }: Lease,
  query: Readonly<{ text: string; values?: unknown[] }>,
  maxWait = maxConfirm,
) {
  const warnings: string[] = []
  const onNotice = ({ code, message }: { code: string | undefined; message: string | undefined }) => {
    // 01000: no standby has confirmed it. It is committed here, and would be lost with this server.
    if (code === '01000') warnings.push(message ?? '')
  }
  client.on('notice', onNotice)
  const config = { ...query, rowMode: 'array' as const, query_timeout: Math.max(maxCommit, maxWait) }
  const answer = client.query<unknown[]>(config)
  let result: QueryArrayResult<unknown[]>
  try {
    result = await within(maxWait, answer)
  } catch (error) {
    if (!(error instanceof ConnectionError)) {
      release(error)
      throw asUnknown(error)
    }
    // It still waits for a standby, or is out of reach. As long as that is open it counts as a connection: new ones would fill the server.
    suspect(error)
    void answer.catch(() => {}).then(() => release(error))
    throw asUnknown(error)
  }
  client.off('notice', onNotice)
  release()
  if (warnings.length > 0) throw asUnknown(new ConnectionError(warnings.join('; ')))
  return result
}
