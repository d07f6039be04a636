/**
 * The outermost middleware: gives every request an id and a log line, every refusal its answer. It writes the answer itself,
 * because Koa's own error path drops headers that were already set.
 */
import type { Logger } from 'pino'
import type { ErrorCode, OAuthError } from '../error.ts'
import type { Observer } from '../observer.ts'
import { setPageHeaders } from './browser/pages.ts'
import type { Context, Middleware, Refusal } from './context.ts'
import { errorAnswers } from './error_answers.ts'
import { commonHeaders } from './headers.ts'
import { sendJson } from './json.ts'
import { limitHeaders } from './limits.ts'
import { asOAuthError, refusalOf } from './refusal.ts'
import { otherMethod } from './router.ts'
import { traceIdOf } from './trace_context.ts'

/** Lines about refusals of one code: so many at once, and so many a second after that. A flood of them must not fill the disk. */
const logBurst = 200
const logRate = 5
/** Characters. No path of ours is longer. */
const maxLoggedPath = 200

/** What metrics call every path that is none. */
const noRoute = 'unmatched'

/** @param idPrefix unlike that of any other process, so that ids are unique among nodes and restarts */
export function answerErrors(log: Logger, idPrefix: string, issuer: string, observer: Observer): Middleware {
  const always = Object.entries(commonHeaders(issuer))
  const withinBudget = createLogBudget()
  const observeUnmatched = observer.requests(otherMethod, noRoute)
  let requests = 0
  return async (ctx, next) => {
    const started = performance.now()
    ctx.state.requestId = idPrefix + (requests++).toString(36)
    ctx.res.setHeader('X-Request-Id', ctx.state.requestId)
    for (const [name, value] of always) ctx.res.setHeader(name, value)
    limitHeaders(ctx.headers)
    let refusal: Refusal | undefined
    try {
      refusal = await next()
    } catch (error) {
      refusal = refusalOf(ctx, asOAuthError(error), undefined, undefined)
    }
    if (refusal !== undefined) answer(ctx, refusal)
    // Of a body that nobody reads Node would go on taking piece after piece. One that is too large may go on: its sender shall know.
    if (ctx.headers['transfer-encoding'] !== undefined && !ctx.req.complete && refusal?.code !== 'request_too_large')
      ctx.set('Connection', 'close')
    const milliseconds = performance.now() - started
    writeLog(log, ctx, refusal?.failure, milliseconds, withinBudget)
    if (refusal !== undefined) observer.refused(refusal.failure.code)
    const observe = ctx.state.observe ?? observeUnmatched
    observe(ctx.status, milliseconds / 1000)
    return refusal
  }
}

function answer(ctx: Context, { failure, code, challenge, page }: Refusal): void {
  const { status, error, detail } = errorAnswers[code]
  ctx.status = status
  if (page !== undefined) {
    setPageHeaders(ctx)
    ctx.body = page
  } else
    sendJson(ctx, {
      error,
      error_description: failure.message,
      ...(detail !== undefined && { detail }),
      ...failure.members,
    })
  ctx.set('Cache-Control', 'no-store')
  if (challenge !== undefined) ctx.set('WWW-Authenticate', challenge)
  if (failure.retryAfter !== undefined) ctx.set('Retry-After', String(failure.retryAfter))
}

/** The path without its query: nothing that a client put into a URL by mistake gets into a log. */
function writeLog(
  log: Logger,
  ctx: Context,
  failure: OAuthError | undefined,
  milliseconds: number,
  withinBudget: LogBudget,
): void {
  // Logs know one code for a token that is not good, and for none.
  const code = failure?.code === 'token_missing' ? 'invalid_token' : failure?.code
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
  const traceId = ctx.state.traceId ?? traceIdOf(ctx.headers.traceparent)
  const line = {
    requestId: ctx.state.requestId,
    method: ctx.method,
    path: redact(ctx.path.slice(0, maxLoggedPath)),
    status: ctx.status,
    ms: Math.round(milliseconds * 10) / 10,
    ip: ctx.state.caller.ip,
    // As the log processors of the field call it.
    ...(traceId !== undefined && { trace_id: traceId }),
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
  return text.replace(/(?:lk[a-z]_|eyJ)[\w.~+/-]+/g, '[redacted]')
}

function causeOf(failure: OAuthError): { cause?: string; err?: unknown } {
  if (failure.cause === undefined) return {}
  return failure.cause instanceof Error ? { err: failure.cause } : { cause: redact(String(failure.cause)) }
}
