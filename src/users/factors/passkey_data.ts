/** What is stored of a passkey, in `data` of its factor: WebAuthn §4, credential record. */

export type PasskeyData = Readonly<{
  /** The relying party that it was made for: it never signs for another. */
  rpId: string
  /** COSE_Key in base64url. */
  publicKey: string
  /** COSE algorithm of the key. */
  alg: number
  /** How the authenticator said that it is reached, for browsers. */
  transports: readonly string[]
  /** Whether it may be copied between devices; never changes. */
  backupEligible: boolean
  /** Whether it had been copied when it was made. */
  backedUp: boolean
  /** The model of the authenticator as it said, a UUID; zeros where it does not. */
  aaguid: string
}>

const maxTransports = 8
const maxText = 2048

export function formatPasskeyData(data: PasskeyData): string {
  return JSON.stringify(data)
}

/** @returns undefined for what is no such record */
export function parsePasskeyData(text: string): PasskeyData | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { rpId, publicKey, alg, transports, backupEligible, backedUp, aaguid } = value as Record<string, unknown>
  if (!isText(rpId) || !isText(publicKey) || !isText(aaguid)) return undefined
  if (typeof alg !== 'number' || typeof backupEligible !== 'boolean' || typeof backedUp !== 'boolean') return undefined
  return { rpId, publicKey, alg, transports: readTransports(transports), backupEligible, backedUp, aaguid }
}

/** Only a hint, which nothing signs: what is none is left out. */
export function readTransports(value: unknown): readonly string[] {
  if (!Array.isArray(value)) return []
  const words = value.filter((one): one is string => typeof one === 'string' && /^[a-z-]{1,32}$/.test(one))
  return [...new Set(words)].slice(0, maxTransports)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= maxText
}
