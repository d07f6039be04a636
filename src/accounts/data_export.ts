/** All that is stored about who is signed in, as one document: GDPR Article 15 and 20. Without secrets, and bounded. */
import { setImmediate } from 'node:timers/promises'
import { type AuditEvent, type AuditEventType, auditEvent, type Caller } from '../audit/audit.ts'
import type { AuditStorage } from '../audit/storage.ts'
import type { ClientStorage } from '../clients/storage.ts'
import { OAuthError } from '../error.ts'
import type { OnceStorage } from '../keys/storage.ts'
import { missingProof } from '../sessions/factor_change.ts'
import { shownOf } from '../sessions/last_seen.ts'
import { type LifetimeSettings, refreshPolicy } from '../sessions/lifetimes.ts'
import { isPending, type Session } from '../sessions/session.ts'
import type { SessionStorage } from '../sessions/storage.ts'
import { describeFactor } from '../users/factors/factor_document.ts'
import type { FactorStorage } from '../users/factors/storage.ts'
import type { User } from '../users/user.ts'
import type { AccountRefusal, SignedInUser } from './signed_in.ts'

/** Sessions and events in one document, the newest first, and how many are read at once: one or two milliseconds. */
const maxSessions = 1000
const maxEvents = 5000
const pageSize = 250
/** Seconds between two exports of one user. */
const exportInterval = 60

export type ExportDeps = Readonly<{
  config: LifetimeSettings
  storage: Pick<SessionStorage, 'listSessionsOf'> &
    Pick<FactorStorage, 'listFactors'> &
    Pick<ClientStorage, 'findClient'> &
    Pick<AuditStorage, 'pageAuditEvents' | 'addAuditEvents'> &
    Pick<OnceStorage, 'consumeOnce'>
  now: () => number
}>

export type ExportOutcome = Readonly<{ kind: 'done'; document: AccountExport }> | AccountRefusal

/**
 * Takes a sign-in of the last ten minutes, with the second factor where there is one.
 *
 * @throws OAuthError `too_many_attempts` for another one within a minute
 */
export async function exportAccount(
  deps: ExportDeps,
  { user, session }: SignedInUser,
  caller: Caller,
): Promise<ExportOutcome> {
  const { storage, now } = deps
  const at = now()
  const factors = await storage.listFactors(user.id)
  const missing = missingProof(session, factors, at)
  if (missing?.kind === 'proof_needed') return missing
  await insistOnInterval(deps, user.id, at)
  const about = { userId: user.id, sessionId: session.id }
  await storage.addAuditEvents([auditEvent('user.data_exported', at, caller, about)])
  const sessions = await listAll<Session, string>(maxSessions, async after => {
    const rows = (await storage.listSessionsOf(user.id, { after, limit: pageSize })) ?? []
    return { rows, next: rows.at(-1)?.id }
  })
  const events = await listAll<AuditEvent, number>(maxEvents, async after => {
    const page = await storage.pageAuditEvents({ userId: user.id }, { after, limit: pageSize })
    return { rows: page.events, next: page.next }
  })
  const ids = new Set([...sessions.rows, ...events.rows].flatMap(({ clientId }) => clientId ?? []))
  const clients = (await Promise.all([...ids].slice(0, maxClients).map(id => storage.findClient(id)))).filter(
    client => client !== undefined,
  )
  const lifetimesOf = new Map(clients.map(client => [client.id, refreshPolicy(deps.config, client)]))
  const document = {
    exported_at: at,
    account: describeAccount(user),
    factors: factors.map(describeFactor),
    clients: clients.map(({ id, name }) => ({ client_id: id, client_name: name ?? id })),
    sessions: sessions.rows
      .filter(one => !isPending(one))
      .flatMap(one => {
        const lifetimes = lifetimesOf.get(one.clientId)
        if (lifetimes === undefined) return []
        const isCurrent = one.id === session.id
        return [describeSession(one, shownOf(one, lifetimes, at, isCurrent ? caller : undefined), isCurrent)]
      }),
    sessions_truncated: sessions.isTruncated,
    events: events.rows.filter(event => isToldAt(event, at)).map(describeOwnEvent),
    events_truncated: events.isTruncated,
  }
  return { kind: 'done', document }
}

