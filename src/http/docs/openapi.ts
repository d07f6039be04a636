/** The OpenAPI 3.1 document: made of the records of the endpoints and their schemas, and of nothing else. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { adminScopes } from '../../clients/admin_client.ts'
import type { ErrorCode } from '../../error.ts'
import type { OAuthConfig } from '../../oauth/deps.ts'
import { metadata } from '../../oauth/metadata.ts'
import { userInfoClaims } from '../../oauth/user_info.ts'
import { cookieName } from '../browser/cookies.ts'
import { busy, type Description, type Errors, guessing, type HeaderName, headers, tags } from '../description.ts'
import type { Caller, Endpoint } from '../endpoint.ts'
import { errorAnswers } from '../error_answers.ts'
import { maxUrl } from '../limits.ts'
import { htmlType, jsonType } from '../media_types.ts'
import * as schemas from '../schemas.ts'

const { errorResponse, htmlPage, metadataResponse } = schemas

type Json = Record<string, unknown>

/** An endpoint with all that is said of it. */
export type Described = Endpoint & Readonly<{ description: Description; errors: Errors }>

/** In the order of the document. */
export function describeEndpoints(endpoints: readonly Endpoint[]): readonly Described[] {
  const order = Object.keys(tags)
  return endpoints
    .map(endpoint => {
      const description = endpoint.describe(schemas)
      return { ...endpoint, description, errors: { ...errorsOf(endpoint), ...description.errors } }
    })
    .toSorted((a, b) => order.indexOf(a.description.tag) - order.indexOf(b.description.tag))
}

/** The refusals that follow from what the record says. */
function errorsOf({ path, caller, body }: Endpoint): Errors {
  return {
    server_error: 'something went wrong here',
    uri_too_long: `the URL has more than ${maxUrl} characters`,
    ...callerErrors[caller],
    ...(path.includes('{') && { invalid_request: 'the path has broken percent-encoding or a NUL character' }),
    ...(body !== undefined && {
      ...busy,
      length_required: 'a compressed body must say how long it is',
      request_too_large: 'the body is too large',
    }),
  }
}

const cookieErrors: Errors = { ...busy, login_required: 'sign in first' }
const tokenErrors: Errors = {
  ...busy,
  invalid_request: 'the access token belongs in the Authorization header',
  token_missing: 'an access token is needed',
  invalid_token: 'the access token is expired, revoked or not valid here',
}
const callerErrors: Readonly<Record<Caller, Errors>> = {
  open: {},
  admin: { ...tokenErrors, insufficient_scope: 'the access token has not the scope that this needs' },
  cookie: cookieErrors,
  user: tokenErrors,
  'user or cookie': { ...cookieErrors, ...tokenErrors },
  client: {
    ...guessing,
    invalid_client: 'client authentication failed',
    client_refused: 'client authentication failed',
  },
}

/** @param api which of the two listeners it is of: where the other one is, nobody there needs to know */
export function openApiDocument(config: OAuthConfig, endpoints: readonly Endpoint[], api: 'public' | 'admin') {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'))
  const paths: Record<string, Json> = {}
  const components = createComponents(config)
  const described = describeEndpoints(endpoints)
  const used = new Set<string>(described.map(({ description }) => description.tag))
  for (const endpoint of described) {
    paths[endpoint.path] = { ...paths[endpoint.path], [endpoint.method]: operation(endpoint, components) }
  }
  return {
    openapi: '3.1.0',
    info: { ...about[api], version, license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: api === 'public' ? config.issuer : '/' }],
    tags: Object.entries(tags)
      .filter(([name]) => used.has(name))
      .map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: components.schemas,
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: 'string' } }]),
      ),
      securitySchemes: api === 'public' ? securitySchemes(config) : adminSecuritySchemes(config),
    },
  }
}

const about = {
  public: {
    title: 'Latchkey',
    description: `OAuth 2 for apps and users that are both yours: sign in with a password, stay signed in, be truly signed out.

A request that is refused gets JSON with \`error\` and \`error_description\`. Every answer has an \`X-Request-Id\`. A form has at most
16 KiB and 100 parameters, a URL 8,000 characters. Unknown paths are 404 and unknown methods 405, in the same form. \`GET\` endpoints answer \`HEAD\` too. Browser apps of the
allowed origins may call what an app needs (CORS).`,
  },
  admin: {
    title: 'Latchkey admin API',
    description: `For programs of operators: what \`latchkey\` does to users, sessions, clients, keys and the audit trail, with the same
documents. It is on a listener of its own, and a client gets its tokens from the token endpoint of the server.

A request that is refused gets JSON with \`error\` and \`error_description\`. Bodies are JSON of at most 64 KiB, or 2 MiB for a page of
users, and a member that is not known is refused. Lists come by pages, with \`next\` and a \`Link\` (RFC 8288).`,
  },
} as const

