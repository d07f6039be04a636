/**
 * How clients authenticate: RFC 6749 §2.3 and RFC 7523 §2.2. A client may use only the methods that it is registered for.
 */

import type { Client, ClientAuthenticationMethod, Params } from './client.ts'
import { AssertionError, claimedClientId, verifyClientAssertion } from './client_assertion.ts'
import type { Deps } from './deps.ts'
import { OAuthError } from './error.ts'
import { verifyClientSecret } from './master_secret.ts'

/** What of a request identifies its client. */
export type Credentials = Readonly<{ authorization: string | undefined; params: Params }>

/**
 * Identifies the client of a request: by its authentication, or a public one by its id.
 *
 * @throws OAuthError `invalid_client`, also when there is neither authentication nor a client id (RFC 6749 §5.2);
 *         `invalid_request` for two methods at once or two clients
 */
export async function authenticateClient(deps: Deps, { authorization, params }: Credentials): Promise<Client> {
  const { client_id: id, client_secret: secret, client_assertion: assertion, client_assertion_type: type } = params
  if ([authorization, secret, assertion ?? type].filter(method => method !== undefined).length > 1) {
    throw new OAuthError('invalid_request', 'use one method of client authentication, not two')
  }
  if (authorization !== undefined) return authenticateBasic(deps, authorization, id)
  if (assertion !== undefined || type !== undefined) return authenticateAssertion(deps, assertion, type, id)
  if (id === undefined) refuse('the client did not identify itself', 'no client_id')
  const client = await verifyClient(deps, 'client_secret_post', id, secret ?? '')
  return client ?? refuseClient(deps, id)
}

async function authenticateBasic(deps: Deps, authorization: string, bodyClientId: string | undefined): Promise<Client> {
  const pair = parseBasic(authorization)
  if (pair === undefined) refuse('the Authorization header is not Basic client authentication', 'malformed Basic')
  const encoded = { id: pair.id, secret: pair.secret }
  const decoded = { id: decodeFormText(pair.id), secret: decodeFormText(pair.secret) }
  // RFC 6749 §2.3.1 encodes both parts, many clients do not: what does not match decoded is tried as sent.
  for (const { id, secret } of [decoded, encoded]) {
    if (id === undefined || secret === undefined) continue
    const client = await verifyClient(deps, 'client_secret_basic', id, secret)
    if (client === undefined) continue
    if (bodyClientId !== undefined && bodyClientId !== client.id) refuseAnotherClient()
    return client
  }
  return refuseClient(deps, decoded.id ?? pair.id)
}

async function authenticateAssertion(
  deps: Deps,
  assertion: string | undefined,
  type: string | undefined,
  bodyClientId: string | undefined,
): Promise<Client> {
  if (assertion === undefined || type !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer') {
    refuse('the client assertion is missing or of a type that is not supported', 'no assertion, or another type')
  }
  // Before anything is verified and remembered: such a request is wrong, whoever sent it.
  const claimed = claimedClientId(assertion)
  if (bodyClientId !== undefined && claimed !== undefined && bodyClientId !== claimed) refuseAnotherClient()
  return verifyClientAssertion(deps, assertion).catch(error => {
    if (!(error instanceof AssertionError)) throw error
    return refuse('client authentication failed', `client assertion: ${error.message}`)
  })
}

/**
 * A public client has an empty secret. Compares a digest whether or not the client exists.
 *
 * @param method how the secret came; with an empty one the client is asking by `none`
 */
async function verifyClient(
  deps: Deps,
  method: ClientAuthenticationMethod,
  id: string,
  secret: string,
): Promise<Client | undefined> {
  const client = await deps.storage.findClient(id)
  const matches =
    client?.authenticationMethods.includes('none') === true
      ? secret === ''
      : verifyClientSecret(secret, client?.secretDigests ?? [], deps.secrets) &&
        client?.authenticationMethods.includes(method) === true
  return matches && client?.disabledAt === undefined ? client : undefined
}

function refuseAnotherClient(): never {
  throw new OAuthError('invalid_request', 'client_id is not the client that authenticated')
}

/** RFC 7617 §2: everything after the first colon is the secret. */
function parseBasic(authorization: string): { id: string; secret: string } | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/_-]+={0,2}) *$/i.exec(authorization)?.[1]
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 1 || text.includes('\0') || text.includes('\ufffd')) return undefined
  return { id: text.slice(0, colon), secret: text.slice(colon + 1) }
}

/** RFC 6749 Appendix B. @returns undefined when the percent-encoding is broken */
function decodeFormText(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}

/** Names the client in the log only if there is one: people send secrets in the place of ids. */
async function refuseClient({ storage }: Deps, id: string): Promise<never> {
  const client = await storage.findClient(id)
  const cause =
    client === undefined
      ? 'no such client'
      : `client ${id} ${client.disabledAt === undefined ? `authenticates by ${client.authenticationMethods.join(' or ')}` : 'is disabled'}`
  return refuse('client authentication failed', cause)
}

function refuse(description: string, cause: string): never {
  // RFC 9110 §15.5.2: a 401 says how to authenticate.
  throw new OAuthError('invalid_client', description, { cause, challenge: 'Basic realm="latchkey", charset="UTF-8"' })
}
