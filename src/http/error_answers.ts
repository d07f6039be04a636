/**
 * How each error code is answered: its HTTP status and its `error` member.
 *
 * `too_many_attempts` stands for throttling, with 429 (RFC 6585 §4). RFC 6749 §5.2 has no code for that; `invalid_grant`, which some servers
 * answer, makes clients drop a session that is alive, `invalid_client` makes them give up, and `slow_down` (RFC 8628 §3.5) means
 * polling for a device.
 */
import type { ErrorCode } from '../error.ts'

type ErrorAnswer = Readonly<{
  status: number
  error: string
  /** For who knows FastAPI: another member of the answer. */
  detail?: string
}>

export const errorAnswers: Readonly<Record<ErrorCode, ErrorAnswer>> = {
  invalid_request: { status: 400, error: 'invalid_request' },
  invalid_client: { status: 401, error: 'invalid_client' },
  client_refused: { status: 400, error: 'invalid_client' },
  invalid_grant: { status: 400, error: 'invalid_grant' },
  unauthorized_client: { status: 400, error: 'unauthorized_client' },
  unsupported_grant_type: { status: 400, error: 'unsupported_grant_type' },
  unsupported_response_type: { status: 400, error: 'unsupported_response_type' },
  invalid_scope: { status: 400, error: 'invalid_scope' },
  invalid_target: { status: 400, error: 'invalid_target' },
  invalid_token: { status: 401, error: 'invalid_token' },
  token_missing: { status: 401, error: 'invalid_token' },
  insufficient_scope: { status: 403, error: 'insufficient_scope' },
  insufficient_authorization: { status: 403, error: 'insufficient_authorization' },
  invalid_session: { status: 400, error: 'invalid_session' },
  insufficient_user_authentication: { status: 401, error: 'insufficient_user_authentication' },
  unmet_authentication_requirements: { status: 400, error: 'unmet_authentication_requirements' },
  link_over: { status: 410, error: 'invalid_grant' },
  sign_in_refused: { status: 401, error: 'invalid_grant', detail: 'Incorrect username or password' },
  login_required: { status: 401, error: 'login_required', detail: 'Not authenticated' },
  forbidden: { status: 403, error: 'access_denied' },
  not_found: { status: 404, error: 'not_found' },
  method_not_allowed: { status: 405, error: 'method_not_allowed' },
  username_reserved: { status: 409, error: 'username_reserved' },
  username_taken: { status: 409, error: 'username_taken' },
  user_disabled: { status: 409, error: 'user_disabled' },
  email_taken: { status: 409, error: 'email_taken' },
  client_exists: { status: 409, error: 'client_exists' },
  too_many_webhooks: { status: 409, error: 'too_many_webhooks' },
  client_has_no_secret: { status: 409, error: 'client_has_no_secret' },
  key_just_added: { status: 409, error: 'key_just_added' },
  request_in_progress: { status: 409, error: 'request_in_progress' },
  precondition_failed: { status: 412, error: 'precondition_failed' },
  idempotency_key_reused: { status: 422, error: 'idempotency_key_reused' },
  too_many_keys: { status: 429, error: 'too_many_keys' },
  too_many_attempts: { status: 429, error: 'temporarily_unavailable' },
  length_required: { status: 411, error: 'invalid_request' },
  request_too_large: { status: 413, error: 'invalid_request' },
  uri_too_long: { status: 414, error: 'invalid_request' },
  server_error: { status: 500, error: 'server_error' },
  temporarily_unavailable: { status: 503, error: 'temporarily_unavailable' },
}