function adminSecuritySchemes({ issuer }: OAuthConfig) {
  const scopes = Object.fromEntries(adminScopes.map(scope => [scope, '']))
  return {
    adminToken: {
      type: 'oauth2',
      description: 'The own token of a client that has the scope. A scope without `:read` implies the one with it.',
      flows: { clientCredentials: { tokenUrl: `${issuer}/token`, scopes } },
    },
  }
}

/** In this order, because Swagger UI puts the cursor into the last of them. */
function securitySchemes({ issuer }: OAuthConfig) {
  return {
    sessionCookie: {
      type: 'apiKey',
      in: 'cookie',
      name: cookieName(issuer),
      description: 'Set by `/login`. Only a browser on pages of this server sends it.',
    },
    accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'The access token of a user.' },
    clientSecret: {
      type: 'http',
      scheme: 'basic',
      description:
        'Client id and secret. In the form, `client_id` and `client_secret` do the same, a `client_assertion` is for clients with keys, and a public client has its `client_id` only.',
    },
    signIn: {
      type: 'oauth2',
      description:
        'Signs in with username and password. The client that comes with the first start is `app`, without a secret.',
      flows: {
        password: {
          tokenUrl: `${issuer}/token`,
          refreshUrl: `${issuer}/token`,
          scopes: {
            openid: 'An id_token, and /userinfo',
            ...Object.fromEntries(Object.entries(userInfoClaims).map(([scope, claims]) => [scope, claims.join(', ')])),
          },
        },
      },
    },
  }
}

const security: Record<Exclude<Caller, 'admin'>, Json[]> = {
  user: [{ signIn: [] }, { accessToken: [] }],
  cookie: [{ sessionCookie: [] }],
  'user or cookie': [{ signIn: [] }, { accessToken: [] }, { sessionCookie: [] }],
  // The other ways of client authentication are in the form.
  client: [{ clientSecret: [] }, {}],
  open: [],
}

function operation(endpoint: Described, components: Components): Json {
  const { id, caller, scope, body } = endpoint
  const { tag, summary, description, pathParams, query, headers: requestHeaders, body: schema } = endpoint.description
  const parameters = [
    ...parametersOf('path', pathParams, components),
    ...parametersOf('query', query, components),
    ...parametersOf('header', requestHeaders, components),
  ]
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    security: caller === 'admin' ? [{ adminToken: [scope] }] : security[caller],
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined &&
      schema !== undefined && {
        requestBody: {
          required: body.required,
          content: Object.fromEntries(body.types.map(type => [type, bodyOf(schema, components)])),
        },
      }),
    responses: responsesOf(endpoint, components),
  }
}

function bodyOf(schema: NonNullable<Description['body']>, components: Components): Json {
  return schema instanceof z.ZodObject ? mediaType(schema, components) : formOfSeveral(schema, components)
}

function parametersOf(
  place: 'path' | 'query' | 'header',
  schema: z.ZodObject | undefined,
  components: Components,
): Json[] {
  return Object.entries(schema?.shape ?? {}).map(([name, value]) => {
    const { description, ...rest } = components.request(value) as Json
    const required = place === 'path' || !(value as z.ZodType).safeParse(undefined).success
    return { name, in: place, required, ...(description !== undefined && { description }), schema: rest }
  })
}

function responsesOf({ description, errors, hasPages }: Described, components: Components): Json {
  const responses: Json = {}
  for (const [status, success] of Object.entries(description.answers)) {
    const { description, content, headers = [], sometimes = [] } = success
    responses[status] = {
      description,
      headers: headerRefs([...headers, ...sometimes]),
      ...(content !== undefined && { content: mapValues(content, schema => mediaType(schema, components)) }),
    }
  }
  for (const [status, codes] of Object.entries(errorsByStatus(errors))) {
    responses[status] = {
      description: codes.map(code => `\`${errorAnswers[code].error}\``).join(', '),
      headers: headerRefs(errorHeaders(codes)),
      content: {
        ...((hasPages || toldByPage.includes(status)) && { [htmlType]: { schema: components.response(htmlPage) } }),
        [jsonType]: {
          schema: components.response(errorResponse(codes)),
          examples: Object.fromEntries(
            codes.map(code => {
              return [code, { value: exampleOf(code, errors[code]!) }]
            }),
          ),
        },
      },
    }
  }
  return responses
}

