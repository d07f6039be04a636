/** Failed attempts: what each is counted for, who waits because of them, and what nobody else may see of it. */
import type { MasterSecrets } from '../keys/master_secret.ts'
import type { Attempt, Plan, Scope, Subject, Wait } from './attempt.ts'
import { countFailure, emptyCounter, failures, type Limit, maxRemembered } from './counter.ts'
import { type CounterStore, type CountersNow, createOwnStore, createSharedStore, hiddenOf } from './counter_store.ts'
import { type Counters, createCounters } from './counters.ts'
import { createGuesses } from './guesses.ts'
import { createKnownNetworks } from './known_networks.ts'
import { createNames } from './names.ts'
import { createRules } from './rules.ts'
import {
  factorLimit,
  mailLimit,
  mailsLimit,
  maxUntoldFactors,
  networkMailsLimit,
  newAccountsLimit,
  siteMailsLimit,
  siteNewAccountsLimit,
  type ThrottleSettings,
  usernameLimit,
} from './settings.ts'
import type { ThrottleStorage } from './storage.ts'
import { turnKept, turnLimit } from './turns.ts'

export type FailureDeps = Readonly<{
  storage: Pick<ThrottleStorage, 'listCounters' | 'saveCounters' | 'isKnownNetwork' | 'shared'>
  secrets: MasterSecrets
  now: () => number
  randomBytes: (size: number) => Buffer
}>

export type Failures = Awaited<ReturnType<typeof createFailures>>

/** Rows of one transaction: few enough that no request waits for it. */
const batch = 2000
/** Seconds between two looks for counters that are forgotten. */
const pruneInterval = 60

