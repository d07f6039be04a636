/**
 * The query string. Read here and not by Koa, whose reader looks for each name among all the pairs: two for every name would take
 * time by the square of their number.
 */
import { OAuthError } from '../error.ts'
import { isStorable } from '../text.ts'
import type { Context } from './context.ts'

/** Pairs of a query string, or of a form: several times what any request has. */
export const maxPairs = 100

/** By name; several values where a name is repeated. */
export type Query = Readonly<Record<string, string | readonly string[]>>

const noQuery: Query = Object.freeze(Object.create(null))

/**
 * Reads the query string of a request, as the URL standard decodes it.
 *
 * @returns an object without prototype
 * @throws OAuthError `invalid_request` for more than {@link maxPairs} pairs, and for a NUL
 */
export function readQuery(ctx: Context): Query {
  const { querystring } = ctx
  if (querystring === '') return noQuery
  insistOnFewPairs(querystring)
  const query: Record<string, string | readonly string[]> = Object.create(null)
  for (const [name, value] of new URLSearchParams(querystring)) {
    if (!isStorable(name) || !isStorable(value))
      throw new OAuthError('invalid_request', 'a parameter has a NUL character')
    const before = query[name]
    query[name] = before === undefined ? value : [before, value].flat()
  }
  return query
}

/** Counts before anything is taken apart. */
export function insistOnFewPairs(text: string): void {
  let pairs = 1
  for (let at = text.indexOf('&'); at >= 0; at = text.indexOf('&', at + 1)) {
    if (++pairs > maxPairs) throw new OAuthError('invalid_request', `there are more than ${maxPairs} parameters`)
  }
}
