import type { Context } from 'koa'

/** Answers JSON, as text: given an object, Koa asks whether it is a `Response`, and for that Node loads all of fetch. */
export function sendJson(ctx: Context, value: object): void {
  ctx.type = 'json'
  ctx.body = JSON.stringify(value)
}
