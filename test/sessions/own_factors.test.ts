/** How the factors of a user come, change and go, on the database of the test. NIST SP 800-63B-4 §4.2; RFC 6238 §5.2. */
import test from 'ava'
import { decodeJwt } from 'jose'
import { auditEvent } from '../../src/audit/audit.ts'
import {
  beginPasskeyEnrollment,
  beginTotpEnrollment,
  type ConfirmedFactor,
  confirmEnrollment,
  type Enroller,
  type PasskeyEnrollment,
  type TotpEnrollment,
} from '../../src/sessions/enrollment.ts'
import { maxSignInAge } from '../../src/sessions/factor_change.ts'
import { factorError } from '../../src/sessions/factor_error.ts'
import { removeFactor, renameFactor, replaceRecoveryCodes, type SignedInUser } from '../../src/sessions/own_factors.ts'
import { disabledUpdate } from '../../src/sessions/user_change.ts'
import { enrollmentLifetime } from '../../src/users/factors/enrollment.ts'
import { maxFactors } from '../../src/users/factors/factor.ts'
import { countRecoveryCodes, verifyRecoveryCode } from '../../src/users/factors/recovery_codes.ts'
import { openTotpSecret, stepAt } from '../../src/users/factors/totp.ts'
import { createAuthenticator } from '../_authenticator.ts'
import { codeOf as codeOfSecret } from '../_factors.ts'
import { createTestSecrets, issuer, startServerWithAlice, type TestServer } from '../_server.ts'

const caller = { ip: '192.0.2.7', userAgent: 'test', requestId: 'request-1' }

/** Signed in by password, as the session is now. */
async function signedIn({ signIn, deps, clock }: TestServer): Promise<SignedInUser> {
  const { sid } = decodeJwt((await signIn()).access_token)
  return (await deps.storage.findLiveSession(sid as string, clock.now()))!
}

const reread = async ({ deps, clock }: TestServer, { session }: SignedInUser) =>
  (await deps.storage.findLiveSession(session.id, clock.now()))!

async function begin({ deps }: TestServer, enroller: Enroller, name?: string): Promise<TotpEnrollment> {
  const begun = await beginTotpEnrollment(deps, enroller, name)
  if (begun.kind !== 'begun') throw new Error(begun.kind)
  return begun
}

const codeOf = ({ secret }: TotpEnrollment, at: number) => codeOfSecret(secret, at)

const confirm = (server: TestServer, enroller: Enroller, begun: TotpEnrollment, otp?: string) =>
  confirmEnrollment(
    server.deps,
    enroller,
    { enrollment: begun.enrollment, otp: otp ?? codeOf(begun, server.clock.now()) },
    caller,
  )

async function enroll(server: TestServer, enroller: Enroller, name?: string): Promise<ConfirmedFactor> {
  const confirmed = await confirm(server, enroller, await begin(server, enroller, name))
  if (confirmed.kind !== 'done') throw new Error(confirmed.kind)
  return confirmed
}

const events = async ({ deps }: TestServer) =>
  (await deps.storage.listAuditEvents(20)).filter(({ type }) => type.startsWith('factor.')).reverse()

