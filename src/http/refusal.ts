/** Makes a refusal of what went wrong: what it is answered with, and how the request is told to authenticate. */
import { type ErrorCode, OAuthError } from '../error.ts'
import type { Context, Refusal } from './context.ts'
import type { Endpoint } from './endpoint.ts'

/**
 * @param endpoint if the request came to one
 * @param page that tells it, if this is a browser
 */
export function refusalOf(
  ctx: Context,
  failure: OAuthError,
  endpoint: Endpoint | undefined,
  page: string | undefined,
): Refusal {
  const code = answeredCode(ctx, failure.code)
  return { failure, code, challenge: challengeOf(ctx, endpoint, code, failure), page }
}

/** What libraries throw carries an HTTP status; everything else is a mistake of ours. */
export function asOAuthError(error: unknown): OAuthError {
  if (error instanceof OAuthError) return error
  const status = error instanceof Error && 'status' in error ? error.status : undefined
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new OAuthError('invalid_request', 'the request cannot be read', { cause: error })
  }
  return new OAuthError('server_error', 'something went wrong here', { cause: error })
}

/**
 * RFC 6749 §5.2: the challenge is for who used the `Authorization` header. At a challenge that nobody asked for a browser opens a
 * dialog of its own, also over the page of an app that sent its client id in the form.
 */
function answeredCode(ctx: Context, code: ErrorCode): ErrorCode {
  return code === 'invalid_client' && ctx.headers.authorization === undefined ? 'client_refused' : code
}

const realm = 'realm="latchkey"'

/**
 * The `WWW-Authenticate` of a refusal (RFC 9110 §15.5.2, RFC 7617 §2.1, RFC 6750 §3).
 *
 * @param code as {@link answeredCode} gives it
 */
function challengeOf(
  ctx: Context,
  endpoint: Endpoint | undefined,
  code: ErrorCode,
  { message, scope, stepUp }: OAuthError,
): string | undefined {
  switch (code) {
    case 'invalid_client':
      return `Basic ${realm}, charset="UTF-8"`
    case 'sign_in_refused':
    case 'login_required':
    case 'token_missing':
      // RFC 6750 §3.1: who sent no token at all is told how to, and no error.
      return `Bearer ${realm}`
    case 'invalid_token':
      return `Bearer ${realm}, error="invalid_token", error_description="${message}"`
    case 'insufficient_scope':
      return `Bearer ${realm}, error="insufficient_scope", scope="${scope ?? endpoint?.scope}"`
    case 'insufficient_user_authentication':
      // RFC 9470 §3.
      return [
        `Bearer ${realm}, error="insufficient_user_authentication", error_description="${message}"`,
        ...(stepUp?.acrValues ? [`acr_values="${stepUp.acrValues.join(' ')}"`] : []),
        ...(stepUp?.maxAge === undefined ? [] : [`max_age=${stepUp.maxAge}`]),
      ].join(', ')
    case 'invalid_request':
      // RFC 6750 §3: whatever is wrong with a request that has no good token, it is told how one is sent.
      return endpoint !== undefined && takesToken(ctx, endpoint) && ctx.state.clientId === undefined
        ? `Bearer ${realm}, error="invalid_request"`
        : undefined
    default:
      return undefined
  }
}

function takesToken(ctx: Context, { caller }: Endpoint): boolean {
  return caller === 'user' || caller === 'admin' || (caller === 'user or cookie' && ctx.headers.cookie === undefined)
}
