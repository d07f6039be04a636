import type { Context } from './context.ts'
/** Answers JSON, as text: given an object, Koa asks whether it is a `Response`, and for that Node loads all of fetch. */
export function sendJson(ctx: Context, value: object): void {
  // Koa would look the type up each time.
  ctx.res.setHeader('Content-Type', 'application/json; charset=utf-8')
  ctx.body = JSON.stringify(value)
}
