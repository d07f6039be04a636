/** The OAuth endpoints: read the request, call `oauth/`, write the answer. */
import type { Client, Params } from '../clients/client.ts'
import { authenticateClient } from '../clients/client_authentication.ts'
import { OAuthError } from '../error.ts'
import type { SigningAlg } from '../keys/signing_key.ts'
import type { Deps } from '../oauth/deps.ts'
import { introspectionRequest, signIntrospection } from '../oauth/introspection.ts'
import { metadata } from '../oauth/metadata.ts'
import { revocationRequest } from '../oauth/revocation.ts'
import { tokenRequest } from '../oauth/token.ts'
import { cacheable } from './cache.ts'
import { callerOf } from './caller.ts'
import type { Context } from './context.ts'
import { notModified, ok } from './description.ts'
import type { Endpoint } from './endpoint.ts'
import { sendJson } from './json.ts'
import { jsonType } from './media_types.ts'
import { formBody, formParams } from './params.ts'

/** @returns the records of the OAuth endpoints, and of what libraries ask for by themselves */
export function oauthEndpoints(deps: Deps): readonly Endpoint[] {
  return [...tokenEndpoints(deps), ...discoveryEndpoints(deps)]
}

function tokenEndpoints(deps: Deps): readonly Endpoint[] {
  return [
    {
      id: 'token',
      method: 'post',
      path: '/token',
      caller: 'client',
      cors: 'app',
      body: formBody,
      async handle(ctx) {
        // RFC 6749 §5.1; `Cache-Control: no-store` is on every answer anyway.
        ctx.set('Pragma', 'no-cache')
        const request = formParams(ctx)
        insistOnNoAccessToken(ctx)
        const identify = () => authenticate(deps, ctx, request.params)
        sendJson(ctx, await tokenRequest(deps, identify, request, callerOf(ctx)))
      },
      describe: ({ tokenForms, tokenResponse }) => ({
        tag: 'Tokens',
        summary: 'Sign in, refresh, or a token for the client itself',
        description:
          'Lost the answer? Send the same request again; that is safe with the same refresh token too. The old refresh token is dead only after the new one has been used. RFC 6749.',
        body: tokenForms,
        answers: ok('Signed in, or refreshed.', { [jsonType]: tokenResponse }, 'Cache-Control'),
        errors: {
          invalid_request: 'grant_type is missing',
          invalid_grant: 'the username or password is wrong',
          unauthorized_client: 'the client may not use this grant type',
          unsupported_grant_type:
            'this grant type is not supported; there are password, authorization_code, refresh_token, client_credentials',
          invalid_scope: 'the scope asks for more than can be granted: admin',
          invalid_target: 'the resource is malformed, given twice or not one that can be granted',
          insufficient_authorization: 'one more proof of who this is is needed',
          unmet_authentication_requirements: 'the user has set up nothing that proves as much',
        },
      }),
    },
    {
      id: 'revoke',
      method: 'post',
      path: '/revoke',
      caller: 'client',
      cors: 'app',
      body: formBody,
      async handle(ctx) {
        const { params } = formParams(ctx)
        insistOnNoAccessToken(ctx)
        const client = await authenticate(deps, ctx, params)
        await revocationRequest(deps, client, params, callerOf(ctx))
        // RFC 7009 §2.2 leaves the body open; clients that parse every answer need one.
        sendJson(ctx, {})
      },
      describe: ({ revocationForm, emptyResponse }) => ({
        tag: 'Tokens',
        summary: 'End the session of a token',
        description:
          'A token that is not known, has expired or is of another client changes nothing and is no error. RFC 7009.',
        body: revocationForm,
        answers: ok('The token does not work any more.', { [jsonType]: emptyResponse }),
        errors: { invalid_request: 'token is missing' },
      }),
    },
    {
      id: 'introspect',
      method: 'post',
      path: '/introspect',
      caller: 'client',
      cors: 'none',
      body: formBody,
      async handle(ctx) {
        const { params } = formParams(ctx)
        const client = await authenticate(deps, ctx, params)
        const introspection = await introspectionRequest(deps, client, params)
        ctx.vary('Accept')
        if (wantsIntrospectionJwt(ctx)) {
          ctx.body = signIntrospection(deps, client.id, introspection)
          ctx.type = introspectionJwtType
        } else sendJson(ctx, introspection)
      },
      describe: ({ introspectionForm, introspectionResponse, introspectionJwt }) => ({
        tag: 'Tokens',
        summary: 'What a token is worth now',
        description:
          'For confidential clients. Looks at the session, so a logout shows at once. With `Accept: application/token-introspection+jwt` the answer is signed. RFC 7662, RFC 9701.',
        body: introspectionForm,
        answers: ok('What is known about the token.', {
          [jsonType]: introspectionResponse,
          [introspectionJwtType]: introspectionJwt,
        }),
        errors: { invalid_request: 'token is missing' },
      }),
    },
  ]
}

