/** An endpoint is one record: of it are made the route, HEAD, OPTIONS, `Allow`, CORS, its refusals and what `/openapi.json` says of it. */
import { Validator } from '@seriousme/openapi-schema-validator'
import test from 'ava'
import { OAuthError } from '../../src/error.ts'
import { crossSite, ok } from '../../src/http/description.ts'
import { docsEndpoints } from '../../src/http/docs/docs_routes.ts'
import type { Endpoint } from '../../src/http/endpoint.ts'
import { healthEndpoints } from '../../src/http/health_routes.ts'
import { sendJson } from '../../src/http/json.ts'
import { jsonType } from '../../src/http/media_types.ts'
import { formBody, formParams } from '../../src/http/params.ts'
import { sessionPath } from '../../src/http/request_params.ts'
import { browserAccept } from '../_cookies.ts'
import { startServer, type TestContext } from '../_server.ts'

const appOrigin = 'https://app.example.com'

const shared = { path: '/things/{id}', caller: 'user', cors: 'app' } as const

const showThing: Endpoint = {
  ...shared,
  id: 'thing',
  method: 'get',
  scope: 'things',
  handle(ctx, { id }) {
    if (id === 'none') throw new OAuthError('not_found', 'there is no such thing')
    if (id === 'secret') throw new OAuthError('insufficient_scope', 'the access token has not the scope things')
    sendJson(ctx, { status: 'ok' })
  },
  describe: ({ healthResponse }) => ({
    tag: 'User',
    summary: 'Shows a thing',
    pathParams: sessionPath,
    answers: ok('The thing.', { [jsonType]: healthResponse }),
    errors: { not_found: 'there is no such thing', insufficient_scope: 'the access token has not the scope things' },
  }),
}

const putThing: Endpoint = {
  ...shared,
  id: 'putThing',
  method: 'put',
  body: formBody,
  handle(ctx) {
    sendJson(ctx, { status: formParams(ctx).params.token })
  },
  describe: ({ revocationForm, healthResponse }) => ({
    tag: 'User',
    summary: 'Puts a thing there',
    pathParams: sessionPath,
    body: revocationForm,
    answers: ok('It is there.', { [jsonType]: healthResponse }),
    errors: crossSite,
  }),
}

const publicPage: Endpoint = {
  id: 'page',
  method: 'get',
  path: '/a-page',
  caller: 'open',
  cors: 'public',
  hasPages: true,
  handle() {
    throw new OAuthError('forbidden', 'not for you')
  },
  describe: ({ healthResponse }) => ({
    tag: 'Browser',
    summary: 'Turns everybody away',
    answers: ok('Never.', { [jsonType]: healthResponse }),
    errors: { forbidden: 'not for you' },
  }),
}

const startWith = (t: TestContext, more: readonly Endpoint[]) =>
  startServer(t, {
    http: { corsOrigins: [appOrigin] },
    endpoints: (deps, docs) => {
      const endpoints = [...healthEndpoints(deps.storage), ...more]
      return [...endpoints, ...docsEndpoints(deps, docs, endpoints)]
    },
  })

test('of a record alone come the route with its parameters, HEAD, OPTIONS, Allow and 405 (RFC 9110 §9.3.2, §9.3.7, §15.5.6)', async t => {
  const server = await startWith(t, [showThing, putThing])
  t.like(await server.request('/things/1'), { status: 200, body: { status: 'ok' } })
  t.like(await server.request('/things/1', { method: 'HEAD' }), { status: 200, body: '' })
  for (const [method, status] of [
    ['OPTIONS', 200],
    ['POST', 405],
    ['PROPFIND', 405],
  ] as const) {
    const answer = await server.request('/things/1', { method })
    t.deepEqual([answer.status, answer.headers.get('allow')], [status, 'HEAD, GET, PUT'], method)
  }
  t.is((await server.request('/things/1/2')).status, 404)
  t.is((await server.request('/Things/1')).status, 404)
  t.is((await (await startWith(t, [])).request('/things/1')).status, 404, 'without the record there is nothing')
})

test('of a record alone comes how its body is read', async t => {
  const server = await startWith(t, [showThing, putThing])
  const put = (body: string | URLSearchParams) => server.request('/things/1', { method: 'PUT', body })
  t.like(await put(new URLSearchParams({ token: 'ok' })), { status: 200, body: { status: 'ok' } })
  t.like(await put('token=ok'), { status: 400, body: { error: 'invalid_request' } })
})

test('of a record alone come preflights and CORS: for allowed origins, for all of them or for none (fetch standard)', async t => {
  const server = await startWith(t, [showThing, putThing, publicPage])
  const ask = async (path: string, origin: string, init: RequestInit = {}) => {
    const asked = { 'access-control-request-method': 'PUT' }
    const { headers } = await server.request(path, { ...init, headers: { origin, ...(init.method && asked) } })
    return [headers.get('access-control-allow-origin'), headers.get('access-control-allow-methods')]
  }
  const preflight = { method: 'OPTIONS' }
  t.deepEqual(await ask('/things/1', appOrigin), [appOrigin, null])
  t.deepEqual(await ask('/things/1', appOrigin, preflight), [appOrigin, 'GET, PUT'])
  t.deepEqual(await ask('/things/1', 'https://other.example', preflight), [null, null])
  t.deepEqual(await ask('/a-page', 'https://other.example', preflight), ['*', 'GET'])
  t.deepEqual(await ask('/health/live', appOrigin, preflight), [null, null])
})

test('of a record alone comes how a refusal is told: a page, and the challenge of the caller (RFC 6750 §3)', async t => {
  const server = await startWith(t, [showThing, putThing, publicPage])
  const headers = { accept: browserAccept }
  t.regex((await server.request('/a-page', { headers })).body, /^<!doctype html>/)
  t.like((await server.request('/a-page')).body, { error: 'access_denied' })
  t.like((await server.request('/things/none', { headers })).body, { error: 'not_found' })
  const secret = await server.request('/things/secret')
  t.is(secret.headers.get('www-authenticate'), 'Bearer realm="latchkey", error="insufficient_scope", scope="things"')
  const malformed = await server.request('/things/1', { method: 'PUT', body: 'x' })
  t.is(malformed.headers.get('www-authenticate'), 'Bearer realm="latchkey", error="invalid_request"')
})

test('of a record alone comes what /openapi.json says of it, with the refusals that follow from its caller and body', async t => {
  const { body } = await (await startWith(t, [showThing, putThing])).request('/openapi.json')
  t.true((await new Validator().validate(structuredClone(body))).valid)
  const { get, put } = body.paths['/things/{id}']
  t.like(get, { operationId: 'thing', summary: 'Shows a thing', tags: ['User'] })
  t.deepEqual(Object.keys(get.responses), ['200', '400', '401', '403', '404', '414', '500', '503'])
  t.deepEqual(Object.keys(put.responses), ['200', '400', '401', '403', '411', '413', '414', '500', '503'])
  t.deepEqual(Object.keys(put.requestBody.content), ['application/x-www-form-urlencoded'])
  t.deepEqual(get.security, [{ signIn: [] }, { accessToken: [] }])
})

test('two records that contradict each other stop the start', async t => {
  for (const [more, message] of [
    [[showThing, { ...showThing, id: 'again' }], /the same method at \/things\/\{id\}/],
    [[showThing, { ...putThing, cors: 'none' }], /differ in CORS/],
    [[showThing, ...healthEndpoints({} as never)], /the same method at \/health\/live/],
  ] as const) {
    await t.throwsAsync(startWith(t, more), { message })
  }
})
