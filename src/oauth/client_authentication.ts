/**
 * How clients authenticate: `none`, `client_secret_basic`, `client_secret_post`. RFC 6749 §2.3, names of RFC 7591 §2.
 */
import type { Client, Params } from './client.ts'
import type { Deps } from './deps.ts'
import { OAuthError } from './error.ts'
import { verifyClientSecret } from './master_secret.ts'

/** What of a request identifies its client. */
export type Credentials = Readonly<{ authorization: string | undefined; params: Params }>

export const clientAuthenticationMethods = ['none', 'client_secret_basic', 'client_secret_post'] as const

/**
 * Identifies the client of a request: by its authentication, or a public one by its id.
 *
 * @throws OAuthError `invalid_client`, also when there is neither authentication nor a client id (RFC 6749 §5.2);
 *         `invalid_request` for two methods at once or two clients
 */
export async function authenticateClient(deps: Deps, { authorization, params }: Credentials): Promise<Client> {
  if (authorization !== undefined) {
    if (params.client_secret !== undefined) {
      throw new OAuthError('invalid_request', 'use one method of client authentication, not two')
    }
    return authenticateBasic(deps, authorization, params.client_id)
  }
  if (params.client_id === undefined) refuse('the client did not identify itself', 'no client_id')
  const client = await verifyClient(deps, params.client_id, params.client_secret ?? '')
  return client ?? refuseClient(deps, params.client_id)
}

async function authenticateBasic(deps: Deps, authorization: string, bodyClientId: string | undefined): Promise<Client> {
  const pair = parseBasic(authorization)
  if (pair === undefined) refuse('the Authorization header is not Basic client authentication', 'malformed Basic')
  const encoded = { id: pair.id, secret: pair.secret }
  const decoded = { id: decodeFormText(pair.id), secret: decodeFormText(pair.secret) }
  // RFC 6749 §2.3.1 encodes both parts, many clients do not: what does not match decoded is tried as sent.
  for (const { id, secret } of [decoded, encoded]) {
    if (id === undefined || secret === undefined) continue
    const client = await verifyClient(deps, id, secret)
    if (client === undefined) continue
    if (bodyClientId !== undefined && bodyClientId !== client.id) {
      throw new OAuthError('invalid_request', 'client_id is not the client that authenticated')
    }
    return client
  }
  return refuseClient(deps, decoded.id ?? pair.id)
}

/** A public client has an empty secret. Compares one digest whether or not the client exists. */
async function verifyClient(deps: Deps, id: string, secret: string): Promise<Client | undefined> {
  const client = await deps.storage.findClient(id)
  if (client !== undefined && client.secretDigest === undefined) {
    return secret === '' && client.disabledAt === undefined ? client : undefined
  }
  const matches = verifyClientSecret(secret, client?.secretDigest ?? '', deps.secrets)
  return matches && client?.disabledAt === undefined ? client : undefined
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
    client === undefined ? 'no such client' : `client ${id}${client.disabledAt === undefined ? '' : ' is disabled'}`
  return refuse('client authentication failed', cause)
}

function refuse(description: string, cause: string): never {
  // RFC 9110 §15.5.2: a 401 says how to authenticate.
  throw new OAuthError('invalid_client', description, { cause, challenge: 'Basic realm="latchkey", charset="UTF-8"' })
}
