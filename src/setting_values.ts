/** What the texts of settings say; undefined for one that says nothing that can be used. */
import { BlockList, isIP } from 'node:net'

export function parseHost(text: string): string | undefined {
  return /^[^\s/]+$/.test(text) ? text : undefined
}

/** Whether what listens on this host is reached from this machine only. A name that has to be looked up first is taken for one that is not. */
export function isLoopbackHost(host: string): boolean {
  const name = host.toLowerCase().replace(/^::ffff:/, '')
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'))
}

export function parseInteger(text: string, min: number, max: number): number | undefined {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  return value >= min && value <= max ? value : undefined
}

/** @returns seconds */
export function parseDuration(text: string, min: number, max = 100 * 365 * 86_400): number | undefined {
  const match = /^(\d{1,10})([smhd]?)$/.exec(text)
  if (match === null) return undefined
  const value = Number(match[1]) * { s: 1, m: 60, h: 3600, d: 86_400 }[(match[2] || 's') as 's' | 'm' | 'h' | 'd']
  return value >= min && value <= max ? value : undefined
}

export function parseSwitch(text: string): 'on' | 'off' | undefined {
  return text === 'on' || text === 'off' ? text : undefined
}

export function parseList<T>(text: string, parse: (item: string) => T | undefined): T[] | undefined {
  const values = text.split(',').map(item => parse(item.trim()))
  return values.includes(undefined) ? undefined : (values as T[])
}

/** RFC 8414 §2: https, no query, no fragment. Plain http would send passwords in the clear, except to this machine. */
export function parseIssuer(text: string): string | undefined {
  // A URL parser forgives white space, backslashes and missing slashes; a client that compares text does not.
  const url = /^https?:\/\/[^\s\\?#]*[^\s\\?#/]\/?$/.test(text) ? URL.parse(text) : null
  if (url === null || url.username || url.password) return undefined
  const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) return undefined
  // Compared letter by letter by clients (RFC 8414 §3.3), so it is kept as it was written, without the slash that
  // would double in the endpoints' URLs.
  return text.replace(/\/$/, '')
}

export function parseNetworks(text: string): BlockList | undefined {
  const networks = new BlockList()
  for (const item of text.split(',')) {
    const [address = '', prefix, ...rest] = item.trim().split('/')
    const version = isIP(address)
    const bits = version === 6 ? 128 : 32
    const length = prefix === undefined ? bits : parseInteger(prefix, 0, bits)
    if (version === 0 || length === undefined || rest.length > 0) return undefined
    networks.addSubnet(address, length, version === 6 ? 'ipv6' : 'ipv4')
  }
  return networks
}

/** What is wrong where users are to sign in by addresses that others may have too. */
export function uniqueEmailNeeded(signInBy: string): string {
  return `LATCHKEY_SIGN_IN_BY=${signInBy} takes addresses that are one user's each: set LATCHKEY_UNIQUE_EMAIL=on`
}
