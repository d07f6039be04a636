/** `acr_values` and `max_age` at the token endpoint: RFC 9470 §4 and §5, draft-ietf-oauth-first-party-apps-04 §6.2. */
import test, { type ExecutionContext } from 'ava'
import { decodeJwt } from 'jose'
import { auditEvent } from '../../src/audit/audit.ts'
import { parseAuthSession } from '../../src/oauth/auth_session.ts'
import { refreshPolicy } from '../../src/sessions/lifetimes.ts'
import { raiseSession } from '../../src/sessions/raise.ts'
import type { FactorKind } from '../../src/users/factors/factor.ts'
import { addPasskey, addRecoveryCodes, addTotp } from '../_factors.ts'
import { type Answer, password, refusal, refused, startServerWithAlice, type TestServer } from '../_server.ts'

const twoFactors = 'urn:latchkey:2fa'
const members = 'error,error_description,auth_session,auth_session_expires_in,factors'

/** Alice signed in by password, and has set up factors since. */
async function startSignedIn(t: ExecutionContext, ...kinds: FactorKind[]) {
  const server = await startServerWithAlice(t)
  const tokens = await server.signIn()
  const phone = kinds.includes('totp') ? await addTotp(server, server.aliceId) : undefined
  if (kinds.includes('recovery_codes')) await addRecoveryCodes(server, server.aliceId)
  if (kinds.includes('passkey')) await addPasskey(server, server.aliceId)
  return { server, tokens, phone: phone! }
}

const liveSessions = ({ deps, clock }: TestServer) => deps.storage.listLiveSessions({}, clock.now(), 10)
const rowOf = async (server: TestServer) => (await liveSessions(server))[0]!
const trailOf = ({ deps }: TestServer) => deps.storage.listAuditEvents(100)
const offer = ({ status, body }: Answer) => ({ status, error: body.error, factors: body.factors })
const owed = (...factors: string[]) => ({ status: 403, error: 'insufficient_authorization', factors })

test('a refresh that asks for more than was proved is 403 with an auth_session of its session, and nothing is written (draft-04 §6.2)', async t => {
  const { server, tokens } = await startSignedIn(t, 'totp', 'recovery_codes')
  server.clock.advance(100)
  const [row, trail] = [await rowOf(server), await trailOf(server)]

  const answer = await server.refresh(tokens.refresh_token, { acr_values: twoFactors, scope: 'read' })

  t.deepEqual(refusal(answer), { ...refused(403, 'insufficient_authorization'), members })
  t.deepEqual(answer.body.factors, ['otp', 'recovery_code'])
  t.is(answer.body.auth_session_expires_in, 300)
  const { id: _, ...authSession } = parseAuthSession(answer.body.auth_session, server.deps.secrets)!
  t.deepEqual(authSession, {
    clientId: 'app',
    user: { id: server.aliceId, credentialVersion: 3 },
    amr: [],
    sessionId: row.id,
    request: { scope: 'read', resources: [], acrValues: [twoFactors] },
    expiresAt: server.clock.now() + 300,
  })
  t.deepEqual(await rowOf(server), row)
  t.deepEqual(await trailOf(server), trail)

  const plain = await server.refresh(tokens.refresh_token)
  t.is(plain.status, 200, 'the same token, with less asked for')
  t.like(decodeJwt(plain.body.access_token), { acr: 'urn:latchkey:1fa', amr: ['pwd'] })
  t.is((await rowOf(server)).generation, row.generation + 1)
})

test('what was proved already is not asked for again: the refresh is one like any other', async t => {
  const { server, tokens } = await startSignedIn(t, 'totp')
  server.clock.advance(300)
  for (const params of [
    { max_age: '300' },
    { acr_values: 'urn:latchkey:1fa' },
    { acr_values: `${twoFactors} urn:latchkey:1fa`, max_age: '300' },
    { acr_values: 'urn:example:gold urn:latchkey:1fa' },
    { acr_values: '', max_age: '' },
  ]) {
    const { status, body } = await server.refresh(tokens.refresh_token, params)
    t.is(status, 200, JSON.stringify(params))
    tokens.refresh_token = body.refresh_token
  }
  t.is((await rowOf(server)).generation, 2 ** 24 + 5)
})

