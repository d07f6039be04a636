/** What a supervisor asks. */
import test from 'ava'
import { startServer } from '../_server.ts'

test('live and ready are 200; without a database ready is 503 with Retry-After, and live still 200', async t => {
  const server = await startServer(t)
  const ask = async (path: string) => {
    const { status, headers, body } = await server.request(path)
    return [status, body.status ?? body.error, headers.get('retry-after')]
  }
  t.deepEqual(await ask('/health/live'), [200, 'ok', null])
  t.deepEqual(await ask('/health/ready'), [200, 'ok', null])

  await server.deps.storage.close()

  t.deepEqual(await ask('/health/ready'), [503, 'temporarily_unavailable', '1'])
  t.deepEqual(await ask('/health/live'), [200, 'ok', null])
})
