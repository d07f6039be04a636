/** The text form of a refresh token: `lkr_` and 76 base64url characters; its payload is session id ‖ generation. */
import type { MasterSecrets } from '../keys/master_secret.ts'
import { openToken, sealToken, type TokenFormat } from '../keys/sealed_token.ts'

export type RefreshToken = Readonly<{
  /** 22 base64url characters. */
  sessionId: string
  /** Which rotation of the session this token is; only its session row knows what that means now. */
  generation: number
}>

/** Session id (16), generation (4, big-endian). */
const format: TokenFormat = { prefix: 'lkr_', payloadLength: 20, key: secret => secret.refreshTokenKey }

/** @returns 80 characters; a secret: never stored, never logged */
export function formatRefreshToken(token: RefreshToken, secrets: MasterSecrets): string {
  const payload = Buffer.allocUnsafe(format.payloadLength)
  payload.write(token.sessionId, 0, 16, 'base64url')
  payload.writeUInt32BE(token.generation, 16)
  return sealToken(format, payload, secrets)
}

/** @returns what an authentic token says, or undefined for any other text */
export function parseRefreshToken(text: string, secrets: MasterSecrets): RefreshToken | undefined {
  const payload = openToken(format, text, secrets)
  return payload && { sessionId: payload.toString('base64url', 0, 16), generation: payload.readUInt32BE(16) }
}
