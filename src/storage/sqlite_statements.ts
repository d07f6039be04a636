/** The queries of the hot paths, prepared. */
import { and, asc, desc, type drizzle, eq, gt, isNull, ne, type Placeholder, type SQL, sql } from './drizzle.ts'
import {
  attemptCounters,
  auditEvents,
  clients,
  knownNetworks,
  rememberedIds,
  sessions,
  users,
} from './sqlite_schema.ts'

/** Rows looked at by one pruning step: few milliseconds, so that no request waits for it. */
export const pruneBatch = 500

type Orm = ReturnType<typeof drizzle>

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
  }
  return {
    findUser: db
      .select()
      .from(users)
      .where(eq(users.id, value('id')))
      .prepare(),
    findUserByKey: db
      .select()
      .from(users)
      .where(eq(users.usernameKey, value('usernameKey')))
      .prepare(),
    insertUser: db
      .insert(users)
      .values({
        id: value('id'),
        username: value('username'),
        usernameKey: value('usernameKey'),
        email: value('email'),
        fullName: value('fullName'),
        passwordHash: value('passwordHash'),
        credentialVersion: value('credentialVersion'),
        createdAt: value('createdAt'),
        disabledAt: value('disabledAt'),
      })
      .prepare(),
    findClient: db
      .select()
      .from(clients)
      .where(eq(clients.id, value('id')))
      .prepare(),
    findSession: db
      .select()
      .from(sessions)
      .where(eq(sessions.id, value('id')))
      .prepare(),
    insertSession: db.insert(sessions).values(sessionValues).prepare(),
    // Everything that may change in the life of a session, and nothing that could change its size.
    updateSession: db
      .update(sessions)
      .set({
        generation: sql`${value('generation')}`,
        parentGeneration: sql`${value('parentGeneration')}`,
        rotatedAt: sql`${value('rotatedAt')}`,
        lastSeenAt: sql`${value('lastSeenAt')}`,
        idleExpiresAt: sql`${value('idleExpiresAt')}`,
        revokedAt: sql`${value('revokedAt')}`,
        revokedReason: sql`${value('revokedReason')}`,
      })
      .where(eq(sessions.id, value('id')))
      .prepare(),
    // Of a filter's absent parts, null, each fits.
    revokeSession: db
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
      )
      .prepare(),
    nextSessionIds: db
      .select({ id: sessions.id })
      .from(sessions)
      .where(gt(sessions.id, value('after')))
      .orderBy(asc(sessions.id))
      .limit(pruneBatch)
      .prepare(),
    findRememberedId: db
      .select({ id: rememberedIds.id })
      .from(rememberedIds)
      .where(eq(rememberedIds.id, value('id')))
      .prepare(),
    insertRememberedId: db
      .insert(rememberedIds)
      .values({ id: value('id'), expiresAt: value('expiresAt') })
      .onConflictDoNothing()
      .prepare(),
    upsertCounter: db
      .insert(attemptCounters)
      .values({ id: value('id'), emptyAt: value('emptyAt'), readyAt: value('readyAt'), expiresAt: value('expiresAt') })
      .onConflictDoUpdate({
        target: attemptCounters.id,
        set: {
          emptyAt: sql`excluded.empty_at`,
          readyAt: sql`excluded.ready_at`,
          expiresAt: sql`excluded.expires_at`,
        },
      })
      .prepare(),
    deleteCounter: db
      .delete(attemptCounters)
      .where(eq(attemptCounters.id, value('id')))
      .prepare(),
    upsertKnownNetwork: db
      .insert(knownNetworks)
      .values({ who: value('who'), network: value('network'), expiresAt: value('expiresAt') })
      .onConflictDoUpdate({
        target: [knownNetworks.who, knownNetworks.network],
        set: { expiresAt: sql`excluded.expires_at` },
      })
      .prepare(),
    findKnownNetwork: db
      .select({ expiresAt: knownNetworks.expiresAt })
      .from(knownNetworks)
      .where(and(eq(knownNetworks.who, value('who')), eq(knownNetworks.network, value('network'))))
      .prepare(),
    knownNetworksOf: db
      .select({ network: knownNetworks.network })
      .from(knownNetworks)
      .where(eq(knownNetworks.who, value('who')))
      .orderBy(desc(knownNetworks.expiresAt))
      .prepare(),
    deleteKnownNetwork: db
      .delete(knownNetworks)
      .where(and(eq(knownNetworks.who, value('who')), eq(knownNetworks.network, value('network'))))
      .prepare(),
    insertAuditEvent: db
      .insert(auditEvents)
      .values({
        at: value('at'),
        type: value('type'),
        userId: value('userId'),
        clientId: value('clientId'),
        sessionId: value('sessionId'),
        ip: value('ip'),
        requestId: value('requestId'),
        detail: value('detail'),
        count: value('count'),
      })
      .prepare(),
  }
}

/** {@link isLive} in SQL. */
export function liveAt(now: number | Placeholder): SQL | undefined {
  return and(isNull(sessions.revokedAt), gt(sessions.idleExpiresAt, now), gt(sessions.expiresAt, now))
}
