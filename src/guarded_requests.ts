/**
 * Requests to addresses that are not ours to trust: what a name stands for is looked at after it was resolved, and nothing of a private
 * network is connected to (RFC 9700 §4.11.2, SSRF). Loaded when first needed: most servers never ask anybody, and this brings 12 MiB.
 *
 * @param allowPrivate loopback and private addresses may be reached
 * @returns what opens a request to this address, and the agent that it goes by
 */
export async function openGuardedRequests({ protocol }: URL, allowPrivate: boolean) {
  const { RequestFilteringHttpAgent, RequestFilteringHttpsAgent } = await import('request-filtering-agent')
  const options = { allowPrivateIPAddress: allowPrivate, allowMetaIPAddress: allowPrivate, keepAlive: false }
  if (protocol === 'http:') {
    const { request } = await import('node:http')
    return { request, agent: new RequestFilteringHttpAgent(options) }
  }
  const { request } = await import('node:https')
  return { request, agent: new RequestFilteringHttpsAgent(options) }
}