test('the first factor is there from its first right code on, with ten recovery codes, and the session has proved it', async t => {
  const server = await startServerWithAlice(t)
  const alice = await signedIn(server)
  const begun = await begin(server, alice, '  My\nphone ')
  t.deepEqual(await server.deps.storage.listFactors(server.aliceId), [], 'nothing is stored before')
  t.regex(begun.otpauthUri, /^otpauth:\/\/totp\/auth\.example\.com:alice\?secret=[A-Z2-7]{32}&/)
  t.is(begun.expiresIn, 600)

  const confirmed = await confirm(server, alice, begun)
  if (confirmed.kind !== 'done') return t.fail(confirmed.kind)
  const [totp, codes, ...more] = (await server.deps.storage.listFactors(server.aliceId)).toSorted((a, b) =>
    b.kind.localeCompare(a.kind),
  )
  t.deepEqual(more, [])
  const step = stepAt(server.clock.now())
  t.like(totp, {
    id: confirmed.factor.id,
    kind: 'totp',
    name: 'My phone',
    counter: step,
    createdAt: server.clock.now(),
  })
  t.is(openTotpSecret(totp!, server.deps.secrets)?.length, 20)
  t.is(confirmed.recoveryCodes?.length, 10)
  for (const code of confirmed.recoveryCodes!) t.truthy(verifyRecoveryCode(codes!, code, server.deps.secrets, 1))
  const now = await reread(server, alice)
  t.deepEqual([now.session.amr, now.session.authTime], [['pwd', 'otp', 'mfa'], alice.session.authTime])
  t.deepEqual([now.user, now.session], [confirmed.user, confirmed.session])
  t.is(now.user.credentialVersion, alice.user.credentialVersion + 1)
  const [event, ...others] = await events(server)
  t.deepEqual(others, [])
  t.like(event, {
    type: 'factor.added',
    userId: server.aliceId,
    sessionId: alice.session.id,
    clientId: 'app',
    ip: caller.ip,
    detail: `totp ${totp!.id}, recovery_codes ${codes!.id}`,
  })
})

test('who asks again because the answer was lost gets it again, with the codes that are left, and no second factor', async t => {
  const server = await startServerWithAlice(t)
  const alice = await signedIn(server)
  const begun = await begin(server, alice)
  const otp = codeOf(begun, server.clock.now())
  const first = await confirm(server, alice, begun, otp)
  if (first.kind !== 'done') return t.fail(first.kind)
  const before = [await server.deps.storage.listFactors(server.aliceId), await events(server)]
  // As the code is by then, and the one that was sent before.
  server.clock.advance(400)
  for (const code of [otp, codeOf(begun, server.clock.now())]) {
    const again = await confirm(server, await reread(server, alice), begun, code)
    if (again.kind !== 'done') return t.fail(again.kind)
    t.deepEqual([again.factor.id, again.recoveryCodes], [first.factor.id, first.recoveryCodes])
  }
  t.is((await confirm(server, alice, begun, '000000')).kind, 'wrong_code')
  t.deepEqual([await server.deps.storage.listFactors(server.aliceId), await events(server)], before)

  // Codes that were replaced are never seen again.
  await replaceRecoveryCodes(server.deps, await reread(server, alice), caller)
  const later = await confirm(server, await reread(server, alice), begun, otp)
  t.like(later, { kind: 'done', recoveryCodes: undefined })
  // Nor is anything of an enrollment that is over.
  server.clock.advance(200)
  t.is((await confirm(server, alice, begun, otp)).kind, 'enrollment_over')
})

test('of two tabs that enroll at once one is too late: the set of factors is another by then', async t => {
  const server = await startServerWithAlice(t)
  const alice = await signedIn(server)
  const [one, other] = [await begin(server, alice), await begin(server, alice)]
  const outcomes = await Promise.all([confirm(server, alice, one), confirm(server, alice, other)])
  t.deepEqual(outcomes.map(({ kind }) => kind).toSorted(), ['done', 'overtaken'])
  t.is((await server.deps.storage.listFactors(server.aliceId)).length, 2)
  t.is((await events(server)).length, 1)
  // The twin: begun anew it goes through.
  t.is((await enroll(server, await reread(server, alice))).kind, 'done')
})

test('twenty confirmations of one enrollment at once make one factor', async t => {
  const server = await startServerWithAlice(t)
  const alice = await signedIn(server)
  const begun = await begin(server, alice)
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => confirm(server, alice, begun)))
  t.is(new Set(outcomes.map(one => (one.kind === 'done' ? one.factor.id : one.kind))).size, 1)
  t.is((await server.deps.storage.listFactors(server.aliceId)).length, 2)
  t.is((await events(server)).length, 1)
})

