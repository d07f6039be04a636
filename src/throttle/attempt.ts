/** An attempt at what can be guessed: what it is counted for, and why it may have to wait. */
import type { Limit } from './counter.ts'

export type Scope =
  | 'account'
  | 'elsewhere'
  | 'network'
  | 'site'
  | 'password'
  | 'current'
  | 'client'
  | 'clients'
  | 'clients of site'
  | 'factor'
  | 'factor here'
  | 'factors in a row'
  | 'mail'
  | 'mails'
  | 'mails of network'
  | 'mails of site'
  | 'usernames'
  | 'new accounts'
  | 'new accounts of site'

/** What a counter is of: a scope and what tells one from another in it. */
export type Subject = readonly [scope: Scope, ...parts: string[]]

export type Plan = Readonly<{
  own: Subject | undefined
  others: readonly Subject[]
  /** What a failure is counted for besides: nobody waits because of it. */
  noted?: readonly Subject[]
  /** What a success forgets: where nobody else can see the counter, or nobody waits because of it. */
  cleared?: readonly Subject[]
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
}>

export type Tally = Readonly<{ scope: Scope; id: string; limit: Limit }>

export type Attempt = Plan &
  Readonly<{
    /** What it counts for, and is made to wait by, in this order. */
    counted: readonly Tally[]
    notedCounters: readonly Tally[]
    clearedIds: readonly string[]
    ownId: string | undefined
    turnId: string | undefined
    /** Ids of all counters that it is judged by, but for that of the password. */
    stored: readonly string[]
    arrivedAt: number
  }>

export type Wait = Readonly<{ scope: Scope; seconds: number; until: number }>
