/**
 * Sends one event to an address that is not ours to trust: with a limit of time, no redirect is followed, no private network is reached,
 * and of the answer nothing but its status counts. Standard Webhooks, "Delivery success and failure"; RFC 9110 §15.
 */
import { openGuardedRequests } from '../guarded_requests.ts'
import type { DeliveryOutcome } from '../observer.ts'
import type { Message } from './signature.ts'

/** Milliseconds. */
const timeout = 10_000
/** Bytes of an answer that are taken before its connection is closed. */
const maxAnswer = 16_384

export type Delivery = Readonly<{
  outcome: DeliveryOutcome
  /** For people; what the receiver says is not part of it. */
  error: string
  /** Seconds. */
  retryAfter?: number | undefined
}>

export type Send = (url: string, message: Message, stop: AbortSignal) => Promise<Delivery | undefined>

/** @returns what sends, and answers undefined where it was stopped before there was an answer */
export function createSend(allowPrivate: boolean): Send {
  return async (url, message, stop) => {
    const limit = AbortSignal.timeout(timeout)
    try {
      return await post(new URL(url), message, AbortSignal.any([stop, limit]), allowPrivate)
    } catch (error) {
      if (stop.aborted) return undefined
      if (limit.aborted) return { outcome: 'timed_out', error: `it has not answered within ${timeout / 1000} seconds` }
      return { outcome: 'unreachable', error: `it cannot be reached: ${(error as Error).message}` }
    }
  }
}

async function post(url: URL, { headers, body }: Message, signal: AbortSignal, allowPrivate: boolean) {
  const { agent, request: open } = await openGuardedRequests(url, allowPrivate)
  const bytes = Buffer.from(body)
  return new Promise<Delivery>((resolve, reject) => {
    const all = {
      'content-type': 'application/json',
      'content-length': String(bytes.length),
      'user-agent': 'latchkey',
      ...headers,
    }
    const request = open(url, { method: 'POST', agent, signal, headers: all }, response => {
      resolve(deliveryOf(response.statusCode ?? 0, response.headers['retry-after']))
      // A small answer is read, so that the receiver sees its connection end in order.
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > maxAnswer) response.destroy()
      })
      response.on('error', () => {})
    })
    request.on('error', reject)
    request.on('upgrade', (_response, socket) => {
      reject(new Error('it answers 101'))
      socket.destroy()
    })
    request.end(bytes)
  })
}

function deliveryOf(status: number, wait: string | undefined): Delivery {
  const error = `it answered ${status}`
  if (status >= 200 && status < 300) return { outcome: 'delivered', error }
  if (status === 410) return { outcome: 'gone', error }
  const retryAfter = /^\d{1,6}$/.test(wait ?? '') ? Number(wait) : undefined
  return { outcome: 'refused', error, retryAfter }
}
