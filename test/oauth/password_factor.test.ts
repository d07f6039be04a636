/** The password grant of a user who has a second factor: draft-ietf-oauth-first-party-apps-04 §6.2. */
import test, { type ExecutionContext } from 'ava'
import { decodeJwt } from 'jose'
import { parseAuthSession } from '../../src/oauth/auth_session.ts'
import { addPasskey, addRecoveryCodes, addTotp } from '../_factors.ts'
import { type Answer, password, refusal, refused, type ServerOptions, startServerWithAlice } from '../_server.ts'

async function startWithFactors(t: ExecutionContext, options?: ServerOptions) {
  const server = await startServerWithAlice(t, options)
  const phone = await addTotp(server, server.aliceId)
  const { codes } = await addRecoveryCodes(server, server.aliceId)
  const signIn = (params: Record<string, string> = {}) =>
    server.token({ grant_type: 'password', client_id: 'app', username: 'alice', password, ...params })
  return { ...server, phone, codes, trySignIn: signIn }
}

const members = 'error,error_description,auth_session,auth_session_expires_in,factors'
const owed = { ...refused(403, 'insufficient_authorization'), members }
const wrongAlong = { ...refused(400, 'invalid_grant'), members }
const wrongPassword = refused(400, 'invalid_grant')
const notThis = (code: string) => (code === '000000' ? '000001' : '000000')
const amrOf = ({ body }: Answer) => decodeJwt(body.access_token).amr

test('the right password of a user with a factor is 403 with what is owed and an auth_session of 300 seconds, and no session begins', async t => {
  const { trySignIn, deps, clock, aliceId } = await startWithFactors(t)
  const answer = await trySignIn({ scope: 'read', device: 'Phone' })
  t.deepEqual(refusal(answer), owed)
  t.deepEqual(answer.body.factors, ['otp', 'recovery_code'])
  t.is(answer.body.auth_session_expires_in, 300)
  const { id: _, ...authSession } = parseAuthSession(answer.body.auth_session, deps.secrets)!
  t.deepEqual(authSession, {
    clientId: 'app',
    user: { id: aliceId, credentialVersion: 3 },
    amr: ['pwd'],
    request: { scope: 'read', resources: [], device: 'Phone' },
    expiresAt: clock.now() + 300,
  })
  t.deepEqual(await deps.storage.listLiveSessions({}, clock.now(), 10), [])
})

test('before the right password nothing is told: of factors, of codes, or that there are any', async t => {
  const { trySignIn, phone } = await startWithFactors(t)
  for (const params of [
    { password: 'wrong' },
    { password: 'wrong', otp: phone.code() },
    { username: 'nobody' },
    { username: 'nobody', otp: phone.code() },
  ]) {
    const answer = await trySignIn(params)
    t.deepEqual(refusal(answer), wrongPassword)
    t.is(answer.body.error_description, 'the username or password is wrong')
  }
  t.is((await trySignIn({ otp: phone.code() })).status, 200, 'none of them used the code up')
})

test('a code that comes along is one step, and says so in amr (RFC 8176)', async t => {
  const { trySignIn, phone, codes } = await startWithFactors(t)
  t.deepEqual(amrOf(await trySignIn({ otp: phone.code() })), ['pwd', 'otp', 'mfa'])
  t.deepEqual(amrOf(await trySignIn({ recovery_code: codes[0]! })), ['pwd', 'mfa'])
})

test('a code counts once, whether it was right for this request or for another', async t => {
  const { trySignIn, phone, codes } = await startWithFactors(t)
  for (const params of [{ otp: phone.code() }, { recovery_code: codes[0]! }]) {
    t.is((await trySignIn(params)).status, 200)
    t.deepEqual(refusal(await trySignIn(params)), wrongAlong)
  }
})

test('of many requests with one code at the same moment one is let in, and the others are refused as for a wrong code', async t => {
  const { trySignIn, phone, codes } = await startWithFactors(t)
  for (const params of [{ otp: phone.code() }, { recovery_code: codes[0]! }]) {
    const answers = await Promise.all(Array.from({ length: 6 }, () => trySignIn(params)))
    const lost = answers.filter(({ status }) => status !== 200)
    t.is(lost.length, 5)
    const wrong = await trySignIn({ otp: notThis(phone.code()) })
    for (const answer of lost) {
      t.deepEqual(refusal(answer), wrongAlong)
      t.is(answer.body.error_description, wrong.body.error_description)
    }
  }
})

