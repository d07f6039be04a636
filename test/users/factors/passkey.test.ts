import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { OAuthError } from '../../../src/error.ts'
import { type Factor, spend } from '../../../src/users/factors/factor.ts'
import {
  createChallenge,
  creationOptions,
  isUsablePasskey,
  requestOptions,
  verifyAssertion,
  verifyRegistration,
} from '../../../src/users/factors/passkey.ts'
import { maxPasskeyAnswer, readPasskeyAnswer } from '../../../src/users/factors/passkey_answer.ts'
import { formatPasskeyData, parsePasskeyData } from '../../../src/users/factors/passkey_data.ts'
import { relyingPartyOf } from '../../../src/users/factors/relying_party.ts'
import { type Authenticator, type Cbor, cbor, coseKey, createAuthenticator, type Forged } from '../../_authenticator.ts'
import { createTestRandom } from '../../_server.ts'

const origin = 'https://auth.example.com'
const rp = relyingPartyOf(origin)!
const random = createTestRandom()
const alice = { id: 'usr_aaaaaaaaaaaaaaaaaaaaaa', username: 'alice', fullName: 'Alice' }
const now = 1_800_000_000
const ask = () => ({ relyingParty: rp, challenge: createChallenge(random) })

/** A passkey of alice as the database keeps it, and the authenticator that has it. */
async function enrol(authenticator = createAuthenticator(origin), forged?: Forged): Promise<Factor> {
  const question = ask()
  const answer = authenticator.create(creationOptions(question, alice, []), forged)
  const made = await verifyRegistration(question, answer)
  return { id: 'fac_1', userId: alice.id, kind: 'passkey', createdAt: now, ...made }
}

/** Alice's name is known already, unless told otherwise. */
async function assertion(
  authenticator: Authenticator,
  factor: Factor | undefined,
  forged?: Forged,
  { userId }: { userId: string | undefined } = { userId: alice.id },
) {
  const question = ask()
  const answer = readPasskeyAnswer(authenticator.get(requestOptions(question, []), forged))
  return verifyAssertion(question, answer, { factor, userId, now })
}

/** The same words for whatever is wrong; the cause is for the log. */
async function isRefused(t: ExecutionContext, attempt: Promise<unknown>, cause: RegExp | string) {
  const error = await t.throwsAsync(attempt, { instanceOf: OAuthError })
  t.is(error?.code, 'invalid_grant')
  t.is(error?.message, 'the code or passkey is wrong, or has been used')
  if (typeof cause === 'string') t.is(error?.cause, cause)
  else t.regex(String(error?.cause), cause)
}

test('a registration asks for a discoverable key that verifies its user, and for no attestation (WebAuthn §5.4)', t => {
  t.deepEqual(creationOptions({ relyingParty: rp, challenge: 'c' }, alice, []), {
    rp: { id: 'auth.example.com', name: 'auth.example.com' },
    user: { id: Buffer.from(alice.id).toString('base64url'), name: 'alice', displayName: 'Alice' },
    challenge: 'c',
    pubKeyCredParams: [-7, -8, -257].map(alg => ({ type: 'public-key' as const, alg })),
    timeout: 300_000,
    excludeCredentials: [],
    authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
    attestation: 'none',
  })
  t.is(creationOptions(ask(), { id: alice.id, username: 'alice' }, []).user.displayName, 'alice')
  t.regex(createChallenge(random), /^[\w-]{43}$/)
})

test('what is stored of a passkey: its key, what it is, and for whom it signs (WebAuthn §4)', async t => {
  const factor = await enrol()
  t.regex(factor.handle!, /^[\w-]{27}$/)
  t.is(factor.counter, 1)
  const { publicKey, ...rest } = parsePasskeyData(factor.data)!
  t.true(Buffer.from(publicKey, 'base64url').length > 70)
  t.deepEqual(rest, {
    rpId: 'auth.example.com',
    alg: -7,
    transports: ['internal', 'hybrid'],
    backupEligible: false,
    backedUp: false,
    aaguid: '00000000-0000-0000-0000-000000000000',
  })
  const synced = parsePasskeyData((await enrol(createAuthenticator(origin, { backupEligible: true }))).data)!
  t.like(synced, { backupEligible: true, backedUp: true })
})

