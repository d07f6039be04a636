/** The listener of operators: what is there is not on the public one, and the other way round. */
import test from 'ava'
import { adminEndpointsOf } from '../../../src/http/admin/admin_endpoints.ts'
import { isLoopbackHost } from '../../../src/setting_values.ts'
import { startServer } from '../../_server.ts'

test('on the public listener /admin and /metrics are nothing, and on that of operators nothing is public but health', async t => {
  const server = await startServer(t)
  const admin = await server.startAdmin()
  const statusOf = async (at: typeof admin, path: string, init?: RequestInit) => (await at.request(path, init)).status

  const own = adminEndpointsOf(server.deps, {
    privateJwksUris: false,
    privateWebhooks: false,
    signingAlg: 'ES256',
  }).filter(({ path }) => !['/openapi.json'].includes(path))
  for (const { method, path } of own.filter(({ path }) => !path.startsWith('/health/')))
    t.is(await statusOf(server, path.replace(/\{\w+\}/g, 'x'), { method: method.toUpperCase() }), 404, path)
  for (const path of ['/admin', '/admin/', '/admin/users', '/admin/users/x', '/metrics'])
    for (const method of ['GET', 'POST', 'DELETE']) t.is(await statusOf(server, path, { method }), 404, path)

  for (const path of ['/token', '/login', '/users/me', '/.well-known/jwks.json', '/docs', '/'])
    t.is(await statusOf(admin, path), 404, path)
})

test('health is on the listener of operators too: ready is 503 without a database, and live still 200', async t => {
  const server = await startServer(t)
  const admin = await server.startAdmin()
  const ask = async (path: string) => (await admin.request(path)).status
  t.deepEqual([await ask('/health/live'), await ask('/health/ready')], [200, 200])
  await server.deps.storage.close()
  t.deepEqual([await ask('/health/live'), await ask('/health/ready')], [200, 503])
})

test('what is wrong is told by JSON, to a browser too, and no origin may read it', async t => {
  const server = await startServer(t, { http: { corsOrigins: ['https://app.example.com'] } })
  const admin = await server.startAdmin()
  const headers = { accept: 'text/html', origin: 'https://app.example.com' }
  const answer = await admin.request('/nowhere', { headers })
  t.is(answer.body.error, 'not_found')
  t.is(answer.headers.get('access-control-allow-origin'), null)
  t.truthy(answer.headers.get('x-request-id'))
  t.is((await admin.request('/health/live', { headers })).headers.get('access-control-allow-origin'), null)
})

test('loopback is what only this machine reaches; a name that must be looked up may be anything', t => {
  for (const host of ['127.0.0.1', '127.8.0.1', '::1', 'localhost', 'LOCALHOST', '::ffff:127.0.0.1'])
    t.true(isLoopbackHost(host), host)
  for (const host of [
    '0.0.0.0',
    '::',
    '10.0.0.7',
    '127.evil.example',
    'admin.internal',
    '::ffff:10.0.0.7',
    '1270.0.0.1',
  ])
    t.false(isLoopbackHost(host), host)
})
