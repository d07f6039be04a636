/** Nodes are replaced one by one behind a load balancer that asks whether they are ready, and nobody notices. Issue "Operate it": rolling restart. */
import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { emptyDatabase } from '../_postgres.ts'
import {
  createFolder,
  deployment,
  type Environment,
  freePort,
  postForm,
  runCommand,
  startProcess,
} from '../_process.ts'

const password = 'a password that will do'

async function readinessOf(url: string): Promise<number> {
  const response = await fetch(`${url}/health/ready`).catch(() => undefined)
  await response?.arrayBuffer()
  return response?.status ?? 0
}

/** Asks each backend every 100 ms whether it is ready, and sends requests to those that are, in turn. Tries nothing a second time. */
async function startProxy(t: ExecutionContext, backends: readonly string[]) {
  const ready = new Set<string>()
  let isOpen = true
  const polls = backends.map(async backend => {
    while (isOpen) {
      if ((await readinessOf(backend)) === 200) ready.add(backend)
      else ready.delete(backend)
      await delay(100)
    }
  })
  const agent = new Agent({ keepAlive: true })
  let turn = 0
  const pass = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const usable = [...ready]
    const backend = usable[turn++ % usable.length]
    if (backend === undefined) return void outgoing.writeHead(502).end()
    const { hostname, port } = new URL(backend)
    const { method, url: path, headers } = incoming
    const onward = request({ hostname, port, method, path, headers, agent }, answer => {
      outgoing.writeHead(answer.statusCode!, { 'content-type': answer.headers['content-type'] })
      answer.pipe(outgoing)
    })
    onward.on('error', () => (outgoing.headersSent ? outgoing.destroy() : outgoing.writeHead(502).end()))
    incoming.pipe(onward)
  }
  const server = createServer(pass).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    isOpen = false
    await Promise.all(polls)
    agent.destroy()
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, ready }
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(50)
}

/** Restarts two nodes one after the other while four apps refresh without a pause. */
async function restartBoth(t: ExecutionContext, environment: Environment): Promise<void> {
  const ports = [await freePort(), await freePort()]
  const start = (port: number) => startProcess(t, { ...environment, LATCHKEY_PORT: String(port) })
  const nodes = []
  for (const port of ports) nodes.push(await start(port))
  const backends = nodes.map(node => node.url)
  const proxy = await startProxy(t, backends)
  await until(() => proxy.ready.size === 2)
  const failures: unknown[] = []
  let isOver = false
  let refreshes = 0
  const app = async () => {
    const signIn = { grant_type: 'password', client_id: 'app', username: 'alice', password }
    let tokens = (await postForm(`${proxy.url}/token`, signIn)).body
    while (!isOver) {
      const refresh = { grant_type: 'refresh_token', client_id: 'app', refresh_token: String(tokens.refresh_token) }
      const answer = await postForm(`${proxy.url}/token`, refresh).catch(error => ({ status: 0, body: { error } }))
      if (answer.status !== 200) return void failures.push(answer)
      tokens = answer.body
      refreshes++
    }
  }
  const apps = [app(), app(), app(), app()]
  for (const [i, port] of ports.entries()) {
    const before = refreshes
    const code = await nodes[i]!.stop('SIGTERM')
    t.is(code, 0)
    t.true(refreshes > before, 'the other node goes on')
    await start(port)
    await until(() => proxy.ready.size === 2)
  }
  isOver = true
  await Promise.all(apps)

  t.deepEqual(failures, [])
  t.true(refreshes > 50)
}

async function prepare(t: ExecutionContext, extra: Environment): Promise<Environment> {
  const environment = deployment(createFolder(t), {
    LATCHKEY_ISSUER: 'https://auth.example.com',
    LATCHKEY_THROTTLE: 'off',
    LATCHKEY_BOOTSTRAP: 'off',
    LATCHKEY_DRAIN: '3s',
    ...extra,
  })
  const client = ['client', 'add', 'app', '--public', '--grant', 'password', '--grant', 'refresh_token']
  for (const [args, stdin] of [
    [['migrate']],
    [client],
    [['user', 'add', 'alice', '--password-stdin'], password],
  ] as const)
    t.is((await runCommand(args, environment, stdin)).code, 0)
  return environment
}

test.serial('two nodes on one SQLite are restarted behind a load balancer: not one request fails', async t => {
  await restartBoth(t, await prepare(t, {}))
})

test.serial('two nodes on one PostgreSQL are restarted behind a load balancer: not one request fails', async t => {
  const settings = {
    LATCHKEY_DATABASE_URL: await emptyDatabase(t),
    LATCHKEY_SECRET: Buffer.alloc(32, 's').toString('base64url'),
  }
  await restartBoth(t, await prepare(t, settings))
})

test.serial(
  'at SIGTERM readiness turns 503 first, everything is still answered, then connections are refused and it ends with 0',
  async t => {
    const server = await startProcess(t, deployment(createFolder(t), { LATCHKEY_DRAIN: '3s' }))
    t.is(await readinessOf(server.url), 200)
    const began = performance.now()
    const ended = server.stop('SIGTERM')
    await until(async () => (await readinessOf(server.url)) === 503)

    const live = await fetch(`${server.url}/health/live`)
    t.deepEqual([live.status, live.headers.get('connection')], [200, 'close'])
    await live.arrayBuffer()
    t.is(await ended, 0)
    t.true(performance.now() - began > 2900)
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    await t.throwsAsync(once(socket, 'connect'), { code: 'ECONNREFUSED' })
  },
)

test.serial('a second signal cuts the wait for a load balancer short, and SIGINT knows none', async t => {
  const environment = deployment(createFolder(t), { LATCHKEY_DRAIN: '10m' })
  const urged = await startProcess(t, environment)
  process.kill(urged.child.pid!, 'SIGTERM')
  await until(async () => (await readinessOf(urged.url)) === 503)
  await delay(1100)
  t.is(await urged.stop('SIGTERM'), 0)

  const interrupted = await startProcess(t, environment)
  t.is(await interrupted.stop('SIGINT'), 0)
})

test.serial('without a terminal and a setting, a SIGTERM waits five seconds', async t => {
  const { LATCHKEY_DRAIN: _, ...environment } = deployment(createFolder(t))
  const server = await startProcess(t, environment)
  t.is(await server.stop('SIGTERM'), 0)
  t.like(
    server.log.find(({ msg }) => msg === 'stopping'),
    { signal: 'SIGTERM', drain: 5 },
  )
})
