/**
 * Spans of OpenTelemetry, where the operator has loaded an SDK before this program (`node --import`). Without one nothing here is used. No
 * attribute has anything that a request has brought, but for its method.
 */
import { context, propagation, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api'
import type { Middleware } from './http/context.ts'
import type { Storage } from './storage/storage.ts'
import type { Passwords } from './users/password.ts'

export type Tracing = Readonly<{
  /** Outermost: makes the span of a request, which the others are within. */
  middleware: Middleware
  /** The same storage, with a span for each of its verbs: for a change it lasts until that is on disk. */
  storage: (storage: Storage) => Storage
  /** The same, with a span for each hash. */
  passwords: (passwords: Passwords) => Passwords
}>

/** @returns undefined where no SDK is loaded */
export function createTracing(): Tracing | undefined {
  const tracer = trace.getTracer('latchkey')
  const probe = tracer.startSpan('start')
  probe.end()
  if (!trace.isSpanContextValid(probe.spanContext())) return undefined
  return {
    middleware: traceRequests(tracer),
    storage: storage => traceAll(tracer, storage, name => `storage ${name}`),
    passwords: passwords => ({
      ...passwords,
      hash: password => within(tracer, 'hash', () => passwords.hash(password)),
      verify: (...given) => within(tracer, 'hash', () => passwords.verify(...given)),
      verifyAside: (...given) => within(tracer, 'hash', () => passwords.verifyAside(...given)),
    }),
  }
}

function traceRequests(tracer: Tracer): Middleware {
  return (ctx, next) => {
    const parent = propagation.extract(context.active(), ctx.headers)
    const span = tracer.startSpan(
      ctx.method,
      { kind: SpanKind.SERVER, attributes: { 'http.request.method': ctx.method } },
      parent,
    )
    ctx.state.traceId = span.spanContext().traceId
    return context.with(trace.setSpan(parent, span), async () => {
      try {
        const refusal = await next()
        if (refusal !== undefined) span.setAttribute('error.type', refusal.code)
        return refusal
      } finally {
        const { route } = ctx.state
        if (route !== undefined) span.updateName(`${ctx.method} ${route}`).setAttribute('http.route', route)
        span.setAttribute('http.response.status_code', ctx.status)
        if (ctx.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
        span.end()
      }
    })
  }
}

/** Spans of what answers a promise; the storage is asked anew each time, for it may be filled anew. */
function traceAll<T extends object>(tracer: Tracer, target: T, nameOf: (verb: string) => string): T {
  return new Proxy(target, {
    get(_, verb) {
      const value = Reflect.get(target, verb)
      if (typeof value !== 'function' || typeof verb === 'symbol' || verb === 'pool') return value
      return (...given: unknown[]) => within(tracer, nameOf(verb), () => Reflect.apply(value, target, given))
    },
  })
}

/** @param run what the span lasts as long as. Why it fails is not told: the cause of a failure may have anything in it */
function within<T>(tracer: Tracer, name: string, run: () => Promise<T>): Promise<T> {
  return tracer.startActiveSpan(name, async (span: Span) => {
    try {
      return await run()
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR })
      throw error
    } finally {
      span.end()
    }
  })
}
