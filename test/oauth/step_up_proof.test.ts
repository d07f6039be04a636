/** The proof that a step-up asks for, and what it does to the session: draft-ietf-oauth-first-party-apps-04 §6.2, RFC 9470 §5. */
import test, { type ExecutionContext } from 'ava'
import { decodeJwt } from 'jose'
import { auditEvent } from '../../src/audit/audit.ts'
import { addPasskey, addRecoveryCodes, addTotp } from '../_factors.ts'
import { password, refusal, refused, type ServerOptions, startServerWithAlice } from '../_server.ts'
import { createApp } from './_challenge.ts'

const twoFactors = 'urn:latchkey:2fa'

type Params = Record<string, string>

/** Alice is signed in on two devices, by password; `ask` is what her phone gets for a request that wants more. */
async function startSignedIn(t: ExecutionContext, options?: ServerOptions) {
  const server = await startServerWithAlice(t, options)
  const phone = await server.signIn({ scope: 'read write', device: 'Phone' })
  const tablet = await server.signIn({ device: 'Tablet' })
  server.clock.advance(1000)
  const ask = async (params: Params = { acr_values: twoFactors }) => {
    const { status, body } = await server.refresh(phone.refresh_token, params)
    t.is(status, 403, JSON.stringify(body))
    return body
  }
  const sessions = () => server.deps.storage.listLiveSessions({}, server.clock.now(), 10)
  return { ...server, ...createApp(server), phone, tablet, ask, sessions }
}

/** {@link startSignedIn}, and she has set up an app for codes and recovery codes. */
async function startWithFactors(t: ExecutionContext, options?: ServerOptions) {
  const server = await startSignedIn(t, options)
  const app = await addTotp(server, server.aliceId)
  const { codes } = await addRecoveryCodes(server, server.aliceId)
  return { ...server, app, codes }
}

const claimsOf = ({ access_token }: { access_token: string }) => decodeJwt<Record<string, unknown>>(access_token)
const notThis = (code: string) => (code === '000000' ? '000001' : '000000')

test('one code raises the same session: new tokens, the refresh token it has, and no second device (RFC 9470 §5)', async t => {
  const { challenge, exchange, refresh, phone, tablet, app, ask, sessions, clock, deps } = await startWithFactors(t)
  const before = await sessions()
  const { auth_session } = await ask({ acr_values: twoFactors, max_age: '300' })
  const { status, body } = await challenge({ auth_session, otp: app.code() })
  t.is(status, 200)
  const tokens = (await exchange(body.authorization_code)).body

  t.deepEqual(Object.keys(tokens), ['access_token', 'token_type', 'expires_in', 'scope', 'refresh_token'])
  t.is(tokens.refresh_token, phone.refresh_token)
  const { sid } = claimsOf(phone)
  t.like(claimsOf(tokens), { sid, acr: twoFactors, amr: ['pwd', 'otp', 'mfa'], auth_time: clock.now() })
  const raised = before.map(row =>
    row.id === sid ? { ...row, authTime: clock.now(), amr: ['pwd', 'otp', 'mfa'] } : row,
  )
  t.deepEqual(await sessions(), raised)
  const { events } = await deps.storage.listAuditEvents(3).then(list => ({ events: list.map(({ type }) => type) }))
  t.is(events[0], 'session.raised')

  t.like(claimsOf((await refresh(tokens.refresh_token, { acr_values: twoFactors })).body), { acr: twoFactors })
  t.like(claimsOf((await refresh(tablet.refresh_token)).body), { acr: 'urn:latchkey:1fa', amr: ['pwd'] })
  t.is((await refresh(tablet.refresh_token, { acr_values: twoFactors })).status, 403, 'the other device')
})

test('an app that goes on with its own refresh token, or refreshes meanwhile, gets the same', async t => {
  const { challenge, exchange, refresh, phone, app, ask } = await startWithFactors(t)
  const { auth_session } = await ask()
  const second = (await refresh(phone.refresh_token)).body
  const { body } = await challenge({ auth_session, otp: app.code() })
  const third = (await refresh(second.refresh_token, { acr_values: twoFactors })).body
  t.like(claimsOf(third), { acr: twoFactors })
  t.is((await exchange(body.authorization_code)).body.refresh_token, third.refresh_token)
})

