/**
 * Throttling of what can be guessed: passwords, client secrets, and the codes of second factors. A process with a database of its own counts failures in memory and
 * writes them in batches, so that a restart forgets little; nodes that share one count there, so that the attempts at all of them
 * are one another's. A refused attempt costs no write.
 *
 * Who is made to wait: an account in one network, an account in all networks, a network over all accounts, and a password over
 * everything. What others can see of that is the same for the names of users and of nobody: only failures are counted, alike
 * wherever they come from, and a success leaves no trace.
 *
 * Who has to wait where the account signed in before is heard all the same, within an allowance that nobody sees: the right
 * password signs in, and everything else is answered as if nothing had been looked at, at the same moment as everybody's.
 */
import type { Caller } from '../audit/audit.ts'
import type { AuditStorage } from '../audit/storage.ts'
import { usernameFold } from '../text.ts'
import type { Subject } from './attempt.ts'
import { createFactorGuard, type FactorGuard } from './factor_guard.ts'
import { createFailures, type FailureDeps } from './failures.ts'
import { type Check, createGuard, type Guard } from './guard.ts'
import { createMailGuard, type MailGuard } from './mail_guard.ts'
import { networksOf } from './network.ts'
import { createNewAccountGuard, type NewAccountGuard } from './new_account_guard.ts'
import type { ThrottleSettings } from './settings.ts'

export type Throttle = Readonly<{
  /**
   * Runs the check of a password for a sign-in.
   *
   * @param attempt `patience` is how long a check beside the line may take, in milliseconds
   * @throws OAuthError `too_many_attempts`, which is to be answered when its `heldUntil` has come
   */
  signIn: <T>(
    attempt: { username: string; password: string; patience: number },
    caller: Caller,
    check: Check<T>,
  ) => Promise<T>
  /** The same for the current password that a signed-in user gives. Counted by session: whoever stole one locks out nobody else. */
  currentPassword: <T>(sessionId: string, check: () => Promise<T>) => Promise<T>
  /** The same for client authentication. @param secret undefined for an assertion, which nobody can guess */
  client: <T>(
    attempt: { clientId: string; secret: string | undefined },
    caller: Caller,
    check: () => Promise<T>,
  ) => Promise<T>
  /** The same for the code of a second factor, after the right password or in a session: nobody else can make its user wait. */
  factor: FactorGuard
  /** The same for a username that somebody wants, which is wrong where it is taken. @param who a user's id, or the address of who signs up */
  newUsername: <T>(who: string, check: () => Promise<T>) => Promise<T>
  /** Counts mails that are asked for, each of them. */
  mail: MailGuard
  /** Counts accounts that people make, each of them. */
  newAccount: NewAccountGuard
  /** Writes what changed since the last call. */
  flush: () => Promise<void>
  /** How many counters there are. */
  size: () => number
}>

/** Milliseconds for the check of a client: all that needs no other server, or only that of the database. */
const clientPatience = 25
const sharedClientPatience = 250

/** @param deps whose `secrets` are asked each time */
export async function createThrottle(
  settings: ThrottleSettings,
  deps: FailureDeps & Readonly<{ storage: Pick<AuditStorage, 'addAuditEvents'> }>,
): Promise<Throttle> {
  const failures = await createFailures(settings, deps)
  const guard: Guard = settings.enabled ? createGuard(failures) : (_plan, check) => check()

  const patience = deps.storage.shared === undefined ? clientPatience : sharedClientPatience

  return {
    signIn({ username, password, patience }, { ip }, check) {
      // One counter for all spellings.
      const account = usernameFold(username)
      const { network, site, neighbourhood } = networksOf(ip)
      const others: Subject[] = [
        ['elsewhere', account],
        ['network', network],
        ['password', failures.guessOf(password)],
      ]
      if (site !== undefined) others.push(['site', site])
      const own: Subject = ['account', account, network]
      const turn = ['turn', account, neighbourhood] as const
      return guard({ own, others, turn, known: [`user ${account}`, network], isSlow: true, patience }, check)
    },
    currentPassword(sessionId, check) {
      // Only who holds the session can see its counter.
      const own = ['current', sessionId] as const
      return guard({ own, others: [], cleared: [own], isSlow: true, patience: 0 }, check)
    },
    client({ clientId, secret }, { ip }, check) {
      const { network, site } = networksOf(ip)
      const others: Subject[] = [['clients', network]]
      if (site !== undefined) others.push(['clients of site', site])
      const guess = secret === undefined ? undefined : { own: ['client', clientId, network] as const, guess: secret }
      const known = [`client ${clientId}`, network] as const
      return guard({ own: undefined, ...guess, others, known, isSlow: false, patience }, check)
    },
    factor: settings.enabled ? createFactorGuard(failures, guard, deps) : (_attempt, _caller, check) => check(),
    newUsername: (userId, check) =>
      guard({ own: undefined, others: [['usernames', userId]], isSlow: true, patience: 0 }, check),
    mail: settings.enabled ? createMailGuard(failures) : async () => {},
    newAccount: settings.enabled ? createNewAccountGuard(failures) : async () => {},
    flush: failures.flush,
    size: failures.size,
  }
}
