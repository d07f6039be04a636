/** `POST /authorize-challenge`: draft-ietf-oauth-first-party-apps-04 §4.1 and §5. */
import test, { type ExecutionContext } from 'ava'
import { decodeJwt } from 'jose'
import { auditEvent } from '../../src/audit/audit.ts'
import { passwordUpdate } from '../../src/sessions/user_change.ts'
import { addPasskey, addRecoveryCodes, addTotp } from '../_factors.ts'
import { password, refusal, refused, type ServerOptions, startServerWithAlice } from '../_server.ts'
import { byPassword, createApp, pkce, verifier } from './_challenge.ts'

async function start(t: ExecutionContext, options?: ServerOptions) {
  const server = await startServerWithAlice(t, options)
  return { ...server, ...createApp(server) }
}

/** Alice has an app for codes, and has given the right password. */
async function startHalfSignedIn(t: ExecutionContext, params: Record<string, string> = {}) {
  const server = await start(t)
  const phone = await addTotp(server, server.aliceId)
  const { codes } = await addRecoveryCodes(server, server.aliceId)
  const { status, body } = await server.challenge({ ...byPassword, ...params })
  t.is(status, 403)
  return { ...server, phone, codes, authSession: body.auth_session as string }
}

const notThis = (code: string) => (code === '000000' ? '000001' : '000000')
const asked = (members = '') => ({
  ...refused(403, 'insufficient_authorization'),
  members: `error,error_description,auth_session,auth_session_expires_in,factors${members}`,
})

test('the password of a user without a second factor is a code at once, which nothing may keep (§5.2.1)', async t => {
  const { challenge, exchange } = await start(t)
  const { status, headers, body } = await challenge(byPassword)
  t.is(status, 200)
  t.deepEqual(Object.keys(body), ['authorization_code'])
  t.is(headers.get('cache-control'), 'no-store')
  const tokens = await exchange(body.authorization_code)
  t.like(tokens, { status: 200, body: { token_type: 'Bearer', scope: 'read write' } })
  t.deepEqual(decodeJwt(tokens.body.access_token).amr, ['pwd'])
})

test('password, then code, then tokens: the second request need not say again what the first one did, nor who asks (§5.1)', async t => {
  const { post, exchange, refresh, phone, authSession } = await startHalfSignedIn(t, { scope: 'read', device: 'Phone' })
  const { status, body } = await post('/authorize-challenge', {
    response_type: 'code',
    auth_session: authSession,
    otp: phone.code(),
  })
  t.is(status, 200)
  const tokens = await exchange(body.authorization_code)
  t.like(tokens.body, { scope: 'read' })
  t.deepEqual(decodeJwt(tokens.body.access_token).amr, ['pwd', 'otp', 'mfa'])
  t.is((await refresh(tokens.body.refresh_token)).status, 200)
})

test('a 403 of the password grant goes on here', async t => {
  const { token, exchange, challenge, codes } = await startHalfSignedIn(t)
  const { body } = await token({ grant_type: 'password', client_id: 'app', ...byPassword, scope: 'write' })
  const next = await challenge({ auth_session: body.auth_session, recovery_code: codes[0]! })
  const tokens = await exchange(next.body.authorization_code)
  t.like(tokens, { status: 200, body: { scope: 'write' } })
  t.deepEqual(decodeJwt(tokens.body.access_token).amr, ['pwd', 'mfa'])
})

test('a code may come along with the password here too', async t => {
  const { challenge, exchange, phone } = await startHalfSignedIn(t)
  const wrong = await challenge({ ...byPassword, otp: notThis(phone.code()) })
  t.like(wrong, { status: 400, body: { error: 'invalid_grant', factors: ['otp', 'recovery_code'] } })
  const { body } = await challenge({ ...byPassword, otp: phone.code() })
  t.is((await exchange(body.authorization_code)).status, 200)
})

