/**
 * How clients authenticate: RFC 6749 §2.3 and RFC 7523 §2.2. A client may use only the methods that it is registered for.
 */

import { auditEvent, type Caller } from '../audit/audit.ts'
import { isRefusal, type Refusals } from '../audit/refusals.ts'
import { OAuthError } from '../error.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { insistThatNoOtherHas } from '../keys/secret_use.ts'
import type { KeyStorage } from '../keys/storage.ts'
import { isStorable } from '../text.ts'
import type { Throttle } from '../throttle/throttle.ts'
import { type Client, type ClientAuthenticationMethod, clientUpdate, type Params } from './client.ts'
import { type AssertionDeps, AssertionError, claimedClientId, verifyClientAssertion } from './client_assertion.ts'
import { masterSecretOfDigest, renewDigests, verifyClientSecret } from './client_secret.ts'

export type ClientAuthenticationDeps = AssertionDeps &
  Readonly<{ storage: KeyStorage; secrets: MasterSecrets; throttle: Throttle; refusals: Refusals }>

/** What of a request identifies its client. */
export type Credentials = Readonly<{ authorization: string | undefined; params: Params }>

/**
 * Identifies the client of a request: by its authentication, or a public one by its id.
 *
 * @throws OAuthError `invalid_client`, also when there is neither authentication nor a client id (RFC 6749 §5.2);
 *         `invalid_request` for two methods at once or two clients; `too_many_attempts`
 */
export async function authenticateClient(
  deps: ClientAuthenticationDeps,
  credentials: Credentials,
  caller: Caller,
): Promise<Client> {
  try {
    return await verifyCredentials(deps, credentials, caller)
  } catch (error) {
    const claimed = claimedId(credentials)
    // Who names no client tried nothing.
    if (claimed !== undefined && isRefusal(error)) {
      const client = await deps.storage.findClient(claimed)
      deps.refusals.add('client.refused', error, caller, { clientId: client?.id })
    }
    if (error instanceof OAuthError) await error.heldUntil
    throw error
  }
}

function claimedId({ authorization, params }: Credentials): string | undefined {
  const basic = authorization === undefined ? undefined : parseBasic(authorization)
  if (basic !== undefined) return decodeFormText(basic.id) ?? basic.id
  const { client_assertion: assertion, client_id: id } = params
  return (assertion === undefined ? undefined : claimedClientId(assertion)) ?? id
}

async function verifyCredentials(
  deps: ClientAuthenticationDeps,
  { authorization, params }: Credentials,
  caller: Caller,
): Promise<Client> {
  const { client_id: id, client_secret: secret, client_assertion: assertion, client_assertion_type: type } = params
  if ([authorization, secret, assertion ?? type].filter(method => method !== undefined).length > 1) {
    throw new OAuthError('invalid_request', 'use one method of client authentication, not two')
  }
  if (authorization !== undefined) return authenticateBasic(deps, authorization, id, caller)
  if (assertion !== undefined || type !== undefined) return authenticateAssertion(deps, assertion, type, id, caller)
  if (id === undefined) refuse('the client did not identify itself', 'no client_id')
  return throttled(
    deps,
    id,
    secret ?? '',
    caller,
    async () => (await verifyClient(deps, 'client_secret_post', id, secret ?? '')) ?? refuseClient(deps, id),
  )
}

/** An empty secret is no guess: it is how a public client comes. */
function throttled(
  { throttle }: ClientAuthenticationDeps,
  clientId: string,
  secret: string,
  caller: Caller,
  check: () => Promise<Client>,
): Promise<Client> {
  return secret === '' ? check() : throttle.client({ clientId, secret }, caller, check)
}