test('max_age: a sign-in that is a second older is 403, and 0 asks for one of now (OIDC Core §3.1.2.1)', async t => {
  const { server, tokens } = await startSignedIn(t, 'totp')
  t.is((await server.refresh(tokens.refresh_token, { max_age: '0' })).status, 200)
  server.clock.advance(301)
  for (const max_age of ['0', '300'])
    t.deepEqual(offer(await server.refresh(tokens.refresh_token, { max_age })), owed('otp'))
  t.is((await server.refresh(tokens.refresh_token, { max_age: '301' })).status, 200)
})

test('max_age that is no number of seconds is invalid_request and costs no token (RFC 6749 §5.2)', async t => {
  const { server, tokens } = await startSignedIn(t, 'totp')
  for (const max_age of ['-1', '1.5', 'x', '٣', '1e3', ' 1', '9'.repeat(11)])
    t.deepEqual(
      refusal(await server.refresh(tokens.refresh_token, { max_age })),
      refused(400, 'invalid_request'),
      max_age,
    )
  const long = `${'urn:example:x '.repeat(80)}${twoFactors}`
  t.is((await server.refresh(tokens.refresh_token, { acr_values: long })).body.error, 'invalid_request')
  t.is((await server.refresh(tokens.refresh_token, { max_age: '9'.repeat(10) })).status, 200)
})

test('each class asks for the factors that reach it, of those that the user has (RFC 9470 §5)', async t => {
  const { server, tokens } = await startSignedIn(t, 'totp', 'recovery_codes', 'passkey')
  server.clock.advance(10)
  const asked = async (params: Record<string, string>) => offer(await server.refresh(tokens.refresh_token, params))
  t.deepEqual(await asked({ acr_values: 'phr' }), owed('passkey'))
  t.deepEqual(await asked({ acr_values: `phr ${twoFactors}` }), owed('otp', 'recovery_code', 'passkey'))
  t.deepEqual(await asked({ acr_values: 'urn:latchkey:1fa', max_age: '0' }), owed('otp', 'recovery_code', 'passkey'))
})

test('who has no second factor proves the password anew', async t => {
  const { server, tokens } = await startSignedIn(t)
  server.clock.advance(10)
  const asked = async (params: Record<string, string>) => offer(await server.refresh(tokens.refresh_token, params))
  t.deepEqual(await asked({ max_age: '5' }), owed('password'))
  t.deepEqual(await asked({ max_age: '5', acr_values: `phr urn:latchkey:1fa` }), owed('password'))
})

test('what nobody could meet, or not this user, is 400 unmet_authentication_requirements and costs no token (RFC 9470 §5)', async t => {
  const { server, tokens } = await startSignedIn(t)
  const unmet = async (params: Record<string, string>) => {
    const answer = await server.refresh(tokens.refresh_token, params)
    t.deepEqual(refusal(answer), refused(400, 'unmet_authentication_requirements'), JSON.stringify(params))
  }
  await unmet({ acr_values: 'urn:example:gold silver' })
  for (const acr of [twoFactors, 'phr', `${twoFactors} phr`]) await unmet({ acr_values: acr })
  await addTotp(server, server.aliceId)
  await unmet({ acr_values: 'phr' })
  t.deepEqual(offer(await server.refresh(tokens.refresh_token, { acr_values: twoFactors })), owed('otp'))
  t.is((await server.refresh(tokens.refresh_token)).status, 200)
})

test('recovery codes alone are no second factor', async t => {
  const { server, tokens } = await startSignedIn(t, 'recovery_codes')
  const { body } = await server.refresh(tokens.refresh_token, { acr_values: twoFactors })
  t.is(body.error, 'unmet_authentication_requirements')
})