test('a known user is asked for the passkeys of this relying party, nobody for any; one there is makes no second', async t => {
  const authenticator = createAuthenticator(origin)
  const factor = await enrol(authenticator)
  const elsewhere = { ...factor, data: formatPasskeyData({ ...parsePasskeyData(factor.data)!, rpId: 'example.com' }) }
  const totp: Factor = { id: 'fac_2', userId: alice.id, kind: 'totp', createdAt: 0, data: 'x', counter: 0 }
  const allowed = [{ type: 'public-key' as const, id: factor.handle!, transports: ['internal', 'hybrid'] }]
  t.deepEqual(requestOptions({ relyingParty: rp, challenge: 'c' }, [elsewhere, totp, factor]), {
    rpId: 'auth.example.com',
    challenge: 'c',
    timeout: 300_000,
    allowCredentials: allowed,
    userVerification: 'required',
  })
  t.deepEqual(requestOptions(ask(), []).allowCredentials, [])
  const again = creationOptions(ask(), alice, [totp, factor])
  t.deepEqual(again.excludeCredentials, allowed)
  t.throws(() => authenticator.create(again), { message: /InvalidStateError/ })
  t.deepEqual(
    [elsewhere, totp, factor].map(one => isUsablePasskey(rp, one)),
    [false, false, true],
  )
  t.false(isUsablePasskey(undefined, factor))
})

test('a passkey proves hwk, or swk where it may be copied, and that its user was verified (RFC 8176)', async t => {
  for (const [backupEligible, amr, signCount] of [
    [false, 'hwk', 2],
    [true, 'swk', 0],
  ] as const) {
    const authenticator = createAuthenticator(origin, { backupEligible })
    const factor = await enrol(authenticator)
    const proof = { use: { factorId: 'fac_1', kind: 'passkey', at: now, signCount }, amr: [amr, 'user', 'mfa'] }
    t.deepEqual(await assertion(authenticator, factor), proof as never)
    // A password manager makes a copy later on.
    if (backupEligible) t.truthy(await assertion(authenticator, factor, { backedUp: false }))
  }
})

test('each algorithm that is asked for signs in, and nothing of another key does', async t => {
  const algs = ['ES256', 'EdDSA', 'RS256'] as const
  for (const alg of algs) {
    const authenticator = createAuthenticator(origin, { alg })
    const factor = await enrol(authenticator)
    t.is(parsePasskeyData(factor.data)?.alg, { ES256: -7, EdDSA: -8, RS256: -257 }[alg])
    t.truthy(await assertion(authenticator, factor), alg)
    const { handle, counter } = factor
    const other = { ...(await enrol(createAuthenticator(origin, { alg }))), handle, counter }
    await isRefused(t, assertion(authenticator, other), 'the signature is wrong')
  }
})

test('a passkey says by itself whose it is, and need not where that is known (WebAuthn §7.2)', async t => {
  const authenticator = createAuthenticator(origin)
  const factor = await enrol(authenticator)
  const attempt = (userId: string | undefined, forged?: Forged) => assertion(authenticator, factor, forged, { userId })
  t.is((await attempt(undefined)).use.factorId, factor.id)
  t.truthy(await attempt(alice.id, { userHandle: undefined }))
  const says = 'the passkey says that it is of another user'
  await isRefused(t, attempt(undefined, { userHandle: undefined }), says)
  await isRefused(t, attempt(undefined, { userHandle: Buffer.from('usr_mallory').toString('base64url') }), says)
  await isRefused(t, attempt(alice.id, { userHandle: Buffer.from('usr_mallory').toString('base64url') }), says)
  await isRefused(t, attempt('usr_mallory'), 'the passkey of another user')
})

test('each answer that is not what was asked for is refused in the same words (WebAuthn §7.2)', async t => {
  const authenticator = createAuthenticator(origin)
  const factor = await enrol(authenticator)
  const other = createAuthenticator(origin)
  const otherFactor = await enrol(other)
  const refuse = (cause: RegExp | string, forged: Forged) =>
    isRefused(t, assertion(authenticator, factor, forged), cause)
  await refuse('the answer is to another challenge', { challenge: createChallenge(random) })
  await refuse(/the origin https:\/\/evil\.example, which LATCHKEY_PASSKEY_ORIGINS/, { origin: 'https://evil.example' })
  await refuse(/the origin http:\/\/auth\.example\.com, which/, { origin: 'http://auth.example.com' })
  await refuse('the answer is of another origin', { origin: 'https://auth.example.com/"\n' })
  await refuse('the answer is for another relying party', { rpId: 'example.com' })
  await refuse('the user was not verified', { userVerified: false })
  await refuse('the user was not present', { userPresent: false })
  await refuse('the answer is of another kind', { type: 'webauthn.create' })
  await refuse('the answer is of a frame in another site', { clientData: { crossOrigin: true } })
  await refuse('the answer is of a frame in another site', { clientData: { topOrigin: 'https://evil.example' } })
  await refuse('the answer cannot be verified', { clientData: { tokenBinding: 'x' } })
  await refuse('the passkey says otherwise whether it can be backed up', { backupEligible: true })
  await refuse('the answer cannot be verified', { backupEligible: false, backedUp: true })
  await isRefused(t, assertion(authenticator, undefined), 'no such passkey')
  await isRefused(t, assertion(authenticator, { ...factor, kind: 'totp' }), 'no such passkey')
  await isRefused(t, assertion(authenticator, otherFactor), 'no such passkey')
  await isRefused(t, assertion(authenticator, { ...otherFactor, handle: factor.handle }), 'the signature is wrong')
  t.truthy(await assertion(authenticator, factor))
})

