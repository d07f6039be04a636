/**
 * What requests cannot do without, on bare `node:http`: the ruler, not a server. No routes, no checks, no errors.
 *
 * - `POST /token`: parse the form, verify one HMAC-SHA-256 and make one, update one row, sign one ES256 JWT, answer JSON
 * - `POST /revoke`: parse the form, verify one HMAC, update one row and add one to the audit trail
 * - `POST /introspect`: parse the form, authenticate the client by one HMAC, verify one ES256 JWT, read session and user
 * - `GET /users/me`: verify one ES256 JWT, read session and user
 *
 * Arguments: a database file of Latchkey's with sessions in it, and FULL or NORMAL for its durability. Sends
 * `{ port, tokens, accessToken }` to its parent.
 */
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
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import Database from 'better-sqlite3'

type Row = {
  user_id: string
  client_id: string
  scope: string
  audience: string
  auth_time: number
  generation: number
}
type Token = { sessionId: string; generation: number }
type Waiting = { token: Token; response: ServerResponse; revokes: boolean }

const [file, synchronous = 'FULL'] = process.argv.slice(2)
const database = new Database(file)
database.pragma('journal_mode = WAL')
database.pragma(`synchronous = ${synchronous}`)
database.pragma('foreign_keys = ON')
const rotate = database.prepare<[number, number, number, string, number], Row>(
  `UPDATE sessions SET parent_generation = generation, generation = generation + 1, rotated_at = ?, last_seen_at = ?,
   idle_expires_at = ? WHERE id = ? AND generation = ? AND revoked_at IS NULL
   RETURNING user_id, client_id, scope, audience, auth_time, generation`,
)
const revoke = database.prepare<[number, string]>(
  "UPDATE sessions SET revoked_at = ?, revoked_reason = 'revoked_by_client' WHERE id = ? AND revoked_at IS NULL",
)
const recordRevocation = database.prepare<[number, string]>(
  "INSERT INTO audit_events (at, type, client_id, session_id, ip, detail) VALUES (?, 'session.revoked', 'phone', ?, '127.0.0.1', 'revoked_by_client: 1')",
)
const findSession = database.prepare<[string], { user_id: string; revoked_at: number | null; idle_expires_at: number }>(
  'SELECT user_id, revoked_at, idle_expires_at FROM sessions WHERE id = ?',
)
const findUser = database.prepare<[string], { username: string; email: string | null; full_name: string | null }>(
  'SELECT username, email, full_name FROM users WHERE id = ?',
)
const hmacKey = createSecretKey(randomBytes(32))
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
// As a key that was read from a file: a generated one verifies at another speed.
const verifyingKey = createPublicKey({ key: publicKey.export({ format: 'jwk' }), format: 'jwk' })
const header = Buffer.from('{"alg":"ES256","typ":"at+jwt","kid":"0123456789012345678901234567890123456789012"}')
const encodedHeader = header.toString('base64url')

let waiting: Waiting[] = []

/** All writes of one turn of the event loop in one transaction. */
const commit = database.transaction((group: readonly Waiting[], now: number) =>
  group.map(({ token: { sessionId, generation }, revokes }) => {
    if (!revokes) return rotate.get(now, now, now + 2_592_000, sessionId, generation)
    revoke.run(now, sessionId)
    recordRevocation.run(now, sessionId)
    return undefined
  }),
).immediate

function flush() {
  const group = waiting
  waiting = []
  const now = Math.floor(Date.now() / 1000)
  const rows = commit(group, now)
  for (const [i, { token, response, revokes }] of group.entries()) {
    const row = rows[i]
    if (revokes) send(response, '{}')
    else if (row === undefined) response.writeHead(400).end()
    else send(response, tokenAnswer(token.sessionId, row, now))
  }
}

function tokenAnswer(sid: string, row: Row, now: number): string {
  return JSON.stringify({
    access_token: signAccessToken(sid, row, now),
    token_type: 'Bearer',
    expires_in: 900,
    scope: row.scope,
    refresh_token: formatToken(sid, row.generation),
  })
}

function introspect(accessToken: string): string {
  const claims = verifyJwt(accessToken)
  const user = userOf(claims.sid)
  return JSON.stringify({ active: true, token_type: 'Bearer', username: user.username, ...claims })
}

function me(accessToken: string): string {
  return JSON.stringify(userOf(verifyJwt(accessToken).sid))
}

function userOf(sid: string) {
  const session = findSession.get(sid)!
  if (session.revoked_at !== null || session.idle_expires_at < Date.now() / 1000) throw new Error('not live')
  return findUser.get(session.user_id)!
}

function send(response: ServerResponse, body: string) {
  response.writeHead(200, {
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'no-store',
    'Content-Length': Buffer.byteLength(body),
  })
  response.end(body)
}

const server = createServer((request, response) => {
  const { url, headers } = request
  if (url === '/users/me') {
    send(response, me(headers.authorization!.slice('Bearer '.length)))
    return
  }
  let form = ''
  request.setEncoding('utf8')
  request.on('data', chunk => {
    form += chunk
  })
  request.on('end', () => {
    const params = parseForm(form)
    if (url === '/introspect') {
      const [, secret = ''] = Buffer.from(headers.authorization!.slice('Basic '.length), 'base64').toString().split(':')
      if (!timingSafeEqual(digest(secret), clientDigest)) throw new Error('not the client')
      send(response, introspect(params.token!))
      return
    }
    const revokes = url === '/revoke'
    const token = parseToken((revokes ? params.token : params.refresh_token) ?? '')
    if (token === undefined) response.writeHead(400).end()
    else if (waiting.push({ token, response, revokes }) === 1) setImmediate(flush)
  })
})

function parseForm(form: string): Record<string, string | undefined> {
  const params: Record<string, string | undefined> = {}
  for (const pair of form.split('&')) {
    const equals = pair.indexOf('=')
    params[decodeURIComponent(pair.slice(0, equals))] = decodeURIComponent(pair.slice(equals + 1))
  }
  return params
}

function formatToken(sessionId: string, generation: number): string {
  const bytes = Buffer.allocUnsafe(57)
  bytes.fill(1, 0, 5)
  bytes.write(sessionId, 5, 16, 'base64url')
  bytes.writeUInt32BE(generation, 21)
  digest(bytes.subarray(0, 25)).copy(bytes, 25)
  return `lkr_${bytes.toString('base64url')}`
}

function parseToken(text: string): Token | undefined {
  const bytes = Buffer.from(text.slice(4), 'base64url')
  if (bytes.length !== 57 || !timingSafeEqual(digest(bytes.subarray(0, 25)), bytes.subarray(25))) return undefined
  return { sessionId: bytes.toString('base64url', 5, 21), generation: bytes.readUInt32BE(21) }
}

function digest(data: Buffer | string): Buffer {
  return createHmac('sha256', hmacKey).update(data).digest()
}

function signAccessToken(sid: string, row: Row, now: number): string {
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

function verifyJwt(jwt: string): { sid: string; exp: number } {
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

const clientDigest = digest('bench-client-secret')
// As the devices of the server that it is compared with: neighbours in the table would share pages.
const rows = database.prepare<[], Row & { id: string }>('SELECT * FROM sessions ORDER BY random()').all()
const tokens = rows.map(({ id, generation }) => formatToken(id, generation))
const accessToken = signAccessToken(rows[0]!.id, rows[0]!, Math.floor(Date.now() / 1000))
server.keepAliveTimeout = 75_000
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port, tokens, accessToken })
})
process.once('SIGTERM', () => process.exit(0))
