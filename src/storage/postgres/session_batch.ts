/**
 * Group commit's equal on PostgreSQL: the changes of sessions that are asked for in one turn of the event loop are read by one statement,
 * decided here, and written by one statement with one sync to disk. That statement locks its rows and writes only those that still are
 * the version that was decided about: no session is ended for a reuse that is none any more. It waits for nobody, so nothing that others
 * hold, and no order in which they came, can stop it. What others have changed meanwhile is read and decided anew, and at the third time
 * under the lock.
 */
import type { AuditEvent } from '../../audit/audit.ts'
import { OAuthError } from '../../error.ts'
import type { Session, SessionChange } from '../../sessions/session.ts'
import type { SessionStorage } from '../../sessions/storage.ts'
import type { Connection, Db, Query } from './connection.ts'
import { ConnectionError, unavailable } from './failure.ts'
import { type Replacement, type SessionVersion, sessionVersions } from './session_versions.ts'

/** Changes that one statement has at most, as one transaction in SQLite: more make it hardly cheaper for each. */
const maxChanges = 32
/** Batches of one node that are under way at once: while one is written, the next is read and decided. */
const maxBatches = 2
/** How often a change is decided without a lock. */
const maxUnlocked = 3
/** Changes that wait: at thousands a second, the last of them comes within the time below. */
const maxWaiting = 10_000
/** Milliseconds that a change waits for its turn. */
const maxWait = 5000

type Change = Readonly<{
  sessionId: string
  decide: (session: Session | undefined) => SessionChange<unknown>
  resolve: (outcome: unknown) => void
  reject: (error: unknown) => void
  /** When it was asked for, in milliseconds. */
  since: number
}> & { tries: number }

/** The changes of each session, in the order in which they came. */
type Batch = ReadonlyMap<string, readonly Change[]>

/** What the changes of one session come to, one after the other. */
type Decided = Readonly<{
  changes: readonly Change[]
  /** Undefined when the session stays as it is. */
  written: Replacement | undefined
  events: readonly AuditEvent[]
  /** Answers all of them. */
  settle: () => void
}>

const none: ReadonlySet<string> = new Set()

export function createSessionBatch({ read, write, autocommit, record }: Connection): SessionStorage['changeSession'] {
  const unlocked = createQueue(maxBatches, runUnlocked)
  const locked = createQueue(1, runLocked)

  async function runUnlocked(batch: Batch) {
    const found = await read(db => sessionVersions.find(db, [...batch.keys()]))
    const all = decideAll(batch, found)
    const ids = await writeUnlocked(all.filter(({ written }) => written !== undefined))
    for (const { changes, written, events, settle } of all) {
      if (written === undefined ? events.length === 0 : ids.has(written.session.id)) settle()
      // An event comes with the row that it is about; one without, under the lock.
      else
        for (const change of changes)
          (++change.tries < maxUnlocked && events.length === 0 ? unlocked : locked).add(change)
    }
  }

  async function runLocked(batch: Batch) {
    const decided = await write(async tx => {
      const found = await sessionVersions.findForUpdate(tx, [...batch.keys()])
      const all = decideAll(batch, found)
      const ids = await writeAll(tx, all)
      if (ids.size < rowsOf(all).length) throw new Error('a session changed under its lock')
      return all
    })
    for (const { settle } of decided) settle()
  }

  /** Most batches are rotations alone, which leave no trace: those take one statement and no more. */
  function writeUnlocked(changed: readonly Decided[]): Promise<ReadonlySet<string>> | ReadonlySet<string> {
    if (changed.length === 0) return none
    const { length } = changed
    if (changed.some(({ events }) => events.length > 0)) return write(tx => writeAll(tx, changed), length)
    return sessionVersions.update(query => autocommit(query, length), rowsOf(changed))
  }

  /** @returns the ids of the sessions that were written */
  async function writeAll(tx: Db, all: readonly Decided[]): Promise<ReadonlySet<string>> {
    const rows = rowsOf(all)
    const run = async (query: Query) => (await tx.$client.query<unknown[]>({ ...query, rowMode: 'array' })).rows
    const ids = rows.length === 0 ? none : await sessionVersions.update(run, rows)
    const isWritten = ({ written }: Decided) => written === undefined || ids.has(written.session.id)
    await record(tx, ...all.filter(isWritten).flatMap(({ events }) => events))
    return ids
  }

  return (sessionId, decide) =>
    new Promise((resolve, reject) =>
      unlocked.add({
        sessionId,
        decide,
        resolve: resolve as (outcome: unknown) => void,
        reject,
        since: performance.now(),
        tries: 0,
      }),
    )
}