test('a signature count that goes back, or stays where it was above 0, is a copied key (WebAuthn §6.1.1)', async t => {
  const authenticator = createAuthenticator(origin)
  const factor = { ...(await enrol(authenticator)), counter: 7 }
  const back = 'the signature count went back'
  for (const signCount of [0, 6, 7]) await isRefused(t, assertion(authenticator, factor, { signCount }), back)
  const { use } = await assertion(authenticator, factor, { signCount: 8 })
  const used = spend(factor, use)!
  t.like(used, { counter: 8, usedAt: now })
  t.is(spend(used, use), undefined, 'the same assertion again, from two nodes at the same moment')
  await isRefused(t, assertion(authenticator, used, { signCount: 8 }), back)

  const synced = createAuthenticator(origin, { backupEligible: true })
  const uncounted = await enrol(synced)
  t.is(uncounted.counter, 0)
  const proof = await assertion(synced, uncounted)
  t.like(spend(spend(uncounted, proof.use), proof.use), { counter: 0 })
})

test('any changed character of what is signed is refused, and another signature', async t => {
  const authenticator = createAuthenticator(origin)
  const factor = await enrol(authenticator)
  const question = ask()
  const text = authenticator.get(requestOptions(question, []), { signCount: 2 })
  const attempt = async (answer: string) =>
    verifyAssertion(question, readPasskeyAnswer(answer), { factor, userId: alice.id, now })
  t.truthy(await attempt(text))
  const { response } = JSON.parse(text)
  const { signature } = JSON.parse(authenticator.get(requestOptions(question, []), { signCount: 3 })).response
  const swapped = JSON.stringify({ ...JSON.parse(text), response: { ...response, signature } })
  await isRefused(t, attempt(swapped), 'the signature is wrong')
  const places = (['clientDataJSON', 'authenticatorData'] as const).flatMap(member =>
    Array.from({ length: response[member].length - 1 }, (_, at) => ({ member, at })),
  )
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...places), fc.constantFrom(...'AZaz09-_'), async ({ member, at }, character) => {
      const before: string = response[member]
      fc.pre(before[at] !== character)
      const changed = before.slice(0, at) + character + before.slice(at + 1)
      const answer = JSON.stringify({ ...JSON.parse(text), response: { ...response, [member]: changed } })
      const error = await attempt(answer).then(
        () => undefined,
        (error: unknown) => error,
      )
      return error instanceof OAuthError && error.code === 'invalid_grant'
    }),
    { numRuns: 60 },
  )
})

test('each registration that is not what was asked for is refused in the same words (WebAuthn §7.1)', async t => {
  const refuse = async (cause: RegExp | string, forged: Forged) =>
    isRefused(t, enrol(createAuthenticator(origin), forged), cause)
  await refuse('the answer is to another challenge', { challenge: createChallenge(random) })
  await refuse(/the origin https:\/\/evil\.example, which/, { origin: 'https://evil.example' })
  await refuse('the answer is for another relying party', { rpId: 'example.com' })
  await refuse('the user was not verified', { userVerified: false })
  await refuse('the user was not present', { userPresent: false })
  await refuse('the answer is of another kind', { type: 'webauthn.get' })
  await refuse('the answer is of a frame in another site', { clientData: { crossOrigin: true } })
  await refuse('the credential id is too short or too long', { credentialId: Buffer.alloc(15, 1) })
  await refuse('the credential id is too short or too long', { credentialId: Buffer.alloc(1024, 1) })
  t.truthy(await enrol(createAuthenticator(origin), { credentialId: Buffer.alloc(1023, 1) }))
  const signIn = createAuthenticator(origin)
  await enrol(signIn)
  await isRefused(
    t,
    verifyRegistration(ask(), signIn.get(requestOptions(ask(), []))),
    'the answer is none to a registration',
  )
})

