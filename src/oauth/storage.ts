/**
 * What the protocol asks of a database: domain verbs, each one transaction that is durable before its promise resolves.
 * Implementations are below `storage/`; one contract suite holds them all to what is said here.
 *
 * Every verb rejects with an OAuthError `temporarily_unavailable` when the database is busy or broken. A verb that takes an
 * audit event writes it in the same transaction, and only when it changed something; one of a flood is counted, see {@link Storage.writeFloods}.
 */
import type { AuditEvent, AuditFilter, Caller } from './audit.ts'
import type { Client } from './client.ts'
import type { SigningKey } from './keys.ts'
import type { RefreshDecision, RevokedReason, Session, TouchDecision } from './session.ts'
import type { Counter } from './throttle.ts'
import type { User } from './user.ts'

export interface Storage {
  findUser(id: string): Promise<User | undefined>
  /** @param username in any spelling: compared by `usernameKey`, and then, where that is clear, by `usernameFold` */
  findUserByUsername(username: string): Promise<User | undefined>
  /** By username. @param page at most `limit` users, after a username */
  listUsers(page?: Readonly<{ after?: string | undefined; limit: number }>): Promise<User[]>
  /**
   * Stored password hashes of users spread over all of them: at most `most`, others at each turn, and in the end those of all.
   *
   * @param turn 0, 1, 2 …
   */
  samplePasswordHashes(most: number, turn: number): Promise<string[]>
  /** Those whose id or username, as `usernameFold` compares it, is taken, by stored users or by one another. */
  findTakenUsers(users: readonly User[]): Promise<User[]>
  /**
   * Creates all of the users or none, in one transaction: for few. A name of a pending import is free, and that import fails.
   *
   * @returns what {@link Storage.findTakenUsers} finds; empty when all were created
   */
  createUsers(users: readonly User[], event: AuditEvent): Promise<User[]>
  /**
   * Creates all of the users or none, however many, in batches beside which others write. Nobody sees any of them before all are
   * there. What a process that ended leaves is never seen, and removed by {@link Storage.pruneImports}.
   *
   * @param event written once, with their number
   * @param now   seconds since the epoch, while it goes on
   * @returns what {@link Storage.findTakenUsers} finds, at the end; empty when all were created
   * @throws Error when another import has taken names of this one
   */
  importUsers(users: readonly User[], event: AuditEvent, now: () => number): Promise<User[]>
  /**
   * Removes a limited number of users of imports whose process wrote nothing since an instant.
   *
   * @returns whether there may be more
   */
  pruneImports(seenBefore: number): Promise<boolean>
  /**
   * Sets another password, raises the credential version and ends the user's sessions.
   *
   * @returns false when the user is gone
   */
  changePassword(userId: string, passwordHash: string, event: AuditEvent): Promise<boolean>
  /**
   * {@link changePassword} from within a session, which goes on as `renew` makes it.
   *
   * @param change.version only if this is still the credential version
   * @param renew          pure and synchronous; undefined when the session cannot go on, and nothing is to change
   * @returns the session as it is from now on, or undefined when nothing changed
   */
  changeOwnPassword(
    sessionId: string,
    change: Readonly<{ passwordHash: string; version: number }>,
    renew: (session: Session | undefined) => Session | undefined,
    event: AuditEvent,
  ): Promise<Session | undefined>
  /** Disables a user, raising the credential version and ending the sessions, or enables one. False when nothing changed. */
  setUserDisabled(userId: string, disabled: boolean, event: AuditEvent): Promise<boolean>
  /** Removes a user with all sessions. False when there is none. */
  removeUser(userId: string, event: AuditEvent): Promise<boolean>

  findClient(id: string): Promise<Client | undefined>
  /** By id. */
  listClients(): Promise<Client[]>
  /** False when the id is taken. */
  createClient(client: Client, event: AuditEvent): Promise<boolean>
  /**
   * Replaces a client's record by what `change` makes of it.
   *
   * @param change pure and synchronous; undefined when there is nothing to change
   * @returns the record as it is now, or undefined when nothing changed or there is no such client
   */
  changeClient(
    id: string,
    change: (client: Client) => Client | undefined,
    event: AuditEvent,
  ): Promise<Client | undefined>
  /** Removes a client with all sessions. False when there is none. */
  removeClient(id: string, event: AuditEvent): Promise<boolean>

  /** Creates the first client and user, if there is neither a client nor a user. False when there is. */
  bootstrap(client: Client, user: User, event: AuditEvent): Promise<boolean>

