/** Storage on PostgreSQL: the sum of its parts. */
import type { AuditEvent } from '../../audit/audit.ts'
import type { Floods } from '../../audit/floods.ts'
import { OAuthError } from '../../error.ts'
import type { Storage } from '../storage.ts'
import { takeLock } from './advisory_lock.ts'
import { createAnswerStorage } from './answers.ts'
import { createAuditStorage, insertEvents } from './audit.ts'
import { clientRows, createClientStorage } from './clients.ts'
import type { Connection, Db } from './connection.ts'
import { createFactorStorage } from './factors.ts'
import { ConnectionError } from './failure.ts'
import { createImport } from './import.ts'
import { createKeyStorage } from './keys.ts'
import { createMailStorage } from './mails.ts'
import { createOnceStorage } from './once.ts'
import { createSessionStorage } from './sessions.ts'
import { createStartStorage } from './starts.ts'
import { createThrottleStorage } from './throttle.ts'
import { userRows } from './user_rows.ts'
import { createUserStorage } from './users.ts'
import { createWebhookStorage } from './webhooks.ts'

/** A pool and its transactions. */
type Transactions = Pick<Connection, 'read' | 'write' | 'autocommit'> &
  Readonly<{
    pool: NonNullable<Storage['pool']>
    /** Ends the connections, once they were given back. */
    close: () => Promise<void>
  }>

/** Nothing but an entry in the log, which is on disk, and on a standby where that is waited for, before it is answered. */
const smallestWrite = "select pg_logical_emit_message(true, 'latchkey', '')"
const whetherItRefuses = "select current_setting('transaction_read_only')::boolean as refuses"

/** @param floods counted in this process alone: each node has an allowance of its own, and writes rows of its own */
export function createStorage({ read, pool, close, ...transactions }: Transactions, floods: Floods): Storage {
  const { write, autocommit, check } = watchWrites(transactions)
  // A transaction that is run anew counts what is part of a flood once more: too much is not lost.
  const record = async (tx: Db, ...events: readonly AuditEvent[]) => {
    await insertEvents(
      tx,
      events.filter(event => floods.admits(event)),
    )
  }
  const connection: Connection = {
    read,
    write,
    autocommit,
    record,
    change: (event, run) =>
      write(async tx => {
        const changed = await run(tx)
        if (changed > 0) await record(tx, event)
        return changed
      }),
  }
  const { writeAllFloods, ...audit } = createAuditStorage(connection, floods)

  return {
    ...createUserStorage(connection, createImport(connection)),
    ...createFactorStorage(connection),
    ...createClientStorage(connection),
    ...createSessionStorage(connection),
    ...createThrottleStorage(connection),
    ...createKeyStorage(connection),
    ...createOnceStorage(connection),
    ...createAnswerStorage(connection),
    ...createWebhookStorage(connection),
    ...createMailStorage(connection),
    ...audit,
    bootstrap: (client, user, event) =>
      write(async tx => {
        await takeLock(tx, 'newcomers')
        if (!(await userRows.isEmpty(tx)) || !(await clientRows.isEmpty(tx))) return false
        await userRows.insert(tx, [user])
        await clientRows.insert(tx, client)
        await record(tx, { ...event, userId: user.id, clientId: client.id })
        return true
      }),
    ...createStartStorage(connection),
    check,
    measure: () =>
      read(async ({ $client }) => {
        const { rows } = await $client.query<{ database: number }>(
          'SELECT pg_database_size(current_database()) AS database',
        )
        return rows[0]!
      }),
    pool,
    databaseTime: () =>
      read(async ({ $client }) => {
        const text = 'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint'
        return (await $client.query<[number]>({ text, rowMode: 'array' })).rows[0]![0]
      }),
    close: async () => {
      // What cannot be written now is lost, as it would be in a crash.
      await writeAllFloods().catch(() => {})
      await close()
    },
  }
}

/** Tells whether a write would succeed. After a failure, such as a full disk or a standby that is gone, only a real one can. */
function watchWrites(
  run: Pick<Connection, 'write' | 'autocommit'>,
): Pick<Connection, 'write' | 'autocommit'> & Pick<Storage, 'check'> {
  let failed = false
  let checking: Promise<void> | undefined

  async function watch<T>(writing: Promise<T>): Promise<T> {
    try {
      const result = await writing
      failed = false
      return result
    } catch (error) {
      failed = error instanceof OAuthError
      throw error
    }
  }
  const write: Connection['write'] = (work, writes) => watch(run.write(work, writes))
  const check = () =>
    write(async tx => {
      const { rows } = await tx.$client.query<{ refuses: boolean }>(failed ? smallestWrite : whetherItRefuses)
      if (rows[0]?.refuses) throw new ConnectionError('the server takes no writes any more')
    })
  return {
    write,
    autocommit: (query, writes) => watch(run.autocommit(query, writes)),
    // Everybody may ask: however many do, one is under way.
    check: () => {
      checking ??= check().finally(() => {
        checking = undefined
      })
      return checking
    },
  }
}
