/** From an address to what one person or one company holds: the unit in which attempts are counted. */
import { isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

export type Networks = Readonly<{
  /** One IPv4 address; the /64 of an IPv6 one, because every customer has at least that many addresses to choose from. */
  network: string
  /** The /48 of an IPv6 address: what a company or a tunnel is given, 65,536 networks of one holder. */
  site: string | undefined
  /** What new networks of one holder have in common: /48, or /24 of IPv4. */
  neighbourhood: string
}>

/** @param ip an address without brackets or port; anything else counts as a network of its own */
export function networksOf(ip = ''): Networks {
  // Without the zone of a link-local address (RFC 4007 §11): the name of an interface may have characters that are not read below.
  const bare = ip.replace(/%.*$/s, '')
  if (!isIPv6(bare)) return { network: ip, site: undefined, neighbourhood: ip.replace(/\.\d+$/, '') }
  const address = ipaddr.IPv6.parse(bare)
  // The same IPv4 address, however it is written (RFC 4291 §2.5.5.2).
  if (address.isIPv4MappedAddress()) return networksOf(address.toIPv4Address().toString())
  const prefix = (length: number) =>
    address.parts
      .slice(0, length)
      .map(group => group.toString(16))
      .join(':')
  return { network: prefix(4), site: prefix(3), neighbourhood: prefix(3) }
}
