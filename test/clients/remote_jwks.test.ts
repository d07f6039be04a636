/**
 * Keys that clients publish at a `jwks_uri` (RFC 7591 §2), and what may go wrong at such an address (RFC 9700 §4.11.2).
 * Every peer is on loopback; nothing here connects to any other address.
 */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, Socket } from 'node:net'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { auditEvent } from '../../src/audit/audit.ts'
import { createClient } from '../../src/clients/client.ts'
import { openSqliteStorage } from '../../src/storage/sqlite/sqlite.ts'
import {
  assertRefused,
  assertToken,
  type ClientKey,
  createClientKey,
  signAssertion,
  startWatchedServer,
  withAssertion,
} from '../_client_keys.ts'
import { createFolder, deployment, postForm, startProcess } from '../_process.ts'
import { startTime } from '../_server.ts'

/** Milliseconds, as in src/clients/remote_jwks.ts. */
const timeout = 3000
const cooldown = 30_000
const maxAge = 600_000
/** Bytes. */
const largestSet = 65_536

type Peer = Awaited<ReturnType<typeof startPeer>>

/** The HTTP server of a client, on a free port of 127.0.0.1. */
async function startPeer(t: ExecutionContext, answer: RequestListener) {
  const paths: string[] = []
  const peer = { answer }
  const server = createServer((request, response) => {
    paths.push(request.url ?? '')
    peer.answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    uri: `http://127.0.0.1:${port}/jwks.json`,
    /** What was asked for so far. */
    paths,
    answerBy(next: RequestListener) {
      peer.answer = next
    },
  }
}

/** A peer that counts connections and says what it is told to, byte by byte. */
async function startRawPeer(t: ExecutionContext, text = '', host = '127.0.0.1', port = 0) {
  let connections = 0
  const server = createTcpServer(socket => {
    connections++
    socket.on('error', () => {})
    socket.once('data', () => socket.end(text))
  })
  server.listen(port, host)
  await once(server, 'listening')
  t.teardown(() => server.close())
  const address = server.address() as AddressInfo
  return { port: address.port, uri: `http://127.0.0.1:${address.port}/jwks.json`, connections: () => connections }
}

function publish(...keys: Pick<ClientKey, 'jwk'>[]): RequestListener {
  return sendText(JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }))
}

function sendText(text: string): RequestListener {
  return (_request, response) => response.end(text)
}

function answerWith(status: number, headers: Record<string, string> = {}, body = ''): RequestListener {
  return (_request, response) => response.writeHead(status, headers).end(body)
}

/** A server with the client `worker`, whose key is at an address. */
async function startServerWithWorker(t: ExecutionContext, jwksUri: string, key: ClientKey, privateJwksUris = true) {
  const server = await startWatchedServer(t, { privateJwksUris })
  await server.addKeyClient({ id: 'worker', jwksUri })
  return {
    ...server,
    send: async (claims = {}, header = {}) => server.tokenBy(await signAssertion(key, 'worker', claims, header)),
    sendBy: async (other: ClientKey) => server.tokenBy(await signAssertion(other, 'worker')),
  }
}

/** Moves the clocks that a fetch is timed by, which nothing hands in. Only in serial tests: those run alone. */
function moveProcessClocks(t: ExecutionContext) {
  const dateNow = Date.now
  const performanceNow = performance.now
  let moved = 0
  Date.now = () => dateNow() + moved
  performance.now = () => performanceNow.call(performance) + moved
  t.teardown(() => {
    Date.now = dateNow
    performance.now = performanceNow
  })
  return (milliseconds: number) => {
    moved += milliseconds
  }
}

test('the keys at a jwks_uri are fetched once for many assertions, by GET and as JSON', async t => {
  const key = await createClientKey('ES256', 'a')
  const requests: unknown[] = []
  const peer = await startPeer(t, (request, response) => {
    const { method, url, headers } = request
    requests.push({ method, url, accept: headers.accept, cookie: headers.cookie, authorization: headers.authorization })
    publish(key)(request, response)
  })
  const server = await startServerWithWorker(t, `${peer.uri}?v=1`, key)

  for (const answer of await Promise.all(Array.from({ length: 20 }, () => server.send()))) assertToken(t, answer)
  for (let i = 0; i < 5; i++) assertToken(t, await server.send())
  t.deepEqual(requests, [
    {
      method: 'GET',
      url: '/jwks.json?v=1',
      accept: 'application/jwk-set+json, application/json',
      cookie: undefined,
      authorization: undefined,
    },
  ])
})

