/**
 * Sequences of requests to every endpoint, by every method, made of what is almost right: real tokens, cookies, clients and
 * parameters of the endpoint, some left out, repeated, swapped or replaced by nonsense. Each answer must be one that
 * `/openapi.json` has for the endpoint; a refusal changes nothing; nothing secret is in a refusal or a log line.
 */
import fc from 'fast-check'
import type { z } from 'zod'
import type { Described } from '../../src/http/docs/openapi.ts'
import { formType, jsonType } from '../../src/http/media_types.ts'
import { describedEndpoints } from '../_api.ts'
import { createClientKey, signAssertion, withAssertion } from '../_client_keys.ts'
import { signInByCookie, withCookie } from '../_cookies.ts'
import { createDatabase, type Row, type TestDatabase } from '../_databases.ts'
import { type Answer, issuer, password, startServerWithAlice, type TestContext, type TestServer } from '../_server.ts'

export const endpoints = describedEndpoints(issuer, true)

/** What a run has seen, for its report: how often each endpoint gave each status. */
export type Tally = Map<string, number>

const clientSecret = 'lks_a-client-secret-of-the-fuzzer'
const newPassword = 'another password of the fuzzer'
const evil = 'evil.example'
/** Must never be in a page as it is. */
const markup = '<i>fuzz'

const nasty = fc.oneof(
  fc.constantFrom(
    ...[
      '',
      ' ',
      '\0',
      '\r\nX-Injected: yes',
      '\ufffd',
      '__proto__',
      'constructor',
      'toString',
      "' OR 1=1 --",
      '%',
      '%00',
    ],
    ...['null', 'true', '-1', '1e999', '../../etc/passwd', markup, `"${markup}`, '\u202e', 'a'.repeat(5000)],
    ...[`https://${evil}/`, `//${evil}`, `/\\${evil}`, `/\t/${evil}`, 'javascript:alert(1)', '\u{1f4f1}'.repeat(300)],
  ),
  fc.string({ unit: 'binary', maxLength: 40 }).map(text => text.toWellFormed()),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
)

const even = (count: number) => fc.noBias(fc.nat({ max: count - 1 }))

/** Choices that are made before it is known what there is to choose from. */
const choice = fc.record({ roll: even(100), pick: even(1000), nasty })
type Choice = Readonly<{ roll: number; pick: number; nasty: string }>

const step = fc.record({
  endpoint: even(endpoints.length),
  method: choice,
  path: choice,
  authorization: choice,
  cookie: choice,
  fields: fc.array(choice, { minLength: 12, maxLength: 12 }),
  extra: fc.array(fc.tuple(choice, choice), { maxLength: 2 }),
  encoding: choice,
  headers: fc.record({ accept: choice, origin: choice, site: choice, etag: choice }),
  /** Seconds that pass before. */
  pause: fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom(0, 0, 0, 1, 20) },
    { weight: 1, arbitrary: fc.constant(1000) },
  ),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** What is there to be used rightly and wrongly. */
type World = Readonly<{
  accessTokens: readonly string[]
  refreshTokens: readonly string[]
  /** Its use ends its session: the only refusal that changes anything. */
  superseded: string
  supersededSession: string
  cookies: readonly string[]
  sessionIds: readonly string[]
  userNames: readonly string[]
  /** Of the client `worker`: each works once. */
  assertions: readonly string[]
}>

