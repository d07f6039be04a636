/**
 * Keys that clients publish at a `jwks_uri`: RFC 7591 §2. What is behind such an address is not ours to trust, so a fetch
 * has a limit of time and size, follows no redirect, and reaches no private network (RFC 9700 §4.11.2, SSRF).
 */
import { createRemoteJWKSet, customFetch } from 'jose'
import { openGuardedRequests } from '../guarded_requests.ts'
import { AssertionError, type RemoteKeys } from './client_assertion.ts'

/** Milliseconds. */
const timeout = 3000
const maxAge = 600_000
/** Milliseconds until an address is asked again: for a key that was not there, and after a failure. */
const cooldown = 30_000
/** Bytes. */
const maxSet = 65_536

/** @param allowPrivate reach loopback and private addresses too, and plain http */
export function createRemoteJwks(allowPrivate: boolean): (uri: string) => RemoteKeys {
  const sets = new Map<string, RemoteKeys>()
  return uri => {
    const known = sets.get(uri)
    if (known !== undefined) return known
    const getKey = createRemoteSet(new URL(uri), allowPrivate)
    sets.set(uri, getKey)
    return getKey
  }
}

function createRemoteSet(url: URL, allowPrivate: boolean): RemoteKeys {
  let failure: { error: unknown; at: number } | undefined
  return createRemoteJWKSet(url, {
    timeoutDuration: timeout,
    cooldownDuration: cooldown,
    cacheMaxAge: maxAge,
    [customFetch]: async (_url, { signal }) => {
      // Or whoever sends assertions would make this server knock at a broken address as often. Keys that are known go on working.
      if (failure !== undefined && performance.now() - failure.at < cooldown) throw failure.error
      try {
        return new Response(await fetchSet(url, allowPrivate, signal))
      } catch (error) {
        failure = { error, at: performance.now() }
        throw error
      }
    },
  })
}

/** @returns the text of a JWK Set, whatever its keys are */
async function fetchSet(url: URL, allowPrivate: boolean, signal: AbortSignal): Promise<string> {
  if (url.protocol === 'http:' && !allowPrivate) throw new AssertionError('its jwks_uri is not https')
  const { agent, request: open } = await openGuardedRequests(url, allowPrivate)
  return new Promise((resolve, reject) => {
    const fail = (why: string) =>
      reject(signal.aborted ? signal.reason : new AssertionError(`its jwks_uri cannot be used: ${why}`))
    const headers = { accept: 'application/jwk-set+json, application/json' }
    const request = open(url, { agent, signal, headers }, response => {
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
        if (size > maxSet) response.destroy(new Error(`it answers more than ${maxSet} bytes`))
      })
      response.on('error', error => fail(error.message))
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        if (isKeySet(text)) resolve(text)
        else fail('it answers no JWK Set')
      })
    })
    request.on('error', error => fail(error.message))
    request.on('upgrade', (_response, socket) => {
      fail('it answers 101')
      socket.destroy()
    })
    request.end()
  })
}

function isKeySet(text: string): boolean {
  try {
    const { keys } = JSON.parse(text)
    return Array.isArray(keys) && keys.every(key => typeof key === 'object' && key !== null)
  } catch {
    return false
  }
}
