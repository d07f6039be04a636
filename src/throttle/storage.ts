/** What the throttle asks of a database. */
import type { Addition, Counter } from './counter.ts'

export type ThrottleStorage = Readonly<{
  /** Counters of failed attempts that are not forgotten at `now`; when there are too many, those forgotten last. */
  listCounters(now: number, limit: number): Promise<StoredCounter[]>
  /**
   * Adds what was counted to what is stored (`addCounted`), forgets counters, and remembers networks: at most `maxKnownNetworks` of one
   * user or client.
   */
  saveCounters(
    counted: readonly CountedCounter[],
    gone: readonly ForgottenCounter[],
    known: readonly KnownNetwork[],
  ): Promise<void>
  isKnownNetwork(who: string, network: string, now: number): Promise<boolean>
  /** Forgets a limited number of counters and known networks that have expired. @returns how many */
  pruneCounters(expiredBefore: number): Promise<number>
}>

/** `id` is a digest of what is counted. */
export type StoredCounter = Counter & Readonly<{ id: string }>

export type CountedCounter = Addition & Readonly<{ id: string }>

/** `emptyAt` is what was written of it: a counter that is remembered for longer has been counted on by another process, and stays. */
export type ForgottenCounter = Readonly<{ id: string; emptyAt: number }>

/** A network from which somebody signed in: both as digests. */
export type KnownNetwork = Readonly<{ who: string; network: string; expiresAt: number }>
