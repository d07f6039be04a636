/** What an error of PostgreSQL, of its driver or of the network between means. Codes: PostgreSQL documentation, Appendix A. */
import pg from 'pg'
import { OAuthError } from '../../error.ts'
import { DrizzleQueryError } from '../drizzle.ts'
import { OutcomeUnknown } from '../outcome.ts'

/** Seconds. */
const retryAfter = 1

/** Of the driver, which gives them no code: the connection is gone, could not be had, or answers no more. */
const driverMessages =
  /^(?:Connection terminated|Client has encountered a connection error|Client was closed|Cannot use a pool after|Query read timeout|timeout exceeded when trying to connect|timeout expired)/

/** Trouble that is neither the server's nor the driver's: of the pool, which says it in its own words. */
export class ConnectionError extends Error {
  override name = 'ConnectionError'
}

/** @returns the SQLSTATE, five characters; undefined when the error is not the server's */
export function sqlState(error: unknown): string | undefined {
  return causes(error).find(cause => cause instanceof pg.DatabaseError)?.code
}

/**
 * A transaction that another one stood in the way of: it was rolled back, and may succeed when it is run again. Serialization failures,
 * deadlocks, locks that were not available.
 */
export function isCollision(error: unknown): boolean {
  return /^(?:40001|40P01|55P03)$/.test(sqlState(error) ?? '')
}

/** Trouble with the server, its disk, its memory, its permissions or the way to it, as opposed to a mistake in a statement. */
export function isUnavailable(error: unknown): boolean {
  const code = sqlState(error)
  // 25006: it takes no writes (any more). 25P03, 25P04: it ended a transaction that took too long.
  if (code !== undefined)
    return /^(?:08|53|57|58|25006|25P03|25P04|28|3D000|42501|XX001|XX002)/.test(code) || isCollision(error)
  return isConnectionEnd(error)
}

/** Whether other connections to the same server are to be given up too: it goes down, takes no writes any more, or is out of reach. */
export function meansLostServer(error: unknown): boolean {
  const code = sqlState(error)
  return code === undefined ? isConnectionEnd(error) : /^(?:08|57P|25006)/.test(code)
}

/** @returns what is thrown instead: `temporarily_unavailable` for what is the database's fault, the error itself for a mistake of ours */
export function translate(error: unknown): unknown {
  const bare = withoutValues(error)
  return isUnavailable(bare) ? unavailable(bare) : bare
}

/** @param error at a commit. @returns the same, or why nobody knows whether it was done */
export function asUnknown(error: unknown): unknown {
  // Other codes say that it was not.
  const isKnown = !(isConnectionEnd(error) || /^(?:08|57)/.test(sqlState(error) ?? ''))
  return isKnown ? error : new OutcomeUnknown((error as Error).message, { cause: error })
}

/** What may be read in a log: drizzle repeats the values of a query, and PostgreSQL those of a row, passwords' hashes among them. */
function withoutValues(error: unknown): unknown {
  const bare = error instanceof DrizzleQueryError ? (error.cause ?? error) : error
  if (bare instanceof pg.DatabaseError) for (const part of ['detail', 'where'] as const) bare[part] = undefined
  return bare
}

export function unavailable(cause: unknown): OAuthError {
  if (cause instanceof OAuthError) return cause
  return new OAuthError('temporarily_unavailable', 'the database cannot be used at the moment', { cause, retryAfter })
}

function isConnectionEnd(error: unknown): boolean {
  // Errors of sockets name the call that failed; of a name with several addresses there are several in one.
  return causes(error).some(
    cause =>
      cause instanceof ConnectionError ||
      cause instanceof AggregateError ||
      'syscall' in cause ||
      driverMessages.test(cause.message),
  )
}

/** An error and what it was made of: drizzle wraps what the driver throws, and the driver what the socket does. */
function causes(error: unknown): Error[] {
  const found: Error[] = []
  for (let cause = error; cause instanceof Error && found.length < 4; cause = cause.cause) found.push(cause)
  return found
}
