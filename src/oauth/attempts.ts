/**
 * Throttling of what can be guessed: passwords and client secrets. Failures are counted in memory and written to the database
 * in batches, so that a flood of refused attempts costs no write each and a restart forgets little.
 *
 * Who is made to wait: an account in one network, an account wherever nobody knows it, a network over all accounts, and a password
 * over everything. A network from which somebody signed in before has an allowance of its own for that account and never waits
 * for what others do.
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import type { Caller } from './audit.ts'
import { OAuthError } from './error.ts'
import type { MasterSecrets } from './master_secret.ts'
import { networksOf } from './network.ts'
import type { KnownNetwork, Storage, StoredCounter } from './storage.ts'
import { usernameFold } from './text.ts'
import { type Counter, countFailure, decideAttempt, emptyCounter, failures, type Limit } from './throttle.ts'

/** Allowances are failures that nobody waits for; times are seconds. */
export type ThrottleSettings = Readonly<{
  enabled: boolean
  /** Of one account in one network; also of one client there, and of one session that asks for the current password. */
  account: number
  /** Of one account in all networks that it does not know. */
  elsewhere: number
  /** Of one network over all accounts. */
  network: number
  /** Of one IPv6 /48 over all accounts. */
  site: number
  /** Of one password over all accounts and networks. */
  password: number
  /** How soon a failure is forgotten: those of an account, and those of a network, a site or a password. */
  forgetAccount: number
  forgetNetwork: number
  longestDelay: number
  /** How long a network is known after a sign-in there. */
  knownNetwork: number
  /** Counters that are kept; beyond it those go that would be forgotten first. */
  entries: number
}>

