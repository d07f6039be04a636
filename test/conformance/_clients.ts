/** A server with clients of every kind, for the tests beside this file. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ExecutionContext } from 'ava'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { issuer, type ServerOptions, startServerWithAlice, type TestServer } from '../_server.ts'

export const secret = 'lks_secret'
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

export function basic(id: string, clientSecret = secret) {
  return { authorization: `Basic ${Buffer.from(`${id}:${clientSecret}`).toString('base64')}` }
}

/** Public `app`, confidential `web` with every grant and `openid`, and the user `alice`. */
export async function startServerWithWeb(t: ExecutionContext, options?: ServerOptions) {
  const server = await startServerWithAlice(t, options)
  await server.addClient({
    id: 'web',
    secret,
    grantTypes: ['password', 'refresh_token', 'client_credentials'],
    scope: 'openid read write',
  })
  const web = { client_id: 'web', client_secret: secret }
  return {
    ...server,
    signInWeb: (params: Record<string, string> = {}) => server.signIn({ ...web, ...params }),
    /** A token that `web` has for itself. */
    async ownToken(params: Record<string, string> = {}): Promise<string> {
      return (await server.token({ grant_type: 'client_credentials', ...params }, basic('web'))).body.access_token
    },
    introspect: (token: string, params: Record<string, string> = {}, headers: Record<string, string> = {}) =>
      server.post('/introspect', { token, ...params }, { ...basic('web'), ...headers }),
  }
}

/** A form for every grant, all of them good for `web`. */
export async function formsOfGrants(server: Awaited<ReturnType<typeof startServerWithWeb>>) {
  const { refresh_token } = await server.signInWeb()
  const forms: Record<string, Record<string, string>> = {
    password: { grant_type: 'password', username: 'alice', password: 'correct horse battery staple' },
    refresh_token: { grant_type: 'refresh_token', refresh_token },
    client_credentials: { grant_type: 'client_credentials' },
  }
  return forms
}

/** A client `signer` with an ES256 key. @returns what makes its assertions, good ones unless told otherwise */
export async function addSigner(server: TestServer, change: { alg?: string; moreKeys?: object[] } = {}) {
  const { alg = 'ES256', moreKeys = [] } = change
  const { privateKey, publicKey } = await generateKeyPair(alg)
  const jwk = { ...(await exportJWK(publicKey)), alg, kid: 'key 1' }
  await server.addClient({
    id: 'signer',
    isPublic: false,
    authenticationMethods: ['private_key_jwt'],
    // biome-ignore lint/suspicious/noExplicitAny: sets with members that no type foresees are part of the tests
    jwks: { keys: [...moreKeys, jwk] as any[] },
    grantTypes: ['client_credentials'],
    scope: 'read',
  })
  let made = 0
  const claims = () => ({
    iss: 'signer',
    sub: 'signer',
    aud: issuer,
    iat: server.clock.now(),
    exp: server.clock.now() + 60,
    jti: `${++made}`,
  })
  return {
    jwk,
    claims,
    sign: (changedClaims: JWTPayload = {}, header: object = {}, key: Parameters<SignJWT['sign']>[0] = privateKey) =>
      new SignJWT({ ...claims(), ...changedClaims }).setProtectedHeader({ alg, kid: 'key 1', ...header }).sign(key),
    token: (assertion: string, params: Record<string, string> = {}) =>
      server.token({
        grant_type: 'client_credentials',
        client_assertion_type: assertionType,
        client_assertion: assertion,
        ...params,
      }),
  }
}

/** Replaces one character by another of the same alphabet. */
export function changed(text: string, at: number): string {
  return text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)
}

/** @returns the address of a server that answers as told and ends with the test */
export async function serve(t: ExecutionContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`
}