test('of several keys at a jwks_uri each one authenticates, with its kid and without any', async t => {
  const keys = await Promise.all([
    createClientKey('ES256', 'a'),
    createClientKey('ES256', 'b'),
    createClientKey('EdDSA'),
  ])
  const stranger = await createClientKey('ES256', 'b')
  const peer = await startPeer(t, publish(...keys))
  const server = await startServerWithWorker(t, peer.uri, keys[0])

  for (const key of keys) {
    assertToken(t, await server.sendBy(key))
    assertToken(t, await server.sendBy({ ...key, kid: undefined }))
  }
  await assertRefused(t, server, () => server.sendBy(stranger))
  await assertRefused(t, server, () => server.sendBy({ ...stranger, kid: undefined }))
  t.is(peer.paths.length, 1)
})

test('two clients at one address are fetched for once, and keep their own names', async t => {
  const key = await createClientKey()
  const peer = await startPeer(t, publish(key))
  const server = await startServerWithWorker(t, peer.uri, key)
  await server.addKeyClient({ id: 'second', jwksUri: peer.uri })
  await server.addKeyClient({ id: 'third', jwks: { keys: [(await createClientKey()).jwk] } })

  assertToken(t, await server.send())
  assertToken(t, await server.tokenBy(await signAssertion(key, 'second')))
  await assertRefused(t, server, async () => server.tokenBy(await signAssertion(key, 'third')))
  t.is(peer.paths.length, 1)
})

test('an assertion that is refused anyway costs no second fetch', async t => {
  const key = await createClientKey('ES256', 'a')
  const peer = await startPeer(t, publish(key))
  const server = await startServerWithWorker(t, peer.uri, key)

  await assertRefused(t, server, () => server.send({ aud: 'https://other.example.com' }))
  await assertRefused(t, server, () => server.send({}, { kid: 'unknown' }))
  await assertRefused(t, server, async () => server.sendBy(await createClientKey('ES256', 'a')))
  assertToken(t, await server.send())
  t.is(peer.paths.length, 1)
})

test('an address is not asked for a client that is not there, disabled or not registered for it', async t => {
  const key = await createClientKey()
  const peer = await startPeer(t, publish(key))
  const server = await startServerWithWorker(t, peer.uri, key)
  await server.addKeyClient({ id: 'gone', jwksUri: peer.uri, disabledAt: startTime })
  await server.addKeyClient({ id: 'web', jwksUri: peer.uri, authenticationMethods: ['client_secret_basic'] })

  for (const id of ['nobody', 'gone', 'web']) {
    await assertRefused(t, server, async () => server.tokenBy(await signAssertion(key, id)), undefined, id)
  }
  t.is(peer.paths.length, 0)
  assertToken(t, await server.send())
  t.is(peer.paths.length, 1)
})

test.serial('a key that a client publishes later is found, 30 s after the last fetch and not before', async t => {
  const moveClocks = moveProcessClocks(t)
  const [first, second] = await Promise.all([createClientKey('ES256', 'a'), createClientKey('ES256', 'b')])
  const peer = await startPeer(t, publish(first))
  const server = await startServerWithWorker(t, peer.uri, first)
  assertToken(t, await server.send())
  peer.answerBy(publish(first, second))

  moveClocks(cooldown - 5000)
  await assertRefused(t, server, () => server.sendBy(second))
  t.is(peer.paths.length, 1)
  moveClocks(5000)
  assertToken(t, await server.sendBy(second))
  assertToken(t, await server.send())
  t.is(peer.paths.length, 2)
})

