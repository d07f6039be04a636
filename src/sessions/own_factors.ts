/** A signed-in user sets up factors, names and removes them; who has to have one sets it up while signing in. */
import { auditEvent, type Caller } from '../audit/audit.ts'
import { OAuthError } from '../error.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { secretNameOf } from '../keys/sealed_token.ts'
import { insistThatNoOtherHas } from '../keys/secret_use.ts'
import type { KeyStorage } from '../keys/storage.ts'
import { readLabel } from '../text.ts'
import { type Enrollment, enrollmentLifetime, formatEnrollment, parseEnrollment } from '../users/factors/enrollment.ts'
import { createFactorId, type Factor, isSecondFactor, maxFactors } from '../users/factors/factor.ts'
import { createRecoveryCodes, digestRecoveryCodes, verifyRecoveryCode } from '../users/factors/recovery_codes.ts'
import type { FactorStorage } from '../users/factors/storage.ts'
import { base32, createTotpSecret, driftOf, matchTotp, otpauthUri, sealTotpSecret } from '../users/factors/totp.ts'
import type { User } from '../users/user.ts'
import {
  type FactorRefusal,
  type FactorsChanged,
  factorEnrollment,
  factorRemoval,
  factorRenaming,
  maxSignInAge,
  missingProof,
  recoveryCodeReplacement,
} from './factor_change.ts'
import type { Session } from './session.ts'
import type { SessionStorage } from './storage.ts'

/** UTF-16 code units of what a user calls a factor; what is longer is cut. */
export const maxFactorName = 64

export type OwnFactorDeps = Readonly<{
  config: Readonly<{ issuer: string }>
  storage: SessionStorage & FactorStorage & Pick<KeyStorage, 'listMasterSecretUses'>
  secrets: MasterSecrets
  now: () => number
  randomBytes: (size: number) => Buffer
}>

export type SignedInUser = Readonly<{ user: User; session: Session }>

/** Who sets up a factor: in a session, or, where one is demanded, in a sign-in that becomes none without. */
export type Enroller = SignedInUser | Readonly<{ user: User; session?: undefined; signInId: string }>

export type TotpEnrollment = Readonly<{
  kind: 'begun'
  /** What the confirmation brings back: a secret text. */
  enrollment: string
  /** Base32, for who cannot scan. */
  secret: string
  otpauthUri: string
  expiresIn: number
}>

/** `ahead`: seconds by which the clock of a phone is wrong, as far as that can be told. */
export type ConfirmationRefusal =
  | FactorRefusal
  | Readonly<{ kind: 'enrollment_over' }>
  | Readonly<{ kind: 'wrong_code'; ahead?: number | undefined }>

/** `recoveryCodes` come with the first factor, and are seen at no other time. */
export type ConfirmedFactor = FactorsChanged &
  Readonly<{ factor: Factor; amr: readonly string[]; recoveryCodes?: readonly string[] | undefined }>

/** Begins to set up time-based codes. Writes nothing. */
export async function beginTotpEnrollment(
  deps: OwnFactorDeps,
  enroller: Enroller,
  name: string | undefined,
): Promise<TotpEnrollment | FactorRefusal> {
  const draft = await draftEnrollment(deps, enroller, name)
  if ('refusal' in draft) return draft.refusal
  const secret = createTotpSecret(deps.randomBytes)
  const enrollment: Enrollment = { ...draft.enrollment, kind: 'totp', secret: secret.toString('base64url') }
  return {
    kind: 'begun',
    enrollment: formatEnrollment(enrollment, deps.secrets, deps.randomBytes),
    secret: base32(secret),
    otpauthUri: otpauthUri(secret, new URL(deps.config.issuer).host, enroller.user.username),
    expiresIn: enrollmentLifetime,
  }
}

