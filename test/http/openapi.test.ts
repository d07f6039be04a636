/** `/openapi.json` says what is true, and the two pages that show it. OpenAPI 3.1. Every answer of every test is held to it too. */
import { Validator } from '@seriousme/openapi-schema-validator'
import test from 'ava'
import fc from 'fast-check'
import { endpointsOf } from '../../src/app.ts'
import { type Described, errorsByStatus } from '../../src/http/docs/openapi.ts'
import { errorResponse } from '../../src/http/schemas.ts'
import { createAnswerCheck, describedEndpoints } from '../_api.ts'
import { issuer, startServer, startServerWithAlice, type TestServer } from '../_server.ts'

// biome-ignore lint/suspicious/noExplicitAny: the document is looked into at many places
type Document = any

async function documentOf(server: TestServer): Promise<Document> {
  return (await server.request('/openapi.json')).body
}

function operationsOf(document: Document): string[] {
  return Object.entries<object>(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(method => `${method} ${path}`),
  )
}

function recordsOf(server: TestServer, docs: boolean): string[] {
  return endpointsOf(server.deps, docs).map(({ method, path }) => `${method} ${path}`)
}

/** What the server itself says of its paths, each filled in. */
async function routesOf(server: TestServer, paths: readonly string[]): Promise<string[]> {
  const asked = paths.map(async path => {
    const { headers } = await server.request(path.replace(/\{\w+\}/g, 'x'), { method: 'OPTIONS' })
    const methods = (headers.get('allow') ?? '').split(', ').filter(method => method !== 'HEAD')
    return methods.map(method => `${method.toLowerCase()} ${path}`)
  })
  return (await Promise.all(asked)).flat()
}

for (const docs of [true, false]) {
  for (const path of ['', '/tenant/one']) {
    test(`with docs ${docs ? 'on' : 'off'} and the issuer path '${path}' the document is OpenAPI 3.1 and has every route, and no other`, async t => {
      const server = await startServer(t, { http: { docs }, oauth: { issuer: issuer + path } })
      const document = await documentOf(server)

      const { valid, errors } = await new Validator().validate(structuredClone(document))
      t.true(valid, JSON.stringify(errors, null, 1))
      t.regex(document.openapi, /^3\.1\./)
      t.deepEqual(operationsOf(document).sort(), recordsOf(server, docs).sort())
      t.deepEqual(operationsOf(document).sort(), (await routesOf(server, Object.keys(document.paths))).sort())
      t.is(operationsOf(document).includes('get /docs'), docs)
    })
  }
}

test('the validator would see a wrong document', async t => {
  const document = await documentOf(await startServer(t))
  delete document.paths['/token'].post.responses
  document.paths['/token'].post.parameters = [{ name: 'x' }]
  t.false((await new Validator().validate(document)).valid)
})

test('every operation has its own id, a summary, its answers and a security requirement that is defined', async t => {
  const document = await documentOf(await startServer(t))
  const operations: Document[] = Object.values<object>(document.paths).flatMap(Object.values)
  const ids = operations.map(({ operationId }) => operationId)
  t.is(new Set(ids).size, ids.length)
  for (const { operationId, summary, responses, security } of operations) {
    t.true(summary.length > 5, operationId)
    t.true(Object.keys(responses).length >= 2, operationId)
    for (const requirement of security) {
      for (const name of Object.keys(requirement)) t.true(name in document.components.securitySchemes, operationId)
    }
  }
})

test('the document describes the password flow with /token (OpenAPI 3.1 §4.8.29)', async t => {
  const { components, paths, servers } = await documentOf(await startServer(t))
  t.is(components.securitySchemes.signIn.flows.password.tokenUrl, `${issuer}/token`)
  t.deepEqual(servers, [{ url: issuer }])
  t.deepEqual(paths['/users/me'].get.security[0], { signIn: [] })
  t.is(components.securitySchemes.sessionCookie.name, '__Host-latchkey-1ce18487')
})

