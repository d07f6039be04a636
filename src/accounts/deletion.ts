/**
 * Users delete their account: nobody is signed in by it any more from that moment on, and a week later it is gone. Until then its owner may
 * want it back, by the link in a mail, or by asking the operator.
 */
import { type AuditEvent, auditEvent, type Caller } from '../audit/audit.ts'
import type { MailLink } from '../mail/link.ts'
import { createMail, type Mail } from '../mail/mail.ts'
import type { SessionStorage } from '../sessions/storage.ts'
import { deletionDelay, isDisabledByDeletion, type UserChange } from '../sessions/user_change.ts'
import type { UserStorage } from '../users/storage.ts'
import { type User, withNewCredentials } from '../users/user.ts'
import { type AccountRefusal, type SignedInUser, whileProved } from './signed_in.ts'

export const deletionTimes = ['later', 'now'] as const
export type DeletionTime = (typeof deletionTimes)[number]

export type DeletionDeps = Readonly<{
  config: Readonly<{ hasMail: boolean }>
  storage: Pick<SessionStorage, 'changeUser'> & Pick<UserStorage, 'removeUser'>
  now: () => number
  randomBytes: (size: number) => Buffer
}>

/** `deleteAt`: when it is gone, in seconds since the epoch. `isMailed`: whether there is a mail with a link that undoes it. */
export type DeletionOutcome = Readonly<{ kind: 'done'; deleteAt: number; isMailed: boolean }> | AccountRefusal

/** Deletes the account of who is signed in, which takes a sign-in of the last ten minutes, with the second factor where there is one. */
export async function deleteAccount(
  deps: DeletionDeps,
  { user, session }: SignedInUser,
  when: DeletionTime,
  caller: Caller,
): Promise<DeletionOutcome> {
  const at = deps.now()
  const event = auditEvent('user.deletion_requested', at, caller, {
    userId: user.id,
    sessionId: session.id,
    detail: when,
  })
  const mail = createMail('deletion_notice', { userId: user.id, language: user.language }, deps)
  const wantsMail = when === 'later' && deps.config.hasMail
  const outcome = await deps.storage.changeUser(
    user.id,
    deletionRequest(when, event, wantsMail ? mail : undefined),
    session.id,
  )
  // Whatever happens between the two, the upkeep finds what is left.
  if (outcome.kind === 'done' && when === 'now') await removeDeleted(deps, user.id)
  return outcome
}

/** @param mail for who has an address */
export function deletionRequest(when: DeletionTime, event: AuditEvent, mail: Mail | undefined) {
  return whileProved(event.at, (before): UserChange<Extract<DeletionOutcome, { kind: 'done' }>> => {
    const deleteAt = when === 'now' ? event.at : event.at + deletionDelay
    const isMailed = mail !== undefined && before.email !== undefined
    return {
      outcome: { kind: 'done', deleteAt, isMailed },
      user: { ...withNewCredentials(before), disabledAt: event.at, deleteAt },
      endSessions: { reason: 'user_disabled', at: event.at },
      event,
      ...(isMailed && { mails: [mail] }),
    }
  })
}

/** What a link that undoes a deletion comes to. `still_disabled`: the operator has disabled the user besides, who stays so. */
export type UndoOutcome = 'undone' | 'still_disabled' | 'already_undone' | 'gone'

/** @param version the credential version that the link was made for: a later request has another one */
export function deletionUndo(version: number | undefined, event: AuditEvent) {
  return (user: User | undefined): UserChange<UndoOutcome> => {
    if (user === undefined || user.credentialVersion !== version) return { outcome: 'gone' }
    if (user.deleteAt === undefined) return { outcome: 'already_undone' }
    if (event.at >= user.deleteAt) return { outcome: 'gone' }
    const kept = { ...user, deleteAt: undefined }
    if (!isDisabledByDeletion(user)) return { outcome: 'still_disabled', user: kept, event }
    return { outcome: 'undone', user: { ...kept, disabledAt: undefined }, event }
  }
}

/** What the link would come to now, which is for its page to say. */
export async function previewUndo(
  { storage, now }: Readonly<{ storage: Pick<UserStorage, 'findUser'>; now: () => number }>,
  { userId = '', credentialVersion }: MailLink,
): Promise<UndoOutcome> {
  const user = await storage.findUser(userId)
  return deletionUndo(credentialVersion, auditEvent('user.deletion_undone', now(), {}, { userId }))(user).outcome
}

/** Takes a deletion back, by the link in a mail. */
export function undoDeletion(
  { storage, now }: Pick<DeletionDeps, 'storage' | 'now'>,
  { userId = '', credentialVersion }: MailLink,
  caller: Caller,
): Promise<UndoOutcome> {
  const event = auditEvent('user.deletion_undone', now(), caller, { userId })
  return storage.changeUser(userId, deletionUndo(credentialVersion, event))
}

/** The user is there still, and is to stay. */
class Kept extends Error {}

/** Removes a user whose time has come. Of the user the audit trail keeps the id alone. @returns whether it did */
export async function removeDeleted(
  { storage, now }: Readonly<{ storage: Pick<UserStorage, 'removeUser'>; now: () => number }>,
  userId: string,
): Promise<boolean> {
  const at = now()
  try {
    return await storage.removeUser(
      userId,
      auditEvent('user.removed', at, {}, { userId, detail: 'deletion' }),
      user => {
        if (user.deleteAt === undefined || user.deleteAt > at) throw new Kept()
      },
    )
  } catch (error) {
    if (error instanceof Kept) return false
    throw error
  }
}

/** Users looked for, and removed, at once. */
const batch = 50

/** A step of removing those whose time has come. @returns how many there were */
export async function removeDeletedUsers(
  deps: Readonly<{ storage: Pick<UserStorage, 'listUsersToRemove' | 'removeUser'>; now: () => number }>,
): Promise<number> {
  const ids = await deps.storage.listUsersToRemove(deps.now(), batch)
  for (const id of ids) await removeDeleted(deps, id)
  return ids.length
}