test('a wrong proof is invalid_grant and the auth_session goes on; the fifth one ends it', async t => {
  const { challenge, phone, codes, authSession } = await startHalfSignedIn(t)
  for (let i = 0; i < 5; i++)
    t.deepEqual(
      refusal(await challenge({ auth_session: authSession, otp: notThis(phone.code()) })),
      refused(400, 'invalid_grant'),
    )
  for (const proof of [{ otp: phone.code() }, { recovery_code: codes[0]! }])
    t.deepEqual(refusal(await challenge({ auth_session: authSession, ...proof })), refused(400, 'invalid_session'))
  const another = await challenge(byPassword)
  t.is((await challenge({ auth_session: another.body.auth_session, otp: phone.code() })).status, 200)
})

test('a wrong code, and then the right one', async t => {
  const { challenge, phone, authSession } = await startHalfSignedIn(t)
  t.is((await challenge({ auth_session: authSession, otp: notThis(phone.code()) })).status, 400)
  t.is((await challenge({ auth_session: authSession, otp: phone.code() })).status, 200)
})

test('an auth_session counts once: also of two right proofs at the same moment one gets a code', async t => {
  const { challenge, phone, codes, authSession } = await startHalfSignedIn(t)
  const answers = await Promise.all([
    challenge({ auth_session: authSession, otp: phone.code() }),
    challenge({ auth_session: authSession, recovery_code: codes[0]! }),
  ])
  t.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 400])
  t.deepEqual(
    refusal(await challenge({ auth_session: authSession, recovery_code: codes[1]! })),
    refused(400, 'invalid_session'),
  )
})

test('an auth_session of another client, one that is expired, and one of before the password changed are invalid_session', async t => {
  const { challenge, addClient, clock, deps, aliceId, phone, authSession } = await startHalfSignedIn(t)
  await addClient({ id: 'other' })
  const invalid = refused(400, 'invalid_session')
  const proof = { auth_session: authSession, otp: phone.code() }
  t.deepEqual(refusal(await challenge({ ...proof, client_id: 'other' })), invalid)
  t.deepEqual(refusal(await challenge({ ...proof, auth_session: 'lka_x' })), invalid)
  clock.advance(300)
  t.deepEqual(refusal(await challenge({ auth_session: authSession, otp: phone.code() })), invalid)

  const { body } = await challenge(byPassword)
  const hash = await deps.passwords.hash('another password')
  await deps.storage.changeUser(aliceId, passwordUpdate(hash, auditEvent('user.password_changed', clock.now(), {})))
  t.deepEqual(refusal(await challenge({ auth_session: body.auth_session, otp: phone.code() })), invalid)
})

test('an auth_session without a proof is asked again, for the same time that is left', async t => {
  const { challenge, clock, phone, authSession } = await startHalfSignedIn(t)
  clock.advance(100)
  const again = await challenge({ auth_session: authSession, nonce: 'n' })
  t.deepEqual(refusal(again), asked())
  t.like(again.body, { factors: ['otp', 'recovery_code'], auth_session_expires_in: 200 })
  t.is((await challenge({ auth_session: again.body.auth_session, otp: phone.code() })).status, 200)
  t.is((await challenge({ auth_session: authSession, otp: phone.code(1) })).status, 400, 'they are one and the same')
})

test('with nothing but the client a passkey is asked for, which says by itself whose it is', async t => {
  const server = await start(t)
  const { challenge, exchange, clock, aliceId } = server
  const { authenticator } = await addPasskey(server, aliceId)
  const { status, body } = await challenge({ scope: 'read' })
  t.is(status, 403)
  t.deepEqual(body.factors, ['passkey'])
  t.deepEqual(body.passkey_options.allowCredentials, [])
  const passkey = authenticator.get(body.passkey_options)
  const answer = await challenge({ auth_session: body.auth_session, passkey })
  t.is(answer.status, 200)
  const tokens = await exchange(answer.body.authorization_code)
  t.is(tokens.body.scope, 'read')
  t.like(decodeJwt(tokens.body.access_token), {
    sub: aliceId,
    amr: ['hwk', 'user', 'mfa'],
    acr: 'phr',
    auth_time: clock.now(),
  })

  t.deepEqual(
    refusal(await challenge({ auth_session: body.auth_session, passkey })),
    refused(400, 'invalid_session'),
    'replayed',
  )
  const next = await challenge({})
  t.deepEqual(
    refusal(await challenge({ auth_session: next.body.auth_session, passkey })),
    refused(400, 'invalid_grant'),
    'an assertion for another challenge',
  )
})

