/** One more proof of who somebody is, with what the user's factors are in the database. */
import test from 'ava'
import { createChallenge, requestOptions } from '../../../src/users/factors/passkey.ts'
import { givenProof, proveFactor } from '../../../src/users/factors/prove.ts'
import { addPasskey, addRecoveryCodes, addTotp } from '../../_factors.ts'
import { startServerWithAlice, type TestContext } from '../../_server.ts'

const caller = { ip: '192.0.2.1', requestId: 'request' }

async function startWithFactors(t: TestContext) {
  const server = await startServerWithAlice(t)
  const phone = await addTotp(server, server.aliceId)
  const { codes } = await addRecoveryCodes(server, server.aliceId)
  const prove = async (given: Parameters<typeof proveFactor>[2]) => {
    const factors = await server.deps.storage.listFactors(server.aliceId)
    return proveFactor(server.deps, { userId: server.aliceId, factors, clientId: 'app' }, given, caller)
  }
  return { ...server, phone, codes, prove }
}

test('a code of the app and a recovery code prove a second factor, each with what RFC 8176 calls it', async t => {
  const { prove, phone, codes, clock } = await startWithFactors(t)
  const byApp = await prove({ param: 'otp', value: phone.code() })
  t.deepEqual(byApp.amr, ['otp', 'mfa'])
  t.like(byApp.use, { kind: 'totp', factorId: phone.factor.id, at: clock.now() })
  const byCode = await prove({ param: 'recovery_code', value: codes[3]!.toUpperCase() })
  t.deepEqual(byCode.amr, ['mfa'])
  t.is(byCode.use.kind, 'recovery_codes')
})

test('of several apps each proves it', async t => {
  const { prove, phone, aliceId, ...server } = await startWithFactors(t)
  const tablet = await addTotp(server, aliceId)
  t.is((await prove({ param: 'otp', value: tablet.code() })).use.factorId, tablet.factor.id)
  t.is((await prove({ param: 'otp', value: phone.code() })).use.factorId, phone.factor.id)
})

test('all that is wrong is refused in the same words, and the trail says whose it was and nothing of what was typed', async t => {
  const { prove, phone, codes, deps, aliceId } = await startWithFactors(t)
  const wrong = phone.code() === '000000' ? '000001' : '000000'
  const texts = new Set<string | undefined>()
  for (const given of [
    { param: 'otp', value: wrong },
    { param: 'otp', value: phone.code(3) },
    { param: 'otp', value: `${phone.code()}0` },
    { param: 'otp', value: '٠٠٠٠٠٠' },
    { param: 'otp', value: codes[0]! },
    { param: 'recovery_code', value: phone.code() },
    { param: 'recovery_code', value: 'x'.repeat(10_000) },
    { param: 'passkey', value: '{}' },
  ] as const) {
    const error = await t.throwsAsync(prove(given), { code: 'invalid_grant' })
    texts.add(error?.message)
  }
  t.is(texts.size, 1)
  await deps.refusals.flush(true)
  const events = await deps.storage.listAuditEvents(100, { type: 'factor.refused' })
  t.is(
    events.reduce((sum, { count = 1 }) => sum + count, 0),
    8,
  )
  for (const event of events) t.like(event, { userId: aliceId, clientId: 'app', ip: caller.ip })
  t.deepEqual(events.map(({ detail }) => detail).toSorted(), [
    'no factor that takes passkey',
    'wrong or used otp',
    'wrong or used recovery_code',
  ])
})

test('the eleventh wrong code makes its kind wait and no other; a passkey, which nobody can guess, never waits', async t => {
  const { prove, phone, codes, clock } = await startWithFactors(t)
  for (let i = 0; i < 10; i++) await t.throwsAsync(prove({ param: 'otp', value: 'wrong' }), { code: 'invalid_grant' })
  await t.throwsAsync(prove({ param: 'otp', value: phone.code() }), { code: 'too_many_attempts' })
  t.is((await prove({ param: 'recovery_code', value: codes[0]! })).use.kind, 'recovery_codes')
  for (let i = 0; i < 11; i++) await t.throwsAsync(prove({ param: 'passkey', value: '{}' }), { code: 'invalid_grant' })
  clock.advance(360)
  t.deepEqual((await prove({ param: 'otp', value: phone.code() })).amr, ['otp', 'mfa'])
})

test('a passkey of the user proves it, to what it was asked with, and one of somebody else does not', async t => {
  const { aliceId, ...server } = await startServerWithAlice(t)
  const { authenticator, factor } = await addPasskey(server, aliceId)
  const stranger = await addPasskey(server, await server.addUser({ username: 'bob' }))
  const { storage, config } = server.deps
  const factors = await storage.listFactors(aliceId)
  const asked = { relyingParty: config.relyingParty!, challenge: createChallenge(server.deps.randomBytes) }
  const prove = (value: string, question: typeof asked | undefined = asked) =>
    proveFactor(server.deps, { userId: aliceId, factors, asked: question }, { param: 'passkey', value }, caller)

  const answer = authenticator.get(requestOptions(asked, factors))
  const { use, amr } = await prove(answer)
  t.deepEqual(use, { factorId: factor.id, kind: 'passkey', at: server.clock.now(), signCount: 2 })
  t.deepEqual(amr, ['hwk', 'user', 'mfa'])
  const other = { ...asked, challenge: createChallenge(server.deps.randomBytes) }
  await t.throwsAsync(prove(answer, other), { code: 'invalid_grant' })
  await t.throwsAsync(prove(stranger.authenticator.get(requestOptions(asked, []))), { code: 'invalid_grant' })
  const unasked = proveFactor(server.deps, { userId: aliceId, factors }, { param: 'passkey', value: answer }, caller)
  await t.throwsAsync(unasked, { code: 'invalid_grant' })
})

test('a request brings one proof at most', t => {
  t.is(givenProof({}), undefined)
  t.deepEqual(givenProof({ recovery_code: 'x' }), { param: 'recovery_code', value: 'x' })
  t.throws(() => givenProof({ otp: '1', passkey: '{}' }), { code: 'invalid_request' })
})
