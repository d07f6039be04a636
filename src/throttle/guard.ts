/** Who is heard and who is told to come again, so that nobody can tell which it was. */
import { OAuthError } from '../error.ts'
import type { Attempt, Plan, Wait } from './attempt.ts'
import type { CountersNow } from './counter_store.ts'
import type { Failures } from './failures.ts'
import { createHeldAnswers } from './held_answers.ts'

/**
 * Says no by refusing with `invalid_grant` or `invalid_client`; everything else that it throws counts neither way.
 *
 * @param isLate given where the attempt has to wait and the check is made all the same, beside the line: once it answers true,
 *               nobody waits for the result any more
 */
export type Check<T> = (isLate?: () => boolean) => Promise<T>

export type Guard = <T>(plan: Plan, check: Check<T>) => Promise<T>

/** @returns runs the check of an attempt, or refuses it with `too_many_attempts` */
export function createGuard(failures: Failures): Guard {
  const heldAnswers = createHeldAnswers()
  const underWay = new Set<string>()

  /**
   * Checks an attempt that has to wait, where its account is known.
   *
   * @returns undefined when it was wrong, late or not heard
   */
  async function checkUnseen<T>(attempt: Attempt, before: CountersNow, check: Check<T>, isLate: () => boolean) {
    const { ownId = '', isSlow } = attempt
    if (!(await failures.isKnown(attempt)) || failures.waitsHidden(attempt, before) || underWay.has(ownId))
      return undefined
    // One after the other, so that many at once make no work that somebody could measure.
    if (isSlow) underWay.add(ownId)
    try {
      const outcome = await check(isLate)
      if (isLate() || (await failures.settle(attempt, true)) !== undefined || isLate()) return undefined
      failures.remember(attempt)
      return { outcome }
    } catch (error) {
      // Whatever happened, it is answered like an attempt that nobody heard; what comes too late has told nobody anything.
      if (isNo(error) && !isLate()) await failures.countHidden(attempt).catch(() => {})
      return undefined
    } finally {
      underWay.delete(ownId)
    }
  }

  /**
   * Refuses an attempt, when its patience has passed. What comes while too many are held is refused at once and unheard,
   * whoever it is.
   *
   * @param before counters when it came
   * @param check  left out when it has been made
   * @returns the outcome of the check, when it was heard and good
   */
  async function refuse<T>(
    attempt: Attempt,
    wait: Wait,
    before: CountersNow | undefined,
    check?: Check<T>,
  ): Promise<T> {
    let isDecided = false
    let isRight = false
    const decide = async () => {
      isDecided = true
      // At one moment, whether it was heard or not; and a success leaves no trace.
      if (!isRight) await failures.giveTurn(attempt, wait, before)
    }
    const { arrivedAt, patience } = attempt
    const due = patience === 0 ? undefined : heldAnswers.hold(arrivedAt + patience - performance.now(), decide)
    if (due === undefined) await decide()
    else {
      // Who waits for it learns of a database that fails; it may be nobody.
      due.catch(() => {})
      if (check !== undefined && before !== undefined) {
        const right = await Promise.race([due, checkUnseen(attempt, before, check, () => isDecided)])
        isRight = right !== undefined
        if (right) return right.outcome
      }
    }
    throw refusal(wait, due)
  }

  async function guard<T>(plan: Plan, check: Check<T>): Promise<T> {
    // Nothing to wait for: the way of nearly every client.
    const attempt = failures.isEmpty() && !plan.isSlow ? undefined : failures.open(plan)
    const before = attempt && (await failures.read(attempt))
    const wait = attempt && before && failures.findWait(attempt, before)
    if (wait !== undefined) return refuse(attempt!, wait, before, check)
    const isKnownHere = plan.isSlow ? await failures.isKnown(plan) : undefined
    let outcome: T
    try {
      outcome = await check()
    } catch (error) {
      if (isNo(error)) await fail(attempt ?? failures.open(plan), before, isKnownHere)
      throw error
    }
    // Guesses at once are no more than one after the other: each is judged by those that failed before it was. What needs no hash and
    // is guessed by nobody is spared that: the secrets of most clients, most of the time.
    if (attempt !== undefined && (plan.isSlow || !failures.isUncounted(attempt, before!))) {
      const waitNow = await failures.settle(attempt, isKnownHere ?? (await failures.isKnown(plan)))
      if (waitNow !== undefined) return refuse(attempt, waitNow, before)
    }
    failures.remember(plan)
    return outcome
  }

  async function fail(attempt: Attempt, before: CountersNow | undefined, isKnownHere: boolean | undefined) {
    const wait = await failures.count(attempt, isKnownHere ?? (await failures.isKnown(attempt)))
    if (wait !== undefined) await refuse(attempt, wait, before)
  }

  return guard
}

function isNo(error: unknown): boolean {
  return error instanceof OAuthError && (error.code === 'invalid_grant' || error.code === 'invalid_client')
}

/** @param heldUntil when it may be answered; at once without one */
export function refusal({ seconds, scope }: Wait, heldUntil?: Promise<void>): OAuthError {
  return new OAuthError('too_many_attempts', 'too many attempts failed; try again later', {
    cause: `throttled by ${scope}`,
    retryAfter: seconds,
    heldUntil,
  })
}
