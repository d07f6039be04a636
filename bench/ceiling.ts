/**
 * What a refresh cannot do without, on bare `node:http`: parse the form, verify one HMAC-SHA-256 and make one, update one
 * row durably, sign one ES256 JWT, answer JSON. No routes, no checks, no errors: it is the ruler, not a server.
 * Argument: a database file of Latchkey's with sessions in it. Sends `{ port, tokens }` to its parent.
 */
import { createHmac, createSecretKey, generateKeyPairSync, randomBytes, sign, timingSafeEqual } from 'node:crypto'
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
type Refresh = { sessionId: string; generation: number; response: ServerResponse }

const database = new Database(process.argv[2])
database.pragma('journal_mode = WAL')
database.pragma('synchronous = FULL')
database.pragma('foreign_keys = ON')
const rotate = database.prepare<[number, number, number, string, number], Row>(
  `UPDATE sessions SET parent_generation = generation, generation = generation + 1, rotated_at = ?, last_seen_at = ?,
   idle_expires_at = ? WHERE id = ? AND generation = ? AND revoked_at IS NULL
   RETURNING user_id, client_id, scope, audience, auth_time, generation`,
)
const hmacKey = createSecretKey(randomBytes(32))
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const header = Buffer.from('{"alg":"ES256","typ":"at+jwt","kid":"0123456789012345678901234567890123456789012"}')
const encodedHeader = header.toString('base64url')

let waiting: Refresh[] = []

/** All refreshes of one turn of the event loop in one transaction. */
const commit = database.transaction((group: readonly Refresh[], now: number) =>
  group.map(({ sessionId, generation }) => rotate.get(now, now, now + 2_592_000, sessionId, generation)),
).immediate

function flush() {
  const group = waiting
  waiting = []
  const now = Math.floor(Date.now() / 1000)
  const rows = commit(group, now)
  for (const [i, { sessionId, response }] of group.entries()) {
    const row = rows[i]
    if (row === undefined) response.writeHead(400).end()
    else answer(response, sessionId, row, now)
  }
}

function answer(response: ServerResponse, sid: string, row: Row, now: number) {
  const claims = {
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
  }
  const body = JSON.stringify({
    access_token: signJwt(claims),
    token_type: 'Bearer',
    expires_in: 900,
    scope: row.scope,
    refresh_token: formatToken(sid, row.generation),
  })
  response.writeHead(200, {
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'no-store',
    'Content-Length': Buffer.byteLength(body),
  })
  response.end(body)
}

const server = createServer((request, response) => {
  let form = ''
  request.setEncoding('utf8')
  request.on('data', chunk => {
    form += chunk
  })
  request.on('end', () => {
    const params: Record<string, string> = {}
    for (const pair of form.split('&')) {
      const equals = pair.indexOf('=')
      params[decodeURIComponent(pair.slice(0, equals))] = decodeURIComponent(pair.slice(equals + 1))
    }
    const token = parseToken(params.refresh_token ?? '')
    if (token === undefined) {
      response.writeHead(400).end()
      return
    }
    if (waiting.push({ ...token, response }) === 1) setImmediate(flush)
  })
})

function formatToken(sessionId: string, generation: number): string {
  const bytes = Buffer.allocUnsafe(57)
  bytes.fill(1, 0, 5)
  bytes.write(sessionId, 5, 16, 'base64url')
  bytes.writeUInt32BE(generation, 21)
  authenticate(bytes).copy(bytes, 25)
  return `lkr_${bytes.toString('base64url')}`
}

function parseToken(text: string): { sessionId: string; generation: number } | undefined {
  const bytes = Buffer.from(text.slice(4), 'base64url')
  if (bytes.length !== 57 || !timingSafeEqual(authenticate(bytes), bytes.subarray(25))) return undefined
  return { sessionId: bytes.toString('base64url', 5, 21), generation: bytes.readUInt32BE(21) }
}

function authenticate(bytes: Buffer): Buffer {
  return createHmac('sha256', hmacKey).update(bytes.subarray(0, 25)).digest()
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

const rows = database.prepare<[], { id: string; generation: number }>('SELECT id, generation FROM sessions').all()
server.keepAliveTimeout = 75_000
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  process.send?.({ port, tokens: rows.map(row => formatToken(row.id, row.generation)) })
})
process.once('SIGTERM', () => process.exit(0))