export type Throttle = Readonly<{
  /**
   * Runs the check of a password for a sign-in. A check says no by answering false or by refusing with `invalid_grant` or
   * `invalid_client`; everything else that it throws counts neither way.
   *
   * @throws OAuthError `too_many_attempts`, in which case the check did not run
   */
  signIn: <T>(attempt: { username: string; password: string }, caller: Caller, check: () => Promise<T>) => Promise<T>
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
  | 'turn'
  | 'current'
  | 'client'
  | 'clients'
  | 'clients of site'

/** What a counter is of: a scope and what tells one from another in it. */
type Subject = readonly [scope: Scope, ...parts: string[]]

type Plan = Readonly<{
  own: Subject | undefined
  /** What a known network does not wait for. */
  others: readonly Subject[]
  /** Counts the attempts of a neighbourhood that came in turn while the account waits elsewhere. */
  turn?: Subject
  /** Of whom and where a network is known after a success. */
  known?: readonly [who: string, network: string]
  /** Attempts take long enough that several are under way at once. */
  isSlow: boolean
  /** What was tried: the same again is no other guess. */
  guess?: string | undefined
}>

/** Times that a neighbourhood comes in turn, and seconds until one of them is forgotten. */
const turns: Limit = { allowance: 3, forget: 8 * 3600 }
/** Seconds that a turn is kept for whoever was told to come again. */
const turnKept = 600
/** Seconds between two writes of the same known network. */
const rememberAgain = 86_400
/** Wrong secrets of one counter that are recognised when they come again: those of a few instances that were forgotten. */
const mostGuesses = 4
/** Rows of one transaction: few enough that no request waits for it. */
const batch = 2000
/** Seconds between two looks for counters that are forgotten. */
const pruneInterval = 60

/** @param storage of which the counters of the last run are read */
export async function createThrottle(
  settings: ThrottleSettings,
  { storage, secrets, now, randomBytes }: ThrottleDeps,
): Promise<Throttle> {
  const { longestDelay } = settings
  const limits = limitsOf(settings)
  // The oldest, so that putting a new one before it forgets nobody.
  const { throttleKey } = secrets.at(-1)!
  // What was typed as a password is compared under a key that no file ever holds.
  const guessKey = createSecretKey(randomBytes(32))
  const counters = new Map<string, Counter>()
  const pending = new Map<string, number>()
  const guesses = new Map<string, readonly string[]>()
  const changed = new Set<string>()
  const knownSince = new Map<string, number>()
  const newlyKnown: KnownNetwork[] = []
  let prunedAt = now()

  for (const { id, ...counter } of await storage.listCounters(now(), settings.entries)) counters.set(id, counter)

  const counterOf = (id: string) => counters.get(id) ?? emptyCounter
  const waitOf = (id: string, limit: Limit) =>
    decideAttempt(counterOf(id), limit, pending.get(id) ?? 0, now(), longestDelay)

  function setCounter(id: string, counter: Counter, isKept: boolean) {
    if (counters.size >= settings.entries && !counters.has(id)) evict()
    counters.set(id, counter)
    if (isKept) changed.add(id)
  }

  function forget(id: string) {
    guesses.delete(id)
    if (counters.delete(id)) changed.add(id)
  }

  /** Makes room by a tenth: first goes what would be forgotten first, so that nobody can wash away an account's failures. */
  function evict() {
    const order = Float64Array.from(counters.values(), forgottenAt).sort()
    let left = Math.ceil(order.length / 10)
    const latest = order[left] ?? Number.POSITIVE_INFINITY
    for (const [id, counter] of counters) {
      if (forgottenAt(counter) > latest) continue
      forget(id)
      if (--left === 0) return
    }
  }

  function prune() {
    prunedAt = now()
    for (const [id, counter] of counters) if (forgottenAt(counter) + turnKept <= now()) forget(id)
    if (knownSince.size > settings.entries) knownSince.clear()
  }

  function addPending(ids: readonly string[], count: 1 | -1) {
    for (const id of ids) {
      const sum = (pending.get(id) ?? 0) + count
      if (sum === 0) pending.delete(id)
      else pending.set(id, sum)
    }
  }

  /**
   * Who waits because others fail for the same account is given a turn and keeps it, however many others ask meanwhile: nobody
   * is shut out for longer than the longest delay, and a neighbourhood gets only a few such turns a day.
   */
  function waitForTurn(id: string, wait: number): number {
    const turn = counterOf(id)
    if (failures(turn, turns, now()) >= turns.allowance) return wait
    const left = turn.readyAt - now()
    if (left > longestDelay || left < -turnKept) {
      setCounter(id, { ...turn, readyAt: now() + wait }, false)
      return wait
    }
    return Math.max(0, left)
  }

  function takeTurn(id: string) {
    const { emptyAt } = countFailure(counterOf(id), turns, now(), longestDelay)
    setCounter(id, { emptyAt, readyAt: 0 }, true)
  }

  async function isKnown({ known }: Plan): Promise<boolean> {
    if (known === undefined) return false
    const [who, network] = known
    const name = knownName(who, network)
    const since = knownSince.get(name) ?? Number.NEGATIVE_INFINITY
    return (
      now() - since < settings.knownNetwork ||
      storage.isKnownNetwork(digest('who', who), digest('network', network), now())
    )
  }

  function remember({ known }: Plan) {
    if (known === undefined) return
    const [who, network] = known
    const name = knownName(who, network)
    if (now() - (knownSince.get(name) ?? Number.NEGATIVE_INFINITY) < rememberAgain) return
    knownSince.set(name, now())
    const expiresAt = now() + settings.knownNetwork
    if (newlyKnown.length >= settings.entries) newlyKnown.shift()
    newlyKnown.push({ who: digest('who', who), network: digest('network', network), expiresAt })
  }

  /**
   * Lets an attempt through, or refuses it.
   *
   * @returns the ids that it is under way for, until they are taken back
   */
  async function admit(plan: Plan): Promise<readonly string[]> {
    const own = plan.own === undefined ? [] : [idOf(plan.own)]
    const others = plan.others.map(idOf)
    const ownWait = () => Math.max(0, ...own.map(id => waitOf(id, limits[plan.own![0]])))
    const otherWaits = () => others.map((id, i) => waitOf(id, limits[plan.others[i]![0]]))
    // Asked only where it matters, and before all that follows, which must not be interrupted.
    const isOfOwn = ownWait() === 0 && Math.max(0, ...otherWaits()) > 0 && (await isKnown(plan))

    let wait = ownWait()
    if (wait > 0) refuse(wait, plan.own![0])
    if (!isOfOwn) {
      const turn = plan.turn === undefined ? undefined : idOf(plan.turn)
      let isInTurn = false
      for (const [i, otherWait] of otherWaits().entries()) {
        if (otherWait === 0) continue
        const scope = plan.others[i]![0]
        wait = scope === 'elsewhere' && turn !== undefined ? waitForTurn(turn, otherWait) : otherWait
        if (wait > 0) refuse(wait, scope)
        isInTurn = true
      }
      if (isInTurn && turn !== undefined) takeTurn(turn)
    }
    const underWay = plan.isSlow ? [...own, ...(isOfOwn ? [] : others)] : []
    addPending(underWay, 1)
    return underWay
  }

  async function guard<T>(plan: Plan, check: () => Promise<T>): Promise<T> {
    if (!settings.enabled) return check()
    // Nothing to wait for: the way of nearly every client.
    const underWay = counters.size === 0 && !plan.isSlow ? [] : await admit(plan)
    try {
      const outcome = await check()
      if (outcome === false) await countAll(plan)
      else succeed(plan)
      return outcome
    } catch (error) {
      if (error instanceof OAuthError && (error.code === 'invalid_grant' || error.code === 'invalid_client'))
        await countAll(plan)
      throw error
    } finally {
      addPending(underWay, -1)
    }
  }

  function succeed(plan: Plan) {
    if (counters.size > 0 && plan.own !== undefined) forget(idOf(plan.own))
    remember(plan)
  }

  async function countAll(plan: Plan) {
    if (isRepeated(plan)) return
    const counted = (await isKnown(plan)) ? plan.others.filter(([scope]) => scope === 'password') : plan.others
    for (const subject of [plan.own, ...counted]) {
      if (subject === undefined) continue
      const id = idOf(subject)
      const next = countFailure(counterOf(id), limits[subject[0]], now(), longestDelay)
      setCounter(id, next, subject[0] !== 'password')
    }
  }

  /** Whether the very same was tried here before: an instance with an old secret must not shut out the others beside it. */
  function isRepeated({ own, guess }: Plan): boolean {
    if (own === undefined || guess === undefined) return false
    const id = idOf(own)
    const digested = guessOf(guess)
    const before = guesses.get(id) ?? []
    if (before.includes(digested)) return true
    guesses.set(id, [digested, ...before].slice(0, mostGuesses))
    return false
  }

  async function flushBatch() {
    const known = newlyKnown.splice(0, batch)
    const kept: StoredCounter[] = []
    const gone: string[] = []
    for (const id of changed) {
      if (kept.length + gone.length === batch) break
      changed.delete(id)
      const counter = counters.get(id)
      if (counter === undefined) gone.push(id)
      else kept.push({ id, ...counter })
    }
    try {
      await storage.saveCounters(kept, gone, known)
    } catch (error) {
      // Tried again with the next batch. What is gone ends by itself, and would only pile up.
      for (const { id } of kept) if (counters.has(id)) changed.add(id)
      newlyKnown.unshift(...known)
      throw error
    }
  }

  /** Names of one size, which tell nothing without the master secret: people type passwords where names belong. */
  function digest(...parts: readonly string[]): string {
    return mac(throttleKey, parts)
  }
  const idOf = (subject: Subject) => digest(...subject)
  const guessOf = (text: string) => mac(guessKey, [text.normalize('NFC')])

  return {
    signIn({ username, password }, { ip }, check) {
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
      const turn: Subject = ['turn', account, neighbourhood]
      return guard({ own, others, turn, known: [`user ${account}`, network], isSlow: true }, check)
    },
    currentPassword: (sessionId, check) => guard({ own: ['current', sessionId], others: [], isSlow: true }, check),
    client({ clientId, secret }, { ip }, check) {
      const { network, site } = networksOf(ip)
      const others: Subject[] = [['clients', network]]
      if (site !== undefined) others.push(['clients of site', site])
      const guess = secret === undefined ? undefined : { own: ['client', clientId, network] as const, guess: secret }
      return guard({ own: undefined, ...guess, others, known: [`client ${clientId}`, network], isSlow: false }, check)
    },
    async flush() {
      if (now() - prunedAt >= pruneInterval || now() < prunedAt) prune()
      while (changed.size > 0 || newlyKnown.length > 0) await flushBatch()
    },
    size: () => counters.size,
  }
}

type ThrottleDeps = Readonly<{
  storage: Pick<Storage, 'listCounters' | 'saveCounters' | 'isKnownNetwork'>
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
    turn: turns,
  }
}

const knownName = (who: string, network: string) => `${who}\0${network}`

function forgottenAt({ emptyAt, readyAt }: Counter): number {
  return Math.max(emptyAt, readyAt)
}

function mac(key: KeyObject, parts: readonly string[]): string {
  return createHmac('sha256', key).update(JSON.stringify(parts)).digest('base64url').slice(0, 22)
}

function refuse(wait: number, scope: Scope): never {
  throw new OAuthError('too_many_attempts', 'too many attempts failed; try again later', {
    cause: `throttled by ${scope}`,
    retryAfter: wait,
  })
}
