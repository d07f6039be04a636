/** What sessions ask of a database. */
import type { AuditEvent } from '../audit/audit.ts'
import type { Factor, FactorUse } from '../users/factors/factor.ts'
import type { WantedUsername } from '../users/reserved_usernames.ts'
import type { User } from '../users/user.ts'
import type { RevokedReason, Session, SessionChange } from './session.ts'
import type { UserChange, UserDecision } from './user_change.ts'

export type SessionStorage = Readonly<{
  /**
   * Creates a session, if the credentials that were verified are still the user's.
   *
   * @param credentials.version      the user's credential version when the password was verified
   * @param credentials.passwordHash a better hash of the same password, to be stored along
   * @param credentials.uses         what was proved beside the password: it is used up, at the same moment
   * @param limit                    the most live sessions of this user and client, this one included: of more, those seen longest ago
   *                                 end, with one event for all of them
   * @returns false when the user has been disabled, removed or given other credentials meanwhile, when some of what was proved has been
   *          used up, or the client removed
   */
  createSession(
    session: Session,
    credentials: { version: number; passwordHash?: string | undefined; uses?: readonly FactorUse[] | undefined },
    event: AuditEvent,
    limit?: number,
  ): Promise<boolean>
  /**
   * Writes what `decide` makes of a session, and answers its outcome. Concurrent calls for one session are serialised, on any number of
   * nodes. Whose it is and when it began stay as they are.
   *
   * @param decide pure and synchronous; may be called more than once
   */
  changeSession<Outcome>(
    sessionId: string,
    decide: (session: Session | undefined) => SessionChange<Outcome>,
  ): Promise<Outcome>
  /**
   * The same of a user, together with what that means for the user's factors and sessions. The id and the username stay as they are.
   *
   * @param decide    as for {@link changeSession}
   * @param sessionId of a session that it decides about as well
   */
  changeUser<Outcome>(userId: string, decide: UserDecision<Outcome>, sessionId?: string): Promise<Outcome>
  /**
   * {@link changeUser}, where the user may get another address, or have proved one.
   *
   * @param taken the outcome where that is another user's: nothing is written then
   */
  changeEmail<Outcome>(
    userId: string,
    decide: UserDecision<Outcome>,
    taken: Outcome,
    sessionId?: string,
  ): Promise<Outcome>
  /**
   * {@link changeUser} by a decision that may give the user another username. The one that the user had is kept for the user for a time.
   * A name of an import that has not ended is free, as for a new user.
   *
   * @param wanted.at seconds since the epoch
   * @param decide    of the username that is wanted as well
   */
  renameUser<Outcome>(
    userId: string,
    wanted: Readonly<{ username: string; at: number }>,
    decide: (
      user: User | undefined,
      session: Session | undefined,
      factors: readonly Factor[],
      wanted: WantedUsername,
    ) => UserChange<Outcome>,
    sessionId?: string,
  ): Promise<Outcome>
  /** A session that is live at `now`, with its user. One that is pending is not live, here and in all that follows. */
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
   * Counts the sessions that are live at `now` among a limited number.
   *
   * @param after the result of the last call, '' to begin
   * @returns how many, and where to go on, '' at the end
   */
  countLiveSessions(after: string, now: number): Promise<{ live: number; next: string }>
  /** Sessions that are live at `now` and were not seen after an instant: their tokens are older than that. */
  countSessionsNotSeenSince(at: number, now: number): Promise<number>
  /**
   * Removes sessions that ended before an instant, looking at a limited number of rows.
   *
   * @param after the result of the last call, '' to begin
   * @returns where to go on, '' at the end
   */
  pruneSessions(after: string, endedBefore: number): Promise<string>
}>

/** Absent parts fit every session. */
export type SessionFilter = Readonly<{
  id?: string | undefined
  exceptId?: string | undefined
  userId?: string | undefined
  clientId?: string | undefined
}>