test('a key that could verify nothing is refused when it is enrolled, and not at the first sign-in', async t => {
  const refuse = (publicKey: Buffer) =>
    isRefused(t, enrol(createAuthenticator(origin), { publicKey }), 'the answer cannot be verified')
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  t.truthy(await enrol(createAuthenticator(origin), { publicKey: coseKey(publicKey) }))
  const cose = (...members: [number, Cbor][]) => cbor(new Map<number, Cbor>(members))
  const ec2 = (x: Buffer, y: Buffer) => cose([1, 2], [3, -7], [-1, 1], [-2, x], [-3, y])
  // No point of the curve.
  await refuse(ec2(Buffer.alloc(32, 1), Buffer.alloc(32, 2)))
  await refuse(ec2(Buffer.alloc(0), Buffer.alloc(0)))
  await refuse(cose())
  await refuse(cbor('a text'))
  // ES384, which nobody was asked for.
  await refuse(cose([1, 2], [3, -35]))
  const rsa = (length: number) =>
    cose([1, 3], [3, -257], [-1, Buffer.alloc(length, 0xff)], [-2, Buffer.from([1, 0, 1])])
  await isRefused(t, enrol(createAuthenticator(origin), { publicKey: rsa(2048) }), 'the public key is too long')
  t.truthy(await enrol(createAuthenticator(origin), { publicKey: rsa(512) }))
})

test('who made an authenticator is not asked, and no certificate of a statement is followed (WebAuthn §7.1)', async t => {
  const certificate = Buffer.alloc(600, 0x30)
  for (const format of ['packed', 'tpm', 'android-key', 'android-safetynet', 'fido-u2f', 'apple', 'unheard-of']) {
    const statement = new Map([['x5c', [certificate]]])
    t.truthy(await enrol(createAuthenticator(origin), { format, statement }), format)
  }
})

test('what is no answer at all is refused in the same words, and no length costs anything', async t => {
  const question = ask()
  const authenticator = createAuthenticator(origin)
  const factor = await enrol(authenticator)
  const good = JSON.parse(authenticator.get(requestOptions(question, [])))
  const attempts = async (text: string) => {
    await isRefused(t, verifyRegistration(question, text), /./)
    await isRefused(
      t,
      (async () => verifyAssertion(question, readPasskeyAnswer(text), { factor, userId: alice.id, now }))(),
      /./,
    )
  }
  const withResponse = (members: object) => JSON.stringify({ ...good, response: { ...good.response, ...members } })
  const clientData = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  for (const text of [
    '',
    'null',
    '[]',
    '7',
    '{',
    '{"id":{}}',
    JSON.stringify({ ...good, id: '' }),
    JSON.stringify({ ...good, id: 'a b' }),
    JSON.stringify({ ...good, type: 'password' }),
    JSON.stringify({ ...good, response: null }),
    withResponse({ clientDataJSON: 'x'.repeat(9) }),
    withResponse({ clientDataJSON: clientData(null) }),
    withResponse({ clientDataJSON: clientData({ type: { toString: 1 }, challenge: [], origin: { valueOf: 1 } }) }),
    withResponse({ authenticatorData: 'AAAA', attestationObject: 'AAAA' }),
    withResponse({ authenticatorData: {}, signature: [], attestationObject: 1 }),
    withResponse({ signature: 'AA' }),
    // Nested lists of CBOR, thousands deep.
    withResponse({ signature: 'AA', attestationObject: Buffer.alloc(9000, 0x81).toString('base64url') }),
    withResponse({ signature: 'AA', attestationObject: Buffer.alloc(9000, 0xbb).toString('base64url') }),
    '['.repeat(maxPasskeyAnswer),
    JSON.stringify({ ...good, padding: 'x'.repeat(100_000) }),
  ])
    await attempts(text)
  t.is(readPasskeyAnswer(JSON.stringify({ ...good, id: `${good.id}=`, rawId: undefined })).id, good.id)
})

const passkeyData = fc.record({
  rpId: fc.domain(),
  publicKey: fc.uint8Array({ maxLength: 1024 }).map(bytes => Buffer.from(bytes).toString('base64url')),
  alg: fc.constantFrom(-7, -8, -257),
  transports: fc.uniqueArray(fc.constantFrom('usb', 'nfc', 'ble', 'smart-card', 'hybrid', 'internal')),
  backupEligible: fc.boolean(),
  backedUp: fc.boolean(),
  aaguid: fc.uuid(),
})

