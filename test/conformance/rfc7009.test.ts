/** What RFC 7009 asks and no other test shows. */
import test from 'ava'
import { openTestStorage } from '../_storages.ts'
import { changed, startServerWithWeb } from './_clients.ts'

test('a guessed token costs no write, and a forged refresh token not even a look (RFC 7009 §5)', async t => {
  const storage = await openTestStorage(t)
  const calls: string[] = []
  const counted = new Proxy(storage, {
    get(target, name: keyof typeof storage) {
      const verb = target[name]
      if (typeof verb !== 'function') return verb
      calls.push(name)
      return (verb as (...args: never[]) => unknown).bind(target)
    },
  })
  const server = await startServerWithWeb(t, { storage: counted })
  const { access_token, refresh_token } = await server.signIn()
  const revoke = async (token: string, params: Record<string, string> = {}) => {
    calls.length = 0
    await server.post('/revoke', { client_id: 'app', token, ...params })
    return calls.filter(name => name !== 'findClient')
  }

  for (const token of ['x', changed(refresh_token, 20), changed(access_token, 40), 'lkr_'.padEnd(80, 'A')]) {
    t.deepEqual(await revoke(token), [])
    for (const hint of ['access_token', 'refresh_token', 'x'])
      t.deepEqual(await revoke(token, { token_type_hint: hint }), [])
  }
  t.deepEqual(await revoke(refresh_token), ['revokeSessions'])
})
