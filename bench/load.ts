/**
 * The load generator: a process of its own that keeps connections busy with HTTP/1.1 over raw sockets, to cost little beside
 * the server it shares the machine with. Takes a {@link Plan} as an IPC message, answers a {@link LoadResult}.
 */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { readCpuSeconds } from './machine.ts'

export type Plan = Readonly<{
  port: number
  /** Of more nodes of the same deployment: connections take turns among all, and a device meets now this one, now that one. */
  otherPorts?: readonly number[]
  /** The process whose CPU time is measured over the same seconds. */
  pid: number
  connections: number
  warmupSeconds: number
  seconds: number
  /** Milliseconds that a connection rests after an answer; at once when absent. */
  pause?: number
  /** Requests a second over all connections, if the server answers as many. */
  rate?: number
  requests: Requests
}>

export type Requests = Readonly<
  /** Each call presents the refresh token of the last answer. With more tokens than connections they take turns. */
  | { kind: 'refresh'; clientId: string; tokens: readonly string[]; atMost?: number }
  /** Each access token once; the run ends with the last. */
  | { kind: 'me'; accessTokens: readonly string[] }
  | { kind: 'introspect'; accessTokens: readonly string[]; authorization: string }
  /** Each token once; the run ends with the last. */
  | { kind: 'revoke'; clientId: string; tokens: readonly string[] }
  | { kind: 'post'; path: string; body: string; authorization?: string }
  /** Forged tokens, unknown clients, sign-ins of users that do not exist, each one another. */
  | { kind: 'refused'; clientId: string; atMost: number }
  /** Sign-ins with wrong passwords of ever new users from ever new networks, as a trusted proxy tells them. */
  | { kind: 'guess'; clientId: string }
  | { kind: 'get'; path: string; authorization?: string }
>

/** Latencies in milliseconds; `cpu` in microseconds of the measured process, per request. */
export type LoadResult = Readonly<{
  answered: number
  /** Those before and after the seconds that were measured included. */
  total: number
  perSecond: number
  median: number
  p99: number
  cpu: number
  /** The live refresh tokens: what a next plan goes on with. */
  tokens: readonly string[]
  /** Those that came with the refresh tokens of a run of limited length. */
  accessTokens: readonly string[]
}>

/** Makes the requests of a plan one after the other; `accept` gets the body of each answer. */
type Source = {
  next: () => string | undefined
  accept: (body: string) => void
  tokens: string[]
  accessTokens?: string[]
  /** How the status line of each answer has to go on. */
  expected?: RegExp
}

const success = /^HTTP\/1\.1 200 /
const refusal = /^HTTP\/1\.1 (?:400|401|429|503) /

if (process.send !== undefined) {
  process.on('message', async (plan: Plan) => {
    try {
      process.send?.(await run(plan))
    } catch (error) {
      process.send?.({ error: String(error) })
    }
  })
}

async function run(plan: Plan): Promise<LoadResult> {
  const source = sourceOf(plan.requests)
  const latencies: number[] = []
  const mark = () => ({ at: performance.now(), cpu: readCpuSeconds(plan.pid) })
  const started = performance.now()
  let begin: ReturnType<typeof mark> | undefined
  let end: ReturnType<typeof mark> | undefined
  const begins = () => (begin ??= mark())
  const ends = () => (end ??= mark())
  if (plan.warmupSeconds === 0) begins()
  const timers = [
    setTimeout(begins, plan.warmupSeconds * 1000),
    setTimeout(ends, (plan.warmupSeconds + plan.seconds) * 1000),
  ]
  // What is answered between the two marks counts: what is under way at the first makes up for what is at the second.
  let total = 0
  const record = (latency: number) => {
    total++
    if (begin !== undefined && end === undefined) latencies.push(latency)
  }
  const deadline = started + (plan.warmupSeconds + plan.seconds) * 1000
  const waitForTurn = createPace(plan, started)
  const ports = [plan.port, ...(plan.otherPorts ?? [])]
  await Promise.all(
    Array.from({ length: plan.connections }, (_, i) =>
      keepBusy(ports[i % ports.length]!, source, deadline, waitForTurn, record),
    ),
  )
  for (const timer of timers) clearTimeout(timer)

  const [from, to] = [begins(), ends()]
  latencies.sort((a, b) => a - b)
  return {
    answered: latencies.length,
    total,
    perSecond: latencies.length / ((to.at - from.at) / 1000),
    median: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    cpu: ((to.cpu - from.cpu) / latencies.length) * 1e6,
    tokens: source.tokens,
    accessTokens: source.accessTokens ?? [],
  }
}

/** @returns how many milliseconds a connection waits before its next request */
function createPace({ pause, rate }: Plan, started: number): () => number {
  if (pause !== undefined) return () => pause * (0.5 + Math.random())
  if (rate === undefined) return () => 0
  let sent = 0
  return () => started + (1000 * sent++) / rate - performance.now()
}

