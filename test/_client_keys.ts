/** Clients that have keys: making them, signing assertions, and a server whose database shows every write. */
import { createHmac } from 'node:crypto'
import type { ExecutionContext } from 'ava'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import type { Client } from '../src/clients/client.ts'
import { createDatabase } from './_databases.ts'
import { type Answer, issuer, refusal, refused, type ServerOptions, startServer, startTime } from './_server.ts'

export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
export const challenge = 'Basic realm="latchkey", charset="UTF-8"'

export type ClientKey = Awaited<ReturnType<typeof createClientKey>>

/** @returns a key pair: the private key to sign with, and the JWK that the client publishes */
export async function createClientKey(alg = 'ES256', kid?: string) {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk: JWK = { ...(await exportJWK(publicKey)), ...(kid !== undefined && { kid }) }
  return { alg, kid, privateKey, jwk }
}

let assertions = 0

/** The claims that RFC 7523 §3 asks for, with a `jti` of their own; undefined leaves one out. */
export function assertionClaims(id: string, claims: Record<string, unknown> = {}): Record<string, unknown> {
  const jti = `jti ${assertions++}`
  return { iss: id, sub: id, aud: issuer, jti, iat: startTime, exp: startTime + 60, ...claims }
}

/** Signs an assertion of a client, naming the key if it has a name. */
export function signAssertion(
  key: ClientKey,
  id: string,
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): Promise<string> {
  const named = key.kid === undefined ? {} : { kid: key.kid }
  return new SignJWT(assertionClaims(id, claims))
    .setProtectedHeader({ alg: key.alg, ...named, ...header })
    .sign(key.privateKey)
}

/** A JWS that no library would make: any header over any claims. */
export function joinJws(header: object, claims: object, sign: (input: string) => string): string {
  const input = [header, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${input}.${sign(input)}`
}

export function signHmac(secret: string): (input: string) => string {
  return input => createHmac('sha256', secret).update(input).digest('base64url')
}

/** What a request sends to authenticate by an assertion. */
export function withAssertion(assertion: string): Record<string, string> {
  return { client_assertion_type: assertionType, client_assertion: assertion }
}

export type WatchedServer = Awaited<ReturnType<typeof startWatchedServer>>

/** A server with an eye on its database. */
export async function startWatchedServer(t: ExecutionContext, options: ServerOptions = {}) {
  const { open, version } = await createDatabase(t)
  const server = await startServer(t, { ...options, storage: await open() })
  return {
    ...server,
    /** Another number after every write of the server. */
    version,
    /** Creates a client that authenticates by its keys and acts for itself. */
    addKeyClient: (client: Partial<Client> & { id: string }) =>
      server.addClient({
        authenticationMethods: ['private_key_jwt'],
        grantTypes: ['client_credentials'],
        scope: 'read',
        ...client,
      }),
    /** Asks for a token by an assertion. */
    tokenBy: (assertion: string, params: Record<string, string> = {}, headers: Record<string, string> = {}) =>
      server.token({ grant_type: 'client_credentials', ...withAssertion(assertion), ...params }, headers),
  }
}

/** Insists that a request is refused as RFC 6749 §5.2 says, and that nothing was written. */
export async function assertRefused(
  t: ExecutionContext,
  server: Pick<WatchedServer, 'version'>,
  send: () => Promise<Answer>,
  [status, error]: [number, string] = [400, 'invalid_client'],
  rule?: string,
): Promise<void> {
  const before = await server.version()
  const answer = await send()
  t.deepEqual(refusal(answer), refused(status, error), rule)
  // RFC 9110 §15.5.2: a 401 says how to authenticate.
  t.is(answer.headers.get('www-authenticate'), status === 401 ? challenge : null, rule)
  t.deepEqual(await server.version(), before, `${rule ?? 'a refusal'} writes nothing`)
}

/** Insists on a token. */
export function assertToken(t: ExecutionContext, answer: Answer, rule?: string): void {
  t.is(answer.status, 200, `${rule ?? ''} ${JSON.stringify(answer.body)}`)
  t.is(answer.body.token_type, 'Bearer')
}
