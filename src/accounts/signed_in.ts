/** What users change of their own account: asked within a session of theirs. Pure: each decision runs inside the storage transaction. */
import { missingProof } from '../sessions/factor_change.ts'
import { isLive, type Session } from '../sessions/session.ts'
import type { UserChange } from '../sessions/user_change.ts'
import type { Factor } from '../users/factors/factor.ts'
import type { User } from '../users/user.ts'

export type SignedInUser = Readonly<{ user: User; session: Session }>

/**
 * Why an account stays as it is. `session_over`: the session, or its user, is gone; `proof_needed`: the sign-in is too old for that, or without
 * the second factor that there is.
 */
export type AccountRefusal = Readonly<{ kind: 'session_over' } | { kind: 'proof_needed'; hasFactor: boolean }>

/** A decision of a session that is live. @param now seconds since the epoch */
export function whileSignedIn<Done, Rest extends unknown[]>(
  now: number,
  decide: (user: User, ...rest: Rest) => UserChange<Done>,
) {
  return (
    user: User | undefined,
    session: Session | undefined,
    _: readonly Factor[],
    ...rest: Rest
  ): UserChange<AccountRefusal | Done> =>
    isSignedIn(user, session, now) ? decide(user, ...rest) : { outcome: { kind: 'session_over' } }
}

/** The same of one that is fresh, and sure enough: what decides over the whole account is asked of nobody who only found it open. */
export function whileProved<Done, Rest extends unknown[]>(
  now: number,
  decide: (user: User, ...rest: Rest) => UserChange<Done>,
) {
  return (
    user: User | undefined,
    session: Session | undefined,
    factors: readonly Factor[],
    ...rest: Rest
  ): UserChange<AccountRefusal | Done> => {
    if (!isSignedIn(user, session, now)) return { outcome: { kind: 'session_over' } }
    const missing = missingProof(session!, factors, now)
    return missing?.kind === 'proof_needed' ? { outcome: missing } : decide(user, ...rest)
  }
}

function isSignedIn(user: User | undefined, session: Session | undefined, now: number): user is User {
  if (user === undefined || user.disabledAt !== undefined) return false
  return session !== undefined && session.userId === user.id && isLive(session, now)
}
