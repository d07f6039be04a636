/**
 * Throttling of what can be guessed: passwords and client secrets. Failures are counted in memory and written to the database
 * in batches, so that a flood of refused attempts costs no write each and a restart forgets little.
 *
 * Who is made to wait: an account in one network, an account in all networks, a network over all accounts, and a password over
 * everything. What others can see of that is the same for the names of users and of nobody: only failures are counted, alike
 * wherever they come from, and a success leaves no trace.
 *
 * Who has to wait where the account signed in before is heard all the same, within an allowance that nobody sees: the right
 * password signs in, and everything else is answered as if nothing had been looked at, at the same moment as everybody's.
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import type { Caller } from '../audit/audit.ts'
import { OAuthError } from '../error.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { toNfc } from '../normal_form.ts'
import { usernameFold } from '../text.ts'
import { countFailure, type Limit, waitOf } from './counter.ts'
import { type Counters, createCounters } from './counters.ts'
import { createHeldAnswers } from './held_answers.ts'
import { createKnownNetworks } from './known_networks.ts'
import { networksOf } from './network.ts'
import type { ThrottleSettings } from './settings.ts'
import type { ThrottleStorage } from './storage.ts'
import { createTurns, turnKept } from './turns.ts'

/**
 * Says no by refusing with `invalid_grant` or `invalid_client`; everything else that it throws counts neither way.
 *
 * @param isLate given where the attempt has to wait and the check is made all the same, beside the line: once it answers true,
 *               nobody waits for the result any more
 */
export type Check<T> = (isLate?: () => boolean) => Promise<T>

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
  /** Writes what changed since the last call. */
  flush: () => Promise<void>
  /** How many counters there are. */
  size: () => number
}>

type Scope =
  | 'account'
  | 'elsewhere'
  | 'network'
  | 'site'
  | 'password'
  | 'current'
  | 'client'
  | 'clients'
  | 'clients of site'

/** What a counter is of: a scope and what tells one from another in it. */
type Subject = readonly [scope: Scope, ...parts: string[]]

type Plan = Readonly<{
  own: Subject | undefined
  others: readonly Subject[]
  /** Counts the attempts of a neighbourhood that came in turn while the account waits everywhere. */
  turn?: readonly ['turn', ...parts: string[]]
  /** Of whom and where a network is known after a success. */
  known?: readonly [who: string, network: string]
  /** Attempts take long enough that several are under way at once. */
  isSlow: boolean
  /** Milliseconds after which everybody who has to wait is told so. */
  patience: number
  /** What was tried: the same again is no other guess. */
  guess?: string | undefined
  /** Where nobody else can see the counter. */
  isClearedBySuccess?: boolean
}>

type Attempt = Plan &
  Readonly<{
    /** What it counts for, and is made to wait by, in this order. */
    counted: readonly Readonly<{ scope: Scope; id: string; limit: Limit }>[]
    ownId: string | undefined
    turnId: string | undefined
    arrivedAt: number
  }>

type Wait = Readonly<{ scope: Scope; seconds: number; until: number }>

/** Rows of one transaction: few enough that no request waits for it. */
const batch = 2000
/** Seconds between two looks for counters that are forgotten. */
const pruneInterval = 60
/** Milliseconds for the check of a client: all that needs no other server. */
const clientPatience = 25

