/** Metrics for Prometheus. Nothing in them names anybody, so who reaches this listener may read them. */
import { ok } from '../description.ts'
import type { Endpoint } from '../endpoint.ts'
import { textType } from '../media_types.ts'

/** @param metrics all of them, as text */
export function metricsEndpoint(metrics: () => Promise<string>): Endpoint {
  return {
    id: 'metrics',
    method: 'get',
    path: '/metrics',
    caller: 'open',
    cors: 'none',
    async handle(ctx) {
      const text = await metrics()
      ctx.set('Content-Type', `${textType}; version=0.0.4; charset=utf-8`)
      ctx.set('Cache-Control', 'no-store')
      ctx.body = text
    },
    describe: ({ textFile }) => ({
      tag: 'Health',
      summary: 'Metrics',
      description: 'In the text format of Prometheus.',
      answers: ok('The metrics.', { [textType]: textFile }, 'Cache-Control'),
    }),
  }
}