test('after the password a passkey is one of the proofs', async t => {
  const server = await start(t)
  const { challenge, exchange, aliceId } = server
  const { authenticator } = await addPasskey(server, aliceId)
  const { body } = await challenge(byPassword)
  t.deepEqual(body.factors, ['passkey'])
  const passkey = authenticator.get(body.passkey_options)
  const answer = await challenge({ auth_session: body.auth_session, passkey })
  const tokens = await exchange(answer.body.authorization_code)
  t.deepEqual(decodeJwt(tokens.body.access_token).amr, ['pwd', 'hwk', 'user', 'mfa'])
})

test('a passkey is refused that is of another origin, without its user verified, or with a count that went back', async t => {
  const server = await start(t)
  const { challenge, aliceId } = server
  const { authenticator } = await addPasskey(server, aliceId)
  const forge = async (forged: Parameters<typeof authenticator.get>[1]) => {
    const { body } = await challenge({})
    const passkey = authenticator.get(body.passkey_options, forged)
    return refusal(await challenge({ auth_session: body.auth_session, passkey }))
  }
  for (const forged of [{ origin: 'https://evil.example' }, { userVerified: false }, { signCount: 0 }])
    t.deepEqual(await forge(forged), refused(400, 'invalid_grant'), JSON.stringify(forged))
})

test('an auth_session of nobody takes no code, and a password with it begins anew', async t => {
  const { challenge, exchange, phone } = await startHalfSignedIn(t)
  const { body } = await challenge({ scope: 'read' })
  for (const proof of [{ otp: phone.code() }, { recovery_code: 'x' }])
    t.deepEqual(
      refusal(await challenge({ auth_session: body.auth_session, ...proof })),
      refused(400, 'invalid_request'),
    )
  const next = await challenge({ auth_session: body.auth_session, ...byPassword })
  t.is(next.status, 403)
  const { status, body: code } = await challenge({ auth_session: next.body.auth_session, otp: phone.code() })
  t.is(status, 200)
  t.is((await exchange(code.authorization_code)).body.scope, 'read')
})

test('the response_type is code (§5.1)', async t => {
  const { challenge } = await start(t)
  t.deepEqual(refusal(await challenge({ ...byPassword, response_type: '' })), refused(400, 'invalid_request'))
  for (const type of ['token', 'code id_token', 'CODE'])
    t.deepEqual(
      refusal(await challenge({ ...byPassword, response_type: type })),
      refused(400, 'unsupported_response_type'),
    )
  t.is((await challenge(byPassword)).status, 200)
})

test('only an app of who runs the server asks here: one with the password grant, unless it is said otherwise (§5)', async t => {
  const { challenge, exchange, addClient } = await start(t)
  await addClient({ id: 'partner', firstParty: false })
  await addClient({ id: 'service', grantTypes: ['refresh_token'] })
  await addClient({ id: 'passkeys', grantTypes: ['refresh_token'], firstParty: true })
  const denied = refused(400, 'unauthorized_client')
  for (const client_id of ['partner', 'service']) {
    t.deepEqual(refusal(await challenge({ ...byPassword, client_id })), denied)
    t.deepEqual(refusal(await exchange('lkg_x', { client_id })), denied)
  }
  const { status, body } = await challenge({ ...byPassword, client_id: 'passkeys' })
  t.is(status, 200)
  t.is((await exchange(body.authorization_code, { client_id: 'passkeys' })).status, 200)
})

