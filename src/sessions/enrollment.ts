/** A user sets up a factor: signed in, or, where one is demanded, while signing in. Nothing is written before it has been proved once. */
import type { Caller } from '../audit/audit.ts'
import { OAuthError } from '../error.ts'
import { secretNameOf } from '../keys/sealed_token.ts'
import { insistThatNoOtherHas } from '../keys/secret_use.ts'
import { readLabel } from '../text.ts'
import {
  type EnrolledKind,
  type Enrollment,
  enrollmentLifetime,
  formatEnrollment,
  parseEnrollment,
} from '../users/factors/enrollment.ts'
import { createFactorId, type Factor, isSecondFactor, maxFactors } from '../users/factors/factor.ts'
import { createChallenge, creationOptions, verifyRegistration } from '../users/factors/passkey.ts'
import { parsePasskeyData } from '../users/factors/passkey_data.ts'
import { createRecoveryCodes, verifyRecoveryCode } from '../users/factors/recovery_codes.ts'
import { base32, createTotpSecret, driftOf, matchTotp, otpauthUri, sealTotpSecret } from '../users/factors/totp.ts'
import type { User } from '../users/user.ts'
import { type FactorRefusal, type FactorsChanged, factorEnrollment, missingProof } from './factor_change.ts'
import { factorEvent, maxFactorName, type OwnFactorDeps, recoveryFactor, type SignedInUser } from './own_factors.ts'

/** Who sets up a factor: in a session, or in a sign-in that becomes none without. */
export type Enroller = SignedInUser | Readonly<{ user: User; session?: undefined; signInId: string }>

/** `enrollment` is what the confirmation brings back: a secret text. `expiresIn` is seconds. */
type Begun = Readonly<{ kind: 'begun'; enrollment: string; expiresIn: number }>

/** `secret` is base32, for who cannot scan what `otpauthUri` says. */
export type TotpEnrollment = Begun & Readonly<{ secret: string; otpauthUri: string }>

/** `options` are for `PublicKeyCredential.parseCreationOptionsFromJSON`. */
export type PasskeyEnrollment = Begun & Readonly<{ options: ReturnType<typeof creationOptions> }>

/** `no_passkeys`: a server whose issuer is an address has none. */
export type BeginRefusal = FactorRefusal | Readonly<{ kind: 'no_passkeys' }>

/** `ahead`: seconds by which the clock of a phone is wrong, as far as that can be told. */
export type ConfirmationRefusal =
  | BeginRefusal
  | Readonly<{ kind: 'enrollment_over' | 'passkey_known' }>
  | Readonly<{ kind: 'wrong_code'; ahead?: number | undefined }>
  | Readonly<{ kind: 'wrong_passkey'; error: OAuthError }>

/** `recoveryCodes` come with the first factor. */
export type ConfirmedFactor = FactorsChanged &
  Readonly<{ factor: Factor; amr: readonly string[]; recoveryCodes?: readonly string[] | undefined }>

/** Begins to set up time-based codes. Writes nothing. */
export async function beginTotpEnrollment(
  deps: OwnFactorDeps,
  enroller: Enroller,
  name: string | undefined,
): Promise<TotpEnrollment | FactorRefusal> {
  const secret = createTotpSecret(deps.randomBytes)
  const begun = await begin(deps, enroller, { kind: 'totp', name, secret: secret.toString('base64url') })
  if (begun.kind !== 'begun') return begun
  const { enrollment, expiresIn } = begun
  return { kind: 'begun', enrollment, expiresIn, ...totpAsSeen(deps, enroller, secret) }
}

/** What was begun, to be seen again after a wrong code. @returns undefined when it is over, or of another sign-in */
export function resumeTotpEnrollment(
  deps: OwnFactorDeps,
  enroller: Enroller,
  text: string,
): TotpEnrollment | undefined {
  const enrollment = parseEnrollment(text, deps.secrets)
  if (enrollment?.kind !== 'totp' || !isGoingOn(enrollment, enroller, deps.now())) return undefined
  const expiresIn = enrollment.expiresAt - deps.now()
  const seen = totpAsSeen(deps, enroller, Buffer.from(enrollment.secret, 'base64url'))
  return { kind: 'begun', enrollment: text, expiresIn, ...seen }
}

function totpAsSeen({ config }: OwnFactorDeps, { user }: Enroller, secret: Buffer) {
  const uri = otpauthUri(secret, new URL(config.issuer).host, user.username)
  return { secret: base32(secret), otpauthUri: uri }
}

/** Begins to set up a passkey. Writes nothing. */
export async function beginPasskeyEnrollment(
  deps: OwnFactorDeps,
  enroller: Enroller,
  name: string | undefined,
): Promise<PasskeyEnrollment | BeginRefusal> {
  const { relyingParty } = deps.config
  if (relyingParty === undefined) return { kind: 'no_passkeys' }
  const challenge = createChallenge(deps.randomBytes)
  const begun = await begin(deps, enroller, { kind: 'passkey', name, secret: challenge })
  if (begun.kind !== 'begun') return begun
  const { enrollment, expiresIn, factors } = begun
  const options = creationOptions({ relyingParty, challenge }, enroller.user, factors)
  return { kind: 'begun', enrollment, expiresIn, options }
}

