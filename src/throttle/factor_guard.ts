/**
 * Wrong codes of second factors. They have six digits, so the allowance is one over all networks, and no success gives any of it back:
 * the owner's own would hand it to whoever knows the password and guesses. Where the user gave a factor before there is an allowance of
 * that network's own, so that strangers who know the password do not shut the owner out there.
 */
import { auditEvent, type Caller } from '../audit/audit.ts'
import type { AuditStorage } from '../audit/storage.ts'
import { OAuthError } from '../error.ts'
import type { Failures } from './failures.ts'
import type { Guard } from './guard.ts'
import { networksOf } from './network.ts'
import { maxUntoldFactors } from './settings.ts'

/**
 * Runs the check of a code, which says that it is wrong by refusing with `invalid_grant`.
 *
 * @param attempt `kind` is the kind of factor: each has an allowance of its own
 * @throws OAuthError `too_many_attempts`, at once
 */
export type FactorGuard = <T>(
  attempt: Readonly<{ userId: string; kind: string }>,
  caller: Caller,
  check: () => Promise<T>,
) => Promise<T>

/** Seconds between two events that tell of one user. */
const toldInterval = 3600

export function createFactorGuard(
  failures: Failures,
  guard: Guard,
  { storage, now }: Readonly<{ storage: Pick<AuditStorage, 'addAuditEvents'>; now: () => number }>,
): FactorGuard {
  /** Somebody who gives wrong codes has given the right password before. */
  async function tell(userId: string, kind: string, caller: Caller) {
    const count = maxUntoldFactors + 1
    const isToBeTold = await failures.isToBeTold(['factors in a row', userId], count, ['told', userId], toldInterval)
    if (!isToBeTold) return
    const detail = `${count} wrong codes or more in a row, the last of kind ${kind}`
    await storage.addAuditEvents([auditEvent('factor.guessed', now(), caller, { userId, detail })])
  }

  return async ({ userId, kind }, caller, check) => {
    const { network } = networksOf(caller.ip)
    const known = [`factors of ${userId}`, network] as const
    const everywhere = ['factor', userId, kind] as const
    const inARow = ['factors in a row', userId] as const
    const plan = (await failures.isKnown({ known }))
      ? { others: [['factor here', userId, kind, network] as const], noted: [everywhere, inARow] }
      : { others: [everywhere], noted: [inARow] }
    try {
      const outcome = await guard({ own: undefined, ...plan, cleared: [inARow], isSlow: true, patience: 0 }, check)
      failures.remember({ known })
      return outcome
    } catch (error) {
      if (error instanceof OAuthError && error.code === 'invalid_grant') await tell(userId, kind, caller)
      throw error
    }
  }
}
