/** Spans, as an SDK that the operator has loaded gets them: a small one, through `@opentelemetry/api`. */
import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type Attributes,
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import test from 'ava'
import { createTracing } from '../src/tracing.ts'
import { password, startServerWithAlice } from './_server.ts'

type Made = {
  name: string
  traceId: string
  id: string
  parentId: string | undefined
  attributes: Attributes
  failed: boolean
  ended: boolean
}

/** The spans that were made. */
const made: Made[] = []

/** Registers it for this process, as can be done once. */
function loadSdk(): void {
  const current = new AsyncLocalStorage<Context>()
  context.setGlobalContextManager({
    active: () => current.getStore() ?? ROOT_CONTEXT,
    with: (of, run, thisArg, ...given) => current.run(of, () => run.apply(thisArg, given)),
    bind: (_of, target) => target,
    enable() {
      return this
    },
    disable() {
      return this
    },
  })
  propagation.setGlobalPropagator({
    inject() {},
    fields: () => ['traceparent'],
    extract(of, carrier) {
      const [, traceId, spanId] = String((carrier as Record<string, unknown>).traceparent ?? '').split('-')
      return spanId === undefined ? of : trace.setSpanContext(of, { traceId: traceId!, spanId, traceFlags: 1 })
    },
  })
  const hex = (number: number, digits: number) => number.toString(16).padStart(digits, '0')
  const tracer: Tracer = {
    startSpan(name, options, of = context.active()) {
      const parent = trace.getSpanContext(of)
      const one: Made = {
        name,
        traceId: parent?.traceId ?? hex(made.length + 1, 32),
        id: hex(made.length + 1, 16),
        parentId: parent?.spanId,
        attributes: { ...options?.attributes },
        failed: false,
        ended: false,
      }
      made.push(one)
      const span = {
        spanContext: () => ({ traceId: one.traceId, spanId: one.id, traceFlags: 1 }),
        setAttribute(key: string, value: Attributes[string]) {
          one.attributes[key] = value
          return span
        },
        updateName(given: string) {
          one.name = given
          return span
        },
        setStatus({ code }: { code: SpanStatusCode }) {
          one.failed = code === SpanStatusCode.ERROR
          return span
        },
        end() {
          one.ended = true
        },
      } as unknown as Span
      return span
    },
    startActiveSpan(name: string, run: (span: Span) => unknown) {
      const span = tracer.startSpan(name)
      return context.with(trace.setSpan(context.active(), span), () => run(span)) as never
    },
  } as Tracer
  trace.setGlobalTracerProvider({ getTracer: () => tracer })
}

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const parentId = '00f067aa0ba902b7'
const headers = { traceparent: `00-${traceId}-${parentId}-01` }

// One after the other: an SDK is loaded once for the whole process.
test.serial('without an SDK there are no spans to make', t => {
  t.is(createTracing(), undefined)
})

test.serial(
  'a sign-in is a span of the trace that it came with, and its hash and its commit are within that',
  async t => {
    loadSdk()
    const tracing = createTracing()!
    const lines: Record<string, unknown>[] = []
    const server = await startServerWithAlice(t, { tracing, onLog: line => lines.push(JSON.parse(line)) })
    made.length = 0
    const body = { grant_type: 'password', client_id: 'app', username: 'alice', password }
    const { refresh_token } = (await server.token(body, headers)).body

    const [request, ...within] = made
    t.is(request!.name, 'POST /token')
    t.deepEqual([request!.traceId, request!.parentId], [traceId, parentId])
    t.deepEqual(request!.attributes, {
      'http.request.method': 'POST',
      'http.route': '/token',
      'http.response.status_code': 200,
    })
    const names = within.map(({ name }) => name)
    t.true(names.includes('hash'))
    t.true(names.includes('storage createSession'))
    t.true(within.every(one => one.traceId === traceId))
    t.true(made.every(({ ended, failed }) => ended && !failed))
    t.is(lines.findLast(({ path }) => path === '/token')?.trace_id, traceId)

    made.length = 0
    await server.refresh(refresh_token)
    t.deepEqual(
      made.map(({ name }) => name).filter(name => name !== 'storage findClient'),
      ['POST /token', 'storage changeSession'],
    )
  },
)

test.serial('nothing that a request has brought is in a span', async t => {
  const server = await startServerWithAlice(t, { tracing: createTracing()! })
  made.length = 0
  const secrets = ['s3cret-password', 'who-is-this', 'lkr_something']
  await server.token(
    { grant_type: 'password', client_id: 'app', username: secrets[1]!, password: secrets[0]! },
    headers,
  )
  await server.refresh(secrets[2]!)
  await server.request(`/sessions/${secrets[1]}?password=${secrets[0]}`, { method: 'DELETE' })
  await server.deps.storage.close()
  t.is((await server.token({ grant_type: 'password', client_id: 'app', username: 'alice', password })).status, 503)
  const text = JSON.stringify(made)
  t.deepEqual(
    secrets.filter(secret => text.includes(secret)),
    [],
  )
  t.true(made.some(({ attributes }) => attributes['error.type'] === 'invalid_grant'))
  t.true(made.some(({ failed, attributes }) => failed && attributes['http.response.status_code'] === 503))
  t.true(made.every(({ ended }) => ended))
})