async function createWorld(server: TestServer): Promise<World> {
  await server.addUser({ username: 'bob' })
  await server.addUser({ username: 'disabled', disabledAt: server.clock.now() })
  await server.addClient({
    id: 'web',
    secret: clientSecret,
    grantTypes: ['password', 'refresh_token', 'client_credentials'],
  })
  const key = await createClientKey()
  await server.addClient({
    id: 'worker',
    authenticationMethods: ['private_key_jwt'],
    jwks: { keys: [key.jwk] },
    grantTypes: ['password', 'refresh_token', 'client_credentials'],
  })
  const exp = server.clock.now() + 300
  const assertions = await Promise.all(Array.from({ length: 6 }, () => signAssertion(key, 'worker', { exp })))
  await server.addClient({ id: 'openid', scope: 'openid profile email read' })
  const phone = await server.signIn()
  const tablet = await server.signIn({ client_id: 'openid' })
  const bob = await server.signIn({ username: 'bob' })
  const ended = await server.signIn()
  await server.request('/logout', { method: 'POST', headers: server.bearer(ended.access_token) })
  const second = (await server.refresh(phone.refresh_token)).body
  const third = (await server.refresh(second.refresh_token)).body
  const machine = await server.token({
    grant_type: 'client_credentials',
    client_id: 'web',
    client_secret: clientSecret,
  })
  const cookies = [await signInByCookie(server), await signInByCookie(server, { username: 'bob' })]
  const endedCookie = await signInByCookie(server)
  await server.request('/logout', { method: 'POST', headers: withCookie(endedCookie) })
  const sessions = await server.deps.storage.listLiveSessions({}, server.clock.now(), 100)
  const supersededSession = sessions.find(({ clientId, generation, parentGeneration }) => {
    return clientId === 'app' && generation - parentGeneration === 1 && generation % 2 ** 24 === 2
  })!.id
  return {
    accessTokens: [third, tablet, bob, ended].map(tokens => tokens.access_token).concat(machine.body.access_token),
    refreshTokens: [third, second, tablet, bob, ended].map(tokens => tokens.refresh_token),
    superseded: phone.refresh_token,
    supersededSession,
    cookies: [...cookies, endedCookie],
    sessionIds: sessions.map(({ id }) => id),
    userNames: ['alice', 'ALICE', 'bob', 'disabled', 'nobody', markup],
    assertions,
  }
}

const pickFrom = <T>(values: readonly T[], { pick }: Choice): T => values[pick % values.length]!

/** How a request says which client it is from, in its form. */
const clients: [string, string][][] = [
  [['client_id', 'app']],
  [['client_id', 'app']],
  [['client_id', 'openid']],
  [
    ['client_id', 'web'],
    ['client_secret', clientSecret],
  ],
  [
    ['client_id', 'web'],
    ['client_secret', 'wrong'],
  ],
  [['client_id', 'unknown']],
]

/** Values that fit the name of a parameter, the ones that succeed first. */
function valuesOf(name: string, world: World): readonly string[] {
  const tokens = [...world.refreshTokens, world.superseded, ...world.accessTokens]
  const known: Record<string, readonly string[]> = {
    grant_type: ['password', 'refresh_token', 'client_credentials', 'implicit'],
    username: world.userNames,
    password: [password, password, 'wrong'],
    current_password: [password, password, 'wrong'],
    new_password: [newPassword, 'short', 'password'],
    new_password_repeat: [newPassword],
    client_id: ['app', 'app', 'web', 'openid', 'unknown'],
    client_secret: [clientSecret, 'wrong'],
    client_assertion_type: ['urn:ietf:params:oauth:client-assertion-type:jwt-bearer'],
    client_assertion: ['a.b.c', ...world.assertions, world.accessTokens[0]!],
    refresh_token: tokens,
    token: tokens,
    token_type_hint: ['refresh_token', 'access_token'],
    access_token: world.accessTokens,
    scope: ['read', 'read write', 'openid', 'admin', 'others', 'all'],
    resource: [issuer, `https://${evil}`],
    device: ["Alice's phone", markup],
    return_to: ['/profile', `//${evil}`, `https://${evil}/`, `/\\${evil}`, '/login'],
    session: world.sessionIds,
    id: world.sessionIds,
    notice: ['password', 'signed_out', markup],
    start: ['0', '10'],
    file: ['style.css', 'swagger-ui.css'],
    hash: ['0'],
  }
  return known[name] ?? ['x']
}

