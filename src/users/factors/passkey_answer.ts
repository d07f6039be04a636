/** What `PublicKeyCredential.toJSON()` makes of the answer of an authenticator: WebAuthn §5.1. Read before anything is computed. */
import { readTransports } from './passkey_data.ts'
import { refuseProof } from './refuse_proof.ts'

/** Characters. A registration with an RSA key has some 2000; every attestation statement known has fewer. */
export const maxPasskeyAnswer = 16_384
/** Bytes of a credential id: 100 random bits at least, §4, and what §7.1 takes. */
const [minId, maxId] = [16, 1023]

/** Members with bytes are base64url without padding. */
export type PasskeyAnswer = Readonly<{
  /** The credential id, by which its factor is found. */
  id: string
  clientData: Readonly<{ type: string; challenge: string; origin: string; crossOrigin: boolean }>
  response: Readonly<{
    clientDataJSON: string
    /** Of a registration. */
    attestationObject?: string | undefined
    transports: readonly string[]
    /** Of a sign-in. */
    authenticatorData?: string | undefined
    signature?: string | undefined
    userHandle?: string | undefined
  }>
}>

/**
 * @param text as it came
 * @throws OAuthError of `refuseProof`
 */
export function readPasskeyAnswer(text: string): PasskeyAnswer {
  if (text.length > maxPasskeyAnswer) refuseProof('the answer is too long')
  const { id, type, response } = recordOf(text)
  const { clientDataJSON, transports, ...rest } = asRecord(response)
  const clientText = readBytes(clientDataJSON) ?? refuseProof('the answer has no client data')
  const clientData = recordOf(Buffer.from(clientText, 'base64url').toString())
  if (type !== 'public-key') refuseProof('the answer is of no passkey')
  const credentialId = readBytes(id) ?? refuseProof('the answer has no id')
  const idLength = Buffer.byteLength(credentialId, 'base64url')
  if (idLength < minId || idLength > maxId) refuseProof('the credential id is too short or too long')
  return {
    id: credentialId,
    clientData: {
      type: textOf(clientData.type),
      challenge: textOf(clientData.challenge),
      origin: textOf(clientData.origin),
      crossOrigin: clientData.crossOrigin === true || clientData.topOrigin !== undefined,
    },
    response: {
      clientDataJSON: clientText,
      attestationObject: readBytes(rest.attestationObject),
      transports: readTransports(transports),
      authenticatorData: readBytes(rest.authenticatorData),
      signature: readBytes(rest.signature),
      userHandle: readBytes(rest.userHandle),
    },
  }
}

function recordOf(text: string): Record<string, unknown> {
  try {
    return asRecord(JSON.parse(text))
  } catch {
    refuseProof('the answer is no JSON')
  }
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** @returns base64url in its one form, so that an id is found; undefined for anything else */
function readBytes(value: unknown): string | undefined {
  if (typeof value !== 'string' || !/^[A-Za-z0-9_-]+={0,2}$/.test(value)) return undefined
  return Buffer.from(value, 'base64url').toString('base64url')
}
