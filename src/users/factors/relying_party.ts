/** The relying party of passkeys: the domain that they belong to, and the origins that answers may come from. WebAuthn §4. */
import { isIP } from 'node:net'

export type RelyingParty = Readonly<{
  /** A domain, the RP ID. Passkeys belong to it for ever: under another one none of them works. */
  id: string
  /** As client data names them. */
  origins: readonly string[]
}>

/**
 * @param issuer of this server
 * @returns undefined where there can be none: an IP address is no domain
 */
export function relyingPartyOf(issuer: string): RelyingParty | undefined {
  const { hostname, origin } = new URL(issuer)
  if (hostname.startsWith('[') || isIP(hostname) !== 0) return undefined
  return { id: hostname, origins: [origin] }
}