test('a server that starts now knows the keys of now', async t => {
  const [first, second] = await Promise.all([createClientKey('ES256', 'a'), createClientKey('ES256', 'b')])
  const peer = await startPeer(t, publish(first))
  const before = await startServerWithWorker(t, peer.uri, first)
  assertToken(t, await before.send())
  peer.answerBy(publish(second))

  const after = await startServerWithWorker(t, peer.uri, first)
  assertToken(t, await after.sendBy(second))
  await assertRefused(t, after, () => after.send())
})

test.serial('a key that a client no longer publishes dies within ten minutes', async t => {
  const moveClocks = moveProcessClocks(t)
  const [first, second] = await Promise.all([createClientKey('ES256', 'a'), createClientKey('ES256', 'b')])
  const peer = await startPeer(t, publish(first, second))
  const server = await startServerWithWorker(t, peer.uri, first)
  assertToken(t, await server.send())
  peer.answerBy(publish(second))

  moveClocks(maxAge - 5000)
  assertToken(t, await server.send())
  moveClocks(5000)
  await assertRefused(t, server, () => server.send())
  assertToken(t, await server.sendBy(second))
  t.is(peer.paths.length, 2)
})

test.serial('an address that failed is asked again after 30 s, not before', async t => {
  const moveClocks = moveProcessClocks(t)
  const key = await createClientKey()
  const peer = await startPeer(t, answerWith(503))
  const server = await startServerWithWorker(t, peer.uri, key)
  await assertRefused(t, server, () => server.send())
  peer.answerBy(publish(key))

  moveClocks(cooldown - 5000)
  await assertRefused(t, server, () => server.send())
  t.is(peer.paths.length, 1)
  moveClocks(5000)
  assertToken(t, await server.send())
  t.is(peer.paths.length, 2)
})

// kid, so a moment of trouble at the address keeps the client out.
test.serial('keys that are fresh go on working while the address fails to show an unknown one', async t => {
  const moveClocks = moveProcessClocks(t)
  const key = await createClientKey('ES256', 'a')
  const peer = await startPeer(t, publish(key))
  const server = await startServerWithWorker(t, peer.uri, key)
  assertToken(t, await server.send())
  peer.answerBy(answerWith(503))
  moveClocks(cooldown)

  await assertRefused(t, server, () => server.send({}, { kid: 'unknown' }))
  t.is(peer.paths.length, 2)
  assertToken(t, await server.send())
})

test('one key that cannot be read keeps out who names it, not who names another (RFC 7517 §5)', async t => {
  const key = await createClientKey('ES256', 'a')
  const broken = { jwk: { kty: 'EC', crv: 'P-256', kid: 'broken', x: 'AAAA', y: 'AAAA' } }
  const peer = await startPeer(t, publish(key, broken))
  const server = await startServerWithWorker(t, peer.uri, key)

  assertToken(t, await server.send())
  await assertRefused(t, server, () => server.send({}, { kid: 'broken' }))
  assertToken(t, await server.send())
})

const html = '<!doctype html><title>Not here</title>'

/** What an address may do that is no JWK Set; `key` is the one that would be good. */
const misbehaviours: readonly [rule: string, answer: (key: ClientKey) => RequestListener][] = [
  ['answers 404', () => answerWith(404, {}, html)],
  ['answers 403 with the keys', key => answerWith(403, {}, JSON.stringify({ keys: [key.jwk] }))],
  ['answers 500', () => answerWith(500)],
  ['answers 503 with Retry-After', () => answerWith(503, { 'Retry-After': '1' })],
  ['answers 201 with the keys', key => answerWith(201, {}, JSON.stringify({ keys: [key.jwk] }))],
  ['answers with nothing', () => sendText('')],
  ['answers with HTML', () => sendText(html)],
  ['answers with half a JSON text', key => sendText(JSON.stringify({ keys: [key.jwk] }).slice(0, -1))],
  ['answers with bytes', () => (_request, response) => response.end(Buffer.alloc(100, 0xff))],
  ['answers with gzip that nobody asked for', () => answerWith(200, { 'Content-Encoding': 'gzip' }, '\x1f\x8b')],
  ['answers with null', () => sendText('null')],
  ['answers with a list of keys', key => sendText(JSON.stringify([key.jwk]))],
  ['answers with one key', key => sendText(JSON.stringify(key.jwk))],
  ['answers with keys in an object', key => sendText(JSON.stringify({ keys: { a: key.jwk } }))],
  ['answers with keys that are null', () => sendText('{"keys":[null]}')],
  ['answers with keys in text', key => sendText(JSON.stringify({ keys: [JSON.stringify(key.jwk)] }))],
  ['answers with no key', () => sendText('{"keys":[]}')],
  ['answers with a key without members', () => sendText('{"keys":[{}]}')],
  ['answers with a secret key', () => sendText(JSON.stringify({ keys: [{ kty: 'oct', k: 'AAAA' }] }))],
  [
    'answers with a point that is not on the curve',
    key => sendText(JSON.stringify({ keys: [{ ...key.jwk, y: 'AAAA' }] })),
  ],
  ['breaks off in the body', key => breakOff(JSON.stringify({ keys: [key.jwk] }))],
  ['hangs up', () => request => request.socket.destroy()],
  ['resets the connection', () => request => request.socket.resetAndDestroy()],
]

