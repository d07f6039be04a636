/** What RFC 6750 asks of a resource server and no other test shows. */
import test from 'ava'
import { startServerWithWeb } from './_clients.ts'

/** RFC 6750 §3: the scheme and one or more parameters, each a name and a quoted string of the characters that are allowed. */
const challengePattern =
  /^Bearer [a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*"(?:, [a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*")*$/
const endpoints: [method: string, path: string, body?: URLSearchParams][] = [
  ['GET', '/users/me'],
  ['GET', '/userinfo'],
  ['POST', '/userinfo', new URLSearchParams({ x: '1' })],
  ['GET', '/sessions'],
  ['POST', '/logout'],
  ['DELETE', '/sessions/x'],
]

for (const [method, path, body] of endpoints) {
  const init = { method, ...(body && { body }) }

  test(`${method} ${path}: every challenge is Bearer with parameters that are well-formed and there once (RFC 6750 §3)`, async t => {
    const server = await startServerWithWeb(t)
    const { access_token } = await server.signIn()
    const answers = [
      await server.request(path, init),
      await server.request(path, { ...init, headers: { authorization: 'Bearer é"\\' } }),
      await server.request(path, { ...init, headers: server.bearer('x') }),
      await server.request(path, { ...init, headers: server.bearer(`${access_token}x`) }),
      await server.request(path, { ...init, headers: { authorization: 'Basic eDp5' } }),
    ]

    for (const { status, headers } of answers) {
      const challenge = headers.get('www-authenticate') ?? ''
      t.is(status, 401)
      t.regex(challenge, challengePattern)
      const names = [...challenge.matchAll(/([a-z_]+)="/g)].map(([, name]) => name)
      t.deepEqual(names, [...new Set(names)])
    }
    t.not((await server.request(path, { ...init, headers: server.bearer(access_token) })).status, 401)
  })

  test(`${method} ${path} sets no cookie (RFC 6750 §5.2, §5.3)`, async t => {
    const server = await startServerWithWeb(t)
    const { access_token } = await server.signInWeb()

    const answer = await server.request(path, { ...init, headers: server.bearer(access_token) })

    t.not(answer.status, 401)
    t.is(answer.headers.get('set-cookie'), null)
  })
}

test('a malformed request without a token that is good is told the Bearer challenge too (RFC 6750 §3)', async t => {
  const server = await startServerWithWeb(t)
  const { access_token } = await server.signInWeb()

  const answers = [
    await server.request(`/users/me?access_token=${access_token}`),
    await server.request(`/userinfo?access_token=${access_token}`),
    await server.post('/userinfo', { access_token }, server.bearer(access_token)),
    await server.request('/userinfo', { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } }),
  ]

  for (const { status, headers } of answers) {
    t.is(status, 400)
    t.regex(headers.get('www-authenticate') ?? '', challengePattern)
    t.regex(headers.get('www-authenticate') ?? '', /error="invalid_request"/)
  }
})