/** @param storage of which the counters of the last run are read */
export async function createThrottle(
  settings: ThrottleSettings,
  { storage, secrets, now, randomBytes }: ThrottleDeps,
): Promise<Throttle> {
  const { maxDelay } = settings
  const limits = limitsOf(settings)
  // The oldest, so that putting a new one before it forgets nobody.
  const { throttleKey } = secrets.at(-1)!
  // What was typed as a password is compared under a key that no file ever holds.
  const guessKey = createSecretKey(randomBytes(32))
  const counters = createCounters(settings.entries, await storage.listCounters(now(), settings.entries))
  // Apart from the others, which must not be fewer or forgotten sooner for what nobody may see. Not written: a restart forgets ten guesses.
  const hidden = createCounters(settings.entries)
  const known = createKnownNetworks(storage, {
    lifetime: settings.knownNetwork,
    entries: settings.entries,
    now,
    digest,
  })
  const turns = createTurns(counters, now, maxDelay)
  const heldAnswers = createHeldAnswers()
  const underWay = new Set<string>()
  let prunedAt = now()

  function open(plan: Plan): Attempt {
    const subjects = plan.own === undefined ? plan.others : [plan.own, ...plan.others]
    const counted = subjects.map(subject => ({ scope: subject[0], id: idOf(subject), limit: limits[subject[0]] }))
    return {
      ...plan,
      counted,
      ownId: plan.own && counted[0]!.id,
      turnId: plan.turn && idOf(plan.turn),
      arrivedAt: performance.now(),
    }
  }

  const secondsOf = (id: string) => waitOf(counters.get(id), now(), maxDelay)

  /** A function of failures and the clock, which knows nothing of users. */
  function findWait({ counted, turnId }: Attempt): Wait | undefined {
    for (const { scope, id } of counted) {
      const wait = secondsOf(id)
      if (wait === 0) continue
      const seconds = scope === 'elsewhere' && turnId !== undefined ? turns.waitFor(turnId, wait) : wait
      if (seconds > 0) return { scope, seconds, until: now() + seconds }
    }
    return undefined
  }

  function giveTurn({ turnId }: Attempt, { scope, until }: Wait) {
    if (scope === 'elsewhere' && turnId !== undefined) turns.give(turnId, until)
  }

  /** Of an attempt that was let through although the account waits everywhere. */
  function takeTurn({ counted, turnId }: Attempt) {
    const isInTurn = counted.some(({ scope, id }) => scope === 'elsewhere' && secondsOf(id) > 0)
    if (isInTurn && turnId !== undefined) turns.take(turnId)
  }

  function count(attempt: Attempt) {
    if (isRepeated(counters, attempt)) return
    takeTurn(attempt)
    for (const { scope, id, limit } of attempt.counted)
      counters.set(id, countFailure(counters.get(id), limit, now(), maxDelay), scope !== 'password')
  }

  /** Whether the very same was tried here before: an instance with an old secret must not shut out the others beside it. */
  function isRepeated(those: Counters, { ownId, guess }: Attempt): boolean {
    return ownId !== undefined && guess !== undefined && those.isRepeated(ownId, guessOf(guess))
  }

  const isKnown = async (plan: Plan) => plan.known !== undefined && known.has(...plan.known)
  const waitsHidden = ({ ownId }: Attempt) => ownId !== undefined && waitOf(hidden.get(ownId), now(), maxDelay) > 0

  function countHidden(attempt: Attempt) {
    const { ownId, counted } = attempt
    if (ownId === undefined || isRepeated(hidden, attempt)) return
    hidden.set(ownId, countFailure(hidden.get(ownId), counted[0]!.limit, now(), maxDelay), false)
  }

  function succeed({ own, known: here, isClearedBySuccess }: Plan) {
    if (own !== undefined && hidden.size() > 0) hidden.forget(idOf(own))
    if (own !== undefined && isClearedBySuccess === true) counters.forget(idOf(own))
    if (here !== undefined) known.remember(...here)
  }

  /**
   * Checks an attempt that has to wait, where its account is known.
   *
   * @returns undefined when it was wrong, late or not heard
   */
  async function checkUnseen<T>(attempt: Attempt, check: Check<T>, isLate: () => boolean) {
    const { ownId = '', isSlow } = attempt
    if (!(await isKnown(attempt)) || waitsHidden(attempt) || underWay.has(ownId)) return undefined
    // One after the other, so that many at once make no work that somebody could measure.
    if (isSlow) underWay.add(ownId)
    try {
      const outcome = await check(isLate)
      if (isLate()) return undefined
      succeed(attempt)
      return { outcome }
    } catch (error) {
      // Whatever happened, it is answered like an attempt that nobody heard; what comes too late has told nobody anything.
      if (isNo(error) && !isLate()) countHidden(attempt)
      return undefined
    } finally {
      underWay.delete(ownId)
    }
  }

  /**
   * Refuses an attempt, when its patience has passed. What comes while too many are held is refused at once and unheard,
   * whoever it is.
   *
   * @param check left out when it has been made
   * @returns the outcome of the check, when it was heard and good
   */
  async function refuse<T>(attempt: Attempt, wait: Wait, check?: Check<T>): Promise<T> {
    let isDecided = false
    let isRight = false
    const decide = () => {
      isDecided = true
      // At one moment, whether it was heard or not; and a success leaves no trace.
      if (!isRight) giveTurn(attempt, wait)
    }
    const { arrivedAt, patience } = attempt
    const due = patience === 0 ? undefined : heldAnswers.hold(arrivedAt + patience - performance.now(), decide)
    if (due === undefined) decide()
    else if (check !== undefined) {
      const right = await Promise.race([due, checkUnseen(attempt, check, () => isDecided)])
      isRight = right !== undefined
      if (right) return right.outcome
    }
    throw refusal(wait, due)
  }

  async function guard<T>(plan: Plan, check: Check<T>): Promise<T> {
    if (!settings.enabled) return check()
    // Nothing to wait for: the way of nearly every client.
    const attempt = counters.size() === 0 && !plan.isSlow ? undefined : open(plan)
    const wait = attempt && findWait(attempt)
    if (wait !== undefined) return refuse(attempt!, wait, check)
    const isKnownHere = plan.isSlow ? await isKnown(plan) : undefined
    let outcome: T
    try {
      outcome = await check()
    } catch (error) {
      if (isNo(error)) await fail(attempt ?? open(plan), isKnownHere)
      throw error
    }
    // Guesses at once are no more than one after the other: each is judged by those that failed before it was.
    const waitNow = plan.isSlow ? findWait(attempt!) : undefined
    if (waitNow !== undefined && (!isKnownHere || waitsHidden(attempt!))) return refuse(attempt!, waitNow)
    succeed(plan)
    return outcome
  }

  async function fail(attempt: Attempt, isKnownHere: boolean | undefined) {
    if (isKnownHere ?? (await isKnown(attempt))) countHidden(attempt)
    const wait = attempt.isSlow ? findWait(attempt) : undefined
    if (wait !== undefined) await refuse(attempt, wait)
    count(attempt)
  }

  async function flushBatch() {
    const networks = known.takeNew(batch)
    const { kept, gone } = counters.takeChanged(batch)
    try {
      await storage.saveCounters(kept, gone, networks)
    } catch (error) {
      // Tried again with the next batch.
      counters.putBack(kept)
      known.putBack(networks)
      throw error
    }
  }

  function prune() {
    prunedAt = now()
    for (const those of [counters, hidden]) those.prune(now() - turnKept)
    known.prune()
  }

  /** Names of one size, which tell nothing without the master secret: people type passwords where names belong. */
  function digest(...parts: readonly string[]): string {
    return mac(throttleKey, parts)
  }
  const idOf = (subject: readonly string[]) => digest(...subject)
  const guessOf = (text: string) => mac(guessKey, [toNfc(text)])

  return {
    signIn({ username, password, patience }, { ip }, check) {
      // One counter for all spellings.
      const account = usernameFold(username)
      const { network, site, neighbourhood } = networksOf(ip)
      const others: Subject[] = [
        ['elsewhere', account],
        ['network', network],
        ['password', guessOf(password)],
      ]
      if (site !== undefined) others.push(['site', site])
      const own: Subject = ['account', account, network]
      const turn = ['turn', account, neighbourhood] as const
      return guard({ own, others, turn, known: [`user ${account}`, network], isSlow: true, patience }, check)
    },
    currentPassword(sessionId, check) {
      // Only who holds the session can see its counter.
      const plan = { own: ['current', sessionId] as const, others: [], isSlow: true, isClearedBySuccess: true }
      return guard({ ...plan, patience: 0 }, check)
    },
    client({ clientId, secret }, { ip }, check) {
      const { network, site } = networksOf(ip)
      const others: Subject[] = [['clients', network]]
      if (site !== undefined) others.push(['clients of site', site])
      const guess = secret === undefined ? undefined : { own: ['client', clientId, network] as const, guess: secret }
      const known = [`client ${clientId}`, network] as const
      return guard({ own: undefined, ...guess, others, known, isSlow: false, patience: clientPatience }, check)
    },
    async flush() {
      if (now() - prunedAt >= pruneInterval || now() < prunedAt) prune()
      while (counters.hasChanged() || known.hasNew()) await flushBatch()
    },
    size: () => counters.size() + hidden.size(),
  }
}