/** Mostly what fits, sometimes nonsense, sometimes nothing. */
function fillIn(name: string, { roll, pick, nasty }: Choice, world: World): string | undefined {
  if (roll < 4) return undefined
  const values = valuesOf(name, world)
  // As often as all others together the first one, which succeeds.
  return roll < 10 ? nasty : roll < 55 ? values[0] : values[pick % values.length]
}

function schemasOf({ description: { body, query } }: Described): z.ZodObject[] {
  return [body, query].flat().filter(schema => schema !== undefined)
}

const allNames = [
  ...new Set(endpoints.flatMap(endpoint => schemasOf(endpoint).flatMap(schema => Object.keys(schema.shape)))),
]

function pairsOf({ fields, extra, encoding }: Step, schemas: readonly z.ZodObject[], world: World): [string, string][] {
  const shape = schemas.length === 0 ? {} : pickFrom(schemas, encoding).shape
  const pairs = Object.entries(shape).flatMap(([name, schema], i): [string, string][] => {
    const choice = fields[i % fields.length]!
    const isOptional = (schema as z.ZodType).safeParse(undefined).success
    if (isOptional && choice.pick % 5 > 0) return []
    const literal = (schema as Partial<z.ZodLiteral>).value
    const value = typeof literal === 'string' && choice.roll > 15 ? literal : fillIn(name, choice, world)
    return value === undefined ? [] : [[name, value]]
  })
  // One in four requests has something that does not belong there, or twice.
  if (encoding.roll % 4 > 0) return pairs
  const more = extra.map(([name, value]): [string, string] => {
    const chosen = name.roll < 20 ? name.nasty : pickFrom(allNames, name)
    return [chosen, value.roll < 20 ? value.nasty : pickFrom(valuesOf(chosen, world), value)]
  })
  return [...pairs, ...more]
}

const headerSafe = (text: string) => text.replaceAll(/[^\x20-\x7e\x80-\xff]/g, '').slice(0, 3000)
const methods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'PROPFIND']

type Sent = Readonly<{ method: string; path: string; headers: Headers; body?: string | FormData }>

function requestOf(step: Step, world: World): Sent {
  const endpoint = endpoints[step.endpoint]!
  const method = step.method.roll < 85 ? endpoint.method.toUpperCase() : pickFrom(methods, step.method)
  const filled = endpoint.path.replace(/\{(\w+)\}/g, (_, name: string) => {
    return encodeURIComponent(fillIn(name, step.path, world) ?? '').slice(0, 2000)
  })
  const path = step.path.roll < 95 ? filled : `/${encodeURIComponent(step.path.nasty).slice(0, 2000)}`
  const headers = new Headers()
  const set = (name: string, value: string | undefined) => {
    if (value !== undefined) headers.set(name, headerSafe(value))
  }
  set('authorization', authorizationOf(endpoint, step.authorization, world))
  const { roll, nasty } = step.cookie
  if (endpoint.caller.includes('cookie') || roll < 10) {
    const cookie = roll < 20 ? nasty.replaceAll(/[;,\s]/g, '') : pickFrom(world.cookies, step.cookie)
    set('cookie', withCookie(headerSafe(cookie)).cookie)
  }
  const { accept, origin, site, etag } = step.headers
  set(
    'accept',
    pickFrom([undefined, 'application/json', 'text/html', 'application/token-introspection+jwt', accept.nasty], accept),
  )
  set('origin', pickFrom([undefined, undefined, issuer, `https://${evil}`, 'null', origin.nasty], origin))
  set('sec-fetch-site', pickFrom([undefined, 'same-origin', 'none', 'cross-site', site.nasty], site))
  if (etag.roll < 10) set('if-none-match', etag.nasty)

  const hasBody = method !== 'GET' && method !== 'HEAD'
  const pairs = ofOneClient(endpoint, step, headers, pairsOf(step, schemasOf(endpoint), world), world)
  // Where a query is meant, and sometimes where none is.
  const inQuery = endpoint.body === undefined || step.encoding.roll >= 97
  const search = inQuery && pairs.length > 0 ? `?${new URLSearchParams(pairs)}` : ''
  const sent = { method, path: path + search, headers }
  return hasBody && !inQuery ? { ...sent, body: encode(pairs, step.encoding, endpoint, headers) } : sent
}