test('who has no second factor proves the password anew, and it is as fresh then (OIDC Core §3.1.2.1)', async t => {
  const { challenge, exchange, ask, sessions, clock, deps } = await startSignedIn(t)
  const { auth_session, factors } = await ask({ max_age: '300' })
  t.deepEqual(factors, ['password'])
  t.deepEqual(refusal(await challenge({ auth_session, password: 'wrong' })), refused(400, 'invalid_grant'))
  const { body } = await challenge({ auth_session, password })
  const tokens = (await exchange(body.authorization_code)).body
  t.like(claimsOf(tokens), { acr: 'urn:latchkey:1fa', amr: ['pwd'], auth_time: clock.now() })
  t.is((await sessions()).length, 2)
  await deps.refusals.flush(true)
  const trail = await deps.storage.listAuditEvents(2)
  t.deepEqual(trail.map(({ type }) => type).toSorted(), ['session.raised', 'sign_in.refused'])
  for (const { sessionId } of trail) t.is(sessionId, claimsOf(tokens).sid as string)
})

test('a passkey makes a session phishing-resistant, and a code that is proved later takes that back', async t => {
  const { challenge, exchange, refresh, ask, aliceId, clock, app, ...server } = await startWithFactors(t)
  const { authenticator } = await addPasskey({ ...server, clock }, aliceId)
  const { auth_session, factors, passkey_options } = await ask({ acr_values: 'phr' })
  t.deepEqual(factors, ['passkey'])
  const { body } = await challenge({ auth_session, passkey: authenticator.get(passkey_options) })
  const tokens = (await exchange(body.authorization_code)).body
  t.like(claimsOf(tokens), { acr: 'phr', amr: ['pwd', 'hwk', 'user', 'mfa'] })

  clock.advance(1000)
  const next = (await refresh(tokens.refresh_token, { max_age: '60' })).body
  t.deepEqual(next.factors, ['otp', 'recovery_code', 'passkey'])
  const code = (await challenge({ auth_session: next.auth_session, otp: app.code() })).body.authorization_code
  t.like(claimsOf((await exchange(code)).body), { acr: twoFactors, amr: ['pwd', 'otp', 'mfa'], auth_time: clock.now() })
})

test('what would not do is asked for again: it costs no code and no try', async t => {
  const { challenge, exchange, ask, app, codes, aliceId, ...server } = await startWithFactors(t)
  const { auth_session } = await ask()
  const owed = { error: 'insufficient_authorization', factors: ['otp', 'recovery_code'] }
  for (let i = 0; i < 6; i++)
    for (const params of [{}, { password }, { passkey: '{}' }] satisfies Params[])
      t.like(await challenge({ auth_session, ...params }), { status: 403, body: owed })
  await addPasskey(server, aliceId)
  const phr = await ask({ acr_values: 'phr' })
  for (const proof of [{ otp: app.code() }, { recovery_code: codes[0]! }] satisfies Params[]) {
    const { status, body } = await challenge({ auth_session: phr.auth_session, ...proof })
    t.deepEqual([status, body.factors], [403, ['passkey']])
  }
  const again = await ask()
  const { body } = await challenge({ auth_session: again.auth_session, otp: app.code() })
  t.is((await exchange(body.authorization_code)).status, 200)
})

test('a code counts once, also for the sign-ins of two devices at the same moment (RFC 6238 §5.2)', async t => {
  const { challenge, ask, app, tablet, refresh } = await startWithFactors(t)
  const asked = [await ask(), (await refresh(tablet.refresh_token, { acr_values: twoFactors })).body]
  const otp = app.code()
  const answers = await Promise.all(asked.map(({ auth_session }) => challenge({ auth_session, otp })))
  t.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 400])
  t.is(answers.find(({ status }) => status === 400)!.body.error, 'invalid_grant')
})

test('five wrong codes end the auth_session, and neither the session nor the sign-in with the right one', async t => {
  const { challenge, ask, app, refresh, phone, exchange } = await startWithFactors(t)
  const { auth_session } = await ask()
  for (let i = 0; i < 5; i++)
    t.is((await challenge({ auth_session, otp: notThis(app.code()) })).body.error, 'invalid_grant')
  t.deepEqual(refusal(await challenge({ auth_session, otp: app.code() })), refused(400, 'invalid_session'))
  t.is((await refresh(phone.refresh_token)).status, 200)
  const next = (await refresh(phone.refresh_token, { acr_values: twoFactors })).body
  const { body } = await challenge({ auth_session: next.auth_session, otp: app.code() })
  t.is((await exchange(body.authorization_code)).status, 200)
})

