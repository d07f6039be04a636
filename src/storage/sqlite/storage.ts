/**
 * Storage on one SQLite connection: the sum of its parts. Reads run at once; writes of one turn of the event loop are committed
 * together, so that durability costs a fleet little more than it costs one client.
 */
import type Database from 'better-sqlite3'
import type { AuditEvent } from '../../audit/audit.ts'
import type { Floods } from '../../audit/floods.ts'
import type { Observer } from '../../observer.ts'
import type { Storage } from '../storage.ts'
import { createAnswerStorage } from './answers.ts'
import { createAuditStorage, prepareInsertEvent } from './audit.ts'
import { createClientRows, createClientStorage } from './clients.ts'
import type { Connection } from './connection.ts'
import { drizzle } from './drizzle.ts'
import { createFactorRows, createFactorStorage } from './factors.ts'
import { measureFile } from './file_size.ts'
import { createGroupCommit, read } from './group_commit.ts'
import { createImports } from './import.ts'
import { createKeyStorage } from './keys.ts'
import { createMailRows, createMailStorage } from './mails.ts'
import { createOnceRows, createOnceStorage } from './once.ts'
import { createSessionRows } from './session_rows.ts'
import { createSessionStorage } from './sessions.ts'
import { createStartStorage } from './starts.ts'
import { createThrottleStorage } from './throttle.ts'
import { createUserRows } from './user_rows.ts'
import { createUserStorage } from './users.ts'
import { createWebhookStorage } from './webhooks.ts'

/** @param confirmCommit runs after each commit and throws when what was committed is not where it should be */
export function createStorage(
  database: Database.Database,
  confirmCommit: () => void,
  floods: Floods,
  onCommit: Observer['committed'],
): Storage {
  const db = drizzle({ client: database })
  const { write, check, drain } = createGroupCommit(database, confirmCommit, onCommit)
  const insertEvent = prepareInsertEvent(db)
  // A transaction that fails and is tried again counts what is part of a flood once more: too much is not lost.
  const record = (event: AuditEvent) => {
    if (floods.admits(event)) insertEvent(event)
  }
  const connection: Connection = {
    db,
    write,
    record,
    change: (event, run) =>
      write(() => {
        const { changes } = run()
        if (changes > 0) record(event)
        return changes
      }),
  }
  const rows = {
    users: createUserRows(db),
    factors: createFactorRows(db),
    clients: createClientRows(db),
    sessions: createSessionRows(db),
    mails: createMailRows(db),
    once: createOnceRows(db),
  }
  const imports = createImports(connection, rows.users, insertEvent)
  const { writeAllFloods, ...audit } = createAuditStorage(connection, insertEvent, floods)

  return {
    ...createUserStorage(connection, rows.users, imports, rows.once),
    ...createFactorStorage(connection, rows.factors),
    ...createClientStorage(connection, rows.clients),
    ...createSessionStorage(connection, rows, imports.claim),
    ...createThrottleStorage(connection),
    ...createKeyStorage(connection),
    ...createOnceStorage(connection, rows.once),
    ...createAnswerStorage(connection),
    ...createWebhookStorage(connection),
    ...createMailStorage(connection, rows.mails),
    ...audit,
    bootstrap: (client, user, event) =>
      write(() => {
        if (!rows.users.isEmpty() || !rows.clients.isEmpty()) return false
        rows.clients.insert(client)
        imports.claim(user)
        rows.users.insert(user)
        record({ ...event, userId: user.id, clientId: client.id })
        return true
      }),
    ...createStartStorage(connection),
    check,
    measure: () => read(() => measureFile(database)),
    close: async () => {
      // What cannot be written now is lost, as it would be in a crash.
      if (database.open) await writeAllFloods().catch(() => {})
      await drain()
      database.close()
    },
  }
}