function discoveryEndpoints(deps: Deps): readonly Endpoint[] {
  const documentFor = (algs: readonly SigningAlg[]) => ({ algs, text: JSON.stringify(metadata(deps.config, algs)) })
  let document = documentFor([])

  const metadataAt = (id: string, path: string, source: string): Endpoint => ({
    id,
    method: 'get',
    path,
    caller: 'open',
    cors: 'public',
    handle(ctx) {
      const algs = deps.keyRing.algs(deps.now())
      if (String(algs) !== String(document.algs)) document = documentFor(algs)
      cacheable(ctx, document.text, jsonType)
    },
    describe: ({ metadataResponse }) => ({
      tag: 'Discovery',
      summary: 'What this server can do and where',
      description: `The same document at both places. ${source}`,
      answers: { ...ok('The metadata.', { [jsonType]: metadataResponse }, 'ETag', 'Cache-Control'), ...notModified },
    }),
  })
  const [oauth, openId] = ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'] as const
  const { pathname } = new URL(deps.config.issuer)

  return [
    {
      id: 'jwks',
      method: 'get',
      path: '/.well-known/jwks.json',
      caller: 'open',
      cors: 'public',
      handle(ctx) {
        ctx.vary('Accept')
        const type = ctx.get('Accept').includes(jwkSetType) ? jwkSetType : jsonType
        cacheable(ctx, deps.keyRing.jwks(deps.now()), type)
      },
      describe: ({ jwksResponse }) => ({
        tag: 'Discovery',
        summary: 'The public signing keys',
        description: 'A key is here before it signs and until its last token has expired. RFC 7517.',
        answers: {
          ...ok('The keys.', { [jsonType]: jwksResponse, [jwkSetType]: jwksResponse }, 'ETag', 'Cache-Control'),
          ...notModified,
        },
      }),
    },
    metadataAt('metadata', oauth, 'RFC 8414.'),
    metadataAt('discovery', openId, 'OpenID Connect Discovery 1.0.'),
    // RFC 8414 §3.1, §5: the path of an issuer that has one comes after the well-known one. OpenID Connect Discovery §4 puts it before:
    // there the proxy takes it off, as from everything else.
    ...(pathname === '/'
      ? []
      : [
          metadataAt('metadataOfIssuer', oauth + pathname, 'RFC 8414.'),
          metadataAt('discoveryOfIssuer', openId + pathname, 'OpenID Connect Discovery 1.0.'),
        ]),
  ]
}

/** RFC 7517 §8.5. Only for who names it: many libraries take a document for JSON by its type alone. */
const jwkSetType = 'application/jwk-set+json'

/** RFC 9701 §4. */
const introspectionJwtType = 'application/token-introspection+jwt'

/** What nearly every client sends, or nothing, asks for JSON: the rest of what `Accept` can say is weighed only where it has to be. */
function wantsIntrospectionJwt(ctx: Context): boolean {
  const { accept = '*/*' } = ctx.headers
  if (accept === '*/*' || accept === jsonType) return false
  return ctx.accepts(jsonType, introspectionJwtType) === introspectionJwtType
}

/** RFC 6750 §2 is for resources: apps add the access token to every request of theirs, and are told so here. */
export function insistOnNoAccessToken({ headers: { authorization } }: Context): void {
  if (authorization === undefined || !/^Bearer\b/i.test(authorization)) return
  throw new OAuthError(
    'invalid_request',
    'an access token does not authenticate a client: leave the Authorization header out, or send Basic',
  )
}

/** The client of a request, which the CORS rules want to know too. */
export async function authenticate(deps: Deps, ctx: Context, params: Params): Promise<Client> {
  const credentials = { authorization: ctx.headers.authorization, params }
  const client = await authenticateClient(deps, credentials, callerOf(ctx))
  ctx.state.clientId = client.id
  return client
}