test('a code that is not of now is refused, and says what is wrong with the clock of the phone', async t => {
  const server = await startServerWithAlice(t)
  const alice = await signedIn(server)
  const begun = await begin(server, alice)
  const now = server.clock.now()
  const good = codeOf(begun, now)
  const arabic = [...good].map(digit => String.fromCodePoint(0x660 + Number(digit))).join('')
  for (const otp of [arabic, `${good}0`, good.slice(1), `0${good}`, '', 'x'.repeat(10_000), '1e5000'])
    t.deepEqual(await confirm(server, alice, begun, otp), { kind: 'wrong_code', ahead: undefined }, otp)
  for (const [ahead, text] of [
    [300, 'about 5 minutes fast'],
    [-600, 'about 10 minutes slow'],
    [60, 'about 1 minute fast'],
  ] as const) {
    const refused = await confirm(server, alice, begun, codeOf(begun, now + ahead))
    t.deepEqual(refused, { kind: 'wrong_code', ahead })
    if (refused.kind === 'wrong_code') t.true(factorError(refused).message.includes(text), factorError(refused).message)
  }
  t.like(await confirm(server, alice, begun, codeOf(begun, now + 1200)), { kind: 'wrong_code', ahead: undefined })
  t.deepEqual(await server.deps.storage.listFactors(server.aliceId), [])
  t.is((await confirm(server, alice, begun, ` ${good.slice(0, 3)} ${good.slice(3)}`)).kind, 'done')
})

test('an enrollment counts for its user, in its session, for ten minutes', async t => {
  const server = await startServerWithAlice(t)
  const [alice, elsewhere] = [await signedIn(server), await signedIn(server)]
  const bobId = await server.addUser({ username: 'bob' })
  const bob = { ...(await signedIn(server)), user: (await server.deps.storage.findUser(bobId))! }
  const begun = await begin(server, alice)
  for (const enroller of [elsewhere, bob, { user: alice.user, signInId: 'sign-in' }])
    t.is((await confirm(server, enroller, begun)).kind, 'enrollment_over')
  const forged = { ...begun, enrollment: `${begun.enrollment.slice(0, -2)}AA` }
  t.is((await confirm(server, alice, forged)).kind, 'enrollment_over')
  server.clock.advance(enrollmentLifetime)
  t.is((await confirm(server, alice, begun)).kind, 'enrollment_over')
  server.clock.advance(-1)
  t.is((await confirm(server, alice, begun)).kind, 'done')
})

test('an enrollment of another node, which has a newer master secret, is no wrong one: try again', async t => {
  const server = await startServerWithAlice(t)
  const alice = await signedIn(server)
  const newer = { ...server.deps, secrets: createTestSecrets('newer', 'secret') }
  const { secrets } = newer
  const at = server.clock.now()
  await server.deps.storage.noteMasterSecret(
    { name: secrets[0].name, usedSince: at, usedUntil: at + 3600 },
    auditEvent('secret.in_use', at, {}),
  )
  const begun = await begin({ ...server, deps: newer }, alice)
  await t.throwsAsync(confirm(server, alice, begun), { message: /does not have a master secret/ })
  t.is((await confirm({ ...server, deps: newer }, alice, begun)).kind, 'done')
})

test('factors change only in a sign-in of the last ten minutes, with the factor where there is one', async t => {
  const server = await startServerWithAlice(t)
  const { deps, clock } = server
  const [alice, other] = [await signedIn(server), await signedIn(server)]
  const { factor } = await enroll(server, alice)
  // A session of before the factor has not proved it.
  const needed = { kind: 'proof_needed', hasFactor: true }
  const attempts = async (signedIn: SignedInUser) => [
    await beginTotpEnrollment(deps, signedIn, 'x'),
    await renameFactor(deps, signedIn, { id: factor.id, name: 'x' }, caller),
    await replaceRecoveryCodes(deps, signedIn, caller),
    await removeFactor(deps, signedIn, factor.id, caller),
  ]
  const before = await deps.storage.listFactors(server.aliceId)
  t.deepEqual(await attempts(other), [needed, needed, needed, needed])
  clock.advance(maxSignInAge + 1)
  t.deepEqual(await attempts(await reread(server, alice)), [needed, needed, needed, needed])
  t.deepEqual(await deps.storage.listFactors(server.aliceId), before)
  const error = factorError({ kind: 'proof_needed', hasFactor: true })
  t.deepEqual(
    [error.code, error.stepUp],
    ['insufficient_user_authentication', { acrValues: ['urn:latchkey:2fa'], maxAge: 600 }],
  )
  clock.advance(-1)
  const kinds = (await attempts(await reread(server, alice))).map(({ kind }) => kind)
  t.deepEqual(kinds, ['begun', 'done', 'done', 'done'])
})

