/** Where a request came from: address, user agent, request id. Forwarding headers count only from trusted proxies. */
import { type BlockList, isIP } from 'node:net'
import type { Logger } from 'pino'
import type { Caller } from '../audit/audit.ts'
import { maxUserAgent, readLabel } from '../text.ts'
import type { Context, Middleware } from './context.ts'

/** Proxies in front of this server that are looked through: the rest of the header may be anybody's. */
const maxHops = 32

const notTrusted = 'its sender is not in LATCHKEY_TRUST_PROXY'

/** Puts a {@link Caller} into `ctx.state.caller`. */
export function identifyCaller(trustProxy: BlockList | undefined, log: Logger): Middleware {
  const warned = new Set<string>()
  const warnOnce = (peer: string, header: string, why: string) => {
    if (warned.has(header)) return
    warned.add(header)
    log.warn({ peer }, `${header} is ignored: ${why}`)
  }
  return (ctx, next) => {
    const { forwarded, 'x-forwarded-for': forwardedFor } = ctx.headers as Record<string, string | undefined>
    const peer = plainAddress(ctx.req.socket.remoteAddress ?? '')
    const trusted = trustProxy !== undefined && isIn(trustProxy, peer)
    if (forwardedFor !== undefined && !trusted) warnOnce(peer, 'X-Forwarded-For', notTrusted)
    // RFC 7239. Nearly every proxy sends the other one, and two that may differ would have to be judged.
    if (forwarded !== undefined && !trusted) warnOnce(peer, 'Forwarded', notTrusted)
    else if (forwarded !== undefined && forwardedFor === undefined)
      warnOnce(peer, 'Forwarded', 'only X-Forwarded-For of a trusted proxy counts')
    const ip = forwardedFor !== undefined && trusted ? clientAddress(forwardedFor, peer, trustProxy) : peer
    const userAgent = readLabel(ctx.headers['user-agent'], maxUserAgent)
    ctx.state.caller = { ip, userAgent, requestId: ctx.state.requestId }
    return next()
  }
}

export function callerOf(ctx: Context): Caller {
  return ctx.state.caller
}

/** The rightmost hop that is not one of ours: everything left of it is what the sender claims. */
function clientAddress(forwardedFor: string, peer: string, trustProxy: BlockList): string {
  let address = peer
  let end = forwardedFor.length
  for (let hops = 0; hops < maxHops && end >= 0; hops++) {
    const comma = end === 0 ? -1 : forwardedFor.lastIndexOf(',', end - 1)
    const next = plainAddress(forwardedFor.slice(comma + 1, end).trim())
    end = comma
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
