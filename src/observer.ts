/**
 * What is told to whoever counts. Nothing that a request does depends on it: none of these waits or throws, and each is called once for
 * what it says.
 */
import type { ErrorCode } from './error.ts'

/** What becomes of a presented refresh token. The first four are answered with tokens. */
export const refreshOutcomes = [
  'rotated',
  'retried',
  'late_retried',
  'healed',
  'reused',
  'unknown',
  'revoked',
  'expired',
  'foreign',
  'outdated',
  'scope_exceeded',
  'target_exceeded',
  'step_up_needed',
  /** It is no refresh token of this server. */
  'unreadable',
  /** The database could not be asked, or has not answered. */
  'unavailable',
] as const
export type RefreshOutcome = (typeof refreshOutcomes)[number]

/** What becomes of each step of a sign-in, whatever was given. */
export const signInOutcomes = [
  'signed_in',
  'refused',
  'throttled',
  /** What was given is right, and a second factor is asked for. */
  'factor_owed',
  'factor_refused',
  'unavailable',
] as const
export type SignInOutcome = (typeof signInOutcomes)[number]

/** What becomes of an event that is sent to a webhook. */
export const deliveryOutcomes = [
  'delivered',
  /** Answered, and not with a success. */
  'refused',
  /** Answered with 410: nothing is wanted there any more. */
  'gone',
  'timed_out',
  /** No connection, or none to where it may lead. */
  'unreachable',
] as const
export type DeliveryOutcome = (typeof deliveryOutcomes)[number]

/** What becomes of a mail. */
export const mailOutcomes = [
  'sent',
  /** It will be tried again. */
  'failed',
  /** Its address takes none, or no attempt has succeeded for two days. */
  'given_up',
  /** It is for nobody, or for nobody any more. */
  'dropped',
] as const
export type MailOutcome = (typeof mailOutcomes)[number]

/** @param seconds from the first look at the request to its answer */
export type ObserveRequest = (status: number, seconds: number) => void

export type Observer = Readonly<{
  /**
   * What counts the requests of one method to one path, asked for once.
   *
   * @param route the path as its endpoint has it, with its variable parts in braces
   */
  requests: (method: string, route: string) => ObserveRequest
  refused: (code: ErrorCode) => void
  refreshed: (outcome: RefreshOutcome) => void
  signedIn: (outcome: SignInOutcome) => void
  delivered: (outcome: DeliveryOutcome) => void
  /** @param purpose one of `mailPurposes` */
  mailed: (purpose: string, outcome: MailOutcome) => void
  /** A transaction is on disk. @param writes how many requests and chores it has served */
  committed: (seconds: number, writes: number) => void
  /** Whether the database would take a write. */
  checked: (isUsable: boolean) => void
}>

const nothing = () => {}

/** Where nobody counts. */
export const noObserver: Observer = {
  requests: () => nothing,
  refused: nothing,
  refreshed: nothing,
  signedIn: nothing,
  delivered: nothing,
  mailed: nothing,
  committed: nothing,
  checked: nothing,
}
