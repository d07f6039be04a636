/** What a change of a user does to the user's sessions. Pure: each decision runs inside the storage transaction. */
import type { AuditEvent } from '../audit/audit.ts'
import type { Mail } from '../mail/mail.ts'
import type { Factor } from '../users/factors/factor.ts'
import { type User, withNewCredentials } from '../users/user.ts'
import type { RevokedReason, Session } from './session.ts'

/** What a decision comes to, in one transaction: what it answers, and what is to be written of the user and the sessions. */
export type UserChange<Outcome> = Readonly<{
  outcome: Outcome
  user?: User
  /** Those that are new or changed, and the ids of those that go. */
  factors?: Readonly<{ put?: readonly Factor[]; remove?: readonly string[] }>
  /** Ends the user's live sessions, all but one. */
  endSessions?: Readonly<{ reason: RevokedReason; at: number; exceptId?: string }>
  /** As that one is from now on. */
  session?: Session
  event?: AuditEvent
  /** What is to be mailed because of it. */
  mails?: readonly Mail[]
}>

/** Decides about a user, a session of the user, if one is asked for, and all factors: pure and synchronous, and may be called more than once. */
export type UserDecision<Outcome> = (
  user: User | undefined,
  session: Session | undefined,
  factors: readonly Factor[],
) => UserChange<Outcome>

/** Another password, which raises the credential version and ends the sessions. Decides false when the user is gone. */
export function passwordUpdate(passwordHash: string, event: AuditEvent) {
  return (user: User | undefined): UserChange<boolean> => {
    if (user === undefined) return { outcome: false }
    const changed = { ...withNewCredentials(user), passwordHash }
    return { outcome: true, user: changed, endSessions: { reason: 'password_changed', at: event.at }, event }
  }
}

/**
 * {@link passwordUpdate} from within a session of the user, which goes on as `renew` makes it.
 *
 * @param change.version only if this is still the credential version
 * @param renew          undefined when the session cannot go on: then nothing changes, and undefined is decided
 */
export function ownPasswordUpdate(
  { passwordHash, version }: Readonly<{ passwordHash: string; version: number }>,
  renew: (session: Session | undefined) => Session | undefined,
  event: AuditEvent,
) {
  return (user: User | undefined, before: Session | undefined): UserChange<Session | undefined> => {
    const session = renew(before)
    if (session === undefined || session.userId !== user?.id || user.credentialVersion !== version)
      return { outcome: undefined }
    const endSessions = { reason: 'password_changed', at: event.at, exceptId: session.id } as const
    return { outcome: session, user: { ...withNewCredentials(user), passwordHash }, endSessions, session, event }
  }
}

/** Seconds from the wish of a user to be deleted to the deletion. */
export const deletionDelay = 7 * 86_400

/**
 * Whether a user is disabled for being deleted, and for nothing else. Who wants to be deleted is disabled at that moment; an operator
 * who disables that user too does so at another one.
 */
export function isDisabledByDeletion({ disabledAt, deleteAt }: User): boolean {
  return deleteAt !== undefined && disabledAt === deleteAt - deletionDelay
}

/**
 * Disables, which raises the credential version and ends the sessions, or enables, who is not deleted then either. Decides false when
 * nothing changes.
 */
export function disabledUpdate(isDisabled: boolean, event: AuditEvent) {
  return (user: User | undefined): UserChange<boolean> => {
    if (user === undefined) return { outcome: false }
    if (isDisabled && isDisabledByDeletion(user)) {
      // Its sessions have ended; and the link that undoes the deletion goes on, which does not enable the user any more.
      const disabledAt = event.at === user.disabledAt ? event.at + 1 : event.at
      return { outcome: true, user: { ...user, disabledAt }, event }
    }
    if (isDisabled === (user.disabledAt !== undefined)) return { outcome: false }
    if (!isDisabled) return { outcome: true, user: { ...user, disabledAt: undefined, deleteAt: undefined }, event }
    const changed = { ...withNewCredentials(user), disabledAt: event.at }
    return { outcome: true, user: changed, endSessions: { reason: 'user_disabled', at: event.at }, event }
  }
}
