/** Client libraries as they are hand over the 403 of the password grant with its members, and exchange the code of the challenge endpoint. */
import { OAuth2Client } from '@badgateway/oauth2-client'
import test from 'ava'
import ClientOAuth2 from 'client-oauth2'
import { decodeJwt } from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { AuthorizationCode, ResourceOwnerPassword } from 'simple-oauth2'
import { addRecoveryCodes, addTotp } from '../_factors.ts'
import { password } from '../_server.ts'
import { pkce, verifier } from '../oauth/_challenge.ts'
import { clientId, discoverOauth4webapi, discoverOpenidClient, insecure } from './_clients.ts'
import { startDiscoverable } from './_discoverable.ts'

/** `status` where the library tells it. */
type Refused = Readonly<{ error: unknown; members: Record<string, unknown>; status?: number }>

type Library = Readonly<{
  /** What of the library's error an app sees. */
  signIn: () => Promise<Refused>
  /** Where the metadata say that the challenge endpoint is, where the library keeps that. */
  endpoint?: string | undefined
  /** @returns the access token */
  exchange: (code: string) => Promise<string>
}>

const user = { username: 'alice', password }
/** Nobody is redirected: some libraries insist on one. */
const redirectUri = 'https://app.example.com/callback'

async function refusalOf<E>(call: Promise<unknown>, read: (error: E) => Refused): Promise<Refused> {
  return call.then(
    () => {
      throw new Error('signed in')
    },
    error => read(error),
  )
}

const libraries: Record<string, (issuer: string) => Promise<Library>> = {
  async oauth4webapi(issuer) {
    const as = await discoverOauth4webapi(issuer)
    const client = { client_id: clientId }
    const none = oauth.None()
    return {
      endpoint: as.authorization_challenge_endpoint as string,
      async signIn() {
        const response = await oauth.genericTokenEndpointRequest(as, client, none, 'password', user, insecure)
        const call = oauth.processGenericTokenEndpointResponse(as, client, response)
        return refusalOf(call, ({ error, cause, status }: oauth.ResponseBodyError) => ({
          error,
          status,
          members: cause,
        }))
      },
      async exchange(code) {
        const answer = oauth.validateAuthResponse(as, client, new URLSearchParams({ code }), oauth.expectNoState)
        const response = await oauth.authorizationCodeGrantRequest(
          as,
          client,
          none,
          answer,
          redirectUri,
          verifier,
          insecure,
        )
        return (await oauth.processAuthorizationCodeResponse(as, client, response)).access_token
      },
    }
  },
  async 'openid-client'(issuer) {
    const config = await discoverOpenidClient(issuer, openid.None(), 'oauth2')
    return {
      endpoint: config.serverMetadata().authorization_challenge_endpoint as string,
      signIn: () =>
        refusalOf(
          openid.genericGrantRequest(config, 'password', user),
          ({ error, cause, status }: openid.ResponseBodyError) => ({ error, status, members: cause }),
        ),
      async exchange(code) {
        const answer = new URL(`${redirectUri}?code=${code}`)
        return (await openid.authorizationCodeGrant(config, answer, { pkceCodeVerifier: verifier })).access_token
      },
    }
  },
  async '@badgateway/oauth2-client'(issuer) {
    const client = new OAuth2Client({ server: issuer, clientId })
    type Failure = { oauth2Code: string; parsedBody: Record<string, unknown>; httpCode: number }
    return {
      signIn: () =>
        refusalOf(client.password(user), ({ oauth2Code, parsedBody, httpCode }: Failure) => ({
          error: oauth2Code,
          status: httpCode,
          members: parsedBody,
        })),
      exchange: async code =>
        (await client.authorizationCode.getToken({ code, redirectUri, codeVerifier: verifier })).accessToken,
    }
  },
  async 'simple-oauth2'(issuer) {
    const config = {
      client: { id: clientId, secret: '' },
      auth: { tokenHost: issuer, tokenPath: '/token' },
      options: { authorizationMethod: 'body' as const },
    }
    type Failure = { data: { payload: Record<string, unknown> }; output: { statusCode: number } }
    return {
      signIn: () =>
        refusalOf(new ResourceOwnerPassword(config).getToken(user), ({ data: { payload }, output }: Failure) => ({
          error: payload.error,
          status: output.statusCode,
          members: payload,
        })),
      async exchange(code) {
        const params = { code, redirect_uri: redirectUri, code_verifier: verifier }
        return (await new AuthorizationCode(config).getToken(params)).token.access_token as string
      },
    }
  },
  async 'client-oauth2'(issuer) {
    const settings = { clientId, accessTokenUri: `${issuer}/token`, authorizationUri: issuer, redirectUri }
    const client = new ClientOAuth2(settings)
    type Failure = { body: Record<string, unknown> }
    return {
      signIn: () =>
        refusalOf(client.owner.getToken(user.username, user.password), ({ body }: Failure) => ({
          error: body.error,
          members: body,
        })),
      exchange: async code =>
        (await client.code.getToken(`${redirectUri}?code=${code}`, { body: { code_verifier: verifier } })).accessToken,
    }
  },
}

for (const [name, connect] of Object.entries(libraries))
  test(`${name} sees that one more proof is needed, with all members, and exchanges the code that it gives (draft-ietf-oauth-first-party-apps-04 §6)`, async t => {
    const server = await startDiscoverable(t)
    await server.addClient({ id: clientId })
    const aliceId = (await server.deps.storage.findUserByUsername('alice'))!.id
    const phone = await addTotp(server, aliceId)
    await addRecoveryCodes(server, aliceId)
    const library = await connect(server.issuer)

    const { error, status, members } = await library.signIn()
    t.deepEqual([error, status ?? 403], ['insufficient_authorization', 403])
    t.deepEqual(members.factors, ['otp', 'recovery_code'])
    t.is(members.auth_session_expires_in, 300)
    t.is(library.endpoint ?? `${server.issuer}/authorize-challenge`, `${server.issuer}/authorize-challenge`)

    const answer = await fetch(`${server.issuer}/authorize-challenge`, {
      method: 'POST',
      body: new URLSearchParams({
        response_type: 'code',
        client_id: clientId,
        auth_session: members.auth_session as string,
        otp: phone.code(),
        ...pkce,
      }),
    })
    const { authorization_code: code } = (await answer.json()) as { authorization_code: string }
    t.like(decodeJwt(await library.exchange(code)), { sub: aliceId, amr: ['pwd', 'otp', 'mfa'] })
    await t.throwsAsync(library.exchange(code), undefined, 'a code counts once')
  })
