/**
 * What the API document says of an endpoint besides what its record does: words, schemas, answers and refusals. The tests hold every answer
 * to it.
 */
import type { z } from 'zod'
import type { ErrorCode } from '../error.ts'
import type * as schemas from './schemas.ts'

/** The schemas of what is on the wire, which are loaded for the documentation only. */
export type Schemas = typeof schemas

export type Description = Readonly<{
  tag: keyof typeof tags
  summary: string
  description?: string
  pathParams?: z.ZodObject
  query?: z.ZodObject
  /** Headers of the request that mean something here alone. */
  headers?: z.ZodObject
  /** What the body reader reads. Of several forms `grant_type` says which it is. */
  body?: z.ZodObject | readonly z.ZodObject[]
  /** What a request gets that is not refused, by status. */
  answers: Readonly<Record<number, Success>>
  /**
   * The codes that a request can be refused with, each with a description that it comes with. Those that follow from the caller and the
   * body reader need not be named.
   */
  errors?: Errors
}>

export type Content = Readonly<Record<string, z.ZodType>>

export type Success = Readonly<{
  description: string
  content?: Content
  headers?: readonly HeaderName[]
  sometimes?: readonly HeaderName[]
}>

export type Errors = Readonly<Partial<Record<ErrorCode, string>>>

/** In the order of the document. */
export const tags = {
  Tokens: 'For apps. Each request says which client it comes from.',
  User: 'Who is behind an access token.',
  Factors: 'What a user proves to have beside the password.',
  Sessions: "A session is one sign-in on one device. Ended is ended: its tokens don't work here any more.",
  Browser:
    'For people, and for sites that keep who is signed in by a cookie. The same paths answer JSON to a program and pages to a browser, by `Accept`. Another site can change nothing here.',
  Users: 'People who sign in.',
  'Sessions of users': 'Who is signed in where.',
  Clients: 'Apps and services.',
  Keys: 'What tokens are signed by.',
  'Audit trail': 'Who did what, when, from where.',
  Discovery: 'What libraries and resource servers ask for by themselves.',
  Health: 'For supervisors and load balancers.',
  Documentation: 'What you are reading.',
} as const

export const headers = {
  'X-Request-Id': 'The id of the request, which the line in the log of the server has too.',
  'WWW-Authenticate': 'How to authenticate.',
  'Retry-After': 'Seconds until another try may succeed.',
  ETag: 'The version of what is answered, for `If-None-Match` and `If-Match`.',
  'Set-Cookie': 'The session cookie, or its end.',
  Location: 'Where a browser goes next.',
  'Cache-Control': 'How long a cache may keep this answer.',
  'Content-Disposition': 'That it is a file.',
  Link: 'The next page, `<URL>; rel="next"`. RFC 8288.',
} as const
export type HeaderName = keyof typeof headers

// What many descriptions have.

export function ok(
  description: string,
  content: Content,
  ...more: readonly HeaderName[]
): Readonly<Record<number, Success>> {
  return { 200: { description, content, headers: more } }
}

export const notModified: Readonly<Record<number, Success>> = {
  304: { description: 'What `If-None-Match` names is still the newest.', headers: ['ETag'] },
}

export const goOn: Readonly<Record<number, Success>> = {
  303: { description: 'For a browser: where it goes next.', headers: ['Location'] },
}

/** For what reads the database and has neither a caller nor a body that say so. */
export const busy: Errors = { temporarily_unavailable: 'the database cannot be used at the moment' }
export const readsQuery: Errors = { invalid_request: 'there are more than 100 parameters' }
export const guessing: Errors = { too_many_attempts: 'too many attempts failed; try again later' }
export const crossSite: Errors = { forbidden: 'this request came from another site' }