/** Mostly one client that authenticates in one way: the rest of the request is not read else. */
function ofOneClient(
  { caller }: Described,
  step: Step,
  headers: Headers,
  pairs: [string, string][],
  world: World,
): [string, string][] {
  if (caller !== 'client' || step.encoding.pick % 10 === 0) return pairs
  const others = pairs.filter(([name]) => !name.startsWith('client_'))
  const assertion = Object.entries(withAssertion(pickFrom(world.assertions, step.method)))
  return headers.has('authorization')
    ? others
    : [...others, ...pickFrom([...clients, assertion, assertion], step.cookie)]
}

function authorizationOf({ caller }: Described, choice: Choice, world: World): string | undefined {
  const { roll, nasty } = choice
  if (roll < 8) return nasty
  if (roll < 12) return `Bearer ${nasty}`
  if (caller.includes('user')) {
    return roll < 20 ? undefined : `Bearer ${roll < 60 ? world.accessTokens[1] : pickFrom(world.accessTokens, choice)}`
  }
  if (caller !== 'client' || roll < 60) return undefined
  const pair = pickFrom([`web:${clientSecret}`, `web:${clientSecret}`, 'app:', 'web:wrong', `x:${nasty}`], choice)
  return `Basic ${Buffer.from(pair).toString('base64')}`
}

function encode(
  pairs: [string, string][],
  { roll, nasty }: Choice,
  endpoint: Described,
  headers: Headers,
): string | FormData {
  const takesJson = endpoint.body?.types.includes(jsonType)
  if (roll < 3) return nasty
  if (roll < 6) {
    const form = new FormData()
    for (const [name, value] of pairs) form.append(name, value)
    return form
  }
  const asJson = takesJson ? roll < 50 : roll < 9
  headers.set('content-type', roll > 93 ? headerSafe(nasty) : asJson ? jsonType : formType)
  return asJson ? JSON.stringify(Object.fromEntries(pairs)) : new URLSearchParams(pairs).toString()
}

/** What a refusal may change after all. */
type Exceptions = Readonly<{
  /** Ended by the use of a superseded token, and that is written down. */
  session?: string | undefined
  /** A person who came with a cookie has been seen, whatever they asked for. */
  lastSeen: boolean
  /** An assertion is used up, whatever is wrong with the rest of its request (RFC 7523 §3). */
  assertion: boolean
}>

/** Every row of every table, but for what a refusal may change. */
async function stateOf(database: TestDatabase, exceptions: Exceptions): Promise<string> {
  const contents: Record<string, Row[]> = {}
  for (const table of await database.tables())
    contents[table] = heldRows(table, await database.query(`SELECT * FROM "${table}" ORDER BY 1`), exceptions)
  return JSON.stringify(contents)
}

/** What is written of who was seen, and of the hour before. */
const notSeen = { last_seen_at: 0, idle_expires_at: 0, seen_before_at: 0, ip_before: 0, user_agent_before: 0 }

function heldRows(table: string, rows: Row[], { session, lastSeen, assertion }: Exceptions): Row[] {
  if (table === 'sessions') {
    return rows.filter(({ id }) => id !== session).map(row => (lastSeen ? { ...row, ...notSeen } : row))
  }
  if (table === 'remembered_ids' && assertion) return []
  // A refusal is counted; in PostgreSQL at once, for all nodes.
  if (table === 'attempt_counters') return []
  if (table !== 'audit_events') return rows
  return rows.filter(row => session === undefined || row.session_id !== session || row.type !== 'session.reused')
}

