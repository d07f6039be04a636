/** What a request carries on its way from the outermost middleware to its handler, and what comes back. */
import type { ParameterizedContext } from 'koa'
import type { Caller } from '../audit/audit.ts'
import type { ErrorCode, OAuthError } from '../error.ts'
import type { ObserveRequest } from '../observer.ts'
import type { Language } from '../pages/language.ts'

export type RequestState = {
  /** Of the log line, the answer's header and the page of an error. */
  requestId: string
  /** Where the request came from. */
  caller: Caller
  /**
   * The client that has authenticated, or that the access token is of, once that is known: CORS asks whether the app's origin is one of
   * its own, and a challenge is for who has not come so far.
   */
  clientId?: string
  /** What the user of the cookie has chosen, once that is known. */
  language?: Language | undefined
  /** The path of the endpoint, once that is known. */
  route?: string
  /** Where spans are made: which trace the request is part of. */
  traceId?: string
  /** What counts the request, once that is known. */
  observe?: ObserveRequest | undefined
}

/** Koa's, with a state that is typed. */
export type Context = ParameterizedContext<RequestState, object>

/** A refusal on its way back to where its answer and its log line are written. */
export type Refusal = Readonly<{
  failure: OAuthError
  /** What it is answered with, where that differs from the code of the failure. */
  code: ErrorCode
  /** How to authenticate. */
  challenge: string | undefined
  /** The page that tells it, where a browser wants one; JSON otherwise. */
  page: string | undefined
}>

/** Koa's, with what comes back. */
export type Middleware = (ctx: Context, next: () => Promise<Refusal | undefined>) => Promise<Refusal | undefined>
