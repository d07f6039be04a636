/**
 * Lends the connections to the one server that takes writes. It is kept until it goes away or takes no writes any more; then all its connections
 * are given up at once, and one search for all requests looks for it again. Nobody waits without a bound, and no more than so many.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { PoolClient } from 'pg'
import type { Db } from './connection.ts'
import { drizzle } from './drizzle.ts'
import { ConnectionError, meansLostServer, unavailable } from './failure.ts'
import { findPrimary, lookAtAll, type Primary, type SeenLineage } from './primary.ts'
import { type DatabaseUrl, formatHost } from './url.ts'

/**
 * Connections of one node. Refreshes need two, since they are written in batches, one of which is under way while the next collects; the
 * rest is for sign-ins and reads. A server works best with few times as many as it has cores, and has 100 by default, for all nodes.
 */
export const maxConnections = 10
/** Requests that wait for a connection: a server comes to the last of them within the time below. */
export const maxWaiting = 4000
/** Milliseconds that a request waits for a connection, or for a server to be found. */
const maxWait = 10_000
/** Milliseconds: a client that hears nothing for this long asks again. */
const maxStatementOfRequest = 10_000
/** Milliseconds between two searches while there is no server. Whoever comes meanwhile is refused at once. */
const searchPause = 500
/** Milliseconds that what is under way gets when the pool is closed. */
const maxDrain = 5000

/** A connection for as long as a transaction or a read lasts. */
export type Lease = Readonly<{
  client: PoolClient
  db: Db
  /** Gives up the other connections to the same server. */
  suspect: (why: unknown) => void
  /** Gives it back. @param failure why it cannot be used again */
  release: (failure?: unknown) => void
}>

export type Pool = Readonly<{
  /** Milliseconds that a statement may take. */
  maxStatement: number
  /** @throws OAuthError `temporarily_unavailable` */
  lease: () => Promise<Lease>
  /** How many connections are lent, and how many wait for one. */
  load: () => Readonly<{ inUse: number; waiting: number }>
  /** Ends all connections, once they were given back or some seconds are over. */
  close: () => Promise<void>
}>

export type PoolOptions = Readonly<{
  /** Told why, when the server was looked for again and found. */
  onChange?: (why: string) => void
  /** Milliseconds that a statement may take: an operator waits for what no request would. */
  maxStatement?: number
}>

/**
 * @throws Error in one line for the operator: none of the hosts can be used, and why
 */
export async function openPool(
  url: DatabaseUrl,
  { onChange = () => {}, maxStatement = maxStatementOfRequest }: PoolOptions = {},
): Promise<Pool> {
  const limits = { maxConnections, maxStatement }
  const permits = createPermits(maxConnections)
  /** What ends when its connections have been given back. */
  const retired = new Set<Promise<void>>()
  const seen: SeenLineage = {}
  let primary: Primary | undefined
  /** Why the last server was given up. */
  let why: unknown
  let search: Promise<Primary> | undefined
  /** Why the last search found nothing; undefined after one that did. */
  let absence: unknown
  let isClosed = false

  function keep(found: Primary): Primary {
    primary = found
    absence = undefined
    // Of a connection that nobody uses. Who uses one learns it from a statement.
    found.clients.on('error', error => retire(found, error))
    return found
  }

  /** Gives all connections to a server up; those that are lent end when they come back. */
  function retire(found: Primary, reason: unknown) {
    if (primary !== found) return
    primary = undefined
    why = reason
    const end = found.clients.end().finally(() => retired.delete(end))
    retired.add(end)
  }

  /** One search for all. One that finds nothing is followed by another until there is a server again. */
  function lookAgain(): Promise<Primary> {
    search ??= findPrimary(url, limits, seen)
      .then(found => {
        keep(found)
        if (isClosed) retire(found, undefined)
        else onChange(`${messageOf(why)}; now ${formatHost(found.host)}`)
        return found
      })
      .catch(error => {
        absence = error
        if (!isClosed) setTimeout(() => void lookAgain().catch(() => {}), searchPause).unref()
        throw error
      })
      .finally(() => {
        search = undefined
      })
    return search
  }

  async function currentPrimary(): Promise<Primary> {
    if (primary !== undefined) return primary
    // It may take as long as a network that swallows packets makes it: only the first search is worth waiting for.
    if (absence !== undefined) throw absence
    return within(maxWait, lookAgain())
  }

  async function connect(): Promise<[Primary, PoolClient]> {
    for (let tries = 1; ; tries++) {
      const found = await currentPrimary()
      try {
        return [found, await found.clients.connect()]
      } catch (error) {
        if (meansLostServer(error)) retire(found, error)
        if (tries === 2 || primary === found) throw error
      }
    }
  }

  await lookAtAll(url, limits, seen)
  keep(await findPrimary(url, limits, seen))
  return {
    maxStatement,
    load: permits.load,
    async lease() {
      if (isClosed) throw unavailable(new ConnectionError('the database is closed'))
      if (absence !== undefined) throw unavailable(absence)
      try {
        await permits.take()
        try {
          const [found, client] = await connect()
          return {
            client,
            db: dbOf(client),
            suspect: why => retire(found, why),
            release(problem) {
              permits.give()
              if (meansLostServer(problem)) retire(found, problem)
              client.release(problem !== undefined)
            },
          }
        } catch (error) {
          permits.give()
          throw error
        }
      } catch (error) {
        throw unavailable(error)
      }
    },
    async close() {
      isClosed = true
      await Promise.race([permits.allBack(), delay(maxDrain, undefined, { ref: false })])
      if (primary !== undefined) retire(primary, undefined)
      await Promise.race([Promise.all(retired), delay(maxDrain, undefined, { ref: false })])
    },
  }
}

const dbs = new WeakMap<PoolClient, Db>()

/** The query builder costs more to make than a query. */
function dbOf(client: PoolClient): Db {
  const known = dbs.get(client)
  if (known !== undefined) return known
  const db = drizzle({ client })
  dbs.set(client, db)
  return db
}

/** So many at once; the others wait in the order in which they came, for a bounded time, and no more than a bounded number. */
export function createPermits(max: number) {
  let free = max
  const waiting = new Set<() => void>()
  let onAllBack: (() => void) | undefined
  return {
    load: () => ({ inUse: max - free, waiting: waiting.size }),
    async take(): Promise<void> {
      if (free > 0) {
        free--
        return
      }
      if (waiting.size >= maxWaiting) throw new ConnectionError('too many requests wait for a connection')
      const turn = Promise.withResolvers<void>()
      waiting.add(turn.resolve)
      try {
        await within(maxWait, turn.promise)
      } finally {
        waiting.delete(turn.resolve)
      }
    },
    give() {
      const [next] = waiting
      if (next !== undefined) {
        waiting.delete(next)
        next()
        return
      }
      free++
      if (free === max) onAllBack?.()
    },
    allBack(): Promise<void> {
      return free === max ? Promise.resolve() : new Promise(resolve => (onAllBack = resolve))
    },
  }
}

/** @throws ConnectionError when it takes longer, in milliseconds */
export async function within<T>(time: number, promise: Promise<T>): Promise<T> {
  const timeout = Promise.withResolvers<never>()
  const timer = setTimeout(() => timeout.reject(new ConnectionError(`nothing came within ${time} ms`)), time)
  try {
    return await Promise.race([promise, timeout.promise])
  } finally {
    clearTimeout(timer)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'closed'
}
