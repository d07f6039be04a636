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

/** Why a key set cannot be had: another reason than a key in it that cannot be used. */
class FetchError extends Error {}

function createRemoteSet(url: URL, allowPrivate: boolean): JWTVerifyGetKey {
  let failure: { error: AssertionError; at: number } | undefined
  const getKey = createRemoteJWKSet(url, {
    timeoutDuration: timeout,
    cooldownDuration: cooldown,
    cacheMaxAge: maxAge,
    [customFetch]: async (_url, { signal }) => new Response(await fetchSet(url, allowPrivate, signal)),
  })
  return async (header, token) => {
    // Or whoever sends assertions would make this server knock at a broken address as often.
    if (failure !== undefined && performance.now() - failure.at < cooldown) throw failure.error
    try {
      return await getKey(header, token)
    } catch (error) {
      if (!(error instanceof FetchError || error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid))
        throw error
      const reason = new AssertionError(`its jwks_uri cannot be used: ${error.message}`, { cause: error })
      failure = { error: reason, at: performance.now() }
      throw reason
    }
  }
}

/** @returns JSON text, whatever it says */
function fetchSet(url: URL, allowPrivate: boolean, signal: AbortSignal): Promise<string> {
  const isPlain = url.protocol === 'http:'
  if (isPlain && !allowPrivate) return Promise.reject(new FetchError('it is not https'))
  const options = { allowPrivateIPAddress: allowPrivate, allowMetaIPAddress: allowPrivate, keepAlive: false }
  const agent = isPlain ? new RequestFilteringHttpAgent(options) : new RequestFilteringHttpsAgent(options)
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(signal.aborted ? signal.reason : new FetchError(why))
    const headers = { accept: 'application/jwk-set+json, application/json' }
    const request = (isPlain ? http : https).get(url, { agent, signal, headers }, response => {
      // The body of anything else is never looked at, a redirect's included.
      if (response.statusCode !== 200) {
        fail(`it answers ${response.statusCode}`)
        response.destroy()
        return
      }
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        size += chunk.length
        if (size > largestSet) response.destroy(new Error(`it answers more than ${largestSet} bytes`))
      })
      response.on('error', error => fail(error.message))
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        if (isJson(text)) resolve(text)
        else fail('it answers no JSON')
      })
    })
    request.on('error', error => fail(error.message))
    request.on('upgrade', (_response, socket) => {
      fail('it answers 101')
      socket.destroy()
    })
  })
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
