/** A program that webhooks lead to: an HTTP server on a free port of 127.0.0.1 that keeps what came. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from '../_server.ts'

export type Received = {
  path: string
  headers: Record<string, string>
  body: string
  /** The body, read. */
  event: { type: string; timestamp: string; data: Record<string, unknown> & { id: string } }
}

export async function startReceiver(t: TestContext, answer: RequestListener = (_request, response) => response.end()) {
  const received: Received[] = []
  const receiver = { answer }
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const headers = request.headers as Record<string, string>
    received.push({ path: request.url ?? '', headers, body, event: JSON.parse(body) })
    receiver.answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`,
    received,
    types: () => received.map(({ event }) => event.type),
    answerBy(next: RequestListener) {
      receiver.answer = next
    },
    answerWith(status: number, headers: Record<string, string> = {}) {
      receiver.answer = (_request, response) => response.writeHead(status, headers).end()
    },
  }
}
