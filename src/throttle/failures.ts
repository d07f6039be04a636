/** Failed attempts: what each is counted for, who waits because of them, and what nobody else may see of it. */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { toNfc } from '../normal_form.ts'
import type { Attempt, Plan, Scope, Wait } from './attempt.ts'
import { countFailure, type Limit, waitOf } from './counter.ts'
import { type Counters, createCounters } from './counters.ts'
import { createKnownNetworks } from './known_networks.ts'
import type { ThrottleSettings } from './settings.ts'
import type { ThrottleStorage } from './storage.ts'
import { createTurns, turnKept } from './turns.ts'

export type FailureDeps = Readonly<{
  storage: Pick<ThrottleStorage, 'listCounters' | 'saveCounters' | 'isKnownNetwork'>
  secrets: MasterSecrets
  now: () => number
  randomBytes: (size: number) => Buffer
}>

export type Failures = Awaited<ReturnType<typeof createFailures>>

/** Rows of one transaction: few enough that no request waits for it. */
const batch = 2000
/** Seconds between two looks for counters that are forgotten. */
const pruneInterval = 60

/** @param storage of which the counters of the last run are read */
export async function createFailures(settings: ThrottleSettings, { storage, secrets, now, randomBytes }: FailureDeps) {
  const { maxDelay } = settings
  const limits = limitsOf(settings)
  const { digest, guessOf } = createNames(secrets, randomBytes)
  const idOf = (subject: readonly string[]) => digest(...subject)
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
    for (const { scope, id, limit } of attempt.counted) {
      const failed = countFailure(counters.get(id), limit, now(), maxDelay)
      counters.set(id, failed, scope === 'password' ? undefined : { limit, now: now() })
    }
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
    hidden.set(ownId, countFailure(hidden.get(ownId), counted[0]!.limit, now(), maxDelay))
  }

  function succeed({ own, known: here, isClearedBySuccess }: Plan) {
    if (own !== undefined && hidden.size() > 0) hidden.forget(idOf(own))
    if (own !== undefined && isClearedBySuccess === true) counters.forget(idOf(own))
    if (here !== undefined) known.remember(...here)
  }

  async function flushBatch() {
    const networks = known.takeNew(batch)
    const { counted, gone } = counters.takeChanged(batch, now())
    try {
      await storage.saveCounters(counted, gone, networks)
    } catch (error) {
      // Tried again with the next batch.
      counters.putBack(counted)
      known.putBack(networks)
      throw error
    }
  }

  function prune() {
    prunedAt = now()
    for (const those of [counters, hidden]) those.prune(now() - turnKept)
    known.prune()
  }

  return {
    open,
    findWait,
    giveTurn,
    count,
    isKnown,
    waitsHidden,
    countHidden,
    succeed,
    guessOf,
    isEmpty: () => counters.size() === 0,
    size: () => counters.size() + hidden.size(),
    /** Writes what changed since the last call. */
    async flush() {
      if (now() - prunedAt >= pruneInterval || now() < prunedAt) prune()
      while (counters.hasChanged() || known.hasNew()) await flushBatch()
    },
  }
}

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

/** Names of one size, which tell nothing without the master secret: people type passwords where names belong. */
function createNames(secrets: MasterSecrets, randomBytes: (size: number) => Buffer) {
  // The oldest, so that putting a new one before it forgets nobody.
  const { throttleKey } = secrets.at(-1)!
  const guessKey = createSecretKey(randomBytes(32))
  return {
    digest: (...parts: readonly string[]) => mac(throttleKey, parts),
    /** What was typed as a password is compared under a key that no file ever holds. */
    guessOf: (text: string) => mac(guessKey, [toNfc(text)]),
  }
}

function mac(key: KeyObject, parts: readonly string[]): string {
  return createHmac('sha256', key).update(JSON.stringify(parts)).digest('base64url').slice(0, 22)
}