test('a retry is asked as its refresh was, and a token that was used up before ends the session whatever is asked for', async t => {
  const { server, tokens } = await startSignedIn(t, 'totp')
  const second = (await server.refresh(tokens.refresh_token)).body
  t.is((await server.refresh(tokens.refresh_token, { acr_values: twoFactors })).status, 403, 'a retry')
  t.is((await server.refresh(second.refresh_token)).status, 200, 'which has moved nothing')
  const reused = await server.refresh(tokens.refresh_token, { acr_values: twoFactors })
  t.deepEqual(refusal(reused), refused(400, 'invalid_grant'))
  t.deepEqual(await liveSessions(server), [])
})

test('a scope that is refused is refused before anything is asked for', async t => {
  const { server, tokens } = await startSignedIn(t, 'totp')
  const answer = await server.refresh(tokens.refresh_token, { acr_values: twoFactors, scope: 'admin' })
  t.deepEqual(refusal(answer), refused(400, 'invalid_scope'))
})

test('a session that was raised meets it with the token it had, and other sessions of the user do not', async t => {
  const { server, tokens, phone } = await startSignedIn(t, 'totp')
  const { storage, refusals, config } = server.deps
  const [user, client, row] = [
    (await storage.findUser(server.aliceId))!,
    (await storage.findClient('app'))!,
    await rowOf(server),
  ]
  server.clock.advance(1000)
  const at = server.clock.now()
  const use = { factorId: phone.factor.id, kind: 'totp', at, step: 1 } as const
  const where = { sessionId: row.id, client, lifetimes: refreshPolicy(config, client) }
  await raiseSession({ storage, refusals }, { user, amr: ['otp', 'mfa'], at, uses: [use] }, where, {})

  const { status, body } = await server.refresh(tokens.refresh_token, { acr_values: twoFactors, max_age: '0' })
  t.is(status, 200)
  t.like(decodeJwt(body.access_token), { acr: twoFactors, amr: ['pwd', 'otp', 'mfa'], auth_time: at, sid: row.id })
  t.like((await trailOf(server)).find(({ type }) => type === 'session.raised')!, { sessionId: row.id })
})

test('the refresh of a session whose user has just been removed is invalid_grant, whatever it asks for', async t => {
  const { server, tokens } = await startSignedIn(t, 'totp')
  await server.deps.storage.removeUser(server.aliceId, auditEvent('user.removed', server.clock.now(), {}))
  const answer = await server.refresh(tokens.refresh_token, { acr_values: twoFactors })
  t.deepEqual(refusal(answer), refused(400, 'invalid_grant'))
})

const signIn = (server: TestServer, params: Record<string, string>) =>
  server.token({ grant_type: 'password', client_id: 'app', username: 'alice', password: 'x', ...params })

test('a sign-in that asks for a class is asked for a factor that reaches it, whatever the server asks of everybody (RFC 9470 §4)', async t => {
  const server = await startServerWithAlice(t, { oauth: { requireFactor: 'off' } })
  await addTotp(server, server.aliceId)
  await addPasskey(server, server.aliceId)
  const asked = async (acr_values: string) => offer(await signIn(server, { password, acr_values }))

  t.deepEqual(await asked(twoFactors), owed('otp', 'passkey'))
  t.deepEqual(await asked('phr urn:example:gold'), owed('passkey'))
  t.deepEqual(await liveSessions(server), [])
  t.is((await asked('urn:latchkey:1fa')).status, 200)
  t.is((await signIn(server, { password, max_age: '0' })).status, 200, 'nothing is fresher than a sign-in')
})

test('a sign-in that asks for what its user cannot reach is 400 unmet_authentication_requirements, after the right password only', async t => {
  const server = await startServerWithAlice(t)
  const unmet = refused(400, 'unmet_authentication_requirements')
  for (const acr_values of [twoFactors, 'phr']) {
    t.deepEqual(refusal(await signIn(server, { password, acr_values })), unmet)
    t.deepEqual(refusal(await signIn(server, { acr_values })), refused(400, 'invalid_grant'), 'the wrong password')
  }
  t.deepEqual(refusal(await signIn(server, { acr_values: 'urn:example:gold' })), unmet, 'which nobody could reach')
  t.deepEqual(await liveSessions(server), [])
})
