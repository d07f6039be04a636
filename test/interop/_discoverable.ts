/** Latchkey as other people's libraries meet it: it listens at its issuer, at the time of the wall clock, which they read. */
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { pipeline } from 'node:stream'
import type { ExecutionContext } from 'ava'
import { openSigningKey } from '../../src/keys/jws.ts'
import { createSigningKey } from '../../src/keys/signing_key.ts'
import { type ServerOptions, startServer, type TestServer } from '../_server.ts'

export const audience = 'https://api.example.com'

export type Discoverable = TestServer & { issuer: string }

/** A server that clients can discover, with the user `alice`. @param host of its issuer, a name or an address of this machine */
export async function startDiscoverable(
  t: ExecutionContext,
  options: ServerOptions = {},
  host = '127.0.0.1',
): Promise<Discoverable> {
  // The issuer has to be known before the application is made, so a second listener passes every byte on.
  const place = createServer()
  const issuer = (await listen(t, place)).replace('127.0.0.1', host)
  const server = await startServer(t, { ...options, oauth: { issuer, audience: [audience], ...options.oauth } })
  const port = Number(new URL(server.url).port)
  place.on('connection', socket => pipeline(socket, connect(port, '127.0.0.1'), socket, () => {}))

  server.clock.advance(Math.floor(Date.now() / 1000) - server.clock.now())
  server.deps.keyRing.replace([])
  await publishKey(server, 0)
  await server.addUser()
  return { ...server, issuer }
}

/** Adds an ES256 key to the JWK Set, to sign from `activatesAt` on. */
export async function publishKey({ deps, clock }: TestServer, activatesAt: number): Promise<void> {
  const key = await createSigningKey('ES256', deps.secrets, clock.now(), activatesAt)
  deps.keyRing.replace([...deps.keyRing.keys(), (await openSigningKey(key, deps.secrets))!])
}

/** Serves HTTP on a free port until the test ends. @returns its URL, without a final slash */
export async function serve(t: ExecutionContext, listener: RequestListener): Promise<string> {
  const server = createHttpServer(listener)
  const url = await listen(t, server)
  t.teardown(() => server.closeAllConnections())
  return url
}

async function listen(t: ExecutionContext, server: Server): Promise<string> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise<void>(resolve => server.close(() => resolve())))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