/** @param deps of whose storage the counters of the last run are read, where nobody shares them */
export async function createFailures(settings: ThrottleSettings, deps: FailureDeps) {
  const { storage, now } = deps
  const { maxDelay, entries } = settings
  const limits = limitsOf(settings)
  const { digest, guessOf } = createNames(deps)
  const isShared = storage.shared !== undefined
  const visible = createCounters(entries, isShared ? undefined : await storage.listCounters(now(), entries))
  // Not written: a restart forgets ten guesses.
  const hidden = createCounters(entries)
  const store: CounterStore = isShared ? createSharedStore(storage.shared!, now) : createOwnStore(visible, hidden, now)
  // Of this process alone: what was typed as a password is compared under a key that no other one has.
  const passwords = createCounters(entries)
  const rules = createRules(maxDelay, passwords.get, { ...turnLimit, weight: settings.namesPerAccount })
  const guesses = createGuesses(entries, guessOf, now)
  const known = createKnownNetworks(storage, { lifetime: settings.knownNetwork, entries, now, digest })
  let prunedAt = now()

  /** Gives a turn to who has to wait because others fail for the same account. @param before counters when it came */
  async function giveTurn(attempt: Attempt, wait: Wait, before: CountersNow | undefined) {
    const { turnId } = attempt
    // Most have one already, or none is left: of a flood of refusals nothing is written.
    if (turnId === undefined || (before !== undefined && rules.turnGiven(attempt, wait, before).length === 0)) return
    await store.change([turnId], counters => ({
      outcome: undefined,
      counters: rules.turnGiven(attempt, wait, counters),
    }))
  }

  /**
   * Counts a failed attempt, unless it has to wait by what failed before it did.
   *
   * @param isKnownHere whether it counts against those that are heard although everybody waits
   * @returns the wait
   */
  async function count(attempt: Attempt, isKnownHere: boolean): Promise<Wait | undefined> {
    const { ownId, counted, stored, guess } = attempt
    const hiddenId = ownId && hiddenOf(ownId)
    const isRepeatedHidden = guesses.has(hiddenId, guess)
    const isRepeated = guesses.has(ownId, guess)
    const countPassword = once((now: number) => countOn(passwords, counted, now, maxDelay))
    const { wait, isHiddenCounted } = await store.change(stored, counters => {
      const wait = rules.findWait(attempt, counters)
      // Where it costs a row, it is written for all of them: no time tells whose network it is.
      const isHiddenCounted = !isRepeatedHidden && (isKnownHere || (isShared && wait === undefined))
      const changed = isHiddenCounted ? rules.hiddenFailure(attempt, counters) : []
      if (wait === undefined && !isRepeated) {
        changed.push(...rules.failures(attempt, counters))
        // Here, for the next one is judged by it at once.
        countPassword(counters.at)
      }
      return { outcome: { wait, isHiddenCounted }, counters: changed }
    })
    if (isHiddenCounted) guesses.note(hiddenId, guess)
    if (wait === undefined && !isRepeated) guesses.note(ownId, guess)
    return wait
  }

  const isKnown = async ({ known: here }: Pick<Plan, 'known'>) => here !== undefined && known.has(...here)

  async function countHidden(attempt: Attempt) {
    const hiddenId = attempt.ownId && hiddenOf(attempt.ownId)
    if (hiddenId === undefined || guesses.has(hiddenId, attempt.guess)) return
    await store.change([hiddenId], counters => ({
      outcome: undefined,
      counters: rules.hiddenFailure(attempt, counters),
    }))
    guesses.note(hiddenId, attempt.guess)
  }

  /**
   * Judges an attempt that was right by what failed before its check was done.
   *
   * @param isHeard whether only what nobody may see counts against it
   * @returns the wait; without one, what was counted against it and others cannot see is forgotten
   */
  async function settle(attempt: Attempt, isHeard: boolean): Promise<Wait | undefined> {
    const { ownId, clearedIds } = attempt
    const wait = await store.judge(attempt.stored, counters => {
      const wait = rules.findWait(attempt, counters)
      if (wait !== undefined && (!isHeard || rules.waitsHidden(attempt, counters))) return { outcome: wait }
      const cleared = ownId === undefined ? clearedIds : [...clearedIds, hiddenOf(ownId)]
      return { outcome: undefined, forgotten: cleared.filter(id => counters.get(id) !== emptyCounter) }
    })
    if (wait === undefined && ownId !== undefined) guesses.forget(hiddenOf(ownId))
    return wait
  }

  async function flushBatch() {
    const networks = known.takeNew(batch)
    const { counted, gone } = visible.takeChanged(batch, now())
    try {
      await storage.saveCounters(counted, gone, networks)
    } catch (error) {
      // Tried again with the next batch.
      visible.putBack(counted)
      known.putBack(networks)
      throw error
    }
  }

  function prune() {
    prunedAt = now()
    for (const those of [visible, hidden]) those.prune(now() - turnKept)
    passwords.prune(now() - turnKept)
    guesses.prune(now() - maxRemembered(limits.client))
    known.prune()
  }

  return {
    open: (plan: Plan) => openAttempt(plan, digest, limits),
    /** What is counted now of all that an attempt is judged by. */
    read: (attempt: Attempt) => store.read(attempt.stored),
    findWait: rules.findWait,
    waitsHidden: rules.waitsHidden,
    giveTurn,
    count,
    isKnown,
    countHidden,
    settle,
    /** Whether there is nothing to judge an attempt by. */
    isUncounted: ({ stored }: Attempt, { get }: CountersNow) => stored.every(id => get(id) === emptyCounter),
    remember({ known: here }: Pick<Plan, 'known'>) {
      if (here !== undefined) known.remember(...here)
    },
    /**
     * Whether so many failures came together that somebody is to be told, which is so once in a time.
     *
     * @param note what is noted of that
     */
    isToBeTold(of: Subject, count: number, note: readonly ['told', ...parts: string[]], seconds: number) {
      const [id, noteId] = [digest(...of), digest(...note)]
      const limit: Limit = { allowance: 0, forget: seconds }
      return store.change([id, noteId], ({ get, at }) => {
        if (failures(get(id), limits[of[0]], at) < count || failures(get(noteId), limit, at) > 0)
          return { outcome: false }
        return { outcome: true, counters: [{ id: noteId, emptyAt: at + seconds, readyAt: 0, limit }] }
      })
    },
    /** Counts what costs something whether it is right or wrong, unless it has to wait. @returns the wait */
    async spend(others: readonly Subject[]): Promise<Wait | undefined> {
      const attempt = openAttempt({ own: undefined, others, isSlow: false, patience: 0 }, digest, limits)
      return store.change(attempt.stored, counters => {
        const outcome = rules.findWait(attempt, counters)
        return outcome ? { outcome } : { outcome, counters: rules.failures(attempt, counters) }
      })
    },
    guessOf,
    isEmpty: () => !isShared && visible.size() === 0 && hidden.size() === 0,
    size: () => visible.size() + hidden.size() + passwords.size(),
    /** Writes what changed since the last call. */
    async flush() {
      if (now() - prunedAt >= pruneInterval || now() < prunedAt) prune()
      while (visible.hasChanged() || known.hasNew()) await flushBatch()
    },
  }
}

