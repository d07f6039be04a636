/** What becomes of the address of an account. Pure: each decision runs inside the storage transaction of `changeEmail`. */
import type { AuditEvent } from '../audit/audit.ts'
import type { MailLink } from '../mail/link.ts'
import type { Mail } from '../mail/mail.ts'
import { isDisabledByDeletion, type UserChange } from '../sessions/user_change.ts'
import { emailKey } from '../text.ts'
import { readEmail } from '../users/email.ts'
import { type EmailChange, type User, withNewCredentials } from '../users/user.ts'
import { type AccountRefusal, whileSignedIn } from './signed_in.ts'

/** Seconds that a change can be undone, counted from when its mail was sent: that may have had to wait. */
export const undoLifetime = 9 * 86_400
/** Changes within that time: who makes many of them must not make the one forgotten that undoes them all. */
export const maxEmailChanges = 8

/** The address of a user as mails go to it; undefined for none, and for one from before there was a rule that it does not keep. */
export function mailableAddress({ email }: Pick<User, 'email'>): string | undefined {
  return email === undefined ? undefined : readEmail(email).text
}

/** Changes that can be undone still. One that is to come was noted by a clock that has been set back since. */
export function recentChanges({ emailChanges = [] }: User, now: number): readonly EmailChange[] {
  return emailChanges.filter(({ at }) => now < at + undoLifetime)
}

/** `over`: what was in the mail allows nothing any more. `taken`: another user has proved the address meanwhile, or has it alone. */
export type EmailVerified = 'done' | 'already' | 'over' | 'taken'

export function emailVerification({ userId, address = '', credentialVersion }: MailLink, event: AuditEvent) {
  return (user: User | undefined): UserChange<EmailVerified> => {
    if (user === undefined || user.id !== userId || user.disabledAt !== undefined) return { outcome: 'over' }
    const email = mailableAddress(user)
    if (email === undefined || emailKey(email) !== emailKey(address)) return { outcome: 'over' }
    if (user.emailVerifiedAt !== undefined) return { outcome: 'already' }
    if (user.credentialVersion !== credentialVersion) return { outcome: 'over' }
    return { outcome: 'done', user: { ...user, email, emailVerifiedAt: event.at }, event }
  }
}

export type EmailChanged =
  | Readonly<{ kind: 'done' | 'already'; user: User }>
  | Readonly<{ kind: 'over' | 'taken' }>
  | AccountRefusal

/**
 * The new address, which ends what was verified by the one before, such as links in mails.
 *
 * @param notice goes to the address before, with what undoes it; undefined where no mails are sent
 */
export function emailChange(
  { userId, address = '', credentialVersion }: MailLink,
  notice: Mail | undefined,
  event: AuditEvent,
) {
  return whileSignedIn(event.at, (before: User): UserChange<Exclude<EmailChanged, AccountRefusal>> => {
    if (before.id !== userId) return { outcome: { kind: 'over' } }
    if (before.email === address && before.emailVerifiedAt !== undefined)
      return { outcome: { kind: 'already', user: before } }
    const recent = recentChanges(before, event.at)
    if (before.credentialVersion !== credentialVersion || recent.length >= maxEmailChanges)
      return { outcome: { kind: 'over' } }
    const changed = withNewCredentials(before)
    const email = mailableAddress(before)
    const id = changed.credentialVersion
    const isTold = notice !== undefined && email !== undefined
    const emailChanges = isTold ? [...recent, { id, at: event.at }] : recent
    const user = { ...changed, email: address, emailVerifiedAt: event.at, emailChanges }
    const told = isTold && { ...notice, address: email, about: { email: address, change_id: String(id) } }
    return { outcome: { kind: 'done', user }, user, event, ...(told && { mails: [told] }) }
  })
}

export type ChangeUndone = EmailVerified

/**
 * Puts the address back that a user had before a change, with all changes after that, and signs everybody out. Who has the link reads
 * what is sent to that address. Links that undo later changes are dead then: a thief has them. A deletion that was asked for since goes
 * as well.
 */
export function emailChangeUndo({ userId, address = '', about = {} }: MailLink, event: AuditEvent) {
  return (user: User | undefined): UserChange<ChangeUndone> => {
    if (user === undefined || user.id !== userId) return { outcome: 'over' }
    const change = recentChanges(user, event.at).find(({ id }) => String(id) === about.change_id)
    if (change === undefined) {
      const isBack = user.email === address && user.emailVerifiedAt !== undefined
      return { outcome: isBack ? 'already' : 'over' }
    }
    const { deleteAt: _, ...kept } = withNewCredentials(user)
    const back = {
      ...kept,
      email: address,
      emailVerifiedAt: event.at,
      emailChanges: recentChanges(user, event.at).filter(({ id }) => id < change.id),
      ...(isDisabledByDeletion(user) && { disabledAt: undefined }),
    }
    const endSessions = { reason: 'revoked_by_user', at: event.at } as const
    return { outcome: 'done', user: back, endSessions, event }
  }
}