test('who has no factor needs a fresh sign-in alone', async t => {
  const server = await startServerWithAlice(t)
  const alice = await signedIn(server)
  server.clock.advance(maxSignInAge + 1)
  const refused = await beginTotpEnrollment(server.deps, alice, undefined)
  t.deepEqual(refused, { kind: 'proof_needed', hasFactor: false })
  t.deepEqual(factorError({ kind: 'proof_needed', hasFactor: false }).stepUp, { maxAge: 600 })
  server.clock.advance(-1)
  t.is((await beginTotpEnrollment(server.deps, alice, undefined)).kind, 'begun')
})

test('a session that ends, and a user who is disabled meanwhile, confirm nothing', async t => {
  const server = await startServerWithAlice(t)
  const { deps, clock, aliceId } = server
  const [alice, other] = [await signedIn(server), await signedIn(server)]
  const [begun, begunToo] = [await begin(server, alice), await begin(server, other)]
  await deps.storage.revokeSessions({ id: alice.session.id }, 'logout', auditEvent('session.revoked', clock.now(), {}))
  t.is((await confirm(server, alice, begun)).kind, 'session_over')
  await deps.storage.changeUser(aliceId, disabledUpdate(true, auditEvent('user.disabled', clock.now(), {})))
  t.is((await confirm(server, other, begunToo)).kind, 'session_over')
  t.deepEqual(await deps.storage.listFactors(aliceId), [])
})

test('a second factor brings no codes; removing the last one removes the codes, and each removal is told', async t => {
  const server = await startServerWithAlice(t)
  const { deps, aliceId } = server
  const alice = await signedIn(server)
  const phone = await enroll(server, alice, 'phone')
  const tablet = await enroll(server, await reread(server, alice), 'tablet')
  t.is(tablet.recoveryCodes, undefined)
  const kinds = async () => (await deps.storage.listFactors(aliceId)).map(({ kind }) => kind).toSorted()
  t.deepEqual(await kinds(), ['recovery_codes', 'totp', 'totp'])

  const now = await reread(server, alice)
  t.is((await removeFactor(deps, now, 'fac_none', caller)).kind, 'no_such_factor')
  t.is((await removeFactor(deps, now, phone.factor.id, caller)).kind, 'done')
  t.deepEqual(await kinds(), ['recovery_codes', 'totp'])
  t.is((await removeFactor(deps, now, phone.factor.id, caller)).kind, 'no_such_factor')
  t.is((await removeFactor(deps, now, tablet.factor.id, caller)).kind, 'done')
  t.deepEqual(await kinds(), [])
  t.is((await reread(server, alice)).user.credentialVersion, alice.user.credentialVersion + 4)
  const details = (await events(server)).map(({ type, detail }) => `${type} ${detail!.match(/\w+(?= fac_)/g)!.sort()}`)
  t.deepEqual(details, [
    'factor.added recovery_codes,totp',
    'factor.added totp',
    'factor.removed totp',
    'factor.removed recovery_codes,totp',
  ])
  t.is((await replaceRecoveryCodes(deps, now, caller)).kind, 'no_second_factor')
})