/** What an enrolment of each kind has; refused where the sign-in must not add a factor, or there are too many. */
async function draftEnrollment(
  { storage, now, randomBytes }: OwnFactorDeps,
  { user, ...within }: Enroller,
  name: string | undefined,
): Promise<{ enrollment: Omit<Enrollment, 'kind' | 'secret'> } | { refusal: FactorRefusal }> {
  const factors = await storage.listFactors(user.id)
  const hasFactor = factors.some(isSecondFactor)
  const missing = within.session && missingProof(within.session, factors, now())
  if (missing !== undefined) return { refusal: missing }
  // A sign-in sets one up where there was none; who has one is asked for it.
  if (within.session === undefined && hasFactor) return { refusal: { kind: 'overtaken' } }
  if (factors.filter(isSecondFactor).length >= maxFactors) return { refusal: { kind: 'too_many' } }
  const enrollment = {
    factorId: createFactorId(randomBytes),
    userId: user.id,
    within: withinOf(within),
    version: user.credentialVersion,
    name: readLabel(name, maxFactorName),
    ...(!hasFactor && { recoveryCodes: createRecoveryCodes(randomBytes) }),
    expiresAt: now() + enrollmentLifetime,
  }
  return { enrollment }
}

const withinOf = (within: { session: Session } | { session?: undefined; signInId: string }) =>
  within.session === undefined ? within.signInId : within.session.id

/**
 * Adds the factor of an enrolment, if its first code is right; that code is used up then. Who asks again, because the answer was lost,
 * gets it again as long as the enrolment lives, with those of the recovery codes that have not been used.
 */
