/**
 * The value of the session cookie: `lkc_` and 76 base64url characters; its payload is session id ‖ generation. A cookie does not
 * rotate: its generation says only whether it is older than the last change of the password.
 */
import type { MasterSecrets } from '../keys/master_secret.ts'
import { openToken, sealToken, type TokenFormat } from '../keys/sealed_token.ts'

export type SessionCookie = Readonly<{
  /** 22 base64url characters. */
  sessionId: string
  generation: number
}>

/** Session id (16), generation (4, big-endian). */
const format: TokenFormat = { prefix: 'lkc_', payloadLength: 20, key: secret => secret.sessionCookieKey }
/** As it was while cookies had no generation: they are older than any change of the password since. */
const formerFormat: TokenFormat = { ...format, payloadLength: 16 }

/** @returns 80 characters, others for each sign-in; a secret: never stored, never logged */
export function formatSessionCookie({ sessionId, generation }: SessionCookie, secrets: MasterSecrets): string {
  const payload = Buffer.allocUnsafe(format.payloadLength)
  payload.write(sessionId, 0, 16, 'base64url')
  payload.writeUInt32BE(generation, 16)
  return sealToken(format, payload, secrets)
}

/** @returns what an authentic value says; only the row of its session knows whether that is live */
export function parseSessionCookie(text: string, secrets: MasterSecrets): SessionCookie | undefined {
  const payload = openToken(format, text, secrets) ?? openToken(formerFormat, text, secrets)
  if (payload === undefined) return undefined
  const generation = payload.length === formerFormat.payloadLength ? 0 : payload.readUInt32BE(16)
  return { sessionId: payload.toString('base64url', 0, 16), generation }
}