/** Refused where the sign-in must not add a factor, or there are too many. */
async function begin(
  { storage, secrets, now, randomBytes }: OwnFactorDeps,
  { user, ...within }: Enroller,
  { kind, name, secret }: Readonly<{ kind: EnrolledKind; name: string | undefined; secret: string }>,
): Promise<(Begun & Readonly<{ factors: readonly Factor[] }>) | FactorRefusal> {
  const factors = await storage.listFactors(user.id)
  const hasFactor = factors.some(isSecondFactor)
  const missing = within.session && missingProof(within.session, factors, now())
  if (missing !== undefined) return missing
  // A sign-in sets one up where there was none; who has one is asked for it.
  if (within.session === undefined && hasFactor) return { kind: 'overtaken' }
  if (factors.filter(isSecondFactor).length >= maxFactors) return { kind: 'too_many' }
  const enrollment: Enrollment = {
    factorId: createFactorId(randomBytes),
    kind,
    userId: user.id,
    within: withinOf(within),
    version: user.credentialVersion,
    name: readLabel(name, maxFactorName),
    secret,
    ...(!hasFactor && { recoveryCodes: createRecoveryCodes(randomBytes) }),
    expiresAt: now() + enrollmentLifetime,
  }
  const text = formatEnrollment(enrollment, secrets, randomBytes)
  return { kind: 'begun', enrollment: text, expiresIn: enrollmentLifetime, factors }
}

const withinOf = (within: { session: SignedInUser['session'] } | { session?: undefined; signInId: string }) =>
  within.session === undefined ? within.signInId : within.session.id

function isGoingOn({ userId, within, expiresAt }: Enrollment, { user, ...where }: Enroller, now: number): boolean {
  return userId === user.id && within === withinOf(where) && now < expiresAt
}

/** What a confirmation brings: the text of {@link Begun}, and the first code, or the JSON that an authenticator answered. */
export type Confirmation = Readonly<{
  enrollment: string
  otp?: string | undefined
  passkey?: string | undefined
}>

/**
 * Adds the factor of an enrolment, if its first proof is right; a code is used up then. Who asks again, because the answer was lost,
 * gets it again in that session as long as the enrolment lives, with those of the recovery codes that have not been used.
 */
export async function confirmEnrollment(
  deps: OwnFactorDeps,
  enroller: Enroller,
  given: Confirmation,
  caller: Caller,
): Promise<ConfirmedFactor | ConfirmationRefusal> {
  const { user, ...within } = enroller
  const now = deps.now()
  const enrollment = parseEnrollment(given.enrollment, deps.secrets)
  if (enrollment === undefined) await insistThatNoOtherHas(deps, secretNameOf(given.enrollment))
  if (enrollment === undefined || !isGoingOn(enrollment, enroller, now)) return { kind: 'enrollment_over' }
  const prove = enrollment.kind === 'totp' ? proveTotp : provePasskey
  const proved = await prove(deps, enrollment, given, now)
  if (proved.kind !== 'proved') return proved
  const codes = enrollment.recoveryCodes
  const { factorId: id, userId, kind, name } = enrollment
  const decide = factorEnrollment(
    {
      factor: { id, userId, kind, name, createdAt: now, ...proved.verifier },
      amr: proved.amr,
      ...(codes !== undefined && { recoveryCodes: recoveryFactor(deps, user, codes, now) }),
      version: enrollment.version,
      isWithinSession: within.session !== undefined,
    },
    factorEvent('factor.added', now, caller, enroller),
  )
  const outcome = await deps.storage.changeUser(user.id, decide, within.session?.id)
  if (outcome.kind !== 'done') return outcome
  const { recoveryCodes: row } = outcome
  const left = row && codes?.filter(code => verifyRecoveryCode(row, code, deps.secrets, now) !== undefined)
  return { ...outcome, amr: proved.amr, recoveryCodes: left?.length ? left : undefined }
}

/** What later proofs are verified by, and what this one says of the session. */
type Proved = Readonly<{
  kind: 'proved'
  verifier: Pick<Factor, 'data' | 'counter' | 'handle'>
  amr: readonly string[]
}>

async function proveTotp(
  { storage, secrets, randomBytes }: OwnFactorDeps,
  { factorId, userId, secret: text }: Enrollment,
  { otp = '' }: Confirmation,
  now: number,
): Promise<Proved | ConfirmationRefusal> {
  const secret = Buffer.from(text, 'base64url')
  // Who asks again may send the code that it was, or the one that it is by now.
  const before = (await storage.listFactors(userId)).find(({ id }) => id === factorId)
  const step = matchTotp(secret, otp, now) ?? (before && matchTotp(secret, otp, before.createdAt))
  if (step === undefined) return { kind: 'wrong_code', ahead: driftOf(secret, otp, now) }
  const data = sealTotpSecret(secret, factorId, secrets, randomBytes)
  return { kind: 'proved', verifier: { data, counter: step }, amr: ['otp', 'mfa'] }
}

async function provePasskey(
  { storage, config: { relyingParty } }: OwnFactorDeps,
  { factorId, secret: challenge }: Enrollment,
  { passkey = '' }: Confirmation,
): Promise<Proved | ConfirmationRefusal> {
  if (relyingParty === undefined) return { kind: 'no_passkeys' }
  try {
    const verifier = await verifyRegistration({ relyingParty, challenge }, passkey)
    const known = await storage.findFactorByHandle(verifier.handle!)
    if (known !== undefined && known.id !== factorId) return { kind: 'passkey_known' }
    const { backupEligible } = parsePasskeyData(verifier.data)!
    return { kind: 'proved', verifier, amr: [backupEligible ? 'swk' : 'hwk', 'user', 'mfa'] }
  } catch (error) {
    if (error instanceof OAuthError && error.code === 'invalid_grant') return { kind: 'wrong_passkey', error }
    throw error
  }
}
