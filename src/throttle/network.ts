/** From an address to what one person or one company holds: the unit in which attempts are counted. */

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
  const groups = parseIpv6(ip)
  if (groups === undefined) return { network: ip, site: undefined, neighbourhood: ip.replace(/\.\d+$/, '') }
  const [zeros, ipv4] = [groups.slice(0, 6).join(), groups.slice(6)]
  // The same IPv4 address, however it is written (RFC 4291 §2.5.5.2).
  if (zeros === '0,0,0,0,0,65535') return networksOf(ipv4.flatMap(group => [group >> 8, group & 255]).join('.'))
  const prefix = (length: number) =>
    groups
      .slice(0, length)
      .map(group => group.toString(16))
      .join(':')
  return { network: prefix(4), site: prefix(3), neighbourhood: prefix(3) }
}

/** RFC 4291 §2.2. @returns eight groups, or undefined when it is no IPv6 address */
function parseIpv6(ip: string): number[] | undefined {
  if (!ip.includes(':')) return undefined
  const text = ip.replace(/%.*$/, '').replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(0, 4).map(Number)
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  })
  const [head = '', tail, ...rest] = text.split('::')
  const read = (part: string) => (part === '' ? [] : part.split(':').map(group => Number(`0x${group}`)))
  const [first, last] = [read(head), read(tail ?? '')]
  const gap = 8 - first.length - last.length
  if (rest.length > 0 || (tail === undefined ? gap !== 0 : gap < 0)) return undefined
  const groups = [...first, ...Array<number>(gap).fill(0), ...last]
  return groups.every(group => group >= 0 && group <= 0xffff) ? groups : undefined
}
