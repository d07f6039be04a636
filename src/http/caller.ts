/** Where a request came from: address, user agent, request id. Forwarding headers count only from trusted proxies. */
import { type BlockList, isIP } from 'node:net'
import type { Context, Middleware } from 'koa'
import type { Logger } from 'pino'
import type { Caller } from '../oauth/audit.ts'

/** Puts a {@link Caller} into `ctx.state.caller`. */
export function identifyCaller(trustProxy: BlockList | undefined, log: Logger): Middleware {
  let warned = false
  return (ctx, next) => {
    const forwardedFor = ctx.headers['x-forwarded-for'] as string | undefined
    const peer = plainAddress(ctx.req.socket.remoteAddress ?? '')
    const trusted = trustProxy !== undefined && isIn(trustProxy, peer)
    if (forwardedFor !== undefined && !trusted && !warned) {
      warned = true
      log.warn({ peer }, 'X-Forwarded-For is ignored: its sender is not in LATCHKEY_TRUST_PROXY')
    }
    const ip = forwardedFor !== undefined && trusted ? clientAddress(forwardedFor, peer, trustProxy) : peer
    ctx.state.caller = { ip, userAgent: ctx.headers['user-agent'], requestId: ctx.state.requestId } satisfies Caller
    return next()
  }
}

export function callerOf(ctx: Context): Caller {
  return ctx.state.caller
}

/** The rightmost hop that is not one of ours: everything left of it is what the sender claims. */
function clientAddress(forwardedFor: string, peer: string, trustProxy: BlockList): string {
  let address = peer
  for (const hop of forwardedFor.split(',').reverse()) {
    const next = plainAddress(hop.trim())
    if (isIP(next) === 0) return address
    address = next
    if (!isIn(trustProxy, address)) return address
  }
  return address
}

/** Without the IPv6 wrapping of an IPv4 address, and without the port that some proxies add. */
function plainAddress(text: string): string {
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? text
  return bare.toLowerCase().startsWith('::ffff:') && bare.includes('.') ? bare.slice(7) : bare
}

function isIn(networks: BlockList, address: string): boolean {
  const version = isIP(address)
  return version !== 0 && networks.check(address, version === 6 ? 'ipv6' : 'ipv4')
}