async function authenticateBasic(
  deps: ClientAuthenticationDeps,
  authorization: string,
  bodyClientId: string | undefined,
  caller: Caller,
): Promise<Client> {
  const pair = parseBasic(authorization)
  if (pair === undefined) refuse('the Authorization header is not Basic client authentication', 'malformed Basic')
  const encoded = { id: pair.id, secret: pair.secret }
  const decoded = { id: decodeFormText(pair.id), secret: decodeFormText(pair.secret) }
  // RFC 6749 §2.3.1 encodes both parts, many clients do not: what does not match decoded is tried as sent.
  const claimed = decoded.id ?? pair.id
  const client = await throttled(deps, claimed, pair.secret, caller, async () => {
    for (const { id, secret } of [decoded, encoded]) {
      if (id === undefined || secret === undefined) continue
      const verified = await verifyClient(deps, 'client_secret_basic', id, secret)
      if (verified !== undefined) return verified
    }
    return refuseClient(deps, claimed)
  })
  if (bodyClientId !== undefined && bodyClientId !== client.id) refuseAnotherClient()
  return client
}

async function authenticateAssertion(
  deps: ClientAuthenticationDeps,
  assertion: string | undefined,
  type: string | undefined,
  bodyClientId: string | undefined,
  caller: Caller,
): Promise<Client> {
  if (assertion === undefined || type !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer') {
    refuse('the client assertion is missing or of a type that is not supported', 'no assertion, or another type')
  }
  // Before anything is verified and remembered: such a request is wrong, whoever sent it.
  const claimed = claimedClientId(assertion)
  if (bodyClientId !== undefined && claimed !== undefined && bodyClientId !== claimed) refuseAnotherClient()
  return deps.throttle.client({ clientId: claimed ?? '', secret: undefined }, caller, () =>
    verifyClientAssertion(deps, assertion).catch(error => {
      if (!(error instanceof AssertionError)) throw error
      return refuse('client authentication failed', `client assertion: ${error.message}`)
    }),
  )
}

/**
 * A public client has an empty secret. Compares a digest whether or not the client exists.
 *
 * @param method how the secret came; with an empty one the client is asking by `none`
 */
async function verifyClient(
  deps: ClientAuthenticationDeps,
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
  if (!matches || client?.disabledAt !== undefined) return undefined
  if (secret !== '') await renewDigestsOf(deps, client!, secret)
  return client
}

/** Under the newest master secret: after a rotation every client that comes stops depending on the old one. */
async function renewDigestsOf(
  deps: ClientAuthenticationDeps,
  { id, secretDigests }: Client,
  secret: string,
): Promise<void> {
  if (secretDigests.every(digest => masterSecretOfDigest(digest) === deps.secrets[0].name)) return
  const event = auditEvent('client.updated', deps.now(), {}, { clientId: id, detail: 'digest of its secret renewed' })
  try {
    await deps.storage.changeClient(
      id,
      clientUpdate(client => {
        const renewed = renewDigests(secret, client.secretDigests, deps.secrets)
        return renewed && { ...client, secretDigests: renewed }
      }, event),
    )
  } catch (error) {
    // The next time will do; a client that has shown its secret is not turned away for it.
    if (!(error instanceof OAuthError)) throw error
  }
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
  if (colon < 1 || !isStorable(text) || text.includes('\ufffd')) return undefined
  return { id: text.slice(0, colon), secret: text.slice(colon + 1) }
}

/** RFC 6749 Appendix B. @returns undefined when the percent-encoding is broken, or of what no client has */
function decodeFormText(text: string): string | undefined {
  try {
    const decoded = decodeURIComponent(text.replaceAll('+', ' '))
    return isStorable(decoded) ? decoded : undefined
  } catch {
    return undefined
  }
}

/** Names the client in the log only if there is one: people send secrets in the place of ids. */
async function refuseClient(deps: ClientAuthenticationDeps, id: string): Promise<never> {
  const client = await deps.storage.findClient(id)
  // It may be the right one, under a master secret that another node renewed it under.
  for (const digest of client?.secretDigests ?? []) await insistThatNoOtherHas(deps, masterSecretOfDigest(digest))
  const cause =
    client === undefined
      ? 'no such client'
      : `client ${id} ${client.disabledAt === undefined ? `authenticates by ${client.authenticationMethods.join(' or ')}` : 'is disabled'}`
  return refuse('client authentication failed', cause)
}

function refuse(description: string, cause: string): never {
  throw new OAuthError('invalid_client', description, { cause })
}