test('an auth_session that is used, too old, of another client or of a session that has ended is invalid_session, and uses up no code', async t => {
  const server = await startWithFactors(t)
  const { challenge, ask, app, refresh, clock, deps, phone, tablet } = server
  await server.addClient({ id: 'other' })
  const over = async (auth_session: string, params: Params = {}) =>
    t.deepEqual(refusal(await challenge({ auth_session, otp: app.code(), ...params })), refused(400, 'invalid_session'))
  const old = await ask()
  clock.advance(300)
  await over(old.auth_session)
  const { auth_session } = await ask()
  await over(auth_session, { client_id: 'other' })
  const ended = (await refresh(tablet.refresh_token, { acr_values: twoFactors })).body
  const id = claimsOf(tablet).sid as string
  await deps.storage.revokeSessions({ id }, 'logout', auditEvent('session.revoked', clock.now(), {}))
  await over(ended.auth_session)
  t.is((await challenge({ auth_session, otp: app.code() })).status, 200)
  clock.advance(30)
  await over(auth_session)
  t.is((await refresh(phone.refresh_token)).status, 200)
})

test('a change of the password or of the factors makes it invalid_session', async t => {
  const { challenge, ask, app, aliceId, ...server } = await startWithFactors(t)
  const before = await ask()
  await addTotp(server, aliceId)
  const { body } = await challenge({ auth_session: before.auth_session, otp: app.code() })
  t.is(body.error, 'invalid_session')
  const { auth_session } = await ask()
  t.is((await challenge({ auth_session, otp: app.code() })).status, 200)
})

test('the code of a step-up counts once, needs its verifier, and a second use ends nothing: the app may have lost the answer', async t => {
  const { challenge, exchange, ask, app, refresh, phone, clock, sessions } = await startWithFactors(t)
  const { auth_session } = await ask()
  const { body } = await challenge({ auth_session, otp: app.code() })
  const code = body.authorization_code
  t.is((await exchange(code, { code_verifier: 'x'.repeat(43) })).body.error, 'invalid_grant')
  t.is((await exchange(code)).status, 200)
  t.deepEqual(refusal(await exchange(code)), refused(400, 'invalid_grant'))
  t.is((await sessions()).length, 2)
  t.is((await refresh(phone.refresh_token, { acr_values: twoFactors })).status, 200)

  clock.advance(30)
  const next = await refresh(phone.refresh_token, { max_age: '0' })
  const late = (await challenge({ auth_session: next.body.auth_session, otp: app.code() })).body.authorization_code
  clock.advance(60)
  t.is((await exchange(late)).body.error, 'invalid_grant', 'a minute later')
})

test('the tokens are for what the refresh asked for, as far as the client may have it, and a code of a session that has ended is for nothing', async t => {
  const { challenge, exchange, ask, app, deps, clock, ...server } = await startWithFactors(t)
  const { auth_session } = await ask({ acr_values: twoFactors, scope: 'read' })
  const { body } = await challenge({ auth_session, otp: app.code() })
  const tokens = (await exchange(body.authorization_code)).body
  t.is(tokens.scope, 'read')
  t.is((await server.refresh(tokens.refresh_token)).body.scope, 'read write', 'the session keeps its own')

  clock.advance(30)
  const next = (await server.refresh(tokens.refresh_token, { max_age: '0' })).body
  const code = (await challenge({ auth_session: next.auth_session, otp: app.code() })).body.authorization_code
  const event = auditEvent('session.revoked', clock.now(), {})
  await deps.storage.revokeSessions({ id: claimsOf(tokens).sid as string }, 'logout', event)
  t.deepEqual(refusal(await exchange(code)), refused(400, 'invalid_grant'))
})

test('a step-up that names somebody, or brings two proofs, is invalid_request', async t => {
  const { challenge, ask, app } = await startWithFactors(t)
  const { auth_session } = await ask()
  for (const params of [
    { username: 'alice', password },
    { password, otp: app.code() },
  ] satisfies Params[])
    t.deepEqual(refusal(await challenge({ auth_session, ...params })), refused(400, 'invalid_request'))
  t.is((await challenge({ auth_session, otp: app.code() })).status, 200)
})

test('a client that is not first-party is told what would do, and has to sign in anew (draft-04 §5)', async t => {
  const server = await startServerWithAlice(t)
  await server.addClient({ id: 'partner', firstParty: false })
  const { refresh_token } = await server.signIn({ client_id: 'partner' })
  await addTotp(server, server.aliceId)
  const { status, body } = await server.refresh(refresh_token, { client_id: 'partner', acr_values: twoFactors })
  t.is(status, 403)
  t.deepEqual(Object.keys(body), ['error', 'error_description', 'factors'])
})