/** One connection: a request, its answer, the next request, until the time or the source ends. */
function keepBusy(
  port: number,
  source: Source,
  end: number,
  waitForTurn: () => number,
  record: (latency: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let started = 0
    let received = ''

    function send() {
      const request = performance.now() < end ? source.next() : undefined
      if (request === undefined) {
        socket.destroy()
        resolve()
        return
      }
      received = ''
      started = performance.now()
      socket.write(request, 'latin1')
    }

    function sendInTurn() {
      const wait = waitForTurn()
      if (wait > 0) setTimeout(send, wait)
      else send()
    }

    socket.setEncoding('latin1')
    socket.on('connect', sendInTurn)
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the server closed a connection')))
    socket.on('data', (chunk: string) => {
      received += chunk
      const bodyStart = received.indexOf('\r\n\r\n') + 4
      if (bodyStart < 4) return
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(received)?.[1])
      if (received.length < bodyStart + length) return
      if (!(source.expected ?? success).test(received)) {
        socket.destroy(new Error(`unexpected answer: ${received}`))
        return
      }
      record(performance.now() - started)
      source.accept(received.slice(bodyStart))
      sendInTurn()
    })
  })
}

function sourceOf(requests: Requests): Source {
  switch (requests.kind) {
    case 'refresh': {
      const { clientId, atMost = Number.POSITIVE_INFINITY } = requests
      const tokens = [...requests.tokens]
      const accessTokens: string[] = []
      // A ring: taking from the front of a long array moves all of it.
      let first = 0
      let left = atMost
      const take = () => {
        if (first > 10_000) {
          tokens.splice(0, first)
          first = 0
        }
        return tokens[first++]!
      }
      return {
        next() {
          if (left-- <= 0) return undefined
          return post('/token', `grant_type=refresh_token&client_id=${clientId}&refresh_token=${take()}`)
        },
        accept(body) {
          tokens.push(memberOf(body, 'refresh_token'))
          if (requests.atMost !== undefined) accessTokens.push(memberOf(body, 'access_token'))
        },
        get tokens() {
          return tokens.slice(first)
        },
        accessTokens,
      }
    }
    case 'me': {
      const tokens = [...requests.accessTokens]
      return {
        next: () => (tokens.length === 0 ? undefined : get('/users/me', `Bearer ${tokens.pop()}`)),
        accept: () => undefined,
        tokens,
      }
    }
    case 'introspect': {
      const tokens = [...requests.accessTokens]
      return {
        next: () =>
          tokens.length === 0 ? undefined : post('/introspect', `token=${tokens.pop()}`, requests.authorization),
        accept: () => undefined,
        tokens,
      }
    }
    case 'revoke': {
      const { clientId } = requests
      const tokens = [...requests.tokens]
      return {
        next: () => {
          const token = tokens.pop()
          return token === undefined ? undefined : post('/revoke', `client_id=${clientId}&token=${token}`)
        },
        accept: () => undefined,
        tokens,
      }
    }
    case 'refused': {
      let left = requests.atMost
      return {
        next: () => (left-- <= 0 ? undefined : refusedRequest(left, requests.clientId)),
        accept: () => undefined,
        tokens: [],
        expected: refusal,
      }
    }
    case 'guess': {
      const { clientId } = requests
      return {
        next() {
          const random = randomBytes(12)
          const body = `grant_type=password&client_id=${clientId}&username=${random.toString('hex')}&password=${random.toString('base64url')}`
          const network = [10, ...random.subarray(0, 3)].join('.')
          return post('/token', body, undefined, `X-Forwarded-For: ${network}\r\n`)
        },
        accept: () => undefined,
        tokens: [],
        expected: refusal,
      }
    }
    case 'post': {
      const request = post(requests.path, requests.body, requests.authorization)
      return { next: () => request, accept: () => undefined, tokens: [] }
    }
    case 'get': {
      const request = get(requests.path, requests.authorization)
      return { next: () => request, accept: () => undefined, tokens: [] }
    }
  }
}

function refusedRequest(number: number, clientId: string): string {
  const random = randomBytes(57)
  switch (number % 3) {
    case 0:
      return post(
        '/token',
        `grant_type=password&client_id=${clientId}&username=nobody-${random.toString('hex')}&password=x`,
      )
    case 1:
      return post('/token', `grant_type=refresh_token&client_id=${random.toString('hex')}&refresh_token=x`)
    default:
      return post(
        '/token',
        `grant_type=refresh_token&client_id=${clientId}&refresh_token=lkr_${random.toString('base64url')}`,
      )
  }
}

function get(path: string, authorization?: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n${authorizationLine(authorization)}\r\n`
}

function post(path: string, body: string, authorization?: string, headers = ''): string {
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n${authorizationLine(authorization)}${headers}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

function authorizationLine(authorization: string | undefined): string {
  return authorization === undefined ? '' : `Authorization: ${authorization}\r\n`
}

/** Without parsing all of it: the generator's own time would be measured too. */
function memberOf(body: string, name: 'access_token' | 'refresh_token'): string {
  const start = body.indexOf(`"${name}":"`) + name.length + 4
  return body.slice(start, body.indexOf('"', start))
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}
