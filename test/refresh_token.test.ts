/** The refresh_token grant over HTTP. RFC 6749 §6, RFC 9700 §4.14; design promises 1 and 2. */
import test from 'ava'
import { startServerWithAlice } from './_server.ts'

test('a refresh answers a new refresh token and a fresh access token (RFC 6749 §6)', async t => {
  const server = await startServerWithAlice(t)
  const first = await server.signIn()

  const answer = await server.refresh(first.refresh_token)

  t.is(answer.status, 200)
  t.not(answer.body.refresh_token, first.refresh_token)
  t.not(answer.body.access_token, first.access_token)
  t.is(answer.body.scope, 'read write')
  t.is((await server.me(answer.body.access_token)).status, 200)
})

test('promise 1: 20 concurrent uses of one refresh token yield one successor, the same for all', async t => {
  const server = await startServerWithAlice(t)
  const { refresh_token } = await server.signIn()

  const answers = await Promise.all(Array.from({ length: 20 }, () => server.refresh(refresh_token)))

  t.deepEqual(new Set(answers.map(answer => answer.status)), new Set([200]))
  t.is(new Set(answers.map(answer => answer.body.refresh_token)).size, 1)
})