function openAttempt(
  plan: Plan,
  digest: (...parts: readonly string[]) => string,
  limits: Readonly<Record<Scope, Limit>>,
): Attempt {
  const subjects = plan.own === undefined ? plan.others : [plan.own, ...plan.others]
  const tally = (subject: Subject) => ({ scope: subject[0], id: digest(...subject), limit: limits[subject[0]] })
  const counted = subjects.map(tally)
  const notedCounters = (plan.noted ?? []).map(tally)
  const clearedIds = (plan.cleared ?? []).map(subject => digest(...subject))
  const ownId = plan.own && counted[0]!.id
  const turnId = plan.turn && digest(...plan.turn)
  const stored = [...counted, ...notedCounters].filter(({ scope }) => scope !== 'password').map(({ id }) => id)
  if (turnId !== undefined) stored.push(turnId)
  if (ownId !== undefined) stored.push(hiddenOf(ownId))
  return { ...plan, counted, notedCounters, clearedIds, ownId, turnId, stored, arrivedAt: performance.now() }
}

/** Counts a failure for the password that was typed, where one was. */
function countOn(passwords: Counters, counted: Attempt['counted'], now: number, maxDelay: number): void {
  for (const { scope, id, limit } of counted)
    if (scope === 'password') passwords.set(id, countFailure(passwords.get(id), limit, now, maxDelay))
}

/** @returns runs a function the first time that it is called */
function once<Argument>(run: (argument: Argument) => void): (argument: Argument) => void {
  let isDone = false
  return argument => {
    if (isDone) return
    isDone = true
    run(argument)
  }
}

function limitsOf(settings: ThrottleSettings): Record<Scope, Limit> {
  const own = { allowance: settings.account, forget: settings.forgetAccount }
  // Whoever guesses at all the names of an account has no more guesses than at one.
  const weight = settings.namesPerAccount
  const network = { allowance: settings.network, forget: settings.forgetNetwork }
  const site = { allowance: settings.site, forget: settings.forgetNetwork }
  return {
    account: { ...own, weight },
    client: own,
    current: own,
    elsewhere: { allowance: settings.elsewhere, forget: settings.forgetAccount, weight },
    network,
    clients: network,
    site,
    'clients of site': site,
    password: { allowance: settings.password, forget: settings.forgetNetwork },
    factor: factorLimit,
    'factor here': factorLimit,
    'factors in a row': { allowance: maxUntoldFactors, forget: 86_400 },
    mail: mailLimit,
    mails: mailsLimit,
    'mails of network': networkMailsLimit,
    'mails of site': siteMailsLimit,
    usernames: usernameLimit,
    'new accounts': newAccountsLimit,
    'new accounts of site': siteNewAccountsLimit,
  }
}
