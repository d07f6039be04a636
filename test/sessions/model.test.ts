/** Commands at the same moment, held against the model of _session_model.ts. */
import test from 'ava'
import { startServerWithAlice } from '../_server.ts'
import { assertModel } from '../_session_model.ts'

test('promises 1, 2 and 4: of commands at the same moment there is always an order that explains every answer', async t => {
  t.timeout(240_000)
  const options = { throttle: { enabled: false }, oauth: { accessTokenLifetime: 3600 } }
  await assertModel(t, async () => [await startServerWithAlice(t, options)], 60)
})