  /**
   * Creates a session, if the credentials that were verified are still the user's.
   *
   * @param credentials.version      the user's credential version when the password was verified
   * @param credentials.passwordHash a better hash of the same password, to be stored along
   * @param limit                    the most live sessions of this user and client, this one included: of more, those seen longest ago
   *                                 end, with one event for all of them
   * @returns false when the user has been disabled, removed or given another password meanwhile, or the client removed
   */
  createSession(
    session: Session,
    credentials: { version: number; passwordHash?: string | undefined },
    event: AuditEvent,
    limit?: number,
  ): Promise<boolean>
  /**
   * Applies what `decide` makes of a session row to that row. Concurrent calls for one session are serialised, on any
   * number of nodes.
   *
   * @param decide pure and synchronous; may be called more than once
   */
  refreshSession<Decision extends RefreshDecision | TouchDecision>(
    sessionId: string,
    decide: (session: Session | undefined) => Decision,
    now: number,
    caller: Caller,
  ): Promise<Decision>
  findSession(id: string): Promise<Session | undefined>
  /** A session that is live at `now`, with its user. */
  findLiveSession(id: string, now: number): Promise<{ session: Session; user: User } | undefined>
  /** Sessions that are live at `now`, last seen first. @param after the last one of the page before */
  listLiveSessions(
    which: SessionFilter,
    now: number,
    limit: number,
    after?: Pick<Session, 'id' | 'lastSeenAt'>,
  ): Promise<Session[]>
  /**
   * The sessions of a user, live or ended, from the newest sign-in back. What a page costs depends on its limit alone.
   *
   * @param page.after the id of the last one of the page before
   * @returns undefined when `after` is no session of the user
   */
  listSessionsOf(
    userId: string,
    page: Readonly<{ after?: string | undefined; limit: number }>,
  ): Promise<Session[] | undefined>
  /** Removes sessions, but for those that were seen meanwhile. @param event followed by how many. @returns how many */
  removeSessions(sessions: readonly Pick<Session, 'id' | 'lastSeenAt'>[], event?: AuditEvent): Promise<number>
  /**
   * Looks for a user with more sessions than `most`, live or ended, among a limited number of users.
   *
   * @param after a user's id, '' to begin
   * @returns the user, or where to go on, '' at the end
   */
  findCrowd(after: string, most: number): Promise<{ userId?: string; next: string }>
  /** The sessions of a client that are live at `now`, by what they were granted: few kinds, however many sessions. */
  countLiveSessionsByGrant(
    clientId: string,
    now: number,
  ): Promise<(Pick<Session, 'scope' | 'audience'> & { count: number })[]>
  /**
   * Ends the live sessions that fit every part of the filter: one update.
   *
   * @param event its detail, if it has one, is followed by the reason and how many were ended
   * @returns how many were ended
   */
  revokeSessions(which: SessionFilter, reason: RevokedReason, event: AuditEvent): Promise<number>

  /**
   * Remembers an identifier that must count once, until it expires.
   *
   * @returns false when it was remembered already
   */
  remember(id: string, expiresAt: number, event?: AuditEvent): Promise<boolean>
  isRemembered(id: string): Promise<boolean>
  /** Forgets a limited number of identifiers that have expired. @returns how many */
  pruneRemembered(expiredBefore: number): Promise<number>

  /** Counters of failed attempts that are not forgotten at `now`; when there are too many, those forgotten last. */
  listCounters(now: number, limit: number): Promise<StoredCounter[]>
  /** Writes counters, removes others by id, and remembers networks: at most {@link mostKnownNetworks} of one user or client. */
  saveCounters(
    counters: readonly StoredCounter[],
    gone: readonly string[],
    known: readonly KnownNetwork[],
  ): Promise<void>
  isKnownNetwork(who: string, network: string, now: number): Promise<boolean>
  /** Forgets a limited number of counters and known networks that have expired. */
  pruneCounters(expiredBefore: number): Promise<void>

  listSigningKeys(): Promise<SigningKey[]>
  /**
   * Adds a signing key, if the newest one is still the one given: of two nodes that start at once, one makes the key.
   *
   * @param newest the `kid` of the key made last, undefined for none
   */
  addSigningKey(key: SigningKey, newest: string | undefined, event: AuditEvent): Promise<boolean>
  /** @returns how many were removed */
  removeSigningKeys(kids: readonly string[], event: AuditEvent): Promise<number>
  /** Replaces the encrypted private halves of keys, by `kid`. @returns how many were replaced */
  replacePrivateJwes(jwes: ReadonlyMap<string, string>, event: AuditEvent): Promise<number>

  /** Notes that a server makes tokens under a master secret; the first time is the one that is kept. */
  noteMasterSecret(name: string, event: AuditEvent): Promise<void>
  /** @returns seconds since the epoch, undefined when no server used it yet */
  masterSecretSince(name: string): Promise<number | undefined>
  /** Sessions that are live at `now` and were not seen after an instant: their tokens are older than that. */
  countSessionsNotSeenSince(at: number, now: number): Promise<number>

  /** For events that belong to no change; all others are written with theirs. */
  addAuditEvents(events: readonly AuditEvent[]): Promise<void>
  /** Writes how often there was what is too frequent for a row each (`floods.ts`), once a minute of each kind. */
  writeFloods(now: number): Promise<void>
  /** Newest first. */
  listAuditEvents(limit: number, which?: AuditFilter): Promise<AuditEvent[]>
  /** The same by pages. @param page.after `next` of the page before */
  pageAuditEvents(
    which: AuditFilter,
    page: Readonly<{ after?: number | undefined; limit: number }>,
  ): Promise<{ events: AuditEvent[]; next: number | undefined }>

  /**
   * Removes sessions that ended before an instant, looking at a limited number of rows.
   *
   * @param after the result of the last call, '' to begin
   * @returns where to go on, '' at the end
   */
  pruneSessions(after: string, endedBefore: number): Promise<string>
  /** Removes a limited number of audit events older than an instant, from the oldest on; the trail is append-only otherwise. @returns how many */
  pruneAuditEvents(before: number): Promise<number>

  /** Resolves when the database would take a write. */
  check(): Promise<void>
  /** Finishes what is under way and closes the database. */
  close(): Promise<void>
}

/** Seconds after which an import that writes nothing has no process any more. */
export const importTimeout = 60

/** `id` is a digest of what is counted. */
export type StoredCounter = Counter & Readonly<{ id: string }>

/** A network from which somebody signed in: both as digests. */
export type KnownNetwork = Readonly<{ who: string; network: string; expiresAt: number }>

/** More than anybody signs in from; who signs in from more, such as a traveller, loses the oldest. */
export const mostKnownNetworks = 50

/** Absent parts fit every session. */
export type SessionFilter = Readonly<{
  id?: string | undefined
  exceptId?: string | undefined
  userId?: string | undefined
  clientId?: string | undefined
}>
