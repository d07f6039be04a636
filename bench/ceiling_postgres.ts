/**
 * What a refresh cannot do without where sessions are in PostgreSQL, on bare `node:http` and `pg`: parse the form, verify one HMAC-SHA-256
 * and make one, advance one row, sign one ES256 JWT, answer JSON. The ruler, not a server: no routes, no checks, no errors, no decision.
 *
 * Arguments: the URL of a database with sessions in it, and how rows are advanced. `batch`: what came while the statement before was under
 * way, at most 32, is read by one statement and written by one, as Latchkey does it. `single`: one statement a refresh. Sends
 * `{ port, tokens }` to its parent.
 */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import pg from 'pg'
import { formatToken, parseForm, parseToken, type Row, send, type Token, tokenAnswer } from './ruler.ts'

type Waiting = { token: Token; response: ServerResponse }

const [url, mode] = process.argv.slice(2)
const maxBatch = 32
/** Batches under way at once: while one commits, the next is read. */
const maxUnderWay = 2

const pool = new pg.Pool({ connectionString: url, max: 10 })
const columns = 'user_id, client_id, scope, audience, auth_time, generation'
const read = `SELECT id, ${columns} FROM sessions WHERE id = ANY($1)`
const rotateAll = `
  WITH locked AS (SELECT id FROM sessions WHERE id = ANY($1) ORDER BY id FOR UPDATE)
  UPDATE sessions s SET parent_generation = s.generation, generation = s.generation + 1, rotated_at = $3, last_seen_at = $3,
    idle_expires_at = $4
  FROM locked, unnest($1::text[], $2::bigint[]) v(id, generation)
  WHERE s.id = locked.id AND s.id = v.id AND s.generation = v.generation AND s.revoked_at IS NULL
  RETURNING s.id`
const rotate = `
  UPDATE sessions SET parent_generation = generation, generation = generation + 1, rotated_at = $3, last_seen_at = $3,
    idle_expires_at = $4
  WHERE id = $1 AND generation = $2 AND revoked_at IS NULL RETURNING ${columns}`

const waiting: Waiting[] = []
let underWay = 0

async function rotateOne({ token, response }: Waiting) {
  const now = Math.floor(Date.now() / 1000)
  const { rows } = await pool.query(rotate, [token.sessionId, token.generation, now, now + 2_592_000])
  answer(response, token.sessionId, rows[0], now)
}

async function rotateBatch() {
  const group = waiting.splice(0, maxBatch)
  underWay++
  const now = Math.floor(Date.now() / 1000)
  const ids = group.map(({ token }) => token.sessionId)
  const generations = group.map(({ token }) => token.generation)
  const before = await pool.query(read, [ids])
  const rows = new Map<string, Row>(before.rows.map(row => [row.id, row]))
  const { rows: rotated } = await pool.query(rotateAll, [ids, generations, now, now + 2_592_000])
  const done = new Set(rotated.map(({ id }) => id))
  underWay--
  begin()
  for (const { token, response } of group) {
    const row = rows.get(token.sessionId)
    const next = done.has(token.sessionId) ? { ...row!, generation: token.generation + 1 } : undefined
    answer(response, token.sessionId, next, now)
  }
}

/** Called when a turn of the event loop has come to its end, and when a batch is done. */
function begin() {
  while (waiting.length > 0 && underWay < maxUnderWay) void rotateBatch()
}

function answer(response: ServerResponse, sessionId: string, row: Row | undefined, now: number) {
  if (row === undefined) response.writeHead(400).end()
  else send(response, tokenAnswer(sessionId, { ...row, generation: Number(row.generation) }, now))
}

const server = createServer((request, response) => {
  let form = ''
  request.setEncoding('utf8')
  request.on('data', chunk => {
    form += chunk
  })
  request.on('end', () => {
    const token = parseToken(parseForm(form).refresh_token ?? '')
    if (token === undefined) response.writeHead(400).end()
    else if (mode === 'single') void rotateOne({ token, response })
    else if (waiting.push({ token, response }) === 1) setImmediate(begin)
  })
})

const { rows } = await pool.query('SELECT id, generation FROM sessions ORDER BY random()')
const tokens = rows.map(({ id, generation }) => formatToken(id, Number(generation)))
server.keepAliveTimeout = 75_000
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port, tokens })
})
process.once('SIGTERM', () => process.exit(0))
