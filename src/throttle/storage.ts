/** What the throttle asks of a database. */
import type { Counter } from './counter.ts'

export type ThrottleStorage = Readonly<{
  /** Counters of failed attempts that are not forgotten at `now`; when there are too many, those forgotten last. */
  listCounters(now: number, limit: number): Promise<StoredCounter[]>
  /** Writes counters, removes others by id, and remembers networks: at most `maxKnownNetworks` of one user or client. */
  saveCounters(
    counters: readonly StoredCounter[],
    gone: readonly string[],
    known: readonly KnownNetwork[],
  ): Promise<void>
  isKnownNetwork(who: string, network: string, now: number): Promise<boolean>
  /** Forgets a limited number of counters and known networks that have expired. */
  pruneCounters(expiredBefore: number): Promise<void>
}>

/** `id` is a digest of what is counted. */
export type StoredCounter = Counter & Readonly<{ id: string }>

/** A network from which somebody signed in: both as digests. */
export type KnownNetwork = Readonly<{ who: string; network: string; expiresAt: number }>
