/**
 * Passkeys: what a browser or an app is asked for, and what its answer proves. WebAuthn Level 3, https://www.w3.org/TR/webauthn-3/. A passkey is
 * a key that a device or a password manager keeps; it signs only for the relying party that it was made for, and here only after it has
 * verified its user. The library that verifies is loaded with the first answer: most servers see none.
 *
 * Nothing here remembers a challenge. Whoever asks hands it over again with the answer, and consumes it.
 */
import type { Factor, FactorUse } from './factor.ts'
import { type PasskeyAnswer, readPasskeyAnswer } from './passkey_answer.ts'
import { formatPasskeyData, type PasskeyData, parsePasskeyData } from './passkey_data.ts'
import { refuseProof } from './refuse_proof.ts'
import type { RelyingParty } from './relying_party.ts'

/** COSE algorithms, the preferred one first: ES256, which every authenticator has, Ed25519, and RS256 of Windows Hello. */
const algs = [-7, -8, -257]
/** Bytes of a public key: RSA with 4096 bits has some 530. A longer one makes every sign-in dear. */
const maxPublicKey = 1024
/** Milliseconds that a person gets: an `auth_session` lasts as long, and §15.1 wants it where the user is verified. */
const timeout = 300_000

/** @returns 43 base64url characters, to count once */
export const createChallenge = (randomBytes: (size: number) => Buffer): string => randomBytes(32).toString('base64url')

/** With what a passkey was asked for, which it answers to. */
export type PasskeyQuestion = Readonly<{ relyingParty: Pick<RelyingParty, 'id' | 'origins'>; challenge: string }>

/**
 * What `PublicKeyCredential.parseCreationOptionsFromJSON` takes, for a new passkey: §5.1.9.
 *
 * @param factors of the user: where one of the passkeys is, no other is made
 */
export function creationOptions(
  { relyingParty: rp, challenge }: PasskeyQuestion,
  user: Readonly<{ id: string; username: string; fullName?: string | undefined }>,
  factors: readonly Factor[],
) {
  return {
    rp: { id: rp.id, name: rp.id },
    user: {
      // §14.6.1: tells nothing of the user.
      id: Buffer.from(user.id).toString('base64url'),
      name: user.username,
      displayName: user.fullName ?? user.username,
    },
    challenge,
    pubKeyCredParams: algs.map(alg => ({ type: 'public-key' as const, alg })),
    timeout,
    excludeCredentials: descriptors(rp, factors),
    authenticatorSelection: {
      residentKey: 'required' as const,
      requireResidentKey: true,
      userVerification: 'required' as const,
    },
    attestation: 'none' as const,
  }
}

/**
 * What `PublicKeyCredential.parseRequestOptionsFromJSON` takes, for a sign-in: §5.1.10.
 *
 * @param factors of the user who is known already; of nobody, where any passkey of this server will do
 */
export function requestOptions({ relyingParty: rp, challenge }: PasskeyQuestion, factors: readonly Factor[]) {
  return {
    rpId: rp.id,
    challenge,
    timeout,
    allowCredentials: descriptors(rp, factors),
    userVerification: 'required' as const,
  }
}

/** Whether a factor is a passkey that this relying party can ask for: one made for another never answers. */
export function isUsablePasskey(rp: Pick<RelyingParty, 'id'> | undefined, factor: Factor): boolean {
  return factor.kind === 'passkey' && rp !== undefined && parsePasskeyData(factor.data)?.rpId === rp.id
}

function descriptors(rp: PasskeyQuestion['relyingParty'], factors: readonly Factor[]) {
  return factors
    .filter(factor => isUsablePasskey(rp, factor))
    .map(({ handle, data }) => ({
      type: 'public-key' as const,
      id: handle!,
      transports: parsePasskeyData(data)!.transports,
    }))
}

/**
 * Verifies the answer to {@link creationOptions}: §7.1.
 *
 * @param answer JSON of `PublicKeyCredential.toJSON()`, as it came
 * @returns what a factor is made of
 * @throws OAuthError of {@link refuseProof}
 */
