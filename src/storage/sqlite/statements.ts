/** The queries of the hot paths, prepared. */
import type Database from 'better-sqlite3'
import { and, asc, desc, type drizzle, eq, gt, isNull, lt, ne, or, type SQL, sql } from '../drizzle.ts'
import { prepareRun, prepareSelect } from './prepared.ts'
import {
  attemptCounters,
  auditEvents,
  clients,
  consumedIds,
  knownNetworks,
  pendingImports,
  sessions,
  users,
} from './schema.ts'

/** Rows looked at by one pruning step: few milliseconds, so that no request waits for it. */
export const pruneBatch = 500

type Orm = ReturnType<typeof drizzle> & { $client: Database.Database }

/** Users whose sessions one step counts: a millisecond or two, from the index alone. */
export const usersPerStep = 2000

/** Statements of the hot paths; building a query costs twenty times what running it does. */
export function prepareStatements(db: Orm) {
  const value = sql.placeholder
  const sessionValues = {
    id: value('id'),
    userId: value('userId'),
    clientId: value('clientId'),
    scope: value('scope'),
    audience: value('audience'),
    generation: value('generation'),
    parentGeneration: value('parentGeneration'),
    rotatedAt: value('rotatedAt'),
    createdAt: value('createdAt'),
    authTime: value('authTime'),
    amr: value('amr'),
    lastSeenAt: value('lastSeenAt'),
    idleExpiresAt: value('idleExpiresAt'),
    expiresAt: value('expiresAt'),
    revokedAt: value('revokedAt'),
    revokedReason: value('revokedReason'),
    device: value('device'),
    ip: value('ip'),
    userAgent: value('userAgent'),
    seenBeforeAt: value('seenBeforeAt'),
    ipBefore: value('ipBefore'),
    userAgentBefore: value('userAgentBefore'),
    retriedElsewhereAt: value('retriedElsewhereAt'),
    oldestGeneration: value('oldestGeneration'),
  }
  const refreshedValues = {
    generation: sql`${value('generation')}`,
    parentGeneration: sql`${value('parentGeneration')}`,
    rotatedAt: sql`${value('rotatedAt')}`,
    lastSeenAt: sql`${value('lastSeenAt')}`,
    idleExpiresAt: sql`${value('idleExpiresAt')}`,
    revokedAt: sql`${value('revokedAt')}`,
    revokedReason: sql`${value('revokedReason')}`,
  }
  /** Has the id, or the name in one of the forms that {@link usernameFold} compares. */
  const isNamesake = or(
    eq(users.id, value('id')),
    eq(users.usernameKey, value('usernameKey')),
    eq(users.usernameKey, value('usernameFold')),
    eq(users.usernameFold, value('usernameFold')),
  )
  const select = <Row>(query: Parameters<typeof prepareSelect<Row>>[1]) => prepareSelect(db.$client, query)
  const run = (query: Parameters<typeof prepareRun>[1]) => prepareRun(db.$client, query)
  return {
    findUser: select(
      db
        .select()
        .from(users)
        .where(and(eq(users.id, value('id')), isThere)),
    ),
    findUserByKey: select(
      db
        .select()
        .from(users)
        .where(and(eq(users.usernameKey, value('usernameKey')), isThere)),
    ),
    // One is who is meant; of two neither is.
    findUsersByFold: select(
      db
        .select()
        .from(users)
        .where(and(eq(users.usernameFold, value('usernameFold')), isThere))
        .limit(2),
    ),
    findNamesake: select(db.select({ id: users.id }).from(users).where(and(isNamesake, isThere)).limit(1)),
    // Of imports that are still pending.
    findPendingNamesakes: select(
      db
        .select({ id: users.id, importId: sql<number>`${users.importId}`.as('import_id') })
        .from(users)
        .where(
          and(isNamesake, sql`exists (select 1 from ${pendingImports} where ${pendingImports.id} = ${users.importId})`),
        ),
    ),
    loseImport: run(
      db
        .update(pendingImports)
        .set({ lost: sql`max(${pendingImports.lost}, 1)` })
        .where(eq(pendingImports.id, value('id'))),
    ),
    deleteUser: run(db.delete(users).where(eq(users.id, value('id')))),
    findLastUserRow: select(
      db
        .select({ row: sql<number>`rowid`.as('row') })
        .from(users)
        .orderBy(desc(sql`rowid`))
        .limit(1),
    ),
    findPasswordHash: select(
      db
        .select({ passwordHash: users.passwordHash })
        .from(users)
        .where(and(eq(sql`rowid`, value('row')), isThere)),
    ),
    insertUser: run(
      db.insert(users).values({
        id: value('id'),
        username: value('username'),
        usernameKey: value('usernameKey'),
        usernameFold: value('usernameFold'),
        email: value('email'),
        fullName: value('fullName'),
        passwordHash: value('passwordHash'),
        credentialVersion: value('credentialVersion'),
        createdAt: value('createdAt'),
        disabledAt: value('disabledAt'),
        importId: value('importId'),
      }),
    ),
    updateUser: run(
      db
        .update(users)
        .set({
          email: sql`${value('email')}`,
          fullName: sql`${value('fullName')}`,
          passwordHash: sql`${value('passwordHash')}`,
          credentialVersion: sql`${value('credentialVersion')}`,
          disabledAt: sql`${value('disabledAt')}`,
        })
        .where(eq(users.id, value('id'))),
    ),
    findClient: select(
      db
        .select()
        .from(clients)
        .where(eq(clients.id, value('id'))),
    ),
    findSession: select(
      db
        .select()
        .from(sessions)
        .where(eq(sessions.id, value('id'))),
    ),
    // The index of user ids has the rows of each in the order of their sign-ins.
    sessionsOf: select(
      db
        .select()
        .from(sessions)
        .where(and(eq(sessions.userId, value('userId')), lt(sql`rowid`, value('before'))))
        .orderBy(desc(sql`rowid`))
        .limit(value('limit')),
    ),
    sessionRowOf: select(
      db
        .select({ row: sql<number>`rowid`.as('row') })
        .from(sessions)
        .where(and(eq(sessions.id, value('id')), eq(sessions.userId, value('userId')))),
    ),
    countSessionsByUser: select(
      db
        .select({ userId: sessions.userId, count: sql<number>`count(*)`.as('count') })
        .from(sessions)
        .where(gt(sessions.userId, value('after')))
        .groupBy(sessions.userId)
        .orderBy(asc(sessions.userId))
        .limit(usersPerStep),
    ),
    deleteSession: run(
      db.delete(sessions).where(and(eq(sessions.id, value('id')), eq(sessions.lastSeenAt, value('lastSeenAt')))),
    ),
    insertSession: run(db.insert(sessions).values(sessionValues)),
    // What changes at every refresh, and nothing that could change its size.
    updateSession: run(
      db
        .update(sessions)
        .set(refreshedValues)
        .where(eq(sessions.id, value('id'))),
    ),
    // All that may change in the life of a session: a row changes its size only when the network, the program or the password does.
    updateWholeSession: run(
      db
        .update(sessions)
        .set({
          ...refreshedValues,
          ip: sql`${value('ip')}`,
          userAgent: sql`${value('userAgent')}`,
          seenBeforeAt: sql`${value('seenBeforeAt')}`,
          ipBefore: sql`${value('ipBefore')}`,
          userAgentBefore: sql`${value('userAgentBefore')}`,
          retriedElsewhereAt: sql`${value('retriedElsewhereAt')}`,
          oldestGeneration: sql`${value('oldestGeneration')}`,
          expiresAt: sql`${value('expiresAt')}`,
          authTime: sql`${value('authTime')}`,
          amr: sql`${value('amr')}`,
          scope: sql`${value('scope')}`,
          audience: sql`${value('audience')}`,
          device: sql`${value('device')}`,
        })
        .where(eq(sessions.id, value('id'))),
    ),
    // Of a filter's absent parts, null, each fits.
    revokeSession: run(
      db
        .update(sessions)
        .set({ revokedAt: sql`${value('at')}`, revokedReason: sql`${value('reason')}` })
        .where(
          and(
            eq(sessions.id, value('id')),
            liveAt(value('at')),
            eq(sessions.userId, sql`coalesce(${value('userId')}, ${sessions.userId})`),
            eq(sessions.clientId, sql`coalesce(${value('clientId')}, ${sessions.clientId})`),
            ne(sessions.id, sql`coalesce(${value('exceptId')}, '')`),
          ),
        ),
    ),
    nextSessionIds: select(
      db
        .select({ id: sessions.id })
        .from(sessions)
        .where(gt(sessions.id, value('after')))
        .orderBy(asc(sessions.id))
        .limit(pruneBatch),
    ),
    findConsumedId: select(
      db
        .select({ id: consumedIds.id })
        .from(consumedIds)
        .where(eq(consumedIds.id, value('id'))),
    ),
    insertConsumedId: run(
      db
        .insert(consumedIds)
        .values({ id: value('id'), expiresAt: value('expiresAt') })
        .onConflictDoNothing(),
    ),
    upsertCounter: run(
      db
        .insert(attemptCounters)
        .values({
          id: value('id'),
          emptyAt: value('emptyAt'),
          readyAt: value('readyAt'),
          expiresAt: value('expiresAt'),
        })
        .onConflictDoUpdate({
          target: attemptCounters.id,
          set: {
            emptyAt: sql`excluded.empty_at`,
            readyAt: sql`excluded.ready_at`,
            expiresAt: sql`excluded.expires_at`,
          },
        }),
    ),
    deleteCounter: run(db.delete(attemptCounters).where(eq(attemptCounters.id, value('id')))),
    upsertKnownNetwork: run(
      db
        .insert(knownNetworks)
        .values({ who: value('who'), network: value('network'), expiresAt: value('expiresAt') })
        .onConflictDoUpdate({
          target: [knownNetworks.who, knownNetworks.network],
          set: { expiresAt: sql`excluded.expires_at` },
        }),
    ),
    findKnownNetwork: select(
      db
        .select({ expiresAt: knownNetworks.expiresAt })
        .from(knownNetworks)
        .where(and(eq(knownNetworks.who, value('who')), eq(knownNetworks.network, value('network')))),
    ),
    knownNetworksOf: select(
      db
        .select({ network: knownNetworks.network })
        .from(knownNetworks)
        .where(eq(knownNetworks.who, value('who')))
        .orderBy(desc(knownNetworks.expiresAt)),
    ),
    deleteKnownNetwork: run(
      db
        .delete(knownNetworks)
        .where(and(eq(knownNetworks.who, value('who')), eq(knownNetworks.network, value('network')))),
    ),
    insertAuditEvent: run(
      db.insert(auditEvents).values({
        at: value('at'),
        type: value('type'),
        userId: value('userId'),
        clientId: value('clientId'),
        sessionId: value('sessionId'),
        ip: value('ip'),
        requestId: value('requestId'),
        detail: value('detail'),
        count: value('count'),
      }),
    ),
  }
}

/** Not of an import that is still pending. Looks no further for a user who came alone. */
export const isThere = sql`(${users.importId} is null or not exists (select 1 from ${pendingImports} where ${pendingImports.id} = ${users.importId}))`

/** {@link isLive} in SQL. */
export function liveAt(now: number | ReturnType<typeof sql.placeholder>): SQL | undefined {
  return and(isNull(sessions.revokedAt), gt(sessions.idleExpiresAt, now), gt(sessions.expiresAt, now))
}
