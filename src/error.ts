/**
 * The one error that the protocol raises, with the RFC's error code as its discriminant and nothing of HTTP: `http/error_answers.ts` says how
 * each code is answered. Sources: RFC 6749 §5.2, RFC 6750 §3.1, RFC 8707 §2; `temporarily_unavailable` is borrowed from RFC 6749 §4.1.2.1.
 */

export const errorCodes = [
  'invalid_request',
  'invalid_client',
  /** The same to who sent no `Authorization` header (RFC 6749 §5.2). */
  'client_refused',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  /** RFC 6749 §4.1.2.1. */
  'unsupported_response_type',
  'invalid_scope',
  'invalid_target',
  'invalid_token',
  /** `invalid_token` for a request that has none (RFC 6750 §3.1). */
  'token_missing',
  'insufficient_scope',
  /** One more proof of who somebody is: draft-ietf-oauth-first-party-apps-04 §5.2.2.1. */
  'insufficient_authorization',
  /** An `auth_session` that is over: the same. */
  'invalid_session',
  /** A sign-in that is not fresh or not sure enough for what is asked: RFC 9470 §3. */
  'insufficient_user_authentication',
  /** The same, where nothing that the user has would do: OpenID Connect Unmet Authentication Requirements 1.0 §2. */
  'unmet_authentication_requirements',
  /** A username or password at the sign-in of browsers. */
  /** The link of a mail that allows nothing any more. */
  'link_over',
  'sign_in_refused',
  'login_required',
  'forbidden',
  'not_found',
  'method_not_allowed',
  'username_taken',
  'username_reserved',
  'email_taken',
  'user_disabled',
  'client_exists',
  'client_has_no_secret',
  'key_just_added',
  'too_many_webhooks',
  'request_in_progress',
  'precondition_failed',
  'idempotency_key_reused',
  'too_many_keys',
  'too_many_attempts',
  'length_required',
  'request_too_large',
  'uri_too_long',
  'server_error',
  'temporarily_unavailable',
] as const

export type ErrorCode = (typeof errorCodes)[number]

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
  /** Seconds until another try may succeed. */
  retryAfter?: number
  /** What `insufficient_scope` is short of, where that is more than whoever asks for such a thing always needs. */
  scope?: string
  /** What else the answer has, beside the error and its description. */
  members?: Readonly<Record<string, unknown>> | undefined
  /** What `insufficient_user_authentication` is short of: RFC 9470 §3, `maxAge` in seconds. */
  stepUp?: Readonly<{ acrValues?: readonly string[]; maxAge?: number }> | undefined
  /** Until when the answer is to be held back, so that its time tells nothing. */
  heldUntil?: Promise<void> | undefined
}

export class OAuthError extends Error {
  override name = 'OAuthError'
  readonly code: ErrorCode
  readonly retryAfter: number | undefined
  readonly scope: string | undefined
  readonly members: Readonly<Record<string, unknown>> | undefined
  readonly stepUp: OAuthErrorOptions['stepUp']
  readonly heldUntil: Promise<void> | undefined

  /** @param description shown to the client: lower case, no secret, no hint whether a user or client exists */
  constructor(code: ErrorCode, description: string, options: OAuthErrorOptions = {}) {
    // A refusal is an answer, not a mistake, and its stack would cost more than the rest of it; a cause has its own.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(description, 'cause' in options ? { cause: options.cause } : undefined)
    Error.stackTraceLimit = stackTraceLimit
    this.code = code
    this.retryAfter = options.retryAfter
    this.scope = options.scope
    this.members = options.members
    this.stepUp = options.stepUp
    this.heldUntil = options.heldUntil
  }
}