function breakOff(text: string): RequestListener {
  return (_request, response) => {
    response.writeHead(200, { 'Content-Length': text.length + 1 })
    response.write(text, () => response.destroy())
  }
}

for (const [rule, misbehave] of misbehaviours) {
  test(`an address that ${rule} is invalid_client, and is not asked again at once`, async t => {
    const key = await createClientKey()
    const peer = await startPeer(t, misbehave(key))
    const good = await startPeer(t, publish(key))
    const server = await startServerWithWorker(t, peer.uri, key)
    await server.addKeyClient({ id: 'good', jwksUri: good.uri })

    await assertRefused(t, server, () => server.send())
    await assertRefused(t, server, () => server.send())
    t.is(peer.paths.length, 1)
    assertToken(t, await server.tokenBy(await signAssertion(key, 'good')))
  })
}

test('20 assertions at once ask an address that fails once', async t => {
  const key = await createClientKey()
  const peer = await startPeer(t, answerWith(500))
  const server = await startServerWithWorker(t, peer.uri, key)
  const before = await server.version()

  const answers = await Promise.all(Array.from({ length: 20 }, () => server.send()))

  for (const { status, body } of answers) t.deepEqual([status, body.error], [400, 'invalid_client'])
  t.is(peer.paths.length, 1)
  t.deepEqual(await server.version(), before)
})

test('an address where nothing listens is invalid_client', async t => {
  const key = await createClientKey()
  const closed = createTcpServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  const good = await startPeer(t, publish(key))
  const server = await startServerWithWorker(t, `http://127.0.0.1:${port}/jwks.json`, key)
  await server.addKeyClient({ id: 'good', jwksUri: good.uri })

  await assertRefused(t, server, () => server.send())
  assertToken(t, await server.tokenBy(await signAssertion(key, 'good')))
})

for (const status of [301, 302, 303, 307, 308]) {
  test(`a redirect is not followed, wherever it goes: ${status}`, async t => {
    const key = await createClientKey()
    const target = await startPeer(t, publish(key))
    const peer = await startPeer(t, answerWith(status, { Location: target.uri }, JSON.stringify({ keys: [key.jwk] })))
    const server = await startServerWithWorker(t, peer.uri, key)
    await server.addKeyClient({ id: 'direct', jwksUri: target.uri })

    await assertRefused(t, server, () => server.send())
    t.deepEqual([peer.paths.length, target.paths.length], [1, 0])
    assertToken(t, await server.tokenBy(await signAssertion(key, 'direct')))
    t.is(target.paths.length, 1)
  })
}

test('a set of 64 KiB is taken and one byte more is not, with or without Content-Length', async t => {
  const key = await createClientKey()
  const text = JSON.stringify({ keys: [key.jwk] })
  for (const [size, status] of [
    [largestSet, 200],
    [largestSet + 1, 400],
  ] as const) {
    for (const headers of [{}, { 'Content-Length': `${size}` }]) {
      const peer = await startPeer(t, (_request, response) => {
        response.writeHead(200, headers)
        response.write(text)
        response.end(' '.repeat(size - text.length))
      })
      const server = await startServerWithWorker(t, peer.uri, key)
      t.is((await server.send()).status, status, `${size} bytes`)
    }
  }
})