export async function verifyRegistration(
  { relyingParty: rp, challenge }: PasskeyQuestion,
  answer: string,
): Promise<Pick<Factor, 'data' | 'handle' | 'counter'>> {
  const read = readPasskeyAnswer(answer)
  const { attestationObject, transports } = read.response
  if (attestationObject === undefined) refuseProof('the answer is none to a registration')
  insistOnClientData(rp, read, 'webauthn.create', challenge)
  const { clientDataJSON } = read.response
  const [server, helpers] = await library()
  const { registrationInfo } = await orRefuse(async () =>
    server.verifyRegistrationResponse({
      response: {
        ...identityOf(read),
        response: { clientDataJSON, attestationObject: withoutAttestation(attestationObject, helpers.isoCBOR) },
      },
      expectedChallenge: challenge,
      expectedOrigin: [...rp.origins],
      expectedRPID: rp.id,
      requireUserVerification: true,
      supportedAlgorithmIDs: algs,
    }),
  )
  const { credential, aaguid, credentialDeviceType, credentialBackedUp } =
    registrationInfo ?? refuseProof('the registration does not verify')
  if (credential.id !== read.id) refuseProof('the credential has another id than the answer')
  if (credential.publicKey.length > maxPublicKey) refuseProof('the public key is too long')
  // A key that is none is refused now, and not at the first sign-in: any signature will do to see that it can be read.
  const signature = Buffer.from('3006020101020101', 'hex')
  const { publicKey } = credential
  await orRefuse(async () => helpers.verifySignature({ signature, data: signature, credentialPublicKey: publicKey }))
  const data: PasskeyData = {
    rpId: rp.id,
    publicKey: Buffer.from(publicKey).toString('base64url'),
    alg: helpers.decodeCredentialPublicKey(publicKey).get(3) as number,
    transports,
    backupEligible: credentialDeviceType === 'multiDevice',
    backedUp: credentialBackedUp,
    aaguid,
  }
  return { data: formatPasskeyData(data), handle: credential.id, counter: credential.counter }
}

/** What else an assertion is held against. */
export type ExpectedAssertion = Readonly<{
  /** The passkey with the id of the answer, if there is one: of the known user, or of anybody where none is known. */
  factor: Factor | undefined
  /** The user who is known already; undefined where the passkey is to say who it is. */
  userId: string | undefined
  /** Seconds since the epoch. */
  now: number
}>

/**
 * Verifies the answer to {@link requestOptions}: §7.2. That its signature count has not been used up is decided again by `spend`, in the
 * transaction of what it lets in.
 *
 * @returns what was proved, and by what (RFC 8176): `swk` for a passkey that may be copied between devices, `hwk` for one that may not
 * @throws OAuthError of {@link refuseProof}
 */
