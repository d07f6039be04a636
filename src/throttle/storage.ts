/** What the throttle asks of a database. */
import type { Addition, Counter, Limit } from './counter.ts'

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
  /** Where other nodes write to the database too. A process that is alone counts in memory, and writes that in batches. */
  shared?: SharedCounters
}>

/** Counters of failed attempts as all nodes have counted them: judged here, and counted before the attempt is answered. */
export type SharedCounters = Readonly<{
  findCounters(ids: readonly string[]): Promise<FindCounter>
  /** Decides on counters while no node changes one of them, and writes what that comes to. */
  changeCounters<Outcome>(ids: readonly string[], decide: Decide<Outcome, FindCounter>): Promise<Outcome>
  /** The same for a decision that counts nothing: it waits for all who do, and many such go on at once. */
  judgeCounters<Outcome>(ids: readonly string[], decide: Decide<Outcome, FindCounter>): Promise<Outcome>
}>

/** @returns an empty one for an id that nothing is counted on */
export type FindCounter = (id: string) => Counter

/** Pure; it may be run again. */
export type Decide<Outcome, Counters> = (counters: Counters) => CounterChange<Outcome>

/** What a decision comes to: what it answers, which counters are to be written, and which are forgotten. */
export type CounterChange<Outcome> = Readonly<{
  outcome: Outcome
  counters?: readonly ChangedCounter[]
  forgotten?: readonly string[]
}>

/** `limit` is that by which something was counted; without one, it is no more than a note. */
export type ChangedCounter = Counter & Readonly<{ id: string; limit?: Limit }>

/** `id` is a digest of what is counted. */
export type StoredCounter = Counter & Readonly<{ id: string }>

export type CountedCounter = Addition & Readonly<{ id: string }>

/** `emptyAt` is what was written of it: a counter that is remembered for longer has been counted on by another process, and stays. */
export type ForgottenCounter = Readonly<{ id: string; emptyAt: number }>

/** A network from which somebody signed in: both as digests. */
export type KnownNetwork = Readonly<{ who: string; network: string; expiresAt: number }>