function exampleOf(code: ErrorCode, description: string): Json {
  const { error, detail } = errorAnswers[code]
  return { error, error_description: description, ...(detail !== undefined && { detail }) }
}

/** What a browser is told by a page at every path: it is refused before anybody looks which it is. */
export const toldByPage: readonly string[] = [String(errorAnswers.uri_too_long.status)]

/** The codes of an endpoint by the status that they are answered with. */
export function errorsByStatus(errors: Errors): Record<number, ErrorCode[]> {
  const codes = Object.keys(errors) as ErrorCode[]
  return Object.groupBy(codes, code => errorAnswers[code].status) as Record<number, ErrorCode[]>
}

/** What a refusal with one of these codes brings besides its body. */
export function errorHeaders(codes: readonly ErrorCode[]): readonly HeaderName[] {
  const { status } = errorAnswers[codes[0]!]
  if (status === 401 || codes.includes('insufficient_scope')) return ['WWW-Authenticate']
  return status === 503 || status === 429 ? ['Retry-After'] : []
}

function headerRefs(names: readonly HeaderName[] = []): Json {
  return Object.fromEntries(
    (['X-Request-Id', ...names] as const).map(name => [name, { $ref: `#/components/headers/${name}` }]),
  )
}

function mediaType(schema: z.ZodType, components: Components): Json {
  const examples = examplesOf(schema)
  return { schema: components.response(schema), ...(examples !== undefined && { examples }) }
}

function examplesOf(schema: z.ZodType): Json | undefined {
  const values = schema.meta()?.examples as unknown[] | undefined
  return values && Object.fromEntries(values.map((value, i) => [i === 0 ? 'example' : `example ${i + 1}`, { value }]))
}

/**
 * A form whose `grant_type` says which members it has: a whole schema for each kind, so that a generated client cannot leave out what its
 * kind needs. OpenAPI 3.1 §4.8.25.
 */
function formOfSeveral(forms: readonly z.ZodObject[], components: Components): Json {
  const kinds = forms.map(form => ({
    grantType: String((form.shape.grant_type as z.ZodLiteral).value),
    schema: components.request(form) as { $ref: string },
    example: examplesOf(form)!.example,
  }))
  return {
    schema: {
      oneOf: kinds.map(({ schema }) => schema),
      discriminator: {
        propertyName: 'grant_type',
        mapping: Object.fromEntries(kinds.map(({ grantType, schema }) => [grantType, schema.$ref])),
      },
    },
    examples: Object.fromEntries(kinds.map(({ grantType, example }) => [grantType, example])),
  }
}

type Components = Readonly<{
  /** Schemas with an id. */
  schemas: Record<string, Json>
  /** A schema of what comes in, or of what goes out; those with an id as references. */
  request: (schema: z.ZodType) => Json
  response: (schema: z.ZodType) => Json
}>

function createComponents(config: OAuthConfig): Components {
  const schemas: Record<string, Json> = {}

  function convert(schema: z.ZodType, io: 'input' | 'output'): Json {
    const id = schema.meta()?.id
    const { $schema: _, $defs = {}, ...converted } = z.toJSONSchema(schema, { io, override: simplify }) as Json
    for (const [name, definition] of Object.entries($defs as Record<string, Json>)) {
      schemas[name] ??= moveReferences(definition)
    }
    if (id === undefined) return moveReferences(converted)
    schemas[id] ??= moveReferences(converted)
    return { $ref: `#/components/schemas/${id}` }
  }

  convert(metadataResponse, 'output')
  Object.assign(schemas.Metadata!, { examples: [metadata(config, ['ES256'])] })
  return {
    schemas,
    request: schema => convert(schema, 'input'),
    response: schema => convert(schema, 'output'),
  }
}

/** Leaves out what clients must not rely on, and the limits of JavaScript's numbers. */
function simplify({ jsonSchema }: { jsonSchema: Json }): void {
  delete jsonSchema.id
  // Generators that know only OpenAPI 3.0 take a `const` for any text.
  if ('const' in jsonSchema) {
    jsonSchema.enum = [jsonSchema.const]
    delete jsonSchema.const
  }
  if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
}

function moveReferences(schema: Json): Json {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/'))
}

function mapValues<T>(values: Readonly<Record<string, T>>, change: (value: T) => Json): Json {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value)]))
}