for (const [what, params] of [
  ['a wrong code', (code: string) => ({ otp: notThis(code) })],
  ['a code of seven digits', (code: string) => ({ otp: `${code}0` })],
  ['digits of another script', (code: string) => ({ otp: code.replace(/\d/g, digit => '٠١٢٣٤٥٦٧٨٩'[Number(digit)]!) })],
  ['a code in the place of a recovery code', (code: string) => ({ recovery_code: code })],
] as const)
  test(`${what} along with the right password is invalid_grant, which says how to go on and no more than the 403 does`, async t => {
    const { trySignIn, phone, deps } = await startWithFactors(t)
    const answer = await trySignIn(params(phone.code()))
    t.deepEqual(refusal(answer), wrongAlong)
    t.deepEqual(answer.body.factors, ['otp', 'recovery_code'])
    t.truthy(parseAuthSession(answer.body.auth_session, deps.secrets))
    t.is((await trySignIn({ otp: phone.code() })).status, 200)
  })

test('a code of three steps ago, or of three ahead, is wrong', async t => {
  const { trySignIn, phone } = await startWithFactors(t)
  for (const steps of [-3, 3]) t.deepEqual(refusal(await trySignIn({ otp: phone.code(steps) })), wrongAlong)
})

test('two codes at once are invalid_request, whatever the password is', async t => {
  const { trySignIn, phone, codes } = await startWithFactors(t)
  for (const params of [{}, { password: 'wrong' }])
    t.deepEqual(
      refusal(await trySignIn({ otp: phone.code(), recovery_code: codes[0]!, ...params })),
      refused(400, 'invalid_request'),
    )
  t.is((await trySignIn({ otp: phone.code() })).status, 200)
})

test('who has no factor is signed in, and a code that comes along is ignored', async t => {
  const { token, addUser } = await startServerWithAlice(t)
  await addUser({ username: 'bob' })
  const answer = await token({ grant_type: 'password', client_id: 'app', username: 'bob', password, otp: '123456' })
  t.is(answer.status, 200)
  t.deepEqual(amrOf(answer), ['pwd'])
})

test('where no factor is asked for one that comes along is verified all the same', async t => {
  const { trySignIn, phone } = await startWithFactors(t, { oauth: { requireFactor: 'off' } })
  t.deepEqual(amrOf(await trySignIn()), ['pwd'])
  t.deepEqual(refusal(await trySignIn({ otp: notThis(phone.code()) })), wrongAlong)
  t.deepEqual(amrOf(await trySignIn({ otp: phone.code() })), ['pwd', 'otp', 'mfa'])
})

test('a client that is no app of who runs the server is told what is owed, and goes on by sending it along', async t => {
  const server = await startWithFactors(t)
  await server.addClient({ id: 'partner', firstParty: false })
  await addPasskey(server, server.aliceId)
  const answer = await server.trySignIn({ client_id: 'partner' })
  t.deepEqual(refusal(answer), {
    ...refused(403, 'insufficient_authorization'),
    members: 'error,error_description,factors',
  })
  t.deepEqual(answer.body.factors, ['otp', 'recovery_code'])
  t.is((await server.trySignIn({ client_id: 'partner', otp: server.phone.code() })).status, 200)
})

test('who has a passkey is given the options for it, with the passkeys that fit, and each auth_session a challenge of its own', async t => {
  const server = await startWithFactors(t)
  const { factor } = await addPasskey(server, server.aliceId)
  const { status, body } = await server.trySignIn()
  t.is(status, 403)
  t.deepEqual(body.factors, ['otp', 'recovery_code', 'passkey'])
  t.like(body.passkey_options, { rpId: 'auth.example.com', userVerification: 'required' })
  t.deepEqual(
    body.passkey_options.allowCredentials.map(({ id }: { id: string }) => id),
    [factor.handle],
  )
  t.not((await server.trySignIn()).body.passkey_options.challenge, body.passkey_options.challenge)
})

test('the eleventh wrong code has to wait, and a wrong password never comes so far', async t => {
  const { trySignIn, phone } = await startWithFactors(t)
  for (let i = 0; i < 10; i++) t.deepEqual(refusal(await trySignIn({ otp: notThis(phone.code()) })), wrongAlong)
  const answer = await trySignIn({ otp: phone.code() })
  t.deepEqual(refusal(answer), refused(429, 'temporarily_unavailable'))
  t.is(answer.headers.get('retry-after'), '360')
  t.is((await trySignIn()).status, 403, 'the password alone is not what waits')
})

test('a better hash of the password is stored although no session begins', async t => {
  const server = await startServerWithAlice(t)
  // The hash of `password` by bcrypt, as an import brings it.
  const bcrypt = await import('bcrypt')
  const userId = await server.addUser({ username: 'bob', passwordHash: await bcrypt.hash(password, 4) })
  await addTotp(server, userId)
  const before = (await server.deps.storage.findUser(userId))!
  t.is((await server.token({ grant_type: 'password', client_id: 'app', username: 'bob', password })).status, 403)
  const { passwordHash, ...rest } = (await server.deps.storage.findUser(userId))!
  t.regex(passwordHash!, /^\$argon2id/)
  t.deepEqual({ ...rest, passwordHash: before.passwordHash }, before)
})
