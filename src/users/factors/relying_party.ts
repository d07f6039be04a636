/**
 * The relying party of passkeys: the domain that they belong to, the origins that answers may come from, and what the domain says of other
 * sites and of apps. WebAuthn §4, §5.11.
 */
import { isIP } from 'node:net'

/** What operators set. */
export type PasskeySettings = Readonly<{
  /** Undefined: the host of the issuer. */
  rpId: string | undefined
  /** Origins of other pages that may ask for passkeys of this domain. */
  relatedOrigins: readonly string[]
  /** As Apple names apps: team, dot, bundle. */
  appleApps: readonly string[]
  /** One for each certificate that an app may be signed with. */
  androidApps: readonly AndroidApp[]
}>

/** `fingerprint`: SHA-256 of the certificate as keytool prints it, 32 bytes in hexadecimal with colons. */
export type AndroidApp = Readonly<{ packageName: string; fingerprint: string }>

export type RelyingParty = Omit<PasskeySettings, 'rpId'> &
  Readonly<{
    /** A domain, the RP ID. Passkeys belong to it for ever: under another one none of them works. */
    id: string
    /** Whose answers count, as client data names them. */
    origins: readonly string[]
  }>

export const defaultPasskeySettings: PasskeySettings = {
  rpId: undefined,
  relatedOrigins: [],
  appleApps: [],
  androidApps: [],
}

/**
 * @param issuer of this server
 * @returns undefined where there can be none: an IP address is no domain
 */
export function relyingPartyOf(
  issuer: string,
  { rpId, ...settings }: PasskeySettings = defaultPasskeySettings,
): RelyingParty | undefined {
  const { hostname, origin } = new URL(issuer)
  if (isAddress(hostname)) return undefined
  const id = rpId ?? hostname
  const { relatedOrigins, appleApps, androidApps } = settings
  const origins = new Set([
    origin,
    ...relatedOrigins,
    // An app of Apple's systems names the domain as if it were a page there; one of Android's the certificate that it is signed with.
    ...(appleApps.length > 0 ? [`https://${id}`] : []),
    ...androidApps.map(({ fingerprint }) => `android:apk-key-hash:${bytesOf(fingerprint).toString('base64url')}`),
  ])
  return { id, origins: [...origins], ...settings }
}

/** Why a text cannot be the RP ID of an issuer, in words for an operator; undefined when it can. §5.1.3, step 8; HTML §7.1.1. */
export function rpIdProblem(rpId: string, issuer: string): string | undefined {
  const { hostname } = new URL(issuer)
  if (isAddress(hostname))
    return `the host of the issuer is the IP address ${hostname}, for which there are no passkeys`
  if (!isDomain(rpId)) return 'that is no domain in lower case, without scheme, port and path'
  if (rpId === hostname) return undefined
  if (!hostname.endsWith(`.${rpId}`))
    return `for the issuer ${issuer} it has to be ${hostname} or a domain which that is in`
  return rpId.includes('.') ? undefined : 'a domain of that kind has owners of all sorts in it'
}

/** @returns undefined for what is no SHA-256 in hexadecimal, with or without colons */
export function readFingerprint(text: string): string | undefined {
  if (!/^[0-9a-f]{2}(?::?[0-9a-f]{2}){31}$/i.test(text)) return undefined
  return bytesOf(text).toString('hex').toUpperCase().match(/../g)!.join(':')
}

const bytesOf = (fingerprint: string) => Buffer.from(fingerprint.replaceAll(':', ''), 'hex')

const isAddress = (hostname: string) => hostname.startsWith('[') || isIP(hostname) !== 0

function isDomain(text: string): boolean {
  const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
  return text.length <= 253 && new RegExp(`^${label}(?:\\.${label})*$`).test(text) && !isAddress(text)
}