export async function verifyAssertion(
  { relyingParty: rp, challenge }: PasskeyQuestion,
  answer: PasskeyAnswer,
  { factor, userId, now }: ExpectedAssertion,
): Promise<{ use: FactorUse; amr: readonly string[] }> {
  const { clientDataJSON, authenticatorData, signature, userHandle } = answer.response
  if (authenticatorData === undefined || signature === undefined) refuseProof('the answer is none to a sign-in')
  insistOnClientData(rp, answer, 'webauthn.get', challenge)
  if (factor?.kind !== 'passkey' || factor.handle !== answer.id) refuseProof('no such passkey')
  const data = parsePasskeyData(factor.data)
  if (data === undefined) throw new Error(`what is stored of passkey ${factor.id} cannot be read`)
  const owner = userHandle === undefined ? undefined : Buffer.from(userHandle, 'base64url').toString()
  if (userId !== undefined && factor.userId !== userId) refuseProof('the passkey of another user')
  // Where a name was typed a passkey may leave out whose it is.
  if ((owner ?? userId) !== factor.userId) refuseProof('the passkey says that it is of another user')
  const [server] = await library()
  const { verified, authenticationInfo } = await orRefuse(() =>
    server.verifyAuthenticationResponse({
      response: { ...identityOf(answer), response: { clientDataJSON, authenticatorData, signature } },
      expectedChallenge: challenge,
      expectedOrigin: [...rp.origins],
      expectedRPID: rp.id,
      credential: {
        id: answer.id,
        publicKey: new Uint8Array(Buffer.from(data.publicKey, 'base64url')),
        counter: factor.counter,
      },
      requireUserVerification: true,
    }),
  )
  if (!verified) refuseProof('the signature is wrong')
  const isEligible = authenticationInfo.credentialDeviceType === 'multiDevice'
  if (isEligible !== data.backupEligible) refuseProof('the passkey says otherwise whether it can be backed up')
  return {
    use: { factorId: factor.id, kind: 'passkey', at: now, signCount: authenticationInfo.newCounter },
    amr: [data.backupEligible ? 'swk' : 'hwk', 'user', 'mfa'],
  }
}

function identityOf({ id }: PasskeyAnswer) {
  return { id, rawId: id, type: 'public-key' as const, clientExtensionResults: {} }
}

/** What the library checks too, for the words of the log, and that no page of another site was around. */
function insistOnClientData(
  rp: PasskeyQuestion['relyingParty'],
  { clientData }: PasskeyAnswer,
  type: string,
  challenge: string,
): void {
  if (clientData.type !== type) refuseProof('the answer is of another kind')
  if (clientData.challenge !== challenge) refuseProof('the answer is to another challenge')
  if (!rp.origins.includes(clientData.origin)) refuseProof(`the answer is of ${describeOrigin(clientData.origin)}`)
  if (clientData.crossOrigin) refuseProof('the answer is of a frame in another site')
}

/** An operator who left one out wants to read which. */
function describeOrigin(origin: string): string {
  const isPlain = /^(?:https?:\/\/[a-z0-9.:[\]-]{1,200}|android:apk-key-hash:[\w-]{43})$/.test(origin)
  if (!isPlain) return 'another origin'
  const setting = origin.startsWith('android') ? 'LATCHKEY_ANDROID_APPS' : 'LATCHKEY_PASSKEY_ORIGINS'
  return `the origin ${origin}, which ${setting} does not name`
}

/** What the library says, and what is written of it: its own words repeat what a stranger sent. */
const knownFailures: readonly (readonly [RegExp, string])[] = [
  [/user verification/i, 'the user was not verified'],
  [/user presence|not present/i, 'the user was not present'],
  [/RP ID/, 'the answer is for another relying party'],
  [/counter value/, 'the signature count went back'],
]

async function orRefuse<T>(verify: () => Promise<T>): Promise<T> {
  try {
    return await verify()
  } catch (error) {
    const message = error instanceof Error ? error.message : ''
    const known = knownFailures.find(([pattern]) => pattern.test(message))
    refuseProof(known?.[1] ?? 'the answer cannot be verified')
  }
}

/**
 * The statement about who made the authenticator, which nobody asked for, is not looked at (§7.1, step 24: attestation `none`): the
 * library would fetch what the certificates in it name.
 */
function withoutAttestation(attestationObject: string, { decodeFirst, encode }: Cbor): string {
  const bytes = new Uint8Array(Buffer.from(attestationObject, 'base64url'))
  const authData = decodeFirst<Map<string, Uint8Array>>(bytes).get('authData')!
  const parts: Parameters<typeof encode>[0] = new Map()
    .set('fmt', 'none')
    .set('attStmt', new Map())
    .set('authData', authData)
  return Buffer.from(encode(parts)).toString('base64url')
}

type Cbor = typeof import('@simplewebauthn/server/helpers')['isoCBOR']

function library() {
  return Promise.all([import('@simplewebauthn/server'), import('@simplewebauthn/server/helpers')])
}
