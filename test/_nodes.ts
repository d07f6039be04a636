/** Several nodes on one database, each the real program in a process of its own, and a round-robin proxy before them. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { ExecutionContext } from 'ava'
import type { Account } from './_devices.ts'
import { createFolder, deployment, type Environment, type RunningServer, runCommand, startProcess } from './_process.ts'

export const account: Account = { username: 'alice', password: 'correct horse battery staple' }

export type Nodes = Awaited<ReturnType<typeof startNodes>>

/** The environment that all nodes of one deployment share. */
export function clusterEnvironment(t: ExecutionContext, url: string, extra: Environment = {}): Environment {
  return deployment(createFolder(t), {
    LATCHKEY_DATABASE_URL: url,
    LATCHKEY_SECRET: randomBytes(32).toString('base64url'),
    // A fixed one: by default it has the port, which is another one for each node.
    LATCHKEY_ISSUER: 'https://auth.example.com',
    LATCHKEY_BOOTSTRAP: 'off',
    LATCHKEY_THROTTLE: 'off',
    ...extra,
  })
}

/**
 * Nodes with the client `app`, the confidential client `api` and the user {@link account}, behind a proxy that hands requests to them in turn.
 *
 * @param urls one for each node: the same database, which each may reach in its own way
 */
export async function startNodes(t: ExecutionContext, urls: readonly string[], extra: Environment = {}) {
  const environment = clusterEnvironment(t, urls[0]!, extra)
  const startNode = (index: number) => startProcess(t, { ...environment, LATCHKEY_DATABASE_URL: urls[index]! })
  const nodes = [await startNode(0)]
  /** Runs `latchkey` with arguments beside the nodes. @returns what it answered as JSON */
  const cli = async (args: readonly string[], stdin = '') => {
    const { code, stdout, stderr } = await runCommand([...args, '--json'], environment, stdin)
    if (code !== 0) throw new Error(`latchkey ${args.join(' ')} ended with ${code}: ${stdout}${stderr}`)
    return stdout === '' ? undefined : JSON.parse(stdout)
  }
  const grants = ['--grant', 'password', '--grant', 'refresh_token']
  await cli(['client', 'add', 'app', '--public', ...grants, '--scope', 'read write'])
  await cli(['client', 'add', 'api', '--grant', 'client_credentials', '--scope', 'read', '--secret-stdin'], apiSecret)
  await cli(['user', 'add', account.username, '--password-stdin'], account.password)
  for (let index = 1; index < urls.length; index++) nodes.push(await startNode(index))
  const balancer = await startBalancer(
    t,
    nodes.map((_, index) => () => nodes[index]!.url),
  )
  return {
    environment,
    /** Of the proxy. */
    url: balancer.url,
    nodes,
    counts: balancer.counts,
    cli,
    /** After its end. */
    async restart(index: number): Promise<RunningServer> {
      nodes[index] = await startNode(index)
      return nodes[index]
    },
    stop: () => Promise.all(nodes.map(node => node.stop())),
  }
}

export const apiSecret = 'a secret of the api that is long enough'

/**
 * Hands each request to the next node. It hides nothing: where a node cannot be reached or ends in the middle, the client's
 * connection ends too.
 *
 * @param targets say where a node is now
 */
export async function startBalancer(t: Pick<ExecutionContext, 'teardown'>, targets: readonly (() => string)[]) {
  const agent = new Agent({ keepAlive: true })
  const counts = targets.map(() => 0)
  let turn = 0
  const server = createServer((incoming, outgoing) => {
    const index = turn++ % targets.length
    const { method, headers, url } = incoming
    const forwarded = request(`${targets[index]!()}${url}`, { method, headers, agent }, answer => {
      counts[index]!++
      outgoing.writeHead(answer.statusCode!, answer.rawHeaders)
      answer.pipe(outgoing)
      answer.on('error', () => outgoing.destroy())
    })
    forwarded.on('error', () => outgoing.destroy())
    incoming.pipe(forwarded)
  })
  server.keepAliveTimeout = 120_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
    agent.destroy()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Answers of each node. */
    counts,
  }
}

/** Of one request. */
export type Answered = Readonly<{ status: number; retryAfter: string | undefined; body: Record<string, unknown> }>

/** One request on a connection of its own; rejects when it was not answered. */
export async function send(
  url: string,
  { method = 'POST', form, bearer }: { method?: string; form?: Record<string, string>; bearer?: string } = {},
): Promise<Answered> {
  const headers = {
    ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
    ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
  }
  const outgoing = request(url, { method, headers, agent: false })
  outgoing.end(form === undefined ? '' : new URLSearchParams(form).toString())
  const [answer] = await once(outgoing, 'response')
  const content = await text(answer)
  return {
    status: answer.statusCode,
    retryAfter: answer.headers['retry-after'],
    body: content.startsWith('{') ? JSON.parse(content) : {},
  }
}

export const signIn = (url: string, { username, password }: Account = account) =>
  send(`${url}/token`, { form: { grant_type: 'password', client_id: 'app', username, password } })

export const refresh = (url: string, token: unknown) =>
  send(`${url}/token`, { form: { grant_type: 'refresh_token', client_id: 'app', refresh_token: String(token) } })

export const revoke = (url: string, token: unknown) =>
  send(`${url}/revoke`, { form: { client_id: 'app', token: String(token) } })

export const logout = (url: string, accessToken: unknown, query = '') =>
  send(`${url}/logout${query}`, { bearer: String(accessToken) })

/** @returns the status of `GET /users/me` */
export const me = async (url: string, accessToken: unknown) =>
  (await send(`${url}/users/me`, { method: 'GET', bearer: String(accessToken) })).status
