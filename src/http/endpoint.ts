/**
 * One record for each endpoint: everything that is to be known of it. `router.ts` makes the routes, `Allow`, preflights and CORS of the
 * records, `docs/openapi.ts` the API document, and the tests hold every answer to them.
 */
import type { Context, Refusal } from './context.ts'
import type { Description, Schemas } from './description.ts'

/**
 * How a request says who it is from. `user`: the access token of a user, `cookie`: the cookie of a browser, `client`: one of the
 * ways of client authentication, `admin`: the access token of a client of the admin API, `open`: not at all.
 */
export type Caller = 'user' | 'cookie' | 'user or cookie' | 'client' | 'admin' | 'open'

/** Which browser apps may read the answers: those of every origin, those of allowed origins, or none. The same at all methods of a path. */
export type CorsRule = 'public' | 'app' | 'none'

/** What reads the body of a request before the handler is called. */
export type BodyReader = Readonly<{
  /** The media types that it takes. */
  types: readonly string[]
  /** Whether there has to be a body. */
  required: boolean
  /** @throws OAuthError `invalid_request`, `length_required` or `request_too_large` */
  read: (ctx: Context) => Promise<void>
}>

/** How a handler refuses where it has a page of its own for it. */
export type RefusedByPage = Pick<Refusal, 'failure' | 'page'>

// biome-ignore lint/suspicious/noConfusingVoidType: most handlers answer and return nothing
type Handled = void | RefusedByPage | undefined

export type PathParams = Readonly<Record<string, string>>

export type Endpoint = Readonly<{
  /** Its name in the API document. */
  id: string
  /** `get` answers HEAD too. */
  method: 'get' | 'post' | 'put' | 'patch' | 'delete'
  /** With its variable parts in braces. */
  path: string
  caller: Caller
  cors: CorsRule
  /** A browser is told by a page what is wrong, and gets pages where a program gets JSON. */
  hasPages?: true
  /** What an access token has to have, for the challenge of `insufficient_scope`. */
  scope?: string
  /** Without one the body is left alone. */
  body?: BodyReader
  /** Answers, or throws an OAuthError. */
  handle: (ctx: Context, params: PathParams) => Handled | Promise<Handled>
  /** For the API document and the tests. Asked when somebody wants to know: the schemas of answers cost a start more than it has. */
  describe: (schemas: Schemas) => Description
}>
