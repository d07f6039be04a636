/**
 * The outermost middleware: gives every request an id and a log line, every error its answer. It writes the answer itself,
 * because Koa's own error path drops headers that were already set.
 */
import type { Context, Middleware } from 'koa'
import type { Logger } from 'pino'
import { type ErrorCode, errorAnswers, OAuthError } from '../error.ts'
import { commonHeaders } from './headers.ts'
import { sendJson } from './json.ts'
import { limitHeaders, limitUrl } from './limits.ts'
import { insistOnSingleHeaders } from './single_headers.ts'

/** Lines about refusals of one code: so many at once, and so many a second after that. A flood of them must not fill the disk. */
const logBurst = 200
const logRate = 5
/** Characters. No path of ours is longer. */
const longestLoggedPath = 200

/** @param idPrefix unlike that of any other process, so that ids are unique among nodes and restarts */
export function answerErrors(log: Logger, idPrefix: string, issuer: string): Middleware {
  const always = Object.entries(commonHeaders(issuer))
  const withinBudget = createLogBudget()
  let requests = 0
  return async (ctx, next) => {
    const started = performance.now()
    ctx.state.requestId = idPrefix + (requests++).toString(36)
    ctx.res.setHeader('X-Request-Id', ctx.state.requestId)
    for (const [name, value] of always) ctx.res.setHeader(name, value)
    limitHeaders(ctx.headers)
    ctx.state.isUrlTooLong = limitUrl(ctx)
    let failure: OAuthError | undefined
    try {
      insistOnReadableTarget(ctx)
      insistOnSingleHeaders(ctx.req.rawHeaders)
      await next()
      if (ctx.status === 404 && ctx.body == null) failure = new OAuthError('not_found', 'there is nothing at this path')
      if (ctx.status === 405) failure = new OAuthError('method_not_allowed', 'this method is not allowed here')
    } catch (error) {
      failure = asOAuthError(error)
    }
    if (failure !== undefined) answer(ctx, failure)
    // Of a body that nobody reads Node would go on taking piece after piece. One that is too large may go on: its sender shall know.
    if (ctx.headers['transfer-encoding'] !== undefined && !ctx.req.complete && ctx.status !== 413)
      ctx.set('Connection', 'close')
    writeLog(log, ctx, failure, performance.now() - started, withinBudget)
  }
}

function answer(ctx: Context, refusal: OAuthError): void {
  const failure = withoutDialog(ctx, refusal)
  const { status, error } = errorAnswers[failure.code]
  ctx.status = status
  if (ctx.state.refusalPage !== undefined) ctx.body = ctx.state.refusalPage(failure)
  else {
    const { message, detail } = failure
    sendJson(ctx, { error, error_description: message, ...(detail !== undefined && { detail }) })
  }
  ctx.set('Cache-Control', 'no-store')
  if (failure.challenge !== undefined) ctx.set('WWW-Authenticate', failure.challenge)
  if (failure.retryAfter !== undefined) ctx.set('Retry-After', String(failure.retryAfter))
}

/**
 * RFC 6749 §5.2: the challenge is for who used the `Authorization` header. At a challenge that nobody asked for a browser opens a
 * dialog of its own, also over the page of an app that sent its client id in the form.
 */
function withoutDialog(ctx: Context, failure: OAuthError): OAuthError {
  if (failure.code !== 'invalid_client' || ctx.headers.authorization !== undefined) return failure
  return new OAuthError('client_refused', failure.message, { cause: failure.cause })
}

/** A target in absolute form that is no URL (RFC 9112 §3.2.2) would make Koa throw at each look at the path. */
function insistOnReadableTarget(ctx: Context): void {
  if (/^[/*]/.test(ctx.url) || URL.canParse(ctx.url)) return
  ctx.url = '/'
  throw new OAuthError('invalid_request', 'the request target cannot be read')
}

/** What libraries throw carries an HTTP status; everything else is a mistake of ours. */
function asOAuthError(error: unknown): OAuthError {
  if (error instanceof OAuthError) return error
  const status = error instanceof Error && 'status' in error ? error.status : undefined
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new OAuthError('invalid_request', 'the request cannot be read', { cause: error })
  }
  return new OAuthError('server_error', 'something went wrong here', { cause: error })
}

/** The path without its query: nothing that a client put into a URL by mistake gets into a log. */
function writeLog(
  log: Logger,
  ctx: Context,
  failure: OAuthError | undefined,
  milliseconds: number,
  withinBudget: LogBudget,
): void {
  const code = failure?.code
  const level =
    code === 'server_error'
      ? 'error'
      : code === 'temporarily_unavailable'
        ? 'warn'
        : quiet(ctx, failure)
          ? 'debug'
          : 'info'
  if (!log.isLevelEnabled(level)) return
  const unlogged = code === undefined || log.isLevelEnabled('debug') ? 0 : withinBudget(code)
  if (unlogged === undefined) return
  const line = {
    requestId: ctx.state.requestId,
    method: ctx.method,
    path: redact(ctx.path.slice(0, longestLoggedPath)),
    status: ctx.status,
    ms: Math.round(milliseconds * 10) / 10,
    ip: ctx.state.caller?.ip,
  }
  if (failure === undefined) log[level](line, 'request')
  else
    log[level](
      { ...line, error: code, reason: failure.message, ...causeOf(failure), ...(unlogged > 0 && { unlogged }) },
      'request refused',
    )
}

/** @returns how many lines of this code were left out since the last one, or undefined when this one is to be left out */
type LogBudget = (code: ErrorCode) => number | undefined

function createLogBudget(): LogBudget {
  const budgets = new Map<ErrorCode, { left: number; at: number; unlogged: number }>()
  return code => {
    const at = performance.now()
    const before = budgets.get(code) ?? { left: logBurst, at, unlogged: 0 }
    const left = Math.min(logBurst, before.left + ((at - before.at) / 1000) * logRate)
    const isWithin = left >= 1
    budgets.set(code, { left: isWithin ? left - 1 : left, at, unlogged: isWithin ? 0 : before.unlogged + 1 })
    return isWithin ? before.unlogged : undefined
  }
}

/** A good answer is news only to a developer. */
function quiet(ctx: Context, failure: OAuthError | undefined): boolean {
  return failure === undefined || ctx.path.startsWith('/health/')
}

/** People put tokens and secrets where names belong. Their prefixes, and that of every JWT, give them away. */
function redact(text: string): string {
  return text.replace(/(?:lkr_|lks_|lkc_|eyJ)[\w.~+/-]+/g, '[redacted]')
}

function causeOf(failure: OAuthError): { cause?: string; err?: unknown } {
  if (failure.cause === undefined) return {}
  return failure.cause instanceof Error ? { err: failure.cause } : { cause: redact(String(failure.cause)) }
}
