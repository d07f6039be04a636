/**
 * Keys that clients publish at a `jwks_uri`: RFC 7591 §2. What is behind such an address is not ours to trust, so a fetch
 * has a limit of time and size, follows no redirect, and reaches no private network (RFC 9700 §4.11.2, SSRF).
 */
import http from 'node:http'
import https from 'node:https'
import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from 'jose'
import { RequestFilteringHttpAgent, RequestFilteringHttpsAgent } from 'request-filtering-agent'
import { AssertionError } from '../oauth/client_assertion.ts'

/** Milliseconds. */
const timeout = 3000
const maxAge = 600_000
/** Milliseconds until an address is asked again: for a key that was not there, and after a failure. */
const cooldown = 30_000
/** Bytes. */
const largestSet = 65_536

/** @param allowPrivate reach loopback and private addresses too, and plain http */
export function createRemoteJwks(allowPrivate: boolean): (uri: string) => JWTVerifyGetKey {
  const sets = new Map<string, JWTVerifyGetKey>()
  return uri => {
    const known = sets.get(uri)
    if (known !== undefined) return known
    const getKey = createRemoteSet(new URL(uri), allowPrivate)
    sets.set(uri, getKey)
    return getKey
  }
}

function createRemoteSet(url: URL, allowPrivate: boolean): JWTVerifyGetKey {
  let failure: { error: AssertionError; at: number } | undefined
  const getKey = createRemoteJWKSet(url, {
    timeoutDuration: timeout,
    cooldownDuration: cooldown,
    cacheMaxAge: maxAge,
    [customFetch]: (_url, { signal }) => fetchSet(url, allowPrivate, signal),
  })
  return async (header, token) => {
    // Or whoever sends assertions would make this server knock at a broken address as often.
    if (failure !== undefined && performance.now() - failure.at < cooldown) throw failure.error
    try {
      return await getKey(header, token)
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) throw error
      const why = error instanceof Error ? error.message : String(error)
      failure = {
        error: new AssertionError(`its jwks_uri cannot be used: ${why}`, { cause: error }),
        at: performance.now(),
      }
      throw failure.error
    }
  }
}

function fetchSet(url: URL, allowPrivate: boolean, signal: AbortSignal): Promise<Response> {
  const isPlain = url.protocol === 'http:'
  if (isPlain && !allowPrivate) return Promise.reject(new Error('it is not https'))
  const options = { allowPrivateIPAddress: allowPrivate, allowMetaIPAddress: allowPrivate, keepAlive: false }
  const agent = isPlain ? new RequestFilteringHttpAgent(options) : new RequestFilteringHttpsAgent(options)
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => reject(signal.aborted ? signal.reason : error)
    const headers = { accept: 'application/jwk-set+json, application/json' }
    const request = (isPlain ? http : https).get(url, { agent, signal, headers }, response => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        size += chunk.length
        if (size > largestSet) response.destroy(new Error(`it answers more than ${largestSet} bytes`))
      })
      response.on('error', fail)
      // The body of anything but a 200 is never looked at, a redirect's included.
      response.on('end', () => resolve(new Response(Buffer.concat(chunks), { status: response.statusCode ?? 0 })))
    })
    request.on('error', fail)
  })
}
