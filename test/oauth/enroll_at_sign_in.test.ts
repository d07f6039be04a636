/** Where a second factor is demanded of who has none, a sign-in sets one up: `enrollment_required`. */
import test, { type ExecutionContext } from 'ava'
import { decodeJwt } from 'jose'
import { stepAt, totpCode } from '../../src/users/factors/totp.ts'
import { createAuthenticator } from '../_authenticator.ts'
import { addTotp } from '../_factors.ts'
import { issuer, password, refusal, refused, type ServerOptions, startServerWithAlice } from '../_server.ts'
import { byPassword, createApp } from './_challenge.ts'

const members = 'error,error_description,auth_session,auth_session_expires_in,factors,enrollment_required'
const owed = { ...refused(403, 'insufficient_authorization'), members }

/** Alice has given the right password, and has no factor. */
async function start(t: ExecutionContext, options: ServerOptions = { oauth: { requireFactor: 'all' } }) {
  const server = await startServerWithAlice(t, options)
  const app = createApp(server)
  const answer = await app.challenge(byPassword)
  t.deepEqual(refusal(answer), owed)
  t.deepEqual(answer.body.factors, [])
  const authSession: string = answer.body.auth_session
  const enroll = (params: Record<string, string> = {}) =>
    app.challenge({ auth_session: authSession, enroll: 'otp', ...params })
  const factors = () => server.deps.storage.listFactors(server.aliceId)
  const codeOf = (secret: string, steps = 0) => totpCode(decodeBase32(secret), stepAt(server.clock.now()) + steps)
  return { ...server, ...app, authSession, enroll, factors, codeOf }
}

function decodeBase32(text: string): Buffer {
  const bits = [...text]
    .map(one => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(one).toString(2).padStart(5, '0'))
    .join('')
  return Buffer.from(bits.match(/.{8}/g)!.map(byte => Number.parseInt(byte, 2)))
}

test('the sign-in goes on with an app for codes that it sets up: code, tokens, and ten recovery codes this once', async t => {
  const { enroll, challenge, exchange, factors, codeOf, authSession, clock } = await start(t)
  const begun = await enroll()
  t.deepEqual(refusal(begun), { ...owed, members: `${members},enrollment,secret,otpauth_uri` })
  t.deepEqual(await factors(), [], 'nothing is stored before it was proved')

  const { enrollment, secret } = begun.body
  const { status, body } = await challenge({ auth_session: authSession, enrollment, otp: codeOf(secret) })
  t.is(status, 200)
  t.is(new Set(body.recovery_codes).size, 10)
  const tokens = await exchange(body.authorization_code)
  t.deepEqual(decodeJwt(tokens.body.access_token).amr, ['pwd', 'otp', 'mfa'])
  t.deepEqual((await factors()).map(({ kind }) => kind).toSorted(), ['recovery_codes', 'totp'])

  const next = await challenge(byPassword)
  t.deepEqual(next.body.factors, ['otp', 'recovery_code'])
  const again = { auth_session: next.body.auth_session, otp: codeOf(secret) }
  t.deepEqual(refusal(await challenge(again)), refused(400, 'invalid_grant'), 'the code that enrolled is used up')
  clock.advance(30)
  t.is((await challenge({ ...again, otp: codeOf(secret) })).status, 200)
})

test('a passkey is set up in the same way', async t => {
  const { enroll, challenge, exchange, authSession } = await start(t)
  const { body } = await enroll({ enroll: 'passkey' })
  const authenticator = createAuthenticator(issuer)
  const passkey = authenticator.create(body.options)
  const answer = await challenge({ auth_session: authSession, enrollment: body.enrollment, passkey })
  t.is(answer.status, 200)
  const tokens = await exchange(answer.body.authorization_code)
  t.deepEqual(decodeJwt(tokens.body.access_token).amr, ['pwd', 'hwk', 'user', 'mfa'])
  const next = await challenge({})
  const alone = authenticator.get(next.body.passkey_options)
  t.is((await challenge({ auth_session: next.body.auth_session, passkey: alone })).status, 200)
})

