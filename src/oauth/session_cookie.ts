/** The value of the session cookie: `lkc_` and 71 base64url characters; its payload is the session id. */
import type { MasterSecrets } from './master_secret.ts'
import { openToken, sealToken, type TokenFormat } from './sealed_token.ts'

const format: TokenFormat = { prefix: 'lkc_', payloadLength: 16, key: secret => secret.sessionCookieKey }

/** @returns 75 characters, others for each sign-in; a secret: never stored, never logged */
export function formatSessionCookie(sessionId: string, secrets: MasterSecrets): string {
  return sealToken(format, Buffer.from(sessionId, 'base64url'), secrets)
}

/** @returns the session id of an authentic value; only its row knows whether the session is live */
export function parseSessionCookie(text: string, secrets: MasterSecrets): string | undefined {
  return openToken(format, text, secrets)?.toString('base64url')
}