for (const status of [200, 500]) {
  test(`an endless answer is cut off at once, not read until the time is over: ${status}`, async t => {
    const key = await createClientKey()
    let sent = 0
    const closed = Promise.withResolvers<void>()
    const peer = await startPeer(t, (_request, response) => {
      response.writeHead(status).on('close', closed.resolve)
      const pour = () => {
        while (!response.destroyed) {
          sent += largestSet
          if (!response.write(Buffer.alloc(largestSet, ' '))) return
        }
      }
      response.on('drain', pour)
      pour()
    })
    const good = await startPeer(t, publish(key))
    const server = await startServerWithWorker(t, peer.uri, key)
    await server.addKeyClient({ id: 'good', jwksUri: good.uri })
    const started = performance.now()

    await assertRefused(t, server, () => server.send())
    await closed.promise

    t.true(performance.now() - started < timeout - 500)
    // What the kernel's buffers of both sides took, and no more.
    t.true(sent < 64 * 1024 * 1024, `${sent} bytes`)
    assertToken(t, await server.tokenBy(await signAssertion(key, 'good')))
  })
}

/** Ways to keep a server waiting. */
const hangs: readonly [rule: string, hang: (t: ExecutionContext) => Promise<Pick<Peer, 'uri'>>][] = [
  ['says nothing', t => startPeer(t, () => {})],
  ['sends headers and no body', t => startPeer(t, (_request, response) => response.writeHead(200).flushHeaders())],
  ['sends half a body', t => startPeer(t, (_request, response) => response.write('{"keys":['))],
  [
    'sends a byte at a time',
    t =>
      startPeer(t, (_request, response) => {
        const drip = setInterval(() => response.write(' '), 100)
        response.on('close', () => clearInterval(drip))
      }),
  ],
  [
    'sends headers for ever',
    async t => {
      const server = createTcpServer(socket => {
        socket.write('HTTP/1.1 200 OK\r\n')
        const drip = setInterval(() => socket.write('X-A: b\r\n'), 100)
        socket.on('error', () => {}).on('close', () => clearInterval(drip))
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      t.teardown(() => server.close())
      return { uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
    },
  ],
]

for (const [rule, hang] of hangs) {
  test(`an address that ${rule} is waited for 3 s, while others are answered`, async t => {
    const key = await createClientKey()
    const peer = await hang(t)
    const good = await startPeer(t, publish(key))
    const server = await startServerWithWorker(t, peer.uri, key)
    await server.addKeyClient({ id: 'good', jwksUri: good.uri })
    const before = await server.version()
    const started = performance.now()

    let settled = 0
    const waiting = Array.from({ length: 5 }, () => server.send().finally(() => settled++))
    assertToken(t, await server.tokenBy(await signAssertion(key, 'good')))
    t.is(settled, 0)
    const between = await server.version()
    const answers = await Promise.all(waiting)

    const waited = performance.now() - started
    t.true(waited > timeout - 500 && waited < timeout + 5000, `${waited} ms`)
    for (const { status, body } of answers) t.deepEqual([status, body.error], [400, 'invalid_client'])
    t.deepEqual(await server.version(), between)
    t.notDeepEqual(between, before)
    // And now it is known to be broken.
    await assertRefused(t, server, () => server.send())
    t.true(performance.now() - started < waited + 1500)
  })
}

test('without LATCHKEY_PRIVATE_JWKS_URIS plain http is refused without a connection', async t => {
  const key = await createClientKey()
  const peer = await startPeer(t, publish(key))
  const careful = await startServerWithWorker(t, peer.uri, key, false)
  const trusting = await startServerWithWorker(t, peer.uri, key, true)

  await assertRefused(t, careful, () => careful.send())
  t.is(peer.paths.length, 0)
  assertToken(t, await trusting.send())
  t.is(peer.paths.length, 1)
})

/** Spellings of this machine. */
const loopbackHosts = [
  '127.0.0.1',
  'localhost',
  'LOCALHOST',
  '127.1',
  '2130706433',
  '0x7f000001',
  '017700000001',
  '0.0.0.0',
  '0',
  '127.0.0.1.',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
]

for (const host of loopbackHosts) {
  test(`without LATCHKEY_PRIVATE_JWKS_URIS https://${host} is refused without a connection`, async t => {
    const key = await createClientKey()
    const peer = await startRawPeer(t)
    const uri = `https://${host}:${peer.port}/jwks.json`
    const careful = await startServerWithWorker(t, uri, key, false)
    const trusting = await startServerWithWorker(t, uri, key, true)

    await assertRefused(t, careful, () => careful.send())
    t.is(peer.connections(), 0)
    // The twin gets through to the peer, which speaks no TLS.
    await assertRefused(t, trusting, () => trusting.send())
    t.true(peer.connections() > 0)
  })
}

test('without LATCHKEY_PRIVATE_JWKS_URIS https://[::1] is refused without a connection', async t => {
  const key = await createClientKey()
  const peer = await startRawPeer(t, '', '::1').catch((error: NodeJS.ErrnoException) => error)
  if (peer instanceof Error) return t.log(`there is no IPv6 here: ${peer.code}`) ?? t.pass()
  const uri = `https://[::1]:${peer.port}/jwks.json`
  const careful = await startServerWithWorker(t, uri, key, false)
  const trusting = await startServerWithWorker(t, uri, key, true)

  await assertRefused(t, careful, () => careful.send())
  t.is(peer.connections(), 0)
  await assertRefused(t, trusting, () => trusting.send())
  t.true(peer.connections() > 0)
})

/** Addresses that are nobody's on the internet, in every spelling that a URL has for them. */
const privateHosts = [
  '10.0.0.1',
  '10.255.255.255',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.0.1',
  '169.254.169.254',
  '2852039166',
  '0xa9fea9fe',
  '0251.0376.0251.0376',
  '100.64.0.1',
  '0.0.0.0',
  '127.255.255.255',
  '224.0.0.1',
  '255.255.255.255',
  '[::]',
  '[::1]',
  '[fc00::1]',
  '[fd12:3456::1]',
  '[fe80::1]',
  '[ff02::1]',
  '[::ffff:10.0.0.1]',
  '[::ffff:169.254.169.254]',
  '[::ffff:c0a8:1]',
  '[64:ff9b::10.0.0.1]',
  '[2002:a00:1::1]',
]

/** Notes where this process would connect to, and lets it go nowhere but to 127.0.0.1. Only in serial tests. */
function watchSockets(t: ExecutionContext): string[] {
  const { connect } = Socket.prototype
  const hosts: string[] = []
  Socket.prototype.connect = function (this: Socket, ...args: unknown[]) {
    const first = args[0]
    // The driver of PostgreSQL calls it with a port and a host.
    const options = typeof first === 'number' ? { host: args[1] } : Array.isArray(first) ? first[0] : first
    const { host = '' } = options as { host?: string }
    if (host === '127.0.0.1') return Reflect.apply(connect, this, args)
    hosts.push(host)
    return this.destroy(new Error('this test connects to nobody'))
  } as typeof connect
  t.teardown(() => {
    Socket.prototype.connect = connect
  })
  return hosts
}

test.serial('without LATCHKEY_PRIVATE_JWKS_URIS no address of a private network is connected to (SSRF)', async t => {
  const hosts = watchSockets(t)
  const key = await createClientKey()
  const careful = await startWatchedServer(t, { privateJwksUris: false })
  const trusting = await startWatchedServer(t, { privateJwksUris: true })
  const uris = privateHosts.map(host => `https://${host}/jwks.json`)

  for (const [i, jwksUri] of uris.entries()) {
    await careful.addKeyClient({ id: `worker-${i}`, jwksUri })
    await trusting.addKeyClient({ id: `worker-${i}`, jwksUri })
    const assertion = await signAssertion(key, `worker-${i}`)
    await assertRefused(t, careful, () => careful.tokenBy(assertion), undefined, jwksUri)
    t.deepEqual(hosts, [], jwksUri)
    // The twin would have gone there.
    await assertRefused(t, trusting, () => trusting.tokenBy(assertion), undefined, jwksUri)
    t.is(hosts.length, 1, jwksUri)
    hosts.length = 0
  }
})

test.serial(
  'without LATCHKEY_PRIVATE_JWKS_URIS plain http is refused on the internet too, and https is not',
  async t => {
    // Nobody is reached: this test lets no socket out.
    const hosts = watchSockets(t)
    const key = await createClientKey()
    const server = await startWatchedServer(t, { privateJwksUris: false })
    await server.addKeyClient({ id: 'plain', jwksUri: 'http://93.184.215.14/jwks.json' })
    await server.addKeyClient({ id: 'tls', jwksUri: 'https://93.184.215.14/jwks.json' })

    await assertRefused(t, server, async () => server.tokenBy(await signAssertion(key, 'plain')))
    t.deepEqual(hosts, [])
    await assertRefused(t, server, async () => server.tokenBy(await signAssertion(key, 'tls')))
    t.deepEqual(hosts, ['93.184.215.14'])
  },
)

/** Answers of a status that fetch's own Response cannot hold, or that end HTTP. */
const oddAnswers = [
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\n\r\n',
  'HTTP/1.1 700 Odd\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 199 Odd\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
  'HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\n{}',
  `HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(100_000)}\r\n\r\n`,
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n',
  'SSH-2.0-OpenSSH_9.9\r\n',
  '\0\0\0\0',
  '',
]
/** A real server, in a process of its own, with one client for each address. Its process is what is tried here. */
async function startProcessWithWorkers(t: ExecutionContext, jwksUris: readonly string[]) {
  const environment = deployment(createFolder(t), {
    LATCHKEY_BOOTSTRAP: 'off',
    LATCHKEY_PRIVATE_JWKS_URIS: 'on',
    LATCHKEY_ISSUER: 'https://auth.example.com',
  })
  const { storage } = openSqliteStorage(join(environment.HOME!, 'data/latchkey.db'))
  for (const [i, jwksUri] of jwksUris.entries()) {
    const client = createClient({
      id: `worker-${i}`,
      authenticationMethods: ['private_key_jwt'],
      jwksUri,
      grantTypes: ['client_credentials'],
      scope: 'read',
      createdAt: startTime,
    })
    await storage.createClient(client, auditEvent('client.created', startTime, {}))
  }
  await storage.close()
  const server = await startProcess(t, environment)
  return {
    ...server,
    async send(i: number, key: ClientKey) {
      const now = Math.floor(Date.now() / 1000)
      const assertion = await signAssertion(key, `worker-${i}`, { iat: now, exp: now + 60 })
      const answer = postForm(`${server.url}/token`, { grant_type: 'client_credentials', ...withAssertion(assertion) })
      const late = AbortSignal.timeout(timeout + 5000)
      return Promise.race([answer, once(late, 'abort').then(() => ({ status: 0, body: { error: 'no answer' } }))])
    },
  }
}

// What throws in an event handler ends the process, and this one too: so the server has its own.
test('whatever an address answers with is invalid_client, and the server goes on', async t => {
  const key = await createClientKey()
  const good = await startPeer(t, publish(key))
  const peers = await Promise.all(oddAnswers.map(text => startRawPeer(t, text)))
  const server = await startProcessWithWorkers(t, [good.uri, ...peers.map(({ uri }) => uri)])

  for (const [i, text] of oddAnswers.entries()) {
    const { status, body } = await server.send(i + 1, key)
    t.deepEqual([status, body.error], [400, 'invalid_client'], text.slice(0, 40))
    t.is(peers[i]!.connections(), 1)
  }
  t.is((await server.send(0, key)).status, 200)
  t.is(await server.stop(), 0)
  t.is(server.stderr(), '')
  t.deepEqual(
    server.log.filter(({ level }) => (level as number) >= 50),
    [],
  )
})