test('recovery codes are replaced as a whole; a user has one set of them', async t => {
  const server = await startServerWithAlice(t)
  const { deps, aliceId } = server
  const alice = await signedIn(server)
  const first = await enroll(server, alice)
  const replaced = await replaceRecoveryCodes(deps, await reread(server, alice), caller)
  if (replaced.kind !== 'done') return t.fail(replaced.kind)
  const rows = (await deps.storage.listFactors(aliceId)).filter(({ kind }) => kind === 'recovery_codes')
  t.is(rows.length, 1)
  t.is(countRecoveryCodes(rows[0]!), 10)
  const isGood = (code: string) => verifyRecoveryCode(rows[0]!, code, deps.secrets, 1) !== undefined
  t.true(replaced.recoveryCodes.every(isGood))
  t.false(first.recoveryCodes!.some(isGood))
  t.like((await events(server)).at(-1), { type: 'factor.updated', detail: `recovery_codes ${rows[0]!.id}` })
})

test('a factor is called what its user calls it, one line of 64 characters, and that lets nobody start over', async t => {
  const server = await startServerWithAlice(t)
  const alice = await signedIn(server)
  const { factor, user } = await enroll(server, alice)
  const now = await reread(server, alice)
  for (const [given, kept] of [
    ['  Alice’s\n phone\u202e ', 'Alice’s phone'],
    ['x'.repeat(1000), 'x'.repeat(64)],
    ['\u200b', undefined],
    [undefined, undefined],
  ] as const) {
    t.like(await renameFactor(server.deps, now, { id: factor.id, name: given }, caller), { kind: 'done' })
    const row = (await server.deps.storage.listFactors(server.aliceId)).find(({ id }) => id === factor.id)
    t.is(row?.name, kept)
  }
  t.is((await reread(server, alice)).user.credentialVersion, user.credentialVersion)
  t.is((await renameFactor(server.deps, now, { id: 'fac_x', name: 'x' }, caller)).kind, 'no_such_factor')
})

test(`a user has at most ${maxFactors} factors, and the recovery codes beside them`, async t => {
  const server = await startServerWithAlice(t)
  const alice = await signedIn(server)
  let last: ConfirmedFactor | undefined
  for (let count = 0; count < maxFactors - 1; count++) last = await enroll(server, await reread(server, alice))
  const now = await reread(server, alice)
  const spare = await begin(server, now)
  await enroll(server, now)
  t.is((await beginTotpEnrollment(server.deps, await reread(server, alice), undefined)).kind, 'too_many')
  t.is((await confirm(server, now, spare)).kind, 'overtaken')
  await removeFactor(server.deps, now, last!.factor.id, caller)
  t.is((await enroll(server, await reread(server, alice))).kind, 'done')
})

test('a sign-in that must have a factor sets one up before there is a session', async t => {
  const server = await startServerWithAlice(t)
  const user = (await server.deps.storage.findUser(server.aliceId))!
  const enroller = { user, signInId: 'sign-in' }
  const confirmed = await enroll(server, enroller)
  t.deepEqual([confirmed.amr, confirmed.session], [['otp', 'mfa'], undefined])
  t.is(confirmed.recoveryCodes?.length, 10)
  t.is(confirmed.user.credentialVersion, user.credentialVersion + 1)
  t.like((await events(server))[0], { type: 'factor.added', userId: user.id })
  // Who has one is asked for it, and adds none without.
  t.is((await beginTotpEnrollment(server.deps, { ...enroller, user: confirmed.user }, undefined)).kind, 'overtaken')
})

async function beginPasskey({ deps }: TestServer, enroller: Enroller): Promise<PasskeyEnrollment> {
  const begun = await beginPasskeyEnrollment(deps, enroller, 'Laptop')
  if (begun.kind !== 'begun') throw new Error(begun.kind)
  return begun
}

const confirmPasskey = (server: TestServer, enroller: Enroller, { enrollment }: PasskeyEnrollment, passkey?: string) =>
  confirmEnrollment(server.deps, enroller, { enrollment, passkey }, caller)

