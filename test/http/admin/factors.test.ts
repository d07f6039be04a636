/** What operators' programs see of second factors, and how they take them from who has lost them: as `latchkey user factors` does. */
import test from 'ava'
import { addPasskey, addRecoveryCodes, addTotp, proveInSessions } from '../../_factors.ts'
import { startTime } from '../../_server.ts'
import { startAdminServer } from './_admin.ts'

test('the factors of a user are listed by what they are, and nothing that they are verified by', async t => {
  const server = await startAdminServer(t)
  const path = `/admin/users/${server.aliceId}/factors`
  t.deepEqual((await server.ask('GET', path)).body, { factors: [] })
  const { factor } = await addTotp(server, server.aliceId)
  server.clock.advance(1)
  await addRecoveryCodes(server, server.aliceId)
  const { body } = await server.ask('GET', path)
  const [totp, codes] = body.factors.toSorted((a: { kind: string }, b: { kind: string }) =>
    b.kind.localeCompare(a.kind),
  )
  t.deepEqual(totp, { id: factor.id, kind: 'totp', name: null, created_at: startTime, used_at: null })
  t.deepEqual(Object.keys(codes), ['id', 'kind', 'name', 'created_at', 'used_at', 'codes_left'])
  t.is(codes.codes_left, 10)
  t.is((await server.ask('GET', '/admin/users/usr_none/factors')).status, 404)
})

test('a reset removes all factors, ends the sessions, is audited, and the next sign-in is by the password alone', async t => {
  const server = await startAdminServer(t)
  const path = `/admin/users/${server.aliceId}/factors`
  const tokens = await server.signIn()
  t.deepEqual((await server.ask('DELETE', path)).body, { removed: 0 })
  t.is((await server.me(tokens.access_token)).status, 200, 'nothing happens to who has none')
  await addTotp(server, server.aliceId)
  await addPasskey(server, server.aliceId)
  await addRecoveryCodes(server, server.aliceId)
  await proveInSessions(server)
  const { credentialVersion } = (await server.deps.storage.findUser(server.aliceId))!

  t.deepEqual((await server.ask('DELETE', path)).body, { removed: 3 })
  t.deepEqual((await server.ask('GET', path)).body, { factors: [] })
  t.is((await server.me(tokens.access_token)).status, 401)
  t.is((await server.refresh(tokens.refresh_token)).body.error, 'invalid_grant')
  t.is((await server.deps.storage.findUser(server.aliceId))!.credentialVersion, credentialVersion + 1)
  const [event] = await server.deps.storage.listAuditEvents(1, { type: 'factor.removed' })
  t.like(event, { userId: server.aliceId })
  t.regex(event!.detail!, /^client ops: (?:(?:totp|passkey|recovery_codes) fac_[\w-]{22}(?:, |$)){3}$/)
  t.truthy((await server.signIn()).access_token)
  t.deepEqual((await server.ask('DELETE', path)).body, { removed: 0 })
  t.is((await server.ask('DELETE', '/admin/users/usr_none/factors')).status, 404)
})

test('to look needs admin:users:read, to reset admin:users', async t => {
  const server = await startAdminServer(t)
  const path = `/admin/users/${server.aliceId}/factors`
  await server.addProgram('reader', ['admin:users:read'])
  await server.addProgram('sessions', ['admin:sessions'])
  const status = async (method: string, client: string) =>
    (await server.ask(method, path, undefined, {}, await server.tokenOf(client))).status
  t.deepEqual([await status('GET', 'reader'), await status('DELETE', 'reader')], [200, 403])
  t.deepEqual([await status('GET', 'sessions'), await status('DELETE', 'sessions')], [403, 403])
  t.deepEqual([await status('GET', 'ops'), await status('DELETE', 'ops')], [200, 200])
})