const rowsOf = (all: readonly Decided[]) => all.flatMap(({ written }) => written ?? [])

function decideAll(batch: Batch, found: ReadonlyMap<string, SessionVersion>): Decided[] {
  return [...batch].map(([id, changes]) => decideEach(changes, found.get(id)))
}

function decideEach(changes: readonly Change[], found: SessionVersion | undefined): Decided {
  let session = found?.session
  const events: AuditEvent[] = []
  const answers: (() => void)[] = []
  for (const { decide, resolve, reject } of changes) {
    try {
      const change = decide(session)
      session = change.session ?? session
      if (change.events !== undefined) events.push(...change.events)
      answers.push(() => resolve(change.outcome))
    } catch (error) {
      answers.push(() => reject(error))
    }
  }
  const isChanged = found !== undefined && session !== found.session
  return {
    changes,
    written: isChanged ? { session: session!, before: found } : undefined,
    events,
    settle() {
      for (const answer of answers) answer()
    },
  }
}

/**
 * Collects changes until the turn of the event loop ends, and as long as no batch more may be under way.
 *
 * @param run answers all changes of a batch, or none of them and fails
 */
function createQueue(maxUnderWay: number, run: (batch: Batch) => Promise<void>) {
  const waiting = new Set<Change>()
  /** Sessions that a batch under way is about: another batch would only find that they have changed. */
  const busy = new Set<string>()
  let underWay = 0
  let isScheduled = false

  function schedule() {
    if (isScheduled || waiting.size === 0 || underWay === maxUnderWay) return
    isScheduled = true
    setImmediate(start)
  }

  function start() {
    isScheduled = false
    const batch = take()
    if (batch.size === 0) return
    underWay++
    void runBatch(batch)
    schedule()
  }

  function take(): Batch {
    const batch = new Map<string, Change[]>()
    const tooOld = performance.now() - maxWait
    let count = 0
    for (const change of waiting) {
      if (count === maxChanges) break
      if (change.since < tooOld) {
        waiting.delete(change)
        change.reject(unavailable(new ConnectionError('the database is too slow')))
        continue
      }
      if (busy.has(change.sessionId)) continue
      waiting.delete(change)
      count++
      const same = batch.get(change.sessionId)
      if (same === undefined) batch.set(change.sessionId, [change])
      else same.push(change)
    }
    return batch
  }

  async function runBatch(batch: Batch) {
    for (const id of batch.keys()) busy.add(id)
    await runOrSplit(batch)
    for (const id of batch.keys()) busy.delete(id)
    underWay--
    schedule()
  }

  async function runOrSplit(batch: Batch) {
    try {
      await run(batch)
    } catch (error) {
      const changes = [...batch.values()].flat()
      // Of the database's trouble all have their part; a mistake in one statement is one session's.
      if (changes.length === 1 || error instanceof OAuthError) for (const change of changes) change.reject(error)
      else for (const change of changes) await runOrSplit(new Map([[change.sessionId, [change]]]))
    }
  }

  return {
    add(change: Change) {
      if (waiting.size >= maxWaiting) {
        change.reject(unavailable(new ConnectionError('too many requests wait for the database')))
        return
      }
      waiting.add(change)
      schedule()
    },
  }
}