for (const [backupEligible, key] of [
  [false, 'hwk'],
  [true, 'swk'],
] as const)
  test(`a passkey is a factor like any other, and the session that set it up has proved it: ${key} (RFC 8176)`, async t => {
    const server = await startServerWithAlice(t)
    const alice = await signedIn(server)
    const authenticator = createAuthenticator(issuer, { backupEligible })
    const begun = await beginPasskey(server, alice)
    const answer = authenticator.create(begun.options)
    const confirmed = await confirmPasskey(server, alice, begun, answer)
    if (confirmed.kind !== 'done') return t.fail(confirmed.kind)
    t.is(confirmed.recoveryCodes?.length, 10)
    t.deepEqual((await reread(server, alice)).session.amr, ['pwd', key, 'user', 'mfa'])
    const [passkey] = (await server.deps.storage.listFactors(server.aliceId)).filter(({ kind }) => kind === 'passkey')
    t.like(passkey, { id: confirmed.factor.id, name: 'Laptop', handle: JSON.parse(answer).id })
    // The answer was lost, and is asked for again.
    const again = await confirmPasskey(server, await reread(server, alice), begun, answer)
    if (again.kind !== 'done') return t.fail(again.kind)
    t.deepEqual([again.factor.id, again.recoveryCodes], [confirmed.factor.id, confirmed.recoveryCodes])
    // One that is there is not made twice.
    const next = await beginPasskey(server, await reread(server, alice))
    t.deepEqual(
      next.options.excludeCredentials.map(({ id }) => id),
      [passkey!.handle],
    )
  })

test('a passkey that does not verify, and one that is known already, are refused, and nothing is there', async t => {
  const server = await startServerWithAlice(t)
  const alice = await signedIn(server)
  const authenticator = createAuthenticator(issuer)
  const begun = await beginPasskey(server, alice)
  const wrong = [
    authenticator.create((await beginPasskey(server, alice)).options),
    authenticator.create(begun.options, { origin: 'https://evil.example' }),
    authenticator.create(begun.options, { userVerified: false }),
    'x',
    '',
  ]
  for (const answer of wrong) t.is((await confirmPasskey(server, alice, begun, answer)).kind, 'wrong_passkey', answer)
  t.is((await confirmPasskey(server, alice, begun)).kind, 'wrong_passkey')
  t.is((await confirmEnrollment(server.deps, alice, { ...begun, otp: '123456' }, caller)).kind, 'wrong_passkey')
  t.deepEqual(await server.deps.storage.listFactors(server.aliceId), [])
  const answer = authenticator.create(begun.options)
  t.is((await confirmPasskey(server, alice, begun, answer)).kind, 'done')

  const bobId = await server.addUser({ username: 'bob' })
  const bob = { user: (await server.deps.storage.findUser(bobId))!, signInId: 'sign-in' }
  const bobs = await beginPasskey(server, bob)
  const credentialId = Buffer.from(JSON.parse(answer).id, 'base64url')
  const taken = createAuthenticator(issuer).create(bobs.options, { credentialId })
  t.is((await confirmPasskey(server, bob, bobs, taken)).kind, 'passkey_known')
  t.deepEqual(await server.deps.storage.listFactors(bobId), [])
})

test('a server that is called by an address has no passkeys', async t => {
  const server = await startServerWithAlice(t, { oauth: { issuer: 'http://127.0.0.1:3000' } })
  const alice = await signedIn(server)
  const refused = await beginPasskeyEnrollment(server.deps, alice, undefined)
  t.is(refused.kind, 'no_passkeys')
  t.is((await beginTotpEnrollment(server.deps, alice, undefined)).kind, 'begun')
})

test('in a sign-in an enrollment counts once, also of many at the same moment: the code that enrolled lets nobody in again (RFC 6238 §5.2)', async t => {
  const server = await startServerWithAlice(t)
  const enroller = { user: (await server.deps.storage.findUser(server.aliceId))!, signInId: 'sign-in' }
  const begun = await begin(server, enroller)
  const outcomes = await Promise.all(Array.from({ length: 8 }, () => confirm(server, enroller, begun)))
  t.deepEqual(outcomes.map(({ kind }) => kind).toSorted(), ['done', ...Array(7).fill('overtaken')])
  t.is((await confirm(server, enroller, begun)).kind, 'overtaken')
  t.is((await server.deps.storage.listFactors(server.aliceId)).length, 2)
})