function problemOf({ status, headers, body }: Answer, sent: Sent, secrets: readonly string[]): string | undefined {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const type = headers.get('content-type') ?? ''
  if (status >= 500) return 'a 5xx'
  if (headers.get('x-content-type-options') !== 'nosniff') return 'without nosniff'
  if (headers.has('x-injected')) return 'a header of the caller'
  if (headers.has('x-powered-by')) return 'X-Powered-By'
  const location = headers.get('location')
  if (location !== null && new URL(location, issuer).origin !== issuer) return `a way out: ${location}`
  if (type.startsWith('text/html') && text.includes(markup)) return 'markup of the caller in a page'
  if (/\.ts:\d|node_modules|\n\s+at /.test(text) && status >= 400) return 'a stack trace'
  if (status === 405 && !headers.has('allow')) return 'without Allow'
  if (status === 200 && /\badmin\b/.test(body.scope ?? '')) return 'a scope that nobody has'
  if (status < 400) return undefined
  if (headers.get('cache-control') !== 'no-store') return 'a refusal that may be cached'
  const secret = secrets.find(one => text.includes(one))
  if (secret !== undefined) return 'a secret in a refusal'
  if (sent.method !== 'HEAD' && type.startsWith(jsonType) && !/^[a-z_]+$/.test(body.error)) return 'no error code'
  return undefined
}

async function run(steps: readonly Step[], tally: Tally): Promise<void> {
  const closing: (() => unknown)[] = []
  const log: string[] = []
  const context: TestContext = { title: 'fuzz', teardown: work => void closing.unshift(work) }
  const database = await createDatabase(context)
  const server = await startServerWithAlice(context, {
    storage: await database.open(),
    onLog: line => log.push(line),
    http: { corsOrigins: ['https://app.example.com'] },
  })
  try {
    const world = await createWorld(server)
    const { accessTokens, refreshTokens, cookies, superseded, assertions } = world
    const secrets = [
      ...assertions,
      ...accessTokens,
      ...refreshTokens,
      ...cookies,
      superseded,
      clientSecret,
      password,
      newPassword,
    ]
    for (const step of steps) {
      server.clock.advance(step.pause)
      const sent = requestOf(step, world)
      const usesSuperseded = describe(sent).includes(superseded)
      const exceptions = {
        session: usesSuperseded ? world.supersededSession : undefined,
        lastSeen: sent.headers.has('cookie'),
        assertion: assertions.some(one => describe(sent).includes(one)),
      }
      const before = await stateOf(database, exceptions)
      const answer = await server.request(sent.path, { ...sent, signal: AbortSignal.timeout(10_000) })
      const name = `${endpoints[step.endpoint]!.path} ${answer.status}`
      tally.set(name, (tally.get(name) ?? 0) + 1)
      const problem =
        problemOf(answer, sent, secrets) ??
        (answer.status >= 400 && before !== (await stateOf(database, exceptions))
          ? 'a refusal that changed something'
          : undefined)
      if (problem !== undefined) {
        throw new Error(
          `${problem}: ${describe(sent)}\nanswered ${answer.status} ${JSON.stringify(answer.body).slice(0, 500)}`,
        )
      }
    }
    const lines = log.join('')
    const leaked = secrets.find(secret => lines.includes(secret))
    if (leaked !== undefined) throw new Error(`a secret in the log: ${log.find(line => line.includes(leaked))}`)
    const failed = log.find(line => JSON.parse(line).level >= 50)
    if (failed !== undefined) throw new Error(`an error in the log: ${failed}`)
  } finally {
    for (const close of closing) await close()
  }
}

function describe({ method, path, headers, body }: Sent): string {
  const text = body instanceof FormData ? JSON.stringify([...body]) : (body ?? '')
  return `${method} ${path} ${JSON.stringify([...headers])} ${text}`
}

/**
 * Runs until something is found or a limit is reached. The same seed makes the same requests.
 *
 * @throws Error with the shortest sequence that fast-check found, its seed and its path
 */
export async function fuzz(parameters: fc.Parameters<[Step[]]>, tally: Tally): Promise<void> {
  const sequence = fc.array(step, { minLength: 5, maxLength: 40, size: 'max' })
  await fc.assert(
    fc.asyncProperty(sequence, steps => run(steps, tally)),
    { markInterruptAsFailure: false, ...parameters },
  )
}
