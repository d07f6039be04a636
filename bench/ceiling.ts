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
import { timingSafeEqual } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import Database from 'better-sqlite3'
import {
  digest,
  formatToken,
  parseForm,
  parseToken,
  type Row,
  send,
  signAccessToken,
  type Token,
  tokenAnswer,
  verifyJwt,
} from './ruler.ts'

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