test('a client that authenticates at the token endpoint does so here (§4.1)', async t => {
  const { challenge, addClient } = await start(t)
  const secret = await addClient({ id: 'web', isPublic: false })
  const params = { ...byPassword, client_id: 'web' }
  t.like(await challenge(params), { status: 400, body: { error: 'invalid_client' } })
  t.like(await challenge({ ...params, client_secret: 'wrong' }), { status: 400, body: { error: 'invalid_client' } })
  t.is((await challenge({ ...params, client_secret: secret })).status, 200)
  const basic = { authorization: `Basic ${Buffer.from(`web:${secret}`).toString('base64')}` }
  t.is((await challenge(params, basic)).status, 200)
  t.like(await challenge({ ...params, client_id: 'app' }, basic), { status: 400, body: { error: 'invalid_request' } })
})

test('an auth_session does not authenticate a client that has a secret', async t => {
  const server = await start(t)
  const { challenge, post, addClient, aliceId } = server
  const secret = await addClient({ id: 'web', isPublic: false })
  const phone = await addTotp(server, aliceId)
  const { body } = await challenge({ ...byPassword, client_id: 'web', client_secret: secret })
  const next = { response_type: 'code', auth_session: body.auth_session, otp: phone.code() }
  t.like(await post('/authorize-challenge', next), { status: 400, body: { error: 'invalid_client' } })
  t.is((await post('/authorize-challenge', { ...next, client_id: 'web', client_secret: secret })).status, 200)
})

for (const [what, params] of [
  ['a username without a password', { username: 'alice' }],
  ['a password without a username', { password }],
  ['a code without a password or an auth_session', { otp: '123456' }],
  ['two proofs', { ...byPassword, otp: '123456', recovery_code: 'x' }],
  ['a passkey along with a password', { ...byPassword, passkey: '{}' }],
  ['a nonce of 129 characters', { ...byPassword, nonce: 'n'.repeat(129) }],
  ['no code_challenge from a public client', { ...byPassword, code_challenge: '', code_challenge_method: '' }],
  ['the method plain', { ...byPassword, code_challenge_method: 'plain' }],
  ['a code_challenge without a method, which means plain', { ...byPassword, code_challenge_method: '' }],
  ['a method without a code_challenge', { ...byPassword, code_challenge: '' }],
  ['a code_challenge that is no SHA-256', { ...byPassword, code_challenge: verifier.slice(1) }],
] as const)
  test(`${what} is invalid_request, and the password is not looked at`, async t => {
    const { challenge, deps } = await start(t)
    t.deepEqual(refusal(await challenge(params)), refused(400, 'invalid_request'))
    await deps.refusals.flush(true)
    t.deepEqual(await deps.storage.listAuditEvents(10, { type: 'sign_in' }), [])
  })

test('a scope or resource that cannot be granted is refused before the password is looked at', async t => {
  const { challenge } = await start(t)
  const wrong = { ...byPassword, password: 'wrong' }
  t.deepEqual(refusal(await challenge({ ...wrong, scope: 'admin' })), refused(400, 'invalid_scope'))
  t.deepEqual(refusal(await challenge({ ...wrong, resource: 'https://x.example' })), refused(400, 'invalid_target'))
})

test('proofs belong in the body', async t => {
  const { post } = await start(t)
  for (const name of ['otp', 'recovery_code', 'passkey', 'auth_session'])
    t.like(await post(`/authorize-challenge?${name}=x`, { client_id: 'app', response_type: 'code', ...pkce }), {
      status: 400,
      body: { error: 'invalid_request' },
    })
})

test('an app of another origin that is allowed may ask (fetch standard)', async t => {
  const { challenge } = await start(t, { http: { corsOrigins: ['https://app.example'] } })
  const answer = await challenge({}, { origin: 'https://app.example' })
  t.is(answer.headers.get('access-control-allow-origin'), 'https://app.example')
})
