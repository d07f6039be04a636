/** For load balancers and supervisors: is the process alive, can it do its work. */
import type { Storage } from '../storage/storage.ts'
import { busy, ok } from './description.ts'
import type { Endpoint } from './endpoint.ts'
import { sendJson } from './json.ts'
import { jsonType } from './media_types.ts'

export function healthEndpoints(storage: Storage): readonly Endpoint[] {
  return [
    {
      id: 'live',
      method: 'get',
      path: '/health/live',
      caller: 'open',
      cors: 'none',
      handle: ctx => sendJson(ctx, { status: 'ok' }),
      describe: ({ healthResponse }) => ({
        tag: 'Health',
        summary: 'Is the process alive',
        answers: ok('It is.', { [jsonType]: healthResponse }),
      }),
    },
    {
      id: 'ready',
      method: 'get',
      path: '/health/ready',
      caller: 'open',
      cors: 'none',
      /** 503 while the database would not take a write. */
      async handle(ctx) {
        await storage.check()
        sendJson(ctx, { status: 'ok' })
      },
      describe: ({ healthResponse }) => ({
        tag: 'Health',
        summary: 'Can it do its work',
        answers: ok('It can.', { [jsonType]: healthResponse }),
        errors: busy,
      }),
    },
  ]
}
