/**
 * Storage on SQLite. Reads run at once on the one connection; writes of one turn of the event loop are committed together,
 * so that durability costs a fleet little more than it costs one client.
 */
import { closeSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import type { AuditEvent, AuditFilter } from '../../audit/audit.ts'
import { createFloods, type Floods } from '../../audit/floods.ts'
import { isLive, mayOpenSession, type Session } from '../../sessions/session.ts'
import { crowdedOut, sessionsToLookAt } from '../../sessions/session_limit.ts'
import type { SessionFilter } from '../../sessions/storage.ts'
import { usernameFold, usernameKey } from '../../text.ts'
import { mostKnownNetworks } from '../../throttle/storage.ts'
import type { User } from '../../users/user.ts'
import {
  and,
  asc,
  desc,
  drizzle,
  eq,
  gt,
  gte,
  inArray,
  lt,
  lte,
  ne,
  or,
  readMigrationFiles,
  type SQL,
  type SQLiteColumn,
  sql,
} from '../drizzle.ts'
import {
  audienceFromText,
  auditEventFromRow,
  auditRow,
  clientFromRow,
  clientRow,
  optional,
  sessionFromRow,
  sessionRow,
  signingKeyFromRow,
  userFromRow,
  userRow,
} from '../rows.ts'
import type { Storage } from '../storage.ts'
import { createGroupCommit, oncePerTurn, read } from './group_commit.ts'
import { createImports } from './import.ts'
import {
  attemptCounters,
  auditEvents,
  clients,
  consumedIds,
  knownNetworks,
  masterSecrets,
  sessions,
  signingKeys,
  users,
} from './schema.ts'
import { isThere, liveAt, prepareStatements, pruneBatch, usersPerStep } from './statements.ts'

export const migrationsFolder = fileURLToPath(new URL('../../../migrations/sqlite', import.meta.url))

/** How long SQLite itself may wait for a lock, in milliseconds: it blocks the event loop, so the long wait is ours. */
const busyTimeout = 5

/**
 * Opens a database file, creating it with mode 0600 and migrating it as needed. When somebody deletes or replaces one of its
 * files, the storage opens what is there instead, with all that was answered if the database itself is still the same.
 *
 * @param file a path, or ':memory:'
 * @param onReopened told why, when that has happened
 * @returns the storage, and how many migrations were applied
 * @throws Error in one line for the operator: not a database, newer than this program, not writable
 */
export function openSqliteStorage(
  file: string,
  onReopened: (why: string) => void = () => {},
): { storage: Storage; migrated: number } {
  // Filled anew at each opening.
  const storage = {} as Storage
  const floods = createFloods()
  let current: Storage
  let database: Database.Database
  let files: FileIdentities
  let isClosed = false

  function open(): number {
    database = openDatabase(file)
    try {
      const migrated = migrate(database, file)
      files = identifyFiles(file)
      current = createStorage(database, confirmCommit, floods)
      Object.assign(storage, current, { check, close })
      return migrated
    } catch (error) {
      database.close()
      throw error
    }
  }

  /** Opens what is at the path now. @returns whether that has everything that was committed */
  function reopen(): boolean {
    const found = identifyFiles(file)
    if (found.database === undefined) throw movedError(`the database ${file} is gone; put it back`)
    const isSame = found.database === files.database
    if (database.open) {
      // Everything into the database itself, and nothing left in a log that could be taken for the new one's.
      const [result] = database.pragma('wal_checkpoint(TRUNCATE)') as [{ busy: number }]
      if (result.busy !== 0)
        throw movedError(`the database ${file} or its journal was replaced while another process reads it`)
      database.close()
    }
    try {
      open()
    } catch (error) {
      throw movedError((error as Error).message)
    }
    onReopened(isSame ? 'its journal was deleted' : 'the file was replaced')
    return isSame
  }

  function isMoved(): boolean {
    const { database, log, index } = identifyFiles(file)
    return database !== files.database || log !== files.log || index !== files.index
  }

  function confirmCommit() {
    if (isMoved() && !reopen()) throw movedError(`the database ${file} was replaced`)
  }

  async function check() {
    await read(() => {
      if (!isClosed && (!database.open || isMoved())) reopen()
    })
    await current.check()
  }

  async function close() {
    isClosed = true
    await current.close()
  }

  return { storage, migrated: open() }
}

type FileIdentities = Readonly<Record<'database' | 'log' | 'index', number | undefined>>

/** Which files are at the paths: a process goes on with the one that it has opened, even when that has no name any more. */
function identifyFiles(file: string): FileIdentities {
  const identify = (path: string) => statSync(path, { throwIfNoEntry: false })?.ino
  return { database: identify(file), log: identify(`${file}-wal`), index: identify(`${file}-shm`) }
}

function movedError(message: string): Error {
  return new Database.SqliteError(message, 'SQLITE_READONLY_DBMOVED')
}

function openDatabase(file: string): Database.Database {
  try {
    if (file !== ':memory:') {
      mkdirSync(dirname(resolve(file)), { recursive: true, mode: 0o700 })
      // SQLite gives its journal files the mode of the database file.
      closeSync(openSync(file, 'a', 0o600))
    }
    const database = new Database(file, { timeout: 5000 })
    database.pragma('journal_mode = WAL')
    // better-sqlite3 falls back to NORMAL in WAL mode, which may lose the last transactions in a power cut.
    database.pragma('synchronous = FULL')
    database.pragma('foreign_keys = ON')
    return database
  } catch (error) {
    throw new Error(`cannot open the database ${file}: ${(error as Error).message}`, { cause: error })
  }
}

/** Applies what is missing in one transaction, so that a failure leaves the database as it was. */
function migrate(database: Database.Database, file: string): number {
  // For the migration that fills users.username_fold: no SQL has Unicode's forms.
  database.function('username_fold', { deterministic: true }, key => usernameFold(String(key)))
  const migrations = readMigrationFiles({ migrationsFolder })
  const newestKnown = migrations.at(-1)?.folderMillis ?? 0
  const apply = database.transaction(() => {
    // drizzle's own table, so that its tools understand the database.
    database.exec(
      'CREATE TABLE IF NOT EXISTS __drizzle_migrations (id INTEGER PRIMARY KEY, hash text NOT NULL, created_at numeric)',
    )
    const applied = database.prepare('SELECT max(created_at) AS newest FROM __drizzle_migrations').get() as {
      newest: number | null
    }
    const newest = applied.newest ?? 0
    if (newest > newestKnown) {
      throw new Error(
        `the database ${file} was migrated by a newer latchkey; run that version, or restore a backup from before`,
      )
    }
    const missing = migrations.filter(migration => migration.folderMillis > newest)
    const record = database.prepare('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)')
    for (const migration of missing) {
      for (const statement of migration.sql) database.exec(statement)
      record.run(migration.hash, migration.folderMillis)
    }
    return missing.length
  })
  try {
    const migrated = apply.immediate()
    database.pragma(`busy_timeout = ${busyTimeout}`)
    return migrated
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error
    throw new Error(`cannot migrate the database ${file}: ${error.message}`, { cause: error })
  }
}

function createStorage(database: Database.Database, confirmCommit: () => void, floods: Floods): Storage {
  const db = drizzle({ client: database })
  const statements = prepareStatements(db)
  const { write, check, drain } = createGroupCommit(database, confirmCommit)

  /** All look-ups in every case: their time tells nothing. */
  const lookUp = (username: string) => {
    const fold = usernameFold(username)
    const exact = statements.findUserByKey.get({ usernameKey: usernameKey(username) })
    const plain = statements.findUserByKey.get({ usernameKey: fold })
    const alike = statements.findUsersByFold.all({ usernameFold: fold })
    return exact ?? plain ?? (alike.length === 1 ? alike[0] : undefined)
  }
  const isTaken = ({ id, username }: User) => {
    const names = { id, usernameKey: usernameKey(username), usernameFold: usernameFold(username) }
    return statements.findNamesake.get(names) !== undefined
  }

  /** Those whose id or name is taken, by users who are there or by one another. */
  const takenOf = (newUsers: readonly User[]) => {
    const [names, ids] = [new Set<string>(), new Set<string>()]
    return newUsers.filter(user => {
      const name = usernameFold(user.username)
      const isOne = names.has(name) || ids.has(user.id) || isTaken(user)
      names.add(name)
      ids.add(user.id)
      return isOne
    })
  }
  // In one transaction: each look-up outside of one takes a lock and gives it back.
  const findTakenUsers = (newUsers: readonly User[]) => read(() => database.transaction(takenOf).deferred(newUsers))

  const insertEvent = (event: AuditEvent) => statements.insertAuditEvent.run(auditRow(event))
  // A transaction that fails and is tried again counts what is part of a flood once more: too much is not lost.
  const record = (event: AuditEvent) => {
    if (floods.admits(event)) insertEvent(event)
  }
  const writeFloods = async (now: number, everything: boolean) => {
    const due = floods.take(now, everything)
    if (due.length === 0) return
    try {
      await write(() => {
        for (const event of due) insertEvent(event)
      })
    } catch (error) {
      floods.restore(due)
      throw error
    }
  }
  const imports = createImports({ db, statements, write, record: insertEvent, isTaken })
  /** Runs a change and, when it changed a row, writes the event. */
  const change = (event: AuditEvent, run: () => { changes: number }) =>
    write(() => {
      const { changes } = run()
      if (changes > 0) record(event)
      return changes
    })
  const revokeNow = (which: SessionFilter, reason: string, at: number) => {
    const { id, userId = null, clientId = null, exceptId = null } = which
    if (id !== undefined) return statements.revokeSession.run({ id, userId, clientId, exceptId, reason, at }).changes
    return db
      .update(sessions)
      .set({ revokedAt: at, revokedReason: reason })
      .where(and(liveAt(at), fits(which)))
      .run().changes
  }
  const listSessionsOf = (userId: string, before: number, limit: number) =>
    statements.sessionsOf.all({ userId, before, limit }).map(sessionFromRow)
  /** For a session that is about to be created. */
  const makeRoom = (session: Session, limit: number, event: AuditEvent) => {
    const others = listSessionsOf(session.userId, Number.MAX_SAFE_INTEGER, sessionsToLookAt(limit))
    if (others.length < limit) return
    // Whatever the clock said before, this one is seen last.
    const newest = { ...session, lastSeenAt: Number.MAX_SAFE_INTEGER }
    const { ended, forgotten } = crowdedOut([newest, ...others], limit, event.at)
    for (const { id } of ended) revokeNow({ id }, 'session_limit', event.at)
    for (const { id, lastSeenAt } of forgotten.slice(0, pruneBatch)) statements.deleteSession.run({ id, lastSeenAt })
    if (ended.length === 0) return
    const sessionId = ended.length === 1 ? ended[0]!.id : undefined
    record({ ...event, type: 'session.revoked', sessionId, detail: `session_limit: ${ended.length}` })
  }
  const auditRows = (limit: number, which: AuditFilter, after?: number) =>
    db
      .select()
      .from(auditEvents)
      .where(and(isAbout(which), after === undefined ? undefined : lt(auditEvents.id, after)))
      .orderBy(desc(auditEvents.id))
      .limit(limit)
      .all()
  return {
    findUser: id => read(() => optional(statements.findUser.get({ id }), userFromRow)),
    findUserByUsername: username => read(() => optional(lookUp(username), userFromRow)),
    listUsers: page =>
      read(() => {
        const after = page?.after === undefined ? undefined : gt(users.usernameKey, usernameKey(page.after))
        const query = db.select().from(users).where(and(after, isThere)).orderBy(asc(users.usernameKey))
        // A limit of -1 is none.
        return query
          .limit(page?.limit ?? -1)
          .all()
          .map(userFromRow)
      }),
    samplePasswordHashes: (most, turn) =>
      read(() => {
        const last = statements.findLastUserRow.get({})?.row ?? 0
        const step = Math.max(1, Math.ceil(last / most))
        const hashes: string[] = []
        for (let row = (turn % step) + 1; row <= last; row += step) {
          const found = statements.findPasswordHash.get({ row })
          if (found !== undefined && found.passwordHash !== '') hashes.push(found.passwordHash)
        }
        return hashes
      }),
    findTakenUsers,
    createUsers: (newUsers, event) =>
      write(() => {
        const taken = takenOf(newUsers)
        if (taken.length > 0) return taken
        for (const user of newUsers) {
          imports.claim(user)
          statements.insertUser.run(userRow(user))
          record({ ...event, userId: user.id })
        }
        return []
      }),
    importUsers: async (newUsers, event, now) => {
      const taken = await findTakenUsers(newUsers)
      return taken.length > 0 ? taken : imports.importUsers(newUsers, event, now)
    },
    pruneImports: imports.prune,
    removeUser: async (userId, event) =>
      (await change(event, () => db.delete(users).where(eq(users.id, userId)).run())) > 0,

    findClient: oncePerTurn(id => read(() => optional(statements.findClient.get({ id }), clientFromRow))),
    listClients: () => read(() => db.select().from(clients).orderBy(asc(clients.id)).all().map(clientFromRow)),
    createClient: async (client, event) =>
      (await change(event, () => db.insert(clients).values(clientRow(client)).onConflictDoNothing().run())) > 0,
    changeClient: (id, decide) =>
      write(() => {
        const { outcome, client, event } = decide(optional(statements.findClient.get({ id }), clientFromRow))
        if (client !== undefined) db.update(clients).set(clientRow(client)).where(eq(clients.id, id)).run()
        if (event !== undefined) record(event)
        return outcome
      }),
    removeClient: async (id, event) =>
      (await change(event, () => db.delete(clients).where(eq(clients.id, id)).run())) > 0,

    bootstrap: (client, user, event) =>
      write(() => {
        const occupied =
          db.select({ id: users.id }).from(users).where(isThere).limit(1).get() ??
          db.select({ id: clients.id }).from(clients).limit(1).get()
        if (occupied !== undefined) return false
        db.insert(clients).values(clientRow(client)).run()
        imports.claim(user)
        statements.insertUser.run(userRow(user))
        record({ ...event, userId: user.id, clientId: client.id })
        return true
      }),

    createSession: (session, credentials, event, limit) =>
      write(() => {
        const user = optional(statements.findUser.get({ id: session.userId }), userFromRow)
        const client = optional(statements.findClient.get({ id: session.clientId }), clientFromRow)
        if (!mayOpenSession(user, client, credentials.version)) return false
        const { passwordHash } = credentials
        if (passwordHash !== undefined) statements.updateUser.run(userRow({ ...user!, passwordHash }))
        if (limit !== undefined) makeRoom(session, limit, event)
        statements.insertSession.run(sessionRow(session))
        record(event)
        return true
      }),
    changeSession: (sessionId, decide) =>
      write(() => {
        const before = optional(statements.findSession.get({ id: sessionId }), sessionFromRow)
        const { outcome, session, events } = decide(before)
        if (session !== undefined) {
          const isOrdinary = before !== undefined && differsByRefreshOnly(before, session)
          statements[isOrdinary ? 'updateSession' : 'updateWholeSession'].run(sessionRow(session))
        }
        if (events !== undefined) for (const event of events) record(event)
        return outcome
      }),
    changeUser: (userId, decide, sessionId) =>
      write(() => {
        const before = optional(statements.findUser.get({ id: userId }), userFromRow)
        const own = sessionId === undefined ? undefined : statements.findSession.get({ id: sessionId })
        const { outcome, user, endSessions, session, event } = decide(before, optional(own, sessionFromRow))
        if (user !== undefined) statements.updateUser.run(userRow(user))
        if (endSessions !== undefined)
          revokeNow({ userId, exceptId: endSessions.exceptId }, endSessions.reason, endSessions.at)
        if (session !== undefined) statements.updateWholeSession.run(sessionRow(session))
        if (event !== undefined) record(event)
        return outcome
      }),
    findLiveSession: (id, now) =>
      read(() => {
        // Two look-ups by primary key: as a join, with the conditions in SQL, they cost three times as much.
        const session = optional(statements.findSession.get({ id }), sessionFromRow)
        if (session === undefined || !isLive(session, now)) return undefined
        const user = optional(statements.findUser.get({ id: session.userId }), userFromRow)
        return user && { session, user }
      }),
    listLiveSessions: (which, now, limit, after) =>
      read(() =>
        db
          .select()
          .from(sessions)
          .where(and(liveAt(now), fits(which), after && isSeenBefore(after)))
          .orderBy(desc(sessions.lastSeenAt), asc(sessions.id))
          .limit(limit)
          .all()
          .map(sessionFromRow),
      ),
    listSessionsOf: (userId, { after, limit }) =>
      read(() => {
        const row =
          after === undefined ? Number.MAX_SAFE_INTEGER : statements.sessionRowOf.get({ id: after, userId })?.row
        return row === undefined ? undefined : listSessionsOf(userId, row, limit)
      }),
    removeSessions: (which, event) =>
      write(() => {
        const removed = which.filter(session => statements.deleteSession.run(session).changes > 0).length
        if (removed > 0 && event !== undefined) record({ ...event, detail: `${event.detail}: ${removed}` })
        return removed
      }),
    findCrowd: (after, most) =>
      read(() => {
        const counts = statements.countSessionsByUser.all({ after })
        const crowd = counts.find(({ count }) => count > most)
        return crowd === undefined
          ? { next: counts.length < usersPerStep ? '' : counts.at(-1)!.userId }
          : { userId: crowd.userId, next: crowd.userId }
      }),
    countLiveSessionsByGrant: (clientId, now) =>
      read(() =>
        db
          .select({ scope: sessions.scope, audience: sessions.audience, count: sql<number>`count(*)` })
          .from(sessions)
          .where(and(liveAt(now), eq(sessions.clientId, clientId)))
          .groupBy(sessions.scope, sessions.audience)
          .all()
          .map(({ audience, ...row }) => ({ ...row, audience: audienceFromText(audience) })),
      ),
    revokeSessions: (which, reason, event) =>
      write(() => {
        const ended = revokeNow(which, reason, event.at)
        const detail = `${reason}: ${ended}`
        const { userId = which.id && statements.findSession.get({ id: which.id })?.userId } = event
        if (ended > 0)
          record({ ...event, userId, detail: event.detail === undefined ? detail : `${event.detail}: ${detail}` })
        return ended
      }),

    consumeOnce: (id, expiresAt, event) =>
      write(() => {
        const { changes } = statements.insertConsumedId.run({ id, expiresAt })
        if (changes > 0 && event !== undefined) record(event)
        return changes > 0
      }),
    isConsumed: id => read(() => statements.findConsumedId.get({ id }) !== undefined),
    pruneConsumed: before =>
      write(() => {
        const expired = db
          .select({ id: consumedIds.id })
          .from(consumedIds)
          .where(lte(consumedIds.expiresAt, before))
          .limit(pruneBatch)
        return db.delete(consumedIds).where(inArray(consumedIds.id, expired)).run().changes
      }),

    listCounters: (now, limit) =>
      read(() =>
        db
          .select({ id: attemptCounters.id, emptyAt: attemptCounters.emptyAt, readyAt: attemptCounters.readyAt })
          .from(attemptCounters)
          .where(gt(attemptCounters.expiresAt, now))
          .orderBy(desc(attemptCounters.expiresAt))
          .limit(limit)
          .all(),
      ),
    saveCounters: (counters, gone, known) =>
      write(() => {
        for (const { id, emptyAt, readyAt } of counters)
          statements.upsertCounter.run({ id, emptyAt, readyAt, expiresAt: Math.max(emptyAt, readyAt) })
        for (const id of gone) statements.deleteCounter.run({ id })
        for (const network of known) statements.upsertKnownNetwork.run(network)
        for (const who of new Set(known.map(({ who }) => who))) {
          const tooMany = statements.knownNetworksOf.all({ who }).slice(mostKnownNetworks)
          for (const { network } of tooMany) statements.deleteKnownNetwork.run({ who, network })
        }
      }),
    isKnownNetwork: (who, network, now) =>
      read(() => (statements.findKnownNetwork.get({ who, network })?.expiresAt ?? 0) > now),
    pruneCounters: before =>
      write(() => {
        const expired = db
          .select({ id: attemptCounters.id })
          .from(attemptCounters)
          .where(lte(attemptCounters.expiresAt, before))
          .limit(pruneBatch)
        db.delete(attemptCounters).where(inArray(attemptCounters.id, expired)).run()
        const forgotten = db
          .select()
          .from(knownNetworks)
          .where(lte(knownNetworks.expiresAt, before))
          .limit(pruneBatch)
          .all()
        for (const { who, network } of forgotten) statements.deleteKnownNetwork.run({ who, network })
      }),

    listSigningKeys: () =>
      read(() =>
        db
          .select()
          .from(signingKeys)
          .orderBy(asc(signingKeys.createdAt), asc(signingKeys.kid))
          .all()
          .map(signingKeyFromRow),
      ),
    addSigningKey: (key, newest, event) =>
      write(() => {
        const last = db
          .select({ kid: signingKeys.kid })
          .from(signingKeys)
          .orderBy(desc(signingKeys.createdAt), desc(signingKeys.kid))
          .limit(1)
          .get()
        if (last?.kid !== newest) return false
        db.insert(signingKeys)
          .values({ ...key, publicJwk: JSON.stringify(key.publicJwk) })
          .run()
        record(event)
        return true
      }),
    removeSigningKeys: (kids, event) =>
      change(event, () =>
        db
          .delete(signingKeys)
          .where(inArray(signingKeys.kid, [...kids]))
          .run(),
      ),
    replacePrivateJwes: (jwes, event) =>
      change(event, () => {
        const changed = [...jwes].map(
          ([kid, privateJwe]) =>
            db.update(signingKeys).set({ privateJwe }).where(eq(signingKeys.kid, kid)).run().changes,
        )
        return { changes: changed.reduce((sum, changes) => sum + changes, 0) }
      }),

    noteMasterSecret: async (name, event) => {
      await change(event, () =>
        db.insert(masterSecrets).values({ name, usedSince: event.at }).onConflictDoNothing().run(),
      )
    },
    masterSecretSince: name =>
      read(
        () =>
          db.select({ at: masterSecrets.usedSince }).from(masterSecrets).where(eq(masterSecrets.name, name)).get()?.at,
      ),
    countSessionsNotSeenSince: (at, now) =>
      read(
        () =>
          db
            .select({ count: sql<number>`count(*)` })
            .from(sessions)
            .where(and(liveAt(now), lte(sessions.lastSeenAt, at)))
            .get()!.count,
      ),

    addAuditEvents: events =>
      write(() => {
        for (const event of events) insertEvent(event)
      }),
    writeFloods: now => writeFloods(now, false),
    listAuditEvents: (limit, which = {}) => read(() => auditRows(limit, which).map(auditEventFromRow)),
    pageAuditEvents: (which, { after, limit }) =>
      read(() => {
        const rows = auditRows(limit, which, after)
        return { events: rows.map(auditEventFromRow), next: rows.at(-1)?.id }
      }),

    pruneSessions: (after, endedBefore) =>
      write(() => {
        const ids = statements.nextSessionIds.all({ after }).map(({ id }) => id)
        const ended = or(
          lte(sessions.revokedAt, endedBefore),
          lte(sessions.idleExpiresAt, endedBefore),
          lte(sessions.expiresAt, endedBefore),
        )
        db.delete(sessions)
          .where(and(inArray(sessions.id, ids), ended))
          .run()
        return ids.at(-1) ?? ''
      }),
    pruneAuditEvents: before =>
      write(() => {
        const oldest = db
          .select({ id: auditEvents.id, at: auditEvents.at })
          .from(auditEvents)
          .orderBy(asc(auditEvents.id))
          .limit(pruneBatch)
          .all()
        const kept = oldest.findIndex(({ at }) => at > before)
        const last = oldest.at(kept === -1 ? -1 : kept - 1)
        if (last === undefined || kept === 0) return 0
        return db.delete(auditEvents).where(lte(auditEvents.id, last.id)).run().changes
      }),

    check,
    close: async () => {
      // What cannot be written now is lost, as it would be in a crash.
      if (database.open) await writeFloods(0, true).catch(() => {})
      await drain()
      database.close()
    },
  }
}

/** Whether all that {@link prepareStatements}'s `updateSession` leaves alone is the same. */
function differsByRefreshOnly(a: Session, b: Session): boolean {
  return (
    a.ip === b.ip &&
    a.userAgent === b.userAgent &&
    a.seenBeforeAt === b.seenBeforeAt &&
    a.ipBefore === b.ipBefore &&
    a.userAgentBefore === b.userAgentBefore &&
    a.retriedElsewhereAt === b.retriedElsewhereAt &&
    a.oldestGeneration === b.oldestGeneration &&
    a.expiresAt === b.expiresAt &&
    a.authTime === b.authTime &&
    a.amr === b.amr &&
    a.scope === b.scope &&
    a.audience === b.audience &&
    a.device === b.device
  )
}

function isAbout({ type, userId, clientId, sessionId, ip, since, until }: AuditFilter): SQL | undefined {
  const same = (column: SQLiteColumn, value: string | undefined) =>
    value === undefined ? undefined : eq(column, value)
  return and(
    type === undefined
      ? undefined
      : or(eq(auditEvents.type, type), and(gte(auditEvents.type, `${type}.`), lt(auditEvents.type, `${type}/`))),
    same(auditEvents.userId, userId),
    same(auditEvents.clientId, clientId),
    same(auditEvents.sessionId, sessionId),
    same(auditEvents.ip, ip),
    since === undefined ? undefined : gte(auditEvents.at, since),
    until === undefined ? undefined : lte(auditEvents.at, until),
  )
}

/** In the order of last seen first. */
function isSeenBefore({ id, lastSeenAt }: Pick<Session, 'id' | 'lastSeenAt'>): SQL | undefined {
  return or(lt(sessions.lastSeenAt, lastSeenAt), and(eq(sessions.lastSeenAt, lastSeenAt), gt(sessions.id, id)))
}

function fits({ id, exceptId, userId, clientId }: SessionFilter): SQL | undefined {
  return and(
    id === undefined ? undefined : eq(sessions.id, id),
    exceptId === undefined ? undefined : ne(sessions.id, exceptId),
    userId === undefined ? undefined : eq(sessions.userId, userId),
    clientId === undefined ? undefined : eq(sessions.clientId, clientId),
  )
}