test('a client that demands a factor has its users set one up; the password grant says so too', async t => {
  const server = await startServerWithAlice(t)
  const { challenge } = createApp(server)
  await server.addClient({ id: 'bank', requireFactor: true })
  t.is((await server.token({ grant_type: 'password', client_id: 'app', username: 'alice', password })).status, 200)
  const params = { grant_type: 'password', client_id: 'bank', username: 'alice', password }
  const answer = await server.token({ ...params, otp: '123456' })
  t.deepEqual(refusal(answer), owed)
  const begun = await challenge({ client_id: 'bank', auth_session: answer.body.auth_session, enroll: 'otp' })
  t.is(begun.body.enrollment_required, true)
})

test('a wrong code sets nothing up, and says how far the clock of a phone is off', async t => {
  const { enroll, challenge, factors, codeOf, authSession } = await start(t)
  const { enrollment, secret } = (await enroll()).body
  const confirm = (otp: string) => challenge({ auth_session: authSession, enrollment, otp })
  for (const otp of [codeOf(secret) === '000000' ? '000001' : '000000', '1234567', '٠٠٠٠٠٠'])
    t.deepEqual(refusal(await confirm(otp)), refused(400, 'invalid_grant'), otp)
  const late = await confirm(codeOf(secret, -8))
  t.regex(late.body.error_description, /clock .* about 4 minutes slow/)
  t.deepEqual(await factors(), [])
  t.is((await confirm(codeOf(secret))).status, 200)
})

test('an enrolment is for its own sign-in: not for another one, nor for another user', async t => {
  const { enroll, challenge, addUser, codeOf } = await start(t)
  const { enrollment, secret } = (await enroll()).body
  await addUser({ username: 'bob' })
  for (const username of ['alice', 'bob']) {
    const { body } = await challenge({ username, password })
    const stolen = { auth_session: body.auth_session, enrollment, otp: codeOf(secret) }
    t.deepEqual(refusal(await challenge(stolen)), refused(400, 'invalid_session'), username)
  }
})

test('of two sign-ins that set one up at the same moment one does, and the other starts over', async t => {
  const { enroll, challenge, factors, codeOf, authSession } = await start(t)
  const other = (await challenge(byPassword)).body.auth_session
  const [a, b] = [(await enroll()).body, (await enroll({ auth_session: other })).body]
  const answers = await Promise.all([
    challenge({ auth_session: authSession, enrollment: a.enrollment, otp: codeOf(a.secret) }),
    challenge({ auth_session: other, enrollment: b.enrollment, otp: codeOf(b.secret) }),
  ])
  t.deepEqual(answers.map(({ status, body }) => body.error ?? status).toSorted(), [200, 'invalid_session'])
  t.is((await factors()).length, 2)
})

test('who has a factor sets up none in a sign-in: whoever knows the password could', async t => {
  const server = await start(t)
  const { challenge, aliceId, enroll } = server
  await addTotp(server, aliceId)
  t.deepEqual(refusal(await enroll()), refused(400, 'invalid_session'), 'it began without one')
  const { body } = await challenge(byPassword)
  t.deepEqual(
    refusal(await challenge({ auth_session: body.auth_session, enroll: 'otp' })),
    refused(400, 'invalid_session'),
  )
})

for (const [what, params] of [
  ['something else than otp and passkey', { enroll: 'recovery_code' }],
  ['no auth_session', { auth_session: '' }],
  ['an enrolment without a proof', { enroll: '', enrollment: 'lke_x' }],
] as const)
  test(`${what} is invalid_request`, async t => {
    const { enroll } = await start(t)
    t.deepEqual(refusal(await enroll(params)), refused(400, 'invalid_request'))
  })

test('nothing is set up before the password', async t => {
  const { challenge } = await start(t)
  const { body } = await challenge({})
  t.deepEqual(
    refusal(await challenge({ auth_session: body.auth_session, enroll: 'otp' })),
    refused(400, 'invalid_request'),
  )
})
