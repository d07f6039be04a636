/** How the factors of a user come, change and go. Pure: each decision runs inside the storage transaction of `changeUser`. */
import type { AuditEvent } from '../audit/audit.ts'
import { type Factor, isSecondFactor, maxFactors } from '../users/factors/factor.ts'
import { type User, withNewCredentials } from '../users/user.ts'
import { addAmr } from './assurance.ts'
import { isLive, type Session } from './session.ts'
import type { UserChange } from './user_change.ts'

/** Seconds that a sign-in is fresh enough to change factors. */
export const maxSignInAge = 600

/**
 * Why factors stay as they are. `proof_needed`: the sign-in is too old, or without the second factor that there is; `overtaken`: there
 * is another set of factors, or another password, than when it began; `session_over`: the session, or its user, is gone.
 */
export type FactorRefusal =
  | Readonly<{ kind: 'proof_needed'; hasFactor: boolean }>
  | Readonly<{ kind: 'overtaken' | 'session_over' | 'too_many' | 'no_such_factor' | 'no_second_factor' }>

/** `user` and `session` are as they are from now on. */
export type FactorsChanged = Readonly<{ kind: 'done'; user: User; session?: Session | undefined }>

/**
 * Whether a sign-in is sure and fresh enough to change what the next one is asked for: it has proved a second factor where there is one.
 *
 * @returns what it is short of; undefined for nothing
 */
export function missingProof(
  { authTime, amr }: Pick<Session, 'authTime' | 'amr'>,
  factors: readonly Factor[],
  now: number,
): FactorRefusal | undefined {
  const hasFactor = factors.some(isSecondFactor)
  const isEnough = now - authTime <= maxSignInAge && (!hasFactor || amr.includes('mfa'))
  return isEnough ? undefined : { kind: 'proof_needed', hasFactor }
}

/** What a factor that has been proved for the first time comes to. */
export type NewFactor = Readonly<{
  factor: Factor
  /** Where it is the first one: the recovery codes that come along. */
  recoveryCodes?: Factor | undefined
  /** What its proof says of the session, RFC 8176. */
  amr: readonly string[]
  /** The user's credential version when the enrolment began. */
  version: number
  /** False for a sign-in that is no session yet. */
  isWithinSession: boolean
}>

/**
 * Adds a factor, which raises the credential version: sign-ins that have begun without it start over. The session in which the first
 * one was set up has proved it.
 *
 * @returns the factor as it is; within a session also of one that has been added before, as when an answer was lost
 */
export function factorEnrollment(
  { factor, recoveryCodes, amr, version, isWithinSession }: NewFactor,
  event: AuditEvent,
) {
  return (
    user: User | undefined,
    session: Session | undefined,
    factors: readonly Factor[],
  ): UserChange<
    FactorRefusal | (FactorsChanged & Readonly<{ factor: Factor; recoveryCodes?: Factor | undefined }>)
  > => {
    if (!isEnabled(user) || (isWithinSession && !isOf(user, session, event.at)))
      return { outcome: { kind: 'session_over' } }
    // Within a session only: in a sign-in a code that was used up would let somebody in once more.
    const added = isWithinSession ? factors.find(({ id }) => id === factor.id) : undefined
    if (added !== undefined) {
      const codes = factors.find(one => !isSecondFactor(one))
      return { outcome: { kind: 'done', user, session, factor: added, recoveryCodes: codes } }
    }
    if (user.credentialVersion !== version) return { outcome: { kind: 'overtaken' } }
    if (factors.filter(isSecondFactor).length >= maxFactors) return { outcome: { kind: 'too_many' } }
    const isFirst = !factors.some(isSecondFactor)
    const put = isFirst && recoveryCodes !== undefined ? [factor, recoveryCodes] : [factor]
    const changed = withNewCredentials(user)
    const raised = isFirst && session !== undefined ? { ...session, amr: addAmr(session.amr, amr) } : undefined
    return {
      outcome: { kind: 'done', user: changed, session: raised ?? session, factor, recoveryCodes },
      user: changed,
      factors: { put },
      ...(raised !== undefined && { session: raised }),
      event: { ...event, detail: wordsFor(put) },
    }
  }
}

