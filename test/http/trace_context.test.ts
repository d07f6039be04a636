/** Which trace a request is part of, in the log. W3C Trace Context. */
import test from 'ava'
import fc from 'fast-check'
import { traceIdOf } from '../../src/http/trace_context.ts'
import { startServer } from '../_server.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const parentId = '00f067aa0ba902b7'

for (const [title, header] of [
  ['version 00', `00-${traceId}-${parentId}-01`],
  ['not sampled', `00-${traceId}-${parentId}-00`],
  ['a later version', `cc-${traceId}-${parentId}-01`],
  ['a later version with more', `cc-${traceId}-${parentId}-01-what-comes`],
] as const)
  test(`traceparent of ${title} names its trace (W3C Trace Context §3.2)`, t => {
    t.is(traceIdOf(header), traceId)
  })

for (const [title, header] of [
  ['version ff', `ff-${traceId}-${parentId}-01`],
  ['version 00 with more', `00-${traceId}-${parentId}-01-more`],
  ['a trace of zeros', `00-${'0'.repeat(32)}-${parentId}-01`],
  ['a parent of zeros', `00-${traceId}-${'0'.repeat(16)}-01`],
  ['capital letters', `00-${traceId.toUpperCase()}-${parentId}-01`],
  ['two headers', `00-${traceId}-${parentId}-01, 00-${traceId}-${parentId}-01`],
  ['a line break', `00-${traceId}-${parentId}-01\n`],
  ['endless text', `cc-${traceId}-${parentId}-01-${'x'.repeat(10_000)}`],
] as const)
  test(`traceparent with ${title} is ignored (W3C Trace Context §3.2.2)`, t => {
    t.is(traceIdOf(header), undefined)
  })

test('property: whatever traceparent is, what goes into the log is 32 hexadecimal digits', t => {
  t.notThrows(() =>
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f]{2}-[0-9a-f]{31,33}-[0-9a-f]{16}-[0-9a-f]{2}.?$/)),
        text => {
          const found = traceIdOf(text)
          return found === undefined || (/^[0-9a-f]{32}$/.test(found) && text.includes(found))
        },
      ),
    ),
  )
})

test('the line of a request has the trace that the request says it is part of; without one it has none', async t => {
  const lines: Record<string, unknown>[] = []
  const server = await startServer(t, { onLog: line => lines.push(JSON.parse(line)) })
  await server.request('/health/live', { headers: { traceparent: `00-${traceId}-${parentId}-01` } })
  await server.request('/nowhere', { headers: { traceparent: `00-${traceId}-${parentId}-01` } })
  await server.request('/health/live', { headers: { traceparent: `00-${traceId}` } })
  const ofRequests = lines.filter(({ path }) => path !== undefined)
  t.deepEqual(
    ofRequests.map(line => line.trace_id),
    [traceId, traceId, undefined],
  )
})
