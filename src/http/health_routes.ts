/** For load balancers and supervisors: is the process alive, can it do its work. */
import { OAuthError } from '../error.ts'
import type { Storage } from '../storage/storage.ts'
import { busy, ok } from './description.ts'
import type { Endpoint } from './endpoint.ts'
import { sendJson } from './json.ts'
import { jsonType } from './media_types.ts'

/** @param isStopping whether this server is about to end: a load balancer sends its requests elsewhere then */
export function healthEndpoints(
  storage: Pick<Storage, 'check'>,
  isStopping: () => boolean = () => false,
): readonly Endpoint[] {
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
      /** 503 while the database would not take a write, and from the moment when the server was told to end. */
      async handle(ctx) {
        if (isStopping()) throw new OAuthError('temporarily_unavailable', 'this server is stopping')
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