/** Recovery codes in the place of those that there are. */
export function recoveryCodeReplacement(recoveryCodes: Factor, event: AuditEvent) {
  return fromWithin(event, (user, factors): UserChange<FactorRefusal | FactorsChanged> => {
    if (!factors.some(isSecondFactor)) return { outcome: { kind: 'no_second_factor' } }
    const changed = withNewCredentials(user)
    const replaced = factors.filter(one => !isSecondFactor(one)).map(({ id }) => id)
    return {
      outcome: { kind: 'done', user: changed },
      user: changed,
      factors: { put: [recoveryCodes], remove: replaced },
      event: { ...event, detail: wordsFor([recoveryCodes]) },
    }
  })
}

/** Another name, or none: nothing of who may sign in. */
export function factorRenaming(id: string, name: string | undefined, event: AuditEvent) {
  return fromWithin(
    event,
    (user, factors): UserChange<FactorRefusal | (FactorsChanged & Readonly<{ factor: Factor }>)> => {
      const before = factors.find(one => one.id === id)
      if (before === undefined) return { outcome: { kind: 'no_such_factor' } }
      const factor = { ...before, name }
      return {
        outcome: { kind: 'done', user, factor },
        factors: { put: [factor] },
        event: { ...event, detail: wordsFor([factor]) },
      }
    },
  )
}

/** Removes a factor, and with the last one the recovery codes, which stand in for nothing any more. */
export function factorRemoval(id: string, event: AuditEvent) {
  return fromWithin(event, (user, factors): UserChange<FactorRefusal | FactorsChanged> => {
    if (!factors.some(one => one.id === id)) return { outcome: { kind: 'no_such_factor' } }
    const isLast = !factors.some(one => one.id !== id && isSecondFactor(one))
    return removing(user, isLast ? factors : factors.filter(one => one.id === id), event)
  })
}

/** What an operator does for who has lost all: removes every factor, and ends the sessions. Decides how many there were. */
export function factorReset(event: AuditEvent) {
  return (user: User | undefined, _: Session | undefined, factors: readonly Factor[]): UserChange<number> => {
    if (user === undefined || factors.length === 0) return { outcome: 0 }
    const endSessions = { reason: 'revoked_by_operator', at: event.at } as const
    return { ...removing(user, factors, event), outcome: factors.length, endSessions }
  }
}

function removing(user: User, factors: readonly Factor[], event: AuditEvent) {
  const changed = withNewCredentials(user)
  return {
    outcome: { kind: 'done', user: changed } as const,
    user: changed,
    factors: { remove: factors.map(({ id }) => id) },
    event: { ...event, detail: [event.detail, wordsFor(factors)].filter(part => part !== undefined).join(': ') },
  }
}

/** A decision of a session that is live, fresh and sure enough. */
function fromWithin<Done>(
  event: AuditEvent,
  decide: (user: User, factors: readonly Factor[]) => UserChange<FactorRefusal | Done>,
) {
  return (
    user: User | undefined,
    session: Session | undefined,
    factors: readonly Factor[],
  ): UserChange<FactorRefusal | Done> => {
    if (!isEnabled(user) || !isOf(user, session, event.at)) return { outcome: { kind: 'session_over' } }
    const missing = missingProof(session, factors, event.at)
    return missing === undefined ? decide(user, factors) : { outcome: missing }
  }
}

const isEnabled = (user: User | undefined): user is User => user !== undefined && user.disabledAt === undefined

function isOf({ id }: User, session: Session | undefined, now: number): session is Session {
  return session !== undefined && session.userId === id && isLive(session, now)
}

/** For the audit trail: which they were, and not what their user calls them. */
function wordsFor(factors: readonly Factor[]): string {
  return factors.map(({ kind, id }) => `${kind} ${id}`).join(', ')
}
