/** Accounts that people make for themselves: so many from one network, whoever proves so many addresses. */
import type { Caller } from '../audit/audit.ts'
import type { Subject } from './attempt.ts'
import type { Failures } from './failures.ts'
import { refusal } from './guard.ts'
import { networksOf } from './network.ts'

/**
 * Counts an account that is about to be made.
 *
 * @throws OAuthError `too_many_attempts`, at once, when there were too many from that network; this one is not counted then
 */
export type NewAccountGuard = (caller: Caller) => Promise<void>

export function createNewAccountGuard(failures: Pick<Failures, 'spend'>): NewAccountGuard {
  return async ({ ip }) => {
    const { network, site } = networksOf(ip)
    const subjects: Subject[] = [['new accounts', network]]
    if (site !== undefined) subjects.push(['new accounts of site', site])
    const wait = await failures.spend(subjects)
    if (wait !== undefined) throw refusal(wait)
  }
}
