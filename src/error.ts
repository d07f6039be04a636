/**
 * The one error that the protocol raises, with the RFC's error code as its discriminant. `http/errors.ts` turns it into
 * an answer. Sources: RFC 6749 §5.2, RFC 6750 §3.1, RFC 8707 §2; `temporarily_unavailable` is borrowed from RFC 6749 §4.1.2.1.
 *
 * It stands for throttling too, with 429 (RFC 6585 §4). RFC 6749 §5.2 has no code for that; `invalid_grant`, which some servers
 * answer, makes clients drop a session that is alive, `invalid_client` makes them give up, and `slow_down` (RFC 8628 §3.5) means
 * polling for a device.
 */

/** The list of all codes, with the HTTP status and the `error` member that each is answered with. */
export const errorAnswers = {
  invalid_request: { status: 400, error: 'invalid_request' },
  invalid_client: { status: 401, error: 'invalid_client' },
  /** The same to who sent no `Authorization` header: `http/errors.ts` chooses (RFC 6749 §5.2). */
  client_refused: { status: 400, error: 'invalid_client' },
  invalid_grant: { status: 400, error: 'invalid_grant' },
  unauthorized_client: { status: 400, error: 'unauthorized_client' },
  unsupported_grant_type: { status: 400, error: 'unsupported_grant_type' },
  invalid_scope: { status: 400, error: 'invalid_scope' },
  invalid_target: { status: 400, error: 'invalid_target' },
  invalid_token: { status: 401, error: 'invalid_token' },
  insufficient_scope: { status: 403, error: 'insufficient_scope' },
  sign_in_refused: { status: 401, error: 'invalid_grant' },
  login_required: { status: 401, error: 'login_required' },
  forbidden: { status: 403, error: 'access_denied' },
  not_found: { status: 404, error: 'not_found' },
  method_not_allowed: { status: 405, error: 'method_not_allowed' },
  too_many_attempts: { status: 429, error: 'temporarily_unavailable' },
  length_required: { status: 411, error: 'invalid_request' },
  request_too_large: { status: 413, error: 'invalid_request' },
  uri_too_long: { status: 414, error: 'invalid_request' },
  server_error: { status: 500, error: 'server_error' },
  temporarily_unavailable: { status: 503, error: 'temporarily_unavailable' },
} as const

export type ErrorCode = keyof typeof errorAnswers

/** Characters of a request that an error repeats. */
const maxQuoted = 80

/**
 * What a client sent, for the words that it is refused with.
 *
 * @returns `: ` and the text; nothing when it is long or has characters that no description may have (RFC 6749 §5.2)
 */
export function quoted(text: string): string {
  return text.length <= maxQuoted && /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(text) ? `: ${text}` : ''
}

export type OAuthErrorOptions = {
  /** For the log only, never for the client. */
  cause?: unknown
  /** Seconds until another try may succeed, for `Retry-After`. */
  retryAfter?: number
  /** Until when the answer is to be held back, so that its time tells nothing. */
  heldUntil?: Promise<void> | undefined
  /** For who knows FastAPI: another member of the answer. */
  detail?: string
  /** How to authenticate, for the `WWW-Authenticate` of a 401. */
  challenge?: string
}

export class OAuthError extends Error {
  override name = 'OAuthError'
  readonly code: ErrorCode
  readonly retryAfter: number | undefined
  readonly heldUntil: Promise<void> | undefined
  readonly challenge: string | undefined
  readonly detail: string | undefined

  /** @param description shown to the client: lower case, no secret, no hint whether a user or client exists */
  constructor(code: ErrorCode, description: string, options: OAuthErrorOptions = {}) {
    // A refusal is an answer, not a mistake, and its stack would cost more than the rest of it; a cause has its own.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(description, 'cause' in options ? { cause: options.cause } : undefined)
    Error.stackTraceLimit = stackTraceLimit
    this.code = code
    this.retryAfter = options.retryAfter
    this.heldUntil = options.heldUntil
    this.challenge = options.challenge
    this.detail = options.detail
  }
}