test('what is stored of a passkey is read as it was written, and nothing else is read or throws', t => {
  fc.assert(fc.property(passkeyData, data => t.deepEqual(parsePasskeyData(formatPasskeyData(data)), data)))
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), text => t.is(parsePasskeyData(text), undefined)))
  const good = { rpId: 'a', publicKey: 'b', alg: -7, backupEligible: true, backedUp: false, aaguid: 'c' }
  t.deepEqual(parsePasskeyData(JSON.stringify({ ...good, transports: ['usb', 7, 'USB', 'usb', 'x'.repeat(99)] })), {
    ...good,
    transports: ['usb'],
  })
})

test('passkeys belong to a domain: a server whose issuer is an IP address has none (WebAuthn §4)', t => {
  t.like(relyingPartyOf('https://auth.example.com:8443/tenant'), {
    id: 'auth.example.com',
    origins: ['https://auth.example.com:8443'],
  })
  t.like(relyingPartyOf('http://localhost:3000'), { id: 'localhost' })
  for (const issuer of ['http://127.0.0.1:3000', 'http://[::1]:3000', 'https://192.0.2.1'])
    t.is(relyingPartyOf(issuer), undefined)
})

test("answers count of related sites, of Android apps by their certificates, and of Apple's, which name the domain", async t => {
  const fingerprint = Array.from({ length: 32 }, () => 'FB').join(':')
  const relyingParty = relyingPartyOf(origin, {
    rpId: 'example.com',
    relatedOrigins: ['https://app.example.com'],
    appleApps: ['A1B2C3D4E5.com.example.app'],
    androidApps: [{ packageName: 'com.example.app', fingerprint }],
  })!
  t.is(relyingParty.id, 'example.com')
  const android = `android:apk-key-hash:${Buffer.alloc(32, 0xfb).toString('base64url')}`
  const origins = [origin, 'https://app.example.com', 'https://example.com', android]
  t.deepEqual(relyingParty.origins, origins)
  const question = { relyingParty, challenge: createChallenge(random) }
  const register = (from: string) =>
    verifyRegistration(question, createAuthenticator(from).create(creationOptions(question, alice, [])))
  for (const from of origins) t.is(parsePasskeyData((await register(from)).data)?.rpId, 'example.com')
  await isRefused(t, register('https://other.example.com'), /, which LATCHKEY_PASSKEY_ORIGINS does not name$/)
  await isRefused(t, register(`${android.slice(0, -1)}A`), /, which LATCHKEY_ANDROID_APPS does not name$/)
  t.deepEqual(relyingPartyOf(origin)?.origins, [origin])
})

test('what verifies passkeys is loaded with the first answer that may be right, by no start, and says nothing on stderr', async t => {
  const module = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
  const script = `
    import { registerHooks } from 'node:module'
    let loaded = 0
    registerHooks({ resolve(name, context, next) { if (name.startsWith('@simplewebauthn/')) loaded++; return next(name, context) } })
    await import(${module('../../../src/main.ts')})
    const { creationOptions, requestOptions, verifyRegistration, verifyAssertion } = await import(${module('../../../src/users/factors/passkey.ts')})
    const { readPasskeyAnswer } = await import(${module('../../../src/users/factors/passkey_answer.ts')})
    const { createAuthenticator } = await import(${module('../../_authenticator.ts')})
    const rp = { id: 'auth.example.com', origins: ['https://auth.example.com'] }
    const question = { relyingParty: rp, challenge: 'c' }
    const user = { id: 'usr_1', username: 'alice' }
    const authenticator = createAuthenticator(rp.origins[0])
    const text = authenticator.create(creationOptions(question, user, []))
    const stranger = createAuthenticator(rp.origins[0])
    stranger.create(creationOptions(question, user, []))
    const unknown = readPasskeyAnswer(stranger.get(requestOptions(question, [])))
    await verifyAssertion(question, unknown, { factor: undefined, userId: undefined, now: 0 }).catch(() => {})
    const before = loaded
    const made = await verifyRegistration(question, text)
    const factor = { id: 'fac_1', userId: user.id, kind: 'passkey', createdAt: 0, ...made }
    const answer = readPasskeyAnswer(authenticator.get(requestOptions(question, [factor])))
    const { amr } = await verifyAssertion(question, answer, { factor, userId: user.id, now: 0 })
    const hasFetch = process.moduleLoadList.some(name => name.includes('undici'))
    console.log(JSON.stringify({ before, isLoaded: loaded > 0, amr, hasFetch }))`
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  t.deepEqual(JSON.parse(stdout), { before: 0, isLoaded: true, amr: ['hwk', 'user', 'mfa'], hasFetch: false })
  t.is(stderr, '')
})