type ThrottleDeps = Readonly<{
  storage: Pick<ThrottleStorage, 'listCounters' | 'saveCounters' | 'isKnownNetwork'>
  secrets: MasterSecrets
  now: () => number
  randomBytes: (size: number) => Buffer
}>

function limitsOf(settings: ThrottleSettings): Record<Scope, Limit> {
  const account = { allowance: settings.account, forget: settings.forgetAccount }
  const network = { allowance: settings.network, forget: settings.forgetNetwork }
  const site = { allowance: settings.site, forget: settings.forgetNetwork }
  return {
    account,
    client: account,
    current: account,
    elsewhere: { allowance: settings.elsewhere, forget: settings.forgetAccount },
    network,
    clients: network,
    site,
    'clients of site': site,
    password: { allowance: settings.password, forget: settings.forgetNetwork },
  }
}

function mac(key: KeyObject, parts: readonly string[]): string {
  return createHmac('sha256', key).update(JSON.stringify(parts)).digest('base64url').slice(0, 22)
}

function isNo(error: unknown): boolean {
  return error instanceof OAuthError && (error.code === 'invalid_grant' || error.code === 'invalid_client')
}

function refusal({ seconds, scope }: Wait, heldUntil?: Promise<void>): OAuthError {
  return new OAuthError('too_many_attempts', 'too many attempts failed; try again later', {
    cause: `throttled by ${scope}`,
    retryAfter: seconds,
    heldUntil,
  })
}
