/**
 * Mails that strangers can cause: each one counts, whoever is asked for, so that nobody's mailbox is flooded and nobody learns who has an
 * account here.
 */
import type { Caller } from '../audit/audit.ts'
import { usernameFold } from '../text.ts'
import type { Subject } from './attempt.ts'
import type { Failures } from './failures.ts'
import { refusal } from './guard.ts'
import { networksOf } from './network.ts'

/**
 * Counts a mail that is asked for.
 *
 * @param name what was typed, the name of a user or an address, of bounded length
 * @throws OAuthError `too_many_attempts`, at once, when there were too many for that name or from that network; this one is not counted then
 */
export type MailGuard = (name: string, caller: Caller) => Promise<void>

export function createMailGuard(failures: Pick<Failures, 'spend'>): MailGuard {
  return async (name, { ip }) => {
    const { network, site } = networksOf(ip)
    // One counter for all spellings.
    const fold = usernameFold(name)
    const subjects: Subject[] = [
      ['mail', fold],
      ['mails', fold],
      ['mails of network', network],
    ]
    if (site !== undefined) subjects.push(['mails of site', site])
    const wait = await failures.spend(subjects)
    if (wait !== undefined) throw refusal(wait)
  }
}