function schemasOf({ description: { answers, body }, errors }: Described) {
  return [
    ...Object.values(answers).flatMap(({ content = {} }) => Object.values(content)),
    ...[body].flat().filter(schema => schema !== undefined),
    ...Object.values(errorsByStatus(errors)).map(codes => errorResponse(codes)),
  ]
}

test('every example fits the schema that it is an example of', t => {
  let examples = 0
  for (const endpoint of describedEndpoints(issuer, true)) {
    for (const schema of schemasOf(endpoint)) {
      for (const example of (schema.meta()?.examples ?? []) as unknown[]) {
        t.true(schema.safeParse(example).success, `${endpoint.id}: ${JSON.stringify(example)}`)
        examples++
      }
    }
  }
  t.true(examples > 10)
})

test('every request and every answer with a body has an example, and every refusal the words it may come with', async t => {
  const { paths } = await documentOf(await startServer(t))
  for (const [path, methods] of Object.entries<Document>(paths)) {
    for (const [method, { requestBody, responses }] of Object.entries<Document>(methods)) {
      const contents = [requestBody?.content, ...Object.values<Document>(responses).map(({ content }) => content)]
      for (const [type, media] of contents.flatMap(content => Object.entries<Document>(content ?? {}))) {
        if (/^(?:text|image)\//.test(type) || path === '/openapi.json') continue
        const { $ref = '' } = media.schema
        t.true(Object.keys(media.examples ?? {}).length > 0 || $ref.endsWith('/Metadata'), `${method} ${path} ${type}`)
      }
    }
  }
})

test('what a test server answers is held to the document: another status, member, type or header is seen', t => {
  const check = createAnswerCheck(describedEndpoints(issuer, true))
  const good = {
    method: 'GET',
    path: '/users/me',
    status: 200,
    headers: new Headers({ 'content-type': 'application/json; charset=utf-8', 'x-request-id': 'x' }),
    text: '{"username":"alice","email":null,"email_verified":false,"full_name":null,"language":null}',
  }
  t.notThrows(() => check(good))
  t.throws(() => check({ ...good, status: 418 }))
  t.throws(() =>
    check({
      ...good,
      text: '{"username":"alice","email":null,"email_verified":false,"full_name":null,"password_hash":"x"}',
    }),
  )
  t.throws(() => check({ ...good, text: '{"username":"alice","email":null,"email_verified":false}' }))
  t.throws(() => check({ ...good, headers: new Headers({ 'content-type': 'text/plain', 'x-request-id': 'x' }) }))
  t.throws(() => check({ ...good, headers: new Headers({ 'content-type': 'application/json' }) }))
  t.throws(() => check({ ...good, path: '/users/you' }))
  const refusal = { ...good, status: 401, text: '{"error":"invalid_token","error_description":"x"}' }
  t.throws(() => check(refusal), { message: /without WWW-Authenticate/ })
})

test('a parameter that the document calls required is required, and one it does not name is ignored', async t => {
  const server = await startServerWithAlice(t)
  const document = await documentOf(server)
  const { discriminator } =
    document.paths['/token'].post.requestBody.content['application/x-www-form-urlencoded'].schema
  const { refresh_token } = await server.signIn()
  const good: Record<string, Record<string, string>> = {
    password: { username: 'alice', password: 'correct horse battery staple' },
    refresh_token: { refresh_token },
  }
  for (const [grantType, ref] of Object.entries<string>(discriminator.mapping)) {
    const { required, properties } = document.components.schemas[ref.split('/').at(-1)!]
    t.deepEqual(properties.grant_type.enum, [grantType])
    const params = good[grantType]
    if (params === undefined) continue
    const request = { grant_type: grantType, client_id: 'app', ...params, surprise: 'x' }
    for (const name of required) {
      const { [name]: _, ...rest } = request as Record<string, string>
      const { status, body } = await server.token(rest)
      t.deepEqual([status, body.error, body.error_description], [400, 'invalid_request', `${name} is missing`])
    }
    t.is((await server.token(request)).status, 200, grantType)
  }
})

test('GET /openapi.json comes compressed if asked, with an ETag that answers 304, and readable from every origin', async t => {
  const server = await startServer(t)
  const plain = await server.request('/openapi.json', {
    headers: { 'accept-encoding': 'identity', origin: 'https://any.example.com' },
  })
  for (const encoding of ['br', 'gzip']) {
    const answer = await server.request('/openapi.json', { headers: { 'accept-encoding': encoding } })
    t.is(answer.headers.get('content-encoding'), encoding)
    t.deepEqual(answer.body, plain.body)
    const etag = answer.headers.get('etag') ?? ''
    t.not(etag, plain.headers.get('etag'))
    const again = await server.request('/openapi.json', {
      headers: { 'accept-encoding': encoding, 'if-none-match': etag },
    })
    t.is(again.status, 304)
  }
  t.is(plain.headers.get('content-encoding'), null)
  t.is(plain.headers.get('vary'), 'Accept-Encoding')
  t.is(plain.headers.get('access-control-allow-origin'), '*')
})

for (const page of ['/docs', '/redoc']) {
  test(`GET ${page} is a page with a strict CSP whose files come from here, compressed and kept for long`, async t => {
    const server = await startServer(t)
    const { status, headers, body } = await server.request(page)
    t.is(status, 200)
    const policy = headers.get('content-security-policy') ?? ''
    t.regex(policy, /default-src 'none'/)
    t.notRegex(policy, /unsafe|https?:|\*/)
    const files = [...body.matchAll(/(?:src|href)="([^"]+)"/g)]
      .map(([, file]) => file)
      .filter(file => file !== 'favicon.ico')
    t.true(files.length >= 3)
    for (const file of files.filter(file => file !== 'openapi.json')) {
      const { href } = new URL(file, server.url + page)
      t.true(href.startsWith(server.url))
      const path = href.slice(server.url.length)
      const answer = await server.request(path, { headers: { 'accept-encoding': 'br, gzip' } })
      t.is(answer.status, 200, path)
      t.is(answer.headers.get('content-encoding'), 'br')
      t.regex(answer.headers.get('cache-control') ?? '', /max-age=31536000, immutable/)
      const etag = answer.headers.get('etag') ?? ''
      t.is(
        (await server.request(path, { headers: { 'accept-encoding': 'br', 'if-none-match': etag } })).status,
        304,
        path,
      )
      t.notRegex(answer.body, /cdn\.redoc/)
    }
  })

  test(`GET ${page} is 404 when the pages are switched off, and the document stays`, async t => {
    const server = await startServer(t, { http: { docs: false } })
    t.is((await server.request(page)).status, 404)
    t.is((await server.request('/openapi.json')).status, 200)
    const on = await startServer(t)
    t.is((await on.request(page)).status, 200)
  })
}

test('a file of the pages under another hash or name is 404', async t => {
  const server = await startServer(t)
  const { body } = await server.request('/docs')
  const path: string = /href="(docs\/assets\/[^"]+)"/.exec(body)?.[1] ?? ''
  t.is((await server.request(`/${path}`)).status, 200)
  await fc.assert(
    fc.asyncProperty(fc.nat(path.length - 1), fc.constantFrom('x', 'Z', '..', '%2e%2e'), async (at, text) => {
      const other = `/${path.slice(0, at)}${text}${path.slice(at + 1)}`
      if (other === `/${path}`) return
      const { status } = await server.request(other)
      t.true(status === 404 || status === 400, other)
    }),
    { seed: 1, numRuns: 50 },
  )
})

test('endpoints are the same table for every issuer but for the metadata below its path (RFC 8414 §3.1, §5)', t => {
  t.is(describedEndpoints(`${issuer}/a`, true).length, describedEndpoints(issuer, true).length + 2)
})

test('an endpoint has a body in the document if and only if it reads one, and all the parameters of its path', t => {
  for (const { id, path, body, description } of describedEndpoints(issuer, true)) {
    t.is(description.body === undefined, body === undefined, id)
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    t.deepEqual(Object.keys(description.pathParams?.shape ?? {}), inPath, id)
  }
})
