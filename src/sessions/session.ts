/**
 * A session is one sign-in of one user through one client on one device: the refresh family, one row for its whole life. What is asked of
 * the row alone is here; what a refresh token means for it is in `refresh.ts`.
 */
import type { AuditEvent } from '../audit/audit.ts'
import type { Client } from '../clients/client.ts'
import type { User } from '../users/user.ts'

/** Instants are seconds since the epoch. */
export type Session = Readonly<{
  /** 22 base64url characters, the `sid` of its access tokens; no secret. */
  id: string
  userId: string
  clientId: string
  /** Space-separated; what a refresh can at most be granted. */
  scope: string
  /** Empty for the server's own, whatever that is called by then. */
  audience: readonly string[]
  /** The generation of the one live refresh token. */
  generation: number
  /** The generation that was exchanged for the live one: a retry presents it again. */
  parentGeneration: number
  /** Tokens and cookies of older generations died with a change of the password; absent before the first one. */
  oldestGeneration?: number | undefined
  rotatedAt: number
  createdAt: number
  authTime: number
  /** How the user authenticated, RFC 8176. */
  amr: readonly string[]
  lastSeenAt: number
  idleExpiresAt: number
  expiresAt: number
  revokedAt?: number | undefined
  revokedReason?: RevokedReason | undefined
  /** What the app calls the device it runs on. */
  device?: string | undefined
  /** From where it was last refreshed; of a sign-in by cookie, last used. */
  ip?: string | undefined
  userAgent?: string | undefined
  /** When it was last seen before the hour of `lastSeenAt`; absent in sessions of older versions. */
  seenBeforeAt?: number | undefined
  /** From where, if from elsewhere; '' for not known. */
  ipBefore?: string | undefined
  userAgentBefore?: string | undefined
  /** When a retry from elsewhere was last written into the audit trail. */
  retriedElsewhereAt?: number | undefined
}>

export type RevokedReason =
  | 'logout'
  | 'revoked_by_user'
  | 'revoked_by_client'
  | 'revoked_by_operator'
  | 'password_changed'
  | 'user_disabled'
  | 'refresh_token_reuse'
  | 'code_reuse'
  | 'session_limit'

export const isSessionId = (text: string) => /^[A-Za-z0-9_-]{22}$/.test(text)

/** Seconds. */
export type Lifetimes = Readonly<{
  /** A session that is not refreshed for this long ends. */
  idleLifetime: number
  /** A session ends this long after sign-in, whatever happens. */
  absoluteLifetime: number
}>

/** What a decision comes to, in one transaction: what it answers, and what is to be written. Without `session` the row stays as it is. */
export type SessionChange<Outcome> = Readonly<{
  outcome: Outcome
  session?: Session
  events?: readonly AuditEvent[]
}>

/**
 * Where generations start. SQLite stores small integers in fewer bytes: from here on every one takes four, so a row keeps
 * its size and no rotation ever makes the file grow.
 */
export const firstGeneration = 2 ** 24

/** @returns a session that begins now, with nothing to retry */
export function createSession(
  signIn: Pick<Session, 'id' | 'userId' | 'clientId' | 'scope' | 'audience' | 'amr' | 'device' | 'ip' | 'userAgent'>,
  now: number,
  lifetimes: Lifetimes,
): Session {
  const expiresAt = now + lifetimes.absoluteLifetime
  return {
    ...signIn,
    generation: firstGeneration,
    // No token of this generation was ever made.
    parentGeneration: firstGeneration - 1,
    rotatedAt: now,
    createdAt: now,
    authTime: now,
    lastSeenAt: now,
    seenBeforeAt: now,
    idleExpiresAt: Math.min(now + lifetimes.idleLifetime, expiresAt),
    expiresAt,
  }
}

/** Seconds from an authorization code to its exchange (RFC 6749 §4.1.2 allows ten minutes; nobody has to type this one). */
export const codeLifetime = 60

/** Of a row whose authorization code nobody has exchanged yet. No token or cookie is of it. */
export const pendingGeneration = firstGeneration - 2

/** @returns the row of a session that begins when its authorization code is exchanged, and never does after {@link codeLifetime} */
export function createPendingSession(signIn: Parameters<typeof createSession>[0], now: number): Session {
  const lifetimes = { idleLifetime: codeLifetime, absoluteLifetime: codeLifetime }
  const session = createSession(signIn, now, lifetimes)
  return { ...session, generation: pendingGeneration, parentGeneration: pendingGeneration - 1 }
}

export function isPending({ generation }: Session): boolean {
  return generation === pendingGeneration
}

/**
 * Whether a session may begin: if the credentials that were verified are still the user's.
 *
 * @param user    as the row is now, as `client`; undefined when it is gone
 * @param version the user's credential version when they were verified
 */
export function mayOpenSession(user: User | undefined, client: Client | undefined, version: number): boolean {
  if (user === undefined || client === undefined) return false
  return user.disabledAt === undefined && user.credentialVersion === version
}

/**
 * When a session ends if nothing happens: by what it got at its sign-in, or by what its client gives now where that is sooner. The row
 * keeps what it got, so a lifetime that an operator took away and gives back comes back.
 *
 * @param lifetimes of its client now; without them only the row is asked
 */
export function expiryOf(session: Session, lifetimes?: Lifetimes): number {
  const own = Math.min(session.idleExpiresAt, session.expiresAt)
  if (lifetimes === undefined) return own
  const { idleLifetime, absoluteLifetime } = lifetimes
  return Math.min(own, session.lastSeenAt + idleLifetime, session.createdAt + absoluteLifetime)
}

/** Whether it goes on or may still begin: what ends the sessions of a user or client ends it. @param lifetimes as for {@link expiryOf} */
export function isOpen(session: Session, now: number, lifetimes?: Lifetimes): boolean {
  return session.revokedAt === undefined && now < expiryOf(session, lifetimes)
}

/** Whether somebody is signed in by it. @param lifetimes as for {@link expiryOf} */
export function isLive(session: Session, now: number, lifetimes?: Lifetimes): boolean {
  return !isPending(session) && isOpen(session, now, lifetimes)
}

/** Whether a token or cookie of that generation died with a change of the password. */
export function isOutdated({ oldestGeneration = 0 }: Session, generation: number): boolean {
  return generation < oldestGeneration
}
