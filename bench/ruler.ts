/** What the rulers are made of: forms, tokens, signatures and answers at what they cost at the least. */
import {
  createHmac,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto'
import type { ServerResponse } from 'node:http'

/** What of a session the answer to a refresh says. */
export type Row = {
  user_id: string
  client_id: string
  scope: string
  audience: string
  auth_time: number
  generation: number
}
export type Token = { sessionId: string; generation: number }

const hmacKey = createSecretKey(randomBytes(32))
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
// As a key that was read from a file: a generated one verifies at another speed.
const verifyingKey = createPublicKey({ key: publicKey.export({ format: 'jwk' }), format: 'jwk' })
const header = Buffer.from('{"alg":"ES256","typ":"at+jwt","kid":"0123456789012345678901234567890123456789012"}')
const encodedHeader = header.toString('base64url')

export function send(response: ServerResponse, body: string) {
  response.writeHead(200, {
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'no-store',
    'Content-Length': Buffer.byteLength(body),
  })
  response.end(body)
}

export function parseForm(form: string): Record<string, string | undefined> {
  const params: Record<string, string | undefined> = {}
  for (const pair of form.split('&')) {
    const equals = pair.indexOf('=')
    params[decodeURIComponent(pair.slice(0, equals))] = decodeURIComponent(pair.slice(equals + 1))
  }
  return params
}

export function formatToken(sessionId: string, generation: number): string {
  const bytes = Buffer.allocUnsafe(57)
  bytes.fill(1, 0, 5)
  bytes.write(sessionId, 5, 16, 'base64url')
  bytes.writeUInt32BE(generation, 21)
  digest(bytes.subarray(0, 25)).copy(bytes, 25)
  return `lkr_${bytes.toString('base64url')}`
}

export function parseToken(text: string): Token | undefined {
  const bytes = Buffer.from(text.slice(4), 'base64url')
  if (bytes.length !== 57 || !timingSafeEqual(digest(bytes.subarray(0, 25)), bytes.subarray(25))) return undefined
  return { sessionId: bytes.toString('base64url', 5, 21), generation: bytes.readUInt32BE(21) }
}

export function digest(data: Buffer | string): Buffer {
  return createHmac('sha256', hmacKey).update(data).digest()
}

export function signAccessToken(sid: string, row: Row, now: number): string {
  return signJwt({
    iss: 'http://localhost:3000',
    aud: row.audience,
    sub: row.user_id,
    client_id: row.client_id,
    iat: now,
    exp: now + 900,
    jti: randomBytes(16).toString('base64url'),
    scope: row.scope,
    sid,
    auth_time: row.auth_time,
    amr: ['pwd'],
  })
}

function signJwt(claims: object): string {
  const signed = `${encodedHeader}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  const der = sign('sha256', Buffer.from(signed), privateKey)
  // SEQUENCE { INTEGER r, INTEGER s }, each of at most 33 bytes: right-aligned in 32.
  const raw = Buffer.alloc(64)
  const rEnd = 4 + der[3]!
  copyInteger(der.subarray(4, rEnd), raw, 32)
  copyInteger(der.subarray(rEnd + 2), raw, 64)
  return `${signed}.${raw.toString('base64url')}`
}

function copyInteger(integer: Buffer, target: Buffer, end: number) {
  const digits = integer.length > 32 ? integer.subarray(integer.length - 32) : integer
  digits.copy(target, end - digits.length)
}

export function verifyJwt(jwt: string): { sid: string; exp: number } {
  const [encoded, payload, signature] = jwt.split('.') as [string, string, string]
  const raw = Buffer.from(signature, 'base64url')
  const integers = Buffer.concat([derInteger(raw.subarray(0, 32)), derInteger(raw.subarray(32))])
  const der = Buffer.concat([Buffer.from([0x30, integers.length]), integers])
  if (encoded !== encodedHeader || !verify('sha256', Buffer.from(`${encoded}.${payload}`), verifyingKey, der))
    throw new Error('not our token')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { sid: string; exp: number }
  if (claims.exp < Date.now() / 1000) throw new Error('expired')
  return claims
}

function derInteger(digits: Buffer): Buffer {
  let start = 0
  while (digits[start] === 0 && start < 31) start++
  const sign = digits[start]! > 127 ? [0] : []
  return Buffer.concat([Buffer.from([2, 32 - start + sign.length, ...sign]), digits.subarray(start)])
}

export function tokenAnswer(sid: string, row: Row, now: number): string {
  return JSON.stringify({
    access_token: signAccessToken(sid, row, now),
    token_type: 'Bearer',
    expires_in: 900,
    scope: row.scope,
    refresh_token: formatToken(sid, row.generation),
  })
}
