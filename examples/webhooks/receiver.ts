/**
 * A program that keeps up with Latchkey's users: it receives webhooks (https://www.standardwebhooks.com), with the library `standardwebhooks`,
 * which checks the signature and that it was made within the last five minutes.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { Webhook, WebhookVerificationError } from 'standardwebhooks'

/** As `latchkey webhook add` has printed it. */
const webhook = new Webhook(process.env.WEBHOOK_SECRET ?? '')
const port = Number(process.env.PORT ?? 4000)

type Event = { type: string; timestamp: string; data: { id: string; user_id: string | null } }

/** Events may come twice. A real program keeps their ids beside what it made of them, in one transaction. */
const seen = new Set<string>()

const server = createServer(async (request, response) => {
  // The very bytes are signed: read them before anything else does.
  const body = await text(request)
  let event: Event
  try {
    event = webhook.verify(body, request.headers as Record<string, string>) as Event
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error
    return response.writeHead(401).end()
  }
  if (!seen.has(event.data.id)) {
    seen.add(event.data.id)
    if (event.type === 'user.removed') console.log(`forget the customer ${event.data.user_id}`)
  }
  // Soon: within ten seconds. What takes longer is put aside first.
  return response.writeHead(204).end()
})

server.listen(port, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
