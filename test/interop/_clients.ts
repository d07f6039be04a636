/** Clients as their libraries' own documentation sets them up, each behind the same few verbs. */
import { OAuth2Client, type OAuth2Token } from '@badgateway/oauth2-client'
import ClientOAuth2 from 'client-oauth2'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { type ModuleOptions, ResourceOwnerPassword, ClientCredentials as SimpleClientCredentials } from 'simple-oauth2'

export type Tokens = { accessToken: string; refreshToken: string }

export type Client = {
  signIn: (username: string, password: string) => Promise<Tokens>
  refresh: (tokens: Tokens) => Promise<Tokens>
  signOut?: (tokens: Tokens) => Promise<unknown>
  /** Asks for a token for the client itself. */
  actForItself: () => Promise<string>
  introspect?: (accessToken: string) => Promise<Record<string, unknown>>
  /** The code of RFC 6749 §5.2 that an error of the library shows. */
  errorCode: (error: unknown) => unknown
}

/** One way to use a library. */
export type SetUp = {
  /** Empty for a public client. */
  secret: string
  /** What the library has no call for. */
  lacks?: readonly ('signOut' | 'introspect')[]
  connect: (issuer: string, secret: string) => Client | Promise<Client>
}

export const clientId = 'web'

/** Changes when somebody encodes or decodes once too often or too seldom. */
const awkwardSecret = 'a:b%+ c/é'
/** simple-oauth2 takes the characters of RFC 6749 Appendix A.2 and no others. */
const awkwardAscii = 'a:b%+ c/'

export const setUps: Record<string, SetUp> = {
  'openid-client with ClientSecretBasic': openidClient(openid.ClientSecretBasic),
  'openid-client with ClientSecretPost': openidClient(openid.ClientSecretPost),
  'openid-client as a public client': openidClient(openid.None, ''),

  'oauth4webapi with ClientSecretBasic': oauth4webapi(oauth.ClientSecretBasic),
  'oauth4webapi with ClientSecretPost': oauth4webapi(oauth.ClientSecretPost),
  'oauth4webapi as a public client': oauth4webapi(oauth.None, ''),

  'simple-oauth2': simpleOAuth2({}),
  // Basic without any encoding.
  'simple-oauth2 with loose credentials': simpleOAuth2({ credentialsEncodingMode: 'loose' }),
  'simple-oauth2 with credentials in the body': simpleOAuth2({ authorizationMethod: 'body' }),
  // Basic with an empty secret, or an empty client_secret.
  'simple-oauth2 as a public client': simpleOAuth2({}, ''),
  'simple-oauth2 as a public client, credentials in the body': simpleOAuth2({ authorizationMethod: 'body' }, ''),

  // Discovers and takes the first method of the metadata that it knows.
  '@badgateway/oauth2-client': badgateway(issuer => ({ server: issuer })),
  '@badgateway/oauth2-client with client_secret_post': badgateway(issuer => ({
    server: issuer,
    authenticationMethod: 'client_secret_post',
  })),
  // It encodes the colon and nothing else: a secret with a colon and a plus or percent sign would be ambiguous.
  '@badgateway/oauth2-client without discovery': badgateway(withEndpoints, 'a:b c/'),
  '@badgateway/oauth2-client without discovery, no colon in the secret': badgateway(withEndpoints, 'ab%+ c/'),
  '@badgateway/oauth2-client as a public client': badgateway(issuer => ({ server: issuer }), ''),

  // Basic without any encoding, and with an empty secret.
  'client-oauth2': clientOAuth2(awkwardSecret),
  'client-oauth2 as a public client': clientOAuth2(''),
}

function openidClient(authenticate: (secret: string) => openid.ClientAuth, secret = awkwardSecret): SetUp {
  return { secret, connect: (issuer, secret) => connectOpenidClient(issuer, authenticate(secret)) }
}

export async function connectOpenidClient(issuer: string, authentication: openid.ClientAuth) {
  const config = await discoverOpenidClient(issuer, authentication, 'oauth2')
  const tokens = ({ access_token, refresh_token }: openid.TokenEndpointResponse) => ({
    accessToken: access_token,
    refreshToken: refresh_token!,
  })
  return {
    async signIn(username, password) {
      return tokens(await openid.genericGrantRequest(config, 'password', { username, password }))
    },
    async refresh({ refreshToken }) {
      return tokens(await openid.refreshTokenGrant(config, refreshToken))
    },
    signOut: ({ refreshToken }) => openid.tokenRevocation(config, refreshToken),
    actForItself: async () => (await openid.clientCredentialsGrant(config)).access_token,
    introspect: accessToken => openid.tokenIntrospection(config, accessToken),
    errorCode: pandaErrorCode,
  } satisfies Client
}

export function discoverOpenidClient(
  issuer: string,
  authentication: openid.ClientAuth,
  algorithm: 'oidc' | 'oauth2',
): Promise<openid.Configuration> {
  const options = { algorithm, execute: [openid.allowInsecureRequests] }
  return openid.discovery(new URL(issuer), clientId, undefined, authentication, options)
}

function oauth4webapi(authenticate: (secret: string) => oauth.ClientAuth, secret = awkwardSecret): SetUp {
  return { secret, connect: (issuer, secret) => connectOauth4webapi(issuer, authenticate(secret)) }
}

