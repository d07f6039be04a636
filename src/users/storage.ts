/** What users ask of a database. */
import type { AuditEvent } from '../audit/audit.ts'
import type { SignInBy, TakenMember, TakenUser, User, UserUpdate } from './user.ts'

/** What is taken from others where somebody wants it. */
export type TakingOptions = Readonly<{
  /** Usernames that are kept for who had them a short while ago: that is over then. */
  takesReserved?: boolean | undefined
}>

export type UserStorage = Readonly<{
  findUser(id: string): Promise<User | undefined>
  /** @param username in any spelling: compared by `usernameKey`, and then, where that is clear, by `usernameFold` */
  findUserByUsername(username: string): Promise<User | undefined>
  /**
   * Who is meant by what was typed to sign in; every look-up is made in every case.
   *
   * @param name in any spelling; a username comes before an address, and of two users who share an address neither is meant
   */
  findUserToSignIn(name: string, by: SignInBy): Promise<User | undefined>
  /** By username. @param page at most `limit` users, after a username */
  listUsers(page?: Readonly<{ after?: string | undefined; limit: number }>): Promise<User[]>
  /**
   * Stored password hashes of some users, and in the end those of all. Ids are random, so who comes after whom is too.
   *
   * @param after the result of the last call, '' to begin
   * @param limit users to look at
   * @returns where to go on, '' at the end
   */
  samplePasswordHashes(after: string, limit: number): Promise<{ hashes: string[]; next: string }>
  /**
   * Creates all of the users or none, in one transaction: for few. A name of an import that has not ended is free, and that import
   * fails; for one that is just ending it waits, seconds at most.
   *
   * @returns what {@link Storage.findTakenUsers} finds; empty when all were created
   */
  createUsers(users: readonly User[], event: AuditEvent, options?: TakingOptions): Promise<TakenUser[]>
  /**
   * Creates a user who has proved an address, and uses up what it was proved by, in one transaction. Nobody else has the address then,
   * whatever the rule is for others: as address or as username.
   *
   * @param use of what counts once, kept until it expires anyway
   * @returns what somebody else has, or `used` where that counted before: nothing is written then
   */
  createProvenUser(
    user: User,
    use: Readonly<{ id: string; expiresAt: number }>,
    event: AuditEvent,
  ): Promise<'created' | 'email_taken' | 'username_taken' | 'used'>
  /** One who has an address, verified or not, or is called so. */
  findUserOfAddress(email: string): Promise<User | undefined>
  /**
   * Creates all of the users or none, however many, in batches beside which others write. Nobody sees any of them before all are
   * there. What a process that ended leaves is never seen, and removed by the database itself or by {@link Storage.pruneImports}.
   *
   * @param event written once, with their number
   * @param now   seconds since the epoch, while it goes on
   * @returns what {@link Storage.findTakenUsers} finds, at the end; empty when all were created
   * @throws Error when another import has taken names of this one and is not ended itself
   */
  importUsers(
    users: readonly User[],
    event: AuditEvent,
    now: () => number,
    options?: TakingOptions,
  ): Promise<TakenUser[]>
  /**
   * Those whose id or username, as `usernameFold` compares it, is taken, by stored users or by one another, or kept for somebody else who
   * had it; where addresses are unique, also whose address is, as address or as username, or whose username is another's address.
   */
  findTakenUsers(users: readonly User[], options?: TakingOptions): Promise<TakenUser[]>
  /**
   * Changes a user, whose sessions go on. A name of an import that has not ended is free, as for a new user. The one that the user had
   * is kept for the user from then on.
   *
   * @param insist throws what the verb rejects with when the user is not what was expected: nothing changes then
   * @returns the user as it is from now on, undefined when there is none; what is taken as {@link UserStorage.findTakenUsers} says
   */
  updateUser(
    userId: string,
    update: UserUpdate,
    event: AuditEvent,
    insist?: (before: User) => void,
    options?: TakingOptions,
  ): Promise<User | `${Exclude<TakenMember, 'id'>}_taken` | undefined>
  /** Whether an address is one user's. So it is in a new database. */
  hasUniqueEmails(): Promise<boolean>
  /**
   * From now on addresses are unique, or are not. Imports that are under way fail when they become so.
   *
   * @returns how many addresses stand in the way: with any, nothing has changed
   */
  setUniqueEmails(isUnique: boolean): Promise<number>
  /** What would stand in the way of unique addresses. @param max addresses, and users of each, that are listed */
  listSharedEmails(max: number): Promise<SharedEmails>
  /**
   * Removes a limited number of users of imports whose process wrote nothing since an instant.
   *
   * @returns whether there may be more
   */
  pruneImports(seenBefore: number): Promise<boolean>
  /**
   * Removes a user with all sessions, whose username nobody gets for a time. False when there is none.
   *
   * @param insist throws, and so undoes everything, where it is not the user that was meant
   */
  removeUser(userId: string, event: AuditEvent, insist?: (user: User) => void): Promise<boolean>
  /** Ids of users who wanted to be gone by an instant, the longest due first. */
  listUsersToRemove(at: number, limit: number): Promise<string[]>
  /** Frees a limited number of usernames that were kept until an instant. @returns how many */
  pruneReservedUsernames(before: number): Promise<number>
}>

/** Addresses that several users have, as email or as username. */
export type SharedEmails = Readonly<{
  count: number
  /** Those of most users first, in the form in which they are compared. */
  examples: readonly Readonly<{ email: string; users: number; usernames: readonly string[] }>[]
}>

/** Seconds after which an import that writes nothing has no process any more. */
export const importTimeout = 60
