/** Users change what they are called, and what they want to be spoken to in. */
import { type AuditEvent, auditEvent, type Caller } from '../audit/audit.ts'
import { OAuthError } from '../error.ts'
import type { Language } from '../pages/language.ts'
import type { SessionStorage } from '../sessions/storage.ts'
import type { UserChange } from '../sessions/user_change.ts'
import { isOtherAddress, readFullName, readUsername } from '../text.ts'
import type { Throttle } from '../throttle/throttle.ts'
import { renameInterval, type WantedUsername } from '../users/reserved_usernames.ts'
import type { User } from '../users/user.ts'
import { type AccountRefusal, type SignedInUser, whileProved, whileSignedIn } from './signed_in.ts'

/** As it came: what is absent stays as it is; a name of nothing or null is none, and so is a language of null. */
export type ProfileChange = Readonly<{
  username?: string | undefined
  fullName?: string | null | undefined
  language?: Language | null | undefined
}>

/** What is wrong with a member: words that go on after its name. */
export type ProfileProblem = Readonly<{ kind: 'invalid'; member: 'username' | 'full_name'; problem: string }>

/** `taken`: by another user, or by who had it a short while ago; `too_soon`: the username was another one within a day. */
export type RenameRefusal = Readonly<{ kind: 'taken' } | { kind: 'too_soon'; retryAfter: number }>

export type ProfileOutcome = Readonly<{ kind: 'done'; user: User }> | AccountRefusal | RenameRefusal | ProfileProblem

export type ProfileDeps = Readonly<{
  storage: Pick<SessionStorage, 'changeUser' | 'renameUser'>
  throttle: Pick<Throttle, 'newUsername'>
  now: () => number
}>

/**
 * Changes all of it or nothing. Another username takes a sign-in of the last ten minutes, with the second factor where there is one; the
 * rest a session.
 *
 * @throws OAuthError `too_many_attempts` when too many usernames were taken
 */
export async function changeProfile(
  { storage, throttle, now }: ProfileDeps,
  { user, session }: SignedInUser,
  change: ProfileChange,
  caller: Caller,
): Promise<ProfileOutcome> {
  const read = readProfile(change)
  if ('kind' in read) return read
  const at = now()
  const about = { userId: user.id, sessionId: session.id }
  const { username, ...rest } = read
  if (username === undefined || username === user.username) {
    const detail = Object.keys(rest)
      .map(member => (member === 'fullName' ? 'full_name' : member))
      .join(' ')
    return storage.changeUser(
      user.id,
      profileUpdate(rest, auditEvent('user.updated', at, caller, { ...about, detail })),
      session.id,
    )
  }
  if (isOtherAddress(username, user.emailVerifiedAt === undefined ? undefined : user.email))
    return { kind: 'invalid', member: 'username', problem: 'is an address other than the one that you have proved' }
  const event = auditEvent('user.renamed', at, caller, about)
  const ask = (): Promise<ProfileOutcome> =>
    storage.renameUser(user.id, { username, at }, renaming(username, rest, event), session.id)
  return insistOnFewTaken(throttle, user.id, ask)
}

/** Who has an account learns of few names whose they are. */
async function insistOnFewTaken(
  throttle: Pick<Throttle, 'newUsername'>,
  userId: string,
  ask: () => Promise<ProfileOutcome>,
): Promise<ProfileOutcome> {
  let outcome: ProfileOutcome | undefined
  try {
    return await throttle.newUsername(userId, async () => {
      outcome = await ask()
      // What the throttle counts.
      if (outcome.kind === 'taken') throw new OAuthError('invalid_grant', 'the username is taken')
      return outcome
    })
  } catch (error) {
    if (outcome?.kind === 'taken' && error instanceof OAuthError && error.code === 'invalid_grant') return outcome
    throw error
  }
}

type ReadProfile = Partial<Pick<User, 'username' | 'fullName' | 'language'>>

function readProfile({ username, fullName, language }: ProfileChange): ReadProfile | ProfileProblem {
  const name = username === undefined ? undefined : readUsername(username)
  if (name?.problem !== undefined) return { kind: 'invalid', member: 'username', problem: name.problem }
  const full = fullName?.trim() ? readFullName(fullName) : undefined
  if (full?.problem !== undefined) return { kind: 'invalid', member: 'full_name', problem: full.problem }
  return {
    ...(name !== undefined && { username: name.text }),
    ...(fullName !== undefined && { fullName: full?.text }),
    ...(language !== undefined && { language: language ?? undefined }),
  }
}

/** What needs no more than a session. */
export function profileUpdate(update: Partial<Pick<User, 'fullName' | 'language'>>, event: AuditEvent) {
  return whileSignedIn(event.at, (before): UserChange<{ kind: 'done'; user: User }> => {
    const user = { ...before, ...update }
    const isSame = user.fullName === before.fullName && user.language === before.language
    return isSame ? { outcome: { kind: 'done', user: before } } : { outcome: { kind: 'done', user }, user, event }
  })
}

/** Another username, which keeps the `sub`, and what comes along. */
export function renaming(username: string, update: Partial<Pick<User, 'fullName' | 'language'>>, event: AuditEvent) {
  return whileProved(
    event.at,
    (
      before,
      { isTaken, renamedAt }: WantedUsername,
    ): UserChange<Readonly<{ kind: 'done'; user: User }> | RenameRefusal> => {
      const user = { ...before, ...update, username }
      // Before it is said whose the name is: who may not have another one asks for none.
      const retryAfter = renamedAt === undefined ? 0 : renamedAt + renameInterval - event.at
      // A wait that is longer was noted by a clock that has been set back since.
      if (retryAfter > 0 && retryAfter <= renameInterval) return { outcome: { kind: 'too_soon', retryAfter } }
      if (isTaken) return { outcome: { kind: 'taken' } }
      return { outcome: { kind: 'done', user }, user, event }
    },
  )
}
