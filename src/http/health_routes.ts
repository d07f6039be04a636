/** For load balancers and supervisors: is the process alive, can it do its work. */
import type { Context } from 'koa'
import type { Storage } from '../storage/storage.ts'
import { sendJson } from './json.ts'

export function healthRoutes(storage: Storage) {
  return {
    live(ctx: Context) {
      sendJson(ctx, { status: 'ok' })
    },
    /** 503 while the database would not take a write. */
    async ready(ctx: Context) {
      await storage.check()
      sendJson(ctx, { status: 'ok' })
    },
  }
}