export async function confirmEnrollment(
  deps: OwnFactorDeps,
  enroller: Enroller,
  given: Readonly<{ enrollment: string; otp: string }>,
  caller: Caller,
): Promise<ConfirmedFactor | ConfirmationRefusal> {
  const { user, ...within } = enroller
  const now = deps.now()
  const enrollment = parseEnrollment(given.enrollment, deps.secrets)
  if (enrollment === undefined) await insistThatNoOtherHas(deps, secretNameOf(given.enrollment))
  const isTheirs = enrollment?.userId === user.id && enrollment.within === withinOf(within)
  if (enrollment === undefined || !isTheirs || enrollment.expiresAt <= now) return { kind: 'enrollment_over' }
  const before = (await deps.storage.listFactors(user.id)).find(({ id }) => id === enrollment.factorId)
  const proved = proveTotp(deps, enrollment, given.otp, now, before)
  if (proved.kind === 'wrong_code') return proved
  const codes = enrollment.recoveryCodes
  const decide = factorEnrollment(
    {
      ...proved,
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

/** @param before the factor, where it has been added already: then the code that it was added by will do as well */
function proveTotp(
  { secrets, randomBytes }: OwnFactorDeps,
  { factorId, userId, name, secret: text }: Enrollment,
  otp: string,
  now: number,
  before: Factor | undefined,
): { kind: 'proved'; factor: Factor; amr: readonly string[] } | Extract<ConfirmationRefusal, { kind: 'wrong_code' }> {
  const secret = Buffer.from(text, 'base64url')
  const step = matchTotp(secret, otp, now) ?? (before && matchTotp(secret, otp, before.createdAt))
  if (step === undefined) return { kind: 'wrong_code', ahead: driftOf(secret, otp, now) }
  const data = sealTotpSecret(secret, factorId, secrets, randomBytes)
  const factor = { id: factorId, userId, kind: 'totp', name, createdAt: now, data, counter: step } as const
  return { kind: 'proved', factor, amr: ['otp', 'mfa'] }
}

/** Makes recovery codes in the place of those that there are. @returns them, as they are seen this once */
export async function replaceRecoveryCodes(
  deps: OwnFactorDeps,
  signedIn: SignedInUser,
  caller: Caller,
): Promise<Readonly<{ kind: 'done'; recoveryCodes: readonly string[] }> | FactorRefusal> {
  const now = deps.now()
  const { user, session } = signedIn
  const recoveryCodes = createRecoveryCodes(deps.randomBytes)
  const factor = recoveryFactor(deps, user, recoveryCodes, now)
  const decide = recoveryCodeReplacement(factor, factorEvent('factor.updated', now, caller, signedIn))
  const outcome = await deps.storage.changeUser(user.id, decide, session.id)
  return outcome.kind === 'done' ? { kind: 'done', recoveryCodes } : outcome
}

/** @param name as it was typed; undefined, or nothing to be seen, for none */
export function renameFactor(
  deps: OwnFactorDeps,
  signedIn: SignedInUser,
  { id, name }: Readonly<{ id: string; name: string | undefined }>,
  caller: Caller,
): Promise<(FactorsChanged & Readonly<{ factor: Factor }>) | FactorRefusal> {
  const event = factorEvent('factor.updated', deps.now(), caller, signedIn)
  const decide = factorRenaming(id, readLabel(name, maxFactorName), event)
  return deps.storage.changeUser(signedIn.user.id, decide, signedIn.session.id)
}

/** Removes a factor; the last one takes the recovery codes along. */
export function removeFactor(
  deps: OwnFactorDeps,
  signedIn: SignedInUser,
  id: string,
  caller: Caller,
): Promise<FactorsChanged | FactorRefusal> {
  const event = factorEvent('factor.removed', deps.now(), caller, signedIn)
  return deps.storage.changeUser(signedIn.user.id, factorRemoval(id, event), signedIn.session.id)
}

/** What a program is told of a refusal. */
export function factorError(refusal: ConfirmationRefusal): OAuthError {
  switch (refusal.kind) {
    case 'proof_needed':
      return proofNeeded(refusal.hasFactor, maxSignInAge)
    case 'session_over':
      return new OAuthError('invalid_token', 'the session has ended at this moment')
    case 'enrollment_over':
      return new OAuthError('invalid_session', 'the enrollment is over, or of another sign-in: begin again')
    case 'overtaken':
      return new OAuthError('invalid_session', 'the factors have changed since this enrollment began: begin again')
    case 'too_many':
      return new OAuthError('invalid_request', `there are ${maxFactors} factors already: remove one first`)
    case 'no_such_factor':
      return new OAuthError('not_found', 'you have no such factor')
    case 'no_second_factor':
      return new OAuthError('invalid_request', 'recovery codes stand in for another factor: set one up first')
    case 'wrong_code':
      return new OAuthError('invalid_grant', wrongCodeText(refusal.ahead))
  }
}

/** @param maxAge seconds that the sign-in may be old; without it any age will do */
export function proofNeeded(hasFactor: boolean, maxAge?: number): OAuthError {
  const what = hasFactor ? 'a sign-in with the second factor is needed' : 'a new sign-in is needed'
  return new OAuthError('insufficient_user_authentication', what, {
    stepUp: { ...(hasFactor && { acrValues: ['urn:latchkey:2fa'] }), ...(maxAge !== undefined && { maxAge }) },
  })
}

function wrongCodeText(ahead: number | undefined): string {
  if (ahead === undefined) return 'the code is wrong'
  const minutes = Math.max(1, Math.round(Math.abs(ahead) / 60))
  const by = `about ${minutes} ${minutes === 1 ? 'minute' : 'minutes'} ${ahead > 0 ? 'fast' : 'slow'}`
  return `the code is of another time: the clock of the device that shows it is ${by}`
}

function recoveryFactor(
  { secrets, randomBytes }: OwnFactorDeps,
  { id: userId }: User,
  codes: readonly string[],
  now: number,
): Factor {
  const data = digestRecoveryCodes(codes, secrets)
  return { id: createFactorId(randomBytes), userId, kind: 'recovery_codes', createdAt: now, data, counter: 0 }
}

function factorEvent(
  type: 'factor.added' | 'factor.updated' | 'factor.removed',
  now: number,
  caller: Caller,
  { user, session }: Enroller,
) {
  return auditEvent(type, now, caller, { userId: user.id, sessionId: session?.id, clientId: session?.clientId })
}