/** Clients that are named; who has been at more of them sees the others by their ids. */
const maxClients = 200

export type AccountExport = Readonly<{
  exported_at: number
  account: ReturnType<typeof describeAccount>
  factors: readonly ReturnType<typeof describeFactor>[]
  clients: readonly Readonly<{ client_id: string; client_name: string }>[]
  sessions: readonly ReturnType<typeof describeSession>[]
  /** Whether there are more than these, older ones. */
  sessions_truncated: boolean
  events: readonly ReturnType<typeof describeOwnEvent>[]
  events_truncated: boolean
}>

/** One in each minute of the clock, at any number of nodes. */
async function insistOnInterval({ storage }: ExportDeps, userId: string, at: number): Promise<void> {
  const interval = Math.floor(at / exportInterval)
  const end = (interval + 1) * exportInterval
  if (await storage.consumeOnce(`export of ${userId} ${interval}`, end)) return
  throw new OAuthError('too_many_attempts', 'there was an export a moment ago', { retryAfter: end - at })
}

async function listAll<Row, Place>(
  max: number,
  read: (after: Place | undefined) => Promise<{ rows: readonly Row[]; next: Place | undefined }>,
): Promise<{ rows: readonly Row[]; isTruncated: boolean }> {
  const all: Row[] = []
  let after: Place | undefined
  for (;;) {
    const { rows, next } = await read(after)
    all.push(...rows)
    if (rows.length < pageSize || next === undefined) return { rows: all, isTruncated: false }
    if (all.length >= max) return { rows: all, isTruncated: true }
    after = next
    // Requests first: nobody waits for this but who asked.
    await setImmediate()
  }
}

function describeAccount(user: User) {
  return {
    sub: user.id,
    username: user.username,
    email: user.email ?? null,
    email_verified: user.emailVerifiedAt !== undefined,
    full_name: user.fullName ?? null,
    language: user.language ?? null,
    roles: user.roles ?? [],
    has_password: user.passwordHash !== undefined,
    created_at: user.createdAt,
  }
}

/** What moves at a refresh as the list of sessions shows it, to the hour: see `last_seen.ts`. */
function describeSession(session: Session, shown: ReturnType<typeof shownOf>, isCurrent: boolean) {
  return {
    id: session.id,
    current: isCurrent,
    client_id: session.clientId,
    device: session.device ?? null,
    ip: shown.ip ?? null,
    user_agent: shown.userAgent ?? null,
    scope: session.scope,
    amr: session.amr,
    created_at: session.createdAt,
    last_seen_at: shown.lastSeenAt,
    expires_at: shown.expiresAt,
    ended_at: session.revokedAt ?? null,
  }
}

/** Events that tell when somebody has refreshed. */
const refreshEvents: ReadonlySet<AuditEventType> = new Set([
  'session.late_retried',
  'session.retried_elsewhere',
  'session.healed',
])

/** A thief who holds a copy of the tokens must not learn that the owner has refreshed just now: from the next full hour on. */
function isToldAt({ type, at }: AuditEvent, now: number): boolean {
  return !refreshEvents.has(type) || at < now - (now % 3600)
}

/** Events whose address is that of who acts as the user, and never of an operator. */
const ownEvents: ReadonlySet<AuditEventType> = new Set([
  'sign_in.refused',
  'password_change.refused',
  'code.issued',
  'session.created',
  'session.retried_elsewhere',
  'session.reused',
  'session.raised',
  'factor.added',
  'factor.refused',
  'factor.guessed',
  'user.renamed',
  'user.email_changed',
  'user.data_exported',
  'user.deletion_requested',
])

/** Without the detail, in which operators are named. */
function describeOwnEvent({ at, type, clientId, sessionId, ip, count }: AuditEvent) {
  return {
    at,
    type,
    client_id: clientId ?? null,
    session_id: sessionId ?? null,
    ip: (ownEvents.has(type) ? ip : undefined) ?? null,
    count: count ?? 1,
  }
}