export const insecure = { [oauth.allowInsecureRequests]: true }

export async function discoverOauth4webapi(issuer: string): Promise<oauth.AuthorizationServer> {
  const url = new URL(issuer)
  return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...insecure }))
}

export async function connectOauth4webapi(issuer: string, authentication: oauth.ClientAuth) {
  const as = await discoverOauth4webapi(issuer)
  const client = { client_id: clientId }
  const tokens = ({ access_token, refresh_token }: oauth.TokenEndpointResponse) => ({
    accessToken: access_token,
    refreshToken: refresh_token!,
  })
  return {
    async signIn(username, password) {
      const params = { username, password }
      const response = await oauth.genericTokenEndpointRequest(as, client, authentication, 'password', params, insecure)
      return tokens(await oauth.processGenericTokenEndpointResponse(as, client, response))
    },
    async refresh({ refreshToken }) {
      const response = await oauth.refreshTokenGrantRequest(as, client, authentication, refreshToken, insecure)
      return tokens(await oauth.processRefreshTokenResponse(as, client, response))
    },
    async signOut({ refreshToken }) {
      const response = await oauth.revocationRequest(as, client, authentication, refreshToken, insecure)
      return oauth.processRevocationResponse(response)
    },
    async actForItself() {
      const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, {}, insecure)
      return (await oauth.processClientCredentialsResponse(as, client, response)).access_token
    },
    async introspect(accessToken) {
      const response = await oauth.introspectionRequest(as, client, authentication, accessToken, insecure)
      return oauth.processIntrospectionResponse(as, client, response)
    },
    errorCode: pandaErrorCode,
  } satisfies Client
}

/** Both libraries tell a 401 by its challenge and leave the body alone. */
function pandaErrorCode(error: unknown): unknown {
  if (error instanceof oauth.ResponseBodyError) return error.error
  const isChallenge = error instanceof oauth.WWWAuthenticateChallengeError && error.cause[0]?.scheme === 'basic'
  return isChallenge ? 'invalid_client' : error
}

function simpleOAuth2(options: NonNullable<ModuleOptions['options']>, secret = awkwardAscii): SetUp {
  return {
    secret,
    lacks: ['introspect'],
    connect(issuer, secret) {
      const auth = { tokenHost: issuer, tokenPath: '/token', revokePath: '/revoke' }
      const config = { client: { id: clientId, secret }, auth, options }
      const owner = new ResourceOwnerPassword(config)
      const tokens = ({ token }: { token: Record<string, unknown> }) => ({
        accessToken: token.access_token as string,
        refreshToken: token.refresh_token as string,
      })
      const restore = ({ accessToken, refreshToken }: Tokens) =>
        owner.createToken({ access_token: accessToken, refresh_token: refreshToken, expires_in: 900 })
      return {
        signIn: async (username, password) => tokens(await owner.getToken({ username, password })),
        refresh: async given => tokens(await restore(given).refresh()),
        // Revokes the access token, then the refresh token.
        signOut: given => restore(given).revokeAll(),
        async actForItself() {
          const { token } = await new SimpleClientCredentials(config).getToken({})
          return token.access_token as string
        },
        errorCode: error => (error as { data: { payload: { error: string } } }).data.payload.error,
      }
    },
  }
}

type BadgatewaySettings = ConstructorParameters<typeof OAuth2Client>[0]

function badgateway(settings: (issuer: string) => Partial<BadgatewaySettings>, secret = awkwardSecret): SetUp {
  return {
    secret,
    connect(issuer, secret) {
      const client = new OAuth2Client({ clientId, clientSecret: secret, ...settings(issuer) })
      const tokens = ({ accessToken, refreshToken }: OAuth2Token) => ({ accessToken, refreshToken: refreshToken! })
      return {
        signIn: async (username, password) => tokens(await client.password({ username, password })),
        refresh: async given => tokens(await client.refreshToken({ ...given, expiresAt: null })),
        signOut: given => client.revoke({ ...given, expiresAt: null }, 'refresh_token'),
        actForItself: async () => (await client.clientCredentials()).accessToken,
        introspect: async accessToken => ({
          ...(await client.introspect({ accessToken, refreshToken: null, expiresAt: null })),
        }),
        errorCode: error => (error as { oauth2Code: string }).oauth2Code,
      }
    },
  }
}

function withEndpoints(issuer: string): Partial<BadgatewaySettings> {
  return {
    tokenEndpoint: `${issuer}/token`,
    revocationEndpoint: `${issuer}/revoke`,
    introspectionEndpoint: `${issuer}/introspect`,
  }
}

function clientOAuth2(secret: string): SetUp {
  return {
    secret,
    lacks: ['signOut', 'introspect'],
    connect(issuer, clientSecret) {
      const client = new ClientOAuth2({ clientId, clientSecret, accessTokenUri: `${issuer}/token` })
      return {
        signIn: (username, password) => client.owner.getToken(username, password),
        refresh: ({ accessToken, refreshToken }) => client.createToken(accessToken, refreshToken, {}).refresh(),
        actForItself: async () => (await client.credentials.getToken()).accessToken,
        errorCode: error => (error as { body: { error: string } }).body.error,
      }
    },
  }
}
