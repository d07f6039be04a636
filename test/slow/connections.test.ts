/** Connections hold little, whatever their clients leave unread or send at once. RFC 9112 §9.3 to §9.5; CWE-400, CWE-770. */
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { pipeline, Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import {
  type ClosedConnections,
  type ConnectionLimits,
  connectionLimits,
  serveWithin,
} from '../../src/http/connections.ts'
import { createFolder, deployment, launcher, startProcess } from '../_process.ts'

const roomy: ConnectionLimits = { connections: 1000, stall: 60_000, unread: 2 ** 30, pipelined: 32, interval: 50 }
/** More than any system takes for a reader that does not read. */
const large = Buffer.alloc(16 * 1024 * 1024)

async function startWithin(t: ExecutionContext, limits: Partial<ConnectionLimits>, listener: RequestListener) {
  const closed: ClosedConnections[] = []
  const server = createServer({ keepAliveTimeout: 600_000 })
  serveWithin({ ...roomy, ...limits }, server, listener, one => closed.push(one))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { port, server, total: (reason: keyof ClosedConnections) => closed.reduce((sum, one) => sum + one[reason], 0) }
}

async function open(t: ExecutionContext, port: number, text = ''): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').pause()
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  if (text !== '') socket.write(text)
  return socket
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(20)
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

/** Reads until so many bytes have come, or the connection has ended. Slowly: 2.5 MB a second. */
async function read(socket: Socket, bytes: number, isSlow = false): Promise<number> {
  let size = 0
  let pauses = 0
  for await (const chunk of socket) {
    size += chunk.length
    if (size >= bytes) break
    for (; isSlow && size > pauses * 250_000; pauses++) await delay(100)
  }
  return size
}

test('the limits of the product: 30 s without progress, 64 MiB unread in all, 32 pipelined requests, fewer connections than descriptors', t => {
  const { connections, ...limits } = connectionLimits('public')
  t.deepEqual(limits, { stall: 30_000, unread: 67_108_864, pipelined: 32, interval: 1000 })
  t.true(connections > 100 && connections <= 16_384)
})

test('an answer of which nothing more is taken is given up; one that is read slowly arrives whole', async t => {
  const piece = large.length / 32
  const { port, total } = await startWithin(t, { stall: 4000 }, (_request, response) => {
    const pieces = Array.from({ length: 32 }, (_, i) => large.subarray(i * piece, (i + 1) * piece))
    pipeline(Readable.from(pieces), response, () => {})
  })
  const silent = await Promise.all(Array.from({ length: 20 }, () => open(t, port, get('/'))))
  const slow = await open(t, port, get('/'))

  // Longer in all than nothing may be taken.
  const size = await read(slow, large.length, true)
  await until(() => total('stalled') === silent.length)

  t.true(size >= large.length)
  for (const socket of silent) t.true((await read(socket, Number.POSITIVE_INFINITY).catch(() => 0)) < large.length)
  t.is(total('stalled'), silent.length)
})

test('small answers that nobody reads are given up as well', async t => {
  const { port, server, total } = await startWithin(t, { stall: 1000 }, (_request, response) => {
    response.end('a'.repeat(5000))
  })
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const socket = await open(t, port)
  const [peer] = await accepted

  while (peer.writableLength === 0) {
    socket.write(get('/'))
    await once(peer, 'data')
    await delay(0)
  }

  await until(() => peer.destroyed)
  t.is(total('stalled'), 1)
  t.is(total('pipelined'), 0)
})

test('answers that wait for their readers are bounded in all: those go that have waited longest, and others are served', async t => {
  const { port, total } = await startWithin(t, { unread: 100_000_000 }, (request, response) => {
    response.end(request.url === '/large' ? large : 'small')
  })
  for (let i = 0; i < 20; i++) await open(t, port, get('/large'))

  await until(() => total('unread') > 0)
  t.true(total('unread') < 20)
  const reader = await open(t, port, get('/large'))
  t.true((await read(reader, large.length)) >= large.length)
  t.is(total('stalled'), 0)
})

test('requests that come at once on one connection are answered one after the other, in their order (RFC 9112 §9.3.2)', async t => {
  let underWay = 0
  let most = 0
  const { port } = await startWithin(t, {}, async (request, response) => {
    most = Math.max(most, ++underWay)
    await delay(5)
    underWay--
    response.end(`answer to ${request.url}`)
  })
  const paths = Array.from({ length: 30 }, (_, i) => `/${i}`)
  const socket = await open(t, port, paths.map(get).join(''))

  let text = ''
  for await (const chunk of socket) {
    text += chunk
    if (text.includes('answer to /29')) break
  }

  t.deepEqual(
    [...text.matchAll(/answer to (\S+?)(?=HTTP|$)/g)].map(([, path]) => path),
    paths,
  )
  t.is(most, 1)
})

test('a connection on which more requests wait than the limit is closed, and nothing of them is begun', async t => {
  let begun = 0
  const { port, total } = await startWithin(t, { pipelined: 32 }, () => {
    begun++
  })
  const socket = await open(t, port, get('/').repeat(2000))
  await read(socket, Number.POSITIVE_INFINITY).catch(() => {})
  t.is(begun, 1)
  await until(() => total('pipelined') === 1)

  const modest = await open(t, port, get('/').repeat(33))
  await until(() => begun === 2)
  t.false(modest.destroyed)
})

test('near the limit of connections those go that were idle longest, and not those that have just been used', async t => {
  const { port, total } = await startWithin(t, { connections: 100 }, (_request, response) => {
    response.end('here')
  })
  const ask = async (socket: Socket) => {
    socket.write(get('/'))
    await once(socket, 'readable')
    return String(socket.read())
  }
  const early: Socket[] = []
  for (let i = 0; i < 90; i++) early.push(await open(t, port))
  for (const socket of early) t.regex(await ask(socket), /here$/)
  // Beyond the look at what has happened.
  await delay(200)
  const used = early.slice(0, 10)
  for (const socket of used) t.regex(await ask(socket), /here$/)
  await delay(200)

  for (let i = 0; i < 70; i++) t.regex(await ask(await open(t, port)), /here$/)

  for (const socket of used) t.regex(await ask(socket), /here$/)
  await until(() => total('idle') > 0)
  t.is(total('refused'), 0)
})

/** Megabytes and open descriptors of a process. */
function holdings(pid: number | undefined) {
  const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
  return { memory: Number(kilobytes) / 1024, files: readdirSync(`/proc/${pid}/fd`).length }
}

const testProcess = process.platform === 'linux' ? test.serial : test.skip

testProcess(
  '400 clients that ask for the Swagger bundle as it is and never read cost no memory, and are closed after 30 s',
  async t => {
    const server = await startProcess(t, deployment(createFolder(t)))
    const { child, url } = server
    const port = Number(new URL(url).port)
    const page = await (await fetch(`${url}/docs`)).text()
    const path = `/${/docs\/assets\/[^"]+bundle\.js/.exec(page)![0]}`
    const bundle = await fetch(url + path, { headers: { 'accept-encoding': 'identity' } })
    const { byteLength } = await bundle.arrayBuffer()
    t.true(byteLength > 1_000_000)
    const before = holdings(child.pid)

    const sockets = await Promise.all(Array.from({ length: 400 }, () => open(t, port, get(path))))
    let most = before.memory
    await until(() => {
      const { memory, files } = holdings(child.pid)
      most = Math.max(most, memory)
      return files <= before.files + 2
    })

    // A copy for each would be 690 MB.
    t.true(most < before.memory + 120, `${before.memory} to ${most} MB`)
    // Whoever reads after all, as slowly as they like, gets it whole.
    t.true((await read(sockets[0]!, Number.POSITIVE_INFINITY)) > byteLength)
    t.is((await fetch(`${url}/health/live`)).status, 200)
  },
)

testProcess('64 KB of pipelined requests for a file open no descriptors, and cost no memory that stays', async t => {
  const { child, url } = await startProcess(t, deployment(createFolder(t)))
  const port = Number(new URL(url).port)
  const page = await (await fetch(`${url}/docs`)).text()
  const path = `/${/docs\/assets\/[^"]+bundle\.js/.exec(page)![0]}`
  const before = holdings(child.pid)
  let files = 0
  const watch = setInterval(() => {
    files = Math.max(files, holdings(child.pid).files)
  }, 5)
  t.teardown(() => clearInterval(watch))

  for (let round = 0; round < 20; round++) {
    const socket = await open(t, port, get(path).repeat(Math.floor(65_536 / get(path).length)))
    await read(socket, Number.POSITIVE_INFINITY).catch(() => {})
  }

  t.true(files <= before.files + 20, `${before.files} to ${files} descriptors`)
  await until(() => holdings(child.pid).files <= before.files + 2)
  t.true(holdings(child.pid).memory < before.memory + 150)
})

testProcess('with few descriptors the server closes idle connections rather than refuse new ones', async t => {
  const command = ['sh', '-c', `ulimit -n 256 && exec "${process.execPath}" "${launcher}" serve`]
  const { url } = await startProcess(t, deployment(createFolder(t)), command)
  const port = Number(new URL(url).port)
  for (let i = 0; i < 600; i++) {
    const socket = await open(t, port, get('/health/live'))
    await once(socket, 'readable')
    t.regex(String(socket.read()), /200 OK/)
  }
  t.is((await fetch(`${url}/health/ready`)).status, 200)
  t.is((await fetch(`${url}/openapi.json`)).status, 200)
})
