/**
 * Up to which number nothing can come to the audit trail any more. A number is taken from the sequence before its transaction commits, and
 * transactions commit in any order. Who writes an event holds a lock on its table from before it takes a number until what it wrote can be
 * seen: once all who held one after the sequence stood at a number have ended, everything up to that number is there, or never will be.
 * Transactions that write no event, of this database or another, hold nothing back. PostgreSQL §13.3.1, §53.13 (pg_locks).
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Connection, Db } from './connection.ts'

/** Milliseconds that whoever asks waits for transactions under way, and between two looks. */
const maxWait = 240
const pause = 20
/** Looks that are remembered as long as one of their transactions goes on. */
const maxLooks = 16

/** The sequence stood at `last`, and these were writing then. `order` counts looks, by when each had ended. */
type Look = { last: number; writers: ReadonlySet<string>; order: number }

/** And which server says so: one that has taken over may be behind the one before, and give its numbers once more. */
const lastNumber = `SELECT CASE WHEN is_called THEN last_value ELSE 0 END, pg_postmaster_start_time()::text
  FROM audit_events_id_seq`
const writersNow = `SELECT concat_ws(' ', pid, virtualtransaction) FROM pg_locks
  WHERE locktype = 'relation' AND relation = 'audit_events'::regclass AND mode = 'RowExclusiveLock' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

/** @returns what says how far the trail is settled, and the largest number that was ever given */
export function createSettling(read: Connection['read']): () => Promise<{ settled: number; last: number }> {
  let server = ''
  let settled = 0
  let order = 0
  let looks: Look[] = []

  /** In this order: whoever takes a number after the first question is none of those who matter. */
  async function look(db: Db): Promise<number> {
    const [[last, startedAt] = [0, '']] = await rowsOf<[number, string]>(db, lastNumber)
    if (startedAt !== server) {
      server = startedAt
      settled = 0
      looks = []
    }
    const began = order
    const writers = new Set((await rowsOf<[string]>(db, writersNow)).map(([writer]) => writer))
    // What was asked before another look had ended says nothing of who was writing then.
    looks = looks.map(one =>
      one.order > began ? one : { ...one, writers: new Set([...one.writers].filter(writer => writers.has(writer))) },
    )
    if (looks.length >= maxLooks) looks.pop()
    looks.push({ last, writers, order: ++order })
    settled = Math.max(settled, ...looks.filter(one => one.writers.size === 0).map(one => one.last))
    looks = looks.filter(one => one.last > settled)
    return last
  }

  return async () => {
    const last = await read(look)
    for (let waited = 0; settled < last && waited < maxWait; waited += pause) {
      await delay(pause)
      await read(look)
    }
    return { settled, last }
  }
}

async function rowsOf<Row extends unknown[]>({ $client }: Db, text: string): Promise<Row[]> {
  return (await $client.query<Row>({ text, rowMode: 'array' })).rows
}
