/** What failures mean for an attempt: functions of counters and the clock, which know nothing of users. */
import type { Attempt, Scope, Wait } from './attempt.ts'
import { type Counter, countFailure, type Limit, maxWaitOf, waitOf } from './counter.ts'
import { type CountersNow, hiddenOf } from './counter_store.ts'
import type { ChangedCounter } from './storage.ts'
import { giveTurn, takeTurn, turnLimit, waitForTurn } from './turns.ts'

export type Rules = ReturnType<typeof createRules>

/**
 * @param passwordCounter of a password over all accounts, which is nowhere but in this process
 * @param turns           how many a neighbourhood gets
 */
export function createRules(maxDelay: number, passwordCounter: (id: string) => Counter, turns = turnLimit) {
  const maxTurnWait = maxWaitOf(turns, maxDelay)
  const counterOf = (scope: Scope, id: string, { get }: CountersNow) =>
    scope === 'password' ? passwordCounter(id) : get(id)

  function findWait({ counted, turnId }: Attempt, counters: CountersNow): Wait | undefined {
    const { get, at } = counters
    for (const { scope, id, limit } of counted) {
      const wait = waitOf(counterOf(scope, id, counters), at, maxWaitOf(limit, maxDelay))
      if (wait === 0) continue
      const hasTurns = scope === 'elsewhere' && turnId !== undefined
      const seconds = hasTurns ? waitForTurn(get(turnId), wait, at, maxTurnWait, turns) : wait
      if (seconds > 0) return { scope, seconds, until: at + seconds }
    }
    return undefined
  }

  const failed = (id: string, limit: Limit, { get, at }: CountersNow): ChangedCounter => ({
    id,
    ...countFailure(get(id), limit, at, maxDelay),
    limit,
  })

  /** Of an attempt that was let through although the account waits everywhere. */
  function turnTaken({ counted, turnId }: Attempt, { get, at }: CountersNow): ChangedCounter[] {
    const isInTurn = counted.some(
      ({ scope, id, limit }) => scope === 'elsewhere' && waitOf(get(id), at, maxWaitOf(limit, maxDelay)) > 0,
    )
    if (!isInTurn || turnId === undefined) return []
    return [{ id: turnId, ...takeTurn(get(turnId), at, maxDelay, turns), limit: turns }]
  }

  return {
    findWait,
    /** The turn of who has to wait because others fail for the same account. @returns nothing where there is one, or none is left */
    turnGiven({ turnId }: Attempt, { scope, until }: Wait, { get, at }: CountersNow): ChangedCounter[] {
      if (scope !== 'elsewhere' || turnId === undefined) return []
      const turn = giveTurn(get(turnId), until, at, maxTurnWait, turns)
      return turn === undefined ? [] : [{ id: turnId, ...turn }]
    },
    /** All that a failed attempt counts for, but for its password. */
    failures(attempt: Attempt, counters: CountersNow): ChangedCounter[] {
      const stored = [...attempt.counted, ...attempt.notedCounters].filter(({ scope }) => scope !== 'password')
      return [...turnTaken(attempt, counters), ...stored.map(({ id, limit }) => failed(id, limit, counters))]
    },
    hiddenFailure: ({ ownId, counted }: Attempt, counters: CountersNow): ChangedCounter[] =>
      ownId === undefined ? [] : [failed(hiddenOf(ownId), counted[0]!.limit, counters)],
    waitsHidden: ({ ownId, counted }: Attempt, { get, at }: CountersNow): boolean =>
      ownId !== undefined && waitOf(get(hiddenOf(ownId)), at, maxWaitOf(counted[0]!.limit, maxDelay)) > 0,
  }
}
