/** What RFC 9700 asks and no other test shows. */
import test from 'ava'
import { startServerWithAlice } from '../_server.ts'

test('no answer is a redirect, whatever address a request names (RFC 9700 §2.1, §4.11.2, §4.12)', async t => {
  const server = await startServerWithAlice(t)
  const target = encodeURIComponent('https://evil.example.com')
  const paths = [
    '/',
    '/authorize',
    '/login',
    '/logout',
    '/token',
    '/users/me',
    '/userinfo',
    '//evil.example.com',
    '/health/live',
  ]

  for (const path of paths) {
    for (const method of ['GET', 'POST']) {
      const { status, headers } = await server.request(`${path}?redirect_uri=${target}&next=${target}`, { method })
      t.false(status >= 300 && status < 400, `${method} ${path} ${status}`)
      t.is(headers.get('location'), null)
    }
  }
})
